use std::time::Duration;

/// Pauses between tries: random up to a ceiling that doubles, so that the workers of an outage don't come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(15);

    pub(crate) const fn new() -> Self {
        Self { ceiling: Self::SHORTEST }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(fastrand::f64());
        self.ceiling = (self.ceiling * 2).min(Self::LONGEST);
        pause
    }

    /// Begins with short pauses again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pauses: usize) -> Backoff {
        let mut backoff = Backoff::new();
        for _ in 0..pauses {
            backoff.pause();
        }
        backoff
    }

    #[test]
    fn pauses_are_below_a_ceiling_that_doubles_to_its_limit() {
        for (step, ceiling) in [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000].into_iter().enumerate() {
            let mut longest = Duration::ZERO;
            for _ in 0..200 {
                longest = longest.max(after(step).pause());
            }
            let ceiling = Duration::from_millis(ceiling);
            assert!(longest <= ceiling && longest > ceiling / 2, "step {step}: {longest:?}");
        }
    }

    #[test]
    fn a_reset_begins_anew() {
        let mut backoff = after(9);
        backoff.reset();
        assert!(backoff.pause() <= Backoff::SHORTEST);
    }
}
