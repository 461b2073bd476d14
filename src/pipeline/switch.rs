//! The switch of the delivery, by which the control loop allows requests and forbids them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::versions::Bases;

/// The switch of a delivery.
pub(super) struct Switch {
    allow: watch::Sender<bool>,
    /// True while the delivery has no request in flight and may begin none.
    is_idle: Arc<AtomicBool>,
    /// The versions that the delivery goes on from.
    bases: Arc<Mutex<Bases>>,
}

impl Switch {
    /// The switch of a delivery with these values, and the signal that the delivery follows. It is off at first.
    pub(super) fn new(is_idle: Arc<AtomicBool>, bases: Arc<Mutex<Bases>>) -> (Self, watch::Receiver<bool>) {
        let (allow, signal) = watch::channel(false);
        (Self { allow, is_idle, bases }, signal)
    }

    /// Allows requests, or forbids them.
    pub(super) fn set(&self, is_on: bool) {
        self.allow.send_if_modified(|allowed| std::mem::replace(allowed, is_on) != is_on);
    }

    /// Forbids requests, and has the delivery look at once.
    pub(super) fn turn_off(&self) {
        self.allow.send_replace(false);
    }

    /// True while requests are allowed.
    pub(super) fn is_on(&self) -> bool {
        *self.allow.borrow()
    }

    /// True while the delivery has no request in flight and may begin none.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle.load(Ordering::SeqCst)
    }

    /// Forgets the claims, because writing passed to this instance or to another index.
    pub(super) fn forget_claims(&self) {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).forget_claims();
    }

    /// Ends the delivery once its requests are answered.
    pub(super) fn end_delivery(&mut self) {
        let (replacement, _) = watch::channel(false);
        // The delivery ends when its sender is gone.
        drop(std::mem::replace(&mut self.allow, replacement));
    }
}
