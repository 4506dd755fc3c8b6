mod json;

use super::*;
use crate::page::{Char, LineDraft, Quad, Timing};
use serde_json::{Value, json};

pub(super) fn rect(x: f32, y: f32, width: f32, height: f32) -> Quad {
    [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
}

pub(super) fn push(page: &mut Page, text: &str, quad: Quad, quarter_turns: u8, score: f32) {
    let count = text.chars().count().max(1) as f32;
    let place = |(i, ch)| Char { ch, score, start: i as f32 / count, end: (i as f32 + 1.0) / count, second: None };
    let chars: Vec<Char> = text.chars().enumerate().map(place).collect();
    let draft = LineDraft { quad, quarter_turns, score, det_score: 0.75, second: false, polygon: &[], chars: &chars };
    page.push_line(draft).expect("room");
}

/// A page of 200×100 pixels with the given texts, one below the other.
pub(super) fn page(texts: &[&str]) -> Box<Page> {
    let mut page = Page::boxed();
    (page.width_px, page.height_px) = (200, 100);
    for (i, text) in texts.iter().enumerate() {
        push(&mut page, text, rect(10.0, 10.0 + 20.0 * i as f32, 100.0, 15.0), 0, 0.987_654_3);
    }
    page
}

/// The output for some images; a page of `None` failed.
fn written(format: Format, chars: bool, images: &[(&str, Option<&Page>)]) -> String {
    let models =
        Models { det: Some("det".into()), cls: None, rec: "rec".into(), second_rec: None, ran: Default::default() };
    let params = json!({"det": {"thresh": 0.3}, "det_box_thresh": 0.6, "rec-score-thresh": 0.5});
    let mut bytes = Vec::new();
    let mut writer = Writer::new(format, Options { chars, ..Options::default() }, &mut bytes);
    for &(source, page) in images {
        let result = match page {
            Some(page) => {
                let part = Part::default();
                writer.document(&Document { source, page, models: &models, params: &params, engine: "arena", part })
            }
            None => writer.failure(source, "it is \"broken\""),
        };
        result.expect("memory takes all");
    }
    writer.finish().expect("memory takes all");
    String::from_utf8(bytes).expect("UTF-8")
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

pub(super) const HOSTILE: &str = "a\"b\\<c>&'d\te\nf\u{0}\u{1b}[31m\u{202e}שלום مرحبا\u{85}\u{2028}\u{ffff}";

#[test]
fn text_in_rows_joins_item_and_price() {
    let mut page = Page::boxed();
    (page.width_px, page.height_px) = (400, 100);
    for (i, (item, price)) in [("Milk", "1.20"), ("Bread rolls", "13.50"), ("Tea", "")].into_iter().enumerate() {
        let y = 10.0 + 20.0 * i as f32;
        push(&mut page, item, rect(10.0, y, 10.0 * item.len() as f32, 15.0), 0, 0.9);
        if !price.is_empty() {
            push(
                &mut page,
                price,
                rect(310.0 - 10.0 * price.len() as f32, y + 1.0, 10.0 * price.len() as f32, 15.0),
                0,
                0.9,
            );
        }
    }
    let mut bytes = Vec::new();
    let options = Options { layout: Layout::Rows, ..Options::default() };
    let mut writer = Writer::new(Format::Text, options, &mut bytes);
    let params = json!({});
    let (models, part) = (Models::default(), Part::default());
    let document = Document { source: "a", page: &page, models: &models, params: &params, engine: "arena", part };
    writer.document(&document).expect("memory takes all");
    writer.finish().expect("memory takes all");
    let want = "Milk                      1.20\nBread rolls              13.50\nTea\n";
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), want);
}

#[test]
fn much_reduced_page_says_so_where_the_format_can() {
    let mut page = page(&["a"]);
    for (searched_at, said) in [(1.0, false), (0.5, false), (0.25, true)] {
        page.searched_at = searched_at;
        for format in [Format::Json, Format::Jsonl, Format::Hocr, Format::Paddle] {
            let text = written(format, false, &[("a", Some(&page))]);
            assert_eq!(text.contains("reduced to 25 % of its size"), said, "{format} at {searched_at}");
        }
    }
    page.truncated = 3;
    let value = parsed(&written(Format::Json, false, &[("a", Some(&page))]));
    let sentences: Vec<String> = page.notices().map(|notice| notice.to_string()).collect();
    assert_eq!(value["warnings"], json!(sentences));
    assert!(sentences.len() == 2 && sentences[1].starts_with("3 lines found no room"), "{sentences:?}");
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        let message = UnknownFormat(String::new()).to_string();
        assert!(message.contains(format.name()), "{message}");
    }
    let error = "yaml".parse::<Format>().expect_err("no format");
    assert_eq!(error.to_string(), "unknown output format \"yaml\"; use one of text, json, jsonl, tsv, hocr, paddle");
}

#[test]
fn text_has_a_heading_only_for_several_images() {
    let (one, two) = (page(&["Total 5", "end"]), page(&["x"]));
    assert_eq!(written(Format::Text, false, &[("a.png", Some(&one))]), "Total 5\nend\n");
    assert_eq!(
        written(Format::Text, false, &[("a.png", Some(&one)), ("bad", None), ("b.png", Some(&two))]),
        "==> a.png <==\nTotal 5\nend\n\n==> b.png <==\nx\n"
    );
    assert_eq!(written(Format::Text, false, &[]), "");
    assert_eq!(written(Format::Text, false, &[("bad", None)]), "");
    let hostile = page(&[HOSTILE]);
    let text = written(Format::Text, false, &[("a", Some(&hostile))]);
    assert_eq!(text, "a\"b\\<c>&'d e f  [31m\u{202e}שלום مرحبا  \u{ffff}\n");
}

/// What has been written after each image, the end left out.
fn written_so_far(format: Format, images: &[(&str, Option<&Page>)]) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Pipe(std::rc::Rc<std::cell::RefCell<(Vec<u8>, usize)>>);
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            let mut pipe = self.0.borrow_mut();
            pipe.1 = pipe.0.len();
            Ok(())
        }
    }
    let (pipe, models) = (Pipe::default(), Models::default());
    let mut writer = Writer::new(format, Options::default(), io::BufWriter::new(pipe.clone())).several();
    let mut after = Vec::new();
    for &(source, page) in images {
        let params = &json!({});
        match page {
            Some(page) => writer.document(&Document {
                source,
                page,
                models: &models,
                params,
                engine: "arena",
                part: Part::default(),
            }),
            None => writer.failure(source, "it is broken"),
        }
        .expect("memory takes all");
        let pipe = pipe.0.borrow();
        after.push(String::from_utf8(pipe.0[..pipe.1].to_vec()).expect("UTF-8"));
    }
    after
}

#[test]
fn each_image_is_written_when_it_is_read() {
    let (one, two) = (page(&["first"]), page(&["second"]));
    for format in Format::ALL {
        let after = written_so_far(format, &[("a.png", Some(&one)), ("b.png", Some(&two))]);
        assert!(after[0].contains("first") && !after[0].contains("second"), "{format}: {:?}", after[0]);
        assert!(after[1].contains("second"), "{format}: {:?}", after[1]);
    }
    assert_eq!(written_so_far(Format::Text, &[("bad", None), ("a.png", Some(&one))])[1], "==> a.png <==\nfirst\n");
}

#[test]
fn several_images_with_one_read_look_like_several() {
    let page = page(&["x"]);
    let all = |format, images: &[(&str, Option<&Page>)]| {
        let mut bytes = Vec::new();
        let (models, params) = (Models::default(), json!({}));
        let mut writer = Writer::new(format, Options::default(), &mut bytes).several();
        for &(source, page) in images {
            let page = page.expect("a page");
            writer
                .document(&Document {
                    source,
                    page,
                    models: &models,
                    params: &params,
                    engine: "arena",
                    part: Part::default(),
                })
                .unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(all(Format::Text, &[("a.png", Some(&page))]), "==> a.png <==\nx\n");
    assert_eq!(all(Format::Text, &[]), "");
    assert_eq!(parsed(&all(Format::Json, &[("a.png", Some(&page))])).as_array().map(Vec::len), Some(1));
    assert_eq!(parsed(&all(Format::Paddle, &[])), json!([]));
}

#[test]
fn tsv_is_tesseracts_table() {
    let page = page(&["Total 5"]);
    let head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n";
    assert_eq!(
        written(Format::Tsv, false, &[("bad", None), ("a", Some(&page))]),
        format!(
            "{head}1\t2\t0\t0\t0\t0\t0\t0\t200\t100\t-1\t\n\
             2\t2\t1\t0\t0\t0\t10\t10\t100\t15\t-1\t\n\
             3\t2\t1\t1\t0\t0\t10\t10\t100\t15\t-1\t\n\
             4\t2\t1\t1\t1\t0\t10\t10\t100\t15\t-1\t\n\
             5\t2\t1\t1\t1\t1\t10\t10\t72\t15\t98.77\tTotal\n\
             5\t2\t1\t1\t1\t2\t95\t10\t15\t15\t98.77\t5\n"
        )
    );
    assert_eq!(written(Format::Tsv, false, &[]), head);
}

#[test]
fn tsv_rows_have_twelve_fields_whatever_the_text() {
    let page = page(&[HOSTILE, ""]);
    for row in written(Format::Tsv, false, &[("a", Some(&page))]).lines() {
        assert_eq!(row.split('\t').count(), 12, "{row:?}");
    }
}

#[test]
fn hocr_is_xhtml_with_boxes() {
    let mut page = page(&["A&B <5>"]);
    push(&mut page, "up", rect(150.0, 5.5, 20.0, 80.0), 3, 0.5);
    let text = written(Format::Hocr, false, &[("a \"b\" & c.png", Some(&page))]);
    let body = text.split("<body>").nth(1).expect("a body");
    assert_eq!(
        body,
        r#"
  <div class="ocr_page" id="page_1" title="image &quot;a \&quot;b\&quot; &amp; c.png&quot;; bbox 0 0 200 100; ppageno 0">
   <span class="ocr_line" id="line_1_1" title="bbox 10 10 110 25; poly 10 10 110 10 110 25 10 25; x_wconf 99">
    <span class="ocrx_word" id="word_1_1_1" title="bbox 10 10 53 25; x_wconf 99">A&amp;B</span>
    <span class="ocrx_word" id="word_1_1_2" title="bbox 67 10 110 25; x_wconf 99">&lt;5&gt;</span>
   </span>
   <span class="ocr_line" id="line_1_2" title="bbox 150 5 170 86; poly 150 6 170 6 170 86 150 86; textangle 90; x_wconf 50">
    <span class="ocrx_word" id="word_1_2_1" title="bbox 150 5 170 86; x_wconf 50">up</span>
   </span>
  </div>
 </body>
</html>
"#
    );
}

#[test]
fn hocr_is_one_document_without_forbidden_characters() {
    let page = page(&[HOSTILE]);
    let text = written(Format::Hocr, false, &[(HOSTILE, Some(&page)), ("b", None), ("c", Some(&page))]);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{ffff}'));
    assert_eq!(text.matches("<html").count(), 1);
    assert_eq!(text.matches("</html>").count(), 1);
    assert!(text.contains(r#"id="page_1""#) && text.contains(r#"id="page_3""#));
    // Every bracket and ampersand left belongs to the markup.
    let inner = text.split("<body>").nth(1).expect("a body");
    assert_eq!(inner.matches('<').count(), inner.matches('>').count());
    let empty = written(Format::Hocr, false, &[]);
    assert!(empty.ends_with(" <body>\n </body>\n</html>\n"), "{empty}");
}

#[test]
fn paddle_has_the_keys_of_paddleocr() {
    let mut page = page(&[]);
    push(&mut page, "a", [[-0.6, 1.4], [20.5, 2.0], [20.0, 12.0], [0.0, 12.0]], 0, 0.987_654_3);
    let text = written(Format::Paddle, false, &[("a.png", Some(&page))]);
    assert_eq!(
        text,
        concat!(
            r#"{"res":{"input_path":"a.png","page_index":null,"#,
            r#""model_settings":{"use_doc_preprocessor":false,"use_textline_orientation":false},"#,
            r#""dt_polys":[[[-1,1],[21,2],[20,12],[0,12]]],"#,
            r#""text_det_params":{"thresh":0.3,"box_thresh":0.6},"text_type":"general","#,
            r#""textline_orientation_angles":[-1],"text_rec_score_thresh":0.5,"return_word_box":false,"#,
            r#""rec_texts":["a"],"rec_scores":[0.98765],"#,
            r#""rec_polys":[[[-1,1],[21,2],[20,12],[0,12]]],"rec_boxes":[[0,1,21,12]]}}"#,
            "\n"
        )
    );
}

#[test]
fn empty_pages_are_written_in_every_format() {
    let page = page(&[]);
    assert_eq!(written(Format::Text, false, &[("a", Some(&page))]), "");
    assert_eq!(parsed(&written(Format::Json, true, &[("a", Some(&page))]))["lines"], json!([]));
    assert_eq!(parsed(&written(Format::Paddle, false, &[("a", Some(&page))]))["res"]["rec_texts"], json!([]));
    assert_eq!(written(Format::Tsv, false, &[("a", Some(&page))]).lines().count(), 2);
    assert!(written(Format::Hocr, false, &[("a", Some(&page))]).contains("ocr_page"));
}

#[test]
fn errors_of_the_file_are_passed_on() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut full = Full;
    let mut writer = Writer::new(Format::Jsonl, Options::default(), &mut full);
    let error = writer.failure("a", "b").expect_err("full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

/// The output for a file of two pages, of which the second has a warning.
fn written_pages(format: Format) -> String {
    let (models, params) = (Models::default(), json!({}));
    let warnings = ["the file ends early".to_owned()];
    let mut bytes = Vec::new();
    let mut writer = Writer::new(format, Options::default(), &mut bytes);
    for (i, text) in ["first", "second"].into_iter().enumerate() {
        let part = Part { page_number: i + 1, page_count: 2, warnings: &warnings[..i] };
        let page = page(&[text]);
        let document =
            Document { source: "a.tif", page: &page, models: &models, params: &params, engine: "arena", part };
        writer.document(&document).expect("memory takes all");
    }
    writer.finish().expect("memory takes all");
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn pages_of_one_file_are_documents_of_their_own() {
    assert_eq!(
        written_pages(Format::Text),
        "==> a.tif (page 1 of 2) <==\nfirst\n\n==> a.tif (page 2 of 2) <==\nsecond\n"
    );
    let json = parsed(&written_pages(Format::Json));
    for (i, text) in ["first", "second"].into_iter().enumerate() {
        assert_eq!(
            (&json[i]["page"], &json[i]["pages"], &json[i]["source"]),
            (&json!(i + 1), &json!(2), &json!("a.tif"))
        );
        assert_eq!(json[i]["lines"][0]["text"], text);
    }
    assert_eq!((&json[0]["warnings"], &json[1]["warnings"]), (&Value::Null, &json!(["the file ends early"])));
    assert_eq!(
        written_pages(Format::Jsonl).lines().map(|line| parsed(line)["page"].clone()).collect::<Vec<_>>(),
        [1, 2]
    );
    let paddle = parsed(&written_pages(Format::Paddle));
    assert_eq!(paddle[1]["res"]["warnings"], json!(["the file ends early"]));
    assert_eq!([0, 1].map(|i| paddle[i]["res"]["page_index"].clone()), [0, 1]);
    let tsv = written_pages(Format::Tsv);
    let pages: Vec<&str> =
        tsv.lines().filter(|row| row.starts_with("5\t")).filter_map(|row| row.split('\t').nth(1)).collect();
    assert_eq!(pages, ["1", "2"]);
    let hocr = written_pages(Format::Hocr);
    assert!(hocr.contains(r#"id="page_1""#) && hocr.contains(r#"id="page_2""#) && hocr.contains("ppageno 1"), "{hocr}");
    assert_eq!(hocr.matches("x_warning &quot;the file ends early&quot;").count(), 1, "{hocr}");
}
