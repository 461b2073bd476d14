//! The order of hits in the embedded index, as `search::rank` says.
//!
//! A word's position in a document says whose word it is: the document's own, or that of one of its members. These
//! places put the matches together, only for the documents that were found.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io;

use tantivy::index::InvertedIndexReader;
use tantivy::postings::{Postings, TermInfo};
use tantivy::schema::{Field as Column, IndexRecordOption};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term as IndexTerm};

use super::query::{after_prefix, typo};
use crate::engine::embedded::index::keys::{mail_key, name_key};
use crate::engine::embedded::index::owner::{OWN, owner_at};
use crate::engine::embedded::index::schema::{IndexFields, SearchFields};
use crate::search::index::EngineSearch;
use crate::search::matching::Match;
use crate::search::query::{QueryReadings, Term, name_words};
use crate::search::rank::{
    APART, EXACT, EXACT_OWN_NAME, NAME, NUMBER, POINT, SCORED_MAX, SHORT, SHORT_MAX, points, splits,
};
use crate::searchable_fields::Class;

/// The parts of a query that decide the worth of its hits.
#[derive(Clone)]
pub(super) struct Ranking {
    id: Column,
    search: SearchFields,
    /// Each with the ids of the documents that match by a member which they don't embed.
    terms: Vec<(Term, Vec<String>)>,
    whole: QueryReadings,
    /// True where members are ordered by their own fields alone.
    is_of_members: bool,
}

/// Something of the query that stands at a place of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct QueryPlace {
    /// The number of the hit.
    hit: usize,
    /// Whose it is.
    owner: u32,
    /// The number of the term; behind the last, the whole query.
    term: usize,
    worth: u32,
    /// True when it stands in a name as it was typed.
    named: bool,
}

/// Where the entities that a document refers to stand among the owners: behind all members.
const REFERRED: u32 = 1 << 24;

/// The worth of one owner of a hit, and the terms that stand in its name.
#[derive(Debug, Clone, Copy, Default)]
struct Owner {
    owner: u32,
    worth: u32,
    in_name: u32,
}

impl Ranking {
    pub(super) fn of((fields, search): (&IndexFields, &SearchFields), find: &EngineSearch) -> Self {
        let (terms, whole) = (find.terms.clone().unwrap_or_default(), find.whole.clone());
        Self { id: fields.id, search: search.clone(), terms, whole, is_of_members: false }
    }

    /// Of members by their own fields.
    pub(super) fn of_members(
        (fields, search): (&IndexFields, &SearchFields),
        terms: &[Term],
        whole: &QueryReadings,
    ) -> Self {
        let terms = terms.iter().map(|term| (term.clone(), Vec::new())).collect();
        Self { id: fields.id, search: search.clone(), terms, whole: whole.clone(), is_of_members: true }
    }

    /// The worth of each of `docs`, which are in ascending order.
    pub(super) fn scores(&self, reader: &SegmentReader, docs: &[DocId]) -> tantivy::Result<Vec<u32>> {
        let mut places = Vec::new();
        for (number, (term, owners)) in self.terms.iter().enumerate().take(SCORED_MAX) {
            let mut found = TermPlaces { reader, docs, term: number, places: &mut places };
            self.find_term(&mut found, term)?;
            for owner in owners {
                found.put_equal(self.id, owner, &|_| Worth::of(APART))?;
            }
        }
        let mut found = TermPlaces { reader, docs, term: self.terms.len(), places: &mut places };
        self.find_whole(&mut found)?;
        places.sort_unstable();
        let words = self.name_words().len();
        let lengths = reader.fast_fields().u64("length")?;
        let mut scores = Vec::with_capacity(docs.len());
        let mut rest = places.as_slice();
        for (hit, doc) in docs.iter().enumerate() {
            let (of_hit, others) = rest.split_at(rest.partition_point(|place| place.hit == hit));
            rest = others;
            let owners = owners(of_hit);
            scores.push(if self.is_of_members {
                owners.first().map_or(0, |own| own.worth)
            } else {
                self.worth(&owners) + self.short(lengths.first(*doc), words)
            });
        }
        Ok(scores)
    }

    fn find_term(&self, found: &mut TermPlaces<'_>, term: &Term) -> tantivy::Result<()> {
        for class in Class::ALL {
            found.put_words(self.search.of_class(class), term, class, OWN)?;
        }
        if !self.is_of_members {
            found.put_words(self.search.referred, term, Class::Other, REFERRED)?;
        }
        for ending in &term.phone.endings {
            found.put_begun(self.search.phone, ending, &|_| Worth::of(NUMBER))?;
        }
        for number in &term.phone.whole {
            found.put_equal(self.search.phone, number, &|_| Worth::of(NUMBER))?;
        }
        Ok(())
    }

    /// Finds where the whole query is a name, an address or a number.
    fn find_whole(&self, found: &mut TermPlaces<'_>) -> tantivy::Result<()> {
        let has_own = !self.is_of_members;
        let name = name_key(self.name_words().into_iter());
        found.put_equal(self.search.whole, &name, &|owner| {
            Worth::of(if has_own && owner == OWN { EXACT_OWN_NAME } else { EXACT })
        })?;
        if let Some(mail) = &self.whole.mail {
            found.put_equal(self.search.whole, &mail_key(mail), &|_| Worth::of(EXACT))?;
        }
        for number in &self.whole.numbers {
            found.put_equal(self.search.phone, number, &|_| Worth::of(EXACT))?;
        }
        for id in &self.whole.ids {
            found.put_equal(self.id, id, &|_| Worth::of(EXACT))?;
        }
        Ok(())
    }

    /// The best of the owners, a little of the others, and a query taken apart into two names.
    fn worth(&self, owners: &[Owner]) -> u32 {
        let own = owners.iter().find(|owner| owner.owner == OWN).copied().unwrap_or_default();
        let others = || owners.iter().filter(|owner| owner.owner != OWN);
        let other = others().map(|owner| owner.worth).max().unwrap_or(0);
        let of_first = |at: usize| (1_u32 << at) - 1;
        let all = of_first(self.terms.len().min(SCORED_MAX));
        let is_split = splits(self.terms.len()).any(|(at, own_first)| {
            let (first, second) = (of_first(at), all & !of_first(at));
            let (of_own, of_other) = if own_first { (first, second) } else { (second, first) };
            own.in_name & of_own == of_own && others().any(|owner| owner.in_name & of_other == of_other)
        });
        let split = if is_split { u32::try_from(self.terms.len()).unwrap_or(0) * NAME } else { 0 };
        let best = own.worth.max(other).max(split);
        best + (own.worth + other + split - best) / POINT
    }

    fn name_words(&self) -> BTreeSet<&str> {
        name_words(self.terms.iter().map(|(term, _)| term))
    }

    fn short(&self, length: Option<u64>, words: usize) -> u32 {
        let Some(length) = length.filter(|length| *length > 0) else { return 0 };
        let longer = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(words);
        u32::try_from(SHORT_MAX.saturating_sub(longer)).unwrap_or(0) * SHORT
    }
}

/// The worth of each owner of a hit: of a term the best of its places counts.
fn owners(places: &[QueryPlace]) -> Vec<Owner> {
    let mut owners: Vec<Owner> = Vec::new();
    let mut places = places.iter().peekable();
    while let Some(place) = places.next() {
        let is_same = |next: &&&QueryPlace| (next.owner, next.term) == (place.owner, place.term);
        // Of the same term and owner the last is worth most.
        if places.peek().filter(is_same).is_some() {
            continue;
        }
        if owners.last().is_none_or(|last| last.owner != place.owner) {
            owners.push(Owner { owner: place.owner, ..Owner::default() });
        }
        if let Some(owner) = owners.last_mut() {
            owner.worth += place.worth;
            if place.named {
                owner.in_name |= 1 << place.term;
            }
        }
    }
    owners
}

/// The places of one term that are found until now.
struct TermPlaces<'a> {
    reader: &'a SegmentReader,
    docs: &'a [DocId],
    term: usize,
    places: &'a mut Vec<QueryPlace>,
}

impl TermPlaces<'_> {
    /// The words of a field that a term matches, of owners from `first` on.
    fn put_words(&mut self, field: Column, term: &Term, class: Class, first: u32) -> tantivy::Result<()> {
        let is_name = class == Class::Name || first == REFERRED;
        let worth = |how| Worth { of: points(class, how), named: is_name && how != Match::Typo, first };
        if term.exact {
            return self.put_phrase(field, &term.text, worth(Match::Word));
        }
        for text in term.texts() {
            self.put_begun(field, text, &|is_whole| {
                worth(if is_whole { Match::Word } else { Match::Prefix })
            })?;
        }
        if !term.fuzzy {
            return Ok(());
        }
        let index = self.reader.inverted_index(field)?;
        let mut near = index.terms().search(typo(field, &term.text).automaton()?).into_stream()?;
        while near.advance() {
            if !near.key().starts_with(term.text.as_bytes()) {
                self.put(&index, near.value(), &|_| worth(Match::Typo))?;
            }
        }
        Ok(())
    }

    /// The words of a field that begin with a text; `worth` is told whether the text is the whole word.
    fn put_begun(&mut self, field: Column, text: &str, worth: &dyn Fn(bool) -> Worth) -> tantivy::Result<()> {
        let index = self.reader.inverted_index(field)?;
        let range = index.terms().range().ge(text);
        let range = match after_prefix(text) {
            Some(end) => range.lt(end),
            None => range,
        };
        let mut stream = range.into_stream()?;
        while stream.advance() {
            let is_whole = stream.key().len() == text.len();
            self.put(&index, stream.value(), &|_| worth(is_whole))?;
        }
        Ok(())
    }

    /// The one text of a field; `worth` is told whose it is.
    fn put_equal(&mut self, field: Column, text: &str, worth: &dyn Fn(u32) -> Worth) -> tantivy::Result<()> {
        let index = self.reader.inverted_index(field)?;
        match index.get_term_info(&IndexTerm::from_field_text(field, text))? {
            Some(info) => Ok(self.put(&index, &info, worth)?),
            None => Ok(()),
        }
    }

    /// The words of a field that stand side by side.
    fn put_phrase(&mut self, field: Column, phrase: &str, worth: Worth) -> tantivy::Result<()> {
        let index = self.reader.inverted_index(field)?;
        let mut begins: Option<BTreeSet<(usize, u32)>> = None;
        for (distance, word) in (0..).zip(phrase.split(' ')) {
            let mut found = BTreeSet::new();
            if let Some(info) = index.get_term_info(&IndexTerm::from_field_text(field, word))? {
                visit_positions(&index, &info, self.docs, &mut |hit, position| {
                    found.extend(position.checked_sub(distance).map(|begin| (hit, begin)));
                })?;
            }
            begins = Some(match begins {
                Some(begins) => begins.intersection(&found).copied().collect(),
                None => found,
            });
        }
        let begins = begins.unwrap_or_default();
        begins.into_iter().for_each(|(hit, position)| self.push(hit, owner_at(position), worth));
        Ok(())
    }

    /// The places of a word, in the documents that were found.
    fn put(
        &mut self,
        index: &InvertedIndexReader,
        info: &TermInfo,
        worth: &dyn Fn(u32) -> Worth,
    ) -> io::Result<()> {
        visit_positions(index, info, self.docs, &mut |hit, position| {
            let owner = owner_at(position);
            self.push(hit, owner, worth(owner));
        })
    }

    fn push(&mut self, hit: usize, owner: u32, Worth { of, named, first }: Worth) {
        let (term, owner) = (self.term, first + owner);
        self.places.push(QueryPlace { hit, owner, term, worth: of, named });
    }
}

/// Visits the positions of a word in `docs`, each with the number of its document among them.
fn visit_positions(
    index: &InvertedIndexReader,
    info: &TermInfo,
    docs: &[DocId],
    visit: &mut dyn FnMut(usize, u32),
) -> io::Result<()> {
    let mut postings = index.read_postings_from_terminfo(info, IndexRecordOption::WithFreqsAndPositions)?;
    let (mut hit, mut doc, mut positions) = (0, postings.doc(), Vec::new());
    while doc != TERMINATED {
        let Some(target) = docs.get(hit) else { break };
        match target.cmp(&doc) {
            Ordering::Less => {
                let later = docs.get(hit..).unwrap_or_default();
                hit += later.partition_point(|other| *other < doc);
            }
            Ordering::Greater => doc = postings.seek(*target),
            Ordering::Equal => {
                // A field that tells no owners has no positions.
                postings.positions(&mut positions);
                if positions.is_empty() {
                    positions.push(OWN);
                }
                positions.iter().for_each(|position| visit(hit, *position));
                (hit, doc) = (hit + 1, postings.advance());
            }
        }
    }
    Ok(())
}

/// The worth of a place.
#[derive(Debug, Clone, Copy)]
struct Worth {
    of: u32,
    named: bool,
    /// The number of the first owner.
    first: u32,
}

impl Worth {
    fn of(of: u32) -> Self {
        Self { of, named: false, first: OWN }
    }
}
