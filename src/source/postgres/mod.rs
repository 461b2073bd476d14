//! A message-db in PostgreSQL (<https://github.com/message-db/message-db>): each topic is a category, a category is one
//! partition, and the offset of a message is its `global_position`.
//!
//! Offsets have gaps, because a transaction that is rolled back takes its number with it. Nothing appears behind the
//! reader within a category: `write_message` holds a lock on the category until its transaction ends. For writers
//! without that lock `stable` holds messages back.

mod connection;
mod elector;
mod message;
mod positions;
mod reader;
mod stable;
mod survey;
mod tls;

pub use self::elector::LockElector;
pub use self::reader::PostgresSource;
pub use self::survey::{CategorySurvey, Survey, survey};
