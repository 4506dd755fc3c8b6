//! Raw frames → RGB8.
//!
//! Colours are converted by ITU-R BT.601, the matrix of JPEG and of USB cameras (BT.601-7, table 3; JFIF 1.02, page
//! 3), in fixed point, rounded to nearest, at most 1 from the exact value.

use edge_ocr::image::{CHANNELS, Image, reserve};
use serde::{Deserialize, Serialize};

/// How a raw frame lies in memory; rows from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `R G B` for each pixel.
    Rgb,
    /// Planar 4:2:0 (I420): all Y, then U, then V at half the width and half the height, both rounded up.
    Yuv420,
    /// `Y0 U Y1 V` for two pixels side by side (YUY2); the width is even.
    Yuyv,
    /// One byte for each pixel, 0 black to 255 white.
    Grey,
}

/// Which values of Y, U and V are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// 0 to 255 (JPEG, `rpicam-still`).
    Full,
    /// Y 16 to 235, U and V 16 to 240 (USB cameras, video programs).
    #[default]
    Limited,
}

impl Layout {
    /// Bytes of a row without padding (of the Y plane, where there are planes).
    pub fn row_bytes(self, width: usize) -> Option<usize> {
        match self {
            Layout::Rgb => width.checked_mul(3),
            Layout::Yuyv => width.checked_mul(2),
            Layout::Yuv420 | Layout::Grey => Some(width),
        }
    }

    /// Bytes of a frame without padding, or `None` if that overflows.
    pub fn frame_bytes(self, width: usize, height: usize) -> Option<usize> {
        let rows = self.row_bytes(width)?.checked_mul(height)?;
        match self {
            Layout::Yuv420 => width.div_ceil(2).checked_mul(height.div_ceil(2))?.checked_mul(2)?.checked_add(rows),
            _ => Some(rows),
        }
    }
}

/// The `width`×`height` pixels of a frame whose rows lie `stride` bytes apart (planes are never padded). Bytes after
/// the frame are ignored.
///
/// # Errors
/// One clause saying why not: a side of 0, an odd width where pixels come in pairs, too few bytes, no memory.
pub fn to_image(
    bytes: &[u8],
    layout: Layout,
    range: Range,
    width: usize,
    height: usize,
    stride: usize,
) -> Result<Image, String> {
    if width == 0 || height == 0 {
        return Err("it has no pixels".into());
    }
    if layout == Layout::Yuyv && width % 2 == 1 {
        return Err(format!("its width of {width} pixels is odd, which YUYV cannot be"));
    }
    let too_large = || format!("{width}x{height} pixels do not fit into memory");
    let row = layout.row_bytes(width).ok_or_else(too_large)?;
    let needed = match layout {
        Layout::Yuv420 if stride == row => layout.frame_bytes(width, height),
        Layout::Yuv420 => return Err("its planes are padded".into()),
        _ => stride.checked_mul(height - 1).and_then(|all| all.checked_add(row)),
    };
    let needed = needed.ok_or_else(too_large)?;
    if stride < row || bytes.len() < needed {
        let have = bytes.len();
        return Err(format!(
            "it has {have} bytes, and {width}x{height} pixels with rows of {stride} bytes need {needed}"
        ));
    }
    let size = width.checked_mul(height).and_then(|n| n.checked_mul(CHANNELS)).ok_or_else(too_large)?;
    let mut data = reserve(size).map_err(|e| e.to_string())?;
    let rows = bytes.chunks(stride).take(height);
    let colour = Colour::new(range);
    match layout {
        Layout::Rgb => rows.for_each(|r| data.extend_from_slice(&r[..row])),
        Layout::Grey => rows.for_each(|r| data.extend(r[..row].iter().flat_map(|&v| [v; 3]))),
        Layout::Yuyv => rows.for_each(|r| {
            for &[y0, u, y1, v] in r[..row].as_chunks().0 {
                data.extend(colour.rgb(y0, u, v));
                data.extend(colour.rgb(y1, u, v));
            }
        }),
        Layout::Yuv420 => {
            let half = width.div_ceil(2);
            let (luma, chroma) = bytes.split_at(width * height);
            let (us, vs) = chroma.split_at(half * height.div_ceil(2));
            for (y, line) in luma.chunks_exact(width).enumerate() {
                let (us, vs) = (&us[y / 2 * half..], &vs[y / 2 * half..]);
                for (x, &luma) in line.iter().enumerate() {
                    data.extend(colour.rgb(luma, us[x / 2], vs[x / 2]));
                }
            }
        }
    }
    Image::from_raw(data, width, height).map_err(|e| e.to_string())
}

/// BT.601 in 16 bits of fraction.
struct Colour {
    /// What black is.
    black: i32,
    luma: i32,
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

impl Colour {
    fn new(range: Range) -> Colour {
        // Kr = 0.299, Kb = 0.114: red 2(1-Kr), blue 2(1-Kb), green the rest.
        match range {
            Range::Full => {
                Colour { black: 0, luma: 65536, red_v: 91881, green_u: 22554, green_v: 46802, blue_u: 116130 }
            }
            // Y times 255/219, U and V times 255/224.
            Range::Limited => {
                Colour { black: 16, luma: 76309, red_v: 104597, green_u: 25675, green_v: 53279, blue_u: 132201 }
            }
        }
    }

    fn rgb(&self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let y = (i32::from(y) - self.black) * self.luma + 32768;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let narrow = |value: i32| (value >> 16).clamp(0, 255) as u8;
        [narrow(y + self.red_v * v), narrow(y - self.green_u * u - self.green_v * v), narrow(y + self.blue_u * u)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixels(bytes: &[u8], layout: Layout, range: Range, w: usize, h: usize) -> Vec<u8> {
        to_image(bytes, layout, range, w, h, layout.row_bytes(w).unwrap()).unwrap().into_raw()
    }

    #[test]
    fn known_colours() {
        // 75 % bars of BT.601 in limited range: white, yellow, cyan, green, magenta, red, blue, black.
        let bars = [
            ([180, 128, 128], [191, 191, 191]),
            ([162, 44, 142], [191, 191, 0]),
            ([131, 156, 44], [0, 191, 191]),
            ([112, 72, 58], [0, 191, 0]),
            ([84, 184, 198], [191, 0, 191]),
            ([65, 100, 212], [191, 0, 0]),
            ([35, 212, 114], [0, 0, 191]),
            ([16, 128, 128], [0, 0, 0]),
        ];
        for ([y, u, v], want) in bars {
            let got = pixels(&[y, u, y, v], Layout::Yuyv, Range::Limited, 2, 1);
            assert_eq!(got[..3], got[3..]);
            assert!(got.iter().zip(want).all(|(&a, b): (&u8, u8)| a.abs_diff(b) <= 2), "{got:?} is not {want:?}");
        }
        assert_eq!(pixels(&[76, 85, 76, 255], Layout::Yuyv, Range::Full, 2, 1)[..3], [254, 0, 0], "red of JFIF");
        assert_eq!(pixels(&[235, 128, 235, 128], Layout::Yuyv, Range::Limited, 2, 1), [255; 6]);
        assert_eq!(pixels(&[255, 128, 0, 128], Layout::Yuyv, Range::Full, 2, 1), [255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn planes_of_odd_sides() {
        // 3x3: nine Y, then 2x2 U and 2x2 V.
        let mut bytes = vec![128; 17];
        (9..13).for_each(|i| bytes[i] = 128);
        bytes[16] = 255; // V of the lower right corner
        let got = pixels(&bytes, Layout::Yuv420, Range::Full, 3, 3);
        assert!(got[..24].iter().all(|&v| v == 128), "{got:?}");
        assert_eq!(got[24..], [255, 37, 128]);
        assert_eq!(Layout::Yuv420.frame_bytes(3, 3), Some(17));
    }

    #[test]
    fn padding_between_rows_is_left_out() {
        let bytes = [1, 2, 9, 9, 3, 4, 7];
        let image = to_image(&bytes, Layout::Grey, Range::Full, 2, 2, 4).unwrap();
        assert_eq!(image.as_raw(), [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let of = |n: usize, layout, w, h, stride| {
            to_image(&vec![0; n], layout, Range::Full, w, h, stride).err().unwrap_or_default()
        };
        assert!(of(5, Layout::Grey, 2, 3, 2).contains("5 bytes"));
        assert!(of(6, Layout::Yuyv, 3, 1, 6).contains("odd"));
        assert!(of(6, Layout::Rgb, 0, 1, 6).contains("no pixels"));
        assert!(of(6, Layout::Rgb, 2, 1, 5).contains("need"));
        assert!(of(6, Layout::Rgb, usize::MAX, 2, usize::MAX).contains("memory"));
        assert!(of(60, Layout::Yuv420, 4, 4, 6).contains("padded"));
        assert_eq!(Layout::Rgb.frame_bytes(usize::MAX, 2), None);
    }

    fn exact(range: Range, y: u8, u: u8, v: u8) -> [f64; 3] {
        let (y, u, v) = (f64::from(y), f64::from(u) - 128.0, f64::from(v) - 128.0);
        let (y, u, v) = match range {
            Range::Full => (y, u, v),
            Range::Limited => ((y - 16.0) * 255.0 / 219.0, u * 255.0 / 224.0, v * 255.0 / 224.0),
        };
        let green = y - 2.0 * 0.114 * 0.886 / 0.587 * u - 2.0 * 0.299 * 0.701 / 0.587 * v;
        [y + 1.402 * v, green, y + 1.772 * u].map(|c| c.clamp(0.0, 255.0))
    }

    proptest! {
        #[test]
        fn near_the_formula(y: u8, u: u8, v: u8, full: bool) {
            let range = if full { Range::Full } else { Range::Limited };
            let got = pixels(&[y, u, y, v], Layout::Yuyv, range, 2, 1);
            for (got, want) in got.iter().zip(exact(range, y, u, v)) {
                prop_assert!((f64::from(*got) - want).abs() < 0.51, "{} is not {}", got, want);
            }
            let planes = pixels(&[y, y, u, v], Layout::Yuv420, range, 2, 1);
            prop_assert_eq!(got, planes, "both layouts give the same colours");
        }

        #[test]
        fn any_size_is_converted_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0usize..4,
            w in 0usize..12, h in 0usize..12, stride in 0usize..40,
        ) {
            let layout = [Layout::Rgb, Layout::Yuv420, Layout::Yuyv, Layout::Grey][which];
            if let Ok(image) = to_image(&bytes, layout, Range::Limited, w, h, stride) {
                prop_assert_eq!(image.as_raw().len(), w * h * 3);
                prop_assert!(layout.frame_bytes(w, h).unwrap() <= bytes.len());
            }
        }
    }
}
