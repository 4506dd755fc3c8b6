//! Large text on a page that is cut into tiles.
//!
//! A tile sees a part of a word that is higher than the tiles' overlap, and takes it for a word of its own. So a tiled
//! page is also looked at as a whole, reduced to one canvas: large text is taken from there, all other from the tiles.

use super::TextBox;

/// Text at least this high, in pixels of the tiled page, is large: the shorter side of its box.
pub const LARGE_TEXT_PX: f32 = 48.0;

/// A tile's box is a part of large text when this share of it lies inside.
const INSIDE: f32 = 0.6;

/// Keeps the large boxes of `overview` and adds those of `tiles` that are no parts of them. `scale` is the tiled page's
/// size over the page's; boxes are in page pixels.
pub fn merge(overview: &mut Vec<TextBox>, tiles: &mut Vec<TextBox>, scale: f32) {
    overview.retain(|b| short_side(&b.quad) * scale >= LARGE_TEXT_PX);
    tiles.retain(|b| overview.iter().all(|large| share_inside(&b.quad, &large.quad) < INSIDE));
    tiles.append(overview);
}

fn short_side(quad: &[[f32; 2]; 4]) -> f32 {
    let side = |a: usize, b: usize| (quad[a][0] - quad[b][0]).hypot(quad[a][1] - quad[b][1]);
    side(0, 1).max(side(3, 2)).min(side(0, 3).max(side(1, 2)))
}

/// Which share of `quad` lies inside `other`, by a grid of points.
fn share_inside(quad: &[[f32; 2]; 4], other: &[[f32; 2]; 4]) -> f32 {
    const STEPS: usize = 8;
    let mut inside = 0;
    for row in 0..STEPS {
        for column in 0..STEPS {
            let (u, v) = ((column as f32 + 0.5) / STEPS as f32, (row as f32 + 0.5) / STEPS as f32);
            let at = |axis: usize| {
                let top = quad[0][axis] * (1.0 - u) + quad[1][axis] * u;
                let bottom = quad[3][axis] * (1.0 - u) + quad[2][axis] * u;
                top * (1.0 - v) + bottom * v
            };
            inside += usize::from(contains(other, [at(0), at(1)]));
        }
    }
    inside as f32 / (STEPS * STEPS) as f32
}

/// Whether a point is inside a convex quad whose corners go clockwise (y down).
fn contains(quad: &[[f32; 2]; 4], p: [f32; 2]) -> bool {
    (0..4).all(|i| {
        let (a, b) = (quad[i], quad[(i + 1) % 4]);
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) >= 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(x: f32, y: f32, w: f32, h: f32) -> TextBox {
        TextBox { quad: [[x, y], [x + w, y], [x + w, y + h], [x, y + h]], polygon: Vec::new(), score: 1.0 }
    }

    #[test]
    fn parts_of_large_text_give_way_and_small_text_stays() {
        let mut overview = vec![found(0., 0., 400., 120.), found(0., 300., 90., 20.)];
        let mut tiles = vec![
            found(0., 5., 180., 110.),    // a part of the large word
            found(200., 100., 100., 40.), // mostly below it
            found(0., 300., 90., 20.),    // the small line, which the overview saw too
        ];
        merge(&mut overview, &mut tiles, 1.0);
        let tops: Vec<f32> = tiles.iter().map(|b| b.quad[0][1]).collect();
        assert_eq!(tops, [100., 300., 0.]);
    }

    #[test]
    fn what_is_large_is_measured_on_the_tiled_page() {
        for (scale, left) in [(0.5, 1), (0.3, 0)] {
            let (mut overview, mut tiles) = (vec![found(0., 0., 400., 120.)], Vec::new());
            merge(&mut overview, &mut tiles, scale);
            assert_eq!(tiles.len(), left);
        }
    }
}
