//! How often something took how long.

use super::count::{Count, nanos};
use std::time::Duration;

/// The upper bounds of the buckets in seconds: two for each power of ten.
pub const BOUNDS: [f64; 13] = [
    0.0001, 0.000_316, 0.001, 0.003_16, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0, 31.6, 100.0,
];

/// The same in nanoseconds.
const NANOS: [u64; BOUNDS.len()] = [
    100_000,
    316_000,
    1_000_000,
    3_160_000,
    10_000_000,
    31_600_000,
    100_000_000,
    316_000_000,
    1_000_000_000,
    3_160_000_000,
    10_000_000_000,
    31_600_000_000,
    100_000_000_000,
];

/// Times, counted by one thread.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last: beyond all bounds.
    buckets: [Count; BOUNDS.len() + 1],
    nanos: Count,
}

impl Histogram {
    /// Counts a time.
    #[inline]
    pub(super) fn observe(&self, time: Duration) {
        let time = nanos(time);
        let bucket = NANOS.partition_point(|bound| *bound < time);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.nanos.add(time);
    }

    /// Counts that it took no time, without a look at the clock.
    #[inline]
    pub(super) fn observe_none(&self) {
        self.buckets[0].add(1);
    }

    /// What has been counted.
    pub(super) fn observed(&self) -> Observed {
        Observed {
            buckets: std::array::from_fn(|n| self.buckets.get(n).map_or(0, Count::get)),
            nanos: self.nanos.get(),
        }
    }
}

/// What a [`Histogram`] has counted, or several together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// How many times were in each bucket, and in none below it.
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

impl Observed {
    /// How many times there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All times together, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos).as_secs_f64()
    }

    /// All times together, in microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.nanos / 1000
    }

    /// The same as whole seconds and nanoseconds.
    pub(super) fn parts(&self) -> (u64, u32) {
        let time = Duration::from_nanos(self.nanos);
        (time.as_secs(), time.subsec_nanos())
    }

    /// How many times were in each bucket, or in one below it.
    pub(super) fn up_to_each(&self) -> [u64; BOUNDS.len() + 1] {
        let mut counts = self.buckets;
        let mut sum = 0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        counts
    }

    /// The buckets: each one's upper bound in seconds, and how many times were in it
    /// and in none below.
    #[must_use]
    pub fn buckets(&self) -> [(f64, u64); BOUNDS.len() + 1] {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let mut buckets = [(f64::INFINITY, 0); BOUNDS.len() + 1];
        for ((bucket, bound), n) in buckets.iter_mut().zip(bounds).zip(self.buckets) {
            *bucket = (bound, n);
        }
        buckets
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, n) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += n;
        }
        self.nanos += other.nanos;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_in_the_first_bucket_that_it_is_not_above(micros in 0..1_000_000_000_u64) {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_micros(micros));
            let observed = histogram.observed();
            let seconds = Duration::from_micros(micros).as_secs_f64();
            let first = BOUNDS.iter().position(|bound| seconds <= *bound);
            let counted = observed.buckets().iter().position(|(_, n)| *n == 1);
            prop_assert_eq!(counted, Some(first.unwrap_or(BOUNDS.len())));
            prop_assert_eq!(observed.count(), 1);
            prop_assert_eq!(observed.micros(), micros);
        }
    }

    #[test]
    fn the_bounds_are_the_same_in_both_units() {
        for (seconds, nanos) in BOUNDS.into_iter().zip(NANOS) {
            assert_eq!(
                Duration::from_secs_f64(seconds),
                Duration::from_nanos(nanos)
            );
        }
    }
}
