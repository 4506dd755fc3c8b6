//! What was read in a field → a reading that can be trusted, or the reason why it cannot.
//!
//! ```text
//! observations of K frames → text → pattern → check digit → vote → number → range → rate → Reading
//! ```
//!
//! Nothing here knows pixels, networks or MQTT; time comes in as an argument. [`StateFile`] is the only part that
//! knows files.
//!
//! A number is judged by what it can have become since the last good reading. What cannot be is refused, but kept in
//! mind: several refused readings that fit each other become the new base ([`RulesConfig::rebase_after`]), so that no
//! wrong reading can block the right ones for ever.

mod check;
mod clock;
mod config;
mod extract;
mod field;
mod meter;
mod number;
mod reading;
mod sign;
mod state;
mod state_file;
#[cfg(test)]
mod tests;
mod validate;
mod vote;

pub use clock::{MAX_GAP_MS, Moment};
pub use config::{Check, Monotonic, NumberConfig, RulesConfig, Select, Separator, VoteConfig};
pub use field::Field;
pub use reading::{Candidate, CharGuess, MAX_CANDIDATES, Observation, Reading, Status, Value};
pub use state::{FieldState, STATE_VERSION};
pub use state_file::{StateConfig, StateError, StateFile};
