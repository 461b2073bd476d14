//! The HTTP server: the page, health, status, metrics and the administrative routes.

mod admin;
pub mod client;
mod metrics;
pub mod page;

pub use self::admin::{Admin, serve};
