//! `edge-ocr node`: the sensor node.

use super::{Stop as Ended, exit};
use edge_ocr::Error;
use edge_ocr_node::node::{self, NodeConfig};
use edge_ocr_node::util::signals::Signals;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    /// The node's configuration; --print-default-config writes one to begin with
    #[arg(long, value_name = "FILE", required_unless_present_any = ["print_default_config", "demo"])]
    config: Option<PathBuf>,
    /// Say whether the configuration can be used, in which time zone, and when rounds begin, and end
    #[arg(long, requires = "config", conflicts_with_all = ["demo", "clear_retained"])]
    check_config: bool,
    /// Write a configuration with every key, its default and what it does, and end
    #[arg(long, exclusive = true)]
    print_default_config: bool,
    /// Remove everything from the broker that this node has it keep, Home Assistant's entities too, and end
    #[arg(long, requires = "config", conflicts_with = "demo")]
    clear_retained: bool,
    /// Replay built-in images to a broker of its own and print what a subscriber gets (feature `demo`)
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// With --demo: end after so many messages
    #[arg(long, requires = "demo", value_name = "N")]
    messages: Option<u64>,
}

impl Args {
    /// Whether a node is to run, and not only something to be said.
    pub fn is_service(&self) -> bool {
        !(self.print_default_config || self.check_config || self.clear_retained)
    }
}

/// `signals` are caught if a node [is to run](Args::is_service).
pub fn run(args: &Args, signals: Option<Signals>) -> Result<u8, Ended> {
    if args.print_default_config {
        say!("{}", node::DEFAULT_TOML.trim_end());
        return Ok(exit::OK);
    }
    if args.demo {
        return demo(args.messages, caught(signals)?);
    }
    let path = args.config.as_deref().unwrap_or_else(|| "node.toml".as_ref());
    let config = NodeConfig::load(path).map_err(Error::Config)?;
    if args.check_config {
        node::check(&config).map_err(Ended::Node)?;
        say!("{} can be used", path.display());
        say!("{}", node::timing(&config));
        return Ok(exit::OK);
    }
    if args.clear_retained {
        let count = node::clear_retained(&config).map_err(Ended::Node)?;
        say!("{count} topics cleared");
        return Ok(exit::OK);
    }
    let load = {
        let path = path.to_owned();
        move || NodeConfig::load(&path)
    };
    node::run(config, Default::default(), caught(signals)?, &(Arc::new(load) as node::Load)).map_err(Ended::Node)?;
    Ok(exit::OK)
}

/// They have been caught before, if they could be.
pub fn caught(signals: Option<Signals>) -> Result<Signals, Ended> {
    signals.map_or_else(Signals::catch, Ok).map_err(|e| Ended::Failed(format!("signals cannot be listened for: {e}")))
}

#[cfg(not(feature = "demo"))]
fn demo(_: Option<u64>, _: Signals) -> Result<u8, Ended> {
    Err(Ended::NotBuiltIn("the broker of the demo is not in this program; build it with `--features demo`"))
}

/// Replays built-in images to a broker inside the program, until interrupted or `messages` have come.
#[cfg(feature = "demo")]
fn demo(messages: Option<u64>, signals: Signals) -> Result<u8, Ended> {
    use edge_ocr_node::node::demo::{Broker, config, write_images};
    let broken = |e: std::io::Error| Ended::Failed(format!("the demo has no place for its images: {e}"));
    // One that is new and closed to others: they can write to the folder that it is in.
    let folder = tempfile::Builder::new().prefix("edge-ocr-demo-").tempdir().map_err(broken)?;
    write_images(folder.path()).map_err(Ended::Failed)?;
    let broker = Broker::start().map_err(Ended::Failed)?;
    say!("broker at {}, images in {}; what a subscriber to # gets:", broker.address, folder.path().display());
    let stop = edge_ocr_node::util::shutdown::Shutdown::default();
    let (config, ended) = (config(broker.address, folder.path()).map_err(Ended::Failed)?, stop.clone());
    let load: node::Load = Arc::new(|| Err("the demo has no configuration to read again".into()));
    let node = std::thread::spawn(move || node::run(config, ended, signals, &load));
    let mut left = messages.unwrap_or(u64::MAX);
    while left > 0 && !node.is_finished() {
        let Ok(got) = broker.messages.recv_timeout(std::time::Duration::from_millis(500)) else { continue };
        match std::str::from_utf8(&got.payload) {
            Ok(text) => say!("{} {text}", got.topic),
            Err(_) => say!("{} ({} bytes)", got.topic, got.payload.len()),
        }
        left -= 1;
    }
    stop.set();
    let result = node.join().map_err(|_| Ended::Failed("the demo's node ended in a panic".into()));
    let _ = folder.close();
    result?.map_err(Ended::Node)?;
    Ok(exit::OK)
}
