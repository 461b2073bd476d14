//! The HTTP server: health, status, metrics and the administrative routes.

mod admin;
pub mod client;
mod metrics;

pub use self::admin::{Admin, serve};
