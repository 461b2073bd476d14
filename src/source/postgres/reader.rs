//! The reader: each category from its next position on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::connection::{ANSWER_WAIT, Blocking, DatabaseSession, StoreId, answer, judge, outage_error};
use super::horizon::Horizon;
use super::message::{COLUMNS, Category, record};
use crate::backoff::BackOff;
use crate::config::{PostgresConfig, StabilityRule};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::plan::EntityType;
use crate::position::{Positions, TopicPartition};
use crate::source::trouble::Trouble;
use crate::source::{EventSource, Fingerprint, LogOutage, SourceBatch};

/// The pause between two looks at the categories: the first after a message, doubled up to the second while none comes.
const PAUSE_MIN: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_millis(40);
/// The pause before a question for the newest message of the store, which costs a quarter of a look. It is doubled up to the
/// second while the newest messages are of other categories.
const PEEK_PAUSE_MIN: Duration = Duration::from_millis(4);
const PEEK_PAUSE_MAX: Duration = Duration::from_millis(40);
/// The same between two tries to connect.
const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(100);
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// So many messages of each category are asked for at most.
const BATCH_MAX: usize = 500;
/// How large a message is taken to be before the first came.
const MESSAGE_BYTES: usize = 16 << 10;

const NAME: &str = "tributary";

/// The newest message that can be seen. A message that is committed later with a lower number is found by the next look.
const PEEK: &str = "SELECT coalesce(max(global_position), 0) FROM messages";

/// A message-db.
pub struct PostgresSource {
    config: PostgresConfig,
    categories: Vec<Category>,
    store: StoreId,
    runtime: Blocking,
    open: Option<OpenSession>,
    /// The next position of each category, and the last message read.
    next: Vec<i64>,
    last: Vec<Option<Fingerprint>>,
    /// The category that is asked for first.
    turn: usize,
    /// The mean size of messages, in bytes.
    message_bytes: usize,
    looks: BackOff,
    look_at: Instant,
    peeks: BackOff,
    /// The newest message of the store, when it was last asked for.
    newest: i64,
    connects: BackOff,
    connect_at: Instant,
    trouble: Trouble,
}

/// A connection with its prepared statements.
struct OpenSession {
    session: DatabaseSession,
    read: Statement,
    peek: Statement,
    horizon: Option<Horizon>,
}

impl OpenSession {
    async fn new(config: &PostgresConfig) -> Result<Self> {
        let session = DatabaseSession::open(config, NAME).await?;
        let sql = format!(
            "SELECT c.number, {COLUMNS} FROM unnest($1::int[], $2::varchar[], $3::bigint[]) AS c(number, category, next) \
             CROSS JOIN LATERAL get_category_messages(c.category, c.next, $4) AS m WHERE m.global_position <= $5"
        );
        let read = answer(session.client.prepare(&sql), "get_category_messages").await?;
        let peek = answer(session.client.prepare(PEEK), "the newest message").await?;
        let horizon = (config.stable == StabilityRule::Xmin).then(Horizon::default);
        Ok(Self { session, read, peek, horizon })
    }

    /// The next messages, each with the number of its category, and about how many bytes they take.
    async fn read(&mut self, batch: &QuestionBatch<'_>) -> Result<(Vec<(usize, Record)>, usize)> {
        let client = &self.session.client;
        let stable = match &mut self.horizon {
            Some(horizon) => horizon.look(client).await?,
            None => i64::MAX,
        };
        let order = &batch.order;
        let numbers: Vec<i32> = order.iter().filter_map(|number| i32::try_from(*number).ok()).collect();
        let names: Vec<&str> =
            order.iter().filter_map(|at| Some(batch.categories.get(*at)?.name())).collect();
        let next: Vec<i64> = order.iter().filter_map(|at| batch.next.get(*at).copied()).collect();
        let each = i64::try_from(batch.each).unwrap_or(i64::MAX);
        let what = "messages";
        let parameters: [&(dyn ToSql + Sync); 5] = [&numbers, &names, &next, &each, &stable];
        let rows = answer(client.query_raw(&self.read, parameters), what).await?;
        let mut rows = std::pin::pin!(rows);
        let (mut records, mut bytes) = (Vec::new(), 0);
        // The rest of an answer that is too large is asked for again.
        while bytes < batch.bytes_max {
            let row = tokio::time::timeout(ANSWER_WAIT, rows.next()).await;
            let row = row.map_err(|_| {
                outage_error("PostgreSQL does not answer in time: messages; check the server and its log")
            })?;
            let Some(row) = row.transpose().map_err(|error| judge(error, what))? else { break };
            let number: i32 = row.try_get(0).map_err(|error| judge(error, what))?;
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            let Some(category) = batch.categories.get(number) else { continue };
            let (record, size) = record(&row, 1, category).map_err(|error| judge(error, what))?;
            bytes += size;
            records.push((number, record));
        }
        Ok((records, bytes))
    }
}

/// The questions of one look.
struct QuestionBatch<'a> {
    /// The numbers of the categories, in the order in which they are answered.
    order: Vec<usize>,
    categories: &'a [Category],
    /// The next position of each category.
    next: &'a [i64],
    /// So many messages of each category at most.
    each: usize,
    /// About so many bytes in all.
    bytes_max: usize,
}

impl PostgresSource {
    /// Connects, and learns which database it is.
    ///
    /// # Errors
    /// A wrong configuration, a database without message-db, or a server that does not answer.
    pub fn open(config: &PostgresConfig, topics: Vec<(String, EntityType)>) -> Result<Self> {
        let runtime = Blocking::start()?;
        let (open, store) = runtime.wait(async {
            let open = OpenSession::new(config).await?;
            let store = StoreId::ask(&open.session.client).await?;
            Ok((open, store))
        })?;
        let categories: Vec<Category> =
            topics.into_iter().map(|(name, entity_type)| Category::new(name, entity_type)).collect();
        let now = Instant::now();
        Ok(Self {
            config: config.clone(),
            next: vec![0; categories.len()],
            last: vec![None; categories.len()],
            categories,
            store,
            runtime,
            open: Some(open),
            turn: 0,
            message_bytes: MESSAGE_BYTES,
            looks: BackOff::new(PAUSE_MIN, PAUSE_MAX),
            look_at: now,
            peeks: BackOff::new(PEEK_PAUSE_MIN, PEEK_PAUSE_MAX),
            newest: 0,
            connects: BackOff::new(CONNECT_PAUSE_MIN, CONNECT_PAUSE_MAX),
            connect_at: now,
            trouble: Trouble::default(),
        })
    }

    /// Connects where there is no connection. A log that was read before must still be the same.
    fn connect(&mut self) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| !open.session.client.is_closed()) {
            return Ok(());
        }
        self.open = None;
        let opened = self.runtime.wait(async {
            let open = OpenSession::new(&self.config).await?;
            let store = StoreId::ask(&open.session.client).await?;
            if store != self.store {
                return Err(another(&self.store, &store));
            }
            Ok(open)
        })?;
        self.open = Some(opened);
        self.check_last()
    }

    /// Compares the last message read of each category, where there is one, with the one that lies there now.
    fn check_last(&self) -> Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        self.runtime.wait(async {
            for (category, last) in self.categories.iter().zip(&self.last) {
                let Some(last) = last else { continue };
                let sql = format!("SELECT {COLUMNS} FROM get_category_messages($1, $2, 1) AS m");
                let name = category.name();
                let parameters: [&(dyn ToSql + Sync); 2] = [&name, &last.offset];
                let question = open.session.client.query_opt(&sql, &parameters);
                let row = answer(question, "the last message read").await?;
                let found = row.map(|row| record(&row, 0, category)).transpose();
                let found = found.map_err(|error| judge(error, "the last message read"))?;
                let is_same =
                    found.is_some_and(|(found, _)| found.offset == last.offset && last.is_of(&found));
                if !is_same {
                    return Err(Error::failure(format!(
                        "{}: the message at global_position {} is not the one that the state read. This is not the \
                         log of the state: put the log back, or delete the state's folder and start again to replay",
                        category.at, last.offset
                    )));
                }
            }
            Ok(())
        })
    }

    /// One look at the categories. The messages of each are in the order of their numbers.
    fn look(&mut self, bytes_max: usize) -> Result<SourceBatch> {
        self.connect()?;
        let Some(open) = &mut self.open else { return Ok(SourceBatch::default()) };
        let count = self.categories.len().max(1);
        let batch = QuestionBatch {
            order: (0..count).map(|number| (self.turn + number) % count).collect(),
            categories: &self.categories,
            next: &self.next,
            each: each(bytes_max, self.message_bytes, count),
            bytes_max,
        };
        let (read, bytes) = self.runtime.wait(open.read(&batch))?;
        self.turn = (self.turn + 1) % count;
        if !read.is_empty() {
            // It grows at once and falls slowly: an estimate that is too small reads much for nothing.
            self.message_bytes = (bytes / read.len()).max(self.message_bytes * 3 / 4).max(1);
        }
        self.take(read)
    }

    /// Whether the store has a newer message than when it was asked last. An error is left to the next look.
    fn has_news(&mut self) -> bool {
        let Some(open) = &self.open else { return false };
        let question = open.session.client.query_one(&open.peek, &[]);
        let row = self.runtime.wait(answer(question, "the newest message"));
        let newest = row.ok().and_then(|row| row.try_get(0).ok());
        let is_newer = newest.is_none_or(|newest: i64| newest > self.newest);
        self.newest = newest.unwrap_or(self.newest).max(self.newest);
        is_newer
    }

    /// Moves the positions behind the records that were read.
    fn take(&mut self, read: Vec<(usize, Record)>) -> Result<SourceBatch> {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        let mut records = Vec::with_capacity(read.len());
        for (number, record) in read {
            let Some(next) = self.next.get_mut(number) else { continue };
            if record.offset < *next {
                return Err(Error::failure(format!(
                    "{}: PostgreSQL gave global_position {} after {}; this is a bug, report it",
                    record.partition,
                    record.offset,
                    *next - 1
                )));
            }
            *next = record.offset + 1;
            self.newest = self.newest.max(record.offset);
            last.insert(number, records.len());
            records.push(record);
        }
        for (number, at) in last {
            if let (Some(fingerprint), Some(record)) = (self.last.get_mut(number), records.get(at)) {
                *fingerprint = Some(Fingerprint::of(record));
            }
        }
        Ok(SourceBatch { records, ..SourceBatch::default() })
    }

    /// Notes that the database does not answer, and when it is asked again.
    fn note_away(&mut self, error: &Error) {
        self.trouble.note(error);
        self.open = None;
        self.connect_at = Instant::now() + self.connects.pause();
        self.connects.double();
    }

    fn note_answer(&mut self) {
        self.trouble.end();
        self.connects.reset();
    }

    fn ask_end(&mut self) -> Result<Positions> {
        self.connect()?;
        let Some(open) = &self.open else { return Ok(Positions::default()) };
        let names: Vec<&str> = self.categories.iter().map(Category::name).collect();
        self.runtime.wait(ends(&open.session.client, &names))
    }
}

/// The position after the last message of each category.
///
/// # Errors
/// Those of the database.
pub(super) async fn ends(client: &Client, categories: &[&str]) -> Result<Positions> {
    let what = "the end of its categories";
    // Also messages that are held back count: another instance may have read them.
    let sql = "SELECT c.category, (SELECT m.global_position FROM messages m WHERE category(m.stream_name) = c.category \
               ORDER BY m.global_position DESC LIMIT 1) FROM unnest($1::varchar[]) AS c(category)";
    let mut ends = Positions::default();
    for row in answer(client.query(sql, &[&categories]), what).await? {
        let name: &str = row.try_get(0).map_err(|error| judge(error, what))?;
        let last: Option<i64> = row.try_get(1).map_err(|error| judge(error, what))?;
        ends.set(TopicPartition::new(name, 0), last.map_or(0, |last| last + 1));
    }
    Ok(ends)
}

/// The number of messages that are asked for of each category. Those of all categories together take about `bytes_max`,
/// because the connection reads an answer whole.
fn each(bytes_max: usize, message_bytes: usize, categories: usize) -> usize {
    (bytes_max / message_bytes.max(1) / categories.max(1)).clamp(1, BATCH_MAX)
}

fn another(before: &StoreId, now: &StoreId) -> Error {
    Error::failure(format!(
        "the database is another one, so that the log is not the one of the state. Its system identifier and number \
         were {before} and are {now}. Put the log back, or delete the state's folder and start again to replay"
    ))
}

impl EventSource for PostgresSource {
    fn identity(&self) -> String {
        let topics: Vec<&str> = self.categories.iter().map(Category::name).collect();
        format!("postgres:{}:{}", self.store, topics.join(","))
    }

    fn start(&mut self, positions: &Positions, fingerprints: &[(TopicPartition, Fingerprint)]) -> Result<()> {
        self.connect().inspect_err(|error| self.trouble.note(error))?;
        let is_known = |at: &TopicPartition| self.categories.iter().any(|category| category.at == *at);
        if let Some((at, next)) = positions.iter().find(|(at, next)| *next > 0 && !is_known(at)) {
            return Err(Error::failure(format!(
                "{at}: the state is at offset {next}, and the category is not read. Name it in the configuration again, or \
                 delete the state's folder and start again to replay"
            )));
        }
        let next = self.categories.iter().map(|category| positions.get(&category.at).unwrap_or(0)).collect();
        let last = self.categories.iter().map(|category| {
            let found = fingerprints.iter().find(|(at, _)| *at == category.at);
            found.map(|(_, fingerprint)| fingerprint.clone())
        });
        (self.next, self.last) = (next, last.collect());
        self.check_last()
    }

    fn end(&mut self) -> Result<Positions> {
        let end = self.ask_end();
        match &end {
            Ok(_) => self.note_answer(),
            Err(error) => self.note_away(error),
        }
        end
    }

    fn generation(&self) -> Option<String> {
        Some(self.store.to_string())
    }

    fn topic_ids(&self) -> BTreeMap<String, String> {
        self.categories.iter().map(|it| (it.name().to_owned(), self.store.to_string())).collect()
    }

    fn has_gaps(&self) -> bool {
        true
    }

    fn trouble(&self) -> Option<LogOutage<'_>> {
        self.trouble.outage()
    }

    fn poll(&mut self, wait: Duration, bytes_max: usize) -> Result<SourceBatch> {
        let deadline = Instant::now() + wait;
        let mut has_news = false;
        loop {
            let due = if self.open.is_some() { self.look_at } else { self.look_at.max(self.connect_at) };
            if Instant::now() >= due {
                match self.look(bytes_max) {
                    Ok(polled) if !polled.records.is_empty() => {
                        self.note_answer();
                        self.looks.reset();
                        self.peeks.reset();
                        self.look_at = Instant::now();
                        return Ok(polled);
                    }
                    Ok(_) => self.note_answer(),
                    Err(error) if error.kind() == ErrorKind::Unavailable => self.note_away(&error),
                    Err(error) => return Err(error),
                }
                self.look_at = Instant::now() + self.looks.pause();
                self.looks.double();
                if has_news {
                    self.peeks.double();
                }
                has_news = false;
                continue;
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(SourceBatch::default());
            }
            let until = due.min(deadline).min(now + self.peeks.pause());
            std::thread::sleep(until.saturating_duration_since(now));
            has_news = until < due && self.has_news();
            if has_news {
                self.look_at = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_all_categories_share_the_bytes_of_one_look() {
        for (bytes_max, message_bytes, categories, messages) in [
            (100_000, 1_000, 1, 100),
            (100_000, 1_000, 4, 25),
            (100_000, 1_000, 200, 1),
            (1 << 30, 1, 2, BATCH_MAX),
            (0, 0, 0, 1),
        ] {
            assert_eq!(each(bytes_max, message_bytes, categories), messages, "{categories} categories");
        }
    }
}
