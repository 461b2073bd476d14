//! Tributary folds the events of several services into a durable local state, makes one
//! denormalised document per organisation and per contact, and keeps them in a search index.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod config;
pub mod decode;
pub mod error;
pub mod event;
pub mod position;
pub mod sink;
pub mod source;
