use super::*;
use proptest::prelude::*;

/// Characters of equal width.
fn chars(text: &str) -> Vec<Char> {
    let count = text.chars().count().max(1) as f32;
    let place = |(i, ch)| Char { ch, score: 0.5, start: i as f32 / count, end: (i as f32 + 1.0) / count, second: None };
    text.chars().enumerate().map(place).collect()
}

pub(super) fn rect(x: f32, y: f32, width: f32, height: f32) -> Quad {
    [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
}

/// The quad turned about the origin.
pub(super) fn turned(quad: Quad, degrees: f32) -> Quad {
    let (sin, cos) = degrees.to_radians().sin_cos();
    quad.map(|[x, y]| [x * cos - y * sin, x * sin + y * cos])
}

pub(super) fn push(page: &mut Page, text: &str, quad: Quad, quarter_turns: u8) {
    let chars = chars(text);
    let draft =
        LineDraft { quad, quarter_turns, score: 0.9, det_score: 0.8, second: false, polygon: &[], chars: &chars };
    page.push_line(draft).expect("room");
}

pub(super) fn texts(page: &Page) -> Vec<String> {
    page.lines().map(|line| line.text().to_string()).collect()
}

/// A layout: text and box in the order it shall be read.
type Layout = Vec<(String, Quad)>;

/// Sorts a layout from several shuffles, turned by some angles, and expects the order it is given in.
fn expect_order(layout: &Layout, angles: &[f32]) {
    let expected: Vec<&str> = layout.iter().map(|(text, _)| text.as_str()).collect();
    for &angle in angles {
        for stride in [1, 7, 11, 13] {
            let mut page = Page::boxed();
            let count = layout.len();
            // Strides that share no factor with the count visit every line once.
            let stride = (stride..).find(|s| gcd(*s, count) == 1).unwrap_or(1);
            for i in (0..count).rev() {
                let (text, quad) = &layout[i * stride % count];
                push(&mut page, text, turned(*quad, angle), 0);
            }
            page.sort_reading_order();
            assert_eq!(texts(&page), expected, "turned by {angle}°, shuffled by {stride}");
        }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

pub(super) const SLANTS: [f32; 5] = [0.0, 10.0, -10.0, 3.0, -3.0];

/// `count` lines of set text, 20 px high, 30 px apart, the last one short.
fn paragraph(name: &str, x: f32, y: f32, width: f32, count: usize) -> Layout {
    let line = |i: usize| {
        let width = if i + 1 == count { width * 0.6 } else { width - (i % 3) as f32 * 4.0 };
        (format!("{name} {i}"), rect(x, y + 30.0 * i as f32, width, 20.0))
    };
    (0..count).map(line).collect()
}

#[test]
fn rows_are_read_line_by_line() {
    expect_order(&paragraph("row", 40.0, 40.0, 500.0, 12), &SLANTS);
}

#[test]
fn columns_with_aligned_baselines_do_not_interleave() {
    let mut layout = paragraph("left", 40.0, 40.0, 300.0, 14);
    layout.extend(paragraph("right", 370.0, 40.0, 300.0, 14));
    expect_order(&layout, &SLANTS);
}

#[test]
fn columns_with_free_baselines_do_not_interleave() {
    let mut layout = paragraph("left", 40.0, 40.0, 300.0, 9);
    layout.extend(paragraph("right", 370.0, 54.0, 300.0, 6));
    expect_order(&layout, &SLANTS);
}

#[test]
fn three_columns_are_read_one_after_the_other() {
    let mut layout = paragraph("a", 40.0, 40.0, 250.0, 10);
    layout.extend(paragraph("b", 320.0, 40.0, 250.0, 12));
    layout.extend(paragraph("c", 600.0, 40.0, 250.0, 8));
    expect_order(&layout, &SLANTS);
}

#[test]
fn header_and_footer_enclose_the_columns() {
    let mut layout = vec![("HEADER over both".to_owned(), rect(150.0, 10.0, 400.0, 40.0))];
    layout.extend(paragraph("left", 40.0, 70.0, 300.0, 10));
    layout.extend(paragraph("right", 370.0, 70.0, 300.0, 10));
    layout.push(("footer over both".to_owned(), rect(200.0, 400.0, 300.0, 20.0)));
    expect_order(&layout, &SLANTS);
}

#[test]
fn two_stacks_of_columns_are_read_stack_by_stack() {
    let mut layout = paragraph("a", 40.0, 40.0, 300.0, 8);
    layout.extend(paragraph("b", 370.0, 40.0, 300.0, 8));
    layout.push(("A HEADING across".to_owned(), rect(100.0, 310.0, 500.0, 30.0)));
    layout.extend(paragraph("c", 40.0, 370.0, 300.0, 8));
    layout.extend(paragraph("d", 370.0, 370.0, 300.0, 8));
    expect_order(&layout, &SLANTS);
}

#[test]
fn receipt_rows_keep_item_and_price_together() {
    let mut layout = vec![("SHOP NAME LTD".to_owned(), rect(120.0, 10.0, 260.0, 36.0))];
    for i in 0..12 {
        let y = 70.0 + 30.0 * i as f32;
        let width = 90.0 + 37.0 * (i % 5) as f32;
        layout.push((format!("item number {i}"), rect(20.0, y, width, 24.0)));
        if i % 3 == 0 {
            layout.push((format!("{i} x 2.50"), rect(290.0, y + 2.0, 80.0, 22.0)));
        }
        layout.push((format!("{i}.99"), rect(420.0, y - 2.0, 60.0, 24.0)));
    }
    layout.push(("TOTAL".to_owned(), rect(20.0, 450.0, 110.0, 44.0)));
    layout.push(("61.88".to_owned(), rect(380.0, 452.0, 100.0, 44.0)));
    expect_order(&layout, &SLANTS);
}

#[test]
fn table_of_wide_uneven_cells_read_by_row() {
    let mut layout = Layout::new();
    for i in 0..8 {
        let y = 40.0 + 30.0 * i as f32;
        let width = |step: usize| 60.0 + 50.0 * ((i * step) % 6) as f32;
        layout.push((format!("name {i}"), rect(20.0, y, width(5), 20.0)));
        layout.push((format!("remark {i}"), rect(380.0, y, width(1), 20.0)));
    }
    expect_order(&layout, &SLANTS);
}

#[test]
fn header_off_centre_does_not_undo_the_columns() {
    // It sticks out of the left column and ends in the gutter.
    let mut layout = vec![("Author et al.".to_owned(), rect(240.0, 10.0, 110.0, 20.0))];
    layout.extend(paragraph("left", 40.0, 40.0, 300.0, 14));
    layout.extend(paragraph("right", 370.0, 40.0, 300.0, 14));
    expect_order(&layout, &SLANTS);
}

#[test]
fn small_print_beside_large_print_follows_it() {
    let layout = vec![
        ("LARGE".to_owned(), rect(20.0, 20.0, 300.0, 80.0)),
        ("small one".to_owned(), rect(340.0, 38.0, 150.0, 20.0)),
        ("small two".to_owned(), rect(340.0, 66.0, 150.0, 20.0)),
        ("medium".to_owned(), rect(20.0, 120.0, 200.0, 40.0)),
        ("unit".to_owned(), rect(230.0, 134.0, 50.0, 22.0)),
    ];
    expect_order(&layout, &[0.0]);
}

#[test]
fn pieces_of_a_cut_line_stay_together_in_their_column() {
    let mut layout = Layout::new();
    for (name, x) in [("left", 40.0), ("right", 370.0)] {
        for i in 0..8 {
            let y = 40.0 + 30.0 * i as f32;
            layout.push((format!("{name} {i} first"), rect(x, y, 140.0, 20.0)));
            layout.push((format!("{name} {i} second"), rect(x + 150.0, y + 1.0, 150.0, 20.0)));
        }
    }
    expect_order(&layout, &SLANTS);
}

#[test]
fn page_on_its_head_is_read_from_its_own_top() {
    let layout = paragraph("row", 40.0, 40.0, 300.0, 6);
    let mut page = Page::boxed();
    for (text, quad) in &layout {
        // The detector gives the corners by their place on the image; the classifier turns the text.
        let [a, b, c, d] = turned(*quad, 180.0);
        push(&mut page, text, [c, d, a, b], 2);
    }
    page.sort_reading_order();
    assert_eq!(texts(&page), layout.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>());
}

#[test]
fn vertical_writing_is_read_from_right_to_left() {
    let mut page = Page::boxed();
    for (text, x) in [("third", 40.0), ("first", 140.0), ("second", 90.0)] {
        push(&mut page, text, rect(x, 20.0, 30.0, 400.0), 1);
    }
    page.sort_reading_order();
    assert_eq!(texts(&page), ["first", "second", "third"]);
}

#[test]
fn standing_text_beside_rows_does_not_tear_a_row() {
    let mut page = Page::boxed();
    push(&mut page, "spine", rect(10.0, 30.0, 24.0, 200.0), 1);
    for i in 0..6 {
        let y = 40.0 + 30.0 * i as f32;
        push(&mut page, &format!("item {i}"), rect(60.0, y, 200.0, 22.0), 0);
        push(&mut page, &format!("price {i}"), rect(400.0, y, 60.0, 22.0), 0);
    }
    page.sort_reading_order();
    let texts = texts(&page);
    assert_eq!(texts[0], "spine");
    for pair in texts[1..].chunks(2) {
        assert_eq!(pair[0].replace("item", "price"), pair[1]);
    }
}

#[test]
fn single_tall_digits_do_not_turn_the_page() {
    let mut page = Page::boxed();
    for (text, x) in [("7", 90.0), ("1", 20.0), ("4", 160.0)] {
        push(&mut page, text, rect(x, 20.0, 12.0, 40.0), 1);
    }
    page.sort_reading_order();
    assert_eq!(texts(&page), ["1", "7", "4"]);
}

#[test]
fn rapidocr_order_cuts_rows_at_ten_pixels() {
    let mut page = Page::boxed();
    for (text, x, y) in [("d", 10.0, 28.1), ("b", 200.0, 9.0), ("c", 300.0, 18.0), ("a", 100.0, 0.0)] {
        push(&mut page, text, rect(x, y, 50.0, 8.0), 0);
    }
    page.sort_like_rapidocr();
    assert_eq!(texts(&page), ["a", "b", "c", "d"]);
    page.clear();
    push(&mut page, "right", rect(100.0, 10.0, 50.0, 8.0), 0);
    push(&mut page, "left", rect(0.0, 19.9, 50.0, 8.0), 0);
    page.sort_like_rapidocr();
    assert_eq!(texts(&page), ["left", "right"]);
}

#[test]
fn reading_quad_starts_where_the_text_starts() {
    let mut page = Page::boxed();
    let quad = rect(10.0, 20.0, 30.0, 90.0);
    for turns in 0..6 {
        push(&mut page, "ab", quad, turns);
    }
    let first: Vec<[f32; 2]> = page.lines().map(|line| line.reading_quad()[0]).collect();
    assert_eq!(first, [quad[0], quad[1], quad[2], quad[3], quad[0], quad[1]]);
    // A tall box is read downwards: the second character is its lower half.
    let second = page.line(1).and_then(|line| line.chars().nth(1)).map(|c| c.quad);
    assert_eq!(second, Some([[40.0, 65.0], [40.0, 110.0], [10.0, 110.0], [10.0, 65.0]]));
}

#[test]
fn words_split_at_spaces_and_chinese_characters() {
    let words = |text: &str| -> Vec<String> {
        let mut page = Page::boxed();
        push(&mut page, text, rect(0.0, 0.0, 100.0, 10.0), 0);
        let words = page.line(0).map(|l| l.words().map(|w| w.text().to_string()).collect());
        words.unwrap_or_default()
    };
    assert_eq!(words("TOTAL  12.50 "), ["TOTAL", "12.50"]);
    assert_eq!(words("型号VGG-16的图"), ["型", "号", "VGG-16", "的", "图"]);
    assert_eq!(words("全角\u{3000}空格"), ["全", "角", "空", "格"]);
    assert_eq!(words("한국어 문장"), ["한국어", "문장"]);
    assert!(words("").is_empty() && words("  ").is_empty());
}

#[test]
fn word_has_mean_score_and_box_of_characters() {
    let mut page = Page::boxed();
    let mut chars = chars("a bc");
    chars[3].score = 1.0;
    let draft = LineDraft {
        quad: rect(0.0, 0.0, 100.0, 10.0),
        quarter_turns: 0,
        score: 1.0,
        det_score: 1.0,
        second: false,
        polygon: &[[1.0, 2.0]],
        chars: &chars,
    };
    page.push_line(draft).expect("room");
    let line = page.line(0).expect("one line");
    let word = line.words().nth(1).expect("two words");
    assert_eq!(word.score(), 0.75);
    assert_eq!(word.quad(), rect(50.0, 0.0, 50.0, 10.0));
    assert_eq!(line.polygon(), [[1.0, 2.0]]);
}

#[test]
fn full_page_refuses_and_counts() {
    let mut page = Page::boxed();
    for _ in 0..MAX_LINES {
        push(&mut page, "x", rect(0.0, 0.0, 1.0, 1.0), 0);
    }
    let draft = LineDraft {
        quad: Quad::default(),
        quarter_turns: 0,
        score: 0.0,
        det_score: 0.0,
        second: false,
        polygon: &[],
        chars: &[],
    };
    let full = page.push_line(draft).expect_err("no room");
    assert!(full.to_string().contains("1024 of 1024 lines"), "{full}");
    assert_eq!((page.len(), page.truncated), (MAX_LINES, 1));
    page.sort_reading_order();

    page.clear();
    assert_eq!((page.len(), page.truncated), (0, 0));
    let chars = vec![chars("x")[0]; MAX_CHARS - 1];
    page.push_line(LineDraft { chars: &chars, ..draft }).expect("room");
    page.push_line(LineDraft { chars: &chars[..2], ..draft }).expect_err("two are too many");
    page.push_line(LineDraft { chars: &chars[..1], ..draft }).expect("one fits");
    let outline = vec![[0.0; 2]; MAX_POLYGON_POINTS + 1];
    page.push_line(LineDraft { polygon: &outline, ..draft }).expect("the line without its outline");
    assert_eq!((page.len(), page.truncated), (3, 1));
}

/// At most one part of the page is ever on the stack, and only in a build without any optimisation.
#[test]
fn page_is_built_on_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(1_536 * 1024);
    let built = small.spawn(|| Page::boxed().len()).expect("a thread").join();
    assert_eq!(built.ok(), Some(0));
}

#[test]
fn bounds_are_cut_to_the_page() {
    let quad = [[-5.0, 1.2], [20.7, f32::NAN], [20.7, 9.5], [1e9, 9.5]];
    let area = bounds(&quad, 15, 8);
    assert_eq!(area, Bounds { left: 0, top: 1, right: 15, bottom: 8 });
    assert_eq!((area.width(), area.height()), (15, 7));
}

proptest! {
    /// Whatever is pushed, nothing panics, no line is lost, and no number leaves its range.
    #[test]
    fn any_numbers_are_sorted_and_made_safe(
        boxes in prop::collection::vec(
            (prop::array::uniform8(prop::num::f32::ANY), any::<u8>(), any::<f32>(), 0..4usize), 0..60)
    ) {
        let mut page = Page::boxed();
        for (i, (v, turns, score, len)) in boxes.iter().enumerate() {
            let quad = [[v[0], v[1]], [v[2], v[3]], [v[4], v[5]], [v[6], v[7]]];
            let one = Char { ch: 'x', score: *score, start: v[0], end: v[1], second: Some(('y', *score)) };
            let chars = vec![one; *len];
            let det_score = i as f32 / 64.0;
            page.push_line(LineDraft {
                quad, quarter_turns: *turns, score: *score, det_score, second: false, polygon: &quad, chars: &chars,
            }).expect("room");
        }
        let mut rows: Vec<usize> = page.rows().concat().iter().map(|piece| piece.line).collect();
        rows.sort_unstable();
        prop_assert_eq!(rows, (0..boxes.len()).collect::<Vec<_>>());
        page.sort_reading_order();
        let mut seen: Vec<usize> = page.lines().map(|l| (l.det_score * 64.0) as usize).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..boxes.len()).collect::<Vec<_>>());
        page.sort_like_rapidocr();
        for line in page.lines() {
            prop_assert!((0.0..=1.0).contains(&line.score));
            prop_assert!(line.quad.iter().chain(line.polygon()).flatten().all(|v| v.is_finite()));
            for c in line.chars() {
                prop_assert!((0.0..=1.0).contains(&c.score));
                prop_assert!(c.quad.iter().flatten().all(|v| v.is_finite()));
            }
        }
    }

    /// The order does not depend on the order before, as long as no two boxes are alike.
    #[test]
    fn order_does_not_depend_on_the_order_before(
        boxes in prop::collection::vec((0..900u16, 0..900u16, 20..300u16, 10..40u16), 1..40),
        seed in any::<u64>(),
    ) {
        let mut page = Page::boxed();
        let mut order: Vec<usize> = (0..boxes.len()).collect();
        let mut results = Vec::new();
        for _ in 0..2 {
            page.clear();
            for &i in &order {
                let (x, y, w, h) = boxes[i];
                // A little of the index in each coordinate, so that nothing is alike.
                let odd = i as f32 * 0.0137;
                let quad = rect(f32::from(x) + odd, f32::from(y) + odd * 0.7, f32::from(w), f32::from(h));
                push(&mut page, &format!("line {i}"), quad, 0);
            }
            page.sort_reading_order();
            results.push(texts(&page));
            order.sort_by_key(|&i| (i as u64 + 1).wrapping_mul(seed | 1));
        }
        prop_assert_eq!(&results[0], &results[1]);
    }
}
