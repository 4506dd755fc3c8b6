//! Tests against the reference (`golden.json`: results of OpenCV 5.0.0, pyclipper 1.4.0 and RapidOCR 3.10 for synthetic
//! input), and properties that must hold for any input.

use super::approx::{approx_polygon, arc_length};
use super::fill::{Mask, PixelBox};
use super::rect::{RectScratch, RotatedRect, min_area_rect};
use super::unclip::{OffsetScratch, offset, start_as_clipper, union};
use super::{BoxMode, DbParams, DbScratch, MapView, Point, ScoreMode, TextBox, boxes_from_map};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rects: Vec<RectCase>,
    fills: Vec<FillCase>,
    offsets: Vec<OffsetCase>,
    approx: Vec<ApproxCase>,
    maps: Vec<MapCase>,
}

#[derive(Deserialize)]
struct RectCase {
    points: Vec<Point>,
    /// Centre x, y, width, height, angle.
    rect: [f32; 5],
    corners: Option<[[f32; 2]; 4]>,
}

#[derive(Deserialize)]
struct FillCase {
    size: [i32; 2],
    polygon: Vec<Point>,
    mask: String,
}

#[derive(Deserialize)]
struct OffsetCase {
    polygon: Vec<[f64; 2]>,
    distance: f64,
    convex: bool,
    result: Vec<Vec<Point>>,
}

#[derive(Deserialize)]
struct ApproxCase {
    contour: Vec<Point>,
    length: f64,
    epsilon: f64,
    result: Vec<Point>,
}

#[derive(Deserialize)]
struct MapCase {
    name: String,
    size: [usize; 2],
    /// Values in sixteenths, each followed by how often it repeats.
    runs: Vec<usize>,
    cases: Vec<BoxCase>,
}

#[derive(Deserialize)]
struct BoxCase {
    page: [u32; 2],
    params: DbParams,
    /// Quads, or polygons in poly mode.
    boxes: Vec<Vec<[f32; 2]>>,
    scores: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

#[test]
fn rectangles_are_bit_equal_to_opencv() {
    let mut scratch = RectScratch::default();
    for case in golden().rects {
        let rect = min_area_rect(&case.points, &mut scratch).unwrap();
        let [x, y, width, height, angle] = case.rect;
        assert_eq!(rect, RotatedRect { centre: [x, y], size: [width, height], angle }, "{:?}", case.points);
        if let Some(corners) = case.corners {
            assert_eq!(rect.corners(), corners, "{:?}", case.points);
        }
    }
}

#[test]
fn filled_pixels_are_opencvs() {
    let mut mask = Mask::default();
    for case in golden().fills {
        let [width, height] = case.size;
        mask.paint(PixelBox { x: (0, width - 1), y: (0, height - 1) }, case.polygon.iter().copied());
        let row = |cells: &[u8]| cells.iter().map(|&cell| if cell == 1 { '#' } else { '.' }).collect::<String>();
        let rows: Vec<_> = mask.cells.chunks(width as usize).map(row).collect();
        assert_eq!(rows.join("\n"), case.mask.replace(' ', "\n"), "{:?} in {:?}", case.polygon, case.size);
    }
}

#[test]
fn offsets_are_clippers() {
    let (mut scratch, mut rect, mut outline) = (OffsetScratch::default(), RectScratch::default(), Vec::new());
    for case in golden().offsets {
        offset(case.polygon.iter().copied(), case.distance, &mut scratch, &mut outline);
        if case.convex {
            let expected = min_area_rect(&case.result[0], &mut rect);
            start_as_clipper(&mut outline);
            assert_eq!(min_area_rect(&outline, &mut rect), expected, "{:?} by {}", case.polygon, case.distance);
        } else {
            assert_eq!(union(&mut outline), case.result.len() == 1, "{:?} by {}", case.polygon, case.distance);
            if case.result.len() == 1 {
                let (ours, theirs) = (area(&outline), area(&case.result[0]));
                assert!((ours - theirs).abs() <= 0.001 * theirs, "{:?}: area {ours}, not {theirs}", case.polygon);
            }
        }
    }
}

fn area(polygon: &[Point]) -> f64 {
    let next = polygon.iter().cycle().skip(1);
    let twice: i64 = polygon.iter().zip(next).map(|(a, b)| i64::from(a[0] * b[1] - b[0] * a[1])).sum();
    twice as f64 / 2.0
}

#[test]
fn simplified_polygons_are_opencvs() {
    let (mut stack, mut corners) = (Vec::new(), Vec::new());
    for case in golden().approx {
        assert!((arc_length(&case.contour) - case.length).abs() < 1e-4);
        approx_polygon(&case.contour, case.epsilon, &mut stack, &mut corners);
        assert_eq!(corners, case.result, "{:?} within {}", case.contour, case.epsilon);
    }
}

#[test]
fn boxes_are_rapidocrs() {
    let (mut scratch, mut boxes) = (DbScratch::default(), Vec::new());
    for map in golden().maps {
        let values = map.runs.chunks(2).flat_map(|run| std::iter::repeat_n(run[0] as f32 / 16.0, run[1]));
        let values: Vec<f32> = values.collect();
        let view = MapView::new(&values, map.size[0], map.size[1]).unwrap();
        for case in &map.cases {
            let what = format!("{} on {:?} with {:?}", map.name, case.page, case.params);
            boxes_from_map(view, case.page[0], case.page[1], &case.params, &mut scratch, &mut boxes);
            assert_eq!(boxes.len(), case.boxes.len(), "{what}");
            for ((found, expected), score) in boxes.iter().zip(&case.boxes).zip(&case.scores) {
                assert!((f64::from(found.score) - score).abs() < 1e-6, "{what}: {}, not {score}", found.score);
                match case.params.box_mode {
                    BoxMode::Quad => assert_eq!(found.quad.as_slice(), expected, "{what}"),
                    BoxMode::Poly => {
                        assert!(same_outline(&found.polygon, expected), "{what}: {found:?}, not {expected:?}")
                    }
                }
            }
        }
    }
}

/// Whether every corner of one polygon is within two pixels of the outline of the other. (Where an outline crosses itself,
/// Clipper and i_overlay round to different neighbours, and on straight runs they may keep different points.)
fn same_outline(a: &[[f32; 2]], b: &[[f32; 2]]) -> bool {
    let covered = |a: &[[f32; 2]], b: &[[f32; 2]]| {
        a.iter().all(|&p| {
            let edges = b.iter().zip(b.iter().cycle().skip(1));
            edges.map(|(&from, &to)| distance_to_edge(p, from, to)).fold(f32::MAX, f32::min) <= 2.0
        })
    };
    covered(a, b) && covered(b, a)
}

fn distance_to_edge(p: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let ([dx, dy], [px, py]) = ([to[0] - from[0], to[1] - from[1]], [p[0] - from[0], p[1] - from[1]]);
    let along = ((px * dx + py * dy) / (dx * dx + dy * dy).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
    (px - along * dx).hypot(py - along * dy)
}

#[test]
fn buffers_carry_nothing_over() {
    let golden = golden();
    let (mut scratch, mut again, mut fresh) = (DbScratch::default(), Vec::new(), Vec::new());
    for map in golden.maps.iter().chain(golden.maps.iter().rev()) {
        let values: Vec<f32> = map.runs.chunks(2).flat_map(|run| vec![run[0] as f32 / 16.0; run[1]]).collect();
        let view = MapView::new(&values, map.size[0], map.size[1]).unwrap();
        boxes_from_map(view, 500, 400, &DbParams::default(), &mut scratch, &mut again);
        boxes_from_map(view, 500, 400, &DbParams::default(), &mut DbScratch::default(), &mut fresh);
        assert_eq!(again, fresh);
    }
}

fn run(values: &[f32], width: usize, page: (u32, u32), params: &DbParams) -> Vec<TextBox> {
    let view = MapView::new(values, width, values.len().checked_div(width).unwrap_or(0)).unwrap();
    let mut boxes = Vec::new();
    boxes_from_map(view, page.0, page.1, params, &mut DbScratch::default(), &mut boxes);
    boxes
}

#[test]
fn nothing_comes_from_nothing() {
    let params = DbParams { min_side_px: 0.0, box_thresh: 0.0, ..DbParams::default() };
    assert!(run(&[], 0, (100, 100), &params).is_empty());
    assert!(run(&[0.0; 100], 10, (100, 100), &params).is_empty());
    assert!(run(&[f32::NAN; 100], 10, (100, 100), &params).is_empty());
    assert!(run(&[1.0; 100], 10, (0, 100), &params).is_empty());
    assert!(run(&[1.0; 100], 10, (100, 100), &DbParams { max_candidates: 0, ..params }).is_empty());
}

#[test]
fn a_full_map_is_one_box_over_the_page() {
    let boxes = run(&[1.0; 64 * 64], 64, (640, 320), &DbParams::default());
    let quad = [[0.0, 0.0], [639.0, 0.0], [639.0, 319.0], [0.0, 319.0]];
    assert_eq!(boxes, [TextBox { quad, polygon: Vec::new(), score: 1.0 }]);
}

#[test]
fn nan_inside_text_lowers_the_score() {
    let mut values = [1.0; 32 * 16];
    values[8 * 32..9 * 32].fill(f32::NAN);
    let params = DbParams { dilate: false, ..DbParams::default() };
    assert!(run(&values, 32, (320, 160), &params).iter().all(|found| found.score.is_finite()));
}

fn any_value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => Just(0.0f32), 4 => Just(1.0f32), 4 => 0.0f32..1.0, 1 => any::<f32>(),
        1 => Just(f32::NAN), 1 => Just(f32::INFINITY), 1 => Just(f32::NEG_INFINITY),
    ]
}

fn any_map() -> impl Strategy<Value = (usize, Vec<f32>)> {
    // Cells of several pixels now and then, so that there are contours of some size.
    (0usize..=64, 0usize..=64, 1usize..=9).prop_flat_map(|(width, height, cell)| {
        let (columns, rows) = (width.div_ceil(cell), height.div_ceil(cell));
        proptest::collection::vec(any_value(), columns * rows).prop_map(move |cells| {
            let at = |i: usize| cells[i / width / cell * columns + i % width / cell];
            (width, (0..width * height).map(at).collect())
        })
    })
}

fn any_params() -> impl Strategy<Value = DbParams> {
    let number = || prop_oneof![8 => 0.0f32..4.0, 1 => any::<f32>(), 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)];
    (0.0f32..1.0, 0.0f32..1.0, number(), 0usize..40, number(), any::<(bool, u8, bool)>()).prop_map(
        |(thresh, box_thresh, unclip_ratio, max_candidates, min_side_px, (dilate, score, poly))| DbParams {
            thresh,
            box_thresh,
            unclip_ratio,
            max_candidates,
            min_side_px,
            dilate,
            score_mode: [ScoreMode::Slow, ScoreMode::Fast, ScoreMode::Adaptive][usize::from(score % 3)],
            box_mode: if poly { BoxMode::Poly } else { BoxMode::Quad },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_map_gives_boxes_on_the_page(
        (width, values) in any_map(),
        params in any_params(),
        page in (0u32..3000, 0u32..3000),
    ) {
        for found in run(&values, width, page, &params) {
            prop_assert!((0.0..=1.0).contains(&found.score), "{}", found.score);
            for [x, y] in found.quad.iter().chain(&found.polygon) {
                prop_assert!(*x >= 0.0 && *y >= 0.0 && *x < page.0 as f32 && *y < page.1 as f32, "{:?}", found);
                prop_assert!(x.fract() == 0.0 && y.fract() == 0.0);
            }
        }
    }

    #[test]
    fn the_smallest_rectangle_holds_its_points(
        points in proptest::collection::vec(prop_oneof![[0i32..8, 0i32..8], [-3000i32..3000, -3000i32..3000]], 1..60),
    ) {
        let rect = min_area_rect(&points, &mut RectScratch::default()).unwrap();
        let (sin, cos) = f64::from(rect.angle).to_radians().sin_cos();
        for [x, y] in &points {
            let (dx, dy) = (f64::from(*x) - f64::from(rect.centre[0]), f64::from(*y) - f64::from(rect.centre[1]));
            let (along, across) = (dx * cos + dy * sin, dy * cos - dx * sin);
            prop_assert!(along.abs() <= f64::from(rect.size[0]) / 2.0 + 0.02, "{rect:?}");
            prop_assert!(across.abs() <= f64::from(rect.size[1]) / 2.0 + 0.02, "{rect:?}");
        }
        // No larger than the upright rectangle.
        let extent = |axis: usize| {
            let values = || points.iter().map(|point| point[axis]);
            f64::from(values().max().unwrap() - values().min().unwrap())
        };
        let area = f64::from(rect.size[0]) * f64::from(rect.size[1]);
        prop_assert!(area <= extent(0) * extent(1) * 1.001 + 0.1);
    }
}
