//! The surroundings of a run: its ports, and the ways to its reader and its fold.

use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::oneshot;

use super::command::FoldCommand;
use super::index_progress::IndexProgress;
use super::queue::Queue;
use super::reader::EndRequest;
use super::status::Status;
use crate::error::{Error, Result};
use crate::position::Positions;
use crate::projection::Projection;
use crate::sink::generations::Aliases;
use crate::source::leadership::Leadership;
use crate::state::State;

/// The surroundings of a run. None of them changes while it goes on, apart from the generation that becomes known.
pub(super) struct Context {
    state: Arc<State>,
    status: Arc<Status>,
    queue: Arc<Queue>,
    sink: Arc<dyn Aliases>,
    /// The projections of the sink.
    projections: Vec<Projection>,
    leadership: Arc<dyn Leadership>,
    /// The commands to the fold.
    commands: Sender<FoldCommand>,
    /// The requests to the reader.
    end_requests: Sender<EndRequest>,
    /// The log's identity.
    identity: String,
    /// The log's generation, once the reader knows it.
    generation: Arc<OnceLock<String>>,
}

impl Context {
    /// The surroundings of a run over the log with this identity. The projections are those of the sink.
    pub(super) fn new(
        (state, status, queue): (Arc<State>, Arc<Status>, Arc<Queue>),
        (sink, projections): (Arc<dyn Aliases>, Vec<Projection>),
        leadership: Arc<dyn Leadership>,
        (commands, end_requests): (Sender<FoldCommand>, Sender<EndRequest>),
        identity: String,
    ) -> Self {
        let generation = Arc::default();
        Self {
            state,
            status,
            queue,
            sink,
            projections,
            leadership,
            commands,
            end_requests,
            identity,
            generation,
        }
    }

    pub(super) fn state(&self) -> &Arc<State> {
        &self.state
    }

    pub(super) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// How far the indexes are.
    pub(super) fn index_progress(&self) -> &Arc<IndexProgress> {
        &self.status.index_progress
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    pub(super) fn sink(&self) -> &Arc<dyn Aliases> {
        &self.sink
    }

    pub(super) fn projections(&self) -> &[Projection] {
        &self.projections
    }

    pub(super) fn leadership(&self) -> &dyn Leadership {
        &*self.leadership
    }

    /// The commands to the fold.
    pub(super) fn commands(&self) -> &Sender<FoldCommand> {
        &self.commands
    }

    /// The log's identity.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// The log's generation, which the reader sets.
    pub(super) fn generation_cell(&self) -> &Arc<OnceLock<String>> {
        &self.generation
    }

    /// The log's generation; empty while it is not known.
    pub(super) fn generation(&self) -> &str {
        self.generation.get().map_or("", String::as_str)
    }

    /// Sends a command to the fold.
    ///
    /// # Errors
    /// When the fold is gone.
    pub(super) fn command(&self, command: FoldCommand) -> Result<()> {
        self.commands.send(command).map_err(|_| Error::failure("the fold's thread is gone"))
    }

    /// Waits until the fold has carried out every earlier command, because only then the queue knows of it.
    pub(super) async fn barrier(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.command(FoldCommand::Barrier(reply))?;
        answer.await.map_err(|_| Error::failure("the fold's thread is gone"))
    }

    /// Has every document sent, those that the state knows and those that it comes to know until then.
    pub(super) fn send_everything(&self, projection: Projection, index: &str, has_state: bool) -> Result<()> {
        if has_state {
            let projection_name = projection.name();
            tracing::info!(projection = projection_name, index, "every document is sent to this index");
        }
        self.command(FoldCommand::BeginBackfill(projection))
    }

    /// Asks the reader for the log's end. Without a reader no answer comes.
    pub(super) fn ask_for_end(&self) -> Receiver<Result<Positions>> {
        let (reply, answer) = bounded(1);
        let _ = self.end_requests.send(reply);
        answer
    }
}
