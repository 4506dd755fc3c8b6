//! Keeping the C library's heap small while the float engine runs.
//!
//! glibc raises the size from which a block gets pages of its own whenever such a block is freed, up to 32 MB; the float
//! engine's tensors then land on the heap between longer-lived blocks and leave holes there. On the hostile pictures that
//! cost some 80 MB of 362. The threshold can be fixed only by a call that is unsafe or by the environment before the program
//! starts, so the program starts itself once more. It keeps its process number, arguments and files.

use edge_ocr::config::{Config, Engine, Memory};

/// Blocks from this size on get pages of their own: 8 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES_BYTES: &str = "8388608";

/// Starts the program anew with a fixed threshold if `config` asks for little memory and the environment has none. Returns
/// when there is nothing to do, or if it cannot.
pub fn keep_small(config: &Config) {
    if config.memory == Memory::Small && config.engine == Engine::Tract {
        restart();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn restart() {
    use std::os::unix::process::CommandExt;
    const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";
    if std::env::var_os(THRESHOLD).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let error = std::process::Command::new(program).arg0(name).args(arguments).env(THRESHOLD, OWN_PAGES_BYTES).exec();
    log::debug!("the heap's threshold stays as it is: {error}");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn restart() {}
