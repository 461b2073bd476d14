//! The state, looked at as it lies in its folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::STATE;
use super::findings::Findings;
use crate::config::Config;
use crate::error::Result;
use crate::http::client::InstanceClient;
use crate::pipeline::work::blocking;
use crate::plan::PlanRef;
use crate::state::State;
use crate::state::fjall::Peek;
use crate::state::rows::FoldProgress;

/// The state as `check` found it.
pub(in crate::app) enum FoundState {
    /// There is none yet.
    Nothing,
    /// It lies there.
    Resting(StateAtRest),
    /// A running instance, which has compared it with the log, has it open.
    Running(InstanceClient),
    /// It cannot be used.
    Wrong,
}

/// The values that a run takes from the state when it starts.
#[derive(Default)]
pub(in crate::app) struct StateAtRest {
    pub(super) progress: FoldProgress,
    pub(super) topic_ids: BTreeMap<String, String>,
    pub(super) is_partial: bool,
    pub(super) name: String,
}

/// Looks at the state, without waiting for it and without a change.
pub(super) async fn look(config: &Config, findings: &mut Findings) -> FoundState {
    if let Some(instance) = InstanceClient::find(config).await {
        let address = instance.address();
        let text = format!("open in the running instance at {address}, which looks after it");
        findings.note_good(STATE, text);
        return FoundState::Running(instance);
    }
    match peek(config).await {
        Ok(Some(resting)) => FoundState::Resting(resting),
        Ok(None) => FoundState::Nothing,
        Err(error) => {
            findings.note_wrong(STATE, &error.about("state"));
            FoundState::Wrong
        }
    }
}

/// The values that a run would take from the state in its folder; `None` when there is no state.
///
/// # Errors
/// Those that a run would end with, and those of a state that another process has open.
pub(in crate::app) async fn peek(config: &Config) -> Result<Option<StateAtRest>> {
    let (folder, fingerprint, plan) = (config.state.clone(), config.fingerprint(), config.plan());
    blocking(move || {
        let Some(peek) = Peek::open(&folder, plan)? else { return Ok(None) };
        read_state(peek, plan, &fingerprint).map(Some)
    })
    .await
}

fn read_state(peek: Peek, plan: PlanRef, fingerprint: &str) -> Result<StateAtRest> {
    let Peek { store, folder: _folder } = peek;
    let state = State::open(Arc::new(store), plan, fingerprint)?;
    Ok(StateAtRest {
        progress: state.progress()?,
        topic_ids: state.topic_ids()?,
        is_partial: state.is_partial(),
        name: state.name()?,
    })
}
