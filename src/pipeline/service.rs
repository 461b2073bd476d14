//! From filling to serving: an index that was made to be filled has neither refreshes nor replicas until it is full.

use tokio::time::Instant;

use super::deadline::AGAIN_AFTER;

/// Whether the indexes that are written serve readers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// They do.
    Given,
    /// One was made to be filled first, by this instance or by one that died filling it.
    AfterFilling,
    /// It is full, and was not reached to be told so. To be tried again from then on.
    Filled(Instant),
    /// They may lack them, because their maker may have died while it filled one. They are checked from then on.
    Due(Instant),
}

impl Service {
    /// Of indexes of which one, or none, `is_filling`.
    pub(super) fn of(is_filling: bool) -> Self {
        if is_filling { Self::AfterFilling } else { Self::Due(Instant::now()) }
    }

    /// True while readers may not see everything that the index acknowledged: nothing counts as delivered.
    pub(super) fn is_withheld(self) -> bool {
        matches!(self, Self::AfterFilling | Self::Filled(_))
    }

    /// After a failure.
    pub(super) fn later(self) -> Self {
        let at = Instant::now() + AGAIN_AFTER;
        if self.is_withheld() { Self::Filled(at) } else { Self::Due(at) }
    }
}
