//! Searches whose pages are taken from one view of the index each. A document whose own score changes between two
//! pages is neither found twice nor missed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::sync::Cache;

use super::Request;
use super::index::SearchIndex;
use super::service::{Page, Searcher};
use crate::error::Result;
use crate::position::Positions;

/// How long a view is kept after its last page. A later page comes from the index as it is then, after the place of
/// the last hit.
pub const KEPT_FOR: Duration = Duration::from_mins(2);
/// The most views kept at once; the one that was used least goes first.
const KEPT_MAX: u64 = 256;

/// The index as a first page found it.
#[derive(Clone)]
struct SearchView {
    index: Arc<dyn SearchIndex>,
    /// The positions that it shows.
    position: Positions,
}

/// A searcher of a process that goes on.
#[derive(Clone)]
pub struct PagedSearcher {
    searcher: Searcher,
    /// Views by the numbers that cursors carry.
    views: Arc<Cache<u64, SearchView>>,
}

impl PagedSearcher {
    /// Keeps no view yet. To be called within a runtime, because a task drops the expired views.
    pub fn new(searcher: Searcher) -> Self {
        let views = Arc::new(Cache::builder().max_capacity(KEPT_MAX).time_to_idle(KEPT_FOR).build());
        tokio::spawn(drop_expired(Arc::downgrade(&views)));
        Self { searcher, views }
    }

    /// The searcher for requests without pages.
    pub fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Answers a request. A further page comes from the view of the first one, while this process keeps the view
    /// and it shows the positions asked for. `position` is that of the index now.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn search(&self, request: &Request, position: Positions) -> Result<Page> {
        let number = request.after.as_ref().and_then(|after| after.view);
        let entry = number.and_then(|number| Some((number, self.views.get(&number)?)));
        if let Some((number, view)) = entry.filter(|(_, view)| view.position.covers(&request.consistent_with))
        {
            match self.page(request, number, &view).await {
                Err(error) => {
                    // An index server forgets views when it restarts.
                    tracing::debug!(error = error.chain(), "the pages go on in another view");
                    self.views.invalidate(&number);
                }
                page => return page,
            }
        }
        let (number, view) =
            (fastrand::u64(..), SearchView { index: self.searcher.index().view(), position });
        let page = self.page(request, number, &view).await?;
        if page.next.is_some() {
            self.views.insert(number, view);
        }
        Ok(page)
    }

    async fn page(&self, request: &Request, number: u64, view: &SearchView) -> Result<Page> {
        let page = self.searcher.on(Arc::clone(&view.index), number).search(request).await?;
        Ok(Page { position: Some(view.position.to_string()), ..page })
    }
}

async fn drop_expired(views: Weak<Cache<u64, SearchView>>) {
    loop {
        tokio::time::sleep(KEPT_FOR / 4).await;
        let Some(views) = views.upgrade() else { return };
        views.run_pending_tasks();
    }
}
