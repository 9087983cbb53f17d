//! The outlines of what is drawn, in a box as wide as there are steps and [`HEIGHT`] high.

use std::fmt::Write as _;

/// The height of every drawing in its own units.
pub(super) const HEIGHT: f64 = 100.0;
/// The lowest bar of a step in which anything happened.
const LEAST: f64 = 1.5;
/// Between a step's bar and its edges.
const GAP: f64 = 0.1;

/// How high a value is above the base line.
fn height(value: f64, top: f64) -> f64 {
    if top > 0.0 { (value / top * HEIGHT).min(HEIGHT) } else { 0.0 }
}

/// Bars that stand on each other, one outline for each layer, from the lowest.
pub(super) fn stacked<const N: usize>(steps: impl Iterator<Item = [i64; N]>, top: f64) -> [String; N] {
    let mut outlines = [const { String::new() }; N];
    for (step, counts) in steps.enumerate() {
        let mut below = 0.0;
        for (outline, count) in outlines.iter_mut().zip(counts).filter(|(_, count)| *count > 0) {
            let high = height(count as f64, top).max(LEAST);
            let (left, base, wide) = (step as f64 + GAP, HEIGHT - below, 1.0 - 2.0 * GAP);
            let _ = write!(outline, "M{left:.1} {base:.2}v-{high:.2}h{wide:.1}v{high:.2}z");
            below += high;
        }
    }
    outlines
}

/// A line that is level within each step, with gaps where there is no value.
pub(super) fn line(values: impl Iterator<Item = Option<f64>>, top: f64) -> String {
    let mut outline = String::new();
    let mut is_drawing = false;
    for (step, value) in values.enumerate() {
        if let Some(value) = value {
            let y = HEIGHT - height(value, top);
            let _ = if is_drawing { write!(outline, "V{y:.2}") } else { write!(outline, "M{step} {y:.2}") };
            let _ = write!(outline, "H{}", step + 1);
        }
        is_drawing = value.is_some();
    }
    outline
}

/// What lies between two such lines.
pub(super) fn band(bounds: impl Iterator<Item = Option<(f64, f64)>>, top: f64) -> String {
    let mut outline = String::new();
    for (step, (lower, upper)) in bounds.enumerate().filter_map(|(step, bounds)| Some((step, bounds?))) {
        let (low, high) = (height(lower, top), height(upper, top));
        if high > low {
            let _ = write!(outline, "M{step} {:.2}v-{:.2}h1v{:.2}z", HEIGHT - low, high - low, high - low);
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_each_other() {
        let [failed, success] = stacked([[1, 3], [0, 0], [0, 4]].into_iter(), 4.0);
        assert_eq!(failed, "M0.1 100.00v-25.00h0.8v25.00z");
        assert_eq!(success, "M0.1 75.00v-75.00h0.8v75.00zM2.1 100.00v-100.00h0.8v100.00z");
    }

    #[test]
    fn a_single_one_among_many_is_seen() {
        let [failed, _] = stacked([[1, 9_999]].into_iter(), 10_000.0);
        assert_eq!(failed, "M0.1 100.00v-1.50h0.8v1.50z");
    }

    #[test]
    fn lines_have_gaps_where_nothing_is_known() {
        let values = [Some(1.0), Some(3.0), None, Some(2.0)];
        assert_eq!(line(values.into_iter(), 4.0), "M0 75.00H1V25.00H2M3 50.00H4");
        assert_eq!(line([None].into_iter(), 4.0), "");
        assert_eq!(band([Some((1.0, 3.0)), None, Some((2.0, 2.0))].into_iter(), 4.0), "M0 75.00v-50.00h1v50.00z");
    }
}
