//! The parts of a run, as the application puts them together.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::command::FoldCommand;
use super::start::Patience;
use super::status::Status;
use super::tuning::Tuning;
use crate::config::Refresh;
use crate::dead_letter::DeadLetters;
use crate::decoder::Decoder;
use crate::plan::EntityType;
use crate::projection::{Limits, Projection};
use crate::sink::claimant::Claimant;
use crate::sink::generations::Aliases;
use crate::source::EventSource;
use crate::source::leadership::{Leadership, SingleInstance};
use crate::state::State;

/// The log of a run, and how its records are read.
pub struct LogParts {
    pub(super) source: Box<dyn EventSource>,
    pub(super) decoder: Arc<Decoder>,
    /// The entity type of each topic.
    pub(super) kinds: Vec<(String, EntityType)>,
    /// Fold a log that no longer begins at its beginning.
    pub(super) allow_partial: bool,
}

impl LogParts {
    /// A log that has to begin at its beginning. `kinds` are the entity types of the topics.
    pub fn new(
        source: Box<dyn EventSource>,
        decoder: Arc<Decoder>,
        kinds: Vec<(String, EntityType)>,
    ) -> Self {
        Self { source, decoder, kinds, allow_partial: false }
    }

    /// The same; `allow_partial` says whether a log is folded that no longer begins at its beginning.
    #[must_use]
    pub fn with_partial(self, allow_partial: bool) -> Self {
        Self { allow_partial, ..self }
    }
}

/// The index of a run, and how it is written.
pub struct IndexParts {
    pub(super) sink: Arc<dyn Aliases>,
    /// The projections of the sink.
    pub(super) projections: Vec<Projection>,
    pub(super) limits: Limits,
    /// How changes become searchable.
    pub(super) refresh: Refresh,
    /// Go on with an index that was built with another mapping.
    pub(super) mapping_may_differ: bool,
    /// The group that writes, where others may.
    pub(super) claimant: Option<Claimant>,
}

impl IndexParts {
    /// An index that no other group writes, with the projections of the sink.
    pub fn new(
        sink: Arc<dyn Aliases>,
        projections: Vec<Projection>,
        limits: Limits,
        refresh: Refresh,
    ) -> Self {
        Self { sink, projections, limits, refresh, mapping_may_differ: false, claimant: None }
    }

    /// The same for a group that writes, where others may.
    #[must_use]
    pub fn with_claimant(self, claimant: Claimant) -> Self {
        Self { claimant: Some(claimant), ..self }
    }

    /// The same; `mapping_may_differ` says whether the run goes on with an index that was built with another mapping.
    #[must_use]
    pub fn with_other_mapping(self, mapping_may_differ: bool) -> Self {
        Self { mapping_may_differ, ..self }
    }
}

/// The parts of a run.
pub struct Parts {
    pub(super) state: Arc<State>,
    pub(super) log: LogParts,
    pub(super) index: IndexParts,
    pub(super) dead_letters: Box<dyn DeadLetters>,
    pub(super) leadership: Arc<dyn Leadership>,
    pub(super) status: Arc<Status>,
    /// Commands from outside (the administrative routes) come in here.
    pub(super) commands: (Sender<FoldCommand>, Receiver<FoldCommand>),
    pub(super) tuning: Tuning,
    /// How long an index that is away is waited for at the start.
    pub(super) patience: Patience,
}

impl Parts {
    /// The parts of a run that is the only writer. It reports to `status`, and its poison goes to `dead_letters`.
    pub fn new(
        state: Arc<State>,
        log: LogParts,
        index: IndexParts,
        dead_letters: Box<dyn DeadLetters>,
        status: Arc<Status>,
    ) -> Self {
        Self {
            state,
            log,
            index,
            dead_letters,
            leadership: Arc::new(SingleInstance::default()),
            status,
            commands: unbounded(),
            tuning: Tuning::default(),
            patience: Patience::default(),
        }
    }

    /// The same where an election says who writes.
    #[must_use]
    pub fn with_leadership(self, leadership: Arc<dyn Leadership>) -> Self {
        Self { leadership, ..self }
    }

    /// The same with a channel of commands that others send to as well.
    #[must_use]
    pub fn with_commands(self, commands: (Sender<FoldCommand>, Receiver<FoldCommand>)) -> Self {
        Self { commands, ..self }
    }

    /// The same; servers that are away are waited for that long at the start.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The same with other sizes of the parts that work is cut into.
    #[must_use]
    pub fn with_tuning(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// The same over another source of the log.
    #[must_use]
    pub fn with_source(self, source: Box<dyn EventSource>) -> Self {
        Self { log: LogParts { source, ..self.log }, ..self }
    }

    /// Where commands for this run are sent to.
    pub fn commands(&self) -> Sender<FoldCommand> {
        self.commands.0.clone()
    }
}
