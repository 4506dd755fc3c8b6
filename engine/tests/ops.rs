//! Integer operators but convolutions: the scalar kernels against formulas, every other ISA against scalar, guards
//! around outputs.

mod common;

use common::*;
use edge_ocr_engine::ops::*;
use edge_ocr_engine::pack::{self, PackedConv, padded};

fn clamp(y: f32, zero: u8, lo: u8) -> u8 {
    (y.round_ties_even() as i64 + i64::from(zero)).clamp(i64::from(lo), 255) as u8
}

#[test]
fn u8_elementwise() {
    let mut r = Rng::new(5);
    for (h, w, c, slice) in SHAPES {
        let what = format!("{h}x{w}x{c} {slice:?}");
        let a = In::random(&mut r, h, w, c, slice, false);
        let b = In::random(&mut r, h, w, c, (slice.1, slice.1), c == 24);
        let change = Requant { zero_in: 13, mul: 0.61, zero_out: 40, lo: 40 };

        let got = same(&what, |k| {
            let mut out = Out::new(9, h, w, c, slice);
            let p = AddParams { a_zero: 3, a_mul: 0.5, b_zero: 200, b_mul: 1.7, zero_out: 90, lo: 20 };
            add(k, &p, a.view(), b.view(), out.view(), 0..h).unwrap();
            out.values("add")
        });
        let mut i = 0;
        each(h, w, c, |y, x, c| {
            let v = (f32::from(a.at(y, x, c)) - 3.0) * 0.5 + (f32::from(b.at(y, x, c)) - 200.0) * 1.7;
            assert_eq!(got[i], clamp(v, 90, 20), "add {what}");
            i += 1;
        });

        let got = same(&what, |k| {
            let mut out = Out::new(9, h, w, c, slice);
            let p = MulParams { a_zero: 30, b_zero: 100, mul: 0.013, zero_out: 128 };
            mul(k, &p, a.view(), b.view(), out.view(), 0..h).unwrap();
            out.values("mul")
        });
        let mut i = 0;
        each(h, w, c, |y, x, c| {
            let v = (f32::from(a.at(y, x, c)) - 30.0) * (f32::from(b.at(y, x, c)) - 100.0) * 0.013;
            assert_eq!(got[i], clamp(v, 128, 0), "mul {what}");
            i += 1;
        });

        let scale = r.floats(padded(c), 1.0);
        for plus in [0.0, 1.0] {
            let got = same(&what, |k| {
                let mut out = Out::new(9, h, w, c, slice);
                let p = ChannelScaleParams { scale: &scale, plus, requant: change };
                channel_scale(k, &p, a.view(), out.view(), 0..h).unwrap();
                out.values("channel scale")
            });
            let mut i = 0;
            each(h, w, c, |y, x, c| {
                let v = (f32::from(a.at(y, x, c)) - 13.0) * ((scale[c] + plus) * 0.61);
                assert_eq!(got[i], clamp(v, 40, 40), "channel scale {what}");
                i += 1;
            });
        }

        for change in [None, Some(change)] {
            for step in [1, 2, 4] {
                let got = same(&what, |k| {
                    let mut out = Out::new(9, h * step, w * step, c, slice);
                    upsample(k, change, a.view(), out.view(), 0..h * step).unwrap();
                    out.values("upsample")
                });
                let mut i = 0;
                each(h * step, w * step, c, |y, x, c| {
                    let q = a.at(y / step, x / step, c);
                    let want = change.map_or(q, |r| clamp((f32::from(q) - 13.0) * r.mul, 40, 40));
                    assert_eq!(got[i], want, "upsample {what}");
                    i += 1;
                });
                same(&what, |k| {
                    let big = In::random(&mut Rng::new(8), h * step, w * step, c, slice, false);
                    let mut out = Out::new(9, h * step, w * step, c, slice);
                    let p = AddParams { a_zero: 3, a_mul: 0.5, b_zero: 20, b_mul: 0.7, zero_out: 90, lo: 0 };
                    add(k, &p, big.view(), a.view(), out.view(), 0..h * step).unwrap();
                    out.values("add upsampled")
                });
            }
        }

        let table: [u8; 256] = std::array::from_fn(|i| (i * 7) as u8);
        let mut out = Out::new(9, h, w, c, slice);
        lut(&table, a.view(), out.view(), 0..h).unwrap();
        let got = out.values("lut");
        let mut i = 0;
        each(h, w, c, |y, x, c| {
            assert_eq!(got[i], table[usize::from(a.at(y, x, c))]);
            i += 1;
        });

        let f = same(&what, |k| {
            let mut out = Out::new(-5.0, h, w, c, slice);
            dequantise(k, 77, 0.031, a.view(), out.view(), 0..h).unwrap();
            bits(&out.values("dequantise"))
        });
        let mut i = 0;
        each(h, w, c, |y, x, c| {
            assert_eq!(f[i], ((f32::from(a.at(y, x, c)) - 77.0) * 0.031).to_bits());
            i += 1;
        });
        let real = In::random_f32(&mut r, h, w, c, slice, 3.0);
        let got = same(&what, |k| {
            let mut out = Out::new(9, h, w, c, slice);
            quantise(k, 100, 60.0, real.view(), out.view(), 0..h).unwrap();
            out.values("quantise")
        });
        let mut i = 0;
        each(h, w, c, |y, x, c| {
            assert_eq!(got[i], clamp(real.at(y, x, c) * 60.0, 100, 0));
            i += 1;
        });
    }
}

#[test]
fn pools() {
    let mut r = Rng::new(6);
    for (h, w, c, slice) in [(6, 8, 24, (0, 0)), (7, 5, 3, (2, 2)), (3, 80, 33, (0, 0)), (20, 20, 48, (16, 16))] {
        let a = In::random(&mut r, h, w, c, slice, false);
        for (k, s, pad) in
            [((2, 2), (1, 1), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((2, 2), (2, 2), (0, 0)), ((3, 2), (3, 2), (0, 0))]
        {
            let win = window(k, s, pad);
            // The last windows may hang over the end.
            let (oh, ow) = ((h + 2 * pad.0).div_ceil(s.0).min((h - 1) / s.0 + 1), (w - 1) / s.1 + 1);
            for change in [None, Some(Requant { zero_in: 9, mul: 0.7, zero_out: 30, lo: 0 })] {
                for average in [false, true] {
                    let Some(r) = change.or((!average).then_some(Requant { zero_in: 0, mul: 1.0, zero_out: 0, lo: 0 }))
                    else {
                        continue;
                    };
                    let what = format!("{h}x{w}x{c} {win:?} average {average} {change:?}");
                    let got = same(&what, |kernels| {
                        let mut out = Out::new(1, oh, ow, c, slice);
                        for rows in [oh / 2..oh, 0..oh / 2] {
                            if average {
                                avg_pool(kernels, &win, r, false, a.view(), out.view(), rows).unwrap();
                            } else {
                                max_pool(kernels, &win, change, a.view(), out.view(), rows).unwrap();
                            }
                        }
                        out.values("pool")
                    });
                    let mut i = 0;
                    each(oh, ow, c, |y, x, c| {
                        let mut inside = Vec::new();
                        for ky in 0..k.0 {
                            for kx in 0..k.1 {
                                let (iy, ix) = ((y * s.0 + ky).wrapping_sub(pad.0), (x * s.1 + kx).wrapping_sub(pad.1));
                                if iy < h && ix < w {
                                    inside.push(i32::from(a.at(iy, ix, c)));
                                }
                            }
                        }
                        let n = inside.len() as i32;
                        let want = if average {
                            let sum = inside.iter().sum::<i32>() - n * i32::from(r.zero_in);
                            clamp(sum as f32 * (r.mul / n as f32), r.zero_out, 0)
                        } else {
                            let m = *inside.iter().max().unwrap();
                            clamp((m as f32 - f32::from(r.zero_in)) * r.mul, r.zero_out, 0)
                        };
                        assert_eq!(got[i], want, "{what}");
                        i += 1;
                    });
                }
            }
        }
        let sums = same("sum", |k| {
            let mut sums = vec![7; c + 1];
            global_sum(k, a.view(), 1..h, &mut sums).unwrap();
            assert_eq!(sums.pop(), Some(7));
            sums
        });
        for (i, &s) in sums.iter().enumerate() {
            let want: u32 =
                (1..h).flat_map(|y| (0..w).map(move |x| (y, x))).map(|(y, x)| u32::from(a.at(y, x, i))).sum();
            assert_eq!(s, want);
        }
    }
}

#[test]
fn bad_arguments_are_errors() {
    use edge_ocr_engine::{Error, Shape, View, ViewMut};
    let k = scalar();
    let data = vec![0u8; 64];
    assert!(matches!(View::new(&data, Shape::dense(1, 1, 16, 1)), Err(Error::Length { .. })));
    assert!(matches!(View::new(&data, Shape::dense(0, 1, 16, 1)), Err(Error::Shape { .. })));
    assert!(matches!(View::new(&data, Shape { h: 1, w: 1, c: 9, pixel_stride: 8 }), Err(Error::Shape { .. })));
    assert!(View::new(&data, Shape::dense(1 << 20, 1 << 20, 1 << 20, 1)).is_err());
    assert!(matches!(View::new(&data, Shape::dense(1 << 30, 1, 1, 1)), Err(Error::Shape { .. })));
    let data = vec![0u8; 4 * 4 * 16 + 64];
    let input = View::new(&data, Shape::dense(4, 4, 16, 1)).unwrap();
    let mut out = vec![0u8; 4 * 4 * 16];
    let mut out = ViewMut::new(&mut out, Shape::dense(4, 4, 16, 1)).unwrap();
    let change = Requant { zero_in: 0, mul: 1.0, zero_out: 0, lo: 0 };
    assert!(matches!(requant(k, Some(change), input, out.reborrow(), 2..5), Err(Error::Rows { .. })));
    let p = ChannelScaleParams { scale: &[1.0; 15], plus: 0.0, requant: change };
    assert!(matches!(channel_scale(k, &p, input, out.reborrow(), 0..4), Err(Error::Length { .. })));
    let p = ConvParams {
        weights: PackedConv { weights: &[0; 16 * 16], sums: &[0; 16] },
        bias: &[0; 16],
        mul: &[0.0; 16],
        window: window((1, 1), (1, 1), (0, 0)),
        zero_in: 0,
        act: Activation::Linear,
        post: 1.0,
        residual: None,
    };
    let run = |p: &ConvParams<'_>, out: ViewMut<'_, u8>, scratch: &mut [u8]| {
        conv(k, p, input, Output::U8(out, 0), 0..4, scratch)
    };
    let mut scratch = vec![0; conv_scratch(k, &p.window, &input.shape(), &out.shape())];
    assert_eq!(run(&p, out.reborrow(), &mut scratch), Ok(()));
    assert!(matches!(run(&p, out.reborrow(), &mut [0; 10]), Err(Error::Length { .. })));
    let bad = ConvParams { window: window((3, 3), (1, 1), (3, 0)), ..p };
    assert!(matches!(run(&bad, out.reborrow(), &mut scratch), Err(Error::Shape { .. })));
    let bad = ConvParams { window: window((3, 3), (1, 1), (1, 1)), ..p };
    assert!(matches!(run(&bad, out.reborrow(), &mut scratch), Err(Error::Length { what: "weights", .. })));
    let bad = ConvParams { act: Activation::Gelu, residual: Some(Residual { view: input, zero: 0, mul: 1.0 }), ..p };
    assert!(matches!(run(&bad, out.reborrow(), &mut scratch), Err(Error::Unsupported { .. })));
    assert!(pack::conv(&[-128], 1, 1, &mut [0; 64], &mut [0; 16]).is_err());
    assert!(edge_ocr_engine::Isa::from_name("mmx").unwrap_err().to_string().contains("mmx"));
}
