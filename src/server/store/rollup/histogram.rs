//! Times in logarithmic buckets, which add up exactly whatever the order, and give percentiles that are at most 1 % off.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};
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
    pub(super) fn add(&mut self, other: &Self) {
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
}

/// A sum of many histograms: a count for each bucket up to the highest, so that adding one costs no search.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(Vec<i64>);

impl Tally {
    /// Adds the counts of a histogram.
    pub(super) fn add(&mut self, histogram: &Histogram) {
        histogram.0.iter().for_each(|(bucket, count)| self.count(*bucket, *count));
    }

    /// Adds the counts of a histogram as its column holds it.
    pub(super) fn add_encoded(&mut self, bytes: &[u8]) -> Result<(), postcard::Error> {
        postcard::Deserializer::from_bytes(bytes).deserialize_seq(Counts(self))
    }

    fn count(&mut self, bucket: u16, by: i64) {
        let place = usize::from(bucket);
        if place >= self.0.len() {
            self.0.resize(place + 1, 0);
        }
        self.0[place] += by;
    }

    /// The usual percentiles; none without a time.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let count: i64 = self.0.iter().sum();
        (count > 0).then(|| Quantiles {
            count,
            p50_ms: self.quantile(0.50, count),
            p95_ms: self.quantile(0.95, count),
            p99_ms: self.quantile(0.99, count),
        })
    }

    /// The time of the nearest rank, as `percentile_disc` has it.
    fn quantile(&self, share: f64, count: i64) -> f64 {
        let rank = (share * count as f64).ceil().max(1.0) as i64;
        let mut below = 0;
        let reached = self.0.iter().position(|count| {
            below += count;
            below >= rank
        });
        middle(reached.unwrap_or(self.0.len().saturating_sub(1)))
    }
}

/// Reads a histogram into a sum, bucket by bucket.
struct Counts<'a>(&'a mut Tally);

impl<'de> Visitor<'de> for Counts<'_> {
    type Value = ();

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("buckets and their counts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut buckets: A) -> Result<(), A::Error> {
        while let Some((bucket, count)) = buckets.next_element::<(u16, i64)>()? {
            self.0.count(bucket, count);
        }
        Ok(())
    }
}

/// The bucket of a time: 0 for nothing, then `(GROWTH^(n-2), GROWTH^(n-1)]` for bucket `n`.
fn bucket(ms: i64) -> u16 {
    if ms < 1 { 0 } else { 1 + ((ms as f64).ln() / GROWTH.ln()).ceil() as u16 }
}

/// The middle between the least and the greatest whole number of milliseconds in a bucket.
fn middle(bucket: usize) -> f64 {
    let Some(power) = bucket.checked_sub(1) else { return 0.0 };
    let bound = |power: f64| GROWTH.powf(power).floor();
    let (least, greatest) = (bound(power as f64 - 1.0) + 1.0, bound(power as f64));
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

    fn tally(histogram: &Histogram) -> Tally {
        let mut tally = Tally::default();
        tally.add(histogram);
        tally
    }

    #[test]
    fn short_times_are_exact() {
        for ms in 0..50 {
            assert!((middle(usize::from(bucket(ms))) - ms as f64).abs() < f64::EPSILON, "{ms}");
        }
        assert_eq!(Tally::default().quantiles(), None);
    }

    proptest! {
        #[test]
        fn a_bucket_is_at_most_one_per_cent_wide(ms in 1..1_000_000_000_i64) {
            prop_assert!((middle(usize::from(bucket(ms))) - ms as f64).abs() <= ms as f64 * 0.01);
        }

        #[test]
        fn quantiles_are_the_nearest_rank(mut times in prop::collection::vec(0..10_000_000_i64, 1..200), share in 0.0..=1.0) {
            let found = tally(&of(&times)).quantile(share, times.len() as i64);
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
            let (mut added, mut read) = (tally(&of(&one)), tally(&of(&one)));
            added.add(&of(&two));
            read.add_encoded(&postcard::to_allocvec(&of(&two)).unwrap()).unwrap();
            prop_assert_eq!(&added.0, &tally(&sum).0);
            prop_assert_eq!(&read.0, &added.0);
            // What is taken away again leaves no trace.
            two.iter().for_each(|ms| sum.record(*ms, -1));
            prop_assert_eq!(sum, of(&one));
        }
    }
}
