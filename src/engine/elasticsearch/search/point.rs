//! Points in time, which are the views of the indexes on the server
//! (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-open-point-in-time>).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::engine::elasticsearch::index::client::ClusterClient;
use crate::error::{ErrorKind, Result};
use crate::plan::Collection;
use crate::search::pages::KEPT_FOR;

/// The points in time of one view, closed when it is dropped. The server closes the others when they run out.
pub(super) struct Points {
    client: Arc<ClusterClient>,
    /// `None` where the server gave none.
    open: Mutex<Vec<(Collection, Option<String>)>>,
}

impl Points {
    /// None is open yet.
    pub(super) fn new(client: Arc<ClusterClient>) -> Self {
        Self { client, open: Mutex::default() }
    }

    /// The point in time of a collection, opened on its `alias` when first asked for. `None` when the server
    /// gives none: then the index is searched as it is.
    pub(super) async fn of(&self, collection: Collection, alias: &str) -> Result<Option<Value>> {
        let mut open = self.open.lock().await;
        let known = open.iter().find(|(known, _)| *known == collection);
        let id = match known {
            Some((_, id)) => id.clone(),
            None => {
                let id = self.open(alias).await?;
                open.push((collection, id.clone()));
                id
            }
        };
        Ok(id.map(|id| json!({"id": id, "keep_alive": keep_alive()})))
    }

    async fn open(&self, alias: &str) -> Result<Option<String>> {
        let dialect = self.client.dialect().await?;
        match self.client.post_if_there(&dialect.open_point(alias, &keep_alive()), None).await {
            Ok(answer) => Ok(answer.and_then(|answer| dialect.point_id(&answer))),
            Err(error) if error.kind() == ErrorKind::Unavailable && !dialect.is_out_of_points(&error) => {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(
                    error = error.chain(),
                    "no point in time: pages may shift as documents change"
                );
                Ok(None)
            }
        }
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        let ids: Vec<String> = self.open.get_mut().drain(..).filter_map(|(_, id)| id).collect();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let client = Arc::clone(&self.client);
        let close = async move {
            // A client with open points knows the server's dialect.
            let Ok(dialect) = client.dialect().await else { return };
            for id in ids {
                let (path, body) = dialect.close_point(&id);
                // One that could not be closed runs out.
                if let Err(error) = client.delete(&path, Some(&body)).await {
                    tracing::debug!(error = error.chain(), "a point in time is left to run out");
                }
            }
        };
        runtime.spawn(close);
    }
}

fn keep_alive() -> String {
    format!("{}s", KEPT_FOR.as_secs())
}
