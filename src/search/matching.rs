//! Which words a term matches: the same rules as the engines', for highlights and matched contacts.

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
    if term.exact {
        return (term.text == word).then_some(Match::Word);
    }
    if term.texts().any(|text| word == text) {
        return Some(Match::Word);
    }
    if term.texts().any(|text| word.starts_with(text)) {
        return Some(Match::Prefix);
    }
    // A letter has one to four bytes: words whose bytes differ by more are more than one typo apart.
    let near = word.len().abs_diff(term.text.len()) <= 4;
    (term.fuzzy && near && strsim::osa_distance(&term.text, word) <= 1).then_some(Match::Typo)
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
