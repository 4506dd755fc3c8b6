//! What shows through where an image is transparent.
//!
//! Dark letters without a ground were made for white paper, bright ones for a dark page. Which they are is seen at
//! the edges between what is drawn and what is transparent: only there does the ground decide whether a shape is
//! visible.

/// Pixels that are looked at inwards from an edge, for the first that is not blended with the transparent side.
const REACH: usize = 4;
/// Difference in brightness from which a shape stands out, in grey levels.
const VISIBLE: u8 = 64;
/// The grounds, best first. Grey is for images that have both dark and bright shapes.
const GROUNDS: [u8; 3] = [255, 0, 128];
/// White is kept while no more than one part in so many of the edges is lost on it.
const TOLERATED: u64 = 20;

/// The brightness of the ground for rows of `width` pixels, of which `pixel` gives colour and alpha.
pub(super) fn choose<P: Copy>(pixels: &[P], width: usize, pixel: impl Fn(P) -> ([u8; 3], u8)) -> u8 {
    let alpha = |p: P| pixel(p).1;
    let max_alpha = pixels.iter().map(|&p| alpha(p)).max().unwrap_or(0);
    // Letters may be half transparent all over; what is drawn is what is nearer to the most opaque than to nothing.
    let drawn = |p: P| alpha(p) > max_alpha / 2;
    let mut edges = [0_u64; 256];
    for row in pixels.chunks_exact(width.max(1)) {
        for (x, pair) in row.windows(2).enumerate() {
            let inwards = match (drawn(pair[0]), drawn(pair[1])) {
                (false, true) => row.get(x + 1..(x + 1 + REACH).min(row.len())).unwrap_or_default(),
                (true, false) => row.get((x + 1).saturating_sub(REACH)..x + 1).unwrap_or_default(),
                _ => continue,
            };
            if let Some(solid) = inwards.iter().copied().filter(|&p| drawn(p)).max_by_key(|&p| alpha(p)) {
                edges[usize::from(brightness(pixel(solid).0))] += 1;
            }
        }
    }
    best(&edges)
}

/// The ground on which the fewest edges are lost.
fn best(edges: &[u64; 256]) -> u8 {
    let lost = |ground: u8| -> u64 {
        let near = |level: usize| usize::from(ground).abs_diff(level) < usize::from(VISIBLE);
        edges.iter().enumerate().filter(|(level, _)| near(*level)).map(|(_, count)| count).sum()
    };
    let (white, all): (u8, u64) = (GROUNDS[0], edges.iter().sum());
    if lost(white) * TOLERATED <= all {
        return white;
    }
    GROUNDS.into_iter().min_by_key(|&ground| lost(ground)).unwrap_or(white)
}

/// By the weights of ITU-R BT.601.
fn brightness([r, g, b]: [u8; 3]) -> u8 {
    ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b) + 128) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars two pixels wide of the given colours and alpha, with transparent pixels between.
    fn ground(bars: &[([u8; 3], u8)]) -> u8 {
        let row: Vec<([u8; 3], u8)> = bars.iter().flat_map(|bar| [([0; 3], 0), *bar, *bar, ([255, 0, 0], 0)]).collect();
        choose(&row.repeat(3), row.len(), |p| p)
    }

    #[test]
    fn choose_one_brightness_contrasts() {
        for dark in [[0; 3], [128; 3], [200, 0, 0], [0, 0, 255]] {
            assert_eq!(ground(&[(dark, 255)]), 255, "{dark:?}");
            assert_eq!(ground(&[(dark, 90)]), 255, "{dark:?}, half transparent");
        }
        for bright in [[255; 3], [210; 3], [255, 255, 0], [200, 255, 200]] {
            assert_eq!(ground(&[(bright, 255)]), 0, "{bright:?}");
            assert_eq!(ground(&[(bright, 90)]), 0, "{bright:?}, half transparent");
        }
    }

    #[test]
    fn choose_dark_and_bright_shapes_grey() {
        assert_eq!(ground(&[([0; 3], 255), ([255; 3], 255)]), 128);
        let mut mostly_dark = vec![([0; 3], 255); 30];
        mostly_dark.push(([255; 3], 255));
        assert_eq!(ground(&mostly_dark), 255);
    }

    #[test]
    fn choose_without_edges_white() {
        for row in [vec![], vec![([255; 3], 255); 8], vec![([255; 3], 0); 8], vec![([255; 3], 77); 8]] {
            assert_eq!(choose(&row, 8, |p| p), 255);
        }
        assert_eq!(choose(&[([255; 3], 255)], 0, |p| p), 255);
    }

    #[test]
    fn choose_blended_edges_looks_inwards() {
        // White letters drawn over transparent black: their rims are darker as well as more transparent.
        let letter = [([0; 3], 0), ([140; 3], 140), ([255; 3], 255), ([255; 3], 255), ([140; 3], 140), ([0; 3], 0)];
        assert_eq!(choose(&letter, letter.len(), |p| p), 0);
    }
}
