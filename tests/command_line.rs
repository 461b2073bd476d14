//! The command line as shells, pipes and orchestrators use it; no server is needed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Running, World, eventually, log_of};

/// Plain records of a few organisations and contacts, some of them poison, behind an embedded index.
fn world(name: &str) -> World {
    let extra = "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"plain\"\ncontacts.format = \"plain\"\n";
    let world = World::embedded(name, extra);
    fs::create_dir_all(world.path("events")).unwrap();
    let line = |key: &str, value: Value| format!("{}\n", json!({"key": key, "value": value}));
    let organisations: String =
        (0..20).map(|n| line(&format!("o{n}"), json!({"name": format!("Acme {n}")}))).collect();
    let contacts: String = (0..40)
        .map(|n| {
            line(
                &format!("c{n}"),
                json!({"name": format!("Jane {n}"), "organisationId": format!("o{}", n % 20)}),
            )
        })
        .chain((0..30).map(|n| line(&format!("p{n}"), json!({"name": n}))))
        .chain((0..3).map(|n| line(&format!("q{n}"), json!({"organisationId": [n]}))))
        .collect();
    fs::write(world.path("events/organisations.jsonl"), organisations).unwrap();
    fs::write(world.path("events/contacts.jsonl"), contacts).unwrap();
    world
}

/// Runs with a standard output without a reader; the exit code and the standard error.
fn unread(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = world.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_command_that_prints_ends_quietly_when_nobody_reads() {
    let world = world("unread");
    world.succeed(&["run", "--until-end"]);
    for arguments in [
        &["dead-letters", "list"][..],
        &["dead-letters", "list", "--format", "json"],
        &["dead-letters", "show", "contacts/0:40"],
        &["check"],
        &["check", "--offline"],
        &["status"],
        &["status", "--verbose"],
        &["status", "--format", "json"],
        &["search", "acme"],
        &["search", "C", "--in", "contacts", "--size", "100", "--format", "json"],
        &["explain", "organisations", "o1"],
        &["explain", "organisations", "o1", "--format", "json"],
        &["verify"],
        &["reindex", "--dry-run"],
        &["reindex", "--dry-run", "--format", "json"],
        &["reindex", "--prune"],
        &["demo", "--once", "--organisations", "5", "--contacts", "5"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["run", "--help"],
        &["dead-letters", "discard", "contacts/0:40"],
    ] {
        let (code, log) = unread(&world, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {log}");
        assert!(!log.contains("panicked"), "{arguments:?}: {log}");
    }
    let (code, log) = unread(&world, &["dead-letters", "retry"]);
    assert!(code == Some(1) && log.contains("still poison") && !log.contains("panicked"), "{log}");
}

#[test]
fn a_rebuild_goes_on_when_nobody_reads_its_progress() {
    let world = world("unread-reindex");
    world.succeed(&["run", "--until-end"]);
    for format in ["text", "json"] {
        let before = world.indexes_behind();
        let documents = world.all_documents();
        let (code, log) = unread(&world, &["reindex", "--format", format]);
        assert_eq!(code, Some(0), "{format}: {log}");
        assert!(!log.contains("panicked"), "{format}: {log}");
        let after = world.indexes_behind();
        assert!(before.iter().all(|(projection, index)| after[projection] != *index), "{before:?} {after:?}");
        assert_eq!(world.all_documents(), documents);
        world.succeed(&["verify"]);
    }
}

#[test]
fn a_standard_error_that_nobody_reads_stops_nothing() {
    let world = world("unread-log");
    let mut child = world.command(&["run", "--until-end", "-v"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(world.documents("organisations").len(), 20);
}

#[test]
fn a_result_that_cannot_be_written_ends_with_1() {
    let world = world("full");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = world.command(&["check", "--offline"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("standard output"), "{log}");
}

#[test]
fn a_comparison_ends_at_its_first_difference_when_nobody_reads() {
    let world = world("unread-verify");
    world.succeed(&["run", "--until-end"]);
    // The state knows a contact less than the index: everything else is as it was.
    let [state, index] = ["state", "index"].map(|name| world.path(name));
    let kept = world.path("kept");
    fs::rename(&index, &kept).unwrap();
    fs::remove_dir_all(&state).unwrap();
    let lines = fs::read_to_string(world.path("events/contacts.jsonl")).unwrap().replace("Jane", "John");
    fs::write(world.path("events/contacts.jsonl"), lines).unwrap();
    world.succeed(&["run", "--until-end"]);
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&kept, &index).unwrap();
    assert!(world.run(&["verify", "contacts"]).stdout.len() > 100, "there are differences");
    let (code, log) = unread(&world, &["verify", "contacts"]);
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("the reader of the results is gone") && !log.contains("panicked"), "{log}");
}

#[test]
fn variables_that_an_orchestrator_sets_are_no_keys() {
    let mut world = world("kubernetes");
    world.environment = vec![
        ("TRIBUTARY_PORT", "tcp://10.0.0.7:8080".to_owned()),
        ("TRIBUTARY_SERVICE_HOST", "10.0.0.7".to_owned()),
        ("TRIBUTARY_SERVICE_PORT", "8080".to_owned()),
        ("TRIBUTARY_PORT_8080_TCP", "tcp://10.0.0.7:8080".to_owned()),
        ("TRIBUTARY_STATE", world.path("elsewhere").display().to_string()),
    ];
    world.succeed(&["run", "--until-end"]);
    assert!(world.path("elsewhere").is_dir() && !world.path("state").exists());
    world.environment = vec![("TRIBUTARY_HTTP__LISTN", "127.0.0.1:0".to_owned())];
    let output = world.run(&["check", "--offline"]);
    assert!(
        output.status.code() == Some(2) && log_of(&output).contains("http.listen"),
        "{}",
        log_of(&output)
    );
}

#[test]
fn a_run_to_the_end_says_that_its_address_is_taken_and_an_endless_one_ends_with_2() {
    let world = world("taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = world.run(&["run", "--until-end", "--listen", &address]);
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(
        log.contains("WARN") && log.contains(&address) && log.contains("without an HTTP server"),
        "{log}"
    );
    let output = world.run(&["run", "--listen", &address]);
    assert!(output.status.code() == Some(2) && log_of(&output).contains(&address), "{}", log_of(&output));
}

#[test]
fn an_instance_tells_where_its_page_is_once_it_is_ready() {
    let world = world("address");
    let mut child = world.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let running = Running::without_log(child);
    let told = lines.map(Result::unwrap).find(|line| line.contains("the search page is http://")).unwrap();
    let address = told.split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    let (code, _) = crate::harness::http_get(&address, "/readyz");
    assert_eq!(code, 200, "{told}");
    world.wait_until_delivered();
    let status = world.succeed(&["status", "--verbose"]);
    assert!(status.contains(&format!("answers at http://{address}/")), "{status}");
    assert!(status.contains("records read") && status.contains("KiB"), "{status}");
    let report: Value = serde_json::from_str(&world.succeed(&["status", "--format", "json"])).unwrap();
    assert_eq!(report["instance"], address);
    drop(running);
}

#[test]
fn status_of_a_stopped_instance_is_told_in_words() {
    let world = world("words");
    world.succeed(&["run", "--until-end"]);
    let status = world.succeed(&["status"]);
    for said in [
        "none runs",
        "read to its end",
        "none waits",
        ": 20 documents in ",
        ": 40 documents in ",
        "contacts/0",
    ] {
        assert!(status.contains(said), "{said}: {status}");
    }
    assert!(!status.contains("since the instance started"), "{status}");
}

#[test]
fn completions_and_the_manual_know_every_subcommand() {
    let world = world("manual");
    for shell in ["bash", "zsh", "fish"] {
        let script = world.succeed(&["completions", shell]);
        assert!(script.contains("reindex") && script.contains("dead-letters"), "{shell}");
    }
    assert_eq!(world.run(&["completions", "cmd"]).status.code(), Some(2));
    assert!(world.succeed(&["man"]).contains("tributary"));
    let page = world.succeed(&["man", "reindex"]);
    assert!(page.contains("dry\\-run") && page.contains("Exit codes"), "{page}");
    assert_eq!(world.run(&["man", "reindx"]).status.code(), Some(2));
    world.succeed(&["man", "--out", "pages"]);
    for page in ["tributary.1", "tributary-run.1", "tributary-dead-letters-discard.1"] {
        assert!(world.path("pages").join(page).is_file(), "{page}");
    }
    let mut world = world;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    world.environment = vec![("TRIBUTARY_HTTP__LISTEN", free.clone())];
    let mut demo = world.command(&["demo", "--organisations", "5", "--contacts", "5"]);
    let mut child = demo.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _demo = Running::without_log(child);
    let told = lines.map(Result::unwrap).find(|line| line.contains("The search page:")).unwrap();
    assert!(told.contains(&free), "{told} is not {free}");
    let refused = world.run(&["demo", "--brokers", "localhost:1", "--once"]);
    assert!(
        refused.status.code() == Some(2) && log_of(&refused).contains("kafka.brokers"),
        "{}",
        log_of(&refused)
    );
}

#[test]
fn dead_letters_are_told_of_once_and_summed_up_at_the_end() {
    let world = world("told");
    let output = world.run(&["run", "--until-end"]);
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_eq!(log.matches("this went to the dead letters").count(), 2, "one of each reason: {log}");
    assert!(log.contains("records=93") && log.contains("dead_letters=33"), "{log}");
    assert!(log.contains("count=30") && log.contains("count=3 ") || log.contains("count=3\n"), "{log}");
    fs::remove_dir_all(world.path("state")).unwrap();
    let output = world.run(&["run", "--until-end", "--fail-on-dead-letters"]);
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("33 went to the dead letters"), "{log}");
    // Nothing new is no failure.
    world.succeed(&["run", "--until-end", "--fail-on-dead-letters"]);
    assert_eq!(world.run(&["run", "--fail-on-dead-letters"]).status.code(), Some(2));
}

#[test]
fn dead_letters_are_discarded_by_name_or_all_with_and_without_an_instance() {
    let world = world("discard");
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.run(&["dead-letters", "discard"]).status.code(), Some(2), "it is to be said which");
    world.succeed(&["dead-letters", "discard", "contacts/0:40", "contacts/0:41"]);
    let listed = world.succeed(&["dead-letters", "list"]);
    assert!(listed.lines().count() == 31 && !listed.contains("contacts/0:41 "), "{listed}");
    let output = world.run(&["dead-letters", "discard", "contacts/0:40", "contacts/0:42"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        log_of(&output).contains("1 discarded") && log_of(&output).contains("no dead letter has this name")
    );
    let running = world.start(&["run"]);
    eventually("the instance answers", || world.path("state/instance").exists().then_some(()));
    let done = eventually("the instance discards", || {
        let output = world.run(&["dead-letters", "discard", "--all", "--format", "json"]);
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done, json!({"discarded": 30, "unknown": []}));
    assert_eq!(world.succeed(&["dead-letters", "list"]), "none\n");
    assert_eq!(world.succeed(&["dead-letters", "list", "--format", "json"]), "");
    drop(running);
    // A discarded record is not read again.
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.dead_letters().len(), 0);
}
