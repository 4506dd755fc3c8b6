//! The sensor node and the worker: cameras, rules, MQTT. Reading itself is the crate `edge_ocr`.
//!
//! ```text
//! camera → fields (edge_ocr, in named regions) → rules → outbox → publisher → broker
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`camera`] | where frames come from: a directory, HTTP, MJPEG, a program, V4L2, stored images |
//! | [`rules`] | texts of several frames to a value that is trusted, or refused with a reason |
//! | [`publish`] | the outbox on disk, MQTT, topics, payloads, Home Assistant's discovery |
//! | [`node`] | configuration, the loop, commands, metrics, the service manager |
//! | [`worker`] | reading for others: images from a broker, results to it |
//! | [`util`] | shared parts: configuration files, secrets, signals, shutdown, atomic files |

pub mod camera;
#[cfg(test)]
#[path = "../../tests/support/fuzz.rs"]
mod fuzz;
pub mod node;
pub mod publish;
pub mod rules;
pub mod util;
pub mod worker;

/// The examples of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
