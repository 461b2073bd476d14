//! Every key that is persisted, in one place.
//!
//! | keyspace | key | value | lives |
//! |---|---|---|---|
//! | meta | a name | the value of that name | for ever |
//! | an entity type | id | [`Row`](super::rows::Row) | for ever (a deleted entity keeps its version) |
//! | a relation | owner, member | the member as documents show it | while the member refers to the owner |
//! | dirty | projection, document id | the step of the mark | until the index acknowledged it |
//! | tasks | number | [`Task`](super::rows::Task) | until the fan-out is done |
//! | backfills | projection | [`Backfill`](super::rows::Backfill) | until every document of it is sent |
//! | every one | 255 255 255 | the number of the last commit that touched it (`heads.rs`) | for ever |

use crate::plan::{EntityType, PlanRef, Relation};

/// The key under which [`State::progress`](super::State::progress) is kept.
pub const PROGRESS_KEY: &[u8] = b"progress";

/// The key under which [`State::low_watermark`](super::State::low_watermark) is kept.
pub const LOW_WATERMARK_KEY: &[u8] = b"frontier";

/// The key that notes that a bulk load failed: the log is folded as it comes from then on.
pub const FAILED_LOAD_KEY: &[u8] = b"load/failed";

/// The key of the [`StateFormat`](super::rows::StateFormat), which the first open of a state writes.
pub(super) const FORMAT_KEY: &[u8] = b"format";

/// The key of a state's plan: the names of its projections and relations. A state of the built-in model without children has
/// none.
pub(super) const PLAN_KEY: &[u8] = b"plan";

/// The key under which [`State::name`](super::State::name) is kept.
pub(super) const NAME_KEY: &[u8] = b"name";

/// The key under which [`State::topic_ids`](super::State::topic_ids) is kept.
pub(super) const TOPICS_KEY: &[u8] = b"ids";

/// The key under which [`State::is_partial`](super::State::is_partial) is kept.
pub(super) const PARTIAL_KEY: &[u8] = b"partial";

/// The key of the number of the last commit in each space: above all others, since no text holds this byte. Scans don't show
/// it.
pub(super) const HEAD_KEY: &[u8] = &[255, 255, 255];

/// The key of the numbers of all spaces.
pub(super) const HEADS_KEY: &[u8] = b"heads";

/// The key of the names of the keyspaces, in the order of their numbers in the row of the heads. A state of the built-in model
/// has none.
pub(super) const KEYSPACES_KEY: &[u8] = b"keyspaces";

/// A keyspace: a part of the store with an order of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space(u8);

impl Space {
    /// Format, progress, low watermark, indexes.
    pub const META: Self = Self(0);
    /// Documents that wait to be delivered.
    pub const DIRTY: Self = Self(5);
    /// Fan-outs that are not finished.
    pub const TASKS: Self = Self(6);
    /// Projections of which everything is sent.
    pub const BACKFILLS: Self = Self(7);

    /// The rows of an entity type.
    pub fn of_type(entity_type: EntityType) -> Self {
        Self(entity_type.space())
    }

    /// The rows of a relation.
    pub fn of_relation(relation: Relation) -> Self {
        Self(relation.space)
    }

    /// The number, which is on disk.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The keyspaces of entities and relations, which a copy holds and a load fills.
    pub fn of_rows(plan: PlanRef) -> Vec<Self> {
        let types = plan.entity_types().map(Self::of_type);
        types.chain(plan.relations().map(Self::of_relation)).collect()
    }

    /// All keyspaces of a plan with their names on disk, in the order of their numbers.
    pub fn all(plan: PlanRef) -> Vec<(Self, String)> {
        let own = [
            (Self::META, "0-meta".to_owned()),
            (Self::DIRTY, "5-dirty".to_owned()),
            (Self::TASKS, "6-tasks".to_owned()),
            (Self::BACKFILLS, "7-sweeps".to_owned()),
        ];
        let of_rows = plan.spaces().into_iter().map(|(number, name)| (Self(number), name));
        let mut all: Vec<(Self, String)> = own.into_iter().chain(of_rows).collect();
        all.sort_by_key(|(space, _)| *space);
        all
    }
}

/// The key under which [`State::index_built_for`](super::State::index_built_for) is kept.
pub fn index_built_key(projection: &str) -> Vec<u8> {
    format!("built/{projection}").into_bytes()
}

/// The beginning of the keys of everything that belongs to `owner`: its bytes with 0 written as 0 255, ended
/// by 0 0. No owner's keys then begin with another's, and order is kept.
pub fn owner_prefix(owner: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(owner.len() + 2);
    for byte in owner.bytes() {
        key.push(byte);
        if byte == 0 {
            key.push(255);
        }
    }
    key.extend_from_slice(&[0, 0]);
    key
}

/// The owner of a relation's key, see [`owner_prefix`].
pub fn owner_of(key: &[u8]) -> Option<String> {
    let mut owner = Vec::new();
    let mut bytes = key.iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 {
            match bytes.next() {
                Some(255) => {}
                _ => return String::from_utf8(owner).ok(),
            }
        }
        owner.push(*byte);
    }
    None
}

/// The key of `member` under `owner`.
pub fn member_key(owner: &str, member: &str) -> Vec<u8> {
    let mut key = owner_prefix(owner);
    key.extend_from_slice(member.as_bytes());
    key
}

/// The member's id of a key made by [`member_key`] for an owner whose prefix is `prefix`.
pub fn member_of<'a>(key: &'a [u8], prefix: &[u8]) -> Option<&'a str> {
    std::str::from_utf8(key.strip_prefix(prefix)?).ok()
}

/// A key behind those of all members of `owner`, and before those of the next owner: 255 is in no text.
pub fn behind_members(owner: &str) -> Vec<u8> {
    let mut key = owner_prefix(owner);
    key.push(255);
    key
}

/// The key of a mark.
pub fn dirty_key(projection: u8, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(id.len() + 1);
    key.push(projection);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The projection's number and the document's id of a mark's key.
pub fn dirty_parts(key: &[u8]) -> Option<(u8, &str)> {
    let (projection, id) = key.split_first()?;
    Some((*projection, std::str::from_utf8(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn members_come_back_and_owners_do_not_mix(a in "[a\0b]{0,4}", b in "[a\0b]{0,4}", member in "[\0a-c]{0,4}") {
            let key = member_key(&a, &member);
            prop_assert_eq!(member_of(&key, &owner_prefix(&a)), Some(member.as_str()));
            prop_assert_eq!(key.starts_with(&owner_prefix(&b)), a == b);
            prop_assert_eq!(owner_of(&key), Some(a.clone()));
            prop_assert!(key < behind_members(&a));
            prop_assert_eq!(behind_members(&b) < key, b < a);
        }

        #[test]
        fn marks_come_back(projection in 0u8..9, id in ".{0,8}") {
            let key = dirty_key(projection, &id);
            prop_assert_eq!(dirty_parts(&key), Some((projection, id.as_str())));
        }
    }

    #[test]
    fn the_keyspaces_of_the_built_in_model_keep_their_names_on_disk() {
        let names = Space::all(crate::plan::builtin()).into_iter().map(|(_, name)| name);
        let names_on_disk = [
            "0-meta",
            "1-organisations",
            "2-contacts",
            "3-contacts-of",
            "4-children-of",
            "5-dirty",
            "6-tasks",
            "7-sweeps",
        ];
        assert_eq!(names.collect::<Vec<_>>(), names_on_disk);
    }
}
