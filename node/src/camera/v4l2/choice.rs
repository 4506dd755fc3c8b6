//! Which format and size a camera is asked for.
#![cfg_attr(not(all(feature = "v4l2", target_os = "linux")), allow(dead_code))]

use super::super::pixels::Layout;
use super::V4l2Format;

/// What a camera offers in one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The format's four characters.
    pub fourcc: [u8; 4],
    /// Its sizes; empty if the driver does not tell.
    pub sizes: Sizes,
}

/// Sizes in pixels, width and height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// These; none if the driver does not tell.
    Some(Vec<(u32, u32)>),
    /// From the first to the second in steps of the third.
    Range((u32, u32), (u32, u32), (u32, u32)),
}

/// What the camera is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub fourcc: [u8; 4],
    pub width: u32,
    pub height: u32,
}

/// Formats that can be read, best first.
const KNOWN: [(V4l2Format, [u8; 4]); 4] = [
    (V4l2Format::Yuyv, *b"YUYV"),
    (V4l2Format::Mjpeg, *b"MJPG"),
    (V4l2Format::Mjpeg, *b"JPEG"),
    (V4l2Format::Grey, *b"GREY"),
];

/// The layout of raw frames of a format; `None` for JPEGs.
///
/// # Errors
/// One clause if frames of it cannot be read.
pub fn layout(fourcc: [u8; 4]) -> Result<Option<Layout>, String> {
    match &fourcc {
        b"YUYV" => Ok(Some(Layout::Yuyv)),
        b"GREY" => Ok(Some(Layout::Grey)),
        b"MJPG" | b"JPEG" => Ok(None),
        _ => Err(format!("it sends {}, which is not read here", fourcc_name(fourcc))),
    }
}

/// The four characters for a message.
fn fourcc_name(fourcc: [u8; 4]) -> String {
    fourcc.iter().map(|&b| if b.is_ascii_graphic() { char::from(b) } else { '?' }).collect()
}

/// The format and size that suit best: of the formats that are allowed the one whose size is nearest to the wanted
/// one from above, and of these the one without compression.
///
/// # Errors
/// One clause that says what the camera has instead.
pub fn choose(offers: &[Offer], format: V4l2Format, width: u32, height: u32) -> Result<Choice, String> {
    let allowed = KNOWN.iter().filter(|(name, _)| format == V4l2Format::Auto || format == *name);
    let choices = allowed.filter_map(|(_, fourcc)| {
        let offer = offers.iter().find(|offer| offer.fourcc == *fourcc)?;
        let (width, height) = nearest(&offer.sizes, width, height);
        Some(Choice { fourcc: *fourcc, width, height })
    });
    // The first of equals: the order is the order of preference.
    choices.min_by_key(|choice| distance((choice.width, choice.height), width, height)).ok_or_else(|| {
        let have: Vec<String> = offers.iter().map(|offer| fourcc_name(offer.fourcc)).collect();
        match have.is_empty() {
            true => "it offers no image formats".into(),
            false => format!("it offers only {}", have.join(", ")),
        }
    })
}

/// How far a size is from the wanted one: smaller ones are farther than all larger ones.
fn distance((w, h): (u32, u32), width: u32, height: u32) -> (bool, u64) {
    let (pixels, wanted) = (u64::from(w) * u64::from(h), u64::from(width) * u64::from(height));
    let small = w < width || h < height;
    (small, if small { u64::MAX - pixels } else { pixels.saturating_sub(wanted) })
}

fn nearest(sizes: &Sizes, width: u32, height: u32) -> (u32, u32) {
    match sizes {
        Sizes::Some(sizes) => {
            sizes.iter().copied().min_by_key(|size| distance(*size, width, height)).unwrap_or((width, height))
        }
        Sizes::Range(min, max, step) => {
            let one = |wanted: u32, min: u32, max: u32, step: u32| {
                let steps = wanted.saturating_sub(min).div_ceil(step.max(1));
                let up = min.saturating_add(steps.saturating_mul(step.max(1)));
                // Above the largest: the largest that the steps reach.
                if up <= max { up } else { min.saturating_add(max.saturating_sub(min) / step.max(1) * step.max(1)) }
            };
            (one(width, min.0, max.0, step.0), one(height, min.1, max.1, step.1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(fourcc: &[u8; 4], sizes: &[(u32, u32)]) -> Offer {
        Offer { fourcc: *fourcc, sizes: Sizes::Some(sizes.to_vec()) }
    }

    /// As a common webcam: large images only as JPEG.
    fn webcam() -> Vec<Offer> {
        vec![
            offer(b"MJPG", &[(1920, 1080), (1280, 720), (640, 480)]),
            offer(b"YUYV", &[(640, 480), (320, 240)]),
            offer(b"H264", &[(1920, 1080)]),
        ]
    }

    fn of(format: V4l2Format, width: u32, height: u32) -> ([u8; 4], u32, u32) {
        let choice = choose(&webcam(), format, width, height).unwrap();
        (choice.fourcc, choice.width, choice.height)
    }

    #[test]
    fn the_wanted_size_comes_before_the_better_format() {
        assert_eq!(of(V4l2Format::Auto, 640, 480), (*b"YUYV", 640, 480));
        assert_eq!(of(V4l2Format::Auto, 1280, 720), (*b"MJPG", 1280, 720));
        assert_eq!(of(V4l2Format::Auto, 1000, 700), (*b"MJPG", 1280, 720), "the next larger one");
        assert_eq!(of(V4l2Format::Auto, 4000, 3000), (*b"MJPG", 1920, 1080), "the largest");
        assert_eq!(of(V4l2Format::Yuyv, 1280, 720), (*b"YUYV", 640, 480), "what is asked for holds");
        let said = choose(&webcam(), V4l2Format::Grey, 1, 1).unwrap_err();
        assert_eq!(said, "it offers only MJPG, YUYV, H264");
        assert!(choose(&[], V4l2Format::Auto, 1, 1).unwrap_err().contains("no image formats"));
    }

    #[test]
    fn sizes_in_steps_or_untold() {
        let range = |w, h| nearest(&Sizes::Range((32, 16), (1000, 700), (16, 2)), w, h);
        assert_eq!(range(640, 480), (640, 480));
        assert_eq!(range(641, 479), (656, 480));
        assert_eq!(range(5000, 1), (992, 16));
        assert_eq!(nearest(&Sizes::Range((8, 8), (8, 8), (0, 0)), 5, 9), (8, 8));
        assert_eq!(nearest(&Sizes::Some(vec![]), 5, 9), (5, 9));
    }

    #[test]
    fn formats_that_are_read() {
        assert_eq!(layout(*b"YUYV"), Ok(Some(Layout::Yuyv)));
        assert_eq!(layout(*b"MJPG"), Ok(None));
        assert!(layout([0, b'H', b'2', 7]).unwrap_err().contains("?H2?"));
    }

    proptest! {
        #[test]
        fn steps_stay_inside(min in 1u32..3000, more in 0u32..3000, step in 0u32..3000, wanted: u32) {
            let max = min + more;
            let (w, _) = nearest(&Sizes::Range((min, 1), (max, 1), (step, 1)), wanted, 1);
            prop_assert!((min..=max).contains(&w) && (w - min) % step.max(1) == 0);
        }
    }
}
