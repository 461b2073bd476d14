//! Text as finding needs it: words without accents or case, and phone numbers as reversed digits.
//!
//! Documents and queries are folded by the same functions, so that every index engine compares the same words, however
//! it analyses text.

mod forms;
mod phone;

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

pub use self::forms::{each_form, is_unspaced, join, parts};
pub use self::phone::{PHONE_DIGITS_MIN, drop_trunk_zero, each_number, reverse_digits, reverse_numbers};

/// The words of texts, at the end of a buffer: each in lower case and without accents, parted by one space. A word
/// is a longest run of letters and digits (of any script), so that the words are UTF-8 and need no escapes in JSON.
pub struct WordBuffer<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
    mark: Option<u8>,
}

impl<'a> WordBuffer<'a> {
    /// No words yet, behind the bytes that `out` holds.
    pub fn at_end_of(out: &'a mut Vec<u8>) -> Self {
        Self { begin: out.len(), out, mark: None }
    }

    /// Words that each follow an ASCII mark. They go on with the words that begin at `begin`.
    pub fn with_mark(out: &'a mut Vec<u8>, begin: usize, mark: char) -> Self {
        Self { out, begin, mark: u8::try_from(mark).ok().filter(u8::is_ascii) }
    }

    /// Appends the words of `text`.
    pub fn push(&mut self, text: &str) {
        self.out.reserve(text.len() + 8);
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
        if !*inside {
            if self.out.len() > self.begin {
                self.out.push(b' ');
            }
            self.out.extend(self.mark);
        }
        *inside = true;
    }

    fn push_letter(&mut self, inside: &mut bool, letter: char) {
        if let Some(known) = find_folded(letter).filter(|known| known.is_word != known.is_mark) {
            if known.is_mark {
                *inside = false;
            } else if !known.bytes().is_empty() {
                self.begin_word(inside);
                self.out.extend_from_slice(known.bytes());
            }
        } else if IDEOGRAPHS.contains(&letter) {
            self.push_folded(inside, letter);
        } else if let Some(parts) = syllable(letter) {
            parts.into_iter().flatten().for_each(|part| self.push_folded(inside, part));
        } else {
            for letter in fold_letter(letter) {
                if letter.is_alphanumeric() {
                    self.push_folded(inside, letter);
                } else {
                    *inside = false;
                }
            }
        }
    }

    fn push_folded(&mut self, inside: &mut bool, letter: char) {
        self.begin_word(inside);
        self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Whether the words of `phrase` stand side by side in `text`: both are folded words, parted by one space.
pub fn stands(text: &[u8], phrase: &[u8]) -> bool {
    let mut rest = text;
    if phrase.is_empty() {
        return false;
    }
    loop {
        let behind = rest.strip_prefix(phrase);
        if behind.is_some_and(|behind| behind.first().is_none_or(|byte| *byte == b' ')) {
            return true;
        }
        match rest.iter().position(|byte| *byte == b' ').and_then(|end| rest.get(end + 1..)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
}

/// The words of one text.
pub fn words(text: &str) -> String {
    let mut out = Vec::new();
    WordBuffer::at_end_of(&mut out).push(text);
    // Only whole letters are appended.
    String::from_utf8(out).unwrap_or_default()
}

/// The first letter of [`FOLDED`].
const FOLDED_FIRST: usize = 0x80;
/// Up to here: the alphabets, and the Japanese syllables.
const FOLDED_END: usize = 0x3100;
/// Chinese characters, which folding leaves as they are.
const IDEOGRAPHS: std::ops::RangeInclusive<char> = '\u{4e00}'..='\u{9fff}';

/// The longest folded form that [`FOLDED`] keeps.
const FOLDED_BYTES: usize = 6;

/// The folded form of a letter, and the facts known of it.
#[derive(Clone, Copy)]
struct FoldedLetter {
    bytes: [u8; FOLDED_BYTES],
    length: u8,
    /// Everything that it becomes is a letter or a digit, or it becomes nothing.
    is_word: bool,
    /// Nothing that it becomes is a letter or a digit.
    is_mark: bool,
    /// It is a letter or a digit itself.
    is_letter: bool,
    /// It becomes the first letter of its [`char::to_lowercase`].
    is_lowered: bool,
}

impl FoldedLetter {
    /// `None` for a letter that becomes more than the table has room for.
    fn of(letter: char) -> Option<Self> {
        let folded: String = fold_letter(letter).collect();
        let mut bytes = [0; FOLDED_BYTES];
        bytes.get_mut(..folded.len())?.copy_from_slice(folded.as_bytes());
        Some(Self {
            bytes,
            length: u8::try_from(folded.len()).ok()?,
            is_word: folded.chars().all(char::is_alphanumeric),
            is_mark: !folded.is_empty() && !folded.contains(char::is_alphanumeric),
            is_letter: letter.is_alphanumeric(),
            is_lowered: folded.chars().eq(lower(letter)),
        })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// The letters that names are mostly written in, folded once: taking them apart costs many times as much.
static FOLDED: LazyLock<Vec<Option<FoldedLetter>>> = LazyLock::new(|| {
    let letters = (FOLDED_FIRST..FOLDED_END).map(|code| u32::try_from(code).ok().and_then(char::from_u32));
    letters.map(|letter| letter.and_then(FoldedLetter::of)).collect()
});

/// The folded form of a letter that [`FOLDED`] has.
fn find_folded(letter: char) -> Option<&'static FoldedLetter> {
    FOLDED.get((letter as usize).wrapping_sub(FOLDED_FIRST))?.as_ref()
}

/// The parts of a Korean syllable (<https://www.unicode.org/versions/latest/core-spec/chapter-3/#G56669>); `None` for
/// another letter.
fn syllable(letter: char) -> Option<[Option<char>; 3]> {
    let number = u32::from(letter).checked_sub(0xac00).filter(|number| *number < 11_172)?;
    let (first, vowel, last) = (number / 588, number % 588 / 28, number % 28);
    let last = if last > 0 { char::from_u32(0x11a7 + last) } else { None };
    Some([char::from_u32(0x1100 + first), char::from_u32(0x1161 + vowel), last])
}

/// [`char::is_alphanumeric`], by the table.
pub(crate) fn is_letter(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_alphanumeric();
    }
    match find_folded(letter) {
        Some(known) => known.is_letter,
        None => IDEOGRAPHS.contains(&letter) || letter.is_alphanumeric(),
    }
}

/// The letters of `text` in lower case, without accents; other signs stay as they are.
pub fn fold(text: &str) -> String {
    let mut folded = Vec::with_capacity(text.len() + 8);
    let push = |folded: &mut Vec<u8>, letter: char| {
        folded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    };
    for letter in text.chars() {
        if letter.is_ascii() {
            folded.push((letter as u8).to_ascii_lowercase());
        } else if let Some(known) = find_folded(letter) {
            folded.extend_from_slice(known.bytes());
        } else if IDEOGRAPHS.contains(&letter) {
            push(&mut folded, letter);
        } else if let Some(parts) = syllable(letter) {
            parts.into_iter().flatten().for_each(|part| push(&mut folded, part));
        } else {
            fold_letter(letter).for_each(|letter| push(&mut folded, letter));
        }
    }
    // Only whole letters are appended.
    String::from_utf8(folded).unwrap_or_default()
}

/// Whether folding makes of every letter the first one of its [`char::to_lowercase`].
pub(crate) fn is_only_lowered(text: &str) -> bool {
    text.chars().all(|letter| match find_folded(letter) {
        Some(known) => known.is_lowered,
        None => {
            let is_kept = letter.is_ascii() || IDEOGRAPHS.contains(&letter);
            is_kept || syllable(letter).is_none() && fold_letter(letter).eq(lower(letter))
        }
    })
}

fn lower(letter: char) -> impl Iterator<Item = char> {
    letter.to_lowercase().take(1)
}

/// One letter at a time: neighbours decide only the order of combining marks, and those go.
fn fold_letter(letter: char) -> impl Iterator<Item = char> {
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
        let whole: String = text.chars().flat_map(fold_letter).collect();
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
            proptest::prop_assert_eq!(fold(&text), whole);
        }
    }

    #[test]
    fn every_letter_is_folded_as_by_the_definition() {
        for letter in '\0'..=char::MAX {
            assert_eq!(is_letter(letter), letter.is_alphanumeric(), "{letter:?}");
            let plain: String = fold_letter(letter).collect();
            assert_eq!(fold(letter.encode_utf8(&mut [0; 4])), plain, "{letter:?}");
        }
    }

    #[test]
    fn a_phrase_stands_where_all_its_words_do() {
        for (text, phrase, expected) in [
            ("a b c", "b c", true),
            ("a bc", "b", false),
            ("ab c", "b c", false),
            ("a b", "a b", true),
            ("a", "a b", false),
            ("a", "", false),
            ("", "a", false),
        ] {
            assert_eq!(stands(text.as_bytes(), phrase.as_bytes()), expected, "{text:?} {phrase:?}");
        }
    }

    #[test]
    fn forms_of_letters_and_digits_are_one() {
        assert_eq!(words("Ber\u{ad}lin L\u{200b}td"), "berlin ltd");
        assert_eq!(words("ﬁnance ＡＣＭＥ ０３"), "finance acme 03");
        assert_eq!(words("٠٢٠ ۷۹ १२"), "020 79 12");
    }
}
