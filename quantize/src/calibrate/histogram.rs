//! How often each value of a tensor occurs, and the range that loses least.

use crate::graph::Quant;

/// Bins on each side of 0 in a histogram of a whole tensor.
const TENSOR_BINS: usize = 4096;
/// The same for one channel.
const CHANNEL_BINS: usize = 256;

/// Counts of values in equal bins over ±2^exponent, grown by joining pairs of bins; the order in which values come does
/// not matter.
#[derive(Clone, Debug)]
pub struct Histogram {
    exponent: i32,
    bins: Vec<u64>,
    min: f32,
    max: f32,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::with_bins(TENSOR_BINS)
    }
}

impl Histogram {
    /// One with few bins, for a single channel.
    pub fn of_channel() -> Histogram {
        Histogram::with_bins(CHANNEL_BINS)
    }

    fn with_bins(half: usize) -> Histogram {
        Histogram { exponent: -20, bins: vec![0; 2 * half], min: 0.0, max: 0.0 }
    }

    fn half(&self) -> usize {
        self.bins.len() / 2
    }

    /// Counts values. What is not finite is left out.
    pub fn add(&mut self, values: &[f32]) {
        let (min, max) =
            values.iter().filter(|v| v.is_finite()).fold((0.0f32, 0.0f32), |(l, h), v| (l.min(*v), h.max(*v)));
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        while (self.exponent as f32).exp2() <= max.max(-min) {
            self.widen();
        }
        let half = self.half();
        let scale = half as f32 / (self.exponent as f32).exp2();
        for v in values.iter().filter(|v| v.is_finite()) {
            let bin = (v * scale).floor() as i64 + half as i64;
            self.bins[bin.clamp(0, 2 * half as i64 - 1) as usize] += 1;
        }
    }

    /// Joins another one.
    pub fn merge(&mut self, mut other: Histogram) {
        while self.exponent < other.exponent {
            self.widen();
        }
        while other.exponent < self.exponent {
            other.widen();
        }
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a += b);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn widen(&mut self) {
        let mut bins = vec![0; self.bins.len()];
        for (i, count) in self.bins.iter().enumerate() {
            bins[self.half() / 2 + i / 2] += count;
        }
        self.bins = bins;
        self.exponent += 1;
    }

    /// Smallest and largest value seen, 0 included.
    pub fn bounds(&self) -> (f32, f32) {
        (self.min, self.max)
    }

    /// The values below and above which `share` of all lie; 0 included.
    pub fn percentiles(&self, share: f64) -> (f32, f32) {
        let total: u64 = self.bins.iter().sum();
        let limit = (total as f64 * share) as u64;
        let half = self.half();
        let width = (self.exponent as f32).exp2() / half as f32;
        let edge = |i: usize| (i as f32 - half as f32) * width;
        let first = |mut bins: Box<dyn Iterator<Item = (usize, &u64)> + '_>| {
            let mut sum = 0;
            bins.find(|(_, c)| {
                sum += **c;
                sum > limit
            })
            .map(|(i, _)| i)
        };
        let low = first(Box::new(self.bins.iter().enumerate())).map_or(0.0, edge);
        let high = first(Box::new(self.bins.iter().enumerate().rev())).map_or(0.0, |i| edge(i + 1));
        (low.max(self.min).min(0.0), high.min(self.max).max(0.0))
    }

    /// Mean squared error of a quantisation: rounding inside the range, clipping outside.
    pub fn error(&self, low: f32, high: f32) -> f64 {
        let half = self.half();
        let width = (f64::from(self.exponent)).exp2() / half as f64;
        let (low, high) = (f64::from(low), f64::from(high));
        let step = (high - low) / 255.0;
        let (mut sum, mut total) = (0.0, 0u64);
        for (i, count) in self.bins.iter().enumerate().filter(|(_, c)| **c > 0) {
            let v = (i as f64 + 0.5 - half as f64) * width;
            let clip = (low - v).max(v - high).max(0.0);
            // Exact zeros are exact.
            let round = if i == half && width < step { 0.5 } else { 1.0 } * step * step / 12.0;
            sum += *count as f64 * if clip > step / 2.0 { clip * clip } else { round };
            total += count;
        }
        sum / total.max(1) as f64
    }

    /// The range of least mean squared error, 0 included.
    pub fn best_range(&self) -> (f32, f32) {
        let (min, max) = self.bounds();
        let mut best = (self.error(min, max), min, max);
        // Coordinate by coordinate, twice: the two ends hardly influence each other.
        for _ in 0..2 {
            for shrink in (1..45).map(|i| 0.96f32.powi(i)) {
                for (low, high) in [(min * shrink, best.2), (best.1, max * shrink)] {
                    let error = self.error(low, high);
                    if error < best.0 {
                        best = (error, low, high);
                    }
                }
            }
        }
        (best.1, best.2)
    }
}

/// Scale and zero point for a range that holds 0. With a `shift` (see [`Post`](crate::graph::Post)) the scale is
/// changed by a few per cent so that it divides the shift.
pub fn quant(low: f32, high: f32, shift: f32) -> Quant {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let mut scale = ((high - low) / 255.0).max(1e-8);
    let steps = (shift / scale).abs().round();
    if steps >= 1.0 {
        // The next whole number below, so that the range does not shrink.
        let steps = (shift / scale).abs().floor().max(1.0);
        scale = shift.abs() / steps;
    }
    let zero = (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8;
    Quant { scale, zero }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_outliers_are_clipped() {
        let values: Vec<f32> = (0..10_000).map(|i| (i as f32 / 5000.0 - 1.0).powi(3)).collect();
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        a.add(&values);
        b.add(&values[5000..]);
        let mut c = Histogram::default();
        c.add(&values[..5000]);
        b.merge(c);
        assert_eq!(a.bins, b.bins);
        let full = a.best_range();
        assert!(full.0 < -0.8 && full.1 > 0.8, "{full:?}");
        (0..300).for_each(|_| a.add(&values));
        a.add(&[1.5]);
        assert!(a.best_range().1 < 1.2, "{:?}", a.best_range());
    }

    #[test]
    fn a_shift_is_a_whole_number_of_steps() {
        let q = quant(-0.6, 4.0, -0.546);
        let steps = 0.546 / q.scale;
        assert!((steps - steps.round()).abs() < 1e-3, "{steps}");
        assert_eq!(quant(0.0, 255.0, 0.0), Quant { scale: 1.0, zero: 0 });
    }
}
