//! What the broker keeps for later subscribers.

use serde::{Deserialize, Serialize};

/// For each class of messages, whether the broker keeps the last one. Commands, images and statistics are never kept:
/// a kept command would be carried out again after every restart, and the others would look fresh when they are not.
///
/// Turning a class off does not clear what was kept before; [`clear_retained`](super::clear::clear_retained) does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetainConfig {
    /// Whether node and camera are there. Home Assistant needs it: without it everything is unavailable after its
    /// restart.
    pub status: bool,
    /// Version, models and fields.
    pub info: bool,
    /// The last reading of each field.
    pub state: bool,
    /// Home Assistant's discovery. Not needed, because the node answers Home Assistant's birth message. Retained, it
    /// keeps entities of nodes that no longer exist.
    pub discovery: bool,
}

impl Default for RetainConfig {
    fn default() -> RetainConfig {
        RetainConfig { status: true, info: true, state: true, discovery: false }
    }
}
