//! Bytes to what a float network takes: planes of `(u8 / 255 - mean) / std`, padding 0.

use crate::models::manifest::Input;

/// The value of every byte in every plane, so that normalising is a table look-up.
#[derive(Clone)]
pub struct Normaliser([[f32; 256]; 3]);

impl Normaliser {
    /// The tables of a model's input; its planes are in the order of the pixels' colours.
    pub fn new(input: &Input) -> Normaliser {
        Normaliser(std::array::from_fn(|plane| {
            std::array::from_fn(|byte| {
                // RapidOCR computes this in f64 and rounds once.
                let value = f64::from(byte as f32 * (1.0 / 255.0)) - f64::from(input.mean[plane]);
                (value / f64::from(input.std[plane])) as f32
            })
        }))
    }

    /// One image `[H][W][3]` to planes `[3][H][W]`. What is right of `columns` becomes 0, which is mid-grey *after*
    /// normalisation: padding comes last.
    pub fn fill(&self, pixels: &[u8], width: usize, columns: usize, planes: &mut [f32]) {
        let columns = columns.min(width);
        for (plane, (values, table)) in planes.chunks_exact_mut((pixels.len() / 3).max(1)).zip(&self.0).enumerate() {
            let rows = pixels.chunks_exact((width * 3).max(1));
            for (out, row) in values.chunks_exact_mut(width.max(1)).zip(rows) {
                let (inside, padding) = out.split_at_mut(columns);
                for (value, pixel) in inside.iter_mut().zip(row.as_chunks::<3>().0) {
                    *value = table[usize::from(pixel[plane])];
                }
                padding.fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::manifest::ChannelOrder;

    #[test]
    fn padding_normalises_to_zero_per_plane_table() {
        let input = Input {
            channels: 3,
            channel_order: ChannelOrder::Bgr,
            mean: [0.5, 0.5, 0.0],
            std: [0.5, 0.25, 1.0],
            height_px: None,
            width_px: None,
            multiple_of_px: None,
        };
        let mut planes = [9.0; 3 * 2 * 3];
        let mut pixels = [77; 3 * 2 * 3];
        pixels[..3].copy_from_slice(&[51, 0, 255]);
        pixels[9..12].copy_from_slice(&[255, 255, 0]);
        Normaliser::new(&input).fill(&pixels, 3, 1, &mut planes);
        let want = [[-0.6, 0., 0., 1., 0., 0.], [-2., 0., 0., 2., 0., 0.], [1., 0., 0., 0., 0., 0.]].concat();
        assert!(planes.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{planes:?}");
    }
}
