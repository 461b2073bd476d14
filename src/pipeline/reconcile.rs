//! The look through an index that the state did not fill: which documents does the log no longer speak of.

use serde_json::Value;

use super::command::FoldCommand;
use super::context::Context;
use super::versions::is_made_of_references;
use crate::entity::Liveness;
use crate::error::{ErrorKind, Result};
use crate::projection::Projection;
use crate::sink::documents::at_least_one;
use crate::state::keys::Space;
use crate::state::{Snapshot, State};

/// The indexes that are to be reconciled: they hold documents that the state may not know of.
#[derive(Debug, Default)]
pub(super) struct Reconciliation {
    indexes: Vec<(Projection, String)>,
}

impl Reconciliation {
    /// True when no index is left.
    pub(super) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Forgets every index.
    pub(super) fn clear(&mut self) {
        self.indexes.clear();
    }

    /// Adds the index of a projection, in the place of an earlier one.
    pub(super) fn put(&mut self, projection: Projection, index: String) {
        self.indexes.retain(|(known, _)| *known != projection);
        self.indexes.push((projection, index));
    }

    /// Adds indexes, behind those that are there.
    pub(super) fn extend(&mut self, indexes: Vec<(Projection, String)>) {
        self.indexes.retain(|known| !indexes.contains(known));
        self.indexes.extend(indexes);
    }

    /// Reconciles the indexes that the state did not fill, one after the other. An index that is away is reconciled later. A
    /// revoked writer stops, because unknown documents are then the next writer's.
    pub(super) async fn run(&mut self, context: &Context) -> Result<()> {
        let mut writer = context.leadership().writer();
        while let Some((projection, index)) = self.indexes.first().cloned() {
            let looked = tokio::select! {
                biased;
                _ = writer.wait_for(|writer| !writer && !bug!(NoStandBy)) => return Ok(()),
                looked = reconcile(context, projection, &index) => looked,
            };
            match looked {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::warn!(error = error.chain(), index, "the scan is waiting for the index");
                    return Ok(());
                }
                looked => looked?,
            }
            self.indexes.remove(0);
        }
        context.barrier().await
    }
}

/// Marks the documents of an index that the state knows nothing living of: they are deleted.
async fn reconcile(context: &Context, projection: Projection, index: &str) -> Result<()> {
    if context.sink().is_untouched() {
        return context.command(FoldCommand::BuiltFor(projection, index.to_owned()));
    }
    // Documents of a dead writer are listed as well, although it had not made them searchable.
    context.sink().refresh().await?;
    let mut cursor = None;
    let mut found = 0;
    loop {
        let (unknown, next) = if context.state().is_partial() {
            find_unknown_to_partial(context, projection, (index, cursor)).await?
        } else {
            let page = context.sink().ids(projection, cursor).await?;
            (find_unknown(context.state(), projection, page.ids)?, page.cursor)
        };
        found += unknown.len();
        if !unknown.is_empty() {
            context.command(FoldCommand::Mark(unknown))?;
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let name = projection.name();
    tracing::info!(
        projection = name,
        index,
        found,
        "the index was scanned for documents that have no record in the log"
    );
    context.command(FoldCommand::BuiltFor(projection, index.to_owned()))
}

/// The same of one page for a partial log, which does not speak of every entity. The page's documents are those
/// that the log deletes, and stubs that it refutes.
async fn find_unknown_to_partial(
    context: &Context,
    projection: Projection,
    (index, cursor): (&str, Option<String>),
) -> Result<(Vec<(Projection, String)>, Option<String>)> {
    let page = context.sink().versions(index, cursor).await?;
    let (mut unknown, mut stubs) = (Vec::new(), Vec::new());
    let has_stubs = !projection.get().stubs.is_empty();
    {
        let snapshot = context.state().snapshot()?;
        for (id, _) in page.documents {
            match snapshot.document(projection, &id)? {
                Liveness::Deleted => unknown.push((projection, id)),
                // A child is made of a record of its member, and is no stub.
                Liveness::Unseen if has_stubs && projection.child(&id).is_none() => stubs.push(id),
                Liveness::Unseen | Liveness::Alive => {}
            }
        }
    }
    while !stubs.is_empty() {
        let documents = at_least_one(context.sink().get(projection, &stubs).await?)?;
        let snapshot = context.state().snapshot()?;
        for (id, stored) in stubs.drain(..documents.len().min(stubs.len())).zip(documents) {
            let stub = stored.filter(is_made_of_references);
            if stub.map_or(Ok(false), |stub| is_refuted(&snapshot, projection, &stub.body))? {
                unknown.push((projection, id));
            }
        }
    }
    Ok((unknown, page.cursor))
}

/// True of a document of references only when the log speaks of all that it shows. Were one of them still its own, the
/// state would know the reference.
fn is_refuted(snapshot: &Snapshot, projection: Projection, body: &[u8]) -> Result<bool> {
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return Ok(false) };
    let plan = projection.plan();
    for embed in &projection.get().embeds {
        let Some((from, of)) = embed.from().zip(plan.entity_type_of_number(embed.to)) else { continue };
        let shown = document.get(embed.name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_short =
            |count: &str| document.get(count).and_then(Value::as_u64).unwrap_or(0) > shown.len() as u64;
        let is_truncated = |name: &str| document.get(name).and_then(Value::as_bool).unwrap_or(false);
        if from.count.is_some_and(is_short) || from.truncated.is_some_and(is_truncated) {
            return Ok(false);
        }
        for entity in shown {
            let Some(id) = entity.get("id").and_then(Value::as_str) else { return Ok(false) };
            if snapshot.liveness(Space::of_type(of), id)? == Liveness::Unseen {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Those of `ids` whose entity is not alive: stubs are among them, and are found alive when made.
fn find_unknown(
    state: &State,
    projection: Projection,
    ids: Vec<String>,
) -> Result<Vec<(Projection, String)>> {
    let snapshot = state.snapshot()?;
    let mut unknown = Vec::new();
    for id in ids {
        match snapshot.document(projection, &id)? {
            Liveness::Alive => {}
            Liveness::Deleted | Liveness::Unseen => unknown.push((projection, id)),
        }
    }
    Ok(unknown)
}
