//! The documents of one member under several owners. On one shard they are one document, and the delete of one goes with the
//! write of another. So a request holds all of them, as it holds each document in it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{DocumentKey, Priority};
use crate::plan::ChildKey;
use crate::projection::Projection;

/// The members with documents in flight, those of chunks aside: a chunk deletes nothing.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    members: HashMap<(Projection, String), SiblingMember, RandomState>,
    turns: u64,
}

#[derive(Debug, Default)]
struct SiblingMember {
    /// The number of its documents in flight, all in the request of one turn.
    in_flight: usize,
    turn: u64,
    /// The documents that wait for that request.
    waiting: Vec<(DocumentKey, Priority)>,
}

/// The member of a child's document; `None` of a document of its own.
fn member((projection, key): &DocumentKey) -> Option<(Projection, String)> {
    ChildKey::of(key).map(|child| (*projection, child.id()))
}

impl Siblings {
    /// Begins a request, and answers its number.
    pub(super) fn begin_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Has a document wait for the request that holds a document of the same member. False when there is no such request, or
    /// it is that of `turn`.
    pub(super) fn wait(&mut self, key: &DocumentKey, priority: Priority, turn: u64) -> bool {
        let member = member(key).and_then(|member| self.members.get_mut(&member));
        let Some(member) = member.filter(|member| member.turn != turn) else { return false };
        member.waiting.push((key.clone(), priority));
        true
    }

    /// Takes note of a document in the request of `turn`.
    pub(super) fn hold(&mut self, key: &DocumentKey, turn: u64) {
        if let Some(member) = member(key) {
            let member = self.members.entry(member).or_default();
            (member.in_flight, member.turn) = (member.in_flight + 1, turn);
        }
    }

    /// Takes note that a document is in flight no more; answers those that waited for it.
    pub(super) fn release(&mut self, key: &DocumentKey) -> Vec<(DocumentKey, Priority)> {
        let Some(member) = member(key) else { return Vec::new() };
        let Some(found) = self.members.get_mut(&member) else { return Vec::new() };
        found.in_flight = found.in_flight.saturating_sub(1);
        if found.in_flight > 0 {
            return Vec::new();
        }
        self.members.remove(&member).map(|member| member.waiting).unwrap_or_default()
    }
}
