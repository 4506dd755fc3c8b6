use super::*;
use crate::image::{CHANNELS, Image, warp};
use proptest::prelude::*;

const SIDES: [usize; 2] = [480, 320];

/// A scene of random rectangles, some large, some small; the same for the same seed.
fn scene(seed: u64) -> Image {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    let [width, height] = SIDES;
    let mut image = Image::new(width, height, [120; 3]).unwrap();
    for i in 0..400 {
        let most = if i < 100 { 70 } else { 14 };
        let (w, h, grey) = (3 + random(most), 3 + random(most), 40 + random(176) as u8);
        let (left, top) = (random(width), random(height));
        for y in top..(top + h).min(height) {
            for x in left..(left + w).min(width) {
                *image.pixel_mut(x, y).unwrap() = [grey; 3];
            }
        }
    }
    image
}

/// The scene as a camera sees it that has moved: points go by `by`; brightness `gain · v + offset`.
fn seen(scene: &Image, by: Similarity, gain: f32, offset: f32) -> Image {
    let [w, h] = SIDES;
    // The warp counts from the middles of pixels.
    let half = 0.5 * (by.a - by.b) + by.dx - 0.5;
    let half_y = 0.5 * (by.b + by.a) + by.dy - 0.5;
    let matrix = [[by.a, -by.b, half], [by.b, by.a, half_y], [0.0, 0.0, 1.0]];
    let mut out = Image::new(w, h, [0; 3]).unwrap();
    warp::warp_cubic(scene.view(), &matrix, out.as_raw_mut(), w, h).unwrap();
    for v in out.as_raw_mut() {
        *v = (f32::from(*v) * gain + offset).round() as u8;
    }
    out
}

const PLACES: [[u32; 2]; 2] = [[70, 60], [340, 200]];

fn aligner(scene: &Image, count: usize, search_px: u32) -> Aligner {
    let marks = PLACES.map(|[x, y]| scene.view().crop(x as usize, y as usize, 60, 60).unwrap());
    let marks: Vec<_> = marks.into_iter().zip(PLACES).take(count).collect();
    Aligner::new(&marks, AlignParams { search_px, ..AlignParams::default() }).unwrap()
}

#[test]
fn a_turned_and_scaled_scene_is_found() {
    for (seed, turn_deg, scale) in [(1, 0.0, 1.0), (2, 1.0, 1.0), (3, -2.0, 1.01), (4, 3.0, 0.99), (5, -0.4, 1.0)] {
        let scene = scene(seed);
        let turn = f64::to_radians(turn_deg);
        let (a, b) = (scale * turn.cos(), scale * turn.sin());
        // About the middle, then 7 to the right and 5 up.
        let [x, y] = SIDES.map(|side| side as f64 / 2.0);
        let by = Similarity { a, b, dx: x - (a * x - b * y) + 7.0, dy: y - (b * x + a * y) - 5.0 };
        let found = aligner(&scene, 2, 40).locate(seen(&scene, by, 1.0, 0.0).view()).unwrap();
        assert!(found.aligned, "{turn_deg}: {found:?}");
        assert!((f64::from(found.transform.turn_deg()) - turn_deg).abs() < 0.15, "{turn_deg}: {found:?}");
        for corner in [[10.0, 10.0], [470.0, 10.0], [470.0, 310.0], [10.0, 310.0]] {
            let (want, got) = (by.apply(corner), found.transform.apply(corner));
            assert!((want[0] - got[0]).hypot(want[1] - got[1]) < 1.2, "{turn_deg} at {corner:?}: {want:?} {got:?}");
        }
    }
}

#[test]
fn brightness_and_contrast_do_not_count() {
    let scene = scene(9);
    let by = Similarity::shift(-13.0, 22.0);
    for (gain, offset) in [(0.3, 0.0), (0.5, 120.0), (0.2, 200.0), (1.0, 30.0)] {
        let found = aligner(&scene, 1, 30).locate(seen(&scene, by, gain, offset).view()).unwrap();
        assert!(found.aligned && found.score > 0.98, "{gain} {offset}: {found:?}");
        assert_eq!([found.transform.dx.round(), found.transform.dy.round()], [-13.0, 22.0]);
    }
}

#[test]
fn a_part_of_a_pixel_is_told() {
    let scene = scene(3);
    for (dx, dy) in [(4.5, 0.0), (-3.25, 2.75), (0.3, -0.3)] {
        let found = aligner(&scene, 1, 10).locate(seen(&scene, Similarity::shift(dx, dy), 1.0, 0.0).view()).unwrap();
        let off = (found.transform.dx - dx).hypot(found.transform.dy - dy);
        assert!(off < 0.35, "{dx} {dy}: {found:?}");
    }
}

#[test]
fn another_scene_is_not_aligned_and_nothing_is_moved() {
    for count in [1, 2] {
        for seed in 20..26 {
            let found = aligner(&scene(9), count, 40).locate(scene(seed).view()).unwrap();
            assert!(!found.aligned, "{found:?}");
            assert_eq!(found.transform, Similarity::IDENTITY);
            assert_eq!(found.marks.len(), count);
        }
        let flat = Image::new(SIDES[0], SIDES[1], [90; 3]).unwrap();
        let found = aligner(&scene(9), count, 40).locate(flat.view()).unwrap();
        assert!(!found.aligned && found.score == 0.0, "{found:?}");
    }
}

#[test]
fn marks_that_cannot_be_found_are_refused() {
    let scene = scene(1);
    let view = |x, y, w, h| scene.view().crop(x, y, w, h).unwrap();
    let flat = Image::new(40, 40, [7; 3]).unwrap();
    let good = (view(0, 0, 40, 40), [0, 0]);
    let params = AlignParams::default();
    let made = |marks: &[(PixelView<'_>, [u32; 2])]| Aligner::new(marks, params).map(|_| ()).unwrap_err();
    assert_eq!(made(&[]), AlignError::Count { count: 0 });
    assert_eq!(made(&[good; 3]), AlignError::Count { count: 3 });
    assert!(matches!(made(&[(view(0, 0, 7, 40), [0, 0])]), AlignError::Size { mark: 1, width: 7, .. }));
    assert_eq!(made(&[good, (flat.view(), [200, 0])]), AlignError::Flat { mark: 2 });
    assert_eq!(made(&[good, (view(50, 0, 40, 40), [50, 0])]), AlignError::Near { distance_px: 50.0 });
    for bad in [
        AlignParams { search_px: 0, ..params },
        AlignParams { search_px: 999, ..params },
        AlignParams { min_score: f32::NAN, ..params },
    ] {
        assert!(matches!(Aligner::new(&[good], bad), Err(AlignError::Params(_))), "{bad:?}");
    }
    // At the edge of a frame less is searched; beyond it there is nothing to search.
    let edge = Aligner::new(&[good], params).unwrap();
    assert!(edge.locate(scene.view()).unwrap().aligned);
    assert!(matches!(edge.locate(view(0, 0, 39, 200)), Err(AlignError::Outside { mark: 1, .. })));
    let far = Aligner::new(&[(good.0, [u32::MAX, 0])], params).unwrap();
    assert!(matches!(far.locate(scene.view()), Err(AlignError::Outside { .. })));
}

/// Noise has no detail left at half its size; it must be searched at its full one.
#[test]
fn noise_is_found_too() {
    let mut noise = Image::new(200, 160, [0; 3]).unwrap();
    let mut state = 1u32;
    for pixel in noise.as_raw_mut().as_chunks_mut::<CHANNELS>().0 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *pixel = [(state >> 24) as u8; 3];
    }
    let mark = noise.view().crop(73, 61, 24, 24).unwrap();
    let found = Aligner::new(&[(mark, [60, 70])], AlignParams::default()).unwrap().locate(noise.view()).unwrap();
    assert!(found.aligned && found.score > 0.999);
    assert_eq!([found.transform.dx.round(), found.transform.dy.round()], [13.0, -9.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shift_is_found_exactly(seed in 0u64..1000, dx in -40i32..=40, dy in -40i32..=40, count in 1usize..3) {
        let scene = scene(seed);
        let by = Similarity::shift(f64::from(dx), f64::from(dy));
        let found = aligner(&scene, count, 40).locate(seen(&scene, by, 1.0, 0.0).view()).unwrap();
        prop_assert!(found.aligned && found.score > 0.999, "{:?}", found);
        for ((middle, _), [x, y]) in found.marks.iter().zip(PLACES) {
            let want = [x as f32 + 30.0 + dx as f32, y as f32 + 30.0 + dy as f32];
            prop_assert!((middle[0] - want[0]).abs() < 0.5 && (middle[1] - want[1]).abs() < 0.5, "{:?} {:?}", middle, want);
        }
    }

    #[test]
    fn two_points_give_the_map(p: [i16; 2], q: [i16; 2], p_to: [i16; 2], q_to: [i16; 2]) {
        prop_assume!(p != q);
        let [p, q, p_to, q_to] = [p, q, p_to, q_to].map(|point| point.map(f32::from));
        let map = Similarity::between([p, p_to], [q, q_to]);
        for (from, to) in [(p, p_to), (q, q_to)] {
            let got = map.apply(from);
            prop_assert!((got[0] - to[0]).hypot(got[1] - to[1]) < 0.1, "{:?} {:?}", got, to);
        }
    }

    #[test]
    fn any_marks_and_frames_are_an_answer(
        mark in (1usize..40, 1usize..40), at: [u32; 2], frame in (1usize..60, 1usize..60), search_px in 1u32..30,
    ) {
        let at = at.map(|v| v % 64);
        let scene = scene(u64::from(search_px));
        let part = scene.view().crop(0, 0, mark.0, mark.1).unwrap();
        let frame = scene.view().crop(9, 9, frame.0, frame.1).unwrap();
        let aligner = Aligner::new(&[(part, at)], AlignParams { search_px, ..AlignParams::default() });
        if let Some(found) = aligner.ok().and_then(|aligner| aligner.locate(frame).ok()) {
            prop_assert!(found.score.abs() <= 1.0001);
        }
    }
}
