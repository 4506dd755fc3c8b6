//! What cameras, publisher, node and worker share.
//!
//! | file | what it does |
//! |---|---|
//! | `load` | a configuration file → a typed value, with its mistakes told in one sentence |
//! | `secret` | passwords that do not get into logs |
//! | `shutdown` | the flag that ends a node or worker |
//! | `signals` | SIGTERM, SIGINT and SIGHUP |
//! | `replace` | small files that are replaced as a whole |
//! | `tls` | certificates from PEM files (feature `tls`) |

pub mod load;
pub(crate) mod replace;
pub mod secret;
pub mod shutdown;
pub mod signals;
#[cfg(feature = "tls")]
pub(crate) mod tls;
