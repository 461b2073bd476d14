//! Text as finding needs it: words without accents or case, and phone numbers as reversed digits.
//!
//! Documents and queries are folded by the same functions, so that every index engine compares the
//! same words whatever analysis it has.

mod forms;
mod phone;

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

pub use self::forms::{is_unspaced, joined, parts};
pub use self::phone::{PHONE_DIGITS_MIN, drop_trunk_zero, reversed_digits, reversed_numbers};

/// The words of texts, at the end of a buffer: each in lower case and without accents, parted by one space. A word is a
/// longest run of letters and digits (of any script), so that what is written is UTF-8 and needs no escapes in JSON.
pub struct Words<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
}

impl<'a> Words<'a> {
    /// No words yet, behind what `out` holds.
    pub fn behind(out: &'a mut Vec<u8>) -> Self {
        Self { begin: out.len(), out }
    }

    /// Appends the words of `text`.
    pub fn push(&mut self, text: &str) {
        self.out.reserve(text.len() + 1);
        let (mut inside, mut rest) = (false, text);
        while !rest.is_empty() {
            // Most letters need no table.
            let plain = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let (run, others) = rest.split_at(plain);
            if !run.is_empty() {
                self.begin_word(&mut inside);
                self.out.extend(run.bytes().map(|byte| byte.to_ascii_lowercase()));
            }
            let mut letters = others.chars();
            match letters.next() {
                Some(letter) if !letter.is_ascii() => self.push_letter(&mut inside, letter),
                _ => inside = false,
            }
            rest = letters.as_str();
        }
    }

    /// Parts a word from the one before.
    fn begin_word(&mut self, inside: &mut bool) {
        if !*inside && self.out.len() > self.begin {
            self.out.push(b' ');
        }
        *inside = true;
    }

    fn push_letter(&mut self, inside: &mut bool, letter: char) {
        if let Some(folded) = known(letter) {
            if !folded.is_empty() {
                self.begin_word(inside);
            }
            return self.out.extend_from_slice(folded.as_bytes());
        }
        if IDEOGRAPHS.contains(&letter) {
            self.begin_word(inside);
            return self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        for letter in folded_letter(letter) {
            if letter.is_alphanumeric() {
                self.begin_word(inside);
                self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                *inside = false;
            }
        }
    }
}

/// Whether the words of `phrase` stand side by side in `text`: both are folded words, parted by one space.
pub fn stands(text: &[u8], phrase: &[u8]) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b' ');
    let mut places = text.windows(phrase.len().max(1)).enumerate();
    places.any(|(at, found)| {
        found == phrase
            && is_end(at.checked_sub(1).and_then(|at| text.get(at)))
            && is_end(text.get(at + found.len()))
    })
}

/// The words of one text.
pub fn words(text: &str) -> String {
    let mut out = Vec::new();
    Words::behind(&mut out).push(text);
    // What is appended are whole letters.
    String::from_utf8(out).unwrap_or_default()
}

/// The first letter of [`FOLDED`].
const FOLDED_FIRST: usize = 0x80;
/// Up to here: the alphabets, and the Japanese syllables.
const FOLDED_END: usize = 0x3100;
/// Chinese characters, which folding leaves as they are.
const IDEOGRAPHS: std::ops::RangeInclusive<char> = '\u{4e00}'..='\u{9fff}';

/// The letters that names are mostly written in, folded once: taking them apart costs many times as much. A mark that
/// folding drops has an empty entry. What is no letter, or becomes something else beside letters, has none.
static FOLDED: LazyLock<Vec<Option<Box<str>>>> = LazyLock::new(|| {
    let letters = (FOLDED_FIRST..FOLDED_END).map(|code| u32::try_from(code).ok().and_then(char::from_u32));
    let folded = letters.map(|letter| letter.into_iter().flat_map(folded_letter).collect::<Box<str>>());
    folded.map(|folded| Some(folded).filter(|it| it.chars().all(char::is_alphanumeric))).collect()
});

/// The folded form of a letter that [`FOLDED`] has.
fn known(letter: char) -> Option<&'static str> {
    FOLDED.get((letter as usize).wrapping_sub(FOLDED_FIRST))?.as_deref()
}

/// The letters of `text` in lower case, without accents; what is no letter stays as it is.
pub fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        match known(letter) {
            _ if letter.is_ascii() => folded.push(letter.to_ascii_lowercase()),
            Some(known) => folded.push_str(known),
            None if IDEOGRAPHS.contains(&letter) => folded.push(letter),
            None => folded.extend(folded_letter(letter)),
        }
    }
    folded
}

/// One letter at a time: what depends on its neighbours is the order of combining marks only, and those go.
fn folded_letter(letter: char) -> impl Iterator<Item = char> {
    let lower = std::iter::once(letter).nfkd().flat_map(char::to_lowercase).nfkd();
    lower.filter(|letter| !is_combining_mark(*letter) && !is_ignorable(*letter)).flat_map(plain)
}

/// Letters that are not shown: a soft hyphen, joiners and marks of direction
/// (<https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>).
fn is_ignorable(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The zeros of the decimal digits that people write in other scripts; the nine others follow each
/// (<https://www.unicode.org/Public/UCD/latest/ucd/extracted/DerivedNumericType.txt>).
const ZEROS: [char; 21] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}',
    '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{17e0}',
    '\u{1810}', '\u{1946}', '\u{a9d0}',
];

/// The digit of any script as people type it; another letter as it is.
fn digit(letter: char) -> char {
    if letter < ZEROS[0] {
        return letter;
    }
    let value = |zero: &char| u32::from(letter).checked_sub(u32::from(*zero)).filter(|value| *value < 10);
    ZEROS.iter().find_map(value).and_then(|value| char::from_digit(value, 10)).unwrap_or(letter)
}

/// Letters that Unicode does not take apart, as people type them without the accent.
fn plain(letter: char) -> impl Iterator<Item = char> {
    let (first, second) = match letter {
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'ø' => ('o', None),
        'đ' | 'ð' => ('d', None),
        'ħ' => ('h', None),
        'ı' => ('i', None),
        'ł' => ('l', None),
        'ŧ' => ('t', None),
        'þ' => ('t', Some('h')),
        other => (digit(other), None),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_accents_case_and_marks() {
        assert_eq!(words("Société  Éclatänte, S.A."), "societe eclatante s a");
        assert_eq!(words("O'Vrithmore"), "o vrithmore");
        assert_eq!(words("ЯБЛОНЬКА"), "яблонька");
        assert_eq!(words("Łódź Straße İstanbul"), "lodz strasse istanbul");
        assert_eq!(words("jane.doe@acme.test"), "jane doe acme test");
        assert_eq!(words("  "), "");
    }

    /// The definition, letter by letter.
    fn plain_words(text: &str) -> String {
        let whole: String = text.chars().flat_map(folded_letter).collect();
        let parts = whole.split(|letter: char| !letter.is_alphanumeric());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    proptest::proptest! {
        #[test]
        fn words_are_the_runs_of_folded_letters(text in "([a-zA-Z0-9 ._]|[\u{80}-\u{600}]|\\PC){0,24}") {
            proptest::prop_assert_eq!(words(&text), plain_words(&text));
        }

        #[test]
        fn letters_are_folded_as_the_whole_text_is(text in "\\PC{0,12}") {
            let whole = text.nfkd().flat_map(char::to_lowercase).nfkd();
            let whole: String = whole.filter(|letter| !is_combining_mark(*letter) && !is_ignorable(*letter)).flat_map(plain).collect();
            proptest::prop_assert_eq!(folded(&text), whole);
        }
    }

    #[test]
    fn forms_of_letters_and_digits_are_one() {
        assert_eq!(words("Ber\u{ad}lin L\u{200b}td"), "berlin ltd");
        assert_eq!(words("ﬁnance ＡＣＭＥ ０３"), "finance acme 03");
        assert_eq!(words("٠٢٠ ۷۹ १२"), "020 79 12");
    }
}
