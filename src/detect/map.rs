//! The probability map as detection sees it: borrowed, checked once.

/// Longest side of a probability map, in pixels. Keeps every product of coordinates inside 64 bits.
pub const MAX_MAP_SIDE: usize = 1 << 15;

/// Why a slice cannot be a probability map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The slice does not hold `width * height` values.
    #[error("probability map of {width}x{height} needs {} values, but {len} were given", width * height)]
    Length {
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
        /// Values given.
        len: usize,
    },
    /// A side is longer than [`MAX_MAP_SIDE`].
    #[error("probability map of {width}x{height} is too large: no side may exceed {MAX_MAP_SIDE} pixels")]
    TooLarge {
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
    },
}

/// A text probability map: row-major `[height][width]`, `f32`, each value the probability (0 to 1) that the pixel
/// belongs to text.
///
/// Values outside 0 to 1 are tolerated: a NaN counts as 0, others are compared as they are and clamped when they are averaged.
#[derive(Debug, Clone, Copy)]
pub struct MapView<'a> {
    data: &'a [f32],
    width: usize,
    height: usize,
}

impl<'a> MapView<'a> {
    /// Wraps `data` without copying. An empty map (a side of 0) is allowed and holds no boxes.
    ///
    /// # Errors
    /// [`MapError`] if a side exceeds [`MAX_MAP_SIDE`] or `data.len() != width * height`.
    pub fn new(data: &'a [f32], width: usize, height: usize) -> Result<Self, MapError> {
        if width > MAX_MAP_SIDE || height > MAX_MAP_SIDE {
            return Err(MapError::TooLarge { width, height });
        }
        if data.len() != width * height {
            return Err(MapError::Length { width, height, len: data.len() });
        }
        Ok(Self { data, width, height })
    }

    /// Width in map pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in map pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Row `y`, from left to right. Panics if `y >= height`.
    pub(crate) fn row(&self, y: usize) -> &'a [f32] {
        &self.data[y * self.width..(y + 1) * self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(MapView::new(&[0.0; 5], 2, 3).unwrap_err(), MapError::Length { width: 2, height: 3, len: 5 });
        let error = MapView::new(&[], MAX_MAP_SIDE + 1, 0).unwrap_err();
        assert_eq!(error.to_string(), "probability map of 32769x0 is too large: no side may exceed 32768 pixels");
        assert!(MapView::new(&[], 0, 7).is_ok());
    }
}
