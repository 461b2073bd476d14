//! Search: one query, the port to an engine, and the rules that all engines share (docs/api.md).
//!
//! A [`Request`] is a person's question. A [`SearchIndex`] answers plain questions about the indexes. The
//! [`service`] puts them together: members that a large document does not embed, matched members, highlights, and
//! the cursor of the next page. The model declares the searched fields (`plan::Collection`).

pub mod cursor;
mod filter;
pub mod highlight;
pub mod index;
pub(crate) mod matched_members;
pub mod matching;
pub mod pages;
pub mod parameters;
pub mod phone;
pub mod query;
pub mod rank;
pub mod service;
pub mod sort;
mod syntax;
mod token;

pub use self::index::{EngineSearch, SearchIndex, SearchResult};
pub use self::query::{FilterField, Request, Term};
