//! Query DSL of Elasticsearch, built from values: nothing of a request is ever pasted into a query
//! (<https://www.elastic.co/guide/en/elasticsearch/reference/current/query-dsl.html>).

use serde_json::{Value, json};

use super::order;
use crate::search::index::Find;
use crate::search::query::{Collection, Field, Term, Whole, by_field};
use crate::search::sort::{Key, Sort};
use crate::searchable::{Class, NUMBER_MARK, ORGANISATION_MARK, SortField};

/// The path of a filter's or facet's field.
pub(super) fn path(collection: Collection, field: Field) -> &'static str {
    match (collection, field) {
        (_, Field::Country) => "address.country",
        (_, Field::Industry) => "industry",
        (_, Field::Status) => "status",
        (_, Field::Tag) => "tags",
        (Collection::Organisations, Field::Role) => "contacts.role",
        (Collection::Organisations, Field::Department) => "contacts.department",
        (Collection::Contacts, Field::Role) => "role",
        (Collection::Contacts, Field::Department) => "department",
    }
}

/// The query of a search.
pub(super) fn query(find: &Find) -> Value {
    let mut filter: Vec<Value> = Vec::new();
    if let Some(under) = &find.under {
        filter.push(below(find.collection, under));
    }
    filter.extend(values(find.collection, &find.filters));
    if !find.contact_filters.is_empty() {
        filter.push(by_one_contact(find));
    }
    filter.extend(find.among.as_ref().map(|ids| json!({"terms": {"id": ids}})));
    let excluded = find.excluded.iter().map(|(term, owners)| anywhere(find.collection, term, owners));
    let excluded: Vec<Value> = excluded.collect();
    let terms = find.terms.as_deref().unwrap_or_default();
    if terms.is_empty() {
        return json!({"bool": {"filter": filter, "must_not": excluded}});
    }
    // One word is found by what makes its order; a phrase is not, because a name with its words in another order counts there.
    if terms.len() > 1 || terms.iter().any(|(term, _)| term.is_phrase()) {
        filter.extend(terms.iter().map(|(term, owners)| anywhere(find.collection, term, owners)));
    }
    let (best, short) = (order::best(find, terms), order::short_name(terms));
    json!({"bool": {"filter": filter, "must": [best], "must_not": excluded, "should": short}})
}

/// Each field has any of the values asked for.
pub(super) fn values(collection: Collection, filters: &[(Field, String)]) -> Vec<Value> {
    let any_of = |(field, values)| json!({"terms": {path(collection, field): values}});
    by_field(filters).into_iter().map(any_of).collect()
}

/// The order of hits, by id at last.
pub(super) fn sort(sort: Option<Sort>) -> Value {
    let Some(Sort { field, descending }) = sort else { return json!([{"_score": "desc"}, {"id": "asc"}]) };
    let order = if descending { "desc" } else { "asc" };
    if field == SortField::Name {
        // A name with accents has a second value without them, which is the lower one.
        let name = json!({"order": order, "mode": "min", "missing": "_last"});
        return json!([{"_search.sort": name}, {"id": "asc"}]);
    }
    json!([{field.name(): {"order": order, "missing": "_last"}}, {"id": "asc"}])
}

/// The sort value of a hit, as the server says it.
pub(super) fn key(sort: Option<&Value>) -> Key {
    let number = || match sort?.as_i64()? {
        // The server has these for a number that is not there.
        i64::MAX | i64::MIN => None,
        number => Some(Key::Number(number)),
    };
    let text = || Some(Key::Text(sort?.as_str()?.to_owned()));
    number().or_else(text).unwrap_or(Key::Missing)
}

/// The same for the server: where a page begins.
pub(super) fn after(key: &Key, sort: Option<Sort>) -> Value {
    match (key, sort) {
        (Key::Score(score), _) => json!(score),
        (Key::Number(number), _) => json!(number),
        (Key::Text(text), _) => json!(text),
        (Key::Missing, None | Some(Sort { field: SortField::Name, .. })) => Value::Null,
        (Key::Missing, Some(sort)) => json!(if sort.descending { i64::MIN } else { i64::MAX }),
    }
}

fn below(collection: Collection, id: &str) -> Value {
    let (own, ancestors) = match collection {
        Collection::Organisations => ("id", "ancestors.id"),
        Collection::Contacts => ("organisation.id", "organisation.ancestorIds"),
    };
    any(vec![equals(own, id), equals(ancestors, id)])
}

fn by_one_contact(find: &Find) -> Value {
    let values = values(find.collection, &find.contact_filters);
    let mut ways = vec![json!({"nested": {"path": "contacts", "query": {"bool": {"filter": values}}}})];
    if !find.contact_filters_met.is_empty() {
        ways.push(json!({"terms": {"id": find.contact_filters_met}}));
    }
    any(ways)
}

/// A term anywhere in the document.
fn anywhere(collection: Collection, term: &Term, owners: &[String]) -> Value {
    let part = Part::of(collection);
    let mut ways = part.ways(term);
    match collection {
        Collection::Organisations => {
            ways.push(json!({"nested": {"path": "contacts", "query": Part::Embedded.any_way(term)}}));
        }
        Collection::Contacts => {
            ways.extend(begun(part.words(), ORGANISATION_MARK, term));
            ways.extend(typo(part.words(), &marked(ORGANISATION_MARK, &term.text), term));
        }
    }
    if !owners.is_empty() {
        ways.push(json!({"terms": {"id": owners}}));
    }
    any(ways)
}

/// A part of a document with a name, an address and a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// An organisation, without its contacts.
    Organisation,
    /// A contact that an organisation embeds.
    Embedded,
    /// A contact's own document.
    Contact,
}

impl Part {
    /// The part that a document of the collection is by itself.
    pub(super) fn of(collection: Collection) -> Self {
        match collection {
            Collection::Organisations => Part::Organisation,
            Collection::Contacts => Part::Contact,
        }
    }

    /// Where one of its fields lies.
    fn at(self, field: &str) -> String {
        let before = if self == Part::Embedded { "contacts." } else { "" };
        format!("{before}{field}")
    }

    /// Where its words lie, each behind the mark of its field.
    pub(super) fn words(self) -> &'static str {
        if self == Part::Embedded { "contacts._search" } else { "_search.words" }
    }

    /// The classes of its words.
    pub(super) fn classes(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| *class != Class::Role || self != Part::Organisation)
    }

    /// The ways in which a term matches it.
    fn ways(self, term: &Term) -> Vec<Value> {
        let of_class = |class: Class| {
            let typo = typo(self.words(), &marked(class.mark(), &term.text), term);
            begun(self.words(), class.mark(), term).into_iter().chain(typo)
        };
        let mut ways: Vec<Value> = self.classes().flat_map(of_class).collect();
        ways.push(if term.exact {
            equals(&self.number_words(), &term.text)
        } else {
            prefix(&self.number_words(), &term.text)
        });
        ways.extend(self.numbers(term));
        ways
    }

    /// Any of the ways in which a term matches it.
    pub(super) fn any_way(self, term: &Term) -> Value {
        any(self.ways(term))
    }

    /// Where the groups of digits of its phone number lie.
    pub(super) fn number_words(self) -> String {
        self.at("phone.words")
    }

    /// The ways in which a term matches its phone number.
    pub(super) fn numbers(self, term: &Term) -> Vec<Value> {
        let number = |digits: &String| marked(NUMBER_MARK, digits);
        let ending = |digits: &String| prefix(self.words(), &number(digits));
        let mut ways: Vec<Value> = term.phone.endings.iter().map(ending).collect();
        if !term.phone.whole.is_empty() {
            let numbers: Vec<String> = term.phone.whole.iter().map(number).collect();
            ways.push(json!({"terms": {self.words(): numbers}}));
        }
        ways
    }

    /// The ways in which its e-mail address, its phone number or its id is the whole query.
    pub(super) fn whole(self, whole: &Whole) -> Vec<Value> {
        let mail = whole
            .mail
            .iter()
            .map(|mail| json!({"term": {self.at("email"): {"value": mail, "case_insensitive": true}}}));
        let number = |digits: &String| equals(self.words(), &marked(NUMBER_MARK, digits));
        // The organisation of a contact is among the ids.
        let id = whole.ids.iter().filter(|_| self != Part::Embedded).map(|id| equals("id", id));
        mail.chain(whole.numbers.iter().map(number)).chain(id).collect()
    }
}

/// A word behind the mark of its field.
pub(super) fn marked(mark: char, word: &str) -> String {
    format!("{mark}{word}")
}

/// The words of `term` side by side, each behind a mark.
pub(super) fn stands(field: &str, mark: char, term: &Term) -> Value {
    if !term.is_phrase() {
        return equals(field, &marked(mark, &term.text));
    }
    let words: Vec<String> = term.words().map(|word| marked(mark, word)).collect();
    json!({"match_phrase": {field: {"query": words.join(" ")}}})
}

/// Words that begin with a term's text, or with what it is together with its neighbours. Of an exact term the words.
pub(super) fn begun(field: &str, mark: char, term: &Term) -> Vec<Value> {
    if term.exact {
        return vec![stands(field, mark, term)];
    }
    term.texts().map(|text| prefix(field, &marked(mark, text))).collect()
}

/// Words that are one typo away from `word`, which is the term's behind a mark.
pub(super) fn typo(field: &str, word: &str, term: &Term) -> Option<Value> {
    // The rewrite that keeps every match: the usual one takes the nearest fifty words only.
    let fuzzy = json!({"fuzzy": {field: {
        "value": word, "fuzziness": 1, "prefix_length": 1, "transpositions": true, "rewrite": "constant_score",
    }}});
    term.fuzzy.then_some(fuzzy)
}

pub(super) fn all(parts: Vec<Value>) -> Value {
    json!({"bool": {"filter": parts}})
}

pub(super) fn any(ways: Vec<Value>) -> Value {
    json!({"bool": {"should": ways, "minimum_should_match": 1}})
}

pub(super) fn equals(field: &str, value: &str) -> Value {
    json!({"term": {field: {"value": value}}})
}

pub(super) fn prefix(field: &str, value: &str) -> Value {
    json!({"prefix": {field: {"value": value}}})
}

pub(super) fn scored(points: u32, query: Value) -> Value {
    json!({"constant_score": {"filter": query, "boost": points}})
}
