//! Tributary folds the events of several services into a durable local state. By a model it makes
//! denormalised documents of them, and keeps those in a search index.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

// The tests' interpreter of models names this crate as a test of its own would.
#[cfg(test)]
extern crate self as tributary;

pub mod app;
mod backoff;
mod base64;
mod body;
pub mod cli;
pub mod config;
pub mod dead_letter;
pub mod decoder;
pub mod encoding;
pub mod engine;
pub mod entity;
pub mod error;
pub mod escape;
pub mod event;
pub mod explain;
pub mod generate;
pub mod http;
mod json;
pub mod model;
pub mod output;
pub mod pipeline;
pub mod plan;
pub mod position;
pub mod private_files;
pub mod projection;
pub mod reindex;
pub mod search;
pub mod searchable_fields;
pub mod shutdown;
#[cfg(test)]
mod simulation;
pub mod sink;
pub mod source;
pub mod state;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod trace;
pub mod verify;
