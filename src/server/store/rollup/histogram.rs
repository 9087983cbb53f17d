//! Times in logarithmic buckets, which add up exactly whatever the order, and give percentiles that are at most 1 % off.

use serde::{Deserialize, Serialize};
use taskscope_wire::Quantiles;

/// Each bucket's upper bound is so many times the one below: its middle is at most 1 % away from whatever lies in it.
const GROWTH: f64 = 1.02;

/// How many times lie in each bucket, lowest bucket first. Counts may be negative where it says what changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct Histogram(Vec<(u16, i64)>);

impl Histogram {
    /// Counts a time `by` times.
    pub(super) fn record(&mut self, ms: i64, by: i64) {
        let bucket = bucket(ms);
        match self.0.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(place) => {
                self.0[place].1 += by;
                if self.0[place].1 == 0 {
                    self.0.remove(place);
                }
            }
            Err(place) => self.0.insert(place, (bucket, by)),
        }
    }

    /// Adds the counts of another one.
    pub(in crate::server) fn add(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        let mut sum = Vec::with_capacity(self.0.len().max(other.0.len()) + 8);
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some((one, count)), Some((two, more))) if one == two => {
                    let both = (*one, count + more);
                    theirs.next();
                    ours.next();
                    both
                }
                (Some((one, _)), Some((two, more))) if two < one => {
                    let only = (*two, *more);
                    theirs.next();
                    only
                }
                (Some(only), _) => {
                    let only = **only;
                    ours.next();
                    only
                }
                (None, Some(only)) => {
                    let only = **only;
                    theirs.next();
                    only
                }
                (None, None) => break,
            };
            if next.1 != 0 {
                sum.push(next);
            }
        }
        self.0 = sum;
    }

    /// Whether nothing is counted.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The usual percentiles; none without a time.
    pub(in crate::server) fn quantiles(&self) -> Option<Quantiles> {
        let count: i64 = self.0.iter().map(|(_, count)| count).sum();
        (count > 0).then(|| Quantiles {
            count,
            p50_ms: self.quantile(0.50, count),
            p95_ms: self.quantile(0.95, count),
            p99_ms: self.quantile(0.99, count),
        })
    }

    /// The time of the nearest rank, as `percentile_disc` has it.
    pub(super) fn quantile(&self, share: f64, count: i64) -> f64 {
        let rank = (share * count as f64).ceil().max(1.0) as i64;
        let mut below = 0;
        let reached = self.0.iter().find(|(_, count)| {
            below += count;
            below >= rank
        });
        reached.or(self.0.last()).map_or(0.0, |(bucket, _)| middle(*bucket))
    }
}

/// The bucket of a time: 0 for nothing, then `(GROWTH^(n-2), GROWTH^(n-1)]` for bucket `n`.
fn bucket(ms: i64) -> u16 {
    if ms < 1 { 0 } else { 1 + ((ms as f64).ln() / GROWTH.ln()).ceil() as u16 }
}

/// The middle between the least and the greatest whole number of milliseconds in a bucket.
fn middle(bucket: u16) -> f64 {
    let Some(power) = bucket.checked_sub(1) else { return 0.0 };
    let bound = |power: f64| GROWTH.powf(power).floor();
    let (least, greatest) = (bound(f64::from(power) - 1.0) + 1.0, bound(f64::from(power)));
    (least + greatest.max(least)) / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[i64]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|ms| histogram.record(*ms, 1));
        histogram
    }

    #[test]
    fn short_times_are_exact() {
        for ms in 0..50 {
            assert!((middle(bucket(ms)) - ms as f64).abs() < f64::EPSILON, "{ms}");
        }
        assert_eq!(Histogram::default().quantiles(), None);
    }

    proptest! {
        #[test]
        fn a_bucket_is_at_most_one_per_cent_wide(ms in 1..1_000_000_000_i64) {
            prop_assert!((middle(bucket(ms)) - ms as f64).abs() <= ms as f64 * 0.01);
        }

        #[test]
        fn quantiles_are_the_nearest_rank(mut times in prop::collection::vec(0..10_000_000_i64, 1..200), share in 0.0..=1.0) {
            let found = of(&times).quantile(share, times.len() as i64);
            times.sort_unstable();
            let rank = ((share * times.len() as f64).ceil() as usize).max(1);
            let exact = times[rank - 1] as f64;
            prop_assert!((found - exact).abs() <= exact * 0.01, "{found} is not {exact}");
        }

        #[test]
        fn sums_do_not_depend_on_order(one in prop::collection::vec(0..5000_i64, 0..50), two in prop::collection::vec(0..5000_i64, 0..50)) {
            let mut sum = of(&one);
            sum.add(&of(&two));
            let all: Vec<i64> = two.iter().chain(&one).copied().collect();
            prop_assert_eq!(&sum, &of(&all));
            // What is taken away again leaves no trace.
            two.iter().for_each(|ms| sum.record(*ms, -1));
            prop_assert_eq!(sum, of(&one));
        }
    }
}
