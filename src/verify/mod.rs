//! `verify`: a comparison of the documents that the state expects with those of the index, streamed in bounded memory.
//! The ordinary delivery repairs the differences.
//!
//! A difference is reported only when it is proven. The index held the same document before and after a snapshot of the
//! state. The snapshot expects another one, and no work was pending for the document in it.

pub mod comparison;
mod examination;
mod pending_work;
mod session;
mod silence_check;
mod verdict;
pub mod walk;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::Sender as Commands;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::command::FoldCommand;
use crate::pipeline::status::Status;
use crate::projection::{Limits, Projection};
use crate::shutdown::Shutdown;
use crate::sink::documents::Documents;
use crate::state::State;

/// The scope of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyRequest {
    /// The projections by name; all that are kept when none is named.
    pub projections: Vec<String>,
    /// Repair the differences.
    pub repair: bool,
    /// Compare about so many documents of each projection; all of them without.
    #[schemars(range(min = 1))]
    pub sample: Option<u64>,
    /// Which ones a sample takes.
    pub seed: u64,
}

/// How a document differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DifferenceKind")]
pub enum Kind {
    /// The index does not hold it.
    Missing,
    /// The index holds another content.
    Stale,
    /// The index holds it and the state calls for none.
    Extra,
    /// The index shows more of entities that a partial log holds no record of. It is no fault, and nothing is to be repaired.
    Unknown,
}

/// A document that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The projection's name.
    pub projection: String,
    /// The document's id.
    pub id: String,
    /// The id of the owner, where the document is a child.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How it differs.
    pub kind: Kind,
    /// For a person: the fields of a stale document, whether an extra one was deleted or is foreign.
    pub detail: String,
}

/// The counts of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VerifySummary")]
pub struct Summary {
    /// Documents that the state calls for and that were compared, by projection.
    pub compared: BTreeMap<String, u64>,
    /// Documents that the index does not hold.
    pub missing: u64,
    /// Documents that the index holds with another content.
    pub stale: u64,
    /// Documents that the index holds and the state calls for none.
    pub extra: u64,
    /// Documents of which a partial log holds no record of all their parts: no differences.
    #[serde(default)]
    pub unknown: u64,
    /// Documents that are marked and not delivered yet: no differences.
    // The aliases are the names of earlier builds.
    #[serde(alias = "on_its_way")]
    pub pending: u64,
    /// Differences that were repaired.
    #[serde(alias = "mended")]
    pub repaired: u64,
    /// Differences that a repair did not remove, or not in time.
    #[serde(alias = "unmended")]
    pub unrepaired: u64,
}

impl Summary {
    /// How many documents differed.
    pub fn differences(&self) -> u64 {
        self.missing + self.stale + self.extra
    }

    fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Missing => self.missing += 1,
            Kind::Stale => self.stale += 1,
            Kind::Extra => self.extra += 1,
            Kind::Unknown => self.unknown += 1,
        }
    }
}

/// The reports of a comparison, as it goes. The last line is a summary or an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "VerifyLine")]
pub enum Line {
    /// A document differs.
    Difference(Difference),
    /// So many documents are looked at; the line comes about every second.
    Progress(u64),
    /// The end.
    Summary(Summary),
    /// It could not go on.
    Error(String),
}

/// The instance that has the state open, when the comparison is part of one.
pub struct LiveInstance {
    /// To its fold.
    commands: Commands<FoldCommand>,
    status: Arc<Status>,
}

impl LiveInstance {
    /// The instance with this fold and this status.
    pub fn new(commands: Commands<FoldCommand>, status: Arc<Status>) -> Self {
        Self { commands, status }
    }
}

/// A comparison of the state with the index.
pub struct Verifier {
    /// The state, from which documents are made.
    state: Arc<State>,
    /// The index, open.
    sink: Arc<dyn Documents>,
    /// The projections of the sink.
    projections: Vec<Projection>,
    limits: Limits,
    /// The running instance; nothing moves, and nothing is repaired, without one.
    live: Option<LiveInstance>,
    /// Ends it early.
    stop: Shutdown,
}

impl Verifier {
    /// A comparison with an open index, beside no running instance. `projections` are those of the index, and `stop`
    /// ends the comparison early.
    pub fn new(
        state: Arc<State>,
        sink: Arc<dyn Documents>,
        projections: Vec<Projection>,
        limits: Limits,
        stop: Shutdown,
    ) -> Self {
        Self { state, sink, projections, limits, live: None, stop }
    }

    /// The same as a part of a running instance.
    #[must_use]
    pub fn with_instance(self, live: LiveInstance) -> Self {
        Self { live: Some(live), ..self }
    }

    /// Looks whether the scope can be compared.
    ///
    /// # Errors
    /// Exit code 2 when it can't.
    pub fn check(&self, scope: &VerifyRequest) -> Result<()> {
        choose_projections(&self.projections, &scope.projections).map(|_| ())
    }

    /// Compares and reports to `out` as it goes; ends early when the receiver is gone.
    pub async fn run(&self, scope: &VerifyRequest, out: &Sender<Line>) {
        let last = match session::run(self, scope, out).await {
            Ok(summary) => Line::Summary(summary),
            Err(error) => Line::Error(error.chain()),
        };
        // A receiver that is gone does not miss it.
        let _ = self.tell(out, last).await;
    }

    async fn tell(&self, out: &Sender<Line>, line: Line) -> Result<()> {
        tokio::select! {
            sent = out.send(line) => sent.map_err(|_| interruption_error()),
            // The last words of a stop need a listener that listens.
            () = self.stop.wait(), if out.capacity() == 0 => Err(stop_error()),
        }
    }
}

/// The projections of these names among those that are kept; all of them without a name.
///
/// # Errors
/// Exit code 2 for a name that is none.
pub fn choose_projections(configured: &[Projection], names: &[String]) -> Result<Vec<Projection>> {
    let find = |name: &String| {
        configured.iter().copied().find(|projection| projection.name() == name).ok_or_else(|| {
            let known: Vec<&str> = configured.iter().map(|projection| projection.name()).collect();
            Error::usage(format!("there is no projection {name}; there are {}", known.join(", ")))
        })
    };
    if names.is_empty() {
        return Ok(configured.to_vec());
    }
    let mut chosen = names.iter().map(find).collect::<Result<Vec<_>>>()?;
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

fn interruption_error() -> Error {
    Error::failure("the receiver of the differences is gone")
}

fn stop_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the instance stops; run `tributary verify` again when it is back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, ORGANISATIONS};

    #[test]
    fn projections_are_chosen_by_name_and_once() {
        let configured = [ORGANISATIONS, CONTACTS];
        let named = |names: &[&str]| {
            choose_projections(&configured, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(named(&[]).unwrap(), configured);
        assert_eq!(named(&["contacts", "contacts"]).unwrap(), [CONTACTS]);
        let error = named(&["hierarchy"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("organisations, contacts"), "{error}");
    }
}
