//! A first fill whose every write is refused: nothing counts as delivered, and a death or a take-over meanwhile loses
//! nothing.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::harness::{World, eventually, fresh};
use crate::services::{self, Services};

/// An index template that refuses every write to the indexes of a prefix, for as long as this lives.
struct Refusal<'a> {
    world: &'a World,
    name: String,
}

impl<'a> Refusal<'a> {
    fn of(world: &'a World) -> Self {
        let name = format!("refuse-{}", world.prefix);
        let template = json!({
            "index_patterns": [format!("{}*", world.prefix)],
            "priority": 900,
            "template": {"settings": {"index.blocks.write": true}},
        });
        let answer = world.es(Method::Put, &format!("/_index_template/{name}"), Some(&template));
        assert_eq!(answer["acknowledged"], true, "{answer}");
        Self { world, name }
    }

    fn lift(self) {
        let open = json!({"index.blocks.write": null});
        self.world.es(Method::Delete, &format!("/_index_template/{}", self.name), None);
        self.world.es(Method::Put, &format!("/{}*/_settings", self.world.prefix), Some(&open));
    }
}

fn world(servers: &Services, name: &str) -> World {
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh(name)));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let world = World::new(servers, name, &extra);
    let counts = ["--organisations", "3", "--contacts", "6", "--events", "20", "--partitions", "1"];
    world.succeed(&[&["generate", "--kafka", "--seed", "1"], &counts[..]].concat());
    world
}

/// Waits until every record is folded and the index has refused documents.
fn wait_until_refused(world: &World) -> Value {
    eventually("everything is folded and refused", || {
        let status = world.status()?;
        let unread: i64 =
            status["partitions"].as_array()?.iter().filter_map(|at| at["unread"].as_i64()).sum();
        let folded = status["counters"]["records"].as_u64()? >= 20 && unread == 0;
        (folded && status["counters"]["retried"].as_u64()? > 0).then_some(status)
    })
}

/// The last record of every partition, as a position token.
fn end(status: &Value) -> String {
    let partitions = status["partitions"].as_array().unwrap().iter();
    let last = partitions.filter(|at| at["end"].as_i64().unwrap() > 0).map(|at| {
        format!("{}/{}:{}", at["topic"].as_str().unwrap(), at["partition"], at["end"].as_i64().unwrap() - 1)
    });
    last.collect::<Vec<_>>().join(",")
}

fn is_like_an_undisturbed_run(servers: &Services, world: &World) {
    let topics = world.config.lines().filter(|line| line.contains(".topics = "));
    let calm = World::new(servers, "calm", &topics.map(|line| line.to_owned() + "\n").collect::<String>());
    calm.succeed(&["run", "--until-end"]);
    world.refresh();
    assert_eq!(world.all_documents(), calm.all_documents());
}

#[test]
fn a_refused_first_fill_counts_as_nothing_delivered_and_survives_a_kill() {
    let (servers, _turn) = services::whole();
    let world = world(&servers, "refused");
    let refusal = Refusal::of(&world);
    let running = world.start(&["run"]);
    let refused = wait_until_refused(&world);
    // The answer takes the whole time, which is long enough for a position that is published once a second.
    let path = format!("/search?q=org&consistent_with={}&timeout=4s&allow_partial=true", end(&refused));
    let (code, body) = world.get(&path);
    assert_eq!(code, 503, "{body}");
    let after = world.status().unwrap();
    let delivered: Vec<_> =
        after["partitions"].as_array().unwrap().iter().map(|at| &at["delivered"]).collect();
    assert!(delivered.iter().all(|offset| **offset == 0), "{after}");
    running.kill();
    refusal.lift();
    world.succeed(&["run", "--until-end"]);
    is_like_an_undisturbed_run(&servers, &world);
    world.succeed(&["verify"]);
}

#[test]
fn a_refused_first_fill_is_done_by_the_instance_that_takes_over() {
    let (servers, _turn) = services::whole();
    let first = world(&servers, "refused-take-over");
    let second = first.beside();
    let refusal = Refusal::of(&first);
    let mut writer = first.start(&["run"]);
    wait_until_refused(&first);
    let mut standby = second.start(&["run"]);
    eventually("the second has folded everything", || {
        (second.status()?["counters"]["records"].as_u64()? >= 20).then_some(())
    });
    let path = format!(
        "/search?q=org&consistent_with={}&timeout=4s&allow_partial=true",
        end(&first.status().unwrap())
    );
    assert_eq!(second.get(&path).0, 503);
    writer.signal("TERM");
    assert_eq!(writer.end(), Some(0), "{}", first.log());
    eventually("the second writes", || (second.status()?["state"] == "writing").then_some(()));
    refusal.lift();
    eventually("everything is delivered", || (second.status()?["documents_waiting"] == 0).then_some(()));
    standby.signal("TERM");
    assert_eq!(standby.end(), Some(0), "{}", second.log());
    is_like_an_undisturbed_run(&servers, &first);
}
