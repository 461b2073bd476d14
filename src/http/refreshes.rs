//! Refreshes that searches share: each search needs a refresh that began after the search asked for it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::Result;

/// At most one refresh is under way. Searches that come meanwhile share the next one, because an index that
/// refreshes once for each search does little else.
#[derive(Debug, Default)]
pub(super) struct Refreshes {
    turn: Mutex<()>,
    starts: AtomicU64,
    done: AtomicU64,
}

impl Refreshes {
    /// Returns once a refresh is done that began after this call.
    ///
    /// # Errors
    /// Those of `refresh`, when this caller is the one to begin it.
    pub(super) async fn share(&self, refresh: impl Future<Output = Result<()>>) -> Result<()> {
        let target = self.starts.load(Ordering::SeqCst) + 1;
        let _turn = self.turn.lock().await;
        if self.done.load(Ordering::SeqCst) >= target {
            return Ok(());
        }
        let number = self.starts.fetch_add(1, Ordering::SeqCst) + 1;
        refresh.await?;
        self.done.store(number, Ordering::SeqCst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Error;

    #[tokio::test(start_paused = true)]
    async fn those_who_come_while_one_is_under_way_share_the_next_one() {
        let (refreshes, count) = (Refreshes::default(), AtomicU64::new(0));
        let refresh = || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let later = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let (one, two, three) = tokio::join!(
                refreshes.share(refresh()),
                refreshes.share(refresh()),
                refreshes.share(refresh())
            );
            one.and(two).and(three).unwrap();
            assert_eq!(count.load(Ordering::SeqCst), 2, "the one under way began before");
        };
        let (first, ()) = tokio::join!(refreshes.share(refresh()), later);
        first.unwrap();
        refreshes.share(refresh()).await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn one_that_failed_serves_nobody() {
        let refreshes = Refreshes::default();
        assert!(refreshes.share(async { Err(Error::failure("away")) }).await.is_err());
        let mut refreshed = false;
        refreshes
            .share(async {
                refreshed = true;
                Ok(())
            })
            .await
            .unwrap();
        assert!(refreshed);
    }
}
