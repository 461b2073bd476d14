//! Which words a term matches: the same rules as the engines', for highlights and matched contacts.

use serde_json::Value;

use super::index::score;
use super::query::Term;

/// How a term matches a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// One typo away.
    Typo,
    /// The word begins with it.
    Prefix,
    /// It is the word.
    Word,
}

/// How `term` matches the folded `word`, if it does.
pub fn word(term: &Term, word: &str) -> Option<Match> {
    if word == term.text {
        return Some(Match::Word);
    }
    if word.starts_with(&term.text) {
        return Some(Match::Prefix);
    }
    // A letter has one to four bytes: words whose bytes differ by more are more than one typo apart.
    let near = word.len().abs_diff(term.text.len()) <= 4;
    (term.fuzzy && near && strsim::osa_distance(&term.text, word) <= 1).then_some(Match::Typo)
}

/// How well a contact matches, from the words under its `_search`; 0 when no term matches.
pub fn contact_score(contact: &Value, terms: &[Term]) -> u32 {
    let search = contact.get("_search");
    let text = |name: &str| search.and_then(|search| search.get(name)).and_then(Value::as_str);
    let (words, phone) = (text("words").unwrap_or_default(), text("phone").unwrap_or_default());
    terms.iter().map(|term| term_score(term, words, phone)).sum()
}

fn term_score(term: &Term, words: &str, phone: &str) -> u32 {
    if !phone.is_empty() && term.phone.matches(phone) {
        return score::NAME_WORD;
    }
    match words.split(' ').filter_map(|held| word(term, held)).max() {
        Some(Match::Word) => score::NAME_WORD,
        Some(Match::Prefix) => score::NAME_PREFIX,
        Some(Match::Typo) => score::TYPO,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::token::terms;

    fn matches(q: &str, held: &str) -> Option<Match> {
        word(terms(q).0.first().unwrap(), held)
    }

    #[test]
    fn a_typo_is_one_change_omission_addition_or_swap_anywhere() {
        for typo in ["zephirine", "zephyrne", "zepphyrine", "zehpyrine", "aephyrine", "ezphyrine"] {
            assert_eq!(matches(typo, "zephyrine"), Some(Match::Typo), "{typo}");
        }
        assert_eq!(matches("zophirine", "zephyrine"), None);
        assert_eq!(matches("jan", "jen"), None);
        assert_eq!(matches("zeph", "zephyrine"), Some(Match::Prefix));
        assert_eq!(matches("яблонка", "яблонька"), Some(Match::Typo));
    }
}
