//! The order of hits (`docs/search.md`): the worth of a match, in whole numbers that depend on the document and the
//! query alone. Engines agree on them, and a cursor stays good while other documents change.
//!
//! A score is a number of five parts, the first of which decides most:
//!
//! | part | worth | of |
//! |---|---|---|
//! | the whole query is a name, an address or a number | [`EXACT`] | the best of the document and its relatives |
//! | how many words stand in one name | [`NAME`] | the same |
//! | where the words stand, and how well they match | [`POINT`] | the same |
//! | how short the name is | [`SHORT`] | the document |
//! | where the words stand in the others | 1 | the document beside its best relative, or the other way round |
//!
//! The relatives of a document are the members that it embeds and the entities that it refers to. The model says which
//! of them are searched with it.
//!
//! The largest score is below 2^24: up to there every whole number is one that an engine's float holds.

use serde_json::Value;

use super::matching::{self, Match};
use super::query::{QueryReadings, Term, name_words};
use crate::searchable_fields::{Class, SearchableFields, Words, each_text, has_word};
use crate::text::{each_number, stands};

/// Only so many words of a query make an order; all must match.
pub const SCORED_MAX: usize = 8;
/// A query of more words is not taken apart into the names of a document and of a relative.
pub const SPLIT_MAX: usize = 6;

/// The document's name has one word less.
pub const SHORT: u32 = 1 << 8;
/// The most that a short name is worth, in units of [`SHORT`].
pub const SHORT_MAX: usize = 3;
/// One point of [`points`].
pub const POINT: u32 = 1 << 10;
/// One word of the query stands in the name.
pub const NAME: u32 = 1 << 17;
/// The whole query is a member's name, or an e-mail address or phone number.
pub const EXACT: u32 = 2 << 21;
/// The whole query is the document's own name.
pub const EXACT_OWN_NAME: u32 = 3 << 21;
/// The share that counts of all but the best.
pub const TIE: f32 = 1.0 / 1_024.0;

/// The worth of a query's word in a field of this class. A name says more than an e-mail address, an address more
/// than a role, and a role more than the rest. A typed word says more than one that it may have meant.
pub fn points(class: Class, how: Match) -> u32 {
    match (class, how) {
        (Class::Name, Match::Word) => NAME + 15 * POINT,
        (Class::Name, Match::Prefix) => NAME + 14 * POINT,
        (Class::Mail, Match::Word) => NUMBER,
        (Class::Mail, Match::Prefix) => 12 * POINT,
        (Class::Role, Match::Word) => 11 * POINT,
        (Class::Role, Match::Prefix) => 10 * POINT,
        (Class::Other, Match::Word) => 9 * POINT,
        (Class::Other, Match::Prefix) => 8 * POINT,
        (Class::Name, Match::Typo) => 7 * POINT,
        (_, Match::Typo) => 6 * POINT,
    }
}

/// The worth of a phone number.
pub const NUMBER: u32 = 13 * POINT;
/// The worth of a member that its document does not embed.
pub const APART: u32 = 9 * POINT;

/// The ways to take a query of so many words apart into a document's name and that of one relative. A way is the first
/// word of the second part, and whether the document's name comes first.
pub fn splits(terms: usize) -> impl Iterator<Item = (usize, bool)> {
    let end = if terms > SPLIT_MAX { 0 } else { terms };
    (1..end).flat_map(|at| [(at, true), (at, false)])
}

/// Whether a member may match any of the terms. It is asked before [`member`], which needs all words.
pub fn may_match(document: &Value, searched: SearchableFields, terms: &[Term]) -> bool {
    let is_wanted = |word: &str| terms.iter().any(|term| matching::word(term, word).is_some());
    let mut is_number = false;
    for phone in searched.phones.iter().filter_map(|field| document.get(*field)) {
        each_text(phone, &mut |phone| {
            each_number(phone, &mut |number| {
                is_number |= terms.iter().any(|term| term.phone.matches(number))
            });
        });
    }
    is_number || terms.iter().any(Term::is_phrase) || has_word(document, searched, is_wanted)
}

/// The worth of a member by its own fields; `None` when no word matches.
pub fn member(words: &Words, terms: &[Term], whole: &QueryReadings) -> Option<u32> {
    let mut sum = None;
    for (number, term) in terms.iter().enumerate() {
        let counts = u32::from(number < SCORED_MAX);
        if let Some(points) = term_points(words, term) {
            sum = Some(sum.unwrap_or(0) + points * counts);
        }
    }
    Some(sum? + exact(words, terms, whole))
}

fn term_points(words: &Words, term: &Term) -> Option<u32> {
    let number = words.phones.iter().any(|phone| term.phone.matches(phone)).then_some(NUMBER);
    if term.is_phrase() {
        let runs = words.runs.iter().filter(|(_, run)| stands(run.as_bytes(), term.text.as_bytes()));
        return runs.map(|(class, _)| points(*class, Match::Word)).chain(number).max();
    }
    let of_words =
        words.words_and_forms().filter_map(|(class, word)| Some(points(class, matching::word(term, word)?)));
    of_words.chain(number).max()
}

fn exact(words: &Words, terms: &[Term], whole: &QueryReadings) -> u32 {
    let is_mail = whole.mail.is_some() && whole.mail == words.mail;
    let is_number = words.phones.iter().any(|phone| whole.numbers.contains(phone));
    if is_mail || is_number || is_name(words, terms) { EXACT } else { 0 }
}

/// True when the query's words are the name's, in any order.
fn is_name(words: &Words, terms: &[Term]) -> bool {
    let query = name_words(terms);
    let name = words.name();
    name.len() == query.len() && name.iter().all(|word| query.contains(word))
}
