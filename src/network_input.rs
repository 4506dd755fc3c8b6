//! Pixels to the input of a network: u8, `[H][W][3]`, colours in the network's order. Normalisation is the engine's.

use crate::image::{CHANNELS, PixelView};
use crate::models::manifest::ChannelOrder;

/// Writes the window of `width` × `height` pixels at (`x`, `y`) of an image; beyond the image its last column and
/// row are repeated. `out` holds exactly the window.
pub fn copy_window(
    view: PixelView<'_>,
    [x, y]: [usize; 2],
    [width, height]: [usize; 2],
    order: ChannelOrder,
    out: &mut [u8],
) {
    let last_y = view.height() - 1;
    for (dy, row) in out.chunks_exact_mut((width * CHANNELS).max(CHANNELS)).take(height).enumerate() {
        let from = view.row((y + dy).min(last_y)).get(x.min(view.width() - 1) * CHANNELS..).unwrap_or(&[]);
        let inside = from.len().min(row.len());
        row[..inside].copy_from_slice(&from[..inside]);
        in_order(&mut row[..inside], order);
        let (inside, beyond) = row.split_at_mut(inside);
        let edge = inside.last_chunk::<CHANNELS>().copied().unwrap_or_default();
        beyond.as_chunks_mut().0.fill(edge);
    }
}

/// Moves tight rows of `columns` pixels, which lie at the beginning of `pixels`, to where they belong in an image of
/// `width`, and puts their colours in order. What is right of them is left as it is.
pub fn expand_rows_in_place(pixels: &mut [u8], columns: usize, width: usize, height: usize, order: ChannelOrder) {
    let (row, stride) = (columns.min(width) * CHANNELS, width * CHANNELS);
    in_order(&mut pixels[..row * height], order);
    if row < stride {
        // From the last row up, so that none is overwritten before it is moved.
        for y in (1..height).rev() {
            pixels.copy_within(y * row..(y + 1) * row, y * stride);
        }
    }
}

/// RGB to the network's order, in place.
fn in_order(pixels: &mut [u8], order: ChannelOrder) {
    if order == ChannelOrder::Bgr {
        for [r, _, b] in pixels.as_chunks_mut::<CHANNELS>().0 {
            std::mem::swap(r, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_beyond_the_image_repeats_its_edge() {
        let view = PixelView::new(&[1, 2, 3, 4, 5, 6], 2, 1, 6).unwrap();
        let mut out = [9; 2 * 4 * 3];
        copy_window(view, [0, 0], [4, 2], ChannelOrder::Bgr, &mut out);
        assert_eq!(out[..12], [3, 2, 1, 6, 5, 4, 6, 5, 4, 6, 5, 4]);
        assert_eq!(out[12..], out[..12]);
        copy_window(view, [1, 0], [4, 2], ChannelOrder::Rgb, &mut out);
        assert_eq!(out[..6], [4, 5, 6, 4, 5, 6]);
        copy_window(view, [7, 7], [4, 2], ChannelOrder::Rgb, &mut out);
        assert_eq!(out[18..21], [4, 5, 6]);
    }

    #[test]
    fn rows_are_spread_and_put_in_order() {
        let mut pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0, 0, 0];
        expand_rows_in_place(&mut pixels, 2, 3, 2, ChannelOrder::Bgr);
        assert_eq!(pixels[..6], [3, 2, 1, 6, 5, 4]);
        assert_eq!(pixels[9..15], [9, 8, 7, 12, 11, 10]);
    }
}
