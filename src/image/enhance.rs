//! Optional repair of poor images before they are read: contrast, thresholds, straightening.
//!
//! None of this is on by default: the published models read ordinary photographs better as they are.

use ::image::{GrayImage, RgbImage};
use imageproc::contrast::{adaptive_threshold, stretch_contrast_mut};
use imageproc::geometric_transformations::{Border, Interpolation, Projection, warp_into};
use std::str::FromStr;

use super::decode::Limits;
use super::{CHANNELS, Image, ImageError, PixelView};

mod otsu;

/// Share of the darkest and of the brightest pixels that a contrast stretch may clip.
const CLIPPED: f64 = 0.01;
/// A pixel this much darker than the mean around it is ink, in grey levels.
const INK_DEPTH: i32 = 10;
/// Working memory of the local threshold for one band of rows, in bytes, beside one byte a pixel for the grey image.
const BAND_BYTES: usize = 8 << 20;
/// Longest side of the reduced image in which the slope is looked for, in pixels.
const REDUCED_SIDE: usize = 1000;
/// Greatest slope that is looked for, in degrees to either side.
const MAX_SLOPE_DEG: f32 = 15.0;
/// Step of the search, in degrees.
const SLOPE_STEP_DEG: f32 = 0.25;
/// Edge points used at most; more do not change the answer.
const MAX_POINTS: usize = 60_000;

/// One enhancement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Enhance {
    /// Stretch the grey levels so that 1 % of the pixels become black and 1 % white; the colours follow.
    Contrast,
    /// Black where a pixel is darker than the mean around it, else white.
    Threshold,
    /// Black on white by one threshold for the whole image, between its dark and its bright pixels (Otsu's method).
    /// The rarer of the two becomes black. For displays whose unlit segments show faintly; it needs even light.
    Otsu,
    /// Turn the image by up to 15° so that its lines become level.
    Deskew,
}

impl FromStr for Enhance {
    type Err = ImageError;

    fn from_str(name: &str) -> Result<Self, ImageError> {
        match name {
            "contrast" => Ok(Enhance::Contrast),
            "threshold" => Ok(Enhance::Threshold),
            "otsu" => Ok(Enhance::Otsu),
            "deskew" => Ok(Enhance::Deskew),
            _ => Err(ImageError::UnknownEnhancement { name: name.to_owned() }),
        }
    }
}

/// An enhanced image and the way back from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Enhanced {
    /// The image; after [`Enhance::Deskew`] large enough to hold all of the turned original.
    pub image: Image,
    /// Slope that was taken out, in degrees: positive where the lines ran down to the right. 0 without deskewing.
    pub slope_deg: f32,
    /// Affine map, by rows, from a point (x, y, 1) of `image` to the original, both in pixels.
    pub to_original: [[f32; 3]; 2],
}

/// Applies `steps` in their order.
///
/// Contrast works in place; a threshold takes one byte a pixel, the local one about 10 MB more; deskewing takes a
/// second image.
///
/// # Errors
/// [`ImageError::DeskewMemory`] if the image and its straightened copy exceed
/// [`max_decode_bytes`](Limits::max_decode_bytes), [`ImageError::OutOfMemory`] if memory cannot be had.
pub fn apply(image: Image, steps: &[Enhance], limits: &Limits) -> Result<Enhanced, ImageError> {
    let mut done = Enhanced { image, slope_deg: 0.0, to_original: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] };
    for step in steps {
        done = match step {
            Enhance::Contrast => Enhanced { image: contrast(done.image)?, ..done },
            Enhance::Threshold => Enhanced { image: threshold(done.image)?, ..done },
            Enhance::Otsu => Enhanced { image: otsu::threshold(done.image)?, ..done },
            Enhance::Deskew => deskew(done, limits)?,
        };
    }
    Ok(done)
}

/// Brightness of a pixel by the weights of ITU-R BT.601, 0..=255.
fn luma([r, g, b]: [u8; CHANNELS]) -> u8 {
    ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b) + 128) >> 8) as u8
}

/// Stretches all channels by the percentiles of the brightness.
fn contrast(image: Image) -> Result<Image, ImageError> {
    let mut histogram = [0u64; 256];
    for &pixel in image.as_raw().as_chunks().0 {
        histogram[usize::from(luma(pixel))] += 1;
    }
    let clipped = (histogram.iter().sum::<u64>() as f64 * CLIPPED) as u64;
    let level = |levels: &[usize]| {
        let mut passed = 0;
        let beyond = levels.iter().find(|&&level| {
            passed += histogram[level];
            passed > clipped
        });
        beyond.map(|&level| level as u8)
    };
    let mut levels: [usize; 256] = std::array::from_fn(|level| level);
    let dark = level(&levels);
    levels.reverse();
    match (dark, level(&levels)) {
        (Some(dark), Some(bright)) if dark < bright => {
            let mut image = into_image(image)?;
            stretch_contrast_mut(&mut image, dark, bright, 0, 255);
            from_image(image)
        }
        // One brightness all over: there is nothing to stretch.
        _ => Ok(image),
    }
}

/// Black on white by the mean of the surrounding square, band by band.
fn threshold(mut image: Image) -> Result<Image, ImageError> {
    let (width, height) = (image.width(), image.height());
    // Several letters wide on a page, and not less than a large letter's stroke.
    let radius = (width.min(height) / 32).clamp(15, 64);
    let grey = grey_plane(image.view())?;
    // A band and its surroundings as grey (1), sums (4) and result (1).
    let band = (BAND_BYTES / (width * 6)).saturating_sub(2 * radius).max(radius);
    for top in (0..height).step_by(band) {
        let bottom = (top + band).min(height);
        let (from, to) = (top.saturating_sub(radius), (bottom + radius).min(height));
        let rows = grey.get(from * width..to * width).unwrap_or_default().to_vec();
        let Some(part) = GrayImage::from_raw(width as u32, (to - from) as u32, rows) else { break };
        let decided = adaptive_threshold(&part, radius as u32, INK_DEPTH);
        for (y, row) in (from..to).zip(decided.as_raw().chunks_exact(width)) {
            if (top..bottom).contains(&y) {
                for (pixel, &value) in image.row_mut(y).as_chunks_mut().0.iter_mut().zip(row) {
                    *pixel = [value; CHANNELS];
                }
            }
        }
    }
    Ok(image)
}

/// Brightness of every pixel, rows top to bottom.
pub(super) fn grey_plane(view: PixelView<'_>) -> Result<Vec<u8>, ImageError> {
    let mut grey = super::reserve(view.width() * view.height())?;
    for y in 0..view.height() {
        grey.extend(view.row(y).as_chunks().0.iter().map(|&pixel| luma(pixel)));
    }
    Ok(grey)
}

/// Finds the slope of the lines and turns the image by it.
fn deskew(before: Enhanced, limits: &Limits) -> Result<Enhanced, ImageError> {
    let slope_deg = slope(before.image.view())?;
    if slope_deg == 0.0 {
        return Ok(before);
    }
    let (width, height) = (before.image.width(), before.image.height());
    let (sin, cos) = slope_deg.to_radians().sin_cos();
    let (w, h) = (width as f32, height as f32);
    let new_w = (w * cos + h * sin.abs()).ceil() as usize;
    let new_h = (h * cos + w * sin.abs()).ceil() as usize;
    let pixels = (width as u64 * height as u64).saturating_add(new_w as u64 * new_h as u64);
    let (needed, limit) = (pixels.saturating_mul(CHANNELS as u64), limits.max_decode_bytes);
    if needed > limit {
        return Err(ImageError::DeskewMemory { width, height, needed, limit });
    }

    // From the straight image back to the sloping one: about the centres, by the slope.
    let (cx, cy) = ((w - 1.0) / 2.0, (h - 1.0) / 2.0);
    let (nx, ny) = ((new_w as f32 - 1.0) / 2.0, (new_h as f32 - 1.0) / 2.0);
    let back = [[cos, -sin, cx - cos * nx + sin * ny], [sin, cos, cy - sin * nx - cos * ny]];
    let centre = Projection::translate(-cx, -cy);
    let there = centre.and_then(Projection::rotate(-slope_deg.to_radians())).and_then(Projection::translate(nx, ny));
    let mut straight = into_image(Image::new(new_w, new_h, [0; CHANNELS])?)?;
    let sloping = into_image(before.image)?;
    warp_into(&sloping, there, Interpolation::Bilinear, Border::Replicate, &mut straight);

    Ok(Enhanced {
        image: from_image(straight)?,
        slope_deg: before.slope_deg + slope_deg,
        to_original: chain(&before.to_original, &back),
    })
}

/// First `inner`, then `outer`.
fn chain(outer: &[[f32; 3]; 2], inner: &[[f32; 3]; 2]) -> [[f32; 3]; 2] {
    outer.map(|[a, b, c]| {
        let column = |i: usize| a * inner[0][i] + b * inner[1][i];
        [column(0), column(1), column(2) + c]
    })
}

/// The slope of the lines in degrees (positive: down to the right), 0 if none stands out.
///
/// For each angle the lower edges of the ink are projected along it; where the angle is that of the lines they fall
/// into few narrow bins, and the sum of squared differences of neighbouring bins is greatest.
fn slope(view: PixelView<'_>) -> Result<f32, ImageError> {
    let (grey, width) = reduced(view)?;
    let points = ink_edges(&grey, width);
    let mut bins = Vec::new();
    let mut score = |step: i32| sharpness(&points, step as f32 * SLOPE_STEP_DEG, &mut bins);
    // Every step is tried: the peak of a page with long lines is hardly wider than one.
    let steps = (MAX_SLOPE_DEG / SLOPE_STEP_DEG) as i32;
    let level = score(0);
    let tried = (-steps..=steps).map(|step| (step, score(step)));
    let (step, best) = tried.fold((0, level), |best, tried| if tried.1 > best.1 { tried } else { best });
    // Level stays level unless another angle is clearly better.
    Ok(if best > level / 20 * 21 { step as f32 * SLOPE_STEP_DEG } else { 0.0 })
}

/// A grey image with means of squares of pixels, its longest side at most [`REDUCED_SIDE`]; and its width.
fn reduced(view: PixelView<'_>) -> Result<(Vec<u8>, usize), ImageError> {
    let side = view.width().max(view.height()).div_ceil(REDUCED_SIDE);
    let (width, height) = ((view.width() / side).max(1), (view.height() / side).max(1));
    let mut grey = super::reserve(width * height)?;
    let mut sums = vec![(0u32, 0u32); width];
    for y in 0..height {
        sums.fill((0, 0));
        for row in y * side..(y + 1) * side {
            for (sum, square) in sums.iter_mut().zip(view.row(row).as_chunks().0.chunks(side)) {
                sum.0 += square.iter().map(|&pixel| u32::from(luma(pixel))).sum::<u32>();
                sum.1 += square.len() as u32;
            }
        }
        grey.extend(sums.iter().map(|&(sum, count)| (sum / count.max(1)) as u8));
    }
    Ok((grey, width))
}

/// Places where ink ends downwards, from the centre of the image. Ink is the rarer of dark and bright.
fn ink_edges(grey: &[u8], width: usize) -> Vec<(f32, f32)> {
    let height = grey.len() / width.max(1);
    let Some(image) = GrayImage::from_raw(width as u32, height as u32, grey.to_vec()) else { return Vec::new() };
    let ink = otsu::Ink::of(&image);
    let is_ink = |v: u8| ink.has(v);
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let mut points = Vec::new();
    for (y, (row, below)) in grey.chunks_exact(width).zip(grey.chunks_exact(width).skip(1)).enumerate() {
        for (x, (&here, &under)) in row.iter().zip(below).enumerate() {
            if is_ink(here) && !is_ink(under) {
                points.push((x as f32 - cx, y as f32 - cy));
            }
        }
    }
    let every = points.len().div_ceil(MAX_POINTS).max(1);
    points.into_iter().step_by(every).collect()
}

/// How sharply the points fall into lines of this slope.
fn sharpness(points: &[(f32, f32)], slope_deg: f32, bins: &mut Vec<i64>) -> i64 {
    /// More than the diagonal of the reduced image.
    const BINS: usize = 2 * REDUCED_SIDE;
    bins.clear();
    bins.resize(BINS, 0);
    let (sin, cos) = slope_deg.to_radians().sin_cos();
    for &(x, y) in points {
        let bin = (y * cos - x * sin + BINS as f32 / 2.0) as usize;
        if let Some(bin) = bins.get_mut(bin) {
            *bin += 1;
        }
    }
    bins.windows(2).map(|pair| (pair[1] - pair[0]).pow(2)).sum()
}

/// The same memory as the type that `imageproc` works on.
fn into_image(image: Image) -> Result<RgbImage, ImageError> {
    let (width, height) = (image.width(), image.height());
    let data = image.into_raw();
    let wrong = ImageError::Shape { width, height, stride: width * CHANNELS, bytes: data.len() };
    let (Ok(w), Ok(h)) = (u32::try_from(width), u32::try_from(height)) else { return Err(wrong) };
    RgbImage::from_raw(w, h, data).ok_or(wrong)
}

/// And back.
fn from_image(image: RgbImage) -> Result<Image, ImageError> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    Image::from_raw(image.into_raw(), width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    /// White paper with black lines of "words" that run at `slope_deg`.
    fn page(width: usize, height: usize, slope_deg: f32) -> Image {
        let mut image = Image::new(width, height, [230, 225, 220]).unwrap();
        let (sin, cos) = slope_deg.to_radians().sin_cos();
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (x as f32 - width as f32 / 2.0, y as f32 - height as f32 / 2.0);
                let (along, across) = (dx * cos + dy * sin, dy * cos - dx * sin);
                let in_page = along.abs() < width as f32 * 0.38 && across.abs() < height as f32 * 0.38;
                if in_page && across.rem_euclid(24.0) < 10.0 && along.rem_euclid(37.0) < 29.0 {
                    *image.pixel_mut(x, y).unwrap() = [30, 25, 20];
                }
            }
        }
        image
    }

    #[test]
    fn contrast_uses_the_whole_range() {
        let mut image = Image::new(100, 100, [120, 120, 120]).unwrap();
        image.row_mut(3).fill(100);
        image.row_mut(4).fill(100);
        image.row_mut(50).fill(140);
        image.row_mut(51).fill(140);
        let after = apply(image, &[Enhance::Contrast], &limits()).unwrap().image;
        assert_eq!(after.pixel(0, 3), Some([0; 3]));
        assert_eq!(after.pixel(0, 51), Some([255; 3]));
        assert_eq!(after.pixel(0, 70), Some([127; 3]));
        let flat = Image::new(5, 5, [9; 3]).unwrap();
        assert_eq!(apply(flat.clone(), &[Enhance::Contrast], &limits()).unwrap().image, flat);
    }

    #[test]
    fn threshold_sees_ink_under_uneven_light() {
        let mut image = Image::new(300, 1400, [0; 3]).unwrap();
        for y in 0..1400 {
            for x in 0..300 {
                let light = 60 + (x / 3 + y / 20) as u8;
                let ink = x % 20 < 3 && y % 30 < 20;
                *image.pixel_mut(x, y).unwrap() = [if ink { light - 40 } else { light }; 3];
            }
        }
        let after = apply(image, &[Enhance::Threshold], &limits()).unwrap().image;
        for y in 0..1400 {
            for x in 0..300 {
                let ink = x % 20 < 3 && y % 30 < 20;
                assert_eq!(after.pixel(x, y), Some([if ink { 0 } else { 255 }; 3]), "{x},{y}");
            }
        }
    }

    #[test]
    fn bands_change_nothing() {
        // Wide enough for several bands, against the whole at once.
        let (width, height) = (9000, 700);
        let data = (0..width * height * CHANNELS).map(|i| ((i * 7919) >> 5) as u8).collect();
        let image = Image::from_raw(data, width, height).unwrap();
        let grey = GrayImage::from_raw(width as u32, height as u32, grey_plane(image.view()).unwrap()).unwrap();
        let whole = adaptive_threshold(&grey, 21, INK_DEPTH);
        let after = apply(image, &[Enhance::Threshold], &limits()).unwrap().image;
        assert!(after.as_raw().iter().step_by(CHANNELS).eq(whole.as_raw()));
    }

    #[test]
    fn deskew_finds_the_slope_and_the_way_back() {
        for slope_deg in [-15.0, -7.75, -1.0, 0.0, 0.5, 3.25, 12.0] {
            let before = page(700, 500, slope_deg);
            let after = apply(before.clone(), &[Enhance::Deskew], &limits()).unwrap();
            assert!((after.slope_deg - slope_deg).abs() <= 0.25, "{slope_deg} taken for {}", after.slope_deg);
            // Dark pixels of the straight image are dark where the map says they come from.
            let [[a, b, c], [d, e, f]] = after.to_original;
            let (mut dark, mut agree) = (0, 0);
            for y in (0..after.image.height()).step_by(5) {
                for x in (0..after.image.width()).step_by(5) {
                    if after.image.pixel(x, y).unwrap()[0] < 60 {
                        let (x, y) = (x as f32, y as f32);
                        let (x, y) = ((a * x + b * y + c).round() as usize, (d * x + e * y + f).round() as usize);
                        dark += 1;
                        agree += usize::from(before.pixel(x, y).is_some_and(|p| p[0] < 60));
                    }
                }
            }
            assert!(dark > 500 && agree * 100 >= dark * 95, "{slope_deg}: {agree} of {dark}");
        }
    }

    #[test]
    fn deskew_keeps_to_its_memory() {
        let tight = Limits { max_decode_bytes: 700 * 500 * 3 + 1000, ..limits() };
        let error = apply(page(700, 500, 5.0), &[Enhance::Deskew], &tight).unwrap_err().to_string();
        assert!(error.contains("700x500") && error.contains("limits.max_decode_bytes"), "{error}");
    }

    #[test]
    fn the_smallest_images_survive() {
        for (width, height) in [(1, 1), (1, 50), (50, 1), (2, 2), (3000, 1), (1, 3000)] {
            let steps = ["deskew", "threshold", "contrast", "otsu", "deskew"].map(|name| name.parse().unwrap());
            for fill in [[0; 3], [255; 3], [1, 200, 9]] {
                apply(Image::new(width, height, fill).unwrap(), &steps, &limits()).unwrap();
            }
        }
        assert!("sharpen".parse::<Enhance>().unwrap_err().to_string().contains("contrast, threshold, otsu or deskew"));
    }
}
