//! The look through an index that the state did not fill: which documents does the log no longer speak of.

use serde_json::Value;

use super::planted::{self, Bug};
use super::run::Run;
use super::stream::Command;
use super::versions::is_made_of_references;
use crate::entity::Liveness;
use crate::error::{ErrorKind, Result};
use crate::projection::Projection;
use crate::sink::documents::at_least_one;
use crate::state::keys::Space;
use crate::state::{Snapshot, State};

impl Run {
    /// Reconciles the indexes that the state did not fill, one after the other. An index that is away is reconciled later. A
    /// revoked writer stops, because unknown documents are then the next writer's.
    pub(super) async fn reconcile(&mut self) -> Result<()> {
        let mut writer = self.leadership.writer();
        while let Some((number, index)) = self.reconcile.first().cloned() {
            let looked = tokio::select! {
                biased;
                _ = writer.wait_for(|writer| !writer && !planted::is(Bug::NoStandBy)) => return Ok(()),
                looked = self.reconcile_one(number, &index) => looked,
            };
            match looked {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::warn!(error = error.chain(), index, "waiting to look through the index");
                    return Ok(());
                }
                looked => looked?,
            }
            self.reconcile.remove(0);
        }
        self.barrier().await
    }

    /// Marks the documents of an index that the state knows nothing living of: they are deleted.
    async fn reconcile_one(&self, number: usize, index: &str) -> Result<()> {
        let Some(projection) = self.projections.get(number).copied() else { return Ok(()) };
        if self.sink.is_untouched() {
            return self.command(Command::BuiltFor(projection, index.to_owned()));
        }
        // Documents of a dead writer are listed as well, although it had not made them searchable.
        self.sink.refresh().await?;
        let mut cursor = None;
        let mut found = 0;
        loop {
            let (unknown, next) = if self.state.is_partial() {
                self.unknown_to_partial(projection, number, (index, cursor)).await?
            } else {
                let page = self.sink.ids(number, cursor).await?;
                (unknown_to(&self.state, projection, page.ids)?, page.cursor)
            };
            found += unknown.len();
            if !unknown.is_empty() {
                self.command(Command::Mark(unknown))?;
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
            "looked for documents that the log no longer speaks of"
        );
        self.command(Command::BuiltFor(projection, index.to_owned()))
    }

    /// The same of one page for a partial log, which does not speak of every entity. The page's documents are those
    /// that the log deletes, and stubs that it refutes.
    async fn unknown_to_partial(
        &self,
        projection: Projection,
        number: usize,
        (index, cursor): (&str, Option<String>),
    ) -> Result<(Vec<(Projection, String)>, Option<String>)> {
        let page = self.sink.versions(index, cursor).await?;
        let (mut unknown, mut stubs) = (Vec::new(), Vec::new());
        let has_stubs = !projection.get().stubs.is_empty();
        {
            let snapshot = self.state.snapshot()?;
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
            let documents = at_least_one(self.sink.get(number, &stubs).await?)?;
            let snapshot = self.state.snapshot()?;
            for (id, stored) in stubs.drain(..documents.len().min(stubs.len())).zip(documents) {
                let stub = stored.filter(is_made_of_references);
                if stub.map_or(Ok(false), |stub| is_refuted(&snapshot, projection, &stub.body))? {
                    unknown.push((projection, id));
                }
            }
        }
        Ok((unknown, page.cursor))
    }
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
fn unknown_to(state: &State, projection: Projection, ids: Vec<String>) -> Result<Vec<(Projection, String)>> {
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
