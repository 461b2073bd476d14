//! The part of a query that makes the order of hits, as `search::rank` says.

use serde_json::{Value, json};

use super::dsl::{Part, all, any, begun, equals, marked, prefix, scored, stands, typo};
use crate::search::index::Find;
use crate::search::matching::Match;
use crate::search::query::{Collection, Term, Whole, name_words};
use crate::search::rank::{
    APART, EXACT, EXACT_OWN_NAME, NAME, NUMBER, SCORED_MAX, SHORT, SHORT_MAX, TIE, points, splits,
};
use crate::searchable::{Class, LENGTH_MARK, ORGANISATION_MARK};

type Terms = [(Term, Vec<String>)];

/// The best of the document's own fields, its relatives', and a query taken apart into both of their names.
pub(super) fn best(find: &Find, terms: &Terms) -> Value {
    let part = Part::of(find.collection);
    let mut ways = vec![any(part_ways(part, terms, &find.whole, EXACT_OWN_NAME))];
    match find.collection {
        Collection::Organisations => ways.push(embedded(find, terms)),
        Collection::Contacts => ways.push(any(organisation_ways(terms))),
    }
    ways.extend(split(find.collection, terms));
    json!({"dis_max": {"queries": ways, "tie_breaker": TIE}})
}

/// What a short name is worth.
pub(super) fn short_name(terms: &Terms) -> Vec<Value> {
    let terms = name_words(terms.iter().map(|(term, _)| term)).len();
    let length = |words: usize| marked(LENGTH_MARK, &words.to_string());
    let within: Vec<String> = (1..=terms).map(length).collect();
    let worth = |less: usize| u32::try_from(SHORT_MAX - less).unwrap_or(0) * SHORT;
    let longer =
        (1..SHORT_MAX).map(|more| scored(worth(more), equals("_search.words", &length(terms + more))));
    let ways = std::iter::once(scored(worth(0), json!({"terms": {"_search.words": within}})));
    ways.chain(longer).collect()
}

/// The best of the contacts that an organisation embeds.
fn embedded(find: &Find, terms: &Terms) -> Value {
    let terms: Vec<_> = terms.iter().map(|(term, _)| (term.clone(), Vec::new())).collect();
    let query = any(part_ways(Part::Embedded, &terms, &find.whole, EXACT));
    json!({"nested": {"path": "contacts", "score_mode": "max", "query": query}})
}

/// The contacts that a term matches by their own fields.
pub(super) fn contact(terms: &[Term], whole: &Whole) -> Value {
    let terms: Vec<_> = terms.iter().map(|term| (term.clone(), Vec::new())).collect();
    any(part_ways(Part::Contact, &terms, whole, EXACT))
}

/// What each term is worth in a part, and what it is worth that the whole query is its name, address or number.
fn part_ways(part: Part, terms: &Terms, whole: &Whole, own_name: u32) -> Vec<Value> {
    let mut ways: Vec<Value> = Vec::new();
    for (number, (term, apart)) in terms.iter().enumerate() {
        if number < SCORED_MAX {
            ways.push(best_way(part, term, apart));
        } else if part != Part::Organisation {
            ways.push(scored(0, part.any_way(term)));
        }
    }
    let is_word = |mark: char, word: &str| equals(part.words(), &marked(mark, word));
    let name = name_words(terms.iter().map(|(term, _)| term));
    let mut is_name: Vec<Value> = name.iter().map(|word| is_word(Class::Name.mark(), word)).collect();
    is_name.push(is_word(LENGTH_MARK, &name.len().to_string()));
    let mut wholes = vec![scored(own_name, all(is_name))];
    let is_whole = part.whole(whole);
    if !is_whole.is_empty() {
        wholes.push(scored(EXACT, any(is_whole)));
    }
    ways.push(json!({"dis_max": {"queries": wholes}}));
    ways
}

/// The best of the ways in which a term matches a part; `apart` are organisations that match by a contact which they don't
/// embed.
fn best_way(part: Part, term: &Term, apart: &[String]) -> Value {
    let mut ways = Vec::new();
    for class in part.classes() {
        ways.extend(word_ways(part.words(), class.mark(), class, term));
    }
    let digits = part.number_words();
    ways.push(scored(points(Class::Other, Match::Word), equals(&digits, &term.text)));
    if !term.exact {
        ways.push(scored(points(Class::Other, Match::Prefix), prefix(&digits, &term.text)));
    }
    let numbers = part.numbers(term);
    if !numbers.is_empty() {
        ways.push(scored(NUMBER, any(numbers)));
    }
    if !apart.is_empty() {
        ways.push(scored(APART, json!({"terms": {"id": apart}})));
    }
    json!({"dis_max": {"queries": ways}})
}

fn word_ways(field: &str, mark: char, class: Class, term: &Term) -> Vec<Value> {
    let worth = |how: Match, way: Value| scored(points(class, how), way);
    if term.exact {
        return vec![worth(Match::Word, stands(field, mark, term))];
    }
    let one = |text: &str| {
        let text = marked(mark, text);
        [worth(Match::Word, equals(field, &text)), worth(Match::Prefix, prefix(field, &text))]
    };
    let typo = typo(field, &marked(mark, &term.text), term).map(|typo| worth(Match::Typo, typo));
    term.texts().flat_map(one).chain(typo).collect()
}

/// What each term is worth in the name of a contact's organisation.
fn organisation_ways(terms: &Terms) -> Vec<Value> {
    let ways = |term: &Term| word_ways(Part::Contact.words(), ORGANISATION_MARK, Class::Other, term);
    let terms = terms.iter().take(SCORED_MAX);
    terms.map(|(term, _)| json!({"dis_max": {"queries": ways(term)}})).collect()
}

/// All words stand in the organisation's name and in one contact's, the query's first words in one and the others in the
/// other.
fn split(collection: Collection, terms: &Terms) -> Option<Value> {
    let begun = |part: Part, mark: char, terms: &Terms| -> Vec<Value> {
        let begun = |term: &Term| begun(part.words(), mark, term);
        terms.iter().map(|(term, _)| any(begun(term))).collect()
    };
    let name = Class::Name.mark();
    let mut ways = Vec::new();
    for (at, own_first) in splits(terms.len()) {
        let (first, second) = terms.split_at(at);
        let (of_own, of_other) = if own_first { (first, second) } else { (second, first) };
        let mut parts = begun(Part::of(collection), name, of_own);
        match collection {
            Collection::Organisations => {
                let names = begun(Part::Embedded, name, of_other);
                parts.push(json!({"nested": {"path": "contacts", "query": all(names)}}));
            }
            Collection::Contacts => parts.extend(begun(Part::Contact, ORGANISATION_MARK, of_other)),
        }
        ways.push(all(parts));
    }
    let worth = u32::try_from(terms.len()).unwrap_or(0) * NAME;
    (!ways.is_empty()).then(|| scored(worth, any(ways)))
}
