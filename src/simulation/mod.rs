//! The pipeline, simulated: the real code over a simulated log, disk, index and group, in virtual time, with
//! faults that a seed draws. A seed gives the same run to the byte.
//!
//! A run has the built-in model or one that is drawn, in one of the two layouts.
//!
//! `TRIBUTARY_SEED=n cargo test --lib simulation::` runs one seed and shows its trace. `TRIBUTARY_SEEDS=from..to`
//! runs others than the fixed ones, and `TRIBUTARY_SOAK=1` goes on until it is stopped.

pub(crate) mod bugs;
mod domain;
#[path = "../../tests/random_models/drawn.rs"]
mod drawn;
mod events;
mod group;
mod index;
mod instance;
mod log;
#[path = "../../tests/random_models/plain.rs"]
mod plain;
mod plan;
#[cfg(test)]
mod planted_bugs;
mod rebuild;
#[path = "../../tests/reference.rs"]
mod reference;
mod scenario;
mod sink;
mod store;
mod tests;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use self::domain::Domain;
use self::scenario::Scenario;
use self::world::World;
use crate::model::Layout;
use crate::pipeline::work::simulated;

/// How many contacts an organisation's document holds at most.
const MAX_EMBEDDED: usize = 3;

/// The outcome of a seed, with its counts and its trace.
struct SeedReport {
    outcome: Result<(), String>,
    counts: BTreeMap<&'static str, u64>,
    trace: String,
}

/// Which model a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    BuiltIn,
    Drawn,
    /// The built-in one with `layout = "join"`.
    BuiltInJoin,
    /// A drawn one with `layout = "join"` wherever it can be.
    DrawnJoin,
}

/// Runs a seed on this thread.
fn simulate(of: Of, seed: u64) -> SeedReport {
    fastrand::seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let entered = runtime.enter();
    simulated::begin();
    let domain = match of {
        Of::BuiltIn => Domain::of_built_in(Layout::Nested),
        Of::Drawn => Domain::draw(seed, Layout::Nested),
        Of::BuiltInJoin => Domain::of_built_in(Layout::Join),
        Of::DrawnJoin => Domain::draw(seed, Layout::Join),
    };
    let world = Arc::new(World::new(seed, domain));
    drop(entered);
    let local = tokio::task::LocalSet::new();
    let mut scenario = Scenario::new(&world, folder.path());
    let run = AssertUnwindSafe(|| runtime.block_on(local.run_until(scenario.run())));
    let outcome = catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panicked: {}", text.unwrap_or_default()))
    });
    let (counts, trace) = world.report();
    SeedReport { outcome, counts, trace }
}
