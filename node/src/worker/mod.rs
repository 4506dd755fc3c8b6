//! A worker of a fleet: takes images from a broker, reads them, publishes the results.
//!
//! ```text
//! $share/<group>/<base>/jobs/+ → queue → reader (a thread) → <base>/results/<job> → PUBACK → the job is acknowledged
//! ```
//!
//! The broker spreads the jobs over all workers of a group. A job is acknowledged only when the broker has its
//! result, so a worker that dies takes no job with it where the broker passes on what was not acknowledged (MQTT 5
//! leaves that to the broker; mosquitto drops it). Hence the rules for those who send jobs: an id for each, not kept,
//! and once more after a time without a result. The same job may so be read twice and then has two results of the
//! same id and text.
//!
//! With MQTT 5 the broker sends at most [`receive_maximum`](WorkerConfig::receive_maximum) jobs before the first is
//! acknowledged: a busy worker gets no more. MQTT 3.1.1 has no such limit; the broker's own applies (mosquitto's is
//! 20), and of what comes beyond [`max_waiting`](WorkerConfig::max_waiting) the sender is told that the worker is
//! busy. mosquitto 2.0.11 (Debian 12) keeps to neither: where more jobs wait at the broker, it sends two for each
//! that is acknowledged (mosquitto#2301), so whoever sends has at most `max_waiting` jobs under way for each worker.

mod answer;
mod config;
mod job;
mod read;
#[cfg(test)]
mod tests;
mod work;

pub use config::WorkerConfig;
pub use read::{PipelineReader, Read, ReadError};
pub use work::Counters;

use crate::publish::Transport;
use crate::publish::mqtt::{self, Options};
use crate::util::shutdown::Shutdown;
use edge_ocr::error::Error;

/// Works until `stop` is set. On the way out the job that is being read is finished, its result published and the job
/// acknowledged, if that takes no longer than [`grace_ms`](WorkerConfig::grace_ms), a new connection included; the
/// broker passes on what waits. An image that takes longer is given up unacknowledged: its reader goes on in a
/// thread that ends with the process.
///
/// # Errors
/// [`Error::Config`] for a configuration that cannot be used, and those of
/// [`Pipeline::from_config`](edge_ocr::Pipeline::from_config). A broker that cannot be reached is no error: it is
/// tried again.
pub fn run(config: &WorkerConfig, stop: &Shutdown) -> Result<Counters, Error> {
    let Parts { id, names, reader, mut transport } = Parts::new(config)?;
    log::info!("worker {id} takes jobs from {}", config.filter());
    work::work(transport.as_mut(), reader, config, &names, stop).map_err(|e| {
        Error::Config(format!("the reader's thread cannot be started because the system says '{e}'; free memory"))
    })
}

/// Whether a worker could be made of this configuration: its values, its secrets, its networks. The broker is not
/// asked.
///
/// # Errors
/// As [`run`].
pub fn check(config: &WorkerConfig) -> Result<(), Error> {
    Parts::new(config).map(drop)
}

/// What has to be there before the broker is asked: everything that can be wrong with a configuration.
struct Parts {
    id: String,
    names: answer::Names,
    reader: PipelineReader,
    transport: Box<dyn Transport>,
}

impl Parts {
    fn new(config: &WorkerConfig) -> Result<Parts, Error> {
        config.validate().map_err(Error::Config)?;
        let id = config.worker_id().map_err(Error::Config)?;
        let reader = PipelineReader::new(&config.pipeline, config.chars)?;
        let options = Options {
            manual_acks: true,
            receive_maximum: Some(config.receive_maximum),
            must_subscribe: true,
            least_in_bytes: config.least_packet_bytes(),
        };
        let names = answer::Names::new(&config.base, &id);
        let transport = mqtt::connect(&config.mqtt, &format!("edge-ocr-{id}"), Some(names.status(false)), options)
            .map_err(|e| Error::Config(e.to_string()))?;
        Ok(Parts { id, names, reader, transport })
    }
}
