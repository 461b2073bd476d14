//! The entry: reads the command line, runs, prints an error once, answers with its exit code.

use std::process::ExitCode;

use clap::Parser;
use tributary::cli::{Cli, Command};

/// Gives memory back soon (see `.cargo/config.toml`): the resident set is a promise.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet = matches!(cli.command, Command::Demo(_));
    tributary::telemetry::start(cli.global.log_format, cli.global.verbose, quiet);
    match tributary::app::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tributary: {}", error.chain());
            ExitCode::from(error.exit_code())
        }
    }
}
