//! What an event's type says that it does.

use std::collections::BTreeMap;

use super::{Poison, shown};
use crate::config::TypeRule;
use crate::event::Action;

/// What an event of this type does; `None` when the configuration says to pass it over.
pub(super) fn action(full_type: &str, types: &BTreeMap<String, TypeRule>) -> Result<Option<Action>, Poison> {
    if let Some(rule) = types.get(full_type) {
        return Ok(match rule {
            TypeRule::Replace => Some(Action::Replace),
            TypeRule::Merge => Some(Action::Merge),
            TypeRule::Delete => Some(Action::Delete),
            TypeRule::Ignore => None,
        });
    }
    let verb = verb(full_type).ok_or_else(|| {
        format!("type: {} found, a type that ends with a verb was expected", shown(full_type))
    })?;
    let is = |known: &[&str]| known.iter().any(|known| verb.eq_ignore_ascii_case(known));
    Ok(Some(if is(&["created", "snapshot", "replaced"]) {
        Action::Replace
    } else if is(&["deleted", "removed"]) {
        Action::Delete
    } else {
        Action::Merge
    }))
}

/// The last word as it is written, a version behind it passed over.
fn verb(full_type: &str) -> Option<&str> {
    let (before, last) = last_words(full_type);
    last.map(|last| before.filter(|_| is_version(last)).unwrap_or(last))
}

/// The last word but one, and the last. Words end at `.`, `_`, `-` and at a capital. A run of capitals
/// is one word (`ORG_DELETED`), and its last letter begins the next when a small one follows.
fn last_words(text: &str) -> (Option<&str>, Option<&str>) {
    let mut found = (None, None);
    let mut end = |start: usize, end: usize| {
        if let Some(word) = text.get(start..end).filter(|word| !word.is_empty()) {
            found = (found.1, Some(word));
        }
    };
    let mut start = 0;
    let mut after_capital = false;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let small_after = letters.peek().is_some_and(|(_, next)| next.is_lowercase());
        if matches!(letter, '.' | '_' | '-') {
            end(start, at);
            start = at + 1;
        } else if letter.is_uppercase() && (!after_capital || small_after) {
            end(start, at);
            start = at;
        }
        after_capital = letter.is_uppercase();
    }
    end(start, text.len());
    found
}

fn is_version(word: &str) -> bool {
    let digits = word.strip_prefix(['v', 'V']).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
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
        ] {
            let verb = verb(full_type).map(str::to_lowercase);
            assert_eq!(verb.as_deref(), Some(expected), "{full_type}");
        }
        assert_eq!(verb("._-"), None);
    }

    #[test]
    fn the_table_goes_by_the_full_type() {
        let types = BTreeMap::from([("a.created".to_owned(), TypeRule::Ignore)]);
        assert_eq!(action("a.created", &types), Ok(None));
        assert_eq!(action("b.created", &types), Ok(Some(Action::Replace)));
    }
}
