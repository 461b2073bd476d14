//! A part of a document with a name, an address and a number of its own.

use serde_json::{Value, json};

use super::dsl::{any, equals, mark_word, prefix, prefixes, typo};
use crate::plan::{MembersPlan, SearchPlan};
use crate::search::query::{QueryReadings, Term};
use crate::searchable_fields::{Class, NUMBER_MARK, SearchableFields};

/// The document itself, or a member that it embeds.
#[derive(Debug, Clone)]
pub(super) struct DocumentPart {
    /// Where its words lie, each behind the mark of its field.
    pub(super) words: String,
    /// The path before the names of its fields.
    before: String,
    searched: SearchableFields,
    /// True of the document itself.
    pub(super) is_own: bool,
    /// True when phone numbers are among its words.
    has_numbers: bool,
}

impl DocumentPart {
    /// The document itself.
    pub(super) fn own(plan: &SearchPlan) -> Self {
        let has_numbers = plan.has_numbers();
        let (words, before) = ("_search.words".to_owned(), String::new());
        Self { words, before, searched: plan.own, is_own: true, has_numbers }
    }

    /// A member that the document embeds.
    pub(super) fn of_members(members: &MembersPlan, searched: SearchableFields) -> Self {
        let before = format!("{}.", members.path);
        let has_numbers = !searched.phones.is_empty();
        Self { words: format!("{before}_search"), before, searched, is_own: false, has_numbers }
    }

    /// Where one of its fields lies.
    fn at(&self, field: &str) -> String {
        format!("{}{field}", self.before)
    }

    /// The classes of its words.
    pub(super) fn classes(&self) -> impl Iterator<Item = Class> {
        let fields = self.searched.fields;
        Class::ALL.into_iter().filter(move |class| fields.iter().any(|(_, of)| of == class))
    }

    /// The ways in which a term matches it.
    pub(super) fn ways(&self, term: &Term) -> Vec<Value> {
        let of_class = |class: Class| {
            let typo = typo(&self.words, &mark_word(class.mark(), &term.text), term);
            prefixes(&self.words, class.mark(), term).into_iter().chain(typo)
        };
        let mut ways: Vec<Value> = self.classes().flat_map(of_class).collect();
        let group = |field: String| {
            if term.exact { equals(&field, &term.text) } else { prefix(&field, &term.text) }
        };
        ways.extend(self.number_words().map(group));
        ways.extend(self.numbers(term));
        ways
    }

    /// Any of the ways in which a term matches it.
    pub(super) fn any_way(&self, term: &Term) -> Value {
        any(self.ways(term))
    }

    /// Where the groups of digits of its phone numbers lie, when they count as words.
    pub(super) fn number_words(&self) -> impl Iterator<Item = String> {
        let phones = self.searched.phones.iter().filter(|field| self.searched.has(field));
        phones.map(|field| format!("{}.words", self.at(field)))
    }

    /// The ways in which a term matches its phone numbers.
    pub(super) fn numbers(&self, term: &Term) -> Vec<Value> {
        if !self.has_numbers {
            return Vec::new();
        }
        let number = |digits: &String| mark_word(NUMBER_MARK, digits);
        let ending = |digits: &String| prefix(&self.words, &number(digits));
        let mut ways: Vec<Value> = term.phone.endings.iter().map(ending).collect();
        if !term.phone.whole.is_empty() {
            let numbers: Vec<String> = term.phone.whole.iter().map(number).collect();
            ways.push(json!({"terms": {&self.words: numbers}}));
        }
        ways
    }

    /// The ways in which its e-mail address, its phone number or its id is the whole query.
    pub(super) fn whole(&self, whole: &QueryReadings) -> Vec<Value> {
        let is_mail = |(field, mail): (&str, &String)| json!({"term": {self.at(field): {"value": mail, "case_insensitive": true}}});
        let mails = self.searched.mails().flat_map(|field| whole.mail.iter().map(move |mail| (field, mail)));
        let number = |digits: &String| equals(&self.words, &mark_word(NUMBER_MARK, digits));
        let numbers = whole.numbers.iter().filter(|_| self.has_numbers);
        // The documents that embed a member of an id are among the ids.
        let ids = whole.ids.iter().filter(|_| self.is_own).map(|id| equals("id", id));
        mails.map(is_mail).chain(numbers.map(number)).chain(ids).collect()
    }
}
