//! Networks of a few nodes, as other exporters write them.

use super::raw::{Attr, Constant, Numbers, RawModel, RawNode};
use super::{ImportError, Normalisation, import};
use crate::graph::{Activation, ConvKind, Graph, Op};

/// A network that is written node by node; every node reads the one before.
struct Net {
    model: RawModel,
    last: String,
}

impl Net {
    /// An image, and a convolution of it to `channels`.
    fn new(channels: usize) -> Net {
        let model = RawModel { inputs: vec!["x".into()], ..RawModel::default() };
        let mut net = Net { model, last: "x".into() };
        net.constant("w", &[channels, 3, 3, 3], 0.1);
        net.node("Conv", &["w"], &[("pads", Attr::Ints(vec![1; 4])), ("strides", Attr::Ints(vec![3, 1]))]);
        net
    }

    fn constant(&mut self, name: &str, dims: &[usize], value: f32) {
        let count = dims.iter().product();
        let constant = Constant { dims: dims.to_vec(), numbers: Numbers::F32(vec![value; count]) };
        self.model.constants.insert(name.into(), constant);
    }

    fn node(&mut self, op: &str, others: &[&str], attrs: &[(&str, Attr)]) -> String {
        let (name, output) = (format!("{op}.{}", self.model.nodes.len()), format!("v{}", self.model.nodes.len()));
        let inputs = [self.last.as_str()].iter().chain(others).map(|name| name.to_string()).collect();
        let attrs = attrs.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        self.model.nodes.push(RawNode { name, op: op.into(), inputs, outputs: vec![output.clone()], attrs });
        std::mem::replace(&mut self.last, output)
    }

    fn import(mut self) -> Result<Graph, ImportError> {
        self.model.outputs = vec![self.last];
        import(&self.model, &Normalisation { mean: [0.5; 3], std: [0.5; 3] }, false)
    }
}

fn axes(axes: &[i64]) -> [(&'static str, Attr); 1] {
    [("axes", Attr::Ints(axes.to_vec()))]
}

fn names(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

/// PP-OCRv6 tiny: the tokens are made an image of one row again, convolved, and normalised as tokens.
#[test]
fn tokens_become_an_image_of_one_row_again() {
    let mut net = Net::new(4);
    net.node("Squeeze", &[], &axes(&[2]));
    net.node("Transpose", &[], &[("perm", Attr::Ints(vec![0, 2, 1]))]);
    net.node("Transpose", &[], &[("perm", Attr::Ints(vec![0, 2, 1]))]);
    net.node("Unsqueeze", &[], &axes(&[2]));
    net.constant("row", &[4, 1, 1, 5], 0.2);
    net.node("Conv", &["row"], &[("group", Attr::Int(4)), ("pads", Attr::Ints(vec![0, 2, 0, 2]))]);
    net.node("Squeeze", &[], &axes(&[2]));
    for name in ["gamma", "beta", "mean", "variance"] {
        net.constant(name, &[4], 1.0);
    }
    net.node("BatchNormalization", &["gamma", "beta", "mean", "variance"], &[]);
    let x = net.last.clone();
    net.node("HardSigmoid", &[], &[("alpha", Attr::Float(1.0 / 6.0)), ("beta", Attr::Float(0.5))]);
    net.node("Mul", &[&x], &[]);
    let graph = net.import().expect("a network");
    assert_eq!(names(&graph), ["conv", "depthwise"]);
    let Op::Conv(conv) = &graph.nodes[1].op else { panic!("{:?}", graph.nodes[1]) };
    assert_eq!((conv.kind, conv.kernel, conv.act), (ConvKind::Depthwise, [1, 5], Activation::HardSwish));
}

#[test]
fn product_with_another_hard_sigmoid_is_refused() {
    let mut net = Net::new(4);
    let x = net.last.clone();
    net.node("HardSigmoid", &[], &[("alpha", Attr::Float(0.2)), ("beta", Attr::Float(0.5))]);
    net.node("Mul", &[&x], &[]);
    let error = net.import().expect_err("x times hard_sigmoid(0.2 x) is no hard-swish").to_string();
    assert!(error.contains("Mul.2"), "{error}");
}

/// PP-OCRv5 mobile: an assignment is an axis in front, plus nothing, minus the axis.
#[test]
fn axis_in_front_comes_and_goes() {
    let nested = |added: f32, back: &[i64]| {
        let mut net = Net::new(4);
        net.node("Unsqueeze", &[], &axes(&[0]));
        net.constant("zero", &[1], added);
        net.node("Add", &["zero"], &[]);
        net.node("Squeeze", &[], &axes(back));
        net.node("HardSwish", &[], &[]);
        net.import()
    };
    let graph = nested(0.0, &[0]).expect("a network");
    assert!(matches!(&graph.nodes[..], [node] if matches!(&node.op, Op::Conv(c) if c.act == Activation::HardSwish)));
    assert!(nested(1.0, &[0]).is_err(), "a summand would be lost");
    assert!(nested(0.0, &[1]).is_err(), "another axis");
}
