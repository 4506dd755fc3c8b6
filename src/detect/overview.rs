//! Text that was searched twice: on a page that is cut into tiles, and on the whole page, reduced to one canvas.
//!
//! A tile sees a part of a word that is higher than the tiles' overlap, and takes it for a word of its own; and what
//! one pass sees whole, the other may see in part or not at all. [`merge`] makes one list of both, in which nothing
//! that either pass saw is missing, and no part of a text stands beside the whole.

use super::TextBox;
use super::cover::{self, Quad};

/// Text at least this high, in pixels of the tiled page, is large: the shorter side of its box.
pub const LARGE_TEXT_PX: f32 = 48.0;

/// A box is a part of a larger one when this share of it lies inside; two boxes are of the same text when it holds
/// both ways.
const INSIDE: f32 = 0.6;

/// A piece lies partly in a text with at least this share.
const END: f32 = 0.2;

/// Small text of the overview is new when so much of its length, in heights of its box, is not in the tiles' boxes.
/// Less is the space between words, or the margin of a box.
const NEW_HEIGHTS: f32 = 1.0;
/// A box not much longer than high is new when this share of its length is.
const NEW_SHARE: f32 = 0.5;

/// Adds the boxes of `overview` to those of `tiles`. `scale` is the tiled page's size over the page's; boxes are in
/// page pixels. `overview` is left empty.
///
/// Of small text that both passes saw, the tiles' boxes are kept: they saw it larger. Else a box gives way only to a
/// larger one of the other pass, of which it is a part, and which grows to hold all of it. So corners may lie outside
/// the page.
pub fn merge(overview: &mut Vec<TextBox>, tiles: &mut Vec<TextBox>, scale: f32) {
    let large = |b: &TextBox| {
        let [width, height] = cover::sides(&b.quad);
        width.min(height) * scale >= LARGE_TEXT_PX
    };
    // Small boxes of the overview that the tiles saw too stay in the list for now: they tell that a tile's box is a
    // text of its own, though it lies inside a large one (the words inside a seal's ring).
    let mut seen = 0;
    for i in 0..overview.len() {
        if !large(&overview[i]) && is_seen(&overview[i].quad, tiles) {
            overview.swap(i, seen);
            seen += 1;
        }
    }
    while absorb(overview, seen, tiles) || bridge(overview, seen, tiles) {}
    tiles.extend(overview.drain(..).skip(seen));
}

/// Whether the tiles' boxes cover the text of a box.
fn is_seen(quad: &Quad, tiles: &[TextBox]) -> bool {
    let [width, height] = cover::sides(quad);
    let limit = (NEW_HEIGHTS * width.min(height)).min(NEW_SHARE * width.max(height));
    let gap = cover::longest_gap(quad, tiles.iter().map(|tile| &tile.quad).filter(|tile| cover::near(tile, quad)));
    gap < limit
}

/// Lets every box that is a part of a larger one of the other pass give way to it; whether there was one. The first
/// `seen` boxes of the overview take no part. What has grown may hold more: to be called until nothing changes.
fn absorb(overview: &mut Vec<TextBox>, seen: usize, tiles: &mut Vec<TextBox>) -> bool {
    let (before, mut o) = (overview.len() + tiles.len(), seen);
    'overview: while o < overview.len() {
        let mut t = 0;
        while t < tiles.len() {
            let (own, tile) = (&overview[o].quad, &tiles[t].quad);
            if cover::near(own, tile) {
                let larger = cover::area(own) >= cover::area(tile);
                if larger && is_part(tile, own) && !is_own_text(tile, own, &overview[..seen]) {
                    let part = tiles.remove(t);
                    overview[o].grow(&part);
                    continue;
                }
                if !larger && is_part(own, tile) {
                    let part = overview.remove(o);
                    tiles[t].grow(&part);
                    continue 'overview;
                }
            }
            t += 1;
        }
        o += 1;
    }
    overview.len() + tiles.len() < before
}

/// Joins two texts of one pass, in one row, between which the other pass saw a piece that lies partly in each: half of
/// a letter and half of the next. Whether there were such.
fn bridge(overview: &mut Vec<TextBox>, seen: usize, tiles: &mut Vec<TextBox>) -> bool {
    let own = |piece: &Quad, whole: &Quad, overview: &[TextBox]| is_own_text(piece, whole, &overview[..seen]);
    for t in 0..tiles.len() {
        let piece = &tiles[t].quad;
        if let Some([a, b]) = ends(piece, &overview[seen..]).map(|ends| ends.map(|end| end + seen))
            && !own(piece, &overview[a].quad, overview)
        {
            let (piece, other) = (tiles.remove(t), overview.remove(b));
            overview[a].grow(&piece);
            overview[a].grow(&other);
            return true;
        }
    }
    for o in seen..overview.len() {
        if let Some([a, b]) = ends(&overview[o].quad, tiles) {
            let (piece, other) = (overview.remove(o), tiles.remove(b));
            tiles[a].grow(&piece);
            tiles[a].grow(&other);
            return true;
        }
    }
    false
}

/// The places of two larger texts of one row that a piece lies in; the first is before the second.
fn ends(piece: &Quad, texts: &[TextBox]) -> Option<[usize; 2]> {
    let mut first = None::<(usize, f32)>;
    for (i, text) in texts.iter().enumerate().filter(|(_, text)| cover::area(&text.quad) >= cover::area(piece)) {
        let share = cover::share_inside(piece, &text.quad);
        if share < END {
            continue;
        }
        match first {
            Some((a, other)) if share + other >= INSIDE && cover::in_row(&texts[a].quad, &text.quad) => {
                return Some([a, i]);
            }
            Some(_) => {}
            None => first = Some((i, share)),
        }
    }
    None
}

/// Whether the text of a box belongs to that of a larger one.
fn is_part(part: &Quad, whole: &Quad) -> bool {
    cover::share_inside(part, whole) >= INSIDE || cover::overlap_in_row(whole, part)
}

/// Whether the overview saw the text of a tile's box as a box of its own, beside the larger one that holds it.
fn is_own_text(tile: &Quad, larger: &Quad, overview: &[TextBox]) -> bool {
    overview.iter().map(|b| &b.quad).any(|own| {
        cover::share_inside(tile, own) >= INSIDE
            && cover::share_inside(own, tile) >= INSIDE
            && cover::area(own) < INSIDE * cover::area(larger)
    })
}

impl TextBox {
    /// Grows to hold `part`.
    pub(super) fn grow(&mut self, part: &TextBox) {
        let grown = cover::enclosing(&self.quad, &part.quad);
        if grown != self.quad {
            self.quad = grown;
            if !self.polygon.is_empty() {
                self.polygon.clear();
                self.polygon.extend(grown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(x: f32, y: f32, w: f32, h: f32) -> TextBox {
        TextBox { quad: [[x, y], [x + w, y], [x + w, y + h], [x, y + h]], polygon: Vec::new(), score: 1.0 }
    }

    /// Left, top, right and bottom of what a merge at scale 1 leaves, by place.
    fn merged(mut overview: Vec<TextBox>, mut tiles: Vec<TextBox>) -> Vec<[f32; 4]> {
        merge(&mut overview, &mut tiles, 1.0);
        assert!(overview.is_empty());
        let mut left: Vec<_> = tiles.iter().map(|b| [b.quad[0][0], b.quad[0][1], b.quad[2][0], b.quad[2][1]]).collect();
        left.sort_by(|a, b| a.partial_cmp(b).unwrap());
        left
    }

    #[test]
    fn parts_of_large_text_give_way_and_small_text_stays() {
        let overview = vec![found(0., 0., 400., 120.), found(0., 300., 90., 20.)];
        let tiles = vec![
            found(0., 5., 180., 110.),    // a part of the large word
            found(200., 100., 100., 40.), // mostly below it
            found(0., 302., 92., 18.),    // the small line, which the overview saw too
        ];
        assert_eq!(merged(overview, tiles), [[0., 0., 400., 120.], [0., 302., 92., 320.], [200., 100., 300., 140.]]);
    }

    #[test]
    fn what_is_large_is_measured_on_the_tiled_page() {
        for (scale, left) in [(0.5, [400., 120.]), (0.3, [399., 119.])] {
            let (mut overview, mut tiles) = (vec![found(0., 0., 400., 120.)], vec![found(0., 0., 399., 119.)]);
            merge(&mut overview, &mut tiles, scale);
            assert_eq!(tiles.iter().map(|b| b.quad[2]).collect::<Vec<_>>(), [left]);
        }
    }

    #[test]
    fn whole_line_beside_part_survives_merge() {
        // The tiles saw the whole line, the overview its right half, higher by a raised mark.
        let right = merged(vec![found(800., 0., 800., 52.)], vec![found(0., 10., 1600., 40.)]);
        assert_eq!(right, [[0., 0., 1600., 52.]]);
    }

    #[test]
    fn line_only_in_overview_survives_merge() {
        assert_eq!(merged(vec![found(0., 0., 600., 30.)], vec![]), [[0., 0., 600., 30.]]);
        // Of the same line the tiles saw the right half only.
        let line = merged(vec![found(0., 0., 600., 30.)], vec![found(300., 2., 302., 28.)]);
        assert_eq!(line, [[0., 0., 602., 30.]]);
        // What the tiles saw as two words stays two words.
        let words = [[0., 0., 280., 30.], [300., 0., 600., 30.]];
        let tiles = words.map(|[x, y, r, b]| found(x, y, r - x, b - y));
        assert_eq!(merged(vec![found(0., 0., 600., 30.)], tiles.to_vec()), words);
    }

    #[test]
    fn halves_that_overlap_become_one_line() {
        let line = merged(vec![found(0., 0., 300., 60.)], vec![found(200., 2., 300., 60.)]);
        assert_eq!(line, [[0., 0., 500., 62.]]);
    }

    #[test]
    fn piece_between_two_letters_joins_them() {
        let letters = || vec![found(0., 0., 300., 400.), found(340., 10., 600., 400.)];
        let between = || vec![found(200., 100., 240., 250.)];
        assert_eq!(merged(letters(), between()), [[0., 0., 940., 410.]]);
        assert_eq!(merged(between(), letters()), [[0., 0., 940., 410.]]);
        // Not what stands in two rows.
        let rows = vec![found(0., 0., 300., 400.), found(0., 420., 600., 400.)];
        assert_eq!(merged(rows, vec![found(50., 300., 100., 240.)]).len(), 3);
    }

    #[test]
    fn text_inside_ring_survives_merge() {
        let ring = found(0., 0., 600., 300.);
        let inner = || found(150., 140., 300., 30.);
        assert_eq!(merged(vec![ring.clone(), inner()], vec![inner()]).len(), 2);
        assert_eq!(merged(vec![ring], vec![inner()]).len(), 1, "a part of it, as far as anyone saw");
    }

    fn boxes(heights: std::ops::Range<f32>) -> impl Strategy<Value = Vec<TextBox>> {
        let one = (0f32..1000., 0f32..1000., heights, 1f32..8., -3.2f32..3.2).prop_map(|(x, y, h, ratio, angle)| {
            let ([ux, uy], w) = ([angle.cos(), angle.sin()], h * ratio);
            let corner = |u: f32, v: f32| [x + u * ux - v * uy, y + u * uy + v * ux];
            TextBox { quad: [corner(0., 0.), corner(w, 0.), corner(w, h), corner(0., h)], ..found(0., 0., 0., 0.) }
        });
        proptest::collection::vec(one, 0..12)
    }

    /// Whether a point lies in a box, or no farther outside than rounding leads.
    fn is_covered(boxes: &[TextBox], [x, y]: [f32; 2]) -> bool {
        let near = (0..9).map(|i| [0.1 * ((i % 3) as f32 - 1.), 0.1 * ((i / 3) as f32 - 1.)]);
        boxes.iter().any(|b| near.clone().any(|[dx, dy]| cover::contains(&b.quad, [x + dx, y + dy])))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn merge_keeps_covered_what_either_pass_saw(
            large in boxes(LARGE_TEXT_PX..300.), small in boxes(8.0..LARGE_TEXT_PX), tiles in boxes(8.0..300.)
        ) {
            let (mut overview, mut left) = ([large.clone(), small.clone()].concat(), tiles.clone());
            merge(&mut overview, &mut left, 1.0);
            // Of small text that the tiles saw, not the margins.
            for whole in large.iter().chain(&tiles) {
                for i in 0..81 {
                    let point = cover::at(&whole.quad, (i % 9) as f32 / 8., (i / 9) as f32 / 8.);
                    prop_assert!(is_covered(&left, point), "{point:?} of {whole:?}");
                }
            }
            for line in &small {
                let gap = cover::longest_gap(&line.quad, left.iter().map(|b| &b.quad));
                let [width, height] = cover::sides(&line.quad);
                prop_assert!(gap <= NEW_HEIGHTS * width.min(height), "{gap} of {line:?}");
            }
        }

        #[test]
        fn merge_leaves_no_part_beside_whole(large in boxes(LARGE_TEXT_PX..300.), tiles in boxes(8.0..300.)) {
            // Boxes of one pass may lie inside each other; the score tells of which pass a box is.
            let mut overview: Vec<_> = large.into_iter().map(|b| TextBox { score: 0.5, ..b }).collect();
            let mut left = tiles;
            merge(&mut overview, &mut left, 1.0);
            let of_both = left.iter().flat_map(|a| left.iter().map(move |b| (a, b))).filter(|(a, b)| a.score < b.score);
            for (a, b) in of_both {
                let [part, whole] = if cover::area(&a.quad) > cover::area(&b.quad) { [b, a] } else { [a, b] };
                prop_assert!(!is_part(&part.quad, &whole.quad), "{part:?} of {whole:?}");
            }
            let (coarse, fine): (Vec<_>, Vec<_>) = left.into_iter().partition(|b| b.score < 1.0);
            for (pieces, texts) in [(&coarse, &fine), (&fine, &coarse)] {
                prop_assert!(pieces.iter().all(|piece| ends(&piece.quad, texts).is_none()), "a piece of two");
            }
        }
    }
}
