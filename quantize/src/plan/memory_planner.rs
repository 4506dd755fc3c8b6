//! Plans memory: offsets for buffers of known sizes and lifetimes. Buffers that live at the same time must not overlap.
//!
//! Finding the smallest arena is NP-hard; these networks are small and kind. Buffers are placed one after the other,
//! each into the smallest gap that holds it (or the lowest), in several orders and then in mixtures of the best one,
//! until the lower bound - the most bytes that live at the same step - is met or nothing is gained. Always the same
//! result for the same input.

use super::buffer_assignment::Buffer;

/// Offsets of buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLayout {
    /// Offset of each buffer, a multiple of 64.
    pub offsets: Vec<usize>,
    /// Bytes from 0 to the end of the last one; a multiple of 64.
    pub bytes: usize,
    /// No arrangement has fewer.
    pub lower_bound: usize,
}

impl MemoryLayout {
    /// Bytes over the lower bound.
    pub fn ratio(&self) -> f64 {
        self.bytes as f64 / self.lower_bound.max(1) as f64
    }
}

/// Random exchanges tried after the fixed orders.
const TRIES: usize = 3000;

fn lifetimes_overlap(a: &Buffer, b: &Buffer) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// Finds offsets.
pub fn plan_offsets(buffers: &[Buffer]) -> MemoryLayout {
    let steps = buffers.iter().map(|b| b.last).max().unwrap_or(0);
    let live =
        |step: usize| -> usize { buffers.iter().filter(|b| (b.first..=b.last).contains(&step)).map(|b| b.bytes).sum() };
    let lower_bound = (0..=steps).map(live).max().unwrap_or(0);
    type Key = fn(&Buffer) -> (usize, usize);
    let keys: [Key; 5] = [
        |b| (usize::MAX - b.bytes, b.first),
        |b| (usize::MAX - b.bytes.saturating_mul(b.last - b.first + 1), b.first),
        |b| (usize::MAX - (b.last - b.first), usize::MAX - b.bytes),
        |b| (b.first, usize::MAX - b.bytes),
        |b| (usize::MAX - b.last, usize::MAX - b.bytes),
    ];
    let mut best: Option<(Vec<usize>, MemoryLayout)> = None;
    let mut consider = |order: Vec<usize>| -> bool {
        for best_fit in [true, false] {
            let (offsets, bytes) = place(buffers, &order, best_fit);
            if best.as_ref().is_none_or(|(_, b)| bytes < b.bytes) {
                best = Some((order.clone(), MemoryLayout { offsets, bytes, lower_bound }));
            }
        }
        best.as_ref().is_some_and(|(_, b)| b.bytes <= lower_bound)
    };
    let mut start: Vec<Vec<usize>> = Vec::new();
    for key in keys {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|i| (key(&buffers[*i]), *i));
        start.push(order.clone());
        if consider(order) {
            return best.map(|b| b.1).unwrap_or_else(|| empty(lower_bound));
        }
    }
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below.max(1)
    };
    for round in 0..TRIES {
        let mut order = start[round % start.len()].clone();
        for _ in 0..1 + next(4) {
            let (a, b) = (next(order.len()), next(order.len()));
            if a < order.len() && b < order.len() {
                let moved = order.remove(a);
                order.insert(b, moved);
            }
        }
        if consider(order) {
            break;
        }
    }
    best.map(|b| b.1).unwrap_or_else(|| empty(lower_bound))
}

fn empty(lower_bound: usize) -> MemoryLayout {
    MemoryLayout { offsets: Vec::new(), bytes: 0, lower_bound }
}

/// Places buffers in an order.
fn place(buffers: &[Buffer], order: &[usize], best_fit: bool) -> (Vec<usize>, usize) {
    let mut offsets = vec![0usize; buffers.len()];
    // Placed buffers by offset.
    let mut done: Vec<usize> = Vec::with_capacity(buffers.len());
    let mut bytes = 0;
    for &i in order {
        let b = &buffers[i];
        let (mut end, mut found): (usize, Option<(usize, usize)>) = (0, None);
        for &j in &done {
            if !lifetimes_overlap(b, &buffers[j]) {
                continue;
            }
            let gap = offsets[j].saturating_sub(end);
            let better = found.is_none_or(|(_, g)| best_fit && gap < g);
            if gap >= b.bytes && better {
                found = Some((end, gap));
            }
            end = end.max(offsets[j] + buffers[j].bytes);
        }
        let offset = found.map_or(end, |f| f.0);
        offsets[i] = offset;
        bytes = bytes.max(offset + b.bytes);
        let at = done.partition_point(|j| offsets[*j] <= offset);
        done.insert(at, i);
    }
    (offsets, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(buffers: &[Buffer], a: &MemoryLayout) {
        for (i, x) in buffers.iter().enumerate() {
            assert!(a.offsets[i].is_multiple_of(64) && a.offsets[i] + x.bytes <= a.bytes);
            for (j, y) in buffers.iter().enumerate().skip(i + 1) {
                let apart = a.offsets[i] + x.bytes <= a.offsets[j] || a.offsets[j] + y.bytes <= a.offsets[i];
                assert!(apart || !lifetimes_overlap(x, y), "{x:?} and {y:?}");
            }
        }
        assert!(a.bytes >= a.lower_bound);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn buffers_that_live_together_never_overlap(
            parts in proptest::collection::vec((1usize..40, 0usize..30, 0usize..8), 1..40)
        ) {
            let buffers: Vec<Buffer> = parts
                .iter()
                .map(|(size, first, len)| Buffer {
                    name: String::new(), bytes: size * 64, first: *first, last: first + len,
                })
                .collect();
            let a = plan_offsets(&buffers);
            check(&buffers, &a);
            prop_assert_eq!(&a, &plan_offsets(&buffers));
        }
    }

    #[test]
    fn nothing_needs_nothing() {
        assert_eq!(plan_offsets(&[]).bytes, 0);
    }
}
