//! Readiness and lag.

use super::*;
use crate::position::TopicPartition;

#[test]
fn only_waiting_work_that_does_not_move_is_stuck() {
    let status = Status::default();
    let progress = &status.index_progress;
    assert_eq!(status.readiness().reasons[0].cause, Cause::Starting);
    status.set_indexes([("contacts".to_owned(), "i".to_owned())].into());
    progress.set_unfilled(vec!["contacts".to_owned()], 0);
    assert_eq!(status.readiness().reasons[0].cause, Cause::Filling);
    assert!(!progress.are_filled(&["contacts"]) && progress.are_filled(&["hierarchy"]));
    progress.note_filled();
    progress.set_unfilled(vec!["contacts".to_owned()], 0);
    assert!(status.readiness().ready, "a look that began before says nothing");
    status.set_waiting(WaitingWork { documents: 1, ..WaitingWork::default() });
    assert!(status.readiness().ready, "a standby has nothing to deliver");
    status.signals.set_writer(true);
    assert_eq!(status.readiness().reasons[0].cause, Cause::Stuck);
    status.progressed_ms.store(Status::now_ms(), Ordering::Relaxed);
    assert!(status.readiness().ready);
}

#[test]
fn the_lag_is_what_searches_do_not_show() {
    let at = |next| [(TopicPartition::new("contacts", 0), next)].into_iter().collect::<Positions>();
    let status = Status::default();
    status.set_end(&at(5));
    status.set_positions(&at(5));
    let partition = |status: &Status| status.report(None).partitions[0].clone();
    assert_eq!((partition(&status).lag, partition(&status).unread), (5, 0));
    assert_eq!(status.lock().ends.len(), 1);
    (6..1_000).for_each(|end| status.set_end(&at(end)));
    assert!(status.lock().ends.len() <= ENDS_MAX);
    status.index_progress.set_low_watermark(&at(999), 1, BTreeMap::new());
    assert_eq!((partition(&status).lag, status.behind_ms()), (0, 0));
}
