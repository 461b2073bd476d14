//! The documents that wait, and the low watermark that follows from them.

use super::*;
use crate::plan::{CONTACTS, ORGANISATIONS, child_key};
use crate::position::TopicPartition;

fn key(id: &str) -> DocumentKey {
    (CONTACTS, id.into())
}

fn at(next: i64) -> Positions {
    [(TopicPartition::new("contacts", 0), next)].into_iter().collect()
}

/// Of both priorities, as the delivery does.
fn take(queue: &Queue, max: usize) -> Vec<DocumentKey> {
    let mut keys = direct(queue, max);
    keys.extend(queue.take(Priority::Background, max - keys.len(), &|_| true));
    keys
}

fn direct(queue: &Queue, max: usize) -> Vec<DocumentKey> {
    queue.take(Priority::Direct, max, &|_| true)
}

fn add_scanned(queue: &Queue, found: Vec<DocumentKey>, began: u64, ended: bool) {
    let part = queue.next_scan().unwrap();
    queue.add_scanned(&part, found, began, (!ended).then(|| vec![1]));
}

fn queue_after_scan() -> Queue {
    let queue = Queue::starting_at(1, None, at(10), 1, Tuning::small());
    add_scanned(&queue, Vec::new(), 1, true);
    queue
}

#[test]
fn the_low_watermark_waits_for_the_oldest_mark() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("a")], Priority::Direct, None, 200);
    queue.note_commit(3, &at(12), vec![key("b")], Priority::Direct, None, 300);
    assert_eq!(queue.low_watermark(), Some(at(10)));
    assert_eq!(take(&queue, 1), [key("a")]);
    assert_eq!(queue.low_watermark(), Some(at(10)), "a document in flight is not delivered");
    assert_eq!(queue.waiting_since(), Some(200));
    queue.finish([(key("a"), true)]);
    assert_eq!(queue.low_watermark(), Some(at(11)));
    take(&queue, 1);
    queue.finish([(key("b"), true)]);
    assert_eq!(queue.low_watermark(), Some(at(12)));
    assert_eq!(queue.waiting_since(), None);
}

#[test]
fn documents_of_one_member_are_in_one_request_or_wait_for_each_other() {
    let child = |owner: &str| -> DocumentKey { (ORGANISATIONS, child_key("contacts", owner, "c1").into()) };
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![child("o1"), child("o2")], Priority::Direct, None, 200);
    assert_eq!(take(&queue, 2), [child("o1"), child("o2")]);
    queue.note_commit(3, &at(12), vec![child("o3"), key("c1")], Priority::Direct, None, 300);
    assert_eq!(take(&queue, 2), [key("c1")]);
    queue.finish([(child("o1"), true), (key("c1"), true)]);
    assert_eq!(take(&queue, 2), []);
    queue.put_back(vec![child("o2")]);
    assert_eq!(queue.low_watermark(), Some(at(10)));
    for owner in ["o2", "o3"] {
        assert_eq!(take(&queue, 1), [child(owner)]);
        assert_eq!(take(&queue, 1), []);
        queue.finish([(child(owner), true)]);
    }
    assert_eq!(queue.low_watermark(), Some(at(12)));
}

#[test]
fn a_document_marked_while_on_its_way_goes_again() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("a")], Priority::Direct, None, 200);
    take(&queue, 1);
    queue.note_commit(3, &at(12), vec![key("a")], Priority::Direct, None, 300);
    assert_eq!(take(&queue, 1), [], "one write of a document at a time");
    queue.finish([(key("a"), true)]);
    assert_eq!(take(&queue, 1), [key("a")]);
}

#[test]
fn what_does_not_fit_is_scanned_for_and_holds_the_low_watermark() {
    let queue = queue_after_scan();
    let many = (0..Tuning::small().waiting_max + 1).map(|n| key(&n.to_string())).collect();
    queue.note_commit(2, &at(11), many, Priority::Background, None, 200);
    let keys = take(&queue, usize::MAX);
    queue.finish(keys.into_iter().map(|key| (key, true)));
    assert_eq!(queue.low_watermark(), Some(at(10)));
    assert!(queue.next_scan().is_some());
    add_scanned(&queue, vec![key("last")], 2, true);
    assert_eq!(queue.low_watermark(), Some(at(10)));
    take(&queue, 1);
    queue.finish([(key("last"), true)]);
    assert_eq!(queue.low_watermark(), Some(at(11)));
    assert!(queue.waiting().is_nothing());
}

#[test]
fn a_document_marked_again_on_its_way_waits_since_that_mark() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("a")], Priority::Direct, None, 200);
    assert_eq!(take(&queue, 1), [key("a")]);
    queue.note_commit(3, &at(12), vec![key("a")], Priority::Direct, None, 300);
    queue.note_commit(4, &at(13), vec![key("b")], Priority::Direct, None, 400);
    queue.note_commit(5, &at(13), vec![key("a")], Priority::Direct, None, 500);
    queue.finish([(key("a"), true)]);
    assert_eq!(queue.low_watermark(), Some(at(11)), "the mark of step 3 is not delivered");
    assert_eq!(queue.oldest_waiting(), Some(3));
}

#[test]
fn a_document_that_a_backfill_has_taken_goes_again_after_that_and_not_beside_it() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("a")], Priority::Direct, None, 200);
    let part = queue.begin_chunk(CONTACTS, 1);
    for id in ["a", "b", "c"] {
        assert!(queue.take_for_chunk(part, &key(id)));
    }
    queue.note_commit(3, &at(12), vec![key("b")], Priority::Direct, None, 300);
    assert_eq!(take(&queue, 9), []);
    let anew = queue.begin_chunk(CONTACTS, 3);
    assert!(
        !["a", "b", "c"].into_iter().any(|id| queue.take_for_chunk(anew, &key(id))),
        "they are on their way"
    );
    assert_eq!((queue.waiting().documents, queue.oldest_waiting()), (3, Some(1)));
    queue.finish_chunk(anew);
    queue.finish_chunk(part);
    assert_eq!(take(&queue, 1), [key("b")]);
    let part = queue.begin_chunk(CONTACTS, 1);
    assert!(!queue.take_for_chunk(part, &key("b")), "it is in flight");
    queue.finish_chunk(part);
    assert_eq!(take(&queue, 9), [key("a")]);
    queue.finish([(key("a"), true), (key("b"), true)]);
    assert!(queue.waiting().is_nothing() && queue.oldest_waiting().is_none());
}

#[test]
fn a_direct_change_overtakes_a_fan_out() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("storm"), key("a")], Priority::Background, None, 200);
    queue.note_commit(3, &at(12), vec![key("a")], Priority::Direct, None, 300);
    assert_eq!(take(&queue, 1), [key("a")]);
}

#[test]
fn a_scan_is_repeated_for_what_was_left_since_it_began() {
    let queue = Queue::starting_at(1, None, at(10), 1, Tuning::small());
    let part = queue.next_scan().unwrap();
    queue.add_scanned(&part, Vec::new(), 1, Some(vec![1]));
    let many = (0..Tuning::small().waiting_max + 1).map(|n| key(&n.to_string())).collect();
    queue.note_commit(2, &at(11), many, Priority::Background, None, 200);
    queue.add_scanned(&part, Vec::new(), 2, None);
    assert!(queue.waiting().more);
}

#[test]
fn a_scan_that_was_under_way_begins_anew_when_what_waits_is_forgotten() {
    let queue = Queue::starting_at(1, None, at(10), 1, Tuning::small());
    let part = queue.next_scan().unwrap();
    add_scanned(&queue, vec![key("a")], 1, false);
    assert_eq!(queue.next_scan().unwrap().cursor, vec![1]);
    queue.forget();
    assert_eq!(queue.next_scan().unwrap().cursor, Vec::<u8>::new());
    queue.add_scanned(&part, vec![key("b")], 1, None);
    assert!(queue.waiting().more, "what was given up ends nothing");
}

#[test]
fn a_mark_that_a_scan_finds_of_a_document_that_a_backfill_has_taken_is_not_passed_over() {
    let queue = Queue::starting_at(1, None, at(10), 1, Tuning::small());
    let part = queue.begin_chunk(CONTACTS, 1);
    assert!(queue.take_for_chunk(part, &key("a")));
    add_scanned(&queue, vec![key("a")], 2, true);
    queue.finish_chunk(part);
    assert_eq!(take(&queue, 9), [key("a")]);
}

#[test]
fn an_older_change_of_a_document_that_a_backfill_has_taken_holds_the_low_watermark() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("a")], Priority::Direct, None, 200);
    queue.note_commit(3, &at(12), vec![], Priority::Direct, None, 300);
    let part = queue.begin_chunk(CONTACTS, 3);
    assert!(queue.take_for_chunk(part, &key("a")));
    assert_eq!(take(&queue, 9), []);
    assert_eq!(queue.oldest_waiting(), Some(2));
    assert_eq!(queue.low_watermark(), Some(at(10)));
    queue.finish_chunk(part);
    assert_eq!(take(&queue, 9), [key("a")]);
}

#[test]
fn the_low_watermark_waits_for_what_a_fan_out_marked() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("renamed")], Priority::Direct, Some(2), 200);
    queue.note_commit(3, &at(11), vec![key("a"), key("b")], Priority::Background, None, 300);
    assert_eq!(take(&queue, 1), [key("renamed")]);
    queue.finish([(key("renamed"), true)]);
    assert_eq!(
        queue.low_watermark(),
        Some(at(10)),
        "what the change of offset 10 marked by its fan-out waits"
    );
    assert_eq!(take(&queue, 2), [key("a"), key("b")]);
    queue.finish([(key("a"), true), (key("b"), true)]);
    assert_eq!(queue.low_watermark(), Some(at(11)));
}

#[test]
fn a_fan_out_marks_documents_since_the_change_that_began_it_also_those_that_wait_or_are_on_their_way() {
    for is_on_its_way in [false, true] {
        let queue = queue_after_scan();
        queue.note_commit(2, &at(11), Vec::new(), Priority::Direct, Some(2), 200);
        queue.note_commit(3, &at(12), vec![key("a")], Priority::Direct, Some(2), 300);
        if is_on_its_way {
            assert_eq!(take(&queue, 1), [key("a")]);
        }
        queue.note_commit(4, &at(12), vec![key("a")], Priority::Background, None, 400);
        assert_eq!(queue.low_watermark(), Some(at(10)), "what step 2 began is not there: {is_on_its_way}");
        if is_on_its_way {
            queue.finish([(key("a"), true)]);
            assert_eq!(queue.low_watermark(), Some(at(10)), "it was made before its mark");
        }
        assert_eq!(take(&queue, 9), [key("a")]);
        queue.finish([(key("a"), true)]);
        assert_eq!(queue.low_watermark(), Some(at(12)));
        assert!(queue.waiting().is_nothing());
    }
}

#[test]
fn a_mark_that_a_scan_finds_is_as_old_as_can_be_also_when_its_document_waits_or_is_on_its_way() {
    for is_on_its_way in [false, true] {
        let queue = Queue::starting_at(7, None, at(10), 1, Tuning::small());
        queue.note_commit(8, &at(11), vec![key("a")], Priority::Direct, None, 200);
        if is_on_its_way {
            assert_eq!(take(&queue, 1), [key("a")]);
        }
        add_scanned(&queue, vec![key("a")], 8, true);
        assert_eq!(queue.low_watermark(), None, "it may have been marked before the start: {is_on_its_way}");
    }
}

#[test]
fn what_a_fan_out_leaves_to_the_state_during_a_scan_is_scanned_for_and_waits_since_its_change() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), Vec::new(), Priority::Direct, Some(2), 200);
    let many = || (0..Tuning::small().waiting_max + 1).map(|n| key(&n.to_string())).collect::<Vec<_>>();
    queue.note_commit(3, &at(12), many(), Priority::Background, Some(2), 300);
    let keys = take(&queue, usize::MAX);
    queue.finish(keys.into_iter().map(|key| (key, true)));
    let part = queue.next_scan().unwrap();
    // The scan has read the state of step 3 when another part of the fan-out finds no room.
    let more = (0..Tuning::small().waiting_max + 1).map(|n| key(&format!("more {n}"))).collect();
    queue.note_commit(4, &at(12), more, Priority::Background, None, 400);
    queue.add_scanned(&part, Vec::new(), 3, None);
    let keys = take(&queue, usize::MAX);
    queue.finish(keys.into_iter().map(|key| (key, true)));
    assert!(queue.waiting().more, "the last of them lies in the state");
    assert_eq!(queue.low_watermark(), Some(at(10)), "and waits since step 2");
    add_scanned(&queue, Vec::new(), 4, true);
    assert_eq!(queue.low_watermark(), Some(at(12)));
}

#[test]
fn a_document_that_changes_again_and_again_while_it_waits_takes_one_place() {
    let queue = queue_after_scan();
    for step in 2..100 {
        queue.note_commit(step, &at(11), vec![key("hot")], Priority::Background, None, 200);
        queue.note_commit(step, &at(11), vec![key("hot")], Priority::Direct, None, 200);
    }
    let inner = queue.lock();
    assert_eq!((inner.background.len(), inner.direct.len(), inner.waiting.len()), (1, 1, 1));
}

#[test]
fn what_had_no_room_goes_before_what_came_later_and_keeps_its_age() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("a"), key("b"), key("c")], Priority::Direct, None, 200);
    let keys = take(&queue, 3);
    queue.note_commit(3, &at(12), vec![key("d"), key("c")], Priority::Direct, None, 300);
    queue.put_back(keys[1..].to_vec());
    queue.finish([(key("a"), true)]);
    assert_eq!(queue.low_watermark(), Some(at(10)), "the marks of step 2 wait still");
    assert_eq!(take(&queue, 9), [key("b"), key("c"), key("d")]);
    queue.finish(["b", "c"].map(|id| (key(id), true)));
    assert_eq!(queue.low_watermark(), Some(at(11)));
    queue.finish([(key("d"), true)]);
    assert!(queue.waiting().is_nothing());
}

#[tokio::test(start_paused = true)]
async fn a_large_document_gives_way_for_a_moment_when_it_changes_again() {
    let queue = queue_after_scan();
    queue.note_commit(2, &at(11), vec![key("large"), key("other")], Priority::Direct, None, 200);
    assert_eq!(take(&queue, 1), [key("large")]);
    queue.note_sent([(&key("large"), 64 << 20)].into_iter());
    queue.finish([(key("large"), true)]);
    queue.note_commit(3, &at(12), vec![key("large"), key("small")], Priority::Direct, None, 300);
    assert_eq!(take(&queue, 9), [key("other"), key("small")]);
    assert_eq!(take(&queue, 9), [], "while the index has something to do");
    queue.finish(["other", "small"].map(|id| (key(id), true)));
    assert_eq!(queue.low_watermark(), Some(at(11)), "it waits all the same");
    assert_eq!(take(&queue, 9), [key("large")], "before its time, when nothing else is to be done");
    queue.note_sent([(&key("large"), 64 << 20)].into_iter());
    queue.finish([(key("large"), true)]);

    queue.note_commit(4, &at(13), vec![key("large"), key("small")], Priority::Direct, None, 400);
    assert_eq!(take(&queue, 9), [key("small")]);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(take(&queue, 9), [key("large")]);
    queue.finish(["large", "small"].map(|id| (key(id), true)));
    assert!(queue.waiting().is_nothing());
}

#[test]
fn a_request_is_of_one_projection_and_they_take_turns() {
    let queue = queue_after_scan();
    let [a, b, d] = ["a", "b", "d"].map(key);
    let c = (ORGANISATIONS, "c".into());
    let marked = vec![a.clone(), c.clone(), b.clone(), d.clone()];
    queue.note_commit(2, &at(11), marked, Priority::Direct, None, 200);
    assert_eq!(direct(&queue, 9), [c]);
    assert_eq!(direct(&queue, 2), [a.clone(), b.clone()]);
    queue.put_back(vec![b.clone()]);
    let late = (ORGANISATIONS, "e".into());
    queue.note_commit(3, &at(12), vec![late.clone()], Priority::Direct, None, 300);
    assert_eq!(direct(&queue, 9), [late]);
    assert_eq!(direct(&queue, 9), [b, d], "what is put back is in front");
    assert_eq!(direct(&queue, 9), []);
}

#[test]
fn a_projection_is_shown_up_to_what_waits_for_its_own_index() {
    let queue = queue_after_scan();
    let large = (ORGANISATIONS, "o".into());
    queue.note_commit(2, &at(11), vec![key("a"), large], Priority::Direct, None, 200);
    let shown = |projection| queue.low_watermark_of(Some(projection));
    assert_eq!(shown(CONTACTS), Some(at(10)));
    direct(&queue, 9);
    assert_eq!(direct(&queue, 9), [key("a")]);
    queue.finish([(key("a"), true)]);
    assert_eq!(shown(CONTACTS), Some(at(11)));
    assert_eq!((shown(ORGANISATIONS), queue.low_watermark()), (Some(at(10)), Some(at(10))));
    queue.note_commit(3, &at(12), Vec::new(), Priority::Direct, Some(3), 300);
    assert_eq!(shown(CONTACTS), Some(at(11)), "a fan-out may be of any");
    queue.note_commit(4, &at(12), Vec::new(), Priority::Background, None, 300);
    assert_eq!(shown(CONTACTS), Some(at(12)));
}
