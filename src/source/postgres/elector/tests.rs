use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;

use super::super::connection::ANSWER_WAIT;
use super::*;
use crate::config::{SslMode, StabilityRule};
use crate::position::{Positions, TopicPartition};

/// A session with a server that lets the user in, and answers nothing more.
async fn silent() -> DatabaseSession {
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    tokio::spawn(async move {
        let mut length = [0; 4];
        theirs.read_exact(&mut length).await.unwrap();
        let mut startup = vec![0; u32::from_be_bytes(length) as usize - length.len()];
        theirs.read_exact(&mut startup).await.unwrap();
        // AuthenticationOk and ReadyForQuery.
        theirs.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        while theirs.read(&mut startup).await.is_ok_and(|bytes| bytes > 0) {}
    });
    let mut settings = tokio_postgres::Config::new();
    settings.user("tributary");
    DatabaseSession::connect_within(ANSWER_WAIT, settings.connect_raw(ours, NoTls)).await.unwrap()
}

/// A member that writes, or stands by.
fn member(session: Option<DatabaseSession>, is_writer: bool) -> LockMember {
    LockMember {
        config: PostgresConfig {
            url: "postgres://localhost".to_owned(),
            password: None,
            sslmode: SslMode::Disable,
            ca_certificate: None,
            schema: "message_store".to_owned(),
            stable: StabilityRule::Lock,
        },
        group: "group".to_owned(),
        keys: LockKeys::of("group"),
        categories: vec!["contact".to_owned(), "organisation".to_owned()],
        in_flight: Arc::default(),
        writer: watch::Sender::new(is_writer),
        joined: Arc::default(),
        caught_up: Arc::default(),
        candidacy: Candidacy::default(),
        session,
        is_member: true,
        connect_at: Instant::now(),
        written: None,
        written_at: None,
        pending: None,
        throttle: LogThrottle::default(),
    }
}

fn position_of(next: i64) -> DeliveredPosition {
    let low_watermark: Positions = [(TopicPartition::new("contact", 0), next)].into_iter().collect();
    DeliveredPosition { low_watermark, ..DeliveredPosition::default() }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_loses_its_writer_after_the_time_of_a_look() {
    let mut writer = member(Some(silent().await), true);
    let began = Instant::now();
    assert!(!writer.commit(position_of(3)).await);
    assert_eq!(began.elapsed(), LOOK_WAIT);
    assert!(!*writer.writer.borrow() && writer.session.is_none());
    assert_eq!((writer.written, writer.pending), (None, None), "another one may be further by then");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_stands_by_waits_for_the_positions_as_long_as_for_a_look() {
    let mut standby = member(Some(silent().await), false);
    let began = Instant::now();
    assert_eq!(standby.read_position().await.unwrap(), DeliveredPosition::default());
    assert_eq!(began.elapsed(), LOOK_WAIT);
    assert!(standby.session.is_none());
}

#[tokio::test(start_paused = true)]
async fn positions_that_are_written_are_committed_although_none_are_due() {
    let mut writer = member(Some(silent().await), true);
    (writer.written, writer.written_at) = (Some(position_of(3)), Some(Instant::now()));
    assert!(!writer.commit(position_of(4)).await, "they wait until they are due");
    assert!(writer.pending.is_some());
    assert!(writer.commit(position_of(3)).await);
    assert!(writer.pending.is_none());
}
