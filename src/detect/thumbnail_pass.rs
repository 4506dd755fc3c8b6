//! Letters that nearly fill the page: where the two passes of a large page found large boxes, the page is searched
//! once more as a thumbnail on the smallest canvas.
//!
//! The network knows letters up to about a third of its canvas. Of larger ones it finds pieces, boxes with a word's
//! half in them, or nothing, and no rule can tell these apart from the boxes alone. In a thumbnail, where they are as
//! high as ordinary text, it finds them in one box each. [`settle`] puts these in the place of the pieces.

use super::TextBox;
use super::cover::{self, Quad};
use super::scale::Layout;

/// Text of the thumbnail is taken when the shorter side of its box is at least this, in pixels of the thumbnail: the
/// letters are some 16 pixels high. The overview shows smaller text well.
const LEAST_PX: f32 = 24.0;
/// … and when the network is that sure of it. Of drawn words it is (0.74 to 0.92); texture and the dials of meters
/// score 0.5 to 0.7.
const SURE: f32 = 0.7;
/// The shorter side of the largest box that a pass can see whole, over the shorter side of its canvas.
const SEEN_WHOLE: f32 = 0.5;
/// Less of a text's height than this is smaller text inside it.
const SMALLER: f32 = 0.6;
/// Text of the thumbnail is texture made by smaller text when this share of it is in boxes of smaller text. Lines of a
/// paragraph fill it nearly, pieces of letters to less than a third.
const TEXTURE: f32 = 0.4;
/// A box lies in another with this share of its area; two are of one text when it holds both ways.
const INSIDE: f32 = 0.6;
/// A box touches another with this share of its area.
const TOUCHES: f32 = 0.05;

/// Whether there may be text that only the thumbnail shows whole: if a box of either pass is at least [`LEAST_PX`] high
/// in it, or if there is no box. `shown` is the thumbnail's size over the page's.
pub(super) fn is_needed(finer: [&[TextBox]; 2], shown: f32) -> bool {
    let large = |b: &TextBox| height(&b.quad) * shown >= LEAST_PX;
    finer.iter().all(|boxes| boxes.is_empty()) || finer.iter().any(|boxes| boxes.iter().any(large))
}

/// The shorter side of the largest box that a pass with this layout sees whole, in its pixels.
pub(super) fn most_px(layout: Layout) -> f32 {
    SEEN_WHOLE * layout.canvas[0].min(layout.canvas[1]) as f32
}

/// Moves the large text of the thumbnail into the overview's list and takes its pieces out of both lists, `finer`:
/// overview and tiles, each with the shorter side of the largest box that the pass sees whole. All in page pixels;
/// `shown` is the thumbnail's size over the page's. `thumbnail` is left empty.
///
/// A piece that a pass may have seen whole is covered afterwards: the text grows to hold it.
pub(super) fn settle(thumbnail: &mut Vec<TextBox>, shown: f32, finer: [(&mut Vec<TextBox>, f32); 2]) {
    let [(overview, overview_most), (tiles, tiles_most)] = finer;
    thumbnail.retain(|text| {
        let large = height(&text.quad) * shown >= LEAST_PX && text.score >= SURE;
        large && !is_texture(&text.quad, overview)
    });
    for text in thumbnail.iter_mut() {
        let own = own_texts(text, overview, tiles);
        let sees = [overview_most, tiles_most].map(|most| height(&text.quad) <= most);
        let before = |overview: &[TextBox], tiles: &[TextBox]| overview.len() + tiles.len();
        // What has grown may hold more.
        loop {
            let count = before(overview, tiles);
            take_pieces(text, overview, overview_most, sees[0], |quad| own.contains(quad));
            take_pieces(text, tiles, tiles_most, sees[1], |quad| own.iter().any(|own| is_same(own, quad)));
            if before(overview, tiles) == count {
                break;
            }
        }
    }
    overview.append(thumbnail);
}

/// Most small texts that are distinguished from pieces of one large text.
const MAX_OWN: usize = 64;

/// The smaller texts near a large one that both passes saw. Small text beside large letters may lie in the margin of
/// their box; of a letter two passes do not see the same piece.
fn own_texts(text: &TextBox, overview: &[TextBox], tiles: &[TextBox]) -> heapless::Vec<Quad, MAX_OWN> {
    let near = overview.iter().map(|b| &b.quad).filter(|quad| cover::near(quad, &text.quad));
    let smaller = near.filter(|quad| height(quad) < SMALLER * height(&text.quad));
    smaller.filter(|quad| tiles.iter().any(|tile| is_same(quad, &tile.quad))).copied().take(MAX_OWN).collect()
}

/// Takes the pieces of a text out of the boxes of a pass that sees boxes up to `most` high. If it sees the text itself,
/// its pieces are no looser than others: the text grows to hold them.
fn take_pieces(text: &mut TextBox, boxes: &mut Vec<TextBox>, most: f32, sees: bool, is_own: impl Fn(&Quad) -> bool) {
    boxes.retain(|b| {
        if !cover::near(&b.quad, &text.quad) || is_own(&b.quad) {
            return true;
        }
        let (inside, holds) = (cover::share_inside(&b.quad, &text.quad), cover::share_inside(&text.quad, &b.quad));
        if height(&b.quad) > most {
            // Larger than the pass sees: it is no evidence of anything.
            return inside.max(holds) < TOUCHES;
        }
        if inside.max(holds) < INSIDE && !cover::overlap_in_row(&text.quad, &b.quad) {
            return true;
        }
        if sees {
            text.grow(b);
        }
        false
    });
}

/// Whether a text of the thumbnail is texture that lines of smaller text make. Pieces of its letters are as high as it.
fn is_texture(text: &Quad, overview: &[TextBox]) -> bool {
    let high = |quad: &Quad| {
        let [top, bottom] = cover::across_row(quad, text);
        bottom - top
    };
    let inside = overview.iter().map(|b| &b.quad).filter(|quad| cover::share_inside(quad, text) >= INSIDE);
    let smaller = inside.filter(|quad| high(quad) < SMALLER * high(text));
    smaller.map(cover::area).sum::<f32>() >= TEXTURE * cover::area(text)
}

/// Whether two boxes are of one text.
fn is_same(a: &Quad, b: &Quad) -> bool {
    cover::share_inside(a, b) >= INSIDE && cover::share_inside(b, a) >= INSIDE
}

fn height(quad: &Quad) -> f32 {
    let [width, height] = cover::sides(quad);
    width.min(height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(x: f32, y: f32, w: f32, h: f32) -> TextBox {
        TextBox { quad: [[x, y], [x + w, y], [x + w, y + h], [x, y + h]], polygon: Vec::new(), score: 0.9 }
    }

    /// On a page of 2000 × 1500: 200 pixels of the thumbnail are its width. Overview and tiles afterwards.
    fn settled(mut thumbnail: Vec<TextBox>, overview: &[TextBox], tiles: &[TextBox]) -> [Vec<TextBox>; 2] {
        let (mut overview, mut tiles) = (overview.to_vec(), tiles.to_vec());
        settle(&mut thumbnail, 0.1, [(&mut overview, 750.), (&mut tiles, 320.)]);
        assert!(thumbnail.is_empty());
        [overview, tiles]
    }

    #[test]
    fn pieces_give_way_to_text_seen_whole() {
        let word = || found(200., 400., 1200., 500.);
        let overview = [found(210., 400., 380., 480.), found(600., 380., 700., 540.)];
        let tiles = [found(220., 410., 300., 300.), found(500., 500., 280., 200.), found(700., 0., 900., 600.)];
        let [overview, tiles] = settled(vec![word()], &overview, &tiles);
        assert_eq!((overview.len(), tiles.len()), (1, 0), "{overview:?} {tiles:?}");
        assert!(cover::contains(&overview[0].quad, [1290., 915.]), "the overview may have seen its part whole");
    }

    #[test]
    fn small_text_beside_large_letters_stays() {
        let (word, small) = (found(200., 400., 1200., 500.), found(300., 850., 400., 60.));
        let [overview, tiles] = settled(vec![word], std::slice::from_ref(&small), std::slice::from_ref(&small));
        assert_eq!((overview.len(), tiles.len()), (2, 1));
        let [overview, tiles] = settled(vec![found(200., 400., 1200., 500.)], &[], &[small]);
        assert_eq!((overview.len(), tiles.len()), (1, 0), "a piece, as far as anyone else saw");
    }

    #[test]
    fn lines_of_small_text_are_not_one_large_line() {
        let lines: Vec<_> = (0..5).map(|i| found(200., 400. + 60. * i as f32, 1200., 50.)).collect();
        let [overview, tiles] = settled(vec![found(200., 400., 1200., 300.)], &lines, &lines);
        assert_eq!((overview, tiles), (lines.clone(), lines));
    }

    #[test]
    fn narrow_pieces_of_letters_are_no_texture() {
        let strokes: Vec<_> = (0..4).map(|i| found(220. + 300. * i as f32, 420., 200., 460.)).collect();
        let [overview, tiles] = settled(vec![found(200., 400., 1200., 500.)], &strokes, &[]);
        assert_eq!((overview.len(), tiles.len()), (1, 0));
    }

    #[test]
    fn unsure_and_small_text_of_thumbnail_is_left() {
        let unsure = TextBox { score: 0.6, ..found(200., 400., 1200., 500.) };
        let [overview, _] = settled(vec![unsure, found(0., 0., 900., 200.)], &[], &[]);
        assert!(overview.is_empty());
    }

    #[test]
    fn thumbnail_is_needed_for_large_boxes_only() {
        let (small, large) = ([found(0., 0., 900., 200.)], [found(0., 0., 900., 250.)]);
        assert!(!is_needed([&small, &[]], 0.1));
        assert!(is_needed([&small, &large], 0.1));
        assert!(is_needed([&[], &[]], 0.1));
    }

    fn boxes(heights: std::ops::Range<f32>) -> impl Strategy<Value = Vec<TextBox>> {
        let one = (0f32..2000., 0f32..1500., heights, 1f32..6., -0.4f32..0.4).prop_map(|(x, y, h, ratio, angle)| {
            let ([ux, uy], w) = ([angle.cos(), angle.sin()], h * ratio);
            let corner = |u: f32, v: f32| [x + u * ux - v * uy, y + u * uy + v * ux];
            TextBox { quad: [corner(0., 0.), corner(w, 0.), corner(w, h), corner(0., h)], ..found(0., 0., 0., 0.) }
        });
        proptest::collection::vec(one, 0..10)
    }

    fn is_covered(boxes: &[Vec<TextBox>; 2], [x, y]: [f32; 2]) -> bool {
        let near = (0..9).map(|i| [0.2 * ((i % 3) as f32 - 1.), 0.2 * ((i / 3) as f32 - 1.)]);
        boxes.iter().flatten().any(|b| near.clone().any(|[dx, dy]| cover::contains(&b.quad, [x + dx, y + dy])))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_piece_stays_beside_text_seen_whole(
            thumbnail in boxes(240.0..700.), overview in boxes(100.0..900.), tiles in boxes(20.0..900.)
        ) {
            let whole: Vec<_> = thumbnail.iter().filter(|text| !is_texture(&text.quad, &overview)).cloned().collect();
            let own = |piece: &TextBox| {
                let same = |b: &TextBox| is_same(&b.quad, &piece.quad) || is_same(&piece.quad, &b.quad);
                overview.iter().any(same) && tiles.iter().any(same)
            };
            let left = settled(thumbnail.clone(), &overview, &tiles);
            for text in &whole {
                for piece in left[0].iter().filter(|b| overview.contains(b)).chain(&left[1]).filter(|b| !own(b)) {
                    let share = cover::share_inside(&piece.quad, &text.quad);
                    prop_assert!(share < INSIDE, "{share} of {piece:?} in {text:?}");
                }
            }
        }

        #[test]
        fn what_a_pass_sees_whole_stays_covered(
            thumbnail in boxes(240.0..320.), overview in boxes(20.0..750.), tiles in boxes(20.0..320.)
        ) {
            let left = settled(thumbnail.clone(), &overview, &tiles);
            for whole in overview.iter().chain(&tiles) {
                for i in 0..25 {
                    let point = cover::at(&whole.quad, (i % 5) as f32 / 4., (i / 5) as f32 / 4.);
                    prop_assert!(is_covered(&left, point), "{point:?} of {whole:?}");
                }
            }
        }
    }
}
