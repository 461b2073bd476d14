//! Several instances on one prefix: those of a group that start together, and those of different groups.

use serde_json::{Value, json};

use crate::harness::{GrowingLog, Running, World, eventually, fresh, log_of};
use crate::services;

/// The status of the running instance; none while it does not answer.
pub fn status(world: &World) -> Option<Value> {
    serde_json::from_slice(&world.run(&["status", "--format", "json"]).stdout).ok()
}

/// The word for its state.
pub fn state(world: &World) -> String {
    status(world).map(|status| status["state"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// Topics of this test alone, as lines of configuration.
pub fn topics(name: &str) -> String {
    let [organisations, contacts] =
        ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh(name)));
    format!("organisations.topics = [{organisations:?}]\ncontacts.topics = [{contacts:?}]\n")
}

fn lives(running: &mut Running, world: &World) {
    assert_eq!(running.0.try_wait().unwrap(), None, "{}", world.log());
}

#[test]
fn two_that_start_in_the_same_second_share_the_indexes_that_one_of_them_makes() {
    let (servers, _turn) = services::whole();
    let extra = topics("together");
    let maker = World::new(&servers, "together", &extra);
    let counts = ["--organisations", "5", "--contacts", "20", "--events", "60", "--partitions", "2"];
    maker.succeed(&[&["generate", "--kafka"], &counts[..]].concat());
    maker.succeed(&["run", "--until-end"]);
    let expected = maker.all_documents();
    for round in 0..4 {
        let first = World::new(&servers, &format!("together{round}"), &extra);
        let second = first.beside();
        let (mut one, mut other) = (first.start(&["run"]), second.start(&["run"]));
        eventually("one writes and one stands by", || {
            lives(&mut one, &first);
            lives(&mut other, &second);
            let mut states = [state(&first), state(&second)];
            states.sort();
            (states == ["standing by", "writing"]).then_some(())
        });
        assert_eq!(first.indexes().len(), 3, "{:?}", first.indexes());
        eventually("every document", || {
            first.refresh();
            (first.all_documents() == expected).then_some(())
        });
    }
}

#[test]
fn two_that_make_an_embedded_index_at_once_share_its_folder() {
    let (servers, _turn) = services::whole();
    let index = tempfile::tempdir().unwrap();
    let extra = format!(
        "{}index.kind = \"embedded\"\nindex.path = {:?}\n",
        topics("folder"),
        index.path().join("index").display().to_string()
    );
    let maker = World::new(&servers, "folder", &extra);
    let counts = ["--organisations", "5", "--contacts", "20", "--events", "60", "--partitions", "2"];
    maker.succeed(&[&["generate", "--kafka"], &counts[..]].concat());
    maker.succeed(&["run", "--until-end"]);
    let expected = maker.all_documents();
    for round in 0..3 {
        let first = World::new(&servers, &format!("folder{round}"), &extra);
        let second = first.beside();
        let (mut one, mut other) = (first.start(&["run"]), second.start(&["run"]));
        let written = eventually("one writes", || {
            lives(&mut one, &first);
            lives(&mut other, &second);
            [&first, &second].into_iter().find(|world| state(world) == "writing")
        });
        let is_first = std::ptr::eq(written, &raw const first);
        if is_first {
            one.kill()
        } else {
            other.kill()
        }
        let left = if is_first { &second } else { &first };
        eventually("the other takes over", || (state(left) == "writing").then_some(()));
        eventually("every document", || {
            let is_idle = status(left)?["documents_waiting"] == 0;
            (is_idle && left.all_documents() == expected).then_some(())
        });
    }
}

#[test]
fn joiners_leave_the_writing_where_it_is_until_the_writer_ends() {
    let (servers, _turn) = services::whole();
    let first = World::new(&servers, "joiner", &topics("joiner"));
    let generate = |seed: &str| {
        let counts = ["--organisations", "50", "--contacts", "500", "--events", "1500", "--partitions", "3"];
        first.succeed(&[&["generate", "--kafka", "--seed", seed], &counts[..]].concat());
    };
    generate("1");
    let mut writer = first.start(&["run"]);
    eventually("the first writes", || (state(&first) == "writing").then_some(()));
    // Each has an empty state, joins, catches up, and leaves again: cleanly or not.
    let joiners: Vec<World> = (0..5).map(|_| first.beside()).collect();
    for (round, joiner) in joiners.iter().enumerate() {
        let mut running = joiner.start(&["run"]);
        eventually("the joiner has folded everything", || {
            (status(joiner)?["counters"]["records"].as_u64()? >= 1_500).then_some(())
        });
        if round % 2 == 0 {
            running.signal("TERM");
            assert_eq!(running.end(), Some(0), "{}", joiner.log());
        } else {
            running.kill();
        }
        assert!(!joiner.log().contains("this instance writes the index"), "round {round}: {}", joiner.log());
    }
    let standby = first.beside();
    let mut left = standby.start(&["run"]);
    eventually("the standby has folded everything", || {
        (status(&standby)?["counters"]["records"].as_u64()? >= 1_500).then_some(())
    });
    let log = first.log();
    assert_eq!(log.matches("this instance writes the index").count(), 1, "{log}");
    assert_eq!(log.matches("this instance stands by").count(), 0, "{log}");
    writer.signal("TERM");
    assert_eq!(writer.end(), Some(0), "{}", first.log());
    eventually("the standby takes over", || (state(&standby) == "writing").then_some(()));
    // One that comes back behind it stands by as well.
    let _again = first.start(&["run"]);
    generate("2");
    eventually("the new events are in the index", || {
        let status = status(&standby)?;
        let is_done = status["counters"]["records"].as_u64()? >= 3_000 && status["documents_waiting"] == 0;
        is_done.then_some(())
    });
    lives(&mut left, &standby);
    assert_eq!(standby.log().matches("this instance stands by").count(), 0, "{}", standby.log());
}

/// The same topics and indexes in another group.
fn of_another_group(first: &World) -> World {
    let mut second = first.beside();
    second.config = second.config.replace("group\"", "other\"");
    second.write_config(&second.config);
    second
}

fn is_refused(world: &World, arguments: &[&str], by: &str) {
    let output = world.run(arguments);
    let told = log_of(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
    assert!(
        told.contains(by) && told.contains("--take-over") && told.contains("since 20"),
        "{arguments:?}: {told}"
    );
}

#[test]
fn a_second_group_is_refused_until_it_takes_the_indexes_over() {
    let (servers, _turn) = services::whole();
    let first = World::new(&servers, "groups", &topics("groups"));
    let generate = |seed: &str| {
        let counts = ["--organisations", "5", "--contacts", "20", "--events", "60", "--partitions", "2"];
        first.succeed(&[&["generate", "--kafka", "--seed", seed], &counts[..]].concat());
    };
    generate("1");
    let second = of_another_group(&first);
    let mut running = first.start(&["run"]);
    first.wait_until_delivered();
    let group = format!("{}group", first.prefix);
    for refused in [&["run"][..], &["run", "--until-end"], &["reindex"], &["reindex", "--prune"]] {
        is_refused(&second, refused, &group);
    }
    lives(&mut running, &first);
    // The commands of the group itself go on.
    first.succeed(&["reindex", "contacts"]);
    first.succeed(&["verify", "--repair"]);
    let mut taken = second.start(&["run", "--take-over"]);
    assert_eq!(running.end(), Some(1), "{}", first.log());
    let log = first.log();
    assert!(log.contains(&format!("{}other has taken the indexes over", first.prefix)), "{log}");
    generate("2");
    second.wait_until_delivered();
    is_refused(&first, &["run", "--until-end"], &format!("{}other", first.prefix));
    taken.signal("TERM");
    assert_eq!(taken.end(), Some(0), "{}", second.log());
    // And back, without an instance that runs.
    first.succeed(&["run", "--until-end", "--take-over"]);
    first.succeed(&["verify"]);
}

#[test]
fn a_second_group_is_refused_by_files_and_a_folder_too() {
    let log = GrowingLog::new();
    log.append("contacts", "c1", &json!({"name": "Jane"}));
    let world = World::embedded("groups", &log.settings());
    world.succeed(&["run", "--until-end"]);
    world.succeed(&["run", "--until-end"]);
    is_refused(&world, &["run", "--until-end", "--group", "other"], &format!("{}group", world.prefix));
    world.succeed(&["run", "--until-end", "--group", "other", "--take-over"]);
    is_refused(&world, &["reindex"], "other");
}

#[test]
fn a_second_state_over_files_is_refused_and_the_same_one_goes_on() {
    let log = GrowingLog::new();
    log.append("contacts", "c1", &json!({"name": "Jane"}));
    let world = World::embedded("states", &log.settings());
    world.succeed(&["run", "--until-end"]);
    world.succeed(&["run", "--until-end"]);
    let state = |name: &str| {
        let folder = world.path("state").display().to_string();
        world.write_config(&world.config.replace(&folder, &world.path(name).display().to_string()));
    };
    state("other");
    is_refused(&world, &["run", "--until-end"], "/state");
    // One that was moved is the same, and so is one that was made anew in its place.
    std::fs::rename(world.path("state"), world.path("moved")).unwrap();
    state("moved");
    world.succeed(&["run", "--until-end"]);
    std::fs::remove_dir_all(world.path("moved")).unwrap();
    world.succeed(&["run", "--until-end"]);
    world.succeed(&["reindex"]);
    let mut running = world.start(&["run"]);
    let address = || std::fs::read_to_string(world.path("moved/instance")).ok().filter(|at| at.contains(':'));
    eventually("an instance", address);
    state("other");
    is_refused(&world, &["run", "--until-end"], "/moved");
    lives(&mut running, &world);
    let mut taken = world.start(&["run", "--take-over"]);
    assert_eq!(running.end(), Some(1), "{}", world.log());
    assert!(world.log().contains("/other has taken the indexes over"), "{}", world.log());
    taken.signal("TERM");
    taken.end();
    world.succeed(&["run", "--until-end"]);
}
