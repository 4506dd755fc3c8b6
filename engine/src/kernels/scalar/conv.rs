//! acc[p][o] = sum over k of a[p][k] * w[o][k].

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;

/// Panel rows are the bytes themselves.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
pub unsafe fn gemm(g: &GemmArgs) {
    for p in 0..g.pixels {
        let mut acc = [0i32; LANES];
        for (segment, &a) in g.segments.iter().enumerate().take(g.count) {
            for k in 0..g.k4 * 4 {
                for (o, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: a segment holds 4 * k4 bytes, the weights 64 for each step.
                    unsafe {
                        let x = *a.add(p * g.stride + k);
                        let w = *g.weights.add(((segment * g.k4 + k / 4) * LANES + o) * 4 + k % 4);
                        *acc += i32::from(x) * i32::from(w);
                    }
                }
            }
        }
        // SAFETY: acc holds 16 numbers for each pixel.
        unsafe { g.acc.add(p * LANES).cast::<[i32; LANES]>().write_unaligned(acc) };
    }
}
