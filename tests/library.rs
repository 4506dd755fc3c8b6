//! The library as another crate uses it: files and bytes to owned pages, and the stages by themselves.

mod support;

use edge_ocr::config::Mode;
use edge_ocr::detect::TextBox;
use edge_ocr::image::{Image, ImageError, PixelView, decode};
use edge_ocr::page::OwnedPage;
use edge_ocr::pipeline::ProfileConfig;
use edge_ocr::target;
use edge_ocr::{Config, Error, Frame, Pipeline, Region};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{root, with};

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden").join(name)
}

fn image(name: &str) -> Image {
    decode::decode(&std::fs::read(golden(name)).expect(name), &decode::Limits::default()).expect(name)
}

fn expected(name: &str) -> String {
    std::fs::read_to_string(golden(name).with_extension("expected.txt")).expect(name)
}

fn pages() -> Pipeline {
    Pipeline::from_config(&Config::default()).expect("a pipeline")
}

fn lines() -> Pipeline {
    Pipeline::from_config(&with(|config: &mut Config| config.mode = Mode::Line)).expect("a pipeline")
}

/// They were refused, because the first recogniser does not know them.
#[test]
fn characters_of_the_second_recogniser_are_allowed() {
    let [first, .., second] = &target::RECOGNISERS[..] else { return };
    let only_second = second.classes.iter().find(|text| !first.classes.contains(text) && text.chars().count() == 1);
    let Some(text) = only_second else { return };
    for pattern in [None, Some(text.to_string())] {
        let config = with(|config: &mut Config| {
            config.recognise.allowed_chars = Some(format!("{text}0123"));
            config.recognise.pattern = pattern;
        });
        Pipeline::from_config(&config).expect("a pipeline");
    }
}

#[test]
fn read_path_gives_text_size_and_times() {
    let mut pipeline = pages();
    let read = pipeline.read_path(golden("plate.jpg")).expect("read");
    let [page] = &read[..] else { panic!("{} pages", read.len()) };
    assert_eq!(page.text(), expected("plate.jpg"));
    let image = image("plate.jpg");
    assert_eq!([page.width_px as usize, page.height_px as usize], [image.width(), image.height()]);
    assert!(page.timing.decode_ms > 0.0 && page.timing.total_ms > page.timing.decode_ms);
    assert_eq!((page.page, page.pages, page.warnings.len()), (1, 1, 0));
    // As the lowest entry reads the pixels.
    let same = pipeline.run(&image).expect("a page").to_owned();
    assert_eq!(same.lines, page.lines);
}

#[test]
fn large_jpeg_is_told_in_its_whole_size() {
    let bytes = std::fs::read(golden("page.jpg")).expect("page.jpg");
    let mut pipeline = pages();
    for decoded in decode::Pages::new(&bytes[..], decode::Limits::default(), 3_000_000).expect("an image") {
        let decoded = decoded.expect("a page");
        assert_eq!([decoded.image.width(), decoded.image.height()], [750, 1000]);
        let frame = Frame::from(&decoded);
        assert_eq!((frame.full_px, frame.decode_ms), ([1500, 2000], decoded.decode_ms));
        let page = pipeline.run(&decoded).expect("read");
        assert_eq!((page.width_px, page.height_px), (1500, 2000));
    }
}

/// Regions in pixels are of the whole image; they were taken as of the reduced one.
#[test]
fn regions_of_a_reduced_image_are_of_the_whole() {
    let bytes = std::fs::read(golden("page.jpg")).expect("page.jpg");
    let reduced = decode::decode_reduced(&bytes, &decode::Limits::default(), 3_000_000).expect("an image");
    let mut config = Config::default();
    config.regions = vec![Region::pixels(0, 1000, 1500, 1000)];
    let mut pipeline = Pipeline::from_config(&config).expect("a pipeline");
    let mut frame = Frame::from(&reduced.image);
    frame.full_px = reduced.full_px;
    let page = pipeline.run(frame).expect("a region inside");
    assert!(!page.is_empty());
    for line in page.lines() {
        assert!(line.quad[3][1] >= 1000.0, "{} is at {:?}", line.text(), line.quad);
    }
}

#[test]
fn input_that_is_no_image_is_an_error() {
    let mut pipeline = lines();
    assert!(matches!(pipeline.read_path(golden("no such file")), Err(Error::Source(_))));
    assert!(matches!(pipeline.read_path(golden("")), Err(Error::Source(_))));
    assert_eq!(pipeline.read_bytes(b""), Err(Error::Image(ImageError::Empty)));
    assert_eq!(pipeline.read_bytes(b"<html>"), Err(Error::Image(ImageError::UnknownFormat)));
    let mut config = Config::default();
    (config.mode, config.limits.max_bytes) = (Mode::Line, 100);
    let mut pipeline = Pipeline::from_config(&config).expect("a pipeline");
    let (path, bytes) = (golden("word.png"), std::fs::read(golden("word.png")).expect("word.png"));
    assert!(matches!(pipeline.read_bytes(bytes), Err(Error::Image(ImageError::TooManyBytes { limit: 100, .. }))));
    assert!(matches!(pipeline.read_path(path), Err(Error::Source(_))));
}

#[cfg(feature = "formats")]
#[test]
fn every_page_of_a_tiff_is_read_or_none() {
    const PAGES: &[u8] = include_bytes!("cases/three_pages.tif");
    let mut pipeline = pages();
    let read = pipeline.read_bytes(PAGES).expect("pages");
    let texts: Vec<&str> = read.iter().map(|page| page.lines[0].text.as_str()).collect();
    assert_eq!(texts, ["Page one", "Page two", "Page three"]);
    assert_eq!((read[2].page, read[2].pages), (3, 3));
    // Where the last directory would be.
    let cut = &PAGES[..PAGES.len() - 60];
    let error = pipeline.read_bytes(cut).expect_err("a page is missing").to_string();
    assert!(error.contains("after page 2"), "{error}");
    // One after the other those that are there can be had.
    let mut good = 0;
    for decoded in pipeline.pages(cut).expect("pages").flatten() {
        good += usize::from(!pipeline.run(&decoded).expect("a page").is_empty());
    }
    assert_eq!(good, 2);
}

#[cfg(feature = "formats")]
#[test]
fn frames_left_out_are_a_warning() {
    let mut gif = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut gif);
    for _ in 0..3 {
        encoder
            .encode_frame(image::Frame::new(image::RgbaImage::from_pixel(64, 48, [255; 4].into())))
            .expect("a frame");
    }
    drop(encoder);
    let read = lines().read_bytes(gif).expect("read");
    assert!(read.len() == 1 && read[0].warnings[0].contains("2 further ones were not"), "{:?}", read[0].warnings);
}

#[test]
fn boxes_found_and_read_give_the_text_of_run() {
    let (mut pipeline, image) = (pages(), image("receipt.jpg"));
    let boxes = pipeline.detect(&image).expect("boxes");
    let lines = pipeline.recognise(&image, &boxes).expect("lines");
    assert_eq!(lines.len(), boxes.len());
    for (line, text_box) in lines.iter().zip(&boxes) {
        assert_eq!((line.quad, line.det_score), (text_box.quad, text_box.score));
    }
    let page = pipeline.run(&image).expect("a page").to_owned();
    for line in &page.lines {
        let same = lines.iter().find(|other| other.quad == line.quad).expect("a box of each line");
        assert_eq!(same, line);
    }
    assert!(page.lines.len() > 10);
}

#[test]
fn box_without_pixels_has_an_empty_line() {
    let (mut pipeline, image) = (pages(), image("word.png"));
    let [w, h] = [image.width() as f32, image.height() as f32];
    let whole = TextBox::from([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]]);
    let nothing = TextBox::from([[3.0, 3.0]; 4]);
    let lines = pipeline.recognise(&image, &[nothing.clone(), whole, nothing]).expect("lines");
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["", "Kitchen", ""]);
    assert_eq!((lines[0].score, lines[0].words.len()), (0.0, 0));
    assert_eq!(pipeline.recognise(&image, &[]), Ok(Vec::new()));
}

#[test]
fn line_is_read_without_a_detector() {
    let mut pipeline = lines();
    let rgb = image("word.png");
    let line = pipeline.recognise_line(&rgb).expect("a line");
    assert_eq!((line.text.as_str(), line.words.len(), line.chars.len()), ("Kitchen", 1, 7));
    assert!(line.score > 0.9);
    // The same of the crate `image`'s.
    let (w, h) = (rgb.width() as u32, rgb.height() as u32);
    let other = image::RgbImage::from_raw(w, h, rgb.as_raw().to_vec()).expect("an image");
    let view = PixelView::try_from(&other).expect("pixels");
    assert_eq!(pipeline.recognise_line(view).expect("a line"), line);
    let blank = Image::new(320, 48, [255; 3]).expect("an image");
    assert_eq!(pipeline.recognise_line(&blank).expect("a line").text, "");
    assert!(matches!(pipeline.detect(&rgb), Err(Error::Config(_))));
}

#[test]
fn pipelines_that_share_networks_read_the_same() {
    let mut first = pages();
    let mut second = first.sharing_networks().expect("a second pipeline");
    assert_eq!((second.names(), second.config()), (first.names(), first.config()));
    let images = ["receipt.jpg", "columns.png", "upside_down.png", "plate.jpg"];
    let read = |pipeline: &mut Pipeline, names: &[&str]| -> Vec<OwnedPage> {
        names.iter().map(|name| pipeline.run(&image(name)).expect("read").to_owned()).collect()
    };
    let alone = read(&mut first, &images);
    assert_eq!(alone[3].text(), expected("plate.jpg"));
    // At the same time, each in another order.
    let (forth, back) = std::thread::scope(|scope| {
        let back = scope.spawn(|| {
            let mut names = images;
            names.reverse();
            let mut pages = read(&mut second, &names);
            pages.reverse();
            pages
        });
        (read(&mut first, &images), back.join().expect("no panic"))
    });
    // Either outlives the other.
    drop(first);
    for pages in [forth, back, read(&mut second, &images)] {
        for ((page, alone), name) in pages.iter().zip(&alone).zip(images) {
            assert_eq!(page.lines, alone.lines, "{name}");
        }
    }
}

/// Its own way of reading, its profiles and its progress are those of the pipeline it was made from.
#[test]
fn pipeline_sharing_networks_is_set_up_alike() {
    let mut first = Pipeline::from_config(&with(|config: &mut Config| {
        config.mode = Mode::Line;
        config.recognise.allowed_chars = Some("0123456789".into());
    }))
    .expect("a pipeline");
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    first.on_progress(Arc::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    let profile = first.profile(&with(|profile: &mut ProfileConfig| profile.mode = Mode::Line)).expect("a profile");
    let mut second = first.sharing_networks().expect("a second pipeline");
    let plate = image("digit.png");
    let text = second.run(&plate).expect("read").to_owned().text();
    assert!(text.trim().chars().all(|c| c.is_ascii_digit()), "{text}");
    assert!(runs.load(Ordering::Relaxed) > 0);
    let free = first.run_profile(&plate, &profile, None).expect("read").to_owned();
    assert_eq!(second.run_profile(&plate, &profile, None).expect("read").to_owned().lines, free.lines);
}

#[test]
fn pipeline_and_results_can_be_sent() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Pipeline>();
    send::<OwnedPage>();
    sync::<OwnedPage>();
    send::<Error>();
    sync::<Error>();
}
