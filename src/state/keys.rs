//! Every key that is persisted, in one place. The numbers are on disk: never reuse one.
//!
//! | space | key | value | lives |
//! |---|---|---|---|
//! | 0 meta | a name | `meta.rs` | for ever |
//! | 1 organisations | id | [`Row`](super::rows::Row) | for ever (a deleted entity keeps its version) |
//! | 2 contacts | id | [`Row`](super::rows::Row) | for ever |
//! | 3 contacts of | organisation, contact | the embedded JSON object | while the contact belongs there |
//! | 4 children of | parent, child | the child's name as JSON, or nothing | while the child belongs there |
//! | 5 dirty | projection, document id | the step of the mark | until the index acknowledged it |
//! | 6 tasks | number | [`Task`](super::rows::Task) | until the fan-out is done |
//! | 7 sweeps | projection | [`Sweep`](super::rows::Sweep) | until every document of it is sent |
//! | every one | 255 255 255 | the number of the last commit that touched it (`heads.rs`) | for ever |

/// A part of the store with an order of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// Format, progress, frontier, indexes.
    Meta = 0,
    /// Organisations by id.
    Organisations = 1,
    /// Contacts by id.
    Contacts = 2,
    /// The contacts of an organisation.
    ContactsOf = 3,
    /// The children of an organisation.
    ChildrenOf = 4,
    /// Documents that wait to be delivered.
    Dirty = 5,
    /// Fan-outs under way.
    Tasks = 6,
    /// Projections of which everything is sent.
    Sweeps = 7,
}

impl Space {
    /// All spaces.
    pub const ALL: [Space; 8] = [
        Space::Meta,
        Space::Organisations,
        Space::Contacts,
        Space::ContactsOf,
        Space::ChildrenOf,
        Space::Dirty,
        Space::Tasks,
        Space::Sweeps,
    ];

    /// The space of this number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|space| *space as u8 == number)
    }

    /// The space's name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Space::Meta => "0-meta",
            Space::Organisations => "1-organisations",
            Space::Contacts => "2-contacts",
            Space::ContactsOf => "3-contacts-of",
            Space::ChildrenOf => "4-children-of",
            Space::Dirty => "5-dirty",
            Space::Tasks => "6-tasks",
            Space::Sweeps => "7-sweeps",
        }
    }
}

/// The beginning of the keys of everything that belongs to `owner`: its bytes with 0 written as
/// 0 255, ended by 0 0, so that no owner's keys begin with another's and order is kept.
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
}
