//! Which part of a box lies in other boxes, and the smallest box that holds two.

/// Corners of a box: top left, top right, bottom right, bottom left.
pub(super) type Quad = [[f32; 2]; 4];

/// Width and height of a box: the longer of each pair of opposite sides.
pub(super) fn sides(quad: &Quad) -> [f32; 2] {
    let side = |a: usize, b: usize| (quad[a][0] - quad[b][0]).hypot(quad[a][1] - quad[b][1]);
    [side(0, 1).max(side(3, 2)), side(0, 3).max(side(1, 2))]
}

/// Area of a box.
pub(super) fn area(quad: &Quad) -> f32 {
    let next = quad.iter().cycle().skip(1);
    quad.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>().abs() / 2.0
}

/// Which share of `quad` lies inside `other`, by a grid of points.
pub(super) fn share_inside(quad: &Quad, other: &Quad) -> f32 {
    const STEPS: usize = 8;
    if !near(quad, other) {
        return 0.0;
    }
    let middle = |step: usize| (step as f32 + 0.5) / STEPS as f32;
    let points = (0..STEPS * STEPS).map(|i| at(quad, middle(i % STEPS), middle(i / STEPS)));
    points.filter(|point| contains(other, *point)).count() as f32 / (STEPS * STEPS) as f32
}

/// The longest stretch of the text in `quad` that lies in none of `others`, in pixels along the box's longer side.
///
/// A box is wider than its text on all sides, so only the middle third across it has to be covered.
pub(super) fn longest_gap<'a>(quad: &Quad, others: impl Iterator<Item = &'a Quad> + Clone) -> f32 {
    let [width, height] = sides(quad);
    let (length, across) = (width.max(height), width.min(height));
    // Eight steps for each height; a box of extreme length is looked at more coarsely.
    let steps = (8.0 * length / across.max(1.0)).ceil().clamp(8.0, 1024.0) as usize;
    let (mut run, mut longest) = (0, 0);
    for step in 0..steps {
        let along = (step as f32 + 0.5) / steps as f32;
        let covered = [0.35, 0.5, 0.65].iter().all(|across| {
            let point = if width >= height { at(quad, along, *across) } else { at(quad, *across, along) };
            others.clone().any(|other| contains(other, point))
        });
        run = if covered { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    longest as f32 * length / steps as f32
}

/// The smallest box with the direction of `quad` that holds `quad` and `other`; `quad` itself where it holds `other`.
pub(super) fn enclosing(quad: &Quad, other: &Quad) -> Quad {
    if other.iter().all(|corner| contains(quad, *corner)) {
        return *quad;
    }
    let [ux, uy] = direction(quad);
    let [[left, right], [top, bottom]] = extents(quad, [ux, uy]);
    let [[l, r], [t, b]] = extents(other, [ux, uy]);
    let ([left, right], [top, bottom]) = ([left.min(l), right.max(r)], [top.min(t), bottom.max(b)]);
    let corner = |u: f32, v: f32| [u * ux - v * uy, u * uy + v * ux];
    [corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)]
}

/// Whether `other` is as high as `quad`, lies in the same row and reaches into it: they are parts of one line. The
/// boxes of neighbouring words have margins smaller than the space between the words, and do not meet.
pub(super) fn overlap_in_row(quad: &Quad, other: &Quad) -> bool {
    const REACH: f32 = 0.3;
    const SAME_HEIGHT: f32 = 0.75;
    let [mut along, mut across] = extents(quad, direction(quad));
    let [mut other_along, mut other_across] = extents(other, direction(quad));
    let length = |[low, high]: [f32; 2]| high - low;
    if length(across) > length(along) {
        std::mem::swap(&mut along, &mut across);
        std::mem::swap(&mut other_along, &mut other_across);
    }
    let shared = |[a, b]: [f32; 2], [c, d]: [f32; 2]| b.min(d) - a.max(c);
    let highest = length(across).max(length(other_across));
    shared(across, other_across) >= SAME_HEIGHT * highest && shared(along, other_along) >= REACH * highest
}

/// Whether two boxes are as high as each other and lie in one row, as near or as far as may be. A row runs as the
/// longer of the two: a single letter is often higher than wide.
pub(super) fn in_row(quad: &Quad, other: &Quad) -> bool {
    const SAME_HEIGHT: f32 = 0.75;
    let ratio = |quad: &Quad| {
        let [width, height] = sides(quad);
        (width / height.max(1.0)).max(height / width.max(1.0))
    };
    let longer = if ratio(quad) >= ratio(other) { quad } else { other };
    let [[a, b], [c, d]] = [quad, other].map(|quad| across_row(quad, longer));
    b.min(d) - a.max(c) >= SAME_HEIGHT * (b - a).max(d - c)
}

/// From where to where a box goes across the row of text in another.
pub(super) fn across_row(quad: &Quad, row: &Quad) -> [f32; 2] {
    const TALL: f32 = 1.5;
    let [width, height] = sides(row);
    extents(quad, direction(row))[usize::from(height < TALL * width)]
}

/// The unit vector along the upper side of a box.
fn direction(quad: &Quad) -> [f32; 2] {
    let [dx, dy] = [quad[1][0] - quad[0][0], quad[1][1] - quad[0][1]];
    let length = dx.hypot(dy);
    if length > 0.0 { [dx / length, dy / length] } else { [1.0, 0.0] }
}

/// From where to where a box goes along a direction, and across it.
fn extents(quad: &Quad, [ux, uy]: [f32; 2]) -> [[f32; 2]; 2] {
    let range = |place: fn([f32; 2], [f32; 2]) -> f32| {
        quad.iter().fold([f32::MAX, f32::MIN], |[low, high], corner| {
            let at = place(*corner, [ux, uy]);
            [low.min(at), high.max(at)]
        })
    };
    [range(|[x, y], [ux, uy]| x * ux + y * uy), range(|[x, y], [ux, uy]| y * ux - x * uy)]
}

/// Whether a point is inside a convex quad whose corners go clockwise (y down); its edges belong to it.
pub(super) fn contains(quad: &Quad, p: [f32; 2]) -> bool {
    (0..4).all(|i| {
        let (a, b) = (quad[i], quad[(i + 1) % 4]);
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) >= 0.0
    })
}

/// Whether the upright rectangles around two boxes meet: cheap, and false for nearly all pairs of a page.
pub(super) fn near(a: &Quad, b: &Quad) -> bool {
    let range = |quad: &Quad, axis: usize| {
        quad.iter().fold((f32::MAX, f32::MIN), |(low, high), p| (low.min(p[axis]), high.max(p[axis])))
    };
    (0..2).all(|axis| {
        let ((a_low, a_high), (b_low, b_high)) = (range(a, axis), range(b, axis));
        a_low <= b_high && b_low <= a_high
    })
}

/// The point at a share of the width and a share of the height of a box.
pub(super) fn at(quad: &Quad, u: f32, v: f32) -> [f32; 2] {
    [0, 1].map(|axis| {
        let top = quad[0][axis] * (1.0 - u) + quad[1][axis] * u;
        let bottom = quad[3][axis] * (1.0 - u) + quad[2][axis] * u;
        top * (1.0 - v) + bottom * v
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upright(x: f32, y: f32, w: f32, h: f32) -> Quad {
        [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
    }

    #[test]
    fn longest_gap_is_what_no_box_covers() {
        let line = upright(0., 0., 400., 20.);
        let parts = [upright(0., -5., 100., 30.), upright(180., 5., 100., 10.)];
        let gap = longest_gap(&line, parts.iter());
        assert!((117. ..=123.).contains(&gap), "{gap}");
        let tall = upright(0., 0., 20., 400.);
        assert_eq!(longest_gap(&tall, std::iter::once(&tall)), 0.);
        assert_eq!(longest_gap(&tall, std::iter::empty()), 400.);
    }

    #[test]
    fn parts_of_one_line_overlap_in_row() {
        let line = upright(0., 0., 300., 50.);
        assert!(overlap_in_row(&line, &upright(280., 4., 300., 48.)));
        assert!(!overlap_in_row(&line, &upright(290., 4., 300., 48.)), "hardly");
        assert!(!overlap_in_row(&line, &upright(200., 20., 300., 50.)), "another row");
        assert!(!overlap_in_row(&line, &upright(200., 0., 300., 30.)), "smaller");
        assert!(overlap_in_row(&upright(0., 0., 50., 300.), &upright(2., 280., 50., 90.)), "a column");
    }

    #[test]
    fn row_runs_as_the_longer_box() {
        let letter = upright(0., 0., 300., 400.);
        assert!(in_row(&letter, &upright(340., 10., 600., 400.)));
        assert!(in_row(&letter, &upright(340., 10., 300., 400.)));
        assert!(!in_row(&letter, &upright(0., 420., 600., 400.)), "the next row");
        assert!(!in_row(&letter, &upright(0., 420., 300., 400.)), "the next row of single letters");
        assert!(in_row(&upright(0., 0., 100., 600.), &upright(10., 700., 100., 120.)), "a column");
    }

    #[test]
    fn enclosing_box_keeps_its_direction() {
        let slanted: Quad = [[0., 0.], [80., 60.], [74., 68.], [-6., 8.]];
        assert_eq!(enclosing(&slanted, &upright(30., 28., 2., 2.)), slanted);
        let grown = enclosing(&slanted, &upright(80., 60., 10., 10.));
        for corner in slanted.iter().chain(&upright(80., 60., 10., 10.)) {
            let inside = |d: f32| contains(&grown, [corner[0] + d, corner[1]]);
            assert!(inside(0.01) || inside(-0.01), "{corner:?} in {grown:?}");
        }
        let [dx, dy] = [grown[1][0] - grown[0][0], grown[1][1] - grown[0][1]];
        assert!((dx * 0.75 - dy).abs() < 0.01, "{grown:?}");
    }
}
