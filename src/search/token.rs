//! A query's text taken apart: words, the phone numbers that they may be parts of, and phrases.

use super::phone::Phone;
use super::query::{QueryReadings, Term};
use super::syntax::{Piece, pieces};
use crate::text::{PHONE_DIGITS_MIN, drop_trunk_zero, fold, is_unspaced, reverse_digits};

/// A run of digit groups longer than this is looked at as a whole only.
const GROUPS_MAX: usize = 6;
/// The letters that a word needs for a typo to be forgiven.
const FUZZY_LETTERS_MIN: usize = 4;
/// A longer word is taken as it is written.
const FUZZY_LETTERS_MAX: usize = 64;
/// The fewest digits of a number within its country, for it to be found by a longer one.
const NATIONAL_DIGITS_MIN: usize = 7;

/// A word and how it stands to the one before.
#[derive(Debug, Default)]
struct Token {
    word: String,
    /// Only marks that people write inside phone numbers part it from the word before.
    joined: bool,
    /// A plus stands before it.
    plus: bool,
}

/// The parts of a query.
#[derive(Debug, Default)]
pub(super) struct QueryParts {
    /// Its words and phrases, each once.
    pub(super) terms: Vec<Term>,
    /// The words and phrases that must not be there.
    pub(super) excluded: Vec<Term>,
    /// The name, number or id that the whole query may be, without marks and exclusions.
    pub(super) whole: QueryReadings,
}

/// Takes a query apart.
pub(super) fn parse(q: &str) -> QueryParts {
    let mut parsed = QueryParts::default();
    let mut whole = String::new();
    for piece in pieces(q) {
        match piece {
            Piece::Words(text) => {
                whole += text;
                push_words(&mut parsed.terms, text);
            }
            Piece::Phrase(text) => {
                whole += text;
                push_phrase(&mut parsed.terms, text);
            }
            Piece::Excluded(text) => push_phrase(&mut parsed.excluded, text),
        }
    }
    for term in parsed.terms.iter_mut().chain(&mut parsed.excluded) {
        term.phone.reduce();
        term.joined.sort_unstable();
        term.joined.dedup();
    }
    parsed.whole =
        QueryReadings { mail: mail(&whole), numbers: numbers(&whole), ids: id(&whole).into_iter().collect() };
    parsed
}

/// The words of a query, and its readings as a whole.
#[cfg(test)]
pub(super) fn terms(q: &str) -> (Vec<Term>, QueryReadings) {
    let parsed = parse(q);
    (parsed.terms, parsed.whole)
}

fn push_words(terms: &mut Vec<Term>, text: &str) {
    let tokens = tokens(&drop_trunk_zero(text));
    let (phones, joined) = (phones(&tokens), join_neighbours(&tokens));
    for ((token, phone), joined) in tokens.into_iter().zip(phones).zip(joined) {
        let (fuzzy, text) = (is_fuzzy(&token.word), token.word);
        push_term(terms, Term { text, exact: false, joined, fuzzy, phone });
    }
}

fn push_phrase(terms: &mut Vec<Term>, text: &str) {
    let tokens = tokens(&drop_trunk_zero(text));
    let phone = if run_length(&tokens) == tokens.len() { phone(&tokens) } else { None };
    let words: Vec<String> = tokens.into_iter().map(|token| token.word).collect();
    // A run of a script without spaces between words is one word, and a query means a part of it.
    let exact = words.len() > 1 || !words.iter().any(|word| word.starts_with(is_unspaced));
    let (text, phone) = (words.join(" "), phone.unwrap_or_default());
    if !text.is_empty() {
        push_term(terms, Term { text, exact, joined: Vec::new(), fuzzy: false, phone });
    }
}

fn push_term(terms: &mut Vec<Term>, term: Term) {
    match terms.iter_mut().find(|known| known.text == term.text && known.exact == term.exact) {
        Some(known) => {
            known.phone.add(term.phone);
            known.joined.extend(term.joined);
        }
        None => terms.push(term),
    }
}

/// The query as an e-mail address.
fn mail(q: &str) -> Option<String> {
    let q = q.trim();
    (q.contains('@') && !q.contains(char::is_whitespace)).then(|| q.to_ascii_lowercase())
}

/// The query as an id. No person types one with spaces in it, and most ids have a digit.
fn id(q: &str) -> Option<String> {
    let q = q.trim();
    (q.contains(char::is_numeric) && !q.contains(char::is_whitespace)).then(|| q.to_owned())
}

/// For each token its joined forms: with the token before or after it, and with all single letters side by side.
fn join_neighbours(tokens: &[Token]) -> Vec<Vec<String>> {
    let mut joined = vec![Vec::new(); tokens.len()];
    let mut put = |begin: usize, end: usize| {
        let Some(run) = tokens.get(begin..end).filter(|run| run.len() > 1) else { return };
        let together: String = run.iter().map(|token| token.word.as_str()).collect();
        let has_letter = together.contains(|letter: char| !letter.is_numeric());
        if has_letter && together.chars().count() <= FUZZY_LETTERS_MAX {
            joined
                .iter_mut()
                .take(end)
                .skip(begin)
                .for_each(|all: &mut Vec<String>| all.push(together.clone()));
        }
    };
    let is_single = |token: &Token| token.word.chars().count() == 1;
    let mut begin = 0;
    while begin < tokens.len() {
        put(begin, begin + 2);
        let singles = tokens.iter().skip(begin).take_while(|token| is_single(token)).count();
        (begin + 1..begin + singles).for_each(|at| put(at, at + 2));
        if singles > 2 {
            put(begin, begin + singles);
        }
        begin += singles.max(1);
    }
    joined
}

/// The query as a phone number, in each form that says the same.
fn numbers(q: &str) -> Vec<String> {
    let q = fold(q);
    let q = without_extension(&q);
    let is_part = |letter: char| letter.is_ascii_digit() || is_phone_mark(letter);
    let Some(digits) = reverse_digits(q).filter(|_| q.chars().all(is_part)) else { return Vec::new() };
    let other = match digits.strip_suffix("00") {
        Some(rest) => Some(rest.to_owned()),
        None => q.trim_start().starts_with('+').then(|| format!("{digits}00")),
    };
    std::iter::once(digits).chain(other).collect()
}

/// A phone number without its extension, which is a mark or one word and a few digits: `x12`, `ext. 12`, `#12`.
fn without_extension(q: &str) -> &str {
    let Some(at) = q.find(|letter: char| letter.is_alphabetic() || letter == '#') else { return q };
    let (number, extension) = q.split_at(at);
    let digits = extension.trim_start_matches(|letter: char| letter.is_alphabetic() || letter == '#');
    let digits = digits.trim_start_matches(['.', ':']).trim();
    let is_extension =
        (1..PHONE_DIGITS_MIN).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_extension { number } else { q }
}

/// Whether people write this letter between the digits of a phone number.
fn is_phone_mark(letter: char) -> bool {
    letter.is_whitespace() || "+-./()\u{2010}\u{2011}\u{2012}\u{2013}".contains(letter)
}

/// A run of digits is no word in which a typo is forgiven: another number is another number.
fn is_fuzzy(word: &str) -> bool {
    let letters = word.chars().count();
    (FUZZY_LETTERS_MIN..=FUZZY_LETTERS_MAX).contains(&letters) && !word.bytes().all(|b| b.is_ascii_digit())
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let (mut joined, mut plus, mut inside) = (true, false, false);
    for letter in fold(text).chars() {
        if letter.is_alphanumeric() {
            if !inside {
                tokens.push(Token { word: String::new(), joined, plus });
                (joined, plus) = (true, false);
            }
            if let Some(token) = tokens.last_mut() {
                token.word.push(letter);
            }
            inside = true;
        } else {
            inside = false;
            plus = letter == '+';
            joined &= is_phone_mark(letter);
        }
    }
    tokens
}

/// For each token the phone numbers that it may be a part of.
fn phones(tokens: &[Token]) -> Vec<Phone> {
    let mut phones = vec![Phone::default(); tokens.len()];
    let mut begin = 0;
    while begin < tokens.len() {
        let run = run_length(tokens.get(begin..).unwrap_or_default());
        for (from, to) in parts(run) {
            let Some(groups) = tokens.get(begin + from..begin + to) else { continue };
            let Some(phone) = phone(groups) else { continue };
            phones.iter_mut().take(begin + to).skip(begin + from).for_each(|all| all.add(phone.clone()));
        }
        begin += run.max(1);
    }
    phones
}

/// How many tokens from the first on are groups of digits of one run; a plus begins a new one.
fn run_length(tokens: &[Token]) -> usize {
    let is_digits = |token: &Token| token.word.bytes().all(|byte| byte.is_ascii_digit());
    let goes_on =
        |(at, token): &(usize, &Token)| is_digits(token) && (*at == 0 || (token.joined && !token.plus));
    tokens.iter().enumerate().take_while(goes_on).count()
}

/// The stretches of a run that may be a number.
fn parts(run: usize) -> Vec<(usize, usize)> {
    if run > GROUPS_MAX {
        return vec![(0, run)];
    }
    (0..run).flat_map(|from| (from + 1..=run).map(move |to| (from, to))).collect()
}

fn phone(groups: &[Token]) -> Option<Phone> {
    let digits: String = groups.iter().map(|token| token.word.as_str()).collect();
    if digits.len() < PHONE_DIGITS_MIN {
        return None;
    }
    let plus = groups.first().is_some_and(|token| token.plus);
    let mut phone = Phone { endings: vec![reverse(&digits)], whole: Vec::new() };
    let (international, number) = match digits.strip_prefix("00") {
        Some(number) if !plus => (true, number),
        _ => (plus, digits.as_str()),
    };
    let national = number.strip_prefix('0').unwrap_or(number);
    if national.len() >= PHONE_DIGITS_MIN {
        phone.endings.push(reverse(national));
    }
    if international || (number.len() == 11 && number.starts_with('1')) {
        phone.whole = without_country(number);
    }
    Some(phone)
}

/// The forms that a number may have at home: without its country code of one to three digits, with or without a
/// leading zero.
fn without_country(number: &str) -> Vec<String> {
    let rests = (1..=3).filter_map(|code| number.get(code..));
    rests
        .filter(|rest| rest.len() >= NATIONAL_DIGITS_MIN)
        .flat_map(|rest| [reverse(rest), format!("{}0", reverse(rest))])
        .collect()
}

fn reverse(digits: &str) -> String {
    digits.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::reverse_digits;

    fn words(q: &str) -> Vec<String> {
        terms(q).0.into_iter().map(|term| term.text).collect()
    }

    fn finds(q: &str, stored: &str) -> bool {
        let stored = reverse_digits(stored).unwrap();
        let (terms, _) = terms(q);
        !terms.is_empty() && terms.iter().all(|term| term.phone.matches(&stored))
    }

    #[test]
    fn words_are_folded_and_each_is_there_once() {
        assert_eq!(words("  Société ÉCLATÄNTE societe"), ["societe", "eclatante"]);
        assert_eq!(words("jane.doe@acme.test"), ["jane", "doe", "acme", "test"]);
        assert!(words("*:* ?? // {} [] () ^~ \\").is_empty());
        assert_eq!(terms(" Jane@Acme.TEST ").1.mail.as_deref(), Some("jane@acme.test"));
        assert_eq!(terms("Acme,  Ltd").1, QueryReadings::default());
        assert_eq!(terms("+44 (0)20 7946").1.numbers, ["64970244", "6497024400"]);
        for extended in
            ["020 7946 0018 x12", "020 7946 0018 ext. 12", "020 7946 0018#12", "020 7946 0018, ext: 12"]
        {
            let is_plain = !extended.contains(',');
            assert_eq!(
                terms(extended).1.numbers.first().is_some_and(|n| n == "81006497020"),
                is_plain,
                "{extended}"
            );
        }
        assert!(terms("020 7946 0018 or 020 7946 0019").1.numbers.is_empty());
    }

    #[test]
    fn a_phone_number_is_found_however_it_is_written() {
        for stored in
            ["+44 20 7946 0018", "020 7946 0018", "(020) 7946-0018", "+44 (0)20 79460018", "0044 2079460018"]
        {
            for q in [
                "+44 20 7946 0018",
                "0044 20 7946 0018",
                "+442079460018",
                "020 7946 0018",
                "(020) 7946-0018",
                "+44 (0) 20 7946 0018",
                "7946-0018",
                "79460018",
                "460018",
            ] {
                assert!(finds(q, stored), "{q} finds {stored}");
            }
            for q in ["+44 20 7946 0019", "12-34-56", "60018", "020 7946 001"] {
                assert!(!finds(q, stored), "{q} does not find {stored}");
            }
        }
        assert!(finds("1-555-123-4567", "(555) 123-4567"));
        // A number that is stored without its country may be of any country.
        assert!(!finds("+33 20 7946 0018", "+44 20 7946 0018"));
        assert!(finds("+33 20 7946 0018", "020 7946 0018"));
    }

    #[test]
    fn a_number_beside_other_digits_is_still_a_number() {
        let (terms, _) = terms("12 020 7946 0018");
        assert!(!terms.first().unwrap().phone.matches("810064970244"));
        assert!(terms.get(1).unwrap().phone.matches("810064970244"));
        assert!(!super::terms("79460019").0.first().unwrap().fuzzy);
    }
}
