//! The port to an engine: everything that the application asks of an index, beyond a run and a rebuild.

use async_trait::async_trait;

use super::generations::Generations;
use super::holding::Holding;
use crate::error::{Error, Result};
use crate::plan::Projection;

/// A node of the server that holds the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its clock, in milliseconds since the Unix epoch.
    pub clock_ms: u64,
    /// The bytes that are free on its disks.
    pub free: u64,
    /// The size of its disks in bytes.
    pub total: u64,
}

/// The indexes of the configured projections, as an engine holds them.
#[async_trait]
pub trait Index: Generations {
    /// All that is wrong with the index for a run, each with the key of the configuration. The mappings of the projections
    /// in `unread` are not looked at.
    async fn check(&self, log_identity: Option<&str>, unread: &[Projection]) -> Vec<Error>;

    /// The product and the version of the server that holds the index; none of an index without a server.
    ///
    /// # Errors
    /// Those of the server, and exit code 1 when it is not supported.
    async fn server(&self) -> Result<Option<String>>;

    /// How the index of a projection holds a document. Makes and changes nothing.
    ///
    /// # Errors
    /// Those of the index.
    async fn find(&self, projection: Projection, id: &str, log_identity: Option<&str>) -> Result<Holding>;

    /// The health of the indexes behind the aliases, as the server has it: green, yellow or red. `None` when there are no
    /// indexes yet, and of an index without a server.
    ///
    /// # Errors
    /// Those of the server.
    async fn health(&self) -> Result<Option<String>>;

    /// The nodes of the server, with their clocks and disks; none of an index without a server.
    ///
    /// # Errors
    /// Those of the server.
    async fn nodes(&self) -> Result<Vec<Node>>;
}
