//! The HTTP server: the page, search, documents, health, status, metrics and the administrative routes.

mod admin;
mod answer;
pub mod client;
mod connections;
mod cors;
mod descriptions;
mod explain;
mod metrics;
mod model;
mod openapi;
mod origin;
pub mod page;
mod problem;
pub(crate) mod process;
mod readiness;
mod refreshes;
mod requests;
mod routes;
mod schemas;
mod search;
mod server;
mod stream;
mod suggest;
mod trees;
mod verify;

pub use self::admin::{ADMIN_CLOSED, Admin};
pub use self::cors::Origins;
pub use self::descriptions::Descriptions;
pub use self::model::ModelDescription;
pub use self::origin::Hosts;
pub use self::readiness::watch_index;
pub use self::requests::Requests;
pub use self::routes::{Site, serve};
pub use self::search::SearchSite;
pub use self::verify::VerifySite;
