//! Whether a filled index is what the state says.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::projection::{Limits, Projection};
use crate::sink::DocumentSink;
use crate::sink::generations::Generations;
use crate::state::keys::{Space, owner_of};
use crate::state::{Snapshot, State};

/// What was seen of one index.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Evidence {
    /// The concrete index.
    pub index: String,
    /// The documents that the state calls for.
    pub called_for: u64,
    /// Those that the index holds.
    pub held: u64,
}

impl Evidence {
    /// What is wanting; `rejected` documents may be missing.
    pub(super) fn wanting(&self, rejected: u64) -> Option<String> {
        let missing = self.called_for.saturating_sub(self.held);
        if self.held <= self.called_for && missing <= rejected {
            return None;
        }
        Some(format!(
            "{} holds {} documents where the state calls for {}; the alias is left where it is. \
             Look for another program that writes there, then run the same command again",
            self.index, self.held, self.called_for
        ))
    }
}

/// Counts both sides of each index.
pub(super) async fn gather<S: DocumentSink + Generations>(
    sink: &S,
    state: &Arc<State>,
    projections: &[Projection],
    indexes: &[String],
    limits: Limits,
) -> Result<Vec<Evidence>> {
    let mut gathered = Vec::new();
    for (projection, index) in projections.iter().copied().zip(indexes) {
        let state = Arc::clone(state);
        let counted = tokio::task::spawn_blocking(move || count(&state, projection, limits)).await;
        let called_for = counted.map_err(|error| Error::failed("the count broke off").because(error))??;
        gathered.push(Evidence { index: index.clone(), called_for, held: sink.count(index).await? });
    }
    Ok(gathered)
}

/// How many documents of `projection` the state calls for.
fn count(state: &State, projection: Projection, limits: Limits) -> Result<u64> {
    let snapshot = state.snapshot()?;
    // Whether there is a document does not depend on how much of it is embedded.
    let limits = Limits { max_embedded_contacts: limits.max_embedded_contacts.min(1) };
    let mut bytes = Vec::new();
    let mut count = 0;
    let entities = if projection == Projection::Contacts { Space::Contacts } else { Space::Organisations };
    let mut visit = |id: &str, snapshot: &Snapshot| -> Result<()> {
        bytes.clear();
        count += u64::from(projection.materialise(snapshot, id, limits, 0, &mut bytes)?);
        Ok(())
    };
    snapshot.view().scan(entities, &[], &[], &mut |key, _| {
        if let Ok(id) = std::str::from_utf8(key) {
            visit(id, &snapshot)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let relation = match projection {
        Projection::Organisations => Space::ContactsOf,
        Projection::Hierarchy => Space::ChildrenOf,
        Projection::Contacts => return Ok(count),
    };
    // Those that are only spoken of have no row of their own.
    let mut last = None;
    snapshot.view().scan(relation, &[], &[], &mut |key, _| {
        let owner = owner_of(key);
        if owner != last {
            if let Some(id) = &owner
                && snapshot.view().get(Space::Organisations, id.as_bytes())?.is_none()
            {
                visit(id, &snapshot)?;
            }
            last = owner;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}
