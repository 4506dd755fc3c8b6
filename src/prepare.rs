//! Pixels to network input: `[1, 3, H, W]` planes of `(u8 / 255 - mean) / std`.

use crate::image::PixelView;
use crate::models::manifest::{ChannelOrder, Input};

/// The value of every byte in every plane, so that normalising is a table look-up.
#[derive(Clone)]
pub struct Normaliser {
    tables: [[f32; 256]; 3],
    /// Which of red (0), green (1), blue (2) each plane takes.
    source: [usize; 3],
}

impl Normaliser {
    /// The tables of a model's input.
    pub fn new(input: &Input) -> Normaliser {
        let table = |plane: usize| {
            std::array::from_fn(|byte| {
                // RapidOCR computes this in f64 and rounds once.
                let value = f64::from(byte as f32 * (1.0 / 255.0)) - f64::from(input.mean[plane]);
                (value / f64::from(input.std[plane])) as f32
            })
        };
        Normaliser {
            tables: [table(0), table(1), table(2)],
            source: match input.channel_order {
                ChannelOrder::Rgb => [0, 1, 2],
                ChannelOrder::Bgr => [2, 1, 0],
            },
        }
    }

    /// Writes `rgb` (tight RGB8, `width` × `height`) into the top left of planes of `plane_w` × `plane_h`; what lies
    /// right of it and below it becomes 0, which is mid-grey *after* normalisation: padding comes last.
    /// Whatever does not fit into the planes is left out.
    pub fn fill(&self, rgb: &[u8], width: usize, planes: &mut [f32], plane_w: usize, plane_h: usize) {
        if plane_w == 0 || plane_h == 0 || width == 0 {
            return;
        }
        for (plane, values) in planes.chunks_exact_mut(plane_w * plane_h).take(3).enumerate() {
            let (table, channel) = (&self.tables[plane], self.source[plane]);
            let mut rows = rgb.chunks_exact(width * 3);
            for out in values.chunks_exact_mut(plane_w) {
                let written = rows.next().map_or(0, |row| {
                    for (value, pixel) in out.iter_mut().zip(row.chunks_exact(3)) {
                        *value = table[pixel[channel] as usize];
                    }
                    width.min(plane_w)
                });
                out[written..].fill(0.0);
            }
        }
    }

    /// As [`fill`](Self::fill) for a view with a stride: the picture's window `(x, y)` of `plane_w` × `plane_h`; pixels
    /// beyond the picture repeat its last column and row.
    pub fn fill_window(
        &self,
        view: PixelView<'_>,
        x: usize,
        y: usize,
        planes: &mut [f32],
        plane_w: usize,
        plane_h: usize,
    ) {
        if plane_w == 0 || plane_h == 0 || view.width() == 0 || view.height() == 0 {
            return;
        }
        let (last_x, last_y) = (view.width() - 1, view.height() - 1);
        for (plane, values) in planes.chunks_exact_mut(plane_w * plane_h).take(3).enumerate() {
            let (table, channel) = (&self.tables[plane], self.source[plane]);
            for (dy, out) in values.chunks_exact_mut(plane_w).enumerate() {
                let row = view.row((y + dy).min(last_y));
                let inside = row.get(x.min(last_x) * 3..).unwrap_or(&[]);
                let mut last = 0.0;
                let mut written = 0;
                for (value, pixel) in out.iter_mut().zip(inside.chunks_exact(3)) {
                    last = table[pixel[channel] as usize];
                    *value = last;
                    written += 1;
                }
                out[written..].fill(last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(order: ChannelOrder) -> Input {
        Input {
            channels: 3,
            channel_order: order,
            mean: [0.5, 0.5, 0.0],
            std: [0.5, 0.25, 1.0],
            height_px: None,
            width_px: None,
            multiple_of_px: None,
        }
    }

    #[test]
    fn padding_is_zero_after_normalisation_and_planes_follow_the_order() {
        let mut planes = [9.0; 3 * 2 * 3];
        Normaliser::new(&input(ChannelOrder::Bgr)).fill(&[255, 0, 51], 1, &mut planes, 3, 2);
        // plane 0 is blue: 51 / 255 = 0.2 -> -0.6; plane 2 is red, 255 -> 1
        let want = [[-0.6, 0., 0., 0., 0., 0.], [-2., 0., 0., 0., 0., 0.], [1., 0., 0., 0., 0., 0.]].concat();
        assert!(planes.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{planes:?}");
    }

    #[test]
    fn a_window_beyond_the_picture_repeats_its_edge() {
        let view = PixelView::new(&[0, 0, 0, 255, 255, 255], 2, 1, 6).unwrap();
        let mut planes = [9.0; 3 * 2 * 4];
        Normaliser::new(&input(ChannelOrder::Rgb)).fill_window(view, 0, 0, &mut planes, 4, 2);
        assert_eq!(planes[..8], [-1., 1., 1., 1., -1., 1., 1., 1.]);
    }
}
