//! A rebuild: a new index beside the live one, filled from the log or from a copy of the state. It is checked and put
//! behind the alias while searches and indexing go on.
//!
//! A rebuild is a process of its own with a state of its own; it never touches that of the running instance. Each
//! phase is written down before it begins, in the index (where every instance sees it) and in the rebuild's folder. A
//! rebuild that was killed therefore goes on with the same index.

mod carrier;
mod claim;
mod conductor;
mod evidence;
mod interruption;
mod meter;
pub mod session;
mod sources;
mod target;
mod upkeep;

pub use claim::Claim;
pub use conductor::{Conductor, RebuildOptions, RebuildOutcome, Round, Rounds};
pub use sources::Sources;
pub use target::Target;
pub use upkeep::{abort, give_up, is_swapping, prune, prune_gone};
