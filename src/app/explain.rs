//! `explain`: the state's side from the running instance or from the state itself, then the index, the
//! log and the dead letters.

use std::collections::HashSet;
use std::sync::Arc;

use super::adapters::sink;
use crate::cli::OutputFormat;
use crate::config::Config;
use crate::dead_letter::{self, DeadLetter};
use crate::error::{Error, Result};
use crate::explain::{Explanation, LogSide, OtherSides, StateSide, text};
use crate::http::client::InstanceClient;
use crate::output;
use crate::pipeline::work::blocking;
use crate::projection::{Limits, Projection};
use crate::shutdown::Shutdown;
use crate::sink::holding::Holding;
use crate::sink::index::Index;
use crate::state::State;
use crate::state::fjall::FjallStore;

/// How often state and index are read again when the document moved between the two.
const ATTEMPTS: usize = 5;

/// Prints the explanation of a document.
pub(super) async fn run(config: Config, format: OutputFormat, projection: &str, id: &str) -> Result<()> {
    let projection = find_projection(&config, projection)?;
    let mut source =
        ExplanationSource { config: &config, projection, id: id.to_owned(), sink: sink(&config)? };
    if projection.has_children() && id.contains('/') {
        source.id = source.state().await?.child.unwrap_or(source.id);
    }
    let letters = source.letters().await;
    let identity = source.identity().await;
    let (state, index) = source.read_both(identity.as_deref().ok()).await?;
    let log = match identity {
        Ok(_) => source.log(&state).await,
        Err(error) => Err(error),
    };
    let (letters, problem) = match letters {
        Ok(letters) => (letters, None),
        Err(error) => (Vec::new(), Some(format!("the dead letters were not read: {}", error.chain()))),
    };
    let is_own = |letter: &&DeadLetter| {
        letter.document_key().is_some_and(|(of, key)| of == projection.name() && key == source.id)
    };
    let own = letters.iter().find(is_own);
    let names: HashSet<String> = letters.iter().map(DeadLetter::name).collect();
    let beside = OtherSides {
        log: log.map_err(|error| error.chain()),
        index: index.map_err(|error| error.chain()),
        letters: &names,
        rejected: own.map(|letter| letter.reason.as_str()),
    };
    let mut explanation = Explanation::new(projection, id, &state, beside);
    explanation.problems.extend(problem);
    print(&explanation, format)
}

fn print(explanation: &Explanation, format: OutputFormat) -> Result<()> {
    match format {
        OutputFormat::Json => output::json(explanation)?,
        OutputFormat::Text if explanation.known => output::line(text(explanation)),
        OutputFormat::Text => {}
    }
    if !explanation.problems.is_empty() {
        return Err(Error::failure(explanation.problems.join("; ")));
    }
    if !explanation.known {
        let Explanation { projection, id, .. } = explanation;
        return Err(Error::failure(format!(
            "nothing knows {projection}/{id}: no record of the log, no row of the state and no document of the index has that id"
        )));
    }
    Ok(())
}

/// The projection of this name among the configured ones.
fn find_projection(config: &Config, name: &str) -> Result<Projection> {
    let projection = config.plan().projection(name).ok_or_else(|| {
        let known: Vec<&str> = config.plan().projections().map(Projection::name).collect();
        Error::usage(format!("there is no projection {name}; there are {}", known.join(", ")))
    })?;
    if config.projections().contains(&projection) {
        return Ok(projection);
    }
    Err(Error::usage(format!("the projection {name} is not kept; index.projections names those that are")))
}

/// Where everything comes from.
struct ExplanationSource<'a> {
    config: &'a Config,
    projection: Projection,
    /// The document's key.
    id: String,
    sink: Arc<dyn Index>,
}

impl ExplanationSource<'_> {
    /// State and index as they belong together: the index is read before and after the state, until
    /// nothing was written between.
    async fn read_both(&self, identity: Option<&str>) -> Result<(StateSide, Result<Holding>)> {
        let mut before = self.sink.find(self.projection, &self.id, identity).await;
        for attempt in 1.. {
            let state = self.state().await?;
            let after = self.sink.find(self.projection, &self.id, identity).await;
            let is_settled = match (&before, &after) {
                (Ok(before), Ok(after)) => before == after,
                _ => true,
            };
            if is_settled || attempt >= ATTEMPTS {
                return Ok((state, after));
            }
            before = after;
        }
        Err(Error::failure("the document changed during each look at it; run the command again"))
    }

    async fn state(&self) -> Result<StateSide> {
        if let Some(instance) = InstanceClient::find(self.config).await {
            return instance.explain(self.projection.name(), &self.id).await;
        }
        if !self.config.state.is_dir() {
            return Err(Error::failure(format!(
                "no instance answers, and there is no state in {}; start one with `tributary run`",
                self.config.state.display()
            )));
        }
        let (config, projection, id) = (self.config.clone(), self.projection, self.id.clone());
        let limits = Limits { max_embedded_contacts: config.index.max_embedded_contacts };
        blocking(move || {
            let store = Arc::new(FjallStore::open(&config.state, config.plan())?);
            let state = State::open(store, config.plan(), &config.fingerprint())?;
            StateSide::of(&state, projection, &id, limits, "stopped")
        })
        .await
    }

    async fn identity(&self) -> Result<String> {
        let config = self.config.clone();
        blocking(move || super::source(&config).map(|source| source.identity())).await
    }

    async fn log(&self, state: &StateSide) -> Result<LogSide> {
        let (config, state) = (self.config.clone(), state.clone());
        let (projection, id) = (self.projection, self.id.clone());
        blocking(move || {
            let mut source = super::source(&config)?;
            LogSide::read(&mut *source, &super::decoder(&config)?, projection, &id, &state)
        })
        .await
    }

    async fn letters(&self) -> Result<Vec<DeadLetter>> {
        let config = self.config.clone();
        blocking(move || dead_letter::open(&config.dead_letters, &config.kafka, Shutdown::default())?.list())
            .await
    }
}
