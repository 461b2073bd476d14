//! What an event's type says that it does.

use std::collections::BTreeMap;

use super::Poison;
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
    let verb = verb(full_type).ok_or_else(|| format!("type: {} has no verb", super::shown(full_type)))?;
    Ok(Some(match verb.as_str() {
        "created" | "snapshot" | "replaced" => Action::Replace,
        "deleted" | "removed" => Action::Delete,
        _ => Action::Merge,
    }))
}

/// The last word in lower case, a version behind it passed over.
fn verb(full_type: &str) -> Option<String> {
    let mut words = words(full_type);
    if words.len() > 1 && words.last().is_some_and(|word| is_version(word)) {
        words.pop();
    }
    words.pop().map(|word| word.to_lowercase())
}

/// Words end at `.`, `_`, `-` and at a capital. A run of capitals is one word (`ORG_DELETED`), and its
/// last letter begins the next when a small one follows.
fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        if matches!(letter, '.' | '_' | '-') {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let small_after = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let after_capital = before.is_some_and(|before| before.is_uppercase());
        if letter.is_uppercase() && (!after_capital || small_after) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(*letter);
        }
    }
    words.retain(|word| !word.is_empty());
    words
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
            assert_eq!(verb(full_type).as_deref(), Some(expected), "{full_type}");
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
