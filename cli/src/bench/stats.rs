//! Times of repetitions in a few numbers.

use serde::Serialize;

/// Milliseconds of all repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stats {
    pub mean: f64,
    /// Of the sample; 0 of a single repetition.
    pub stdev: f64,
    /// At most this for half of them.
    pub p50: f64,
    /// At most this for nine of ten.
    pub p90: f64,
    pub min: f64,
}

impl Stats {
    /// Zeros for no times at all.
    pub fn of(times: impl Iterator<Item = f64>) -> Stats {
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        let count = times.len().max(1) as f64;
        let mean = times.iter().sum::<f64>() / count;
        let squares: f64 = times.iter().map(|t| (t - mean).powi(2)).sum();
        // The nearest rank: a time that was measured, not one in between.
        let rank = |share: f64| times.get((share * count).ceil() as usize - 1).copied().unwrap_or(0.0);
        // More digits would pretend.
        let short = |ms: f64| (ms * 1e4).round() / 1e4;
        Stats {
            mean: short(mean),
            stdev: short((squares / (count - 1.0).max(1.0)).sqrt()),
            p50: short(rank(0.5)),
            p90: short(rank(0.9)),
            min: short(times.first().copied().unwrap_or(0.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_numbers() {
        let s = Stats::of((1..=10).rev().map(f64::from));
        assert_eq!((s.mean, s.p50, s.p90, s.min), (5.5, 5.0, 9.0, 1.0));
        assert_eq!(s.stdev, 3.0277);
        assert_eq!(Stats::of([2.0].into_iter()), Stats { mean: 2.0, stdev: 0.0, p50: 2.0, p90: 2.0, min: 2.0 });
        assert_eq!(Stats::of(std::iter::empty()).min, 0.0);
    }
}
