//! A log whose beginning retention has removed: it is refused, and with leave it deletes nothing that it is silent on.

use crate::harness::log_of;
use crate::recreated::{Topics, ids};
use crate::services;

#[test]
fn a_compacted_topic_that_also_deletes_is_no_whole_log_for_a_reindex() {
    let (servers, _turn) = services::whole();
    let topics = Topics::new(&servers, "compact-delete", "compact,delete", "");
    topics.produce(0..6);
    topics.world.succeed(&["run", "--until-end"]);
    topics.cut_off(&topics.organisations, 3);
    let refused = topics.world.run(&["reindex"]);
    assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
    let log = log_of(&refused);
    assert!(log.contains(&topics.organisations) && log.contains("offset 3"), "{log}");
    assert!(log.contains("--allow-partial-log"), "{log}");
    assert_eq!(topics.names(), ids(0..6));
}

#[test]
fn a_run_without_a_state_refuses_a_partial_log_and_with_leave_deletes_nothing_that_it_is_silent_on() {
    let (servers, _turn) = services::whole();
    for policy in ["delete", "compact,delete"] {
        let topics = Topics::new(&servers, "partial", policy, "");
        topics.produce(0..6);
        topics.world.succeed(&["run", "--until-end"]);
        topics.cut_off(&topics.organisations, 3);
        topics.world.succeed(&["run", "--until-end"]);
        std::fs::remove_dir_all(topics.world.path("state")).unwrap();
        let refused = topics.world.run(&["run", "--until-end"]);
        assert_eq!(refused.status.code(), Some(1), "{}", log_of(&refused));
        let log = log_of(&refused);
        assert!(log.contains("offset 3") && log.contains("--allow-partial-log"), "{log}");
        assert_eq!(topics.names(), ids(0..6), "nothing was touched");

        topics.world.succeed(&["run", "--until-end", "--allow-partial-log"]);
        assert_eq!(topics.names(), ids(0..6), "the log is silent on the first three");
        // The state remembers.
        topics.tombstone(4);
        topics.world.succeed(&["run", "--until-end"]);
        let mut left = ids(0..6);
        left.retain(|id| id != "o4");
        assert_eq!(topics.names(), left, "what the log deletes is deleted");
        topics.world.succeed(&["verify", "--repair"]);
        topics.world.succeed(&["run", "--until-end"]);
        assert_eq!(topics.names(), left);
    }
}
