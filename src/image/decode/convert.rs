//! Samples of every kind → RGB8, where they lie.

use super::ground;
use ::image::ColorType;

/// Sixteen-bit images whose greatest value has at most so many bits are stretched: cameras with samples of 10 or 12
/// bits write them as they are, and taken for sixteen bits they are nearly black. With 13 bits text is still read as
/// it is (measured on the golden receipt and word), and the image may well be a dark one that is meant so.
const MAX_STRETCHED_BITS: u32 = 12;

/// Turns the `width`×`height` pixels of type `color` at the start of `data` into RGB8 where they lie, and shortens
/// `data` to them. `data` is at least as long as both forms.
pub(super) fn to_rgb8(data: &mut Vec<u8>, color: ColorType, width: usize, height: usize) {
    let pixels = width * height;
    let white = white_level(data, color, pixels);
    let sample = |pair: [u8; 2]| narrow(u16::from_ne_bytes(pair), white);
    let alpha = |pair: [u8; 2]| narrow(u16::from_ne_bytes(pair), u16::MAX);
    match color {
        ColorType::L8 => convert(data, pixels, |[l]| [l; 3]),
        ColorType::La8 => composite(data, width, pixels, |[l, a]| ([l; 3], a)),
        ColorType::L16 => convert(data, pixels, |pair| [sample(pair); 3]),
        ColorType::La16 => composite(data, width, pixels, |[a, b, c, d]| ([sample([a, b]); 3], alpha([c, d]))),
        ColorType::Rgba8 => composite(data, width, pixels, |[r, g, b, a]| ([r, g, b], a)),
        ColorType::Rgb16 => convert(data, pixels, |[a, b, c, d, e, f]| [[a, b], [c, d], [e, f]].map(sample)),
        ColorType::Rgba16 => composite(data, width, pixels, |[a, b, c, d, e, f, g, h]| {
            ([[a, b], [c, d], [e, f]].map(sample), alpha([g, h]))
        }),
        ColorType::Rgb32F => convert(data, pixels, |p: [u8; 12]| float_channels(&p).map(unit_to_byte)),
        ColorType::Rgba32F => composite(data, width, pixels, |p: [u8; 16]| {
            let alpha = p.last_chunk().map_or(1.0, |a| f32::from_ne_bytes(*a));
            (float_channels(&p).map(unit_to_byte), unit_to_byte(alpha))
        }),
        // Rgb8 is there already; the enumeration is open, but no decoder gives anything else.
        _ => {}
    }
    data.truncate(pixels * 3);
    // Only where sixteen bits or alpha went before is there much to give back.
    data.shrink_to_fit();
}

/// The sixteen-bit value that becomes 255: 65535, or the greatest of the bits in use where these are few. An image
/// of one value has nothing to stretch.
fn white_level(data: &[u8], color: ColorType, pixels: usize) -> u16 {
    let (samples, colours) = match color {
        ColorType::L16 => (1, 1),
        ColorType::La16 => (2, 1),
        ColorType::Rgb16 => (3, 3),
        ColorType::Rgba16 => (4, 3),
        _ => return u16::MAX,
    };
    let (mut min, mut max) = (u16::MAX, 0);
    for pixel in data.as_chunks::<2>().0.chunks_exact(samples).take(pixels) {
        for pair in pixel.iter().take(colours) {
            let value = u16::from_ne_bytes(*pair);
            (min, max) = (min.min(value), max.max(value));
        }
    }
    // Fewer than eight bits are left alone: they are the noise of a dark frame.
    let bits = (u16::BITS - max.leading_zeros()).max(8);
    if min < max && bits <= MAX_STRETCHED_BITS { (1 << bits) - 1 } else { u16::MAX }
}

/// Sixteen bits to eight, `white` becoming 255, rounded to nearest.
fn narrow(value: u16, white: u16) -> u8 {
    let white = u32::from(white);
    ((u32::from(value) * 255 + white / 2) / white).min(255) as u8
}

/// Rewrites pixels of `N` bytes as pixels of three, from the end where they grow and from the start where they
/// shrink, so that nothing is overwritten before it is read.
fn convert<const N: usize>(data: &mut [u8], pixels: usize, pixel: impl Fn([u8; N]) -> [u8; 3]) {
    let mut one = |i: usize| {
        let Some(source) = data.get(i * N..).and_then(|d| d.first_chunk::<N>()) else { return };
        let rgb = pixel(*source);
        if let Some(target) = data.get_mut(i * 3..).and_then(|d| d.first_chunk_mut::<3>()) {
            *target = rgb;
        }
    };
    if N < 3 {
        (0..pixels).rev().for_each(&mut one);
    } else {
        (0..pixels).for_each(&mut one);
    }
}

/// As [`convert`], for pixels with alpha: they are laid over the ground from which they stand out.
fn composite<const N: usize>(data: &mut [u8], width: usize, pixels: usize, pixel: impl Fn([u8; N]) -> ([u8; 3], u8)) {
    let drawn = data.as_chunks::<N>().0;
    let ground = ground::choose(drawn.get(..pixels).unwrap_or(drawn), width, &pixel);
    convert(data, pixels, |source| {
        let (rgb, alpha) = pixel(source);
        rgb.map(|value| over(value, alpha, ground))
    });
}

/// A channel with alpha composited over a ground, rounded to nearest.
fn over(value: u8, alpha: u8, ground: u8) -> u8 {
    let sum = u16::from(value) * u16::from(alpha) + u16::from(ground) * (255 - u16::from(alpha));
    ((sum + 127) / 255) as u8
}

/// The first three floats of a pixel.
fn float_channels(pixel: &[u8]) -> [f32; 3] {
    let mut floats = pixel.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b));
    std::array::from_fn(|_| floats.next().unwrap_or_default())
}

/// 0.0..=1.0 to 0..=255, rounded to nearest; what lies outside is clamped.
fn unit_to_byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey16(values: &[u16]) -> Vec<u8> {
        let mut data: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
        data.resize(values.len() * 3, 0);
        to_rgb8(&mut data, ColorType::L16, values.len(), 1);
        data.chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn white_level_few_bits_stretched() {
        // Samples of 10 and 12 bits.
        assert_eq!(grey16(&[0, 512, 1023]), [0, 128, 255]);
        assert_eq!(grey16(&[0, 1023, 4095]), [0, 64, 255]);
        assert_eq!(grey16(&[100, 2047, 4000]), [6, 127, 249]);
        // Eight bits in a sixteen-bit file.
        assert_eq!(grey16(&[3, 7, 255]), [3, 7, 255]);
    }

    #[test]
    fn white_level_ordinary_image_unchanged() {
        assert_eq!(grey16(&[0, 257, 65535]), [0, 1, 255]);
        assert_eq!(grey16(&[0, 0x2000, 0x3FFF]), [0, 32, 64]);
        // One value all over, and the noise of a frame without light.
        assert_eq!(grey16(&[0x1234; 3]), [0x12; 3]);
        assert_eq!(grey16(&[0, 7, 15]), [0, 7, 15]);
    }

    #[test]
    fn white_level_alpha_is_no_sample() {
        let pixels: [u16; 4] = [0, 65535, 1023, 65535];
        let mut data: Vec<u8> = pixels.iter().flat_map(|v| v.to_ne_bytes()).collect();
        to_rgb8(&mut data, ColorType::La16, 2, 1);
        assert_eq!(data, [0, 0, 0, 255, 255, 255]);
    }
}
