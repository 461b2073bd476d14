//! The options of `generate` and `demo`: how large the synthetic world of the built-in model is.

use std::path::PathBuf;

use clap::Args;

/// The options of `generate`.
#[derive(Debug, Clone, Args)]
pub struct Generate {
    /// How many organisations
    #[arg(long, default_value_t = 1_000)]
    pub organisations: u32,
    /// How many contacts
    #[arg(long, default_value_t = 10_000)]
    pub contacts: u32,
    /// How many events over both topics, creations among them
    #[arg(long, default_value_t = 20_000)]
    pub events: u64,
    /// The seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Partitions of each topic that is made (Kafka: 6; files: one file without a number)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: Option<u32>,
    /// At most so many events a second (default: as fast as it goes)
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Write files of a files source into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "kafka", required_unless_present = "kafka")]
    pub out: Option<PathBuf>,
    /// Produce to the configured topics; they are made when they are missing
    #[arg(long)]
    pub kafka: bool,
}

/// The options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// The file of a model; the records in the folder `events` beside it take the place of synthetic ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["organisations", "contacts", "seed", "rate"])]
    pub model: Option<PathBuf>,
    /// How many organisations
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub organisations: u32,
    /// How many contacts
    #[arg(long, default_value_t = 20_000)]
    pub contacts: u32,
    /// The seed of the world
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Live changes a second after the first indexing
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// End after the indexing and one search
    #[arg(long)]
    pub once: bool,
    /// The query of that search [default: acme jane, or a word of a title with --model]
    #[arg(long, value_name = "WORDS")]
    pub q: Option<String>,
}
