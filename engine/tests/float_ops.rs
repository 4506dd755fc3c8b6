//! Float operators and the CTC head: the scalar kernels against formulas, every other ISA against scalar.

mod common;

use common::*;
use edge_ocr_engine::ops::*;
use edge_ocr_engine::pack::{self, PackedConv, padded};

/// Padded, packed f32 layer.
fn layer(r: &mut Rng, k: usize, n: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let b = r.floats(k * n, 0.3);
    let mut packed = vec![9.0; pack::matrix_len(k, n).unwrap()];
    pack::matrix(&b, k, n, &mut packed).unwrap();
    (b, packed, r.floats(padded(n), 0.5))
}

#[test]
fn f32_matmul_and_squeeze_excite() {
    let mut r = Rng::new(7);
    for (t, k, n, slice) in [(1, 3, 5, (0, 0)), (7, 120, 360, (0, 0)), (10, 33, 40, (3, 5)), (4, 240, 120, (0, 8))] {
        for act in ACTS {
            let a = In::random_f32(&mut r, t, 1, k, slice, 1.0);
            let res = In::random_f32(&mut r, t, 1, n, slice, 1.0);
            let (b, packed, bias) = layer(&mut r, k, n);
            for residual in [false, true] {
                let what = format!("matmul {t} {k} {n} {act:?}");
                let got = same(&what, |kernels| {
                    let mut out = Out::new(-3.0, t, 1, n, slice);
                    let p = MatmulParams { b: &packed, bias: &bias, act, residual: residual.then(|| res.view()) };
                    for rows in [t / 3..t, 0..t / 3] {
                        matmul(kernels, &p, a.view(), out.view(), rows).unwrap();
                    }
                    bits(&out.values(&what))
                });
                for row in 0..t {
                    for col in 0..n {
                        let mut s = f64::from(bias[col]);
                        for i in 0..k {
                            s += f64::from(a.at(row, 0, i)) * f64::from(b[i * n + col]);
                        }
                        let mut want = exact(act, s);
                        if residual {
                            want += f64::from(res.at(row, 0, col));
                        }
                        let got = f64::from(f32::from_bits(got[row * n + col]));
                        assert!((got - want).abs() < 2e-4, "{what}: {got} for {want}");
                    }
                }
            }
        }
    }
    for (c, mid) in [(24, 6), (48, 12), (96, 24), (33, 9)] {
        let (_, w1, b1) = layer(&mut r, c, mid);
        let (_, w2, b2) = layer(&mut r, mid, c);
        let mean = r.floats(c, 1.0);
        let s = same("squeeze-excite", |k| {
            let act = Activation::HardSigmoid { alpha: 0.2, beta: 0.5 };
            let p = SqueezeExciteParams { c, mid, w1: &w1, b1: &b1, w2: &w2, b2: &b2, act };
            let (mut scratch, mut scale) = (vec![0.0; padded(mid)], vec![9.0; padded(c)]);
            squeeze_excite(k, &p, &mean, &mut scratch, &mut scale).unwrap();
            bits(&scale)
        });
        assert!(s.iter().all(|&s| (0.0..=1.0).contains(&f32::from_bits(s))));
        assert!(s[c..].iter().all(|&s| s == 0));
    }
}

#[test]
fn f32_norm_softmax_attention() {
    let mut r = Rng::new(8);
    for (t, c, slice) in [(3, 120, (0, 0)), (2, 16, (1, 1)), (4, 7, (0, 3)), (2, 2, (0, 0))] {
        let a = In::random_f32(&mut r, t, 1, c, slice, 4.0);
        let (gamma, beta) = (r.floats(padded(c), 1.0), r.floats(padded(c), 1.0));
        let got = same("layer norm", |k| {
            let mut out = Out::new(-3.0, t, 1, c, slice);
            let p = LayerNormParams { gamma: &gamma, beta: &beta, eps: 1e-6 };
            layer_norm(k, &p, a.view(), out.view(), 0..t).unwrap();
            bits(&out.values("layer norm"))
        });
        let soft = same("softmax", |k| {
            let mut out = Out::new(-3.0, t, 1, c, slice);
            softmax(k, a.view(), out.view(), 0..t).unwrap();
            bits(&out.values("softmax"))
        });
        for row in 0..t {
            let x: Vec<f64> = (0..c).map(|i| f64::from(a.at(row, 0, i))).collect();
            let mean = x.iter().sum::<f64>() / c as f64;
            let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / c as f64;
            let sum: f64 = x.iter().map(|x| x.exp()).sum();
            for i in 0..c {
                let want = (x[i] - mean) / (var + 1e-6).sqrt() * f64::from(gamma[i]) + f64::from(beta[i]);
                assert!((f64::from(f32::from_bits(got[row * c + i])) - want).abs() < 1e-4);
                assert!((f64::from(f32::from_bits(soft[row * c + i])) - x[i].exp() / sum).abs() < 1e-6);
            }
        }
    }
    for (t, heads, d, slice) in [(40, 8, 15, (0, 0)), (1, 1, 1, (0, 0)), (17, 2, 20, (2, 5)), (80, 3, 16, (0, 0))] {
        let c = heads * d;
        let qkv = In::random_f32(&mut r, 1, t, 3 * c, slice, 1.0);
        let p = AttentionParams { heads, d, scale: 1.0 / (d as f32).sqrt() };
        let got = same("attention", |k| {
            let mut out = Out::new(-3.0, 1, t, c, slice);
            let mut scratch = vec![f32::NAN; attention_scratch(&p, t)];
            for tokens in [t / 3..t, 0..t / 3] {
                attention(k, &p, qkv.view(), out.view(), tokens, &mut scratch).unwrap();
            }
            bits(&out.values("attention"))
        });
        let at = |part: usize, token: usize, i: usize| f64::from(qkv.at(0, token, part * c + i));
        for q in 0..t {
            for h in 0..heads {
                let dot = |k: usize| (0..d).map(|i| at(0, q, h * d + i) * at(1, k, h * d + i)).sum::<f64>();
                let e: Vec<f64> = (0..t).map(|k| (dot(k) * f64::from(p.scale)).exp()).collect();
                for i in 0..d {
                    let want = (0..t).map(|k| e[k] * at(2, k, h * d + i)).sum::<f64>() / e.iter().sum::<f64>();
                    assert!((f64::from(f32::from_bits(got[q * c + h * d + i])) - want).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn f32_map_and_depthwise() {
    let mut r = Rng::new(9);
    for (h, w, c, slice) in SHAPES {
        let a = In::random_f32(&mut r, h, w, c, slice, 6.0);
        let b = In::random_f32(&mut r, h, w, c, slice, 6.0);
        for act in ACTS {
            let got = same("map", |k| {
                let mut out = Out::new(-3.0, h, w, c, slice);
                map_f32(k, act, a.view(), out.view(), 0..h).unwrap();
                bits(&out.values("map"))
            });
            let sum = same("add f32", |k| {
                let mut out = Out::new(-3.0, h, w, c, slice);
                add_f32(k, act, a.view(), b.view(), out.view(), 0..h).unwrap();
                bits(&out.values("add"))
            });
            let mut i = 0;
            each(h, w, c, |y, x, c| {
                let (a, b) = (a.at(y, x, c), b.at(y, x, c));
                for (got, x) in [(got[i], a), (sum[i], a + b)] {
                    let want = exact(act, f64::from(x));
                    assert!((f64::from(f32::from_bits(got)) - want).abs() < 1e-4, "{act:?} of {x}");
                }
                i += 1;
            });
        }
        for (k, pad) in [((1, 7), (0, 3)), ((3, 3), (1, 1)), ((1, 3), (0, 1))] {
            let win = window(k, (1, 1), pad);
            let taps = k.0 * k.1;
            let weights = r.floats(c * taps, 1.0);
            let mut packed = vec![9.0; pack::depthwise_len(c, taps).unwrap()];
            pack::depthwise(&weights, c, taps, &mut packed).unwrap();
            let bias = r.floats(padded(c), 1.0);
            let got = same("depthwise f32", |kernels| {
                let mut out = Out::new(-3.0, h, w, c, slice);
                let p = DepthwiseF32Params { weights: &packed, bias: &bias, window: win, act: Activation::Silu };
                depthwise_f32(kernels, &p, a.view(), out.view(), 0..h).unwrap();
                bits(&out.values("depthwise f32"))
            });
            let mut i = 0;
            each(h, w, c, |y, x, c| {
                let mut s = f64::from(bias[c]);
                for ky in 0..k.0 {
                    for kx in 0..k.1 {
                        let (iy, ix) = ((y + ky).wrapping_sub(pad.0), (x + kx).wrapping_sub(pad.1));
                        if iy < h && ix < w {
                            s += f64::from(a.at(iy, ix, c)) * f64::from(weights[c * taps + ky * k.1 + kx]);
                        }
                    }
                }
                assert!((f64::from(f32::from_bits(got[i])) - exact(Activation::Silu, s)).abs() < 1e-4);
                i += 1;
            });
        }
    }
}

#[test]
fn ctc_head() {
    let mut r = Rng::new(10);
    for (t, k, n) in [(1, 4, 1), (5, 120, 97), (130, 120, 1000), (40, 33, 6625)] {
        let tokens = In::random_f32(&mut r, 1, t, k, (0, 1), 2.0);
        let weights = r.weights(n * k, false);
        let (mut packed, mut sums) = (vec![0; pack::conv_len(n, k).unwrap()], vec![0; padded(n)]);
        pack::conv(&weights, n, k, &mut packed, &mut sums).unwrap();
        let mul: Vec<f32> = r.floats(padded(n), 1.0).iter().map(|x| (1.5 + x) * 0.004).collect();
        let bias = r.floats(padded(n), 1.0);
        let p = CtcParams { weights: PackedConv { weights: &packed, sums: &sums }, mul: &mul, bias: &bias, classes: n };
        let all = same("probabilities", |kernels| {
            let mut out = vec![-3.0; t * n + 1];
            let mut scratch = vec![1; ctc_scratch(kernels, k)];
            ctc_probabilities(kernels, &p, tokens.view(), 0..t, &mut out, &mut scratch).unwrap();
            assert_eq!(out.pop(), Some(-3.0));
            bits(&out)
        });
        let row = |i: usize| all[i * n..(i + 1) * n].iter().map(|&b| f64::from(f32::from_bits(b)));
        // The quantised logits in f64.
        for i in 0..t.min(3) {
            let x: Vec<f32> = (0..k).map(|j| tokens.at(0, i, j)).collect();
            let scale = x.iter().fold(0f32, |m, x| m.max(x.abs())) / 127.0;
            let q: Vec<i32> = x.iter().map(|x| (x * (1.0 / scale)).round_ties_even() as i32).collect();
            let logits: Vec<f64> = (0..n)
                .map(|c| {
                    let acc: i32 = (0..k).map(|j| q[j] * i32::from(weights[c * k + j])).sum();
                    f64::from(acc) * f64::from(mul[c]) * f64::from(scale) + f64::from(bias[c])
                })
                .collect();
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            for (got, l) in row(i).zip(&logits) {
                assert!((got - l.exp() / sum).abs() < 1e-5, "{got} for {}", l.exp() / sum);
            }
        }
    }
}
