//! How hits are ordered by a name.

use crate::text::{fold, is_only_lowered};

/// The name as it is compared: in lower case and without accents.
pub fn sort_key(name: &str) -> String {
    let lower = lower(name);
    match plain_name(name) {
        Some(plain) => plain.min(lower),
        None => lower,
    }
}

/// A name without accents, when that is not just its lower case. An index server has both, and takes the lower one.
pub fn plain_name(name: &str) -> Option<String> {
    if name.is_ascii() || is_only_lowered(name) { None } else { Some(fold(name)) }
}

/// Letter by letter, as the normalizer `lowercase` of an index server does it.
fn lower(name: &str) -> String {
    name.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_plain_name_is_a_folded_one_that_is_not_the_lower_one(
            name in "([a-zA-Z ]|[\u{80}-\u{600}]|[\u{3100}-\u{d7ff}]|\\PC){0,8}"
        ) {
            let expected = Some(fold(&name)).filter(|plain| !name.is_ascii() && *plain != lower(&name));
            proptest::prop_assert_eq!(plain_name(&name), expected);
        }
    }

    #[test]
    fn names_are_compared_without_case_and_accents() {
        assert_eq!(sort_key("Éclatante ŁÓDŹ Straße"), "eclatante lodz strasse");
        assert_eq!(sort_key("İstanbul Ёлка 東京"), "istanbul елка 東京");
        assert_eq!(plain_name("ACME 東京"), None);
        assert_eq!(plain_name("Zoë").as_deref(), Some("zoe"));
    }
}
