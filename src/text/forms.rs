//! Further forms under which the words of a text are found: written together, and parts of runs without spaces.

use super::{fold, is_letter};

/// The longest form; the letters beyond it are not compared.
const LETTERS_MAX: usize = 16;
/// A part is at least so long: one letter of a run says little, and is found at its beginning.
const PART_LETTERS_MIN: usize = 2;

/// The signs by which a text has further forms.
struct Signs {
    /// A mark over which a name is written together.
    connects: bool,
    /// A letter of a script without spaces.
    is_unspaced: bool,
    /// A letter of the Arabic article.
    has_article: bool,
}

impl Signs {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            let connects = text.bytes().any(|byte| matches!(byte, b'-' | b'\'' | b'.' | b'&'));
            return Self { connects, is_unspaced: false, has_article: false };
        }
        let mut signs = Self { connects: false, is_unspaced: false, has_article: false };
        for letter in text.chars() {
            signs.connects |= is_connector(letter);
            signs.is_unspaced |= is_unspaced(letter);
            signs.has_article |= is_of_article(letter);
        }
        signs
    }
}

/// Visits the forms of [`join`] if the text is a name, and those of [`parts`]. False when no part of the text can
/// have a form.
pub fn each_form(text: &str, is_name: bool, visit: &mut dyn FnMut(&str)) -> bool {
    if !is_name && text.is_ascii() {
        return false;
    }
    let Signs { connects, is_unspaced, has_article } = Signs::of(text);
    let are_joined = is_name && (connects || is_unspaced);
    let have_parts = is_unspaced || has_article;
    if !are_joined && !have_parts {
        return false;
    }
    let folded = fold(text);
    if are_joined {
        visit_joined(&folded, visit);
    }
    if have_parts {
        visit_parts(&folded, visit);
    }
    true
}

/// Visits the words of a name written together where people write them so. These are words around a hyphen, an
/// apostrophe, a full stop or an ampersand (`jeanluc`, `obrien`, `att`). Single letters side by side are written
/// together too (`jrr` for `J. R. R.`). Names in scripts without spaces are also written together over a space, with
/// either part first (`山田太郎` for `太郎 山田`).
pub fn join(name: &str, visit: &mut dyn FnMut(&str)) {
    let signs = Signs::of(name);
    // Most names have none of it.
    if signs.connects || signs.is_unspaced {
        visit_joined(&fold(name), visit);
    }
}

fn visit_joined(folded: &str, visit: &mut dyn FnMut(&str)) {
    let (mut group, mut gap): (Vec<&str>, &str) = (Vec::new(), "");
    for piece in pieces(folded) {
        if !piece.starts_with(is_letter) {
            gap = piece;
            continue;
        }
        if group.last().is_some_and(|last| !is_joined(last, gap, piece)) {
            visit_group(&group, visit);
            group.clear();
        }
        group.push(piece);
    }
    visit_group(&group, visit);
}

/// Visits a group's words written together, and in scripts without spaces also in the opposite order.
fn visit_group(group: &[&str], visit: &mut dyn FnMut(&str)) {
    if group.len() < 2 {
        return;
    }
    visit(&group.concat());
    if group.iter().all(|word| word.starts_with(is_unspaced)) {
        visit(&group.iter().rev().copied().collect::<String>());
    }
}

/// Words and the gaps between them, by turns.
fn pieces(folded: &str) -> impl Iterator<Item = &str> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        let is_word = is_letter(rest.chars().next()?);
        let end = rest.find(|letter: char| is_letter(letter) != is_word).unwrap_or(rest.len());
        let (piece, others) = rest.split_at(end);
        rest = others;
        Some(piece)
    })
}

/// Whether two words are written together as well.
fn is_joined(first: &str, gap: &str, second: &str) -> bool {
    let is_single = |word: &str| word.chars().count() == 1;
    let are_single = is_single(first) && is_single(second);
    if gap == " " && first.starts_with(is_unspaced) && second.starts_with(is_unspaced) {
        return true;
    }
    let mut marks = gap.chars().filter(|mark| !are_single || *mark != ' ');
    marks.all(is_connector) && (are_single || gap.chars().count() == 1)
}

fn is_connector(letter: char) -> bool {
    matches!(letter, '-' | '\u{2010}' | '\u{2011}' | '\'' | '\u{2019}' | '.' | '&')
}

/// The Arabic article, which is written together with its word.
const ARTICLE: &str = "\u{627}\u{644}";

fn is_of_article(letter: char) -> bool {
    matches!(letter, '\u{627}' | '\u{644}')
}

/// Visits the parts of runs of Chinese, Japanese, Korean, Thai and the like, which have no spaces between words. Each
/// ending of a run is a part, so that every word inside begins one. Of an Arabic word, the part behind its article.
pub fn parts(text: &str, visit: &mut dyn FnMut(&str)) {
    let signs = Signs::of(text);
    if signs.is_unspaced || signs.has_article {
        visit_parts(&fold(text), visit);
    }
}

fn visit_parts(folded: &str, visit: &mut dyn FnMut(&str)) {
    for run in folded.split(|letter: char| !is_letter(letter)) {
        let without_article = run.strip_prefix(ARTICLE);
        if let Some(rest) = without_article.filter(|rest| rest.chars().count() >= PART_LETTERS_MIN) {
            visit(rest);
        }
        let letters = run.chars().count();
        for (number, (start, letter)) in run.char_indices().enumerate().skip(1) {
            if letters - number < PART_LETTERS_MIN || !is_unspaced(letter) || is_inside(letter) {
                continue;
            }
            let rest = run.get(start..).unwrap_or_default();
            let end = rest.char_indices().nth(LETTERS_MAX).map_or(rest.len(), |(end, _)| end);
            visit(rest.get(..end).unwrap_or(rest));
        }
    }
}

/// Letters of scripts that are written without spaces between words (Korean: within names).
pub fn is_unspaced(letter: char) -> bool {
    letter >= '\u{e00}'
        && matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{318f}' | '\u{3400}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{20000}'..='\u{3ffff}')
}

/// Vowels and final consonants of a Korean syllable, which folding takes apart: no part begins with them.
fn is_inside(letter: char) -> bool {
    matches!(letter, '\u{1160}'..='\u{11ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    type Forms = fn(&str, &mut dyn FnMut(&str));

    fn all(of: Forms, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        of(text, &mut |form| found.push(form.to_owned()));
        found
    }

    #[test]
    fn words_are_written_together_where_people_do() {
        for (name, expected) in [
            ("Jean-Luc Picard", &["jeanluc"][..]),
            ("Smith‐Jones Ann", &["smithjones"]),
            ("J. R. R. Tolkien", &["jrr"]),
            ("J.R.R. Tolkien", &["jrr"]),
            ("AT&T Corp", &["att"]),
            ("A.B.C. Ltd", &["abc"]),
            ("H & M Ltd.", &["hm"]),
            ("Conan O’Brien", &["obrien"]),
            ("Anne-Marie O'Neill-Smith", &["annemarie", "oneillsmith"]),
            ("太郎 山田", &["太郎山田", "山田太郎"]),
            ("Acme 東京", &[]),
            ("Acme - Berlin", &[]),
            ("Acme Ltd.", &[]),
            ("Plan A", &[]),
            ("-", &[]),
            ("", &[]),
        ] {
            assert_eq!(all(join, name), expected, "{name}");
        }
    }

    #[test]
    fn the_parts_of_a_run_without_spaces_are_its_endings() {
        assert_eq!(all(parts, "山田太郎"), ["田太郎", "太郎"]);
        assert_eq!(all(parts, "Acme東京 Ltd"), ["東京"]);
        assert!(all(parts, "Société Éclatante").is_empty());
        assert!(all(parts, "محمد").is_empty());
        assert_eq!(all(parts, "عبد الرحمن"), ["رحمن"]);
        let korean = all(parts, "김철수");
        let expected = fold("철수");
        assert!(korean.contains(&expected), "{korean:?}");
        assert_eq!(korean.len(), 2, "{korean:?}");
        let long = "東".repeat(100);
        assert!(all(parts, &long).iter().all(|part| part.chars().count() <= LETTERS_MAX));
    }
}
