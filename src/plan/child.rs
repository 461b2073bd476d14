//! The keys of members that have documents of their own beside their owner's: children, in the same index.
//!
//! A child's key names the embed, the owner and the member, so that one member of two owners has two keys. An index server
//! knows it by the id `<embed>/<member>` and by the owner, which is its routing.

use std::borrow::Cow;

use super::{EmbedPlan, FromPlan, Projection, Relation};

/// Begins the keys of children. It sorts behind every other letter, so that children come behind all owners, and no text holds
/// it, because it is a noncharacter.
const MARK: char = '\u{10FFFF}';
/// The bytes that stand in a key for a 0 of the owner's id.
const ZERO: &str = "\0\u{10FFFF}";
/// Ends the owner's id.
const END: &str = "\0\0";

/// The parts of a child's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildKey<'a> {
    /// The name of the embed.
    pub embed: &'a str,
    /// The owner's id, which is the routing.
    pub owner: Cow<'a, str>,
    /// The member's id.
    pub member: &'a str,
}

impl<'a> ChildKey<'a> {
    /// The parts of a key. `None` of a document of its own.
    pub fn of(key: &'a str) -> Option<Self> {
        let (embed, rest) = key.strip_prefix(MARK)?.split_once('\0')?;
        let (owner, member) = rest.split_once(END)?;
        let is_plain = !owner.contains(ZERO);
        let owner = if is_plain { Cow::Borrowed(owner) } else { owner.replace(ZERO, "\0").into() };
        Some(Self { embed, owner, member })
    }

    /// The id by which an index server knows it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.embed, self.member)
    }
}

/// The key of an owner's member.
pub fn child_key(embed: &str, owner: &str, member: &str) -> String {
    format!("{MARK}{embed}\0{}{END}{member}", owner.replace('\0', ZERO))
}

/// The key of a document that an index server knows by an id and a routing. For a document of its own it is the id
/// alone.
pub fn key_of(id: &str, routing: Option<&str>) -> String {
    match (id.split_once('/'), routing) {
        (Some((embed, member)), Some(owner)) => child_key(embed, owner, member),
        _ => id.to_owned(),
    }
}

/// True where a document with this routing is the one of a key. An owner has none. On one shard a child lies under its
/// id, and its routing alone tells the owner.
pub fn is_held(key: &str, routing: Option<&str>) -> bool {
    ChildKey::of(key).map(|child| child.owner).as_deref() == routing
}

/// The id and the routing by which an index server knows a key, as [`key_of`] takes them.
pub fn id_and_owner(key: &str) -> (String, Option<String>) {
    match ChildKey::of(key) {
        Some(child) => (child.id(), Some(child.owner.into_owned())),
        None => (key.to_owned(), None),
    }
}

/// A document's key as a person reads it.
pub fn display_key(key: &str) -> String {
    match ChildKey::of(key) {
        Some(child) => format!("{} of {}", child.id(), child.owner),
        None => key.to_owned(),
    }
}

/// A child, as a projection knows it.
#[derive(Debug, Clone)]
pub struct Child<'a> {
    /// Its embed.
    pub embed: &'static EmbedPlan,
    /// The relation of the members.
    pub relation: Relation,
    /// The owner's id.
    pub owner: Cow<'a, str>,
    /// The member's id.
    pub member: &'a str,
}

impl Projection {
    /// The embeds whose members are children, each with how they are found.
    pub fn child_embeds(self) -> impl Iterator<Item = (&'static EmbedPlan, Relation)> {
        let plan = self.plan();
        let joined = self.get().embeds.iter().filter(|embed| embed.is_joined);
        joined.filter_map(move |embed| {
            Some((embed, plan.relation_of_number(embed.from().map(|from: &FromPlan| from.relation)?)?))
        })
    }

    /// True when members of one of its embeds are children.
    pub fn has_children(self) -> bool {
        self.get().embeds.iter().any(|embed| embed.is_joined)
    }

    /// The embed that begins an owner's id as it begins the ids of its members' documents. On one shard the two may be one id.
    pub fn embed_of_id(self, id: &str) -> Option<&'static str> {
        let mut embeds = self.child_embeds().map(|(embed, _)| embed.name);
        embeds.find(|embed| id.strip_prefix(embed).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The child of a key; `None` where the key is that of an entity's own document.
    pub fn child(self, key: &str) -> Option<Child<'_>> {
        let ChildKey { embed, owner, member } = ChildKey::of(key)?;
        let (embed, relation) = self.child_embeds().find(|(known, _)| known.name == embed)?;
        Some(Child { embed, relation, owner, member })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_come_back_and_have_the_order_of_the_relation(
            one in "[a\0b]{0,4}", other in "[a\0b]{0,4}", first in "[\0a-c]{0,3}", second in "[\0a-c]{0,3}",
        ) {
            let key = child_key("contacts", &one, &first);
            prop_assert_eq!(
                ChildKey::of(&key),
                Some(ChildKey { embed: "contacts", owner: one.as_str().into(), member: &first })
            );
            let ordered = key.cmp(&child_key("contacts", &other, &second));
            prop_assert_eq!(ordered, (&one, &first).cmp(&(&other, &second)));
            prop_assert!(key > one && ChildKey::of(&one).is_none());
        }
    }

    #[test]
    fn a_server_knows_a_child_by_id_and_routing() {
        let key = child_key("contacts", "o1", "c/1");
        assert_eq!(key_of("contacts/c/1", Some("o1")), key);
        assert_eq!(id_and_owner(&key), ("contacts/c/1".to_owned(), Some("o1".to_owned())));
        assert_eq!(id_and_owner("a/b"), ("a/b".to_owned(), None));
        assert_eq!(ChildKey::of(&key).map(|child| child.id()).as_deref(), Some("contacts/c/1"));
        assert_eq!((key_of("o1", None), key_of("a/b", None)), ("o1".to_owned(), "a/b".to_owned()));
        assert_eq!(display_key(&key), "contacts/c/1 of o1");
        assert_eq!(
            [None, Some("o1"), Some("o2")].map(|routing| is_held(&key, routing)),
            [false, true, false]
        );
        assert_eq!([None, Some("o1")].map(|routing| is_held("contacts/c/1", routing)), [true, false]);
    }
}
