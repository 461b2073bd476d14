//! The parts of `--help` and the manual beside the options: examples, exit codes, and the options without meaning
//! in a subcommand.

use clap::{Arg, Command};

use super::examples::EXAMPLES;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped by a signal with nothing lost
  1  failed; the last line of the standard error says why
  2  wrong use or configuration
  3  the mapping changed: rebuild its index with `tributary reindex`
  4  `verify` found differences";

/// Global options that a subcommand does not use, and does not offer.
const UNUSED: &[(&str, &[&str])] = &[
    (
        "demo",
        &["config", "format", "state", "source", "source_path", "brokers", "group", "index_url", "prefix"],
    ),
    ("generate", &["format", "state", "source", "source_path", "group", "index_url", "prefix", "listen"]),
    ("completions", ALL),
    ("man", ALL),
];

const ALL: &[&str] = &[
    "config",
    "format",
    "log_format",
    "verbose",
    "state",
    "source",
    "source_path",
    "brokers",
    "group",
    "index_url",
    "prefix",
    "listen",
];

/// The command with examples and exit codes, and without options where they have no meaning.
pub(super) fn describe(command: Command) -> Command {
    let globals: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let command = UNUSED.iter().fold(command, |command, (name, unused)| {
        let hidden = globals.iter().filter(|arg| unused.contains(&arg.get_id().as_str()));
        let hidden: Vec<Arg> = hidden.map(|arg| arg.clone().hide(true)).collect();
        command.mut_subcommand(name, |subcommand| subcommand.args(hidden))
    });
    add_examples(command, "")
}

fn add_examples(command: Command, path: &str) -> Command {
    let examples =
        EXAMPLES.iter().find(|(known, _)| *known == path).map_or(&[][..], |(_, examples)| examples);
    let names: Vec<String> =
        command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    let command = names.iter().fold(command, |command, name| {
        let below = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command.mut_subcommand(name, |subcommand| add_examples(subcommand, &below))
    });
    let examples: Vec<String> = examples.iter().map(|example| format!("  {example}")).collect();
    command.after_help(format!("Examples:\n{}\n\n{EXIT_CODES}", examples.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(command: &Command, path: &str) -> Vec<String> {
        let below = command.get_subcommands().flat_map(|subcommand| {
            let name = subcommand.get_name();
            paths(subcommand, &if path.is_empty() { name.to_owned() } else { format!("{path} {name}") })
        });
        below.chain([path.to_owned()]).collect()
    }

    #[test]
    fn every_subcommand_has_an_example_that_can_be_said() {
        for path in paths(&crate::cli::command(), "") {
            let examples = EXAMPLES.iter().find(|(known, _)| *known == path);
            let (_, examples) = examples.unwrap_or_else(|| panic!("{path:?} has no example"));
            for example in *examples {
                let said = example.split(['|', '>']).next().unwrap();
                let said: Vec<&str> = said.split_whitespace().collect();
                assert!(said.join(" ").starts_with(format!("tributary {path}").trim()), "{example}");
                let parsed = crate::cli::command().try_get_matches_from(said);
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
    }

    #[test]
    fn a_commands_own_options_come_before_the_global_ones_then_examples_and_exit_codes() {
        for path in paths(&crate::cli::command(), "").iter().filter(|path| !path.is_empty()) {
            let said = ["tributary"].into_iter().chain(path.split(' ')).chain(["--help"]);
            let help = crate::cli::command().try_get_matches_from(said).unwrap_err().to_string();
            let place = |of: &str| help.find(of).unwrap_or_else(|| panic!("{of} is missing in {help}"));
            assert!(place("\nOptions:") < place("\nExamples:"), "{help}");
            assert!(place("\nExamples:") < place("\nExit codes:"), "{help}");
            if let Some(global) = help.find("\nGlobal options:") {
                assert!(place("\nOptions:") < global && global < place("\nExamples:"), "{help}");
                assert!(place("--help") < global, "{help}");
            }
        }
    }

    #[test]
    fn the_demonstration_offers_what_it_uses_and_nothing_else() {
        let said = ["tributary", "demo", "--help"];
        let help = crate::cli::command().try_get_matches_from(said).unwrap_err().to_string();
        let offered: Vec<&str> = help
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("--"))
            .filter(|word| !word.contains('`'))
            .collect();
        for used in [
            "model",
            "organisations",
            "contacts",
            "seed",
            "rate",
            "once",
            "q",
            "listen",
            "log-format",
            "verbose",
        ] {
            assert!(offered.contains(&used), "{used} is missing in {offered:?}");
        }
        for unused in
            ["config", "format", "state", "source", "source-path", "brokers", "group", "index-url", "prefix"]
        {
            assert!(!offered.contains(&unused), "{unused} is offered");
        }
    }
}
