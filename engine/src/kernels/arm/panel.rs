//! Panels of signed bytes.

use crate::kernels::args::PanelArgs;
use crate::kernels::generic::panel::{PanelFormat, panel as generic_panel};
use core::arch::aarch64::*;

struct SignedBytes;

impl PanelFormat for SignedBytes {
    const ELEM: usize = 1;
    #[inline(always)]
    unsafe fn copy(dst: *mut u8, src: *const u8, n: usize) {
        let mut i = 0;
        while i < n {
            // SAFETY: see the trait.
            unsafe { vst1q_u8(dst.add(i), veorq_u8(vld1q_u8(src.add(i)), vdupq_n_u8(0x80))) };
            i += 16;
        }
    }
    #[inline(always)]
    unsafe fn fill(dst: *mut u8, x: u8, n: usize) {
        // SAFETY: see the trait.
        unsafe { dst.write_bytes(x ^ 0x80, n) }
    }
}

/// Panel of i8.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PanelArgs`].
#[target_feature(enable = "neon")]
pub unsafe fn panel(a: &PanelArgs) {
    // SAFETY: passed on.
    unsafe { generic_panel::<SignedBytes>(a) }
}
