use super::*;
use crate::node::field_config::MarkConfig;
use edge_ocr::config::Mode;
use image::RgbImage;
use std::path::Path;

fn golden(name: &str) -> Image {
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name)).unwrap();
    decode::decode(&bytes, &Limits::default()).unwrap()
}

/// The word image on a larger grey scene with two marks, moved by a similarity.
struct Scene {
    image: Image,
}

const WORD_AT: [usize; 2] = [260, 150];
const SIDES: [usize; 2] = [760, 420];
const MARKS: [[usize; 2]; 2] = [[60, 50], [640, 300]];

impl Scene {
    fn new() -> Scene {
        let mut image = Image::new(SIDES[0], SIDES[1], [170; 3]).unwrap();
        paste(&mut image, &golden("word.png"), WORD_AT);
        for (i, at) in MARKS.into_iter().enumerate() {
            paste(&mut image, &mark(i), at);
        }
        Scene { image }
    }

    fn moved(&self, by: Similarity) -> Image {
        let [w, h] = SIDES;
        let matrix = [
            [by.a, -by.b, 0.5 * (by.a - by.b) + by.dx - 0.5],
            [by.b, by.a, 0.5 * (by.a + by.b) + by.dy - 0.5],
            [0.0, 0.0, 1.0],
        ];
        let mut out = Image::new(w, h, [0; 3]).unwrap();
        warp::warp_cubic(self.image.view(), &matrix, out.as_raw_mut(), w, h).unwrap();
        out
    }
}

/// A ring and a bar, differently for each.
fn mark(i: usize) -> Image {
    let mut image = Image::new(48, 48, [230; 3]).unwrap();
    for y in 0..48usize {
        for x in 0..48usize {
            let r = (x as f32 - 24.0).hypot(y as f32 - 24.0);
            let bar = if i == 0 { x.abs_diff(30) < 4 } else { y.abs_diff(14) < 4 };
            if bar || (14.0..19.0).contains(&r) {
                *image.pixel_mut(x, y).unwrap() = [30; 3];
            }
        }
    }
    image
}

fn paste(onto: &mut Image, part: &Image, [left, top]: [usize; 2]) {
    for y in 0..part.height() {
        let row = onto.row_mut(top + y);
        row[left * 3..(left + part.width()) * 3].copy_from_slice(part.view().row(y));
    }
}

fn field(name: &str, roi: Option<String>) -> FieldConfig {
    FieldConfig { name: name.into(), roi, ..FieldConfig::default() }
}

fn word_roi() -> Option<String> {
    let word = golden("word.png");
    Some(format!("{},{},{},{}", WORD_AT[0], WORD_AT[1], word.width(), word.height()))
}

fn align(folder: &Path) -> AlignConfig {
    let marks = MARKS.into_iter().enumerate().map(|(i, [x, y])| {
        let path = folder.join(format!("mark{i}.png"));
        RgbImage::from_raw(48, 48, mark(i).into_raw()).unwrap().save(&path).unwrap();
        MarkConfig { image: path, x_px: x as u32, y_px: y as u32 }
    });
    AlignConfig { marks: marks.collect(), ..AlignConfig::default() }
}

fn expected() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/word.expected.txt");
    std::fs::read_to_string(path).unwrap().trim_end().to_string()
}

#[test]
fn fields_are_read_each_in_its_own_way() {
    let scene = Scene::new();
    let fields = [
        field("word", word_roi()),
        FieldConfig { mode: Mode::Page, ..field("page", None) },
        FieldConfig { allowed_chars: Some("0123456789".into()), ..field("digits", word_roi()) },
        FieldConfig { pattern: Some("99999".into()), ..field("pattern", word_roi()) },
        field("outside", Some("700,0,100,100".into())),
    ];
    let mut reader = FieldReader::new(&Config::default(), &fields, None).unwrap();
    let read = reader.read(&scene.image).unwrap();
    let names: Vec<&str> = read.fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["word", "page", "digits", "pattern", "outside"]);
    let [word, page, digits, pattern, outside] = &read.fields[..] else { panic!() };
    assert_eq!(word.observation.text, expected());
    assert!(page.observation.text.contains(&expected()), "{:?}", page.observation.text);
    assert!(digits.observation.text.chars().all(|c| c.is_ascii_digit()), "{:?}", digits.observation.text);
    assert_eq!(pattern.observation.chars.len(), 5);
    for f in &read.fields {
        let seen = &f.observation;
        let without_ends: Vec<char> = seen.text.chars().filter(|c| *c != '\n').collect();
        assert_eq!(without_ends, seen.chars.iter().map(|c| c.ch).collect::<Vec<_>>(), "{}", f.name);
        assert!((0.0..=1.0).contains(&seen.score));
        assert!(seen.chars.iter().all(|c| c.second.is_none_or(|(ch, p)| ch != c.ch && p <= 1.0)), "{}", f.name);
        let digits_only = f.name == "digits" || f.name == "pattern";
        assert!(!digits_only || seen.chars.iter().all(|c| c.second.is_some_and(|(ch, _)| ch.is_ascii_digit())));
    }
    assert!(matches!(outside.problem, Some(FieldProblem::Image(ImageError::RegionOutside { .. }))));
    assert!(outside.observation.text.is_empty());
    assert_eq!(page.region, [[0.0, 0.0], [760.0, 0.0], [760.0, 420.0], [0.0, 420.0]]);
}

#[test]
fn fields_move_with_the_marks() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new();
    let fields = [field("word", word_roi())];
    let mut reader = FieldReader::new(&Config::default(), &fields, Some(&align(folder.path()))).unwrap();
    for (turn_deg, dx, dy) in [(0.0, 0.0, 0.0), (0.0, 31.0, -24.0), (2.5, 12.0, 9.0), (-3.0, 0.0, 5.0)] {
        let turn = f64::to_radians(turn_deg);
        let (a, b) = (turn.cos(), turn.sin());
        let [x, y] = SIDES.map(|side| side as f64 / 2.0);
        let by = Similarity { a, b, dx: x - (a * x - b * y) + dx, dy: y - (b * x + a * y) + dy };
        let read = reader.read(&scene.moved(by)).unwrap();
        let alignment = read.alignment.as_ref().unwrap();
        assert!(alignment.aligned, "{turn_deg}: {alignment:?}");
        let word = &read.fields[0];
        assert_eq!((word.observation.text.as_str(), &word.problem), (expected().as_str(), &None), "{turn_deg}");
        let want = by.apply([WORD_AT[0] as f32, WORD_AT[1] as f32]);
        for corner in [word.region[0], word.lines[0][0]] {
            assert!((corner[0] - want[0]).hypot(corner[1] - want[1]) < 2.0, "{turn_deg}: {corner:?} {want:?}");
        }
    }
}

#[test]
fn a_lost_scene_is_not_read_or_read_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut covered = Scene::new().image;
    let blank = Image::new(48, 48, [170; 3]).unwrap();
    MARKS.into_iter().for_each(|at| paste(&mut covered, &blank, at));
    let fields = [field("word", word_roi()), field("all", None)];
    for (on_lost, text) in [(OnLost::Skip, String::new()), (OnLost::Read, expected())] {
        let config = AlignConfig { on_lost, ..align(folder.path()) };
        let read = FieldReader::new(&Config::default(), &fields, Some(&config)).unwrap().read(&covered).unwrap();
        assert!(!read.alignment.unwrap().aligned);
        assert_eq!(read.fields[0].observation.text, text);
        let skipped = matches!(read.fields[0].problem, Some(FieldProblem::NotAligned { .. }));
        assert_eq!(skipped, on_lost == OnLost::Skip);
        assert_eq!(read.fields[1].problem, None, "the whole frame does not move");
    }
}

#[test]
fn region_outside_frame_affects_only_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new();
    let fields = [field("edge", Some("700,100,60,40".into())), field("word", word_roi())];
    let mut reader = FieldReader::new(&Config::default(), &fields, Some(&align(folder.path()))).unwrap();
    let read = reader.read(&scene.moved(Similarity::shift(20.0, 3.0))).unwrap();
    let problem = read.fields[0].problem.clone().unwrap();
    assert!(matches!(problem, FieldProblem::Left { width: 760, .. }), "{problem:?}");
    assert!(problem.to_string().contains("by 20,3 pixels"), "{problem}");
    assert_eq!(read.fields[1].observation.text, expected());
    // Too small for the place of a mark: nothing that a later frame of this size could do better.
    let small = Image::new(200, 200, [0; 3]).unwrap();
    assert!(
        matches!(reader.read(&small), Err(Error::Config(sentence)) if sentence.starts_with("align: reference mark 2"))
    );
}

#[test]
fn mistakes_name_the_field_or_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let made = |fields: &[FieldConfig], align: Option<&AlignConfig>| {
        FieldReader::new(&Config::default(), fields, align).map(|_| ()).unwrap_err().to_string()
    };
    let bad = FieldConfig { allowed_chars: Some("\u{1}".into()), ..field("b", None) };
    assert!(made(&[field("a", None), bad], None).starts_with("field b: "), "characters");
    let bad = FieldConfig { pattern: Some("[".into()), ..field("b", None) };
    assert!(made(&[bad], None).starts_with("field b: the pattern"), "pattern");
    let mut config = align(folder.path());
    config.marks[1].image = folder.path().join("none.png");
    let sentence = made(&[field("a", None)], Some(&config));
    assert!(sentence.starts_with("align: mark 2: ") && sentence.contains("none.png"), "{sentence}");
    std::fs::write(&config.marks[1].image, b"no image").unwrap();
    assert!(made(&[field("a", None)], Some(&config)).starts_with("align: mark 2: "), "damaged");
}

#[test]
fn a_large_line_is_read_small() {
    let word = golden("word.png");
    let rgb = RgbImage::from_raw(word.width() as u32, word.height() as u32, word.as_raw().to_vec()).unwrap();
    let times = 400usize.div_ceil(word.height());
    let (w, h) = (word.width() * times, word.height() * times);
    let large = imageops::resize(&rgb, w as u32, h as u32, imageops::FilterType::Triangle);
    let large = Image::from_raw(large.into_raw(), w, h).unwrap();
    let turned = {
        let mut out = Image::new(h, w, [0; 3]).unwrap();
        edge_ocr::image::turn::turn(large.as_raw(), w, h, edge_ocr::image::turn::Turn::Left, out.as_raw_mut()).unwrap();
        out
    };
    for (rotate_deg, image) in [(0, &large), (90, &turned)] {
        let config = FieldConfig { rotate_deg, ..field("word", None) };
        let mut reader = FieldReader::new(&Config::default(), std::slice::from_ref(&config), None).unwrap();
        let read = reader.read(image).unwrap();
        let small = reduced(image.view(), &reader.fields[0].profile).unwrap().unwrap();
        assert_eq!(if rotate_deg == 0 { small.height() } else { small.width() }, MAX_LINE_PX);
        assert_eq!(read.fields[0].observation.text, expected());
        let (w, h) = (image.width() as f32, image.height() as f32);
        assert_eq!(read.fields[0].lines, [[[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]]], "in pixels of the frame");
    }
}

/// It was taken in pixels of the reduced image: outside of it, or another place.
#[test]
fn region_in_pixels_is_of_the_whole_frame() {
    let (scene, word) = (Scene::new(), golden("word.png"));
    let doubled = [WORD_AT[0], WORD_AT[1], word.width(), word.height()].map(|side| (2 * side).to_string()).join(",");
    let fields = [field("pixels", Some(doubled)), field("parts", Some("25%,0,50%,100%".into()))];
    let mut reader = FieldReader::new(&Config::default(), &fields, None).unwrap();
    let read = reader.read_reduced(&scene.image, SIDES.map(|side| 2 * side)).unwrap();
    let [pixels, parts] = &read.fields[..] else { panic!() };
    assert_eq!((pixels.observation.text.as_str(), &pixels.problem), (expected().as_str(), &None));
    let [left, top] = WORD_AT.map(|at| at as f32);
    assert_eq!(pixels.region[0], [left, top], "places are of the image that was read");
    assert_eq!(parts.region[2], [570.0, 420.0]);
}

#[test]
fn much_reduced_page_is_a_warning_of_its_field() {
    let image = Image::new(6000, 1500, [255; 3]).unwrap();
    let page = FieldConfig { mode: Mode::Page, ..field("page", None) };
    let part = FieldConfig { mode: Mode::Page, ..field("part", Some("0,0,600,150".into())) };
    let mut reader = FieldReader::new(&Config::default(), &[page, part], None).unwrap();
    let read = reader.read(&image).unwrap();
    let [page, part] = &read.fields[..] else { panic!() };
    assert!(page.warnings.len() == 1 && page.warnings[0].contains("of its size"), "{:?}", page.warnings);
    assert_eq!(part.warnings, [""; 0]);
}
