//! 16 lanes as four q registers.

use crate::kernels::lanes::{Lanes, vector_functions};
use core::arch::aarch64::*;

/// NEON.
#[derive(Clone, Copy)]
pub struct Neon;

type F = [float32x4_t; 4];
type I = [int32x4_t; 4];

macro_rules! four {
    ($f:ident($a:expr)) => {
        [$f($a[0]), $f($a[1]), $f($a[2]), $f($a[3])]
    };
    ($f:ident($a:expr, $b:expr)) => {
        [$f($a[0], $b[0]), $f($a[1], $b[1]), $f($a[2], $b[2]), $f($a[3], $b[3])]
    };
}

impl Lanes for Neon {
    type F = F;
    type I = I;
    type B = uint8x16_t;
    const UNROLL: usize = 1;

    vector_functions! {
        fn splat(x: f32) -> F {
            [vdupq_n_f32(x); 4]
        }
        fn splat_i(x: i32) -> I {
            [vdupq_n_s32(x); 4]
        }
        fn load(p: *const f32) -> F {
            [vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))]
        }
        fn load_i(p: *const i32) -> I {
            [vld1q_s32(p), vld1q_s32(p.add(4)), vld1q_s32(p.add(8)), vld1q_s32(p.add(12))]
        }
        fn load_b(p: *const u8) -> uint8x16_t {
            vld1q_u8(p)
        }
        fn max_b(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
            vmaxq_u8(a, b)
        }
        fn widen(b: uint8x16_t) -> I {
            let (lo, hi) = (vmovl_u8(vget_low_u8(b)), vmovl_high_u8(b));
            [
                vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(lo))),
                vreinterpretq_s32_u32(vmovl_high_u16(lo)),
                vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(hi))),
                vreinterpretq_s32_u32(vmovl_high_u16(hi)),
            ]
        }
        fn narrow(v: I) -> uint8x16_t {
            let lo = vcombine_s16(vmovn_s32(v[0]), vmovn_s32(v[1]));
            let hi = vcombine_s16(vmovn_s32(v[2]), vmovn_s32(v[3]));
            vcombine_u8(vmovn_u16(vreinterpretq_u16_s16(lo)), vmovn_u16(vreinterpretq_u16_s16(hi)))
        }
        fn store_b(p: *mut u8, v: uint8x16_t) {
            vst1q_u8(p, v)
        }
        fn store(p: *mut f32, v: F) {
            vst1q_f32(p, v[0]);
            vst1q_f32(p.add(4), v[1]);
            vst1q_f32(p.add(8), v[2]);
            vst1q_f32(p.add(12), v[3]);
        }
        fn store_i(p: *mut i32, v: I) {
            vst1q_s32(p, v[0]);
            vst1q_s32(p.add(4), v[1]);
            vst1q_s32(p.add(8), v[2]);
            vst1q_s32(p.add(12), v[3]);
        }
        fn add(a: F, b: F) -> F {
            four!(vaddq_f32(a, b))
        }
        fn sub(a: F, b: F) -> F {
            four!(vsubq_f32(a, b))
        }
        fn mul(a: F, b: F) -> F {
            four!(vmulq_f32(a, b))
        }
        fn div(a: F, b: F) -> F {
            four!(vdivq_f32(a, b))
        }
        fn min(a: F, b: F) -> F {
            four!(vminq_f32(a, b))
        }
        fn max(a: F, b: F) -> F {
            four!(vmaxq_f32(a, b))
        }
        fn add_i(a: I, b: I) -> I {
            four!(vaddq_s32(a, b))
        }
        fn shl23(a: I) -> I {
            [vshlq_n_s32::<23>(a[0]), vshlq_n_s32::<23>(a[1]), vshlq_n_s32::<23>(a[2]), vshlq_n_s32::<23>(a[3])]
        }
        fn to_f(a: I) -> F {
            four!(vcvtq_f32_s32(a))
        }
        fn bits(a: F) -> I {
            four!(vreinterpretq_s32_f32(a))
        }
        fn from_bits(a: I) -> F {
            four!(vreinterpretq_f32_s32(a))
        }
        fn sqrt1(x: f32) -> f32 {
            vget_lane_f32::<0>(vsqrt_f32(vdup_n_f32(x)))
        }
    }
}

crate::kernels::instantiate_all!(Neon, "neon");
