//! The form of the command line, and none of its work.

mod examples;
mod generate;
mod help;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use self::generate::{Demo, Generate};
use crate::config::Flags;
use crate::telemetry::LogFormat;

/// Folds the events of several services into one search index.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, arg_required_else_help = true)]
pub struct Cli {
    /// The options of every subcommand.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The whole command line, with its examples and exit codes.
pub fn command() -> clap::Command {
    help::describe(Cli::command())
}

impl Cli {
    /// Reads the arguments of the process; wrong use and `--help` end it.
    pub fn from_process() -> Self {
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// Flags that go before or after the subcommand.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// The configuration file [default: tributary.toml, when it is there]
    #[arg(long, global = true, value_name = "FILE", env = "TRIBUTARY_CONFIG")]
    pub config: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t)]
    pub format: OutputFormat,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Log more; `status` shows its counters
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// The state's folder [default: data/state]
    #[arg(long, global = true, value_name = "FOLDER")]
    state: Option<String>,
    /// Where records come from: kafka, files or postgres [default: kafka]
    #[arg(long, global = true, value_name = "KIND")]
    source: Option<String>,
    /// The folder of a files source [default: events]
    #[arg(long, global = true, value_name = "FOLDER")]
    source_path: Option<String>,
    /// Kafka's brokers, host:port, several by commas [default: localhost:9092]
    #[arg(long, global = true, value_name = "BROKERS")]
    brokers: Option<String>,
    /// The consumer group [default: tributary]
    #[arg(long, global = true, value_name = "GROUP")]
    group: Option<String>,
    /// The index's address, several by commas [default: http://localhost:9200]
    #[arg(long, global = true, value_name = "URL")]
    index_url: Option<String>,
    /// Put before the name of each alias [default: nothing]
    #[arg(long, global = true, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Where the HTTP server listens [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    listen: Option<String>,
}

impl GlobalOptions {
    /// Where the HTTP server is to listen, when it was said.
    pub fn listen(&self) -> Option<&str> {
        self.listen.as_deref()
    }

    /// The keys that were set by flags.
    pub fn flags(&self) -> Flags {
        let pairs = [
            ("state", &self.state),
            ("source.kind", &self.source),
            ("source.path", &self.source_path),
            ("kafka.brokers", &self.brokers),
            ("kafka.group", &self.group),
            ("index.url", &self.index_url),
            ("index.prefix", &self.prefix),
            ("http.listen", &self.listen),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work: synthetic events or those of a model, an index in a folder, and a search page; no server is needed
    Demo(Demo),
    /// Keep the index in step with the log
    Run {
        /// End with 1 when records or documents went to the dead letters
        #[arg(long, requires = "until_end")]
        fail_on_dead_letters: bool,
        /// Stop when everything that is in the log now is searchable
        #[arg(long)]
        until_end: bool,
        /// When a mapping or the model changed, rebuild the index while the old one serves, instead of ending with 3
        #[arg(long)]
        reindex_on_mapping_change: bool,
        /// Replay a log that no longer begins at its beginning, and delete no document that it has no record of
        #[arg(long)]
        allow_partial_log: bool,
        /// How long Kafka and the index are waited for when they are away at the start, such as 0, 90s or 10m (default: for ever)
        #[arg(long, value_name = "TIME", value_parser = duration)]
        wait: Option<Duration>,
        /// Take the indexes over from another group that writes them: its instances stop
        #[arg(long)]
        take_over: bool,
    },
    /// Build new indexes beside the live ones and put them behind the aliases, while searches and indexing go on
    Reindex(Reindex),
    /// Find documents by their own words and those of embedded entities
    Search(SearchArguments),
    /// Show positions, lag, waiting documents and indexes
    Status,
    /// Tell which records made a document, which work still waits, how the index holds it and why they differ
    Explain {
        /// The projection
        projection: String,
        /// The document's id
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Compare every document that the state calls for with the index; exit code 4 when some differ
    Verify(Verify),
    /// List, show, retry and discard records and documents that could not be folded or indexed
    DeadLetters {
        /// The subcommand.
        #[command(subcommand)]
        command: DeadLetterCommand,
    },
    /// Write synthetic events, the same for the same seed
    Generate(Generate),
    /// Show and check the model: entity types, references, documents and search
    Model {
        /// The subcommand.
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a page of the manual, or write all of them into a folder
    Man {
        /// The subcommand that the page is of; the program when none is given
        #[arg(value_name = "SUBCOMMAND")]
        subcommand: Option<String>,
        /// Write the pages of all subcommands into this folder
        #[arg(long, value_name = "FOLDER", conflicts_with = "subcommand")]
        out: Option<PathBuf>,
    },
    /// Judge configuration, disk, clock, brokers, topics, rights, registry, index and instance, and name the remedy of each fault
    Doctor,
    /// Check the configuration, the mappings, the log and the index
    Check {
        /// Do not ask the servers
        #[arg(long)]
        offline: bool,
    },
}

/// The arguments of `search`: the parameters of `GET /search`.
#[derive(Debug, Clone, Args)]
pub struct SearchArguments {
    /// The words, all of which must match; without any, everything does
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
    /// The words as one text: '"marten kolder" -plum' has a phrase and excludes a word
    #[arg(short, long, conflicts_with = "words", allow_hyphen_values = true)]
    pub q: Option<String>,
    /// The projection that is searched; the first that has a search unless told otherwise
    #[arg(long = "in", value_name = "COLLECTION")]
    pub collection: Option<String>,
    /// Only entities at or below the one with this id
    #[arg(long, value_name = "ID")]
    pub under: Option<String>,
    /// field:value, or field:[from TO to] of a number or date; repeatable, and all fields must hold
    #[arg(long, value_name = "FIELD:VALUE", allow_hyphen_values = true)]
    pub filter: Vec<String>,
    /// The order of hits: relevance, name, or a date, number or count; - before it for the highest first
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// The page's size, 1 to 100
    #[arg(long, value_name = "N")]
    pub size: Option<String>,
    /// `next` of the page before
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    pub after: Option<String>,
    /// Fields to count over all hits, by commas
    #[arg(long, value_name = "FIELDS")]
    pub facets: Option<String>,
    /// Wait until the index shows these records: topic/partition:offset, several by commas
    #[arg(long, value_name = "TOKEN")]
    pub consistent_with: Option<String>,
    /// How long to wait for them
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// Search an index that is being filled and lacks documents still as well
    #[arg(long)]
    pub allow_partial: bool,
}

/// The arguments of `reindex`.
#[derive(Debug, Clone, Args)]
pub struct Reindex {
    /// The projections; all of them when none is given
    #[arg(value_name = "PROJECTION")]
    pub projections: Vec<String>,
    /// Replay the whole log (the default), or copy the state of the running instance (or of its folder)
    #[arg(long, value_enum, value_name = "log|state")]
    pub from: Option<ReindexFrom>,
    /// Leave the rebuild's own state in `<state>.reindex/state`, to be taken over by `run`
    #[arg(long)]
    pub keep_state: bool,
    /// Move the alias although the new index rejected documents
    #[arg(long)]
    pub allow_rejected: bool,
    /// Replay a log that no longer begins at its beginning
    #[arg(long)]
    pub allow_partial_log: bool,
    /// How long to wait at the start for servers that are away, such as 90s or 10m [default: for ever; 0 with
    /// --dry-run, --abort, --prune]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Build a new index also where the one that is there takes the changed mapping in place
    #[arg(long)]
    pub rebuild: bool,
    /// Report the work and the cost that a changed mapping calls for, and do nothing
    #[arg(long, group = "action")]
    pub dry_run: bool,
    /// Move the aliases back to the previous indexes, after bringing them up to date
    #[arg(long, group = "action")]
    pub rollback: bool,
    /// Give up a rebuild that was begun and not ended, and delete its index
    #[arg(long, group = "action")]
    pub abort: bool,
    /// Delete the indexes that no alias stands for, and without PROJECTION those of projections that the model no longer has
    #[arg(long, group = "action")]
    pub prune: bool,
}

/// Where a rebuild gets its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReindexFrom {
    /// The whole log.
    Log,
    /// The state.
    State,
}

/// The arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// The projections; all that are kept when none is named
    #[arg(value_name = "PROJECTION")]
    pub projections: Vec<String>,
    /// Repair the documents that differ, foreign writes included
    #[arg(long)]
    pub repair: bool,
    /// Compare about so many documents of each projection only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Which ones; drawn and told of when it is not given
    #[arg(long, value_name = "SEED", requires = "sample")]
    pub seed: Option<u64>,
}

/// The subcommands of `dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// One line each: name, time and reason
    List,
    /// One dead letter whole
    Show {
        /// Its name: topic/partition:offset or projection/id, as `list` shows it
        name: String,
    },
    /// Fold them again, by their own versions
    Retry {
        /// Their names; all of them when none is given
        names: Vec<String>,
    },
    /// Take them out for good; their content is not folded and not indexed
    Discard {
        /// Their names
        #[arg(value_name = "NAME", required_unless_present = "all")]
        names: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

/// The subcommands of `model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Print the model in force as TOML, with its defaults
    Show,
    /// Report every error of a model, and the cost of its relations
    Check {
        /// The model's file; the configured one when none is given
        file: Option<PathBuf>,
    },
    /// Write a starting model from sample records
    Init {
        /// Files of JSON lines or of one JSON list, or a folder of a files source; each file is an entity type
        #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
        from: Vec<PathBuf>,
    },
    /// Print the index mapping that follows from the model
    Mapping {
        /// The projection
        projection: String,
    },
}

/// A time with its unit: ms, s, m or h; seconds when it has none.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write 0, 500ms, 90s, 10m or 1h");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_of_seconds() {
        for (text, millis) in
            [("0", 0), ("5", 5_000), ("500ms", 500), ("90s", 90_000), ("10m", 600_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "1.5s", "1 s", "9d", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
        let said = ["tributary", "generate", "--events", "5", "--out", "x", "--config", "c"];
        let cli = Cli::try_parse_from(said).unwrap();
        assert!(matches!(cli.command, Command::Generate(Generate { events: 5, .. })));
        for wrong in [["--rate", "0"], ["--partitions", "0"], ["--events", "many"]] {
            let said = ["tributary", "generate", "--out", "x"].into_iter().chain(wrong);
            assert_eq!(Cli::try_parse_from(said).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }
}
