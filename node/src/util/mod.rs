//! What cameras, publisher, node and worker share.
//!
//! | file | what it does |
//! |---|---|
//! | `config_file` | a configuration file → a typed value, or one sentence that says what is wrong in it |
//! | `culprit` | which key of a configuration an error is about |
//! | `secret` | passwords that do not get into logs |
//! | `latch` | waits that end at once: an event that is set once, a value that threads wait for |
//! | `lossy_writer` | lines written by a thread, dropped where nobody reads |
//! | `retry` | growing pauses between attempts |
//! | `shutdown` | the event that ends a node or worker |
//! | `signals` | SIGTERM, SIGINT and SIGHUP |
//! | `atomic_file` | small files, replaced atomically |
//! | `tls` | certificates from PEM files (feature `tls`) |

pub(crate) mod atomic_file;
pub mod config_file;
mod culprit;
pub(crate) mod latch;
pub mod lossy_writer;
pub(crate) mod retry;
pub mod secret;
pub mod shutdown;
pub mod signals;
#[cfg(feature = "tls")]
pub(crate) mod tls;
