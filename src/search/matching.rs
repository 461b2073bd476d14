//! Which words a term matches: the same rules as the engines', for highlights and matched members.

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
    (term.fuzzy && is_near(&term.text, word)).then_some(Match::Typo)
}

/// Whether two words are the same but for one letter more, less or another, or for two neighbours that changed places.
fn is_near(left: &str, right: &str) -> bool {
    // A letter has one to four bytes: words whose bytes differ by more are more than one typo apart.
    if left.len().abs_diff(right.len()) > 4 {
        return false;
    }
    let same = left.chars().zip(right.chars()).take_while(|(left, right)| left == right);
    let same = same.map(|(letter, _)| letter.len_utf8()).sum::<usize>();
    let split = |word| WordTail::split(word, same);
    match (split(left), split(right)) {
        (None, None) => true,
        (Some(one), None) | (None, Some(one)) => one.rest.is_empty(),
        (Some(left), Some(right)) => left.is_near(&right),
    }
}

/// A word from its first difference to another one.
struct WordTail<'a> {
    all: &'a str,
    first: char,
    /// The letters after the first one.
    rest: &'a str,
}

impl<'a> WordTail<'a> {
    fn split(word: &'a str, same: usize) -> Option<Self> {
        let all = word.get(same..)?;
        let mut letters = all.chars();
        letters.next().map(|first| Self { all, first, rest: letters.as_str() })
    }

    fn is_near(&self, other: &Self) -> bool {
        let is_swapped = || {
            let (left, right) = (self.rest.strip_prefix(other.first), other.rest.strip_prefix(self.first));
            left.is_some() && left == right
        };
        self.rest == other.rest || self.rest == other.all || self.all == other.rest || is_swapped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::token::terms;

    fn matches(q: &str, candidate: &str) -> Option<Match> {
        word(terms(q).0.first().unwrap(), candidate)
    }

    proptest::proptest! {
        #[test]
        fn near_words_are_at_a_distance_of_at_most_one(left in "[abé太]{0,5}", right in "[abé太]{0,5}") {
            proptest::prop_assert_eq!(is_near(&left, &right), strsim::osa_distance(&left, &right) <= 1);
        }
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
