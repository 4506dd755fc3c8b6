//! Activations. The engine computes GELU and the exponential by polynomials; here they are as exact as `f32` allows, so
//! the simulation may differ from the engine by their stated errors (1e-4 absolute for GELU, 1e-5 relative for e^x),
//! which is far below half a quantisation step.

use crate::graph::Activation;

/// act(x)
pub fn apply(act: Activation, x: f32) -> f32 {
    match act {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::Gelu => gelu(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0),
        Activation::Silu => x * sigmoid(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Abramowitz and Stegun 7.1.26 in odd form; absolute error below 2e-7.
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let poly = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_8) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - poly * (-a * a).exp()).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6);
        assert!((gelu(-0.5) + 0.154_268_8).abs() < 1e-6);
        assert_eq!(apply(Activation::HardSwish, 4.0), 4.0);
        assert_eq!(apply(Activation::HardSwish, -4.0), 0.0);
        assert!((apply(Activation::Silu, 1.0) - 0.731_058_6).abs() < 1e-6);
    }
}
