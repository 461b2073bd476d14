//! The state that a rebuild begins with: the running instance's, or the one in its folder.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::client::InstanceClient;
use crate::pipeline::work::blocking;
use crate::plan::PlanRef;
use crate::reindex::session::Folder;
use crate::state::fjall::FjallStore;
use crate::state::store::StateStore;
use crate::state::{State, copy};

/// Where the state is.
enum StateOrigin {
    /// Open in this process.
    Held(Arc<State>),
    /// Open in a running instance.
    Running(InstanceClient),
    /// In its folder, open nowhere else.
    Resting(Arc<FjallStore>),
}

/// Fills the rebuild's folder with a copy: by links where the folders share a file system, else entry by entry.
pub(super) async fn copy(config: &Config, folder: &Folder, open_state: Option<Arc<State>>) -> Result<()> {
    folder.clear_state()?;
    let origin = origin(config, open_state).await?;
    let (name, beside) = folder.linking()?;
    let into = beside.clone();
    let is_linked = match &origin {
        StateOrigin::Held(state) => {
            let state = Arc::clone(state);
            blocking(move || state.link(&into)).await?
        }
        StateOrigin::Running(instance) => instance.link(&name).await?,
        StateOrigin::Resting(store) => {
            let store = Arc::clone(store);
            blocking(move || store.link(&into)).await?
        }
    };
    let (state, plan) = (folder.state(), config.plan());
    if is_linked {
        folder.take_linked(&beside)?;
        return blocking(move || copy::strip(&FjallStore::open(&state, plan)?))
            .await
            .inspect(|()| report_copy("links"));
    }
    folder.clear_state()?;
    blocking(move || write(origin, plan, &state)).await.inspect(|()| report_copy("entries"))
}

fn report_copy(by: &'static str) {
    tracing::info!(by, "the state is copied");
}

/// Says whether there is a state to copy.
pub(in crate::app) async fn check(config: &Config) -> Result<()> {
    if config.state.is_dir() || InstanceClient::find(config).await.is_some() {
        Ok(())
    } else {
        Err(absent(config))
    }
}

fn absent(config: &Config) -> Error {
    Error::failure(format!(
        "no instance answers, and there is no state in {}; use --from log",
        config.state.display()
    ))
}

async fn origin(config: &Config, open_state: Option<Arc<State>>) -> Result<StateOrigin> {
    if let Some(state) = open_state {
        return Ok(StateOrigin::Held(state));
    }
    if let Some(instance) = InstanceClient::find(config).await {
        return Ok(StateOrigin::Running(instance));
    }
    if !config.state.is_dir() {
        return Err(absent(config));
    }
    let (path, plan) = (config.state.clone(), config.plan());
    Ok(StateOrigin::Resting(Arc::new(blocking(move || FjallStore::open(&path, plan)).await?)))
}

fn write(origin: StateOrigin, plan: PlanRef, into: &Path) -> Result<()> {
    let store = FjallStore::open(into, plan)?;
    match origin {
        StateOrigin::Held(state) => copy::between(&*state.view(), plan, &store),
        StateOrigin::Running(instance) => {
            instance.copy(Handle::current(), |input| copy::read(input, plan, &store))
        }
        StateOrigin::Resting(resting) => copy::between(&*resting.view(), plan, &store),
    }
    .map(|_| ())
}
