//! Where a prepared image lies on the page: an affine map from its pixels to the page's.

use crate::image::turn::Turn;

/// `x' = m[0]·(x, y, 1)`, `y' = m[1]·(x, y, 1)`; coordinates of pixel edges, so that an image reaches from 0 to its width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineTransform(pub [[f32; 3]; 2]);

impl AffineTransform {
    /// Moved by whole pixels.
    pub fn shift(x: f32, y: f32) -> AffineTransform {
        AffineTransform([[1.0, 0.0, x], [0.0, 1.0, y]])
    }

    /// Enlarged.
    pub fn scaled(x: f32, y: f32) -> AffineTransform {
        AffineTransform([[x, 0.0, 0.0], [0.0, y, 0.0]])
    }

    /// From an image that was turned back to one of `width` × `height`.
    pub fn turned(turn: Turn, width: f32, height: f32) -> AffineTransform {
        AffineTransform(match turn {
            Turn::Right => [[0.0, 1.0, 0.0], [-1.0, 0.0, height]],
            Turn::Half => [[-1.0, 0.0, width], [0.0, -1.0, height]],
            Turn::Left => [[0.0, -1.0, width], [1.0, 0.0, 0.0]],
        })
    }

    /// Puts `first` before this map: a point goes through `first`, then through what this was.
    pub fn prepend(&mut self, first: AffineTransform) {
        let (a, b) = (self.0, first.0);
        self.0 = std::array::from_fn(|r| {
            std::array::from_fn(|c| a[r][0] * b[0][c] + a[r][1] * b[1][c] + if c == 2 { a[r][2] } else { 0.0 })
        });
    }

    /// A point on the page, not beyond its edges.
    pub fn clamped(&self, [x, y]: [f32; 2], width: usize, height: usize) -> [f32; 2] {
        let at = |row: [f32; 3], limit: usize| (row[0] * x + row[1] * y + row[2]).clamp(0.0, limit as f32);
        [at(self.0[0], width), at(self.0[1], height)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_lead_back() {
        // The top left corner of a 30x20 image, seen in its turned copies.
        for (turn, corner) in [(Turn::Right, [20.0, 0.0]), (Turn::Half, [30.0, 20.0]), (Turn::Left, [0.0, 30.0])] {
            assert_eq!(AffineTransform::turned(turn, 30.0, 20.0).clamped(corner, 30, 20), [0.0, 0.0], "{turn:?}");
        }
    }

    #[test]
    fn maps_are_put_before_one_another() {
        let mut place = AffineTransform::shift(100.0, 10.0);
        place.prepend(AffineTransform::turned(Turn::Right, 30.0, 20.0));
        place.prepend(AffineTransform([[2.0, 0.0, 0.0], [0.0, 2.0, -4.0]]));
        // (10, 2) -> (20, 0) -> (0, 0) -> (100, 10)
        assert_eq!(place.clamped([10.0, 2.0], 500, 500), [100.0, 10.0]);
        assert_eq!(place.clamped([10.0, 2.0], 50, 5), [50.0, 5.0]);
    }
}
