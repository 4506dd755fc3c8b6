//! `edge-ocr worker`: one of a fleet that reads images for others.

use super::{Stop as Ended, exit};
use edge_ocr::Error;
use edge_ocr_node::node::stop_on_signals;
use edge_ocr_node::util::config_file;
use edge_ocr_node::util::shutdown::Shutdown;
use edge_ocr_node::util::signals::Signals;
use edge_ocr_node::worker::{self, WorkerConfig};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The worker's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say whether the configuration can be used, and end
    #[arg(long)]
    check_config: bool,
    /// Name of this worker, in place of the configuration's: for several on one machine
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
}

impl Args {
    /// Whether a worker is to run, and not only something to be said.
    pub fn is_service(&self) -> bool {
        !self.check_config
    }
}

/// `signals` are caught if a worker [is to run](Args::is_service).
pub fn run(args: &Args, signals: Option<Signals>) -> Result<u8, Ended> {
    let mut config: WorkerConfig = config_file::read(&args.config).map_err(Error::Config)?;
    if args.id.is_some() {
        config.id.clone_from(&args.id);
    }
    config.validate().map_err(|e| Error::Config(format!("{}: {e}", args.config.display())))?;
    if args.check_config {
        worker::check(&config)?;
        say!("{} can be used", args.config.display());
        return Ok(exit::OK);
    }
    let stop = Shutdown::default();
    stop_on_signals(super::node::caught(signals)?, stop.clone())
        .map_err(|e| Ended::Failed(format!("signals cannot be listened for: {e}")))?;
    let counters = worker::run(&config, &stop)?;
    log::info!("{counters:?}");
    Ok(exit::OK)
}
