//! The effect that an event's type names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Poison, excerpt};
use crate::config::TypeRule;
use crate::event::Action;

/// The verbs that a merge is the plain meaning of.
const MERGING: &[&str] = &[
    "added",
    "assigned",
    "changed",
    "corrected",
    "edited",
    "enriched",
    "linked",
    "modified",
    "moved",
    "patched",
    "promoted",
    "reassigned",
    "renamed",
    "set",
    "tagged",
    "transferred",
    "unassigned",
    "unlinked",
    "untagged",
    "updated",
    "verified",
];
/// So many verbs are told of, so that types made up by the million fill neither memory nor the log.
const LOGGED_MAX: usize = 100;

/// The effects of the types of events: the table of the configuration, and the verbs.
#[derive(Debug, Clone, Default)]
pub(super) struct Types {
    rules: BTreeMap<String, TypeRule>,
    /// The verbs that were told of as unknown.
    unknown_verbs: Arc<RwLock<BTreeSet<String>>>,
}

impl Types {
    pub(super) fn new(rules: BTreeMap<String, TypeRule>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The effect of an event of this type; `None` when the configuration says to pass it over.
    pub(super) fn action(&self, full_type: &str) -> Result<Option<Action>, Poison> {
        if let Some(rule) = self.rules.get(full_type) {
            return Ok(match rule {
                TypeRule::Replace => Some(Action::Replace),
                TypeRule::Merge => Some(Action::Merge),
                TypeRule::Delete => Some(Action::Delete),
                TypeRule::Ignore => None,
            });
        }
        let verb = verb(full_type).ok_or_else(|| {
            format!("type: {} found, a type that ends with a verb was expected", excerpt(full_type))
        })?;
        let is = |known: &[&str]| known.iter().any(|known| verb.eq_ignore_ascii_case(known));
        Ok(Some(if is(&["created", "snapshot", "replaced"]) {
            Action::Replace
        } else if is(&["deleted", "removed"]) {
            Action::Delete
        } else {
            if !is(MERGING) {
                self.tell(verb, full_type);
            }
            Action::Merge
        }))
    }

    /// Says once that a verb has no meaning of its own. Its event may have been meant to delete.
    fn tell(&self, verb: &str, full_type: &str) {
        let verb = verb.to_lowercase();
        {
            let verbs = self.unknown_verbs.read().unwrap_or_else(PoisonError::into_inner);
            if verbs.len() >= LOGGED_MAX || verbs.contains(&verb) {
                return;
            }
        }
        if self.unknown_verbs.write().unwrap_or_else(PoisonError::into_inner).insert(verb.clone()) {
            tracing::warn!(
                "the verb {} of the type {} is not known, so the data of its events is merged. \
                 [events.types] can say replace, merge, delete or ignore",
                excerpt(&verb),
                excerpt(full_type)
            );
        }
    }
}

/// The last word as it is written. Versions behind it and the word `event` are passed over.
fn verb(full_type: &str) -> Option<&str> {
    let (mut before, last) = split_last_word(full_type);
    let last = last?;
    let mut word = last;
    while is_version(word) || word.eq_ignore_ascii_case("event") {
        let (rest, next) = split_last_word(before);
        let Some(next) = next else { return Some(last) };
        (before, word) = (rest, next);
    }
    Some(word)
}

/// The text before the last word, and the word. Words end at a character that is no letter or digit, and at a
/// capital. A run of capitals is one word (`ORG_DELETED`), and its last letter begins the next when a small one
/// follows.
fn split_last_word(text: &str) -> (&str, Option<&str>) {
    let text = text.trim_end_matches(|letter: char| !letter.is_alphanumeric());
    let mut small_after = false;
    let mut letters = text.char_indices().rev().peekable();
    let mut start = 0;
    while let Some((at, letter)) = letters.next() {
        if !letter.is_alphanumeric() {
            start = at + letter.len_utf8();
            break;
        }
        let after_capital = letters.peek().is_some_and(|(_, before)| before.is_uppercase());
        if letter.is_uppercase() && (!after_capital || small_after) {
            start = at;
            break;
        }
        small_after = letter.is_lowercase();
    }
    let (before, word) = text.split_at_checked(start).unwrap_or((text, ""));
    (before, Some(word).filter(|word| !word.is_empty()))
}

/// True of `v2`, `2`, and `v1beta1`.
fn is_version(word: &str) -> bool {
    let number = |text: &str| {
        let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
        (rest.len() < text.len()).then_some(rest.len())
    };
    let digits = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let Some(rest_length) = number(digits) else { return false };
    let stage = digits.get(digits.len() - rest_length..).unwrap_or_default();
    let after = ["alpha", "beta", "rc"].iter().find_map(|name| stage.strip_prefix(name));
    stage.is_empty() || after.is_some_and(|after| after.is_empty() || number(after) == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_verb() {
        for (full_type, expected) in [
            ("com.example.organisation.created", "created"),
            ("OrganisationCreated", "created"),
            ("com.acme.organisation_created", "created"),
            ("com.acme.organisation-deleted.v3", "deleted"),
            ("com.acme.Organisation.Created.V12", "created"),
            ("ORGANISATION_DELETED", "deleted"),
            ("OrganisationDeletedV2", "deleted"),
            ("com.example.contact.email-changed", "changed"),
            ("created", "created"),
            ("v2", "v2"),
            ("com.acme.ContactDeletedEvent", "deleted"),
            ("com.acme.ContactDeletedEventV2", "deleted"),
            ("contact.deleted.event", "deleted"),
            ("contact.deleted.v1.0", "deleted"),
            ("contact.deleted.1", "deleted"),
            ("contact.deleted.v1beta1", "deleted"),
            ("contact.deleted/v1", "deleted"),
            ("contact.deleted:v2", "deleted"),
            ("contact.deleted v2", "deleted"),
            ("CONTACT_DELETED_EVENT", "deleted"),
            ("contact.created.2024-01-01", "created"),
            ("contact.destroyed", "destroyed"),
            ("event", "event"),
            ("ORGDeleted", "deleted"),
            ("créé.SupprimÉ", "é"),
        ] {
            let verb = verb(full_type).map(str::to_lowercase);
            assert_eq!(verb.as_deref(), Some(expected), "{full_type}");
        }
        assert_eq!(verb("._-"), None);
    }

    #[test]
    fn the_table_goes_by_the_full_type() {
        let types = Types::new(BTreeMap::from([("a.created".to_owned(), TypeRule::Ignore)]));
        assert_eq!(types.action("a.created"), Ok(None));
        assert_eq!(types.action("b.created"), Ok(Some(Action::Replace)));
    }

    #[test]
    fn unknown_verbs_are_told_of_once_and_not_without_end() {
        let types = Types::default();
        for number in 0..1_000 {
            for full_type in ["a.Terminated", "b.terminated", "a.renamed", &format!("a.made{number}up")] {
                assert_eq!(types.action(full_type), Ok(Some(Action::Merge)));
            }
        }
        let verbs = types.unknown_verbs.read().unwrap();
        assert!(
            verbs.contains("terminated") && !verbs.contains("renamed") && verbs.len() == LOGGED_MAX,
            "{verbs:?}"
        );
    }
}
