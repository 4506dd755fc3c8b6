use super::*;
use crate::graph::{Activation, Conv, ConvKind, DType, Node, Op, Pad, Quant, Tensor, TensorId, Weights};
use proptest::prelude::*;

fn model() -> Model {
    let conv = Conv {
        kind: ConvKind::Dense,
        in_channels: 3,
        out_channels: 2,
        kernel: [1, 1],
        stride: [1, 1],
        pad: Pad::default(),
        weights: Weights::I8 { values: vec![1, 2, 3, -4, 5, -127], scales: vec![0.5, 0.25] },
        bias: vec![0.0, 1.0],
        act: Activation::Relu,
        post: None,
    };
    let tensor = |name: &str, channels, zero| Tensor {
        name: name.into(),
        channels,
        dtype: DType::U8(Quant { scale: 1.0, zero }),
    };
    Model {
        name: "test".into(),
        kind: Kind::Detector,
        input: Input { bgr: true, height_px: None, width_px: None, multiple_of_px: Some(32) },
        classes: Vec::new(),
        provenance: Provenance {
            source: "test".into(),
            sha256: String::new(),
            licence: "CC0".into(),
            tool: "0".into(),
            calibration: String::new(),
        },
        graph: Graph {
            tensors: vec![tensor("x", 3, 128), tensor("y", 2, 0)],
            nodes: vec![Node { name: "c".into(), op: Op::Conv(conv), inputs: vec![TensorId(0)], output: TensorId(1) }],
            input: TensorId(0),
            output: TensorId(1),
        },
    }
}

#[test]
fn a_model_survives_its_file() {
    let bytes = model().to_bytes().unwrap();
    assert_eq!(Model::from_bytes("t", &bytes).unwrap(), model());
    assert_eq!(bytes, model().to_bytes().unwrap());
}

#[test]
fn damage_is_told_in_one_sentence() {
    let bytes = model().to_bytes().unwrap();
    for cut in 0..bytes.len() {
        let error = Model::from_bytes("t.q8", &bytes[..cut]).unwrap_err().to_string();
        assert!(error.starts_with("the quantised model t.q8 cannot be used: ") && error.contains("; "), "{error}");
    }
    let mut version = bytes.clone();
    version[8] = 9;
    assert!(Model::from_bytes("t", &version).unwrap_err().reason.contains("version 9"));
    let mut long = bytes.clone();
    long.push(0);
    assert!(Model::from_bytes("t", &long).is_err());
}

#[test]
fn a_graph_that_breaks_a_rule_is_refused() {
    type Break = fn(&mut Model);
    let breaks: [Break; 6] = [
        |m| m.graph.nodes[0].inputs = vec![TensorId(7)],
        |m| m.graph.nodes[0].output = TensorId(0),
        |m| m.graph.tensors[1].channels = 5,
        |m| m.graph.tensors[1].dtype = DType::U8(Quant { scale: f32::NAN, zero: 0 }),
        |m| m.kind = Kind::Recogniser,
        |m| {
            if let Op::Conv(c) = &mut m.graph.nodes[0].op {
                c.bias.pop();
            }
        },
    ];
    for (i, damage) in breaks.into_iter().enumerate() {
        let mut m = model();
        damage(&mut m);
        assert!(m.validate().is_err(), "{i}");
        let body = postcard::to_stdvec(&m).unwrap();
        assert!(Model::from_body("t", &body).is_err(), "{i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_flipped_byte_never_passes(at in 0usize..1000, value in 1u8..) {
        let mut bytes = model().to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] ^= value;
        prop_assert!(Model::from_bytes("t", &bytes).is_err());
    }

    // Behind a checksum that matches: what the body says must still do no harm.
    #[test]
    fn a_damaged_body_never_panics(changes in proptest::collection::vec((0usize..1000, any::<u8>()), 1..8)) {
        let mut body = postcard::to_stdvec(&model()).unwrap();
        for (at, value) in changes {
            let at = at % body.len();
            body[at] = value;
        }
        if let Ok(m) = Model::from_body("t", &body)
            && let Ok(shapes) = m.graph.shapes(2, 2)
            && shapes.iter().all(|s| s.len() < 4096)
        {
            let _ = crate::interpreter::run(&m.graph, &[7; 12], 2, 2, crate::interpreter::Mode::Int);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Model::from_bytes("t", &bytes).is_err());
        let _ = Model::from_body("t", &bytes);
    }
}
