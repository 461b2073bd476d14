//! The entry: reads the command line, runs, prints an error once, answers with its exit code.

use std::process::ExitCode;

use tributary::cli::{Cli, Command};
use tributary::output;

/// Gives memory back soon (see `.cargo/config.toml`): the resident set is a promise.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::from_process();
    let quiet = matches!(cli.command, Command::Demo(_));
    tributary::telemetry::start(cli.global.log_format, cli.global.verbose, quiet);
    match tributary::app::run(cli).and_then(|()| output::end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(format_args!("tributary: {}", error.chain()));
            ExitCode::from(error.exit_code())
        }
    }
}
