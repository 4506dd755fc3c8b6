//! Sizes that are computed from the numbers of a plan.
//!
//! A plan is input: its channel counts and kernel sizes are multiplied before a length is compared with a buffer's.
//! On boards with a 32-bit `usize` such a product could wrap around to a small number and pass the comparison. Sizes
//! are therefore computed in 64 bits and refused above [`MAX_BYTES`], with the same limit on every host: what a
//! 64-bit machine accepts, a 32-bit board accepts, too.

/// Most bytes, or elements, of one tensor, one array of constants or one arena: 1 GiB.
pub const MAX_BYTES: usize = 1 << 30;

/// `a * b`; `None` above [`MAX_BYTES`].
pub(crate) const fn product(a: usize, b: usize) -> Option<usize> {
    // Both fit in 64 bits on every host, their product need not.
    match (a as u64).checked_mul(b as u64) {
        Some(n) if n <= MAX_BYTES as u64 => Some(n as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_above_the_limit_is_refused() {
        assert_eq!(product(1 << 15, 1 << 15), Some(1 << 30));
        assert_eq!(product(1 << 15, (1 << 15) + 1), None);
        // 2^32, 0 in 32 bits; 2^64, 0 in 64.
        assert_eq!(product(1 << 16, 1 << 16), None);
        assert_eq!(product(usize::MAX, usize::MAX), None);
        assert_eq!(product(0, usize::MAX), Some(0));
    }
}
