use super::onnx::{attribute, graph, model, node, pair, tensor, value};
use super::*;
use crate::infer::ort::proto::{Value, fields, last, only, text};
use crate::models::manifest::ChannelOrder;
use proptest::prelude::*;

fn manifest(height_px: Option<usize>) -> Input {
    Input {
        channels: 3,
        channel_order: ChannelOrder::Bgr,
        mean: [0.5; 3],
        std: [0.5; 3],
        height_px,
        width_px: None,
        multiple_of_px: None,
    }
}

fn fixed(length: usize) -> Message {
    Axis::Fixed(length).message()
}

fn named(name: &str) -> Message {
    Axis::Named(name.into()).message()
}

/// A network of one operator, with fields that the edit does not know.
struct Tiny {
    opset: u64,
    element: Element,
    input: Vec<Message>,
    output: Vec<Message>,
    /// Fields of the graph, before all others.
    first: Message,
}

impl Default for Tiny {
    fn default() -> Tiny {
        Tiny {
            opset: 11,
            element: Element::F32,
            input: vec![named("batch"), fixed(3), named("high"), named("wide")],
            output: vec![named("batch"), named("steps"), fixed(10)],
            first: Message::default(),
        }
    }
}

/// A field of four bytes that no version of ONNX has: number 500.
const UNKNOWN: [u8; 6] = [0xa5, 0x1f, 1, 2, 3, 4];

impl Tiny {
    fn graph(&self) -> Message {
        let weights = Message::default().bytes(tensor::NAME, "weights").bytes(tensor::RAW, [0x55; 200]);
        let weights_type = onnx::describe::<Message>("weights", Element::F32, None);
        self.first
            .clone()
            .raw(UNKNOWN)
            .bytes(graph::NODE, onnx::operator("Net", &["x", "weights"], &["y"], &[]).raw(UNKNOWN))
            .bytes(2, "the graph's name")
            // Old versions of ONNX list initialisers among the inputs.
            .bytes(graph::INPUT, weights_type)
            .bytes(graph::INPUT, onnx::describe("x", self.element, Some(&self.input)))
            .bytes(graph::INITIALISER, weights)
            .bytes(graph::OUTPUT, onnx::describe("y", Element::F32, Some(&self.output)))
            .bytes(graph::VALUE, onnx::describe("y", Element::F32, Some(&self.output)))
            .bytes(10, "its description")
    }

    fn file(&self) -> Vec<u8> {
        let opset = |domain, version| Message::default().bytes(pair::FIRST, domain).number(pair::SECOND, version);
        Message::default()
            .number(1, 8)
            .raw(UNKNOWN)
            .bytes(model::METADATA, Message::default().bytes(pair::FIRST, "character").bytes(pair::SECOND, "0\n1\n2"))
            .bytes(model::GRAPH, self.graph())
            .bytes(model::OPSET, opset("com.other", 1))
            .bytes(model::OPSET, opset("", self.opset))
            .bytes(2, "the producer")
            .into_bytes()
    }

    fn hand_over(&self, kind: Kind) -> HandedOver {
        hand_over(&self.file(), &manifest(None), kind).expect("a network of the family")
    }

    fn refusal(&self, kind: Kind) -> String {
        hand_over(&self.file(), &manifest(Some(48)), kind).expect_err("refused").to_string()
    }
}

fn graph_of(file: &[u8]) -> &[u8] {
    only(file, model::GRAPH).unwrap().expect("a graph")
}

/// The values of a field that holds bytes, as often as it stands there.
fn all(message: &[u8], number: u32) -> Vec<&[u8]> {
    fields(message).filter_map(|field| field.unwrap().bytes_of(number)).collect()
}

fn texts(message: &[u8], number: u32) -> String {
    all(message, number).iter().map(|text| std::str::from_utf8(text).unwrap()).collect::<Vec<_>>().join(",")
}

/// Each node as `inputs > operator > outputs`.
fn nodes(file: &[u8]) -> Vec<String> {
    let text = |node: &&[u8]| {
        format!("{} > {} > {}", texts(node, node::INPUT), texts(node, node::OPERATOR), texts(node, node::OUTPUT))
    };
    all(graph_of(file), graph::NODE).iter().map(text).collect()
}

/// Each description of a kind as `name type [axes]`.
fn described(file: &[u8], kind: u32) -> Vec<String> {
    let text = |described: &&[u8]| {
        let read = |number: u32, from| only(from, number).unwrap().expect("a message");
        let kind = read(value::TENSOR, read(value::TYPE, described));
        let Some(Value::Varint(element)) = last(kind, value::ELEMENT).unwrap() else { panic!("no type") };
        let axes = only(kind, value::SHAPE).unwrap().unwrap_or_default();
        let axes = all(axes, value::AXIS).into_iter().map(|axis| match read::known(axis).unwrap() {
            Known::Length(length) => length.to_string(),
            Known::Name(name) => name.to_string(),
            Known::Nothing => "?".into(),
        });
        format!("{} {element} {:?}", texts(described, value::NAME), axes.collect::<Vec<_>>()).replace('"', "")
    };
    all(graph_of(file), kind).iter().map(text).collect()
}

#[test]
fn a_recogniser_takes_bytes_and_answers_classes() {
    let got = Tiny::default().hand_over(Kind::Recogniser);
    let want = [
        " > Constant > edge_ocr_shift",
        " > Constant > edge_ocr_scale",
        "pixels > Cast > edge_ocr_floats",
        "edge_ocr_floats > Transpose > edge_ocr_planes",
        "edge_ocr_planes,edge_ocr_shift > Add > edge_ocr_centred",
        "inside > Cast > edge_ocr_flags",
        "edge_ocr_flags > Transpose > edge_ocr_columns",
        "edge_ocr_columns,edge_ocr_scale > Mul > edge_ocr_weights",
        "edge_ocr_centred,edge_ocr_weights > Mul > x",
        "x,weights > Net > y",
        " > Constant > edge_ocr_top",
        "y,edge_ocr_top > TopK > top_scores,edge_ocr_classes",
        "edge_ocr_classes > Cast > top_classes",
    ];
    assert_eq!(nodes(&got.bytes), want);
    let inputs = ["weights 1 []", "pixels 2 [batch, high, wide, 3]", "inside 2 [batch, 1, wide, 1]"];
    assert_eq!(described(&got.bytes, graph::INPUT), inputs);
    let outputs = ["y 1 [batch, steps, 10]", "top_scores 1 [batch, steps, 4]", "top_classes 6 [batch, steps, 4]"];
    assert_eq!(described(&got.bytes, graph::OUTPUT), outputs);
    assert_eq!((got.pixels.as_str(), got.inside.as_str(), got.probabilities.as_str()), ("pixels", "inside", "y"));
    assert_eq!(got.top, Some(Top { scores: "top_scores".into(), classes: "top_classes".into() }));
    assert_eq!(got.metadata, [("character".to_string(), "0\n1\n2".to_string())]);
    assert_eq!(got.fixed, [None; 3]);
}

#[test]
fn the_others_keep_their_outputs() {
    for kind in [Kind::Detector, Kind::Classifier] {
        let got = Tiny::default().hand_over(kind);
        assert_eq!(nodes(&got.bytes).last().map(String::as_str), Some("x,weights > Net > y"));
        assert_eq!(described(&got.bytes, graph::OUTPUT), ["y 1 [batch, steps, 10]"]);
        assert_eq!(got.top, None);
    }
}

/// The fields with their values, but not what has been added or replaced.
fn own_fields(message: &[u8], names: &[&str]) -> Vec<(u32, Vec<u8>)> {
    let own = fields(message).map(Result::unwrap).filter(|field| {
        let Value::Bytes(bytes) = field.value else { return true };
        let name = match field.number {
            graph::NODE => text(bytes, node::NAME).unwrap(),
            graph::INPUT | graph::OUTPUT => text(bytes, value::NAME).unwrap(),
            _ => return true,
        };
        !names.contains(&name) && !name.starts_with("edge_ocr_")
    });
    own.map(|field| (field.number, message[field.range].to_vec())).collect()
}

#[test]
fn everything_else_is_copied_byte_by_byte() {
    let (file, got) = (Tiny::default().file(), Tiny::default().hand_over(Kind::Recogniser).bytes);
    let others = |file: &[u8]| -> Vec<(u32, Vec<u8>)> {
        let fields = fields(file).map(Result::unwrap).filter(|field| field.number != model::GRAPH);
        fields.map(|field| (field.number, file[field.range].to_vec())).collect()
    };
    assert_eq!(others(&got), others(&file));
    let order = |file: &[u8]| fields(file).map(|field| field.unwrap().number).collect::<Vec<_>>();
    assert_eq!(order(&got), order(&file));
    // The last node in front gives `x` under another name.
    let added = ["x", "pixels", "inside", "top_scores", "top_classes"];
    let own = |file| own_fields(graph_of(file), &added).into_iter();
    assert!(own(&got).eq(own(&file)), "{:?}\n{:?}", own(&got), own(&file));
}

#[test]
fn names_that_are_taken_are_not_given_again() {
    let inner = onnx::operator("A", &["pixels"], &["edge_ocr_floats"], &[]);
    let inner = Message::default().bytes(graph::NODE, inner);
    let branch = Message::default().bytes(attribute::NAME, "then_branch").bytes(attribute::GRAPH, inner);
    let weights = Message::default().bytes(tensor::NAME, "top_scores");
    let sparse = Message::default().bytes(tensor::SPARSE_VALUES, Message::default().bytes(tensor::NAME, "inside"));
    let first = Message::default()
        .bytes(graph::NODE, onnx::operator("If", &["y"], &["z"], &[branch]))
        .bytes(graph::INITIALISER, weights)
        .bytes(graph::SPARSE_INITIALISER, sparse)
        .bytes(graph::VALUE, onnx::describe("top_classes", Element::F32, Some(&[named("H")])));
    let input = vec![named("?"), named("wide"), fixed(0), named("wide")];
    let got = Tiny { first, input, ..Tiny::default() }.hand_over(Kind::Recogniser);
    let inputs = ["weights 1 []", "pixels_1 2 [N, H_1, W, 3]", "inside_1 2 [N, 1, W, 1]"];
    assert_eq!(described(&got.bytes, graph::INPUT), inputs);
    assert_eq!((got.pixels.as_str(), got.inside.as_str()), ("pixels_1", "inside_1"));
    assert_eq!(got.top, Some(Top { scores: "top_scores_1".into(), classes: "top_classes_1".into() }));
    assert!(nodes(&got.bytes).contains(&"pixels_1 > Cast > edge_ocr_floats_1".into()), "{:?}", nodes(&got.bytes));
    let profile = got.profile([4, 48, 320], &[[1, 48, 3200], [16, 48, 160]]);
    assert_eq!(profile.min, "pixels_1:1x48x160x3,inside_1:1x1x160x1");
    assert_eq!(profile.opt, "pixels_1:4x48x320x3,inside_1:4x1x320x1");
    assert_eq!(profile.max, "pixels_1:16x48x3200x3,inside_1:16x1x3200x1");
}

#[test]
fn fixed_lengths_are_the_files_and_the_manifests() {
    let unknown = || Message::default().number(value::AXIS_NUMBER, (-1_i64).cast_unsigned());
    let input = vec![fixed(2), unknown(), named("?"), named("?")];
    let got = hand_over(&Tiny { input, ..Tiny::default() }.file(), &manifest(Some(48)), Kind::Recogniser).unwrap();
    assert_eq!(got.fixed, [Some(2), Some(48), None]);
    let inputs = ["weights 1 []", "pixels 2 [2, 48, W, 3]", "inside 2 [2, 1, W, 1]"];
    assert_eq!(described(&got.bytes, graph::INPUT), inputs);
}

/// The numbers of the constants in front, and with them the value of a byte.
fn normalised(file: &[u8], plane: usize, byte: u8) -> f32 {
    let number = |name: &str| {
        let node = all(graph_of(file), graph::NODE).into_iter().find(|n| text(n, node::NAME) == Ok(name)).unwrap();
        let constant = only(only(node, node::ATTRIBUTE).unwrap().unwrap(), attribute::TENSOR).unwrap().unwrap();
        let Some(Value::Bytes(raw)) = last(constant, tensor::RAW).unwrap() else { panic!("no numbers") };
        f32::from_le_bytes(raw.as_chunks().0[plane])
    };
    (f32::from(byte) + number("edge_ocr_shift")) * number("edge_ocr_scale")
}

#[test]
fn bytes_are_normalised_as_for_the_float_engine() {
    for (mean, std) in [([0.5; 3], [0.5; 3]), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ([0.; 3], [1.; 3])] {
        let input = Input { mean, std, ..manifest(None) };
        let file = hand_over(&Tiny::default().file(), &input, Kind::Detector).unwrap().bytes;
        for plane in 0..3 {
            for byte in 0..=255 {
                // The float engine's rule, see `tract::normalise`.
                let value = f64::from(f32::from(byte) * (1.0 / 255.0)) - f64::from(mean[plane]);
                let want = (value / f64::from(std[plane])) as f32;
                let got = normalised(&file, plane, byte);
                // Two units in the last place of the greatest value.
                let tolerance = 2.0 * f32::EPSILON * (1.0_f32 / std[plane]).log2().ceil().exp2();
                assert!((got - want).abs() <= tolerance, "{byte} of {plane} is {got}, not {want}");
            }
        }
    }
}

#[test]
fn what_is_not_of_the_family_is_refused() {
    let axes = |axes: &[usize]| axes.iter().map(|length| fixed(*length)).collect::<Vec<_>>();
    let second = Message::default().bytes(graph::INPUT, onnx::describe::<Message>("z", Element::F32, None));
    let external = Message::default().number(tensor::LOCATION, tensor::EXTERNAL);
    let external = Message::default().bytes(graph::INITIALISER, external);
    let nested = (0..12).fold(Message::default(), |inner, _| {
        let node = onnx::operator("If", &[], &[], &[Message::default().bytes(attribute::GRAPH, inner)]);
        Message::default().bytes(graph::NODE, node)
    });
    let cases = [
        (Tiny { opset: 10, ..Tiny::default() }, "operator set 10"),
        (Tiny { element: Element::U8, ..Tiny::default() }, "input cannot be replaced: it is not of type f32"),
        (Tiny { input: axes(&[1, 3, 48]), ..Tiny::default() }, "four axes"),
        (Tiny { input: axes(&[1; 20]), ..Tiny::default() }, "more than 8 axes"),
        (Tiny { input: axes(&[1, 1, 48, 320]), ..Tiny::default() }, "three channels"),
        (Tiny { input: axes(&[1, 3, 32, 320]), ..Tiny::default() }, "its H is 32, and its manifest says 48"),
        (Tiny { output: axes(&[1, 10]), ..Tiny::default() }, "2 axes"),
        (Tiny { output: axes(&[1, 40, 3]), ..Tiny::default() }, "3 classes"),
        (Tiny { first: second, ..Tiny::default() }, "several"),
        (Tiny { first: external, ..Tiny::default() }, "another file"),
        (Tiny { first: nested, ..Tiny::default() }, "graphs in graphs"),
    ];
    for (tiny, said) in cases {
        let refusal = tiny.refusal(Kind::Recogniser);
        assert!(refusal.contains(said), "{refusal}");
    }
    let error = |file: &[u8], input| hand_over(file, &input, Kind::Detector).expect_err("refused").to_string();
    assert!(error(b"", manifest(None)).contains("no graph"));
    assert!(error(b"no model", manifest(None)).contains("damaged"));
    assert!(error(&Tiny::default().file(), Input { std: [0.0; 3], ..manifest(None) }).contains("std"));
    let twice = [Tiny::default().file(), Tiny::default().file()].concat();
    assert!(error(&twice, manifest(None)).contains("twice"));
}

#[test]
fn the_recogniser_of_the_family_is_handed_over() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/PP-OCRv6_rec_small.onnx");
    let Ok(file) = std::fs::read(path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs the models (run models/fetch)");
        eprintln!("skipped: the models (run models/fetch) not here");
        return;
    };
    let got = hand_over(&file, &manifest(Some(48)), Kind::Recogniser).unwrap();
    assert!((500..3000).contains(&(got.bytes.len() - file.len())), "{} bytes", got.bytes.len());
    assert_eq!(got.fixed, [None, Some(48), None]);
    let pixels = "pixels 2 [DynamicDimension.0, 48, DynamicDimension.1, 3]";
    let inside = "inside 2 [DynamicDimension.0, 1, DynamicDimension.1, 1]";
    assert_eq!(described(&got.bytes, graph::INPUT), [pixels, inside]);
    let top = got.top.expect("a recogniser's");
    let outputs = [got.probabilities.as_str(), &top.scores, &top.classes];
    let described = described(&got.bytes, graph::OUTPUT);
    assert!(described.iter().zip(outputs).all(|(text, name)| text.starts_with(name)), "{described:?}");
    assert_eq!(described.len(), 3);
    assert_eq!(nodes(&got.bytes).len(), nodes(&file).len() + 12);
    let characters =
        got.metadata.iter().find(|entry| entry.0 == "character").map_or(0, |entry| entry.1.lines().count());
    assert_eq!(characters, 18_708, "the classes without blank and space");
}

proptest! {
    #[test]
    fn damaged_files_are_edited_or_refused(
        keep in 0usize..900, changes in proptest::collection::vec((0usize..900, any::<u8>()), 0..6),
        junk in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut file = Tiny::default().file();
        for (at, byte) in changes {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        let cut = file.get(..keep).unwrap_or(&file);
        for bytes in [&file, cut, &[cut, &junk].concat(), &junk] {
            for kind in [Kind::Recogniser, Kind::Detector] {
                if let Ok(got) = hand_over(bytes, &manifest(None), kind) {
                    prop_assert!(fields(&got.bytes).all(|field| field.is_ok()));
                    prop_assert!(got.bytes.len() < bytes.len() + 4000);
                }
            }
        }
    }
}
