//! The part of an image that is to be read, given in pixels or per cent.

use super::ImageError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A length along one side of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Pixels(u32),
    /// 0.0..=100.0
    PerCent(f64),
}

impl Length {
    /// Pixels along a side of `side` pixels, not yet rounded.
    fn of(self, side: usize) -> f64 {
        match self {
            Length::Pixels(pixels) => f64::from(pixels),
            Length::PerCent(part) => part * side as f64 / 100.0,
        }
    }
}

impl FromStr for Length {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(part) = text.strip_suffix('%') else {
            return text.parse().map(Length::Pixels).map_err(|_| "a number of pixels must be whole and not negative");
        };
        match part.trim_end().parse() {
            Ok(part) if (0.0..=100.0).contains(&part) => Ok(Length::PerCent(part)),
            _ => Err("a percentage must be a number from 0 to 100"),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Pixels(pixels) => write!(f, "{pixels}"),
            Length::PerCent(part) => write!(f, "{part}%"),
        }
    }
}

/// A part of an image: left edge, top edge, width and height, each in pixels or in per cent of the image's width or
/// height.
///
/// As text, and in configurations, it is `x,y,w,h` with numbers such as `10` (pixels), `10%` or `12.5%`. Spaces around
/// the numbers do not count.
///
/// ```
/// use edge_ocr::Region;
/// let right_half: Region = "50%, 0, 50%, 100%".parse()?;
/// assert_eq!(right_half.to_string(), "50%,0,50%,100%");
/// assert_eq!(right_half.resolve(640, 480)?.x, 320);
/// assert_eq!(Region::pixels(120, 80, 400, 90).to_string(), "120,80,400,90");
/// # Ok::<(), edge_ocr::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Region {
    x: Length,
    y: Length,
    w: Length,
    h: Length,
}

impl From<Region> for String {
    fn from(region: Region) -> String {
        region.to_string()
    }
}

impl TryFrom<String> for Region {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Region, ImageError> {
        text.parse()
    }
}

impl From<PixelRect> for Region {
    /// Sides beyond 2^32 - 1, which no image has, become that.
    fn from(rect: PixelRect) -> Region {
        let [x, y, w, h] = [rect.x, rect.y, rect.w, rect.h].map(|v| u32::try_from(v).unwrap_or(u32::MAX));
        Region::pixels(x, y, w, h)
    }
}

/// A rectangle of whole pixels: left edge, top edge, width, height; never empty where this crate makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width, at least 1.
    pub w: usize,
    /// Height, at least 1.
    pub h: usize,
}

impl PixelRect {
    /// The same part of the same image at another size: from `from` (width and height) to `to`. Inside if it was,
    /// and at least a pixel.
    pub fn scaled(&self, from: [usize; 2], to: [usize; 2]) -> PixelRect {
        let edge = |at: usize, from: usize, to: usize| {
            let (at, from, to) = (at as u64, from.max(1) as u64, to as u64);
            // Both below 2^31 for every image that fits into memory.
            usize::try_from((at.saturating_mul(to) + from / 2) / from).unwrap_or(usize::MAX)
        };
        let span = |start: usize, length: usize, from: usize, to: usize| {
            let first = edge(start, from, to).min(to.saturating_sub(1));
            (first, edge(start + length, from, to).saturating_sub(first).max(1))
        };
        let (x, w) = span(self.x, self.w, from[0], to[0]);
        let (y, h) = span(self.y, self.h, from[1], to[1]);
        PixelRect { x, y, w, h }
    }
}

impl Region {
    /// A rectangle of pixels: left edge, top edge, width and height.
    pub const fn pixels(x: u32, y: u32, w: u32, h: u32) -> Region {
        use Length::Pixels;
        Region { x: Pixels(x), y: Pixels(y), w: Pixels(w), h: Pixels(h) }
    }

    /// Whether it sticks out of every image, as parts of the same side can.
    pub fn is_outside_any(&self) -> bool {
        // Less may be rounded away.
        let beyond =
            |start, length| matches!((start, length), (Length::PerCent(a), Length::PerCent(b)) if a + b > 100.1);
        beyond(self.x, self.w) || beyond(self.y, self.h)
    }

    /// The region in an image of `width`×`height` pixels.
    ///
    /// Edges are rounded to the nearest pixel, halves up. Where place and size of one direction are both percentages,
    /// the far edge is rounded rather than the size, so that `0,0,50%,100%` and `50%,0,50%,100%` meet in every
    /// image.
    ///
    /// # Errors
    /// [`ImageError::RegionOutside`] if it is empty after rounding or sticks out of the image.
    pub fn resolve(&self, width: usize, height: usize) -> Result<PixelRect, ImageError> {
        let (x, w) = span(self.x, self.w, width);
        let (y, h) = span(self.y, self.h, height);
        let inside = |start: u64, length: u64, side: usize| {
            let end = usize::try_from(start.checked_add(length)?).ok()?;
            let (start, length) = (usize::try_from(start).ok()?, usize::try_from(length).ok()?);
            (length > 0 && end <= side).then_some((start, length))
        };
        match (inside(x, w, width), inside(y, h, height)) {
            (Some((x, w)), Some((y, h))) => Ok(PixelRect { x, y, w, h }),
            _ => Err(ImageError::RegionOutside { region: self.to_string(), x, y, w, h, width, height }),
        }
    }
}

/// Start and length in whole pixels along a side.
fn span(start: Length, length: Length, side: usize) -> (u64, u64) {
    let first = start.of(side).round() as u64;
    if let (Length::PerCent(start), Length::PerCent(length)) = (start, length) {
        let end = Length::PerCent(start + length).of(side).round() as u64;
        return (first, end.saturating_sub(first));
    }
    (first, length.of(side).round() as u64)
}

impl FromStr for Region {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let wrong = |reason| ImageError::RegionSyntax { text: text.to_owned(), reason };
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let [x, y, w, h] = parts[..] else { return Err(wrong("it does not have four parts")) };
        let length = |part: &str| part.parse().map_err(wrong);
        let region = Region { x: length(x)?, y: length(y)?, w: length(w)?, h: length(h)? };
        match [region.w, region.h].iter().any(|side| matches!(side, Length::Pixels(0)) || *side == Length::PerCent(0.0))
        {
            true => Err(wrong("it is empty")),
            false => Ok(region),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.x, self.y, self.w, self.h)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(text: &str, width: usize, height: usize) -> Result<PixelRect, ImageError> {
        text.parse::<Region>().and_then(|region| region.resolve(width, height))
    }

    #[test]
    fn pixels_and_percentages() {
        assert_eq!(resolve("10,20,30,40", 100, 100), Ok(PixelRect { x: 10, y: 20, w: 30, h: 40 }));
        assert_eq!(resolve(" 25% , 0 ,50%, 12.5% ", 200, 80), Ok(PixelRect { x: 50, y: 0, w: 100, h: 10 }));
        assert_eq!(resolve("10,0%,50%,100%", 100, 7), Ok(PixelRect { x: 10, y: 0, w: 50, h: 7 }));
    }

    #[test]
    fn halves_of_an_odd_width_meet() {
        let left = resolve("0%,0,50%,1", 5, 1).unwrap();
        let right = resolve("50%,0,50%,1", 5, 1).unwrap();
        assert_eq!((left.w, right.x, right.x + right.w), (3, 3, 5));
    }

    #[test]
    fn what_is_not_inside_names_the_image() {
        for text in ["0,0,101,1", "100,0,1,1", "0,0,1%,1", "0,60%,1,50%", "4294967295,0,4294967295,1"] {
            let error = resolve(text, 100, 10).map_err(|e| e.to_string());
            assert!(text == "0,0,1%,1" || error.is_err_and(|e| e.contains("100x10")), "{text}");
        }
        assert!(resolve("0,0,1%,1", 40, 10).is_err(), "0.4 pixels are none");
    }

    #[test]
    fn parts_beyond_the_whole_are_outside_any_image() {
        let outside = |text: &str| text.parse::<Region>().unwrap().is_outside_any();
        assert!(outside("60%,0,50%,1") && outside("0,0.2%,1,100%"));
        assert!(!outside("50%,33.3%,50%,66.7%") && !outside("5000,0,50%,100%"));
    }

    #[test]
    fn junk_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "four parts"),
            ("1,2,3", "four parts"),
            ("1,2,3,4,5", "four parts"),
            ("-1,2,3,4", "not negative"),
            ("1.5,2,3,4", "whole"),
            ("1,2,0,4", "empty"),
            ("1,2,3,0%", "empty"),
            ("101%,0,1,1", "0 to 100"),
            ("nan%,0,1,1", "0 to 100"),
            ("1,2,3,%", "0 to 100"),
        ] {
            let error = text.parse::<Region>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_region_of_a_reduced_image() {
        let scaled = |text: &str, to: [usize; 2]| resolve(text, 4000, 3001).unwrap().scaled([4000, 3001], to);
        assert_eq!(scaled("400,800,1200,160", [500, 376]), PixelRect { x: 50, y: 100, w: 150, h: 20 });
        assert_eq!(scaled("0,0,4000,3001", [2000, 1501]), PixelRect { x: 0, y: 0, w: 2000, h: 1501 });
        assert_eq!(scaled("3999,3000,1,1", [500, 376]), PixelRect { x: 499, y: 375, w: 1, h: 1 });
        assert_eq!(scaled("7,7,30,40", [4000, 3001]), PixelRect { x: 7, y: 7, w: 30, h: 40 });
    }

    #[test]
    fn region_is_a_text_in_configurations() {
        let text = r#"["10,20%,30,40%","1,2,3,4"]"#;
        let regions: Vec<Region> = serde_json::from_str(text).unwrap();
        assert_eq!(regions[1], Region::from(PixelRect { x: 1, y: 2, w: 3, h: 4 }));
        assert_eq!(serde_json::to_string(&regions).unwrap(), text);
        let error = serde_json::from_str::<Region>("\"1,2,3\"").unwrap_err().to_string();
        assert!(error.contains("region '1,2,3' cannot be read because it does not have four parts"), "{error}");
    }

    proptest! {
        #[test]
        fn a_scaled_region_is_inside(w in 1usize..9000, h in 1usize..9000, n in 1usize..9, x in 0usize..100, part in 1usize..100) {
            let at = |side: usize, part: usize| (side * part / 100).min(side - 1);
            let rect = PixelRect { x: at(w, x), y: at(h, x), w: 1, h: 1 };
            let rect = PixelRect { w: at(w - rect.x, part).max(1), h: at(h - rect.y, part).max(1), ..rect };
            let to = [w.div_ceil(n), h.div_ceil(n)];
            let small = rect.scaled([w, h], to);
            prop_assert!(small.w >= 1 && small.h >= 1 && small.x + small.w <= to[0] && small.y + small.h <= to[1]);
        }

        #[test]
        fn any_text_is_refused_or_resolved_inside(text in "[0-9%,. e-]{0,24}|\\PC{0,12}", w in 0usize..5000, h in 0usize..5000) {
            if let Ok(rect) = resolve(&text, w, h) {
                prop_assert!(rect.w >= 1 && rect.h >= 1 && rect.x + rect.w <= w && rect.y + rect.h <= h);
            }
        }

        #[test]
        fn what_is_shown_can_be_read(x: u32, y in 0.0f64..=100.0, w in 1u32.., h in 0.1f64..=100.0) {
            let region: Region = format!("{x},{y}%,{w},{h}%").parse().unwrap();
            prop_assert_eq!(region, region.to_string().parse().unwrap());
        }
    }
}
