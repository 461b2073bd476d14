//! The part of a query that makes the order of hits, as `search::rank` says.

use serde_json::{Value, json};

use super::dsl::{all, any, equals, mark_word, precedes, prefix, prefixes, score, stands, typo};
use super::part::DocumentPart;
use crate::plan::{MembersPlan, SearchPlan};
use crate::search::index::EngineSearch;
use crate::search::matching::Match;
use crate::search::query::{QueryReadings, Term, name_words};
use crate::search::rank::{
    APART, EXACT, EXACT_OWN_NAME, NAME, NUMBER, SCORED_MAX, SHORT, SHORT_MAX, TIE, points, splits,
};
use crate::searchable_fields::{Class, LENGTH_MARK, REFERENCE_MARK, SearchableFields};

type Terms = [(Term, Vec<String>)];

/// The best of the document's own fields, its relatives', and a query taken apart into both of their names.
pub(super) fn best(find: &EngineSearch, terms: &Terms) -> Value {
    let plan = find.collection.get();
    let mut ways = vec![any(part_ways(&DocumentPart::own(plan), terms, &find.whole, EXACT_OWN_NAME))];
    let members =
        plan.members_to_search().map(|(_, members, searched)| best_member(find, terms, members, searched));
    let mut relatives: Vec<Value> = members.collect();
    if !plan.referred.is_empty() {
        relatives.push(any(ways_of_referred(plan, terms)));
    }
    match relatives.len() {
        // The best relative alone counts beside the document.
        2.. => ways.push(json!({"dis_max": {"queries": relatives}})),
        _ => ways.extend(relatives),
    }
    ways.extend(split(plan, terms));
    json!({"dis_max": {"queries": ways, "tie_breaker": TIE}})
}

/// The worth of a short name.
pub(super) fn short_name(terms: &Terms) -> Vec<Value> {
    let terms = name_words(terms.iter().map(|(term, _)| term)).len();
    let length = |words: usize| mark_word(LENGTH_MARK, &words.to_string());
    let within: Vec<String> = (1..=terms).map(length).collect();
    let worth = |less: usize| u32::try_from(SHORT_MAX - less).unwrap_or(0) * SHORT;
    let longer =
        (1..SHORT_MAX).map(|more| score(worth(more), equals("_search.words", &length(terms + more))));
    let ways = std::iter::once(score(worth(0), json!({"terms": {"_search.words": within}})));
    ways.chain(longer).collect()
}

/// The best of the members that a document embeds.
fn best_member(
    find: &EngineSearch,
    terms: &Terms,
    members: &MembersPlan,
    searched: SearchableFields,
) -> Value {
    let terms: Vec<Term> = terms.iter().map(|(term, _)| term.clone()).collect();
    let query = of_members(find, &terms, members, searched);
    super::member_query::best((members.path, members.joined), query)
}

/// The members that a term matches, each with its worth.
pub(super) fn of_members(
    find: &EngineSearch,
    terms: &[Term],
    members: &MembersPlan,
    searched: SearchableFields,
) -> Value {
    let terms: Vec<_> = terms.iter().map(|term| (term.clone(), Vec::new())).collect();
    any(part_ways(&DocumentPart::of_members(members, searched), &terms, &find.whole, EXACT))
}

/// The documents that a term matches by their own fields, as members.
pub(super) fn member(plan: &SearchPlan, terms: &[Term], whole: &QueryReadings) -> Value {
    let terms: Vec<_> = terms.iter().map(|term| (term.clone(), Vec::new())).collect();
    any(part_ways(&DocumentPart::own(plan), &terms, whole, EXACT))
}

/// The worth of each term in a part, and that of the whole query as the part's name, address or number.
fn part_ways(part: &DocumentPart, terms: &Terms, whole: &QueryReadings, own_name: u32) -> Vec<Value> {
    let mut ways: Vec<Value> = Vec::new();
    for (number, (term, apart)) in terms.iter().enumerate() {
        if number < SCORED_MAX {
            ways.push(best_way(part, term, apart));
        } else if own_name != EXACT_OWN_NAME {
            // Of a document that is searched, the query's filter asks for each term already.
            ways.push(score(0, part.any_way(term)));
        }
    }
    let name = name_words(terms.iter().map(|(term, _)| term));
    let length = mark_word(LENGTH_MARK, &name.len().to_string());
    // The words of a name stand before its length, and their further forms behind it.
    let is_word = |word: &&str| precedes(&part.words, &mark_word(Class::Name.mark(), word), &length);
    let is_name: Vec<Value> = name.iter().map(is_word).collect();
    let mut wholes = vec![score(own_name, all(is_name))];
    let is_whole = part.whole(whole);
    if !is_whole.is_empty() {
        wholes.push(score(EXACT, any(is_whole)));
    }
    ways.push(json!({"dis_max": {"queries": wholes}}));
    ways
}

/// The best of the ways in which a term matches a part; `apart` are documents that match by a member which they don't
/// embed.
fn best_way(part: &DocumentPart, term: &Term, apart: &[String]) -> Value {
    let mut ways = Vec::new();
    for class in part.classes() {
        ways.extend(word_ways(&part.words, class.mark(), class, term));
    }
    for digits in part.number_words() {
        ways.push(score(points(Class::Other, Match::Word), equals(&digits, &term.text)));
        if !term.exact {
            ways.push(score(points(Class::Other, Match::Prefix), prefix(&digits, &term.text)));
        }
    }
    let numbers = part.numbers(term);
    if !numbers.is_empty() {
        ways.push(score(NUMBER, any(numbers)));
    }
    if !apart.is_empty() {
        ways.push(score(APART, json!({"terms": {"id": apart}})));
    }
    json!({"dis_max": {"queries": ways}})
}

fn word_ways(field: &str, mark: char, class: Class, term: &Term) -> Vec<Value> {
    let worth = |how: Match, way: Value| score(points(class, how), way);
    if term.exact {
        return vec![worth(Match::Word, stands(field, mark, term))];
    }
    let one = |text: &str| {
        let text = mark_word(mark, text);
        [worth(Match::Word, equals(field, &text)), worth(Match::Prefix, prefix(field, &text))]
    };
    let typo = typo(field, &mark_word(mark, &term.text), term).map(|typo| worth(Match::Typo, typo));
    term.texts().flat_map(one).chain(typo).collect()
}

/// The worth of each term in the entities that a document refers to.
fn ways_of_referred(plan: &SearchPlan, terms: &Terms) -> Vec<Value> {
    let words = DocumentPart::own(plan).words;
    let ways = |term: &Term| word_ways(&words, REFERENCE_MARK, Class::Other, term);
    let terms = terms.iter().take(SCORED_MAX);
    terms.map(|(term, _)| json!({"dis_max": {"queries": ways(term)}})).collect()
}

/// All words stand in the document's name and in that of one relative, the query's first words in one and the others in the
/// other.
fn split(plan: &SearchPlan, terms: &Terms) -> Option<Value> {
    let each_prefix = |part: &DocumentPart, mark: char, terms: &Terms| -> Vec<Value> {
        let of_term = |term: &Term| prefixes(&part.words, mark, term);
        terms.iter().map(|(term, _)| any(of_term(term))).collect()
    };
    let (own, name) = (DocumentPart::own(plan), Class::Name.mark());
    let mut ways = Vec::new();
    for (at, own_first) in splits(terms.len()) {
        let (first, second) = terms.split_at(at);
        let (of_own, of_other) = if own_first { (first, second) } else { (second, first) };
        let of_own = each_prefix(&own, name, of_own);
        for (_, members, searched) in plan.members_to_search() {
            let names = each_prefix(&DocumentPart::of_members(members, searched), name, of_other);
            let mut parts = of_own.clone();
            parts.push(super::member_query::any((members.path, members.joined), all(names)));
            ways.push(all(parts));
        }
        if !plan.referred.is_empty() {
            ways.push(all([of_own, each_prefix(&own, REFERENCE_MARK, of_other)].concat()));
        }
    }
    let worth = u32::try_from(terms.len()).unwrap_or(0) * NAME;
    (!ways.is_empty()).then(|| score(worth, any(ways)))
}
