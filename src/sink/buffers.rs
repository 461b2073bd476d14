//! The memory of requests, used again, because the system clears memory that was given back page by page when it is
//! asked for again.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many are kept at most: one that is filled, beside those whose requests are in flight.
const KEPT_MAX: usize = 6;

/// Buffers that were given back, while there is use for them.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Pool>);

#[derive(Debug, Default)]
struct Pool {
    is_open: bool,
    free: Vec<Vec<u8>>,
}

impl Buffers {
    /// An empty buffer with room for `capacity` bytes at least, which comes back once it is dropped.
    pub fn take(self: &Arc<Self>, capacity: usize) -> Buffer {
        let mut pool = self.lock();
        pool.is_open = true;
        let mut bytes = pool.free.pop().unwrap_or_default();
        drop(pool);
        bytes.reserve(capacity);
        Buffer { bytes, home: Some(Arc::clone(self)) }
    }

    /// Keeps none any more, until one is taken again.
    pub fn close(&self) {
        *self.lock() = Pool::default();
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut pool = self.lock();
        if pool.is_open && pool.free.len() < KEPT_MAX {
            pool.free.push(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that grow, of [`Buffers`] or of no owner.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    home: Option<Arc<Buffers>>,
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        self.bytes.clone().into()
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Buffer {}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_given_back_is_taken_again_and_is_empty() {
        let buffers = Arc::new(Buffers::default());
        let mut first = buffers.take(100);
        first.extend_from_slice(b"abc");
        let (second, at) = (buffers.take(100), first.as_ptr());
        assert_ne!(second.as_ptr(), at);
        drop(first);
        let again = buffers.take(100);
        assert!(again.is_empty() && again.as_ptr() == at);
        assert!(buffers.take(1_000).capacity() >= 1_000);
    }

    #[test]
    fn few_are_kept_and_none_once_they_are_closed() {
        let buffers = Arc::new(Buffers::default());
        let count = || buffers.lock().free.len();
        let many: Vec<Buffer> = (0..KEPT_MAX + 2).map(|_| buffers.take(10)).collect();
        let late = buffers.take(10);
        drop(many);
        assert_eq!(count(), KEPT_MAX);
        buffers.close();
        drop(late);
        assert_eq!(count(), 0, "it came back after they were closed");
        drop(buffers.take(10));
        assert_eq!(count(), 1);
        drop(buffers.take(10).clone());
        assert_eq!(count(), 1, "a copy is nobody's");
    }
}
