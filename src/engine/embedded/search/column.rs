//! The sort values of hits, as numbers within a segment: the least comes first.

use tantivy::columnar::{Column as Numbers, MonotonicallyMappableToU64, StrColumn};
use tantivy::{DocId, SegmentReader};

use crate::engine::embedded::index::schema::sort_column;
use crate::search::sort::{Key, Sort};
use crate::searchable_fields::SortKind;

/// The number of a document that lacks the field.
const LAST: u64 = u64::MAX;

/// The sort values of a segment's hits.
pub(super) enum Column {
    /// Their score, the best first.
    Score,
    /// A name, by its number among the segment's names.
    Text(Option<StrColumn>, bool),
    /// A number without fraction, or a time.
    Integer(Option<Numbers<i64>>, bool),
    /// A number.
    Number(Option<Numbers<f64>>, bool),
}

impl Column {
    pub(super) fn of(sort: Option<Sort>, reader: &SegmentReader) -> tantivy::Result<Self> {
        let Some(Sort { by, descending }) = sort else { return Ok(Self::Score) };
        let (fast, name) = (reader.fast_fields(), sort_column(by));
        Ok(match by.kind {
            SortKind::Title => Self::Text(fast.str(&name)?, descending),
            SortKind::Integer | SortKind::Date => Self::Integer(fast.column_opt(&name)?, descending),
            SortKind::Number => Self::Number(fast.column_opt(&name)?, descending),
        })
    }

    /// The number of a document of this score.
    pub(super) fn number(&self, doc: DocId, score: u32) -> u64 {
        match self {
            Self::Score => of_score(score),
            Self::Text(names, descending) => {
                let name = names.as_ref().and_then(|names| names.term_ords(doc).next());
                name.map_or(LAST, |ordinal| orient(ordinal, *descending))
            }
            Self::Integer(numbers, descending) => numbers
                .as_ref()
                .and_then(|numbers| numbers.first(doc))
                .map_or(LAST, |number| orient(of_integer(number), *descending)),
            Self::Number(numbers, descending) => numbers
                .as_ref()
                .and_then(|numbers| numbers.first(doc))
                .map_or(LAST, |number| orient(of_number(number), *descending)),
        }
    }

    /// The sort value with this number.
    pub(super) fn key(&self, number: u64) -> tantivy::Result<Key> {
        Ok(match self {
            Self::Score => Key::Score(u32::MAX - u32::try_from(number).unwrap_or(u32::MAX)),
            _ if number == LAST => Key::Missing,
            Self::Text(None, _) => Key::Missing,
            Self::Text(Some(names), descending) => {
                let mut name = String::new();
                names.ord_to_str(orient(number, *descending), &mut name)?;
                Key::Text(name)
            }
            Self::Integer(_, descending) => Key::Integer((orient(number, *descending) ^ SIGN).cast_signed()),
            Self::Number(_, descending) => Key::Number(f64::from_u64(orient(number, *descending))),
        })
    }

    /// The first number that may come after a hit with this key, and whether it is that hit's own: then ids tell.
    pub(super) fn number_after(&self, key: &Key) -> tantivy::Result<(u64, bool)> {
        Ok(match (self, key) {
            (Self::Score, Key::Score(score)) => (of_score(*score), true),
            (Self::Integer(_, descending), Key::Integer(number)) => {
                (orient(of_integer(*number), *descending), true)
            }
            (Self::Number(_, descending), Key::Number(number)) => {
                (orient(of_number(*number), *descending), true)
            }
            (Self::Text(Some(names), descending), Key::Text(name)) => {
                let above = first_ordinal_above(names, name)?;
                let mut text = String::new();
                let is_held = match above.checked_sub(1) {
                    Some(ordinal) => names.ord_to_str(ordinal, &mut text)? && text == *name,
                    None => false,
                };
                match (is_held, descending) {
                    (true, _) => (orient(above - 1, *descending), true),
                    (false, false) => (above, false),
                    // Later names are lower, and a document without a name is last.
                    (false, true) => {
                        (above.checked_sub(1).map_or(LAST, |ordinal| orient(ordinal, true)), false)
                    }
                }
            }
            // Only documents that lack the field are left.
            (_, Key::Missing) => (LAST, true),
            (_, _) => (LAST, false),
        })
    }
}

/// The sign of a number, turned so that negative ones come first.
const SIGN: u64 = 1 << 63;

fn of_integer(number: i64) -> u64 {
    number.cast_unsigned() ^ SIGN
}

/// In the order of the numbers; the two zeros are one.
fn of_number(number: f64) -> u64 {
    (if number == 0.0 { 0.0 } else { number }).to_u64()
}

fn of_score(score: u32) -> u64 {
    u64::from(u32::MAX - score)
}

/// A number in its direction, and back; none is [`LAST`].
fn orient(number: u64, descending: bool) -> u64 {
    if descending { (LAST - 1).saturating_sub(number) } else { number.min(LAST - 1) }
}

/// The number of the first text above `text`.
pub(super) fn first_ordinal_above(texts: &StrColumn, text: &str) -> std::io::Result<u64> {
    let (mut low, mut high) = (0, texts.num_terms() as u64);
    let mut term = Vec::new();
    while low < high {
        let middle = low + (high - low) / 2;
        term.clear();
        texts.dictionary().ord_to_term(middle, &mut term)?;
        if term.as_slice() <= text.as_bytes() { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
