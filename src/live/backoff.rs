/// The first pause before another attempt, in milliseconds (NFR-005).
const FIRST: f64 = 3_000.0;
/// The longest pause.
const LONGEST: f64 = 30_000.0;

/// How long to wait before another attempt, in milliseconds: three seconds after a connection that worked, then longer and
/// longer, scattered by `random` (0 to 1) so that all the pages of a restarted server don't come at once.
#[must_use]
pub fn backoff(failures: u32, random: f64) -> u32 {
    if failures == 0 {
        return FIRST as u32;
    }
    let pause = (FIRST * 1.6_f64.powi(failures.min(16) as i32)).min(LONGEST);
    (pause * (0.75 + 0.25 * random)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_three_to_thirty_seconds() {
        assert_eq!(backoff(0, 0.9), 3_000);
        assert_eq!(backoff(1, 1.0), 4_800);
        assert_eq!((backoff(40, 1.0), backoff(40, 0.0)), (30_000, 22_500));
        assert!((1..40).all(|failures| backoff(failures, 0.5) <= backoff(failures + 1, 0.5)));
    }
}
