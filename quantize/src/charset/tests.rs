use super::*;
use crate::graph::{DType, Node, Quant, Tensor, TensorId};
use crate::q8::{Input, Provenance};

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|t| t.to_string()).collect()
}

/// A recogniser of the head alone: three numbers per token, row r holds r, r, r.
fn model(classes: &[&str], quantised: bool) -> Model {
    let n = classes.len();
    let weights = match quantised {
        true => Weights::I8 {
            values: (0..n).flat_map(|r| [r as i8; 3]).collect(),
            scales: (0..n).map(|r| 1.0 + r as f32).collect(),
        },
        false => Weights::F32((0..n).flat_map(|r| [r as f32; 3]).collect()),
    };
    let bias = (0..n).map(|r| 0.5 * r as f32).collect();
    let op = Op::CtcHead(CtcHead { classes: n as u32, in_channels: 3, weights, bias });
    let tensor = |channels: usize, dtype| Tensor { name: "t".into(), channels: channels as u32, dtype };
    let input = DType::U8(Quant { scale: 1.0, zero: 128 });
    Model {
        name: "rec".into(),
        kind: crate::q8::Kind::Recogniser,
        input: Input { bgr: true, height_px: Some(48), width_px: None, multiple_of_px: None },
        classes: texts(classes),
        provenance: Provenance {
            source: "rec".into(),
            sha256: String::new(),
            licence: "CC0".into(),
            tool: "0".into(),
            calibration: String::new(),
        },
        graph: Graph {
            tensors: vec![tensor(3, input), tensor(n, DType::F32)],
            nodes: vec![Node { name: "head".into(), op, inputs: vec![TensorId(0)], output: TensorId(1) }],
            input: TensorId(0),
            output: TensorId(1),
        },
    }
}

const CLASSES: [&str; 8] = ["", "中", "7", "é", "ab", "b", "a中", " "];

#[test]
fn blank_and_space_always_stay() {
    for quantised in [false, true] {
        let cut = model(&CLASSES, quantised).prune(&Charset::of_text("7\n中").unwrap()).unwrap();
        assert_eq!(cut.classes, texts(&["", "中", "7", " "]));
        cut.validate().unwrap();
        let Op::CtcHead(head) = &cut.graph.nodes[0].op else { panic!("no head") };
        assert_eq!(head.bias, [0.0, 0.5, 1.0, 3.5]);
        match &head.weights {
            Weights::I8 { values, scales } => {
                assert_eq!(values[..], [0, 0, 0, 1, 1, 1, 2, 2, 2, 7, 7, 7]);
                assert_eq!(scales[..], [1.0, 2.0, 3.0, 8.0]);
            }
            Weights::F32(values) => assert_eq!(values[9..], [7.0; 3]),
        }
        assert_eq!(cut.name, "rec-custom");
    }
}

#[test]
fn named_charsets() {
    let kept = |charset| model(&CLASSES, true).prune(&charset).unwrap().classes;
    assert_eq!(kept(Charset::Full), CLASSES);
    assert_eq!(kept(Charset::Latin), ["", "7", "é", "ab", "b", " "]);
    assert_eq!(kept(Charset::Digits), ["", "7", " "]);
    let full = model(&CLASSES, true);
    assert_eq!(full.prune(&Charset::Full).unwrap(), full);
    // Cutting twice is cutting once.
    let latin = full.prune(&Charset::Latin).unwrap();
    assert_eq!(latin.prune(&Charset::Digits).unwrap().graph, full.prune(&Charset::Digits).unwrap().graph);
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |m: &Model, text: &str| m.prune(&Charset::of_text(text).unwrap()).unwrap_err().to_string();
    let m = model(&CLASSES, true);
    assert_eq!(
        error(&m, "7x\"b"),
        "the model does not know '\"', 'x'; take them out of the charset or take another model"
    );
    // `a` occurs only in classes with others.
    assert!(error(&m, "a").contains("'a'"));
    assert!(error(&m, "абвгдежзиклмн").contains("and 3 more"));
    let mut detector = model(&CLASSES, true);
    detector.classes.pop();
    assert!(error(&detector, "7").contains("no classes"));
    assert!(Charset::of_text("\n\r\u{feff}").unwrap_err().to_string().contains("no character"));
    assert!(model(&["", "中"], true).prune(&Charset::Latin).is_err());
    let sentence = Charset::parse("no/such/file").unwrap_err().to_string();
    assert!(sentence.contains("no/such/file") && sentence.contains("latin, digits, full"), "{sentence}");
}

#[test]
fn a_file_holds_one_character_a_line_or_all_in_a_row() {
    let folder = std::env::temp_dir().join(format!("edge-ocr-charset-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let read = |bytes: &[u8]| {
        let path = folder.join("charset.txt");
        std::fs::write(&path, bytes).unwrap();
        Charset::parse(path.to_str().unwrap())
    };
    assert_eq!(read("\u{feff}b\r\n7\r\n7\r\n".as_bytes()).unwrap(), Charset::Custom("7b".into()));
    assert_eq!(read("b7".as_bytes()).unwrap(), Charset::Custom("7b".into()));
    assert!(read(&[0xff, 0xfe]).unwrap_err().to_string().contains("UTF-8"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn dictionaries_of_onnx_files() {
    assert_eq!(dictionary("\u{feff}a\r\nb\n"), texts(&["", "a", "b", " "]));
}
