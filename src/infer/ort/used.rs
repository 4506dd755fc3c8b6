//! What a run really used: the nodes of a profile, by execution provider.
//!
//! ONNX Runtime puts a node that a provider cannot run onto the CPU without a word, and a provider that failed to
//! register likewise. Only the profile of a run tells.

use crate::config::Provider;
use crate::infer::Nodes;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Operators whose work is that of the network. A provider leaves shape arithmetic to the CPU on purpose; one of these
/// there means that the GPU is not used.
const HEAVY: [&str; 16] = [
    "Conv",
    "ConvTranspose",
    "FusedConv",
    "NhwcConv",
    "MatMul",
    "FusedMatMul",
    "Gemm",
    "FusedGemm",
    "Resize",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "LayerNormalization",
    "Softmax",
    "BatchNormalization",
    "Einsum",
];

/// The nodes of one profiled run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// How many ran on what.
    pub nodes: Nodes,
    /// Operators of the nodes that ran on the CPU.
    cpu_operators: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
}

impl Profile {
    /// Reads what ONNX Runtime wrote: a JSON array of events, of which those of the category `Node` that end with
    /// `_kernel_time` are one for each node and run. A node that ran several times counts once.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Profile, String> {
        let events: Vec<Event> = serde_json::from_str(text).map_err(|e| format!("the profile is not JSON: {e}"))?;
        let mut nodes: BTreeMap<String, (String, String)> = BTreeMap::new();
        for event in events.into_iter().filter(|e| e.cat == "Node" && e.name.ends_with("_kernel_time")) {
            let text = |key: &str| event.args.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_string();
            let value = (text("provider"), text("op_name"));
            nodes.insert(event.name, value);
        }
        let mut profile = Profile::default();
        for (provider, operator) in nodes.into_values() {
            match provider.as_str() {
                "TensorrtExecutionProvider" => profile.nodes.tensorrt += 1,
                "CUDAExecutionProvider" => profile.nodes.cuda += 1,
                "CPUExecutionProvider" => {
                    profile.nodes.cpu += 1;
                    profile.cpu_operators.insert(operator);
                }
                _ => profile.nodes.other += 1,
            }
        }
        match profile.nodes == Nodes::default() {
            true => Err("the profile names no node".into()),
            false => Ok(profile),
        }
    }

    /// Whether the run used `provider` as it was asked to.
    ///
    /// # Errors
    /// What ran elsewhere, as the end of a sentence.
    pub fn judge(&self, provider: Provider) -> Result<(), String> {
        let nodes = &self.nodes;
        let cpu = |operators: Vec<&str>| format!("{} ran on the CPU", operators.join(", "));
        match provider {
            Provider::Cpu => Ok(()),
            Provider::Tensorrt if nodes.cpu + nodes.cuda + nodes.other > 0 || nodes.tensorrt == 0 => {
                let operators: Vec<&str> = self.cpu_operators.iter().map(String::as_str).collect();
                Err(if operators.is_empty() { format!("nodes ran as follows: {nodes}") } else { cpu(operators) })
            }
            Provider::Cuda if nodes.cuda == 0 => Err(format!("nodes ran as follows: {nodes}")),
            Provider::Cuda => {
                let heavy: Vec<&str> =
                    self.cpu_operators.iter().map(String::as_str).filter(|op| HEAVY.contains(op)).collect();
                if heavy.is_empty() { Ok(()) } else { Err(cpu(heavy)) }
            }
            Provider::Tensorrt => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile with a node for each provider and operator.
    fn profile(nodes: &[(&str, &str)]) -> Profile {
        let session = r#"{"cat":"Session","name":"model_loading_from_array","ts":1,"dur":2,"args":{}}"#;
        let mut events = vec![session.to_string()];
        for (i, (provider, op)) in nodes.iter().enumerate() {
            let args = format!(r#"{{"op_name":"{op}","provider":"{provider}ExecutionProvider","node_index":"{i}"}}"#);
            for part in ["fence_before", "kernel_time", "kernel_time"] {
                events.push(format!(r#"{{"cat":"Node","name":"n{i}_{part}","dur":3,"args":{args}}}"#));
            }
        }
        Profile::parse(&format!("[{}]", events.join(","))).unwrap()
    }

    #[test]
    fn each_node_counts_once_for_its_provider() {
        let nodes = profile(&[("CUDA", "Conv"), ("CUDA", "Relu"), ("CPU", "Shape")]).nodes;
        assert_eq!(nodes, Nodes { tensorrt: 0, cuda: 2, cpu: 1, other: 0 });
        assert_eq!(nodes.to_string(), "TensorRT 0, CUDA 2, CPU 1");
    }

    #[test]
    fn cuda_may_leave_shapes_to_the_cpu() {
        let good = profile(&[("CUDA", "Conv"), ("CPU", "Shape"), ("CPU", "Slice"), ("CPU", "Concat")]);
        assert_eq!(good.judge(Provider::Cuda), Ok(()));
        let bad = profile(&[("CUDA", "Relu"), ("CPU", "Conv"), ("CPU", "Shape"), ("CPU", "MatMul")]);
        assert_eq!(bad.judge(Provider::Cuda), Err("Conv, MatMul ran on the CPU".into()));
    }

    #[test]
    fn a_provider_that_ran_nothing_is_refused() {
        let cpu = profile(&[("CPU", "Relu")]);
        assert!(cpu.judge(Provider::Cuda).is_err());
        assert_eq!(cpu.judge(Provider::Tensorrt), Err("Relu ran on the CPU".into()));
        assert_eq!(cpu.judge(Provider::Cpu), Ok(()));
    }

    #[test]
    fn tensorrt_takes_all_nodes_or_is_refused() {
        assert_eq!(profile(&[("Tensorrt", "TRTKernel_graph_0")]).judge(Provider::Tensorrt), Ok(()));
        let mixed = profile(&[("Tensorrt", "TRTKernel_graph_0"), ("CPU", "TopK")]);
        assert_eq!(mixed.judge(Provider::Tensorrt), Err("TopK ran on the CPU".into()));
        assert!(profile(&[("Tensorrt", "T"), ("CUDA", "Resize")]).judge(Provider::Tensorrt).is_err());
    }

    #[test]
    fn text_that_is_no_profile_is_an_error() {
        for text in ["", "{}", "[", "[1]", "[]", r#"[{"cat":"Node","name":"x"}]"#] {
            assert!(Profile::parse(text).is_err(), "{text}");
        }
    }
}
