//! `completions` and `man`: the command line's description of itself.

use std::path::Path;

use clap::Command;

use crate::cli;
use crate::error::{Error, Result};
use crate::output;

/// Prints the completions of a shell.
pub(super) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "tributary", &mut script);
    output::bytes(&script);
}

/// Prints a page of the manual, or writes all of them.
pub(super) fn print(subcommand: Option<&str>, out: Option<&Path>) -> Result<()> {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    if let Some(folder) = out {
        return write(&command, folder).map_err(|error| {
            Error::failure(format!("cannot write the manual into {}; check the disk", folder.display()))
                .because(error)
        });
    }
    let page = match subcommand {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            Error::usage(format!("there is no subcommand {name:?}; `tributary --help` names them"))
        })?,
    };
    output::bytes(&render(&page).map_err(|error| Error::failure("the page cannot be made").because(error))?);
    Ok(())
}

fn render(command: &Command) -> std::io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name).render(&mut page)?;
    Ok(page)
}

/// Writes the page of a command and those of its subcommands, `tributary-run.1` for example.
fn write(command: &Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), render(command)?)?;
    command.get_subcommands().try_for_each(|subcommand| write(subcommand, folder))
}
