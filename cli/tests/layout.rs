//! How a page is laid out: columns, rows, direction, strips, and print of dots. The images are drawings of our own.

mod support;

use edge_ocr::config::Mode;
use edge_ocr::image::Image;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Page, Pipeline};
use support::root;

fn image(name: &str) -> Image {
    let path = root().join("tests/cases").join(name);
    decode::decode(&std::fs::read(path).expect(name), &Limits::default()).expect(name)
}

/// The texts of a page's lines.
fn texts(page: &Page) -> Vec<String> {
    page.lines().map(|line| line.text().to_string()).collect()
}

fn read(config: Config, image: &Image) -> Vec<String> {
    let mut pipeline = Pipeline::from_config(&config).expect("a pipeline");
    texts(pipeline.run(Frame::new(image.view())).expect("a page"))
}

/// The part of the words of `want` that come in this order in `got`.
fn in_order(want: &str, got: &[String]) -> f64 {
    let got: Vec<&str> = got.iter().flat_map(|line| line.split_whitespace()).collect();
    let want: Vec<&str> = want.split_whitespace().collect();
    let mut longest = vec![0; got.len() + 1];
    for word in &want {
        let mut before = 0;
        for (i, other) in got.iter().enumerate() {
            let here = longest[i + 1];
            longest[i + 1] = if word == other { before + 1 } else { longest[i + 1].max(longest[i]) };
            before = here;
        }
    }
    2.0 * f64::from(longest[got.len()]) / (want.len() + got.len()).max(1) as f64
}

#[test]
fn columns_with_a_narrow_gutter_are_read_in_order() {
    for name in ["narrow_gutter_serif", "narrow_gutter_sans", "narrow_gutter_three"] {
        let want = std::fs::read_to_string(root().join(format!("tests/cases/{name}.txt"))).expect(name);
        let got = read(Config::default(), &image(&format!("{name}.png")));
        let share = in_order(&want, &got);
        assert!(share >= 0.98, "{name}: {share:.3} of the words are in order\n{}", got.join("\n"));
    }
}

#[test]
fn faint_line_of_a_turned_page_is_turned_too() {
    for name in ["turned_faint_word.png", "turned_faint_line.png"] {
        let image = image(name);
        let mut pipeline = Pipeline::from_config(&Config::default()).expect("a pipeline");
        let page = pipeline.run(Frame::new(image.view())).expect("a page");
        assert!(page.len() >= 5, "{name}: {:?}", texts(page));
        let turned: Vec<u8> = page.lines().map(|line| line.quarter_turns).collect();
        assert!(turned.iter().all(|turns| *turns == 2), "{name}: {turned:?} of {:?}", texts(page));
    }
}

#[test]
fn lines_of_both_directions_on_a_page_stay() {
    let image = image("both_directions.png");
    let mut pipeline = Pipeline::from_config(&Config::default()).expect("a pipeline");
    let page = pipeline.run(Frame::new(image.view())).expect("a page");
    let mut got: Vec<(String, u8)> = page.lines().map(|l| (l.text().to_string(), l.quarter_turns)).collect();
    got.sort();
    let want = [("Fill to the mark", 0), ("Keep it dry", 2), ("Pump station north", 0), ("Valve 12 is open", 0)];
    assert_eq!(got, want.map(|(text, turns)| (text.to_owned(), turns)));
}

#[test]
fn roll_on_its_side_gives_all_its_lines() {
    let got = read(Config::default(), &image("roll_on_its_side.png"));
    let mut right = got.iter().filter(|line| {
        let number = line.split(' ').next().and_then(|n| n.parse::<u32>().ok());
        number.is_some_and(|n| **line == format!("{n:03} {}.{:02}", n % 7, n % 100))
    });
    let count = right.by_ref().count();
    assert!(count >= 176, "{count} of 180 lines: {got:?}");
}

/// A line of 200 words, 60 times as long as the widest input is high.
#[test]
fn long_line_is_read_without_a_letter_twice() {
    let image = image("long_line.png");
    let want = std::fs::read_to_string(root().join("tests/cases/long_line.txt")).expect("long_line.txt");
    for mode in [Mode::Line, Mode::Page] {
        let mut config = Config::default();
        config.mode = mode;
        let got = read(config, &image);
        assert_eq!(got, [want.trim()], "{mode:?}");
    }
}

/// Its box was cut to 16,384 pixels in width but not in height, and words were lost.
#[test]
fn line_of_32000_pixels_loses_no_word() {
    let part = image("long_line.png");
    let times = 32_000 / part.width();
    let mut long = Image::new(times * part.width(), part.height(), [255; 3]).expect("an image");
    let rows = long.as_raw_mut().chunks_exact_mut(times * part.width() * 3);
    for (y, row) in rows.enumerate() {
        row.copy_from_slice(&part.view().row(y).repeat(times));
    }
    let want = std::fs::read_to_string(root().join("tests/cases/long_line.txt")).expect("long_line.txt");
    let got = read(Config::default(), &long);
    let share = in_order(&vec![want.trim(); times].join(" "), &got);
    assert!(times > 1 && share >= 0.99, "{share:.3} of the words\n{got:?}");
}

#[test]
fn much_reduced_page_says_so() {
    let image = Image::new(6000, 5000, [255; 3]).expect("an image");
    let mut pipeline = Pipeline::from_config(&Config::default()).expect("a pipeline");
    for (width, height, said) in [(6000, 5000, true), (3000, 2000, false), (6000, 120, false)] {
        let view = image.view().crop(0, 0, width, height).expect("inside");
        let page = pipeline.run(Frame::new(view)).expect("a page");
        assert_eq!(page.notices().count() == 1, said, "{width}x{height}: {}", page.searched_at);
    }
}

#[test]
fn dotted_print_is_found_on_a_page() {
    for name in ["dots_fine.png", "dots_coarse.png", "dots_on_a_large_image.png"] {
        let got = read(Config::default(), &image(name)).join(" ");
        for word in ["BEST", "BEFORE", "12.08.2027", "L4711", "14:35"] {
            assert!(got.contains(word), "{name}: no {word} in {got:?}");
        }
    }
}

#[test]
fn rows_join_an_item_and_its_price() {
    let receipt = std::fs::read(root().join("tests/golden/receipt.jpg")).expect("receipt.jpg");
    let receipt = decode::decode(&receipt, &Limits::default()).expect("receipt.jpg");
    let mut pipeline = Pipeline::from_config(&Config::default()).expect("a pipeline");
    let page = pipeline.run(Frame::new(receipt.view())).expect("a page");
    let text = |line: usize| page.line(line).map_or(String::new(), |line| line.text().to_string());
    let rows: Vec<String> =
        page.rows().iter().map(|row| row.iter().map(|piece| text(piece.line)).collect::<Vec<_>>().join(" ")).collect();
    assert!(rows.len() < page.len(), "{rows:?}");
    let (code, out, err) = support::run(&["read", "--layout", "rows", "tests/golden/receipt.jpg"]);
    assert_eq!(code, 0, "{err}");
    let printed: Vec<String> = out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let want: Vec<String> = rows.iter().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(printed, want);
    let (code, _, err) = support::run(&["read", "--layout", "rows", "-f", "json", "tests/golden/receipt.jpg"]);
    assert_eq!(code, 2, "{err}");
}
