//! ONNX files byte by byte: the few fields of the protobuf that a network of one node needs.

pub struct Node<'a> {
    pub name: &'a str,
    pub op: &'a str,
    pub inputs: &'a [&'a str],
    pub outputs: &'a [&'a str],
}

/// A field with bytes in it: tag, length, bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = bytes.len();
    while len > 127 {
        out.push(len as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
    out
}

/// A field with a number below 128 in it.
fn number(field: u8, value: u8) -> [u8; 2] {
    [field << 3, value]
}

/// `ValueInfoProto`: a float tensor of 1 x 3 x 8 x 8.
fn value(name: &str) -> Vec<u8> {
    let dims: Vec<u8> = [1, 3, 8, 8].iter().flat_map(|d| field(1, &number(1, *d))).collect();
    let tensor = [&number(1, 1)[..], &field(2, &dims)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// `ModelProto` with an input `x` and an output `y`.
pub fn model(nodes: &[&Node]) -> Vec<u8> {
    let mut graph = Vec::new();
    for node in nodes {
        let mut bytes = Vec::new();
        node.inputs.iter().for_each(|i| bytes.extend(field(1, i.as_bytes())));
        node.outputs.iter().for_each(|o| bytes.extend(field(2, o.as_bytes())));
        bytes.extend(field(3, node.name.as_bytes()));
        bytes.extend(field(4, node.op.as_bytes()));
        graph.extend(field(1, &bytes));
    }
    graph.extend(field(2, b"g"));
    graph.extend(field(11, &value("x")));
    graph.extend(field(12, &value("y")));
    let opset = field(8, &number(2, 13));
    [&number(1, 8)[..], &field(7, &graph), &opset].concat()
}
