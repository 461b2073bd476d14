//! Rebuilding an index.

pub mod difference;
