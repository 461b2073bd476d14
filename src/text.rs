//! Text as finding needs it: words without accents or case, and phone numbers as reversed digits.
//!
//! Documents and queries are folded by the same functions, so that every index engine compares the
//! same words whatever analysis it has.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The fewest digits that are taken for a phone number.
pub const PHONE_DIGITS_MIN: usize = 6;

/// Appends the words of `text` to `words`, each in lower case and without accents, parted by one
/// space. A word is a longest run of letters and digits (of any script).
pub fn push_words(words: &mut String, text: &str) {
    if text.is_ascii() {
        push_ascii_words(words, text);
        return;
    }
    let mut inside = false;
    for letter in text.nfkd().flat_map(char::to_lowercase).nfkd() {
        if is_combining_mark(letter) {
            continue;
        }
        if letter.is_alphanumeric() {
            if !inside && !words.is_empty() {
                words.push(' ');
            }
            push_plain(words, letter);
            inside = true;
        } else {
            inside = false;
        }
    }
}

fn push_ascii_words(words: &mut String, text: &str) {
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
    }
}

/// Letters that Unicode does not take apart, as people type them without the accent.
fn push_plain(words: &mut String, letter: char) {
    match letter {
        'ß' => words.push_str("ss"),
        'æ' => words.push_str("ae"),
        'œ' => words.push_str("oe"),
        'ø' => words.push('o'),
        'đ' | 'ð' => words.push('d'),
        'ħ' => words.push('h'),
        'ı' => words.push('i'),
        'ł' => words.push('l'),
        'ŧ' => words.push('t'),
        'þ' => words.push_str("th"),
        other => words.push(other),
    }
}

/// The digits of a phone number, last first, so that a number's ending is a prefix; `None` when
/// there are fewer than [`PHONE_DIGITS_MIN`].
pub fn reversed_digits(phone: &str) -> Option<String> {
    let digits: String = phone
        .chars()
        .rev()
        .filter_map(|letter| letter.to_digit(10))
        .filter_map(|d| char::from_digit(d, 10))
        .collect();
    (digits.len() >= PHONE_DIGITS_MIN).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let mut words = String::new();
        push_words(&mut words, text);
        words
    }

    #[test]
    fn words_lose_accents_case_and_marks() {
        assert_eq!(words("Société  Éclatänte, S.A."), "societe eclatante s a");
        assert_eq!(words("O'Vrithmore"), "o vrithmore");
        assert_eq!(words("ЯБЛОНЬКА"), "яблонька");
        assert_eq!(words("Łódź Straße İstanbul"), "lodz strasse istanbul");
        assert_eq!(words("jane.doe@acme.test"), "jane doe acme test");
        assert_eq!(words("  "), "");
    }

    #[test]
    fn a_phone_numbers_ending_is_a_prefix_of_its_reversed_digits() {
        assert_eq!(reversed_digits("+44 20 7946 0018").as_deref(), Some("810064970244"));
        assert_eq!(reversed_digits("12-34"), None);
    }
}
