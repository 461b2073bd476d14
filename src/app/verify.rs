//! `verify`: by the running instance when there is one, else by opening the state and the index.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::channel;

use super::adapters;
use super::instance_identity::listen;
use super::run::{FollowOptions, follow};
use super::search::text::plain;
use crate::cli::{self, OutputFormat};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::client::InstanceClient;
use crate::output;
use crate::pipeline::status::Status;
use crate::position::Positions;
use crate::projection::Limits;
use crate::shutdown::Shutdown;
use crate::sink::generations::Generations;
use crate::state::State;
use crate::state::fjall::FjallStore;
use crate::verify::{Difference, Kind, Line, Summary, Verifier, VerifyRequest, choose_projections};

/// How often it is looked whether the instance that repairs answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LINES_MAX: usize = 64;

/// Compares, prints the differences, and ends with an error when there are some.
pub(super) async fn run(config: Config, format: OutputFormat, options: cli::Verify) -> Result<()> {
    choose_projections(&config.projections(), &options.projections)?;
    let scope = VerifyRequest {
        projections: options.projections,
        repair: options.repair,
        sample: options.sample,
        seed: options.seed.unwrap_or_else(|| fastrand::u64(..1 << 32)),
    };
    if let Some(sample) = scope.sample {
        tracing::info!(sample, seed = scope.seed, "a sample is compared; the same seed takes the same one");
    }
    let mut printer = Printer { format, repairs: scope.repair, last: None };
    match InstanceClient::find(&config).await {
        Some(instance) => instance.verify(&scope, |line| printer.take(line)).await?,
        None if scope.repair => repair_alone(config, &scope, &mut printer).await?,
        None => compare_alone(&config, scope.clone(), &mut printer).await?,
    }
    printer.end(scope.repair)
}

/// Compares the index with the state as both lie there.
async fn compare_alone(config: &Config, scope: VerifyRequest, printer: &mut Printer) -> Result<()> {
    if !config.state.is_dir() {
        return Err(Error::failure(format!(
            "there is no state in {} to compare with; make it with `tributary run`",
            config.state.display()
        )));
    }
    let state = Arc::new(State::open(
        Arc::new(FjallStore::open(&config.state, config.plan())?),
        config.plan(),
        &config.fingerprint(),
    )?);
    let sink = adapters::sink(config)?;
    open(config, &state, &*sink).await?;
    let limits = Limits { max_embedded_contacts: config.index.max_embedded_contacts };
    let verifier = Verifier::new(state, sink, config.projections(), limits, Shutdown::default());
    let (out, mut lines) = channel(LINES_MAX);
    let compared = tokio::spawn(async move { verifier.run(&scope, &out).await });
    while let Some(line) = lines.recv().await {
        printer.take(line)?;
    }
    compared.await.map_err(|error| Error::failure("the comparison broke off").because(error))
}

/// Opens the indexes that are there, makes none, and warns of the limits of the comparison.
async fn open(config: &Config, state: &State, sink: &dyn Generations) -> Result<()> {
    let indexes = sink.indexes_behind().await?;
    for projection in config.projections() {
        let alias = format!("{}{}", config.index.prefix, projection.name());
        let index = indexes.get(&projection).ok_or_else(|| {
            Error::failure(format!(
                "there is no index behind the alias {alias}; `tributary run` makes and fills it"
            ))
        })?;
        if state.index_built_for(projection.name())? != *index {
            tracing::warn!(
                alias,
                index,
                "this is not the index that the state was delivered to; the next `tributary run` delivers everything to it"
            );
        }
    }
    let config = config.clone();
    let answer = tokio::task::spawn_blocking(move || super::look_at_log(&config));
    match answer.await.map_err(|error| Error::failure("the source broke off").because(error))? {
        Ok((identity, end)) => {
            sink.adopt(&identity).await?;
            warn_of_lag(&state.progress()?.positions(), &end);
            Ok(())
        }
        Err(error) => {
            tracing::warn!(
                error = error.chain(),
                "the log does not answer; the index is compared with the state alone, and the log may hold more"
            );
            sink.target(indexes).await
        }
    }
}

/// Warns of records that the log has beyond the state, because they are no difference.
fn warn_of_lag(positions: &Positions, end: &Positions) {
    let beyond: i64 = end.iter().map(|(at, end)| (end - positions.get(at).unwrap_or(0)).max(0)).sum();
    if beyond > 0 {
        tracing::warn!(
            records = beyond,
            "the log has records beyond the state; the index is compared with the state, `tributary run --until-end` first takes them in"
        );
    }
}

/// Starts an instance for as long as the repair takes: its delivery alone writes to the index.
async fn repair_alone(config: Config, scope: &VerifyRequest, printer: &mut Printer) -> Result<()> {
    let stop = Shutdown::default();
    stop.on_signals().map_err(|error| Error::failure("signals cannot be listened to").because(error))?;
    // A port of its own: the configured one may be another instance's.
    let listener = listen("127.0.0.1:0", false).await?;
    let status = Arc::new(Status::default());
    let mut followed = pin!(follow(config.clone(), FollowOptions::default(), listener, status, stop.clone()));
    let repaired = async {
        loop {
            if let Some(instance) = InstanceClient::find(&config).await {
                return instance.verify(scope, |line| printer.take(line)).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let repaired = tokio::select! {
        repaired = repaired => repaired,
        ended = &mut followed => {
            ended?;
            return Err(Error::failure("the comparison was stopped before its end; run it again"));
        }
    };
    stop.request();
    followed.await.and(repaired)
}

/// Prints as it goes, and keeps the last line.
struct Printer {
    format: OutputFormat,
    repairs: bool,
    last: Option<Line>,
}

impl Printer {
    fn take(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Difference(difference) => {
                output::line(match self.format {
                    OutputFormat::Json => json(&difference),
                    OutputFormat::Text => text(&difference),
                });
                self.go_on()
            }
            Line::Progress(documents) => {
                tracing::debug!(documents, "comparing");
                Ok(())
            }
            last => {
                self.last = Some(last);
                Ok(())
            }
        }
    }

    /// Ends a comparison whose results have no reader any more. A repair goes on, because its work is wanted.
    fn go_on(&self) -> Result<()> {
        if self.repairs || !output::is_closed() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Differences,
            "documents differ from the state; the rest was not compared, because the reader of the results is gone",
        ))
    }

    /// Prints the summary: among the results for a person, in the log for a program.
    fn end(self, repair: bool) -> Result<()> {
        let summary = match self.last {
            Some(Line::Summary(ref summary)) => summary,
            Some(Line::Error(error)) => return Err(Error::failure(error)),
            _ => return Err(Error::failure("the comparison ended without a result; look at the log")),
        };
        let sentence = sum_up(summary, repair);
        match self.format {
            OutputFormat::Text => output::line(&sentence),
            OutputFormat::Json => tracing::info!("{sentence}"),
        }
        let (differ, advice) = if repair {
            (summary.unrepaired, "still differ from the state or are not delivered yet; the log says why")
        } else {
            (summary.differences(), "differ from the state; `tributary verify --repair` repairs them")
        };
        if differ == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Differences, format!("{differ} documents {advice}")))
    }
}

fn sum_up(summary: &Summary, repair: bool) -> String {
    let compared: Vec<String> =
        summary.compared.iter().map(|(projection, count)| format!("{count} {projection}")).collect();
    let compared = if compared.is_empty() { "nothing".to_owned() } else { compared.join(", ") };
    let Summary { missing, stale, extra, unknown, pending, repaired, unrepaired, .. } = summary;
    let mut sentence = format!("compared {compared}: {missing} missing, {stale} stale, {extra} extra");
    if *unknown > 0 {
        sentence
            .push_str(&format!("; {unknown} have no record in the partial log, and are left as they are"));
    }
    if *pending > 0 {
        sentence.push_str(&format!("; {pending} pending"));
    }
    if repair {
        sentence.push_str(&format!("; {repaired} repaired, {unrepaired} not"));
    }
    sentence
}

/// The three keys of a difference, and the owner of a child.
fn json(difference: &Difference) -> String {
    let Difference { projection, id, owner, kind, .. } = difference;
    match owner {
        Some(owner) => {
            serde_json::json!({"projection": projection, "id": id, "kind": kind, "owner": owner}).to_string()
        }
        None => serde_json::json!({"projection": projection, "id": id, "kind": kind}).to_string(),
    }
}

fn text(difference: &Difference) -> String {
    let Difference { projection, id, owner, kind, detail } = difference;
    let kind = match kind {
        Kind::Missing => "missing",
        Kind::Stale => "stale",
        Kind::Extra => "extra",
        Kind::Unknown => "unknown to the log",
    };
    let of = owner.as_ref().map_or_else(String::new, |owner| format!(" of {}", plain(owner)));
    let line = format!("{projection}  {}{of}  {kind}", plain(id));
    if detail.is_empty() { line } else { format!("{line}  {}", plain(detail)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_three_keys_and_text_the_reason_without_control_characters() {
        let difference = Difference {
            projection: "contacts".to_owned(),
            id: "a\u{1b}b".to_owned(),
            owner: None,
            kind: Kind::Extra,
            detail: "deleted".to_owned(),
        };
        assert_eq!(json(&difference), r#"{"id":"a\u001bb","kind":"extra","projection":"contacts"}"#);
        assert_eq!(text(&difference), "contacts  a\\u{1b}b  extra  deleted");
    }

    #[test]
    fn the_exit_code_tells_what_is_left() {
        let code = |summary: Summary, repair: bool| {
            let last = Some(Line::Summary(summary));
            let printer = Printer { format: OutputFormat::Json, repairs: repair, last };
            printer.end(repair).map_or_else(|error| error.exit_code(), |()| 0)
        };
        let stale = Summary { stale: 2, repaired: 2, ..Summary::default() };
        assert_eq!((code(stale.clone(), false), code(stale.clone(), true)), (4, 0));
        assert_eq!(code(Summary { unrepaired: 1, ..stale }, true), 4);
        assert_eq!(code(Summary { pending: 9, ..Summary::default() }, false), 0);
    }
}
