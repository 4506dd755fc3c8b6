//! No telemetry of ONNX Runtime: its newer releases write a record of each process into the home folder and send it, from
//! the moment that they are loaded, before a program can switch that off. Only a variable of the environment keeps them
//! from it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The variable that ONNX Runtime looks at when it is loaded.
const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Starts the program again, in the same process, with the variable set, if it is not and ONNX Runtime may be loaded.
/// Only for a program that has done nothing yet. Comes back where nothing is to be done, or where that fails.
pub fn switch_off() {
    if std::env::var_os(VARIABLE).is_some() || !may_load(std::env::args_os()) {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    let error = Command::new(program).arg0(name).args(arguments).env(VARIABLE, "1").exec();
    print_error!("edge-ocr: telemetry of ONNX Runtime is not switched off: {error}; set {VARIABLE}=1");
}

/// Whether these are the arguments of a call that may load ONNX Runtime: by a flag, or by a configuration.
fn may_load(mut arguments: impl Iterator<Item = OsString>) -> bool {
    let words = ["ort", "--engine=ort", "node", "worker", "prepare"];
    arguments.any(|argument| words.iter().any(|word| argument == *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_may_load_the_library_are_known() {
        let of = |line: &str| may_load(line.split(' ').map(OsString::from));
        for line in ["edge-ocr read --engine ort a.png", "edge-ocr check --engine=ort", "edge-ocr node --config n.toml"]
        {
            assert!(of(line), "{line}");
        }
        assert!(!of("edge-ocr read --engine tract a.png"));
    }
}
