//! The marks of a query: phrases in quotation marks, and excluded words.

/// A stretch of a query's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Words as they come.
    Words(&'a str),
    /// Words that stand side by side.
    Phrase(&'a str),
    /// Words, side by side, that must not be there.
    Excluded(&'a str),
}

/// Takes a query apart at its marks. A mark that is none stays a part of the words around it. Examples are an open
/// quotation mark, and a hyphen inside a word or beside a space.
pub(super) fn pieces(q: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut loose, mut at, mut before) = (Vec::new(), 0, 0, ' ');
    while let Some(letter) = q.get(at..).and_then(|rest| rest.chars().next()) {
        let Some((piece, end)) = piece_at(q, at, before) else {
            (at, before) = (at + letter.len_utf8(), letter);
            continue;
        };
        pieces.extend(q.get(loose..at).map(Piece::Words));
        pieces.push(piece);
        (at, loose, before) = (end, end, ' ');
    }
    pieces.extend(q.get(loose..).map(Piece::Words));
    pieces
}

/// The phrase or exclusion that begins at a place behind the letter `before`, and where it ends.
fn piece_at(q: &str, at: usize, before: char) -> Option<(Piece<'_>, usize)> {
    let rest = q.get(at..)?;
    if let Some(rest) = rest.strip_prefix('-').filter(|_| before.is_whitespace()) {
        let (text, length) = find_quotation(rest).or_else(|| bare(rest))?;
        return Some((Piece::Excluded(text), at + 1 + length));
    }
    let (text, length) = find_quotation(rest).filter(|_| !before.is_alphanumeric())?;
    Some((Piece::Phrase(text), at + length))
}

/// The text between two quotation marks, and its length with them.
fn find_quotation(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix(is_quotation_mark)?;
    let end = rest.find(is_quotation_mark)?;
    let mark = rest.get(end..)?.chars().next()?;
    let inner = rest.get(..end).filter(|inner| inner.contains(char::is_alphanumeric))?;
    Some((inner, text.len() - rest.len() + end + mark.len_utf8()))
}

/// The text before the next space.
fn bare(text: &str) -> Option<(&str, usize)> {
    let word = text.split(char::is_whitespace).next()?;
    (!word.starts_with('-') && word.contains(char::is_alphanumeric)).then_some((word, word.len()))
}

/// Quotation marks as keyboards and word processors write them.
fn is_quotation_mark(letter: char) -> bool {
    matches!(letter, '"' | '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{ff02}')
}

#[cfg(test)]
mod tests {
    use super::Piece::{Excluded, Phrase, Words};
    use super::*;

    #[test]
    fn phrases_and_exclusions_are_told_from_words() {
        for (q, expected) in [
            ("jean-luc - picard", vec![Words("jean-luc - picard")]),
            ("\"jane doe\" acme", vec![Words(""), Phrase("jane doe"), Words(" acme")]),
            ("acme “jane doe”", vec![Words("acme "), Phrase("jane doe"), Words("")]),
            ("acme -jane", vec![Words("acme "), Excluded("jane"), Words("")]),
            ("-jean-luc", vec![Words(""), Excluded("jean-luc"), Words("")]),
            ("-\"jane doe\" -b", vec![Words(""), Excluded("jane doe"), Words(" "), Excluded("b"), Words("")]),
            ("\"jane doe", vec![Words("\"jane doe")]),
            ("acme -\"jane doe", vec![Words("acme "), Excluded("\"jane"), Words(" doe")]),
            ("\"\" \"-\"", vec![Words("\"\" \"-\"")]),
            ("5\" and 6\" pipes", vec![Words("5\" and 6\" pipes")]),
            ("--jane -- - -", vec![Words("--jane -- - -")]),
            ("", vec![Words("")]),
        ] {
            assert_eq!(pieces(q), expected, "{q}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_of_a_query_is_lost(q in "([a-c \"-]|\\PC){0,24}") {
            let marks = |letter: &char| letter.is_alphanumeric();
            let text = |piece: Piece<'_>| match piece {
                Words(text) | Phrase(text) | Excluded(text) => text.to_owned(),
            };
            let content: String = pieces(&q).into_iter().map(text).collect();
            proptest::prop_assert_eq!(content.chars().filter(marks).collect::<String>(), q.chars().filter(marks).collect::<String>());
        }
    }
}
