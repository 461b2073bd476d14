//! Where a page begins: after a score and an id, in the view of the index that the page before was taken
//! from. Scores depend on the document and the query alone, so that without the view documents which change
//! meanwhile move no others.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};

/// The place after a hit, in the order of a search: by score, best first, then by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The score of the hit before.
    pub score: u32,
    /// Its id.
    pub id: String,
    /// The number of the view, when one is kept.
    pub view: Option<u64>,
}

impl Cursor {
    /// The cursor as text; `search` tells one search from another.
    pub fn text(&self, search: &str) -> String {
        let mut text = format!("{:x}-{:016x}-", self.score, xxh3_64(search.as_bytes()));
        for byte in self.id.bytes() {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
        }
        if let Some(view) = self.view {
            let _ = write!(text, "-{view:x}");
        }
        text
    }

    /// Reads a cursor of `search`.
    ///
    /// # Errors
    /// When it is none, or one of another search.
    pub fn parse(text: &str, search: &str) -> Result<Self> {
        let none = || Error::usage("after: this is no cursor; take `next` of the page before as it is");
        let mut parts = text.splitn(4, '-');
        let mut part = || parts.next().ok_or_else(none);
        let score = u32::from_str_radix(part()?, 16).map_err(|_| none())?;
        let hash = u64::from_str_radix(part()?, 16).map_err(|_| none())?;
        let id = unhex(part()?).ok_or_else(none)?;
        let view = parts.next().map(|view| u64::from_str_radix(view, 16).map_err(|_| none())).transpose()?;
        if hash != xxh3_64(search.as_bytes()) {
            return Err(Error::usage(
                "after: this cursor belongs to another search; q, in, under and filter must stay the same",
            ));
        }
        Ok(Self { score, id, view })
    }
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

    #[test]
    fn a_cursor_reads_as_it_was_written_for_its_own_search_only() {
        let cursor = Cursor { score: 2016, id: "ö/1 -%".to_owned(), view: None };
        assert_eq!(Cursor::parse(&cursor.text("a"), "a").unwrap(), cursor);
        let kept = Cursor { view: Some(77), ..cursor.clone() };
        assert_eq!(Cursor::parse(&kept.text("a"), "a").unwrap(), kept);
        assert!(Cursor::parse(&cursor.text("a"), "b").is_err());
        let wrong_view = kept.text("a") + "-1";
        for wrong in ["", "not-a-cursor", "1-2-3", "1-2-zz", "é", "1-0000000000000000-+1", &wrong_view] {
            assert_eq!(Cursor::parse(wrong, "a").unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
