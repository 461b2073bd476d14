//! The place where a page begins: after the sort value and the id of a hit, in the view of the page before. Scores
//! depend on the document and the query alone. So without the view, documents that change meanwhile move no others.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use super::sort::{Key, Sort};
use crate::error::{Error, Result};

/// The place after a hit, in the order of a search, then by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// The sort value of the hit before.
    pub key: Key,
    /// Its id.
    pub id: String,
    /// The number of the view, when one is kept.
    pub view: Option<u64>,
}

impl Cursor {
    /// The cursor as text; `search` tells one search from another.
    pub fn text(&self, search: &str) -> String {
        let key = match &self.key {
            Key::Score(score) => format!("{score:x}"),
            // The bits, because a hyphen parts a cursor.
            Key::Integer(number) => format!("n{:x}", number.cast_unsigned()),
            Key::Number(number) => format!("r{:x}", number.to_bits()),
            Key::Text(text) => format!("t{}", hex(text)),
            Key::Missing => "m".to_owned(),
        };
        let mut text = format!("{key}-{:016x}-{}", xxh3_64(search.as_bytes()), hex(&self.id));
        if let Some(view) = self.view {
            let _ = write!(text, "-{view:x}");
        }
        text
    }

    /// Reads a cursor of `search`, whose hits are in the order `sort`.
    ///
    /// # Errors
    /// When it is none, or one of another search.
    pub fn parse(text: &str, search: &str, sort: Option<Sort>) -> Result<Self> {
        let none = || Error::usage("after: this is no cursor; take `next` of the page before as it is");
        let mut parts = text.splitn(4, '-');
        let mut part = || parts.next().ok_or_else(none);
        let key = key(part()?).filter(|key| key.fits(sort)).ok_or_else(none)?;
        let hash = u64::from_str_radix(part()?, 16).map_err(|_| none())?;
        let id = unhex(part()?).ok_or_else(none)?;
        let view = parts.next().map(|view| u64::from_str_radix(view, 16).map_err(|_| none())).transpose()?;
        if hash != xxh3_64(search.as_bytes()) {
            return Err(Error::usage(
                "after: this cursor belongs to another search; q, in, under, filter and sort must stay the same",
            ));
        }
        Ok(Self { key, id, view })
    }
}

fn key(text: &str) -> Option<Key> {
    if text == "m" {
        return Some(Key::Missing);
    }
    if let Some(bits) = text.strip_prefix('n') {
        return u64::from_str_radix(bits, 16).ok().map(|bits| Key::Integer(bits.cast_signed()));
    }
    if let Some(bits) = text.strip_prefix('r') {
        let number = u64::from_str_radix(bits, 16).ok().map(f64::from_bits);
        return number.filter(|number| number.is_finite()).map(Key::Number);
    }
    match text.strip_prefix('t') {
        Some(text) => unhex(text).map(Key::Text),
        None => u32::from_str_radix(text, 16).ok().map(Key::Score),
    }
}

fn hex(text: &str) -> String {
    let mut out = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        // Writing to a string can't fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn unhex(text: &str) -> Option<String> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Collection, ORGANISATIONS};

    #[test]
    fn a_cursor_reads_as_it_was_written_for_its_own_search_only() {
        let cursor = Cursor { key: Key::Score(2016), id: "ö/1 -%".to_owned(), view: None };
        let by = |name| Sort::of_name(name, Collection::of(ORGANISATIONS).unwrap()).unwrap();
        let (name, date) = (by("-name"), by("-createdAt"));
        for (key, sort, other) in [
            (Key::Integer(-3), date, name),
            (Key::Text("é-x".to_owned()), name, date),
            (Key::Text(String::new()), name, None),
            (Key::Missing, date, None),
        ] {
            let sorted = Cursor { key, ..cursor.clone() };
            assert_eq!(Cursor::parse(&sorted.text("a"), "a", sort).unwrap(), sorted);
            assert!(Cursor::parse(&sorted.text("a"), "a", other).is_err());
        }
        assert_eq!(Cursor::parse(&cursor.text("a"), "a", None).unwrap(), cursor);
        let of_view = Cursor { view: Some(77), ..cursor.clone() };
        assert_eq!(Cursor::parse(&of_view.text("a"), "a", None).unwrap(), of_view);
        assert!(Cursor::parse(&cursor.text("a"), "b", None).is_err());
        let wrong_view = of_view.text("a") + "-1";
        for wrong in ["", "not-a-cursor", "1-2-3", "1-2-zz", "é", "1-0000000000000000-+1", &wrong_view] {
            assert_eq!(Cursor::parse(wrong, "a", None).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
