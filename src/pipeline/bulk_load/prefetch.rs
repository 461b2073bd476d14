//! Items that are made on a thread of their own, ahead of their receiver.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// So many items are handed over at once.
const CHUNK: usize = 1_000;
/// So many chunks may wait.
const CHUNKS_MAX: usize = 4;

/// Has `make` make items on a thread of `scope`. It hands each to the function that it is given. That function answers
/// false once the receiver is gone.
pub(super) fn prefetch<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    make: impl FnOnce(&mut dyn FnMut(T) -> bool) + Send + 'scope,
) -> impl Iterator<Item = T> {
    let (sender, receiver): (SyncSender<Vec<T>>, Receiver<Vec<T>>) = sync_channel(CHUNKS_MAX);
    scope.spawn(move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        make(&mut |item| {
            chunk.push(item);
            let is_full = chunk.len() >= CHUNK;
            !is_full || sender.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).is_ok()
        });
        // The receiver may have gone.
        let _ = sender.send(chunk);
    });
    receiver.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_in_their_order_and_nothing_is_made_for_nobody() {
        let mut made = 0;
        std::thread::scope(|scope| {
            let items = prefetch(scope, |put| (0..2_500).for_each(|item| assert!(put(item))));
            assert!(items.eq(0..2_500));
            let endless = prefetch(scope, |put| {
                while put(1) {
                    made += 1
                }
            });
            assert_eq!(endless.take(3).count(), 3);
        });
        assert!(made < CHUNK * (CHUNKS_MAX + 3), "{made}");
    }
}
