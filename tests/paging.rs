//! Pages of one search while documents change.

use serde_json::json;

use crate::harness::GrowingLog;
use crate::search::{FOUR, ambergate, ask, by_command_line, engines, ids};
use crate::services;

/// A contact of this name scores more for `folkwright` the closer its last name is.
fn named(log: &GrowingLog, number: usize, last_name: &str) {
    let contact = json!({"organisationId": "o1", "firstName": format!("Kin{number}"), "lastName": last_name});
    log.append("contacts", &format!("c{number:02}"), &contact);
}

#[test]
fn hits_that_change_their_score_between_two_pages_are_found_once() {
    let (servers, _turn) = services::whole();
    let log = ambergate();
    for (world, _running) in &engines("shift", &servers, &(log.settings() + FOUR)) {
        let consistent = || format!("contacts/0:{}", log.lines("contacts") - 1);
        let scored = |best: usize| {
            for number in 0..12 {
                named(&log, number, if number % 2 == best { "Folkwright" } else { "Folkwrights" });
            }
            assert_eq!(ask(world, &[("consistent_with", &consistent())]).0, 200);
        };
        let order = |first: usize| -> Vec<String> {
            let numbers = (first..12).step_by(2).chain((1 - first..12).step_by(2));
            numbers.map(|number| format!("c{number:02}")).collect()
        };
        let query = [("q", "folkwright"), ("in", "contacts"), ("size", "3")];
        scored(0);
        let first = ask(world, &query).1;
        let next = first["next"].as_str().unwrap();
        let again = [query.to_vec(), vec![("after", next)]].concat();
        // Two readers of the same page go on from the same view, and neither sees the changes.
        for turn in [1, 0, 1] {
            scored(turn);
            let mut all = ids(&first);
            let (mut after, mut position) = (next.to_owned(), first["position"].clone());
            loop {
                let (code, page) = ask(world, &[query.to_vec(), vec![("after", &after)]].concat());
                assert_eq!((code, &page["total"]), (200, &json!(12)), "{page}");
                assert_eq!(std::mem::replace(&mut position, page["position"].clone()), page["position"]);
                all.extend(ids(&page));
                let Some(next) = page["next"].as_str() else { break };
                after = next.to_owned();
            }
            assert_eq!(all, order(0), "{}", world.prefix);
        }
        // A search for a later record, or by another process, goes on in the index as it is then.
        let token = consistent();
        let (code, fresh) = ask(world, &[again.clone(), vec![("consistent_with", &token)]].concat());
        assert_eq!(code, 200, "{fresh}");
        assert_eq!(ids(&fresh), order(1)[2..5]);
        let pairs: Vec<_> =
            again.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(ids(&by_command_line(world, &pairs).1), order(1)[2..5]);
    }
}
