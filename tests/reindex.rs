//! New indexes beside the live ones, while events flow and searches go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{PROJECTIONS, World, eventually, http_get, log_of};
use crate::scene::{EMBEDDED, PHASES, Scene, ends_well, phase, reaches, record};
use crate::services;

/// Searches again and again; counts answers, and panics at the first that fails or misses much.
struct Searches {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Searches {
    fn start(world: &World) -> Self {
        let address = std::fs::read_to_string(world.path("state/instance")).unwrap();
        let total = move || {
            let (code, body) = http_get(address.trim(), "/search?size=1");
            assert_eq!(code, 200, "{body}");
            serde_json::from_str::<Value>(&body).unwrap()["total"].as_u64().unwrap()
        };
        let least =
            eventually("a search over everything", || Some(total() * 9 / 10).filter(|least| *least > 100));
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let found = total();
                assert!(found >= least, "an index half filled: {found}, {least} at least were expected");
                counted.fetch_add(1, Ordering::Relaxed);
                // A person's pace: two cores have servers to run as well.
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
        });
        Self { stop, answers, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.answers.load(Ordering::Relaxed)
    }
}

fn rebuilds_while_events_flow(index: &'static str, from: &str) {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, index);
    let instance = scene.run();
    let before = scene.world.indexes_behind();
    let events = scene.events();
    let searches = Searches::start(&scene.world);
    scene.change_mappings();
    let said = scene.world.succeed(&["reindex", "--from", from]);
    let answers = searches.end();
    assert!(answers > 5, "{answers} searches");
    let after = scene.world.indexes_behind();
    for projection in PROJECTIONS {
        assert_ne!(before[projection], after[projection], "{said}");
        assert!(said.contains(&after[projection]), "{said}");
    }
    events.kill();
    eventually("the instance writes the new indexes", || {
        let status: Value = serde_json::from_str(&scene.world.get("/status").1).ok()?;
        (status["indexes"]["contacts"] == after["contacts"]).then_some(())
    });
    scene.world.wait_until_delivered();
    assert!(!scene.world.log().contains("every document is sent"), "the hand-over was not trusted");
    instance.signal("TERM");
    drop(instance);
    scene.world.settle();
    scene.check();
}

#[test]
fn from_the_log_into_elasticsearch() {
    rebuilds_while_events_flow("", "log");
}

#[test]
fn from_the_state_into_elasticsearch() {
    rebuilds_while_events_flow("", "state");
}

#[test]
fn from_the_log_into_an_embedded_index() {
    rebuilds_while_events_flow(EMBEDDED, "log");
}

#[test]
fn from_the_state_into_an_embedded_index() {
    rebuilds_while_events_flow(EMBEDDED, "state");
}

#[test]
fn a_run_to_the_end_rebuilds_an_embedded_index_for_a_changed_mapping_before_it_ends() {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, EMBEDDED);
    scene.world.succeed(&["run", "--until-end"]);
    let before = scene.world.indexes_behind();
    scene.change_mappings();
    let refused = scene.world.run(&["run", "--until-end"]);
    assert_eq!(refused.status.code(), Some(3), "{}", log_of(&refused));
    scene.world.succeed(&["run", "--until-end", "--reindex-on-mapping-change"]);
    let after = scene.world.indexes_behind();
    assert!(PROJECTIONS.iter().all(|projection| before[*projection] != after[*projection]), "{after:?}");
    scene.world.succeed(&["run", "--until-end"]);
    scene.check();
}

#[test]
fn killed_in_each_phase_it_goes_on_with_the_same_index() {
    is_killed_in_each_phase("");
}

#[test]
fn killed_in_each_phase_it_goes_on_with_the_same_embedded_index() {
    is_killed_in_each_phase(EMBEDDED);
}

fn is_killed_in_each_phase(index: &'static str) {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, index);
    let instance = scene.run();
    let events = scene.events();
    scene.change_mappings();
    let (mut indexes, mut killed_in) = (BTreeSet::new(), BTreeSet::new());
    for wanted in &PHASES[..5] {
        let mut rebuild = scene.world.start(&["reindex"]);
        let since = record(&scene.world, "contacts").map_or(0, |record| record["beat"].as_u64().unwrap());
        let target = PHASES.iter().position(|phase| phase == wanted).unwrap();
        eventually(wanted, || {
            let seen = record(&scene.world, "contacts")?;
            let fresh = seen["beat"].as_u64().unwrap() > since;
            (fresh && phase(&seen) >= target || rebuild.0.try_wait().unwrap().is_some()).then_some(())
        });
        rebuild.signal("KILL");
        assert_eq!(rebuild.end(), None, "it ended before it was killed in {wanted}: {}", scene.world.log());
        let left = record(&scene.world, "contacts").unwrap();
        killed_in.insert(left["phase"].as_str().unwrap().to_owned());
        indexes.insert(left["index"].as_str().unwrap().to_owned());
    }
    let said = scene.world.succeed(&["reindex"]);
    assert_eq!(indexes.len(), 1, "{indexes:?}");
    assert!(said.contains(indexes.first().unwrap()), "{said}");
    println!("killed in {killed_in:?}");
    assert!(killed_in.len() >= 4, "{killed_in:?}");
    assert_eq!(scene.world.indexes_behind()["contacts"], *indexes.first().unwrap());
    ends_well(scene, instance, events);
}

#[test]
fn the_instance_is_killed_meanwhile() {
    the_instance_is_killed("");
}

#[test]
fn the_instance_of_an_embedded_index_is_killed_meanwhile() {
    the_instance_is_killed(EMBEDDED);
}

fn the_instance_is_killed(index: &'static str) {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, index);
    let instance = scene.run();
    let events = scene.events();
    scene.change_mappings();
    let mut rebuild = scene.world.start(&["reindex"]);
    reaches(&scene.world, "loading", &mut rebuild);
    instance.kill();
    reaches(&scene.world, "feeding", &mut rebuild);
    // It comes back while the rebuild still writes the index.
    let instance = scene.world.start(&["run"]);
    assert_eq!(rebuild.end(), Some(0), "{}", scene.world.log());
    ends_well(scene, instance, events);
}

#[test]
fn an_alias_that_somebody_else_moved_is_left_there_and_nothing_is_lost() {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, "");
    let instance = scene.run();
    let events = scene.events();
    let before = scene.world.indexes_behind();
    let mut rebuild = scene.world.start(&["reindex"]);
    reaches(&scene.world, "loading", &mut rebuild);
    let (alias, foreign) =
        (format!("{}contacts", scene.world.prefix), format!("{}by-hand", scene.world.prefix));
    scene.world.es(Method::Put, &format!("/{foreign}"), None);
    let move_alias = |from: &str, to: &str| {
        let actions = json!({"actions": [
            {"remove": {"index": from, "alias": alias}}, {"add": {"index": to, "alias": alias}}]});
        let answer = scene.world.es(Method::Post, "/_aliases", Some(&actions));
        assert_eq!(answer["acknowledged"], true, "{answer}");
    };
    move_alias(&before["contacts"], &foreign);
    assert_eq!(rebuild.end(), Some(1));
    assert!(scene.world.log().contains("Another program moved it"), "{}", scene.world.log());
    assert_eq!(scene.world.indexes_behind()["contacts"], foreign, "left where it was put");
    assert_eq!(scene.world.indexes_behind()["organisations"], before["organisations"], "all or none");
    move_alias(&foreign, &before["contacts"]);
    // Given up, it leaves nothing of its own.
    let filled = record(&scene.world, "contacts").unwrap()["index"].as_str().unwrap().to_owned();
    assert!(scene.world.indexes().contains(&filled));
    scene.world.succeed(&["reindex", "--abort"]);
    assert!(!scene.world.indexes().contains(&filled));
    assert_eq!(record(&scene.world, "contacts"), None);
    ends_well(scene, instance, events);
}

/// Everybody who looks at the running instance sees the rebuild.
fn is_shown(world: &World) {
    let shown = eventually("the rebuild in /status", || {
        let status: Value = serde_json::from_str(&world.get("/status").1).ok()?;
        status["reindex"].as_array()?.iter().find(|rebuild| rebuild["projection"] == "contacts").cloned()
    });
    let index = record(world, "contacts").unwrap()["index"].clone();
    assert_eq!(shown["index"], index, "{shown}");
    for part in ["phase", "events", "events_total", "documents", "total", "rate"] {
        assert!(!shown[part].is_null(), "{part} in {shown}");
    }
    let metrics = world.get("/metrics").1;
    assert!(metrics.contains("tributary_reindex_documents{projection=\"contacts\",phase="), "{metrics}");
    let told = world.succeed(&["status"]);
    assert!(told.contains(&format!("reindex of contacts into {}", index.as_str().unwrap())), "{told}");
}

#[test]
fn a_second_rebuild_is_refused_then_all_goes_back_and_is_tidied_up() {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, "");
    let instance = scene.run();
    let events = scene.events();
    let first = scene.world.indexes_behind();
    let mut rebuild = scene.world.start(&["reindex", "contacts", "organisations"]);
    reaches(&scene.world, "loading", &mut rebuild);
    is_shown(&scene.world);
    let refused = scene.world.run(&["reindex", "contacts"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(log_of(&refused).contains("a reindex is under way here"), "{}", log_of(&refused));
    // From elsewhere, with another state's folder, it is refused by the record.
    let elsewhere = ["--state", "elsewhere", "reindex", "contacts"];
    let refused = scene.world.run(&elsewhere);
    assert_eq!(refused.status.code(), Some(1));
    assert!(log_of(&refused).contains("another reindex of contacts is under way"), "{}", log_of(&refused));
    assert_eq!(rebuild.end(), Some(0), "{}", scene.world.log());
    let second = scene.world.indexes_behind();
    assert!(second["contacts"] != first["contacts"] && second["hierarchy"] == first["hierarchy"]);

    let wrong = scene.world.run(&["reindex", "--rollback", "hierarchy"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", log_of(&wrong));
    scene.world.succeed(&["reindex", "--rollback"]);
    assert_eq!(scene.world.indexes_behind(), first, "back to what was before");
    let deleted = scene.world.succeed(&["reindex", "--prune"]);
    assert!(deleted.contains(&second["contacts"]) && deleted.contains(&second["organisations"]), "{deleted}");
    let mut left: Vec<String> = scene.world.indexes();
    left.retain(|index| !index.ends_with("tributary-rebuilds"));
    left.sort_unstable();
    let mut expected: Vec<String> = first.values().cloned().collect();
    expected.sort_unstable();
    assert_eq!(left, expected, "never one behind an alias");
    ends_well(scene, instance, events);
}

#[test]
fn a_changed_mapping_stops_a_run_or_is_rebuilt_for_by_it() {
    let (servers, _turn) = services::whole();
    let scene = Scene::new(&servers, "");
    scene.world.succeed(&["run", "--until-end"]);
    let before = scene.world.indexes_behind();
    scene.change_mappings();
    let stopped = scene.world.run(&["run", "--until-end"]);
    assert_eq!(stopped.status.code(), Some(3), "{}", log_of(&stopped));
    assert!(log_of(&stopped).contains("tributary reindex organisations"), "{}", log_of(&stopped));

    let instance = scene.world.start(&["run", "--reindex-on-mapping-change"]);
    let events = scene.events();
    eventually("every index is a new one", || {
        let behind = scene.world.indexes_behind();
        behind.iter().all(|(projection, index)| *index != before[projection]).then_some(())
    });
    ends_well(scene, instance, events);
}
