//! Two instances of one group: one writes, the other stands by and takes over.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::harness::{World, eventually, fresh};
use crate::services;

fn state(world: &World) -> String {
    world.status().map(|status| status["state"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

#[test]
fn a_second_instance_stands_by_and_takes_over() {
    let (servers, _turn) = services::whole();
    let topics = ["organisations", "contacts"].map(|topic| format!("{topic}.{}", fresh("standby")));
    let extra = format!("organisations.topics = [{:?}]\ncontacts.topics = [{:?}]\n", topics[0], topics[1]);
    let first = World::new(&servers, "standby", &extra);
    let generate = |seed: &str| {
        let counts = ["--organisations", "50", "--contacts", "500", "--events", "1500", "--partitions", "2"];
        first.succeed(&[&["generate", "--kafka", "--seed", seed], &counts[..]].concat());
    };
    generate("1");
    let second = first.beside();

    let writer = first.start(&["run"]);
    eventually("the first writes", || (state(&first) == "writing").then_some(()));
    let mut standby = second.start(&["run"]);
    eventually("the second has folded everything", || {
        let status = second.status()?;
        (status["counters"]["records"].as_u64()? >= 1_500).then_some(())
    });
    // Where a new member gets the deciding partition, the first stands by: one of them always does.
    eventually("one writes and one stands by", || {
        let mut states = [state(&first), state(&second)];
        states.sort();
        (states == ["standing by", "writing"]).then_some(())
    });
    writer.kill();
    eventually("the second writes", || (state(&second) == "writing").then_some(()));
    generate("2");
    eventually("the new events are in the index", || {
        let status = second.status()?;
        let done = status["counters"]["records"].as_u64()? >= 3_000 && status["documents_waiting"] == 0;
        done.then_some(())
    });
    standby.signal("TERM");
    assert_eq!(standby.end(), Some(0), "{}", second.log());

    // The group's offsets say that everything is in the index, as ordinary tools show it.
    let group = format!("{}group", first.prefix);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &servers.kafka)
        .set("group.id", &group)
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    topics.iter().for_each(|topic| {
        (0..2).for_each(|partition| {
            list.add_partition(topic, partition);
        });
    });
    let committed = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    let committed: i64 = committed.elements().iter().filter_map(|at| at.offset().to_raw()).sum();
    assert_eq!(committed, 3_000);

    let calm = World::new(&servers, "calm", &extra);
    calm.succeed(&["run", "--until-end"]);
    first.refresh();
    assert_eq!(first.all_documents(), calm.all_documents());
}
