//! The words of a document's fields, as finding needs them beside the fields: one text, each word folded and behind
//! the mark of its field. Words are letters and digits, so that the text needs no escapes in JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::value::RawValue;

use crate::entity::{EntityFields, Liveness, text, value};
use crate::json::{self, Object, push_list};
use crate::plan::{FilterPlan, TypePlan};
use crate::searchable_fields::{
    Class, GAP, LENGTH_MARK, NUMBER_MARK, SearchableFields, ValueKind, each_form, is_plain_number, plain_name,
};
use crate::text::{WordBuffer, each_number, stands};

/// Computed members of a document, by name, as JSON.
pub type ComputedMembers = [(&'static str, Vec<u8>)];

/// Appends the words of the searched fields of an entity of the type `of` to a text that begins at `begin`. The number
/// of the title's words and the digits of the phone numbers follow.
pub fn push_entity(
    out: &mut Vec<u8>,
    begin: usize,
    (of, entity): (&TypePlan, &impl EntityFields),
    searched: SearchableFields,
    computed: &ComputedMembers,
) {
    let title = title(of, entity, searched, computed);
    push_titled(out, begin, (of, entity, title.as_deref()), searched, computed);
}

/// As [`push_entity`], of an entity whose title is known.
pub fn push_titled(
    out: &mut Vec<u8>,
    begin: usize,
    (of, entity, title): (&TypePlan, &impl EntityFields, Option<&[u8]>),
    searched: SearchableFields,
    computed: &ComputedMembers,
) {
    if searched.is_derived {
        let derived = DerivedEntity::of(of, entity, searched, computed);
        push_fields(out, begin, (&derived, title), searched);
    } else {
        push_fields(out, begin, (entity, title), searched);
    }
}

/// An entity with its defaults and computed members, as its document shows them.
struct DerivedEntity<'a, S> {
    entity: &'a S,
    values: Vec<(&'a str, Cow<'a, [u8]>)>,
}

impl<'a, S: EntityFields> DerivedEntity<'a, S> {
    fn of(of: &TypePlan, entity: &'a S, searched: SearchableFields, computed: &'a ComputedMembers) -> Self {
        let names = searched.fields.iter().map(|(name, _)| *name).chain(searched.phones.iter().copied());
        let names = names.filter(|name| *name != searched.title && entity.get(name).is_none());
        let value_of = |name: &'static str| match of.field_named(name) {
            Some(field) => value(field, entity),
            None => find(computed, name).map(Cow::Borrowed),
        };
        Self { entity, values: names.filter_map(|name| Some((name, value_of(name)?))).collect() }
    }
}

impl<S: EntityFields> EntityFields for DerivedEntity<'_, S> {
    fn liveness(&self) -> Liveness {
        self.entity.liveness()
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let value = self.values.iter().find(|(known, _)| *known == name).map(|(_, json)| &**json);
        value.or_else(|| self.entity.get(name))
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        self.entity.each(visit);
    }
}

/// The computed member of a name.
pub fn find<'a>(computed: &'a ComputedMembers, name: &str) -> Option<&'a [u8]> {
    computed.iter().find(|(known, _)| *known == name).map(|(_, json)| json.as_slice())
}

/// `name` is the title that the document shows, as JSON.
fn push_fields(
    out: &mut Vec<u8>,
    begin: usize,
    (shown, name): (&impl EntityFields, Option<&[u8]>),
    searched: SearchableFields,
) {
    push_name(out, begin, (shown, name), searched);
    let mut last = None;
    for (field, class) in searched.fields.iter().filter(|(_, class)| *class != Class::Name) {
        each_text(shown.get(field), |text| {
            each_form(*class, text, &mut |form| push(out, begin, class.mark(), form.as_bytes()));
            if searched.is_phone(field) && is_plain_number(text) {
                return;
            }
            let is_second = last.replace(*class) == Some(*class);
            push_text(out, begin, *class, (text, is_second));
        });
    }
    for field in searched.phones {
        each_text(shown.get(field), |phone| push_numbers(out, begin, phone));
    }
}

/// Appends the words of a text, behind a gap where it is not the first of its class; false when it has none.
fn push_text(out: &mut Vec<u8>, begin: usize, class: Class, (text, is_second): (&str, bool)) -> bool {
    let end = out.len();
    if is_second {
        push(out, begin, GAP, b"");
    }
    let words = out.len();
    WordBuffer::with_mark(out, begin, class.mark()).push(text);
    if out.len() == words {
        out.truncate(end);
    }
    out.len() > end
}

/// The title of an entity that is searched, as its document shows it.
pub fn title<'a>(
    of: &TypePlan,
    entity: &'a impl EntityFields,
    searched: SearchableFields,
    computed: &'a ComputedMembers,
) -> Option<Cow<'a, [u8]>> {
    match of.field_named(searched.title) {
        Some(field) => value(field, entity),
        None => find(computed, searched.title).map(Cow::Borrowed),
    }
}

/// Writes the values of computed members that are filters. An object, and a list that holds one, is left out, because an
/// index has no exact value of it.
pub fn write_filters(search: &mut Object<'_>, filters: &[FilterPlan], computed: &ComputedMembers) {
    let filters = filters.iter().filter(|filter| filter.kind == ValueKind::Computed);
    let values = filters.filter_map(|filter| Some((filter.name, find(computed, filter.path)?)));
    let mut values = values.filter(|(_, json)| is_comparable(json)).peekable();
    if values.peek().is_some() {
        search.object("filters", |object| values.for_each(|(name, json)| object.raw(name, json)));
    }
}

fn is_comparable(json: &[u8]) -> bool {
    match json.first() {
        Some(b'{') => false,
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_slice(json).unwrap_or_default();
            items.iter().all(|item| !item.get().starts_with(['{', '[']))
        }
        _ => true,
    }
}

/// Writes how a title is ordered: without its accents where it has some. An index server takes a declared title from its
/// own field as well, and a computed one from here alone.
pub fn write_sort(search: &mut Object<'_>, title: Option<&[u8]>, is_computed: bool) {
    let Some(title) = title.and_then(text) else { return };
    let plain = plain_name(&title);
    if is_computed {
        let names = std::iter::once(&*title).chain(plain.as_deref());
        push_list(search.value("sort"), names, json::push_text);
    } else {
        plain.into_iter().for_each(|plain| search.text("sort", &plain));
    }
}

/// Appends the words of a name in their own order, and the number of its different words. A field of the name whose
/// words stand in the whole name is not written again.
fn push_name(
    out: &mut Vec<u8>,
    begin: usize,
    (shown, name): (&impl EntityFields, Option<&[u8]>),
    searched: SearchableFields,
) {
    // A name that was put together has all words of its parts, and no part has a form if it has none.
    let is_own = shown.get(searched.title).is_some();
    let (first, mut forms, mut may_have_forms) = (out.len(), Forms::default(), is_own);
    for (field, class) in searched.fields.iter().filter(|(_, class)| *class == Class::Name) {
        let is_whole = *field == searched.title;
        let json = if is_whole { name } else { shown.get(field) };
        let is_part = !is_own && !is_whole && json.is_some_and(|json| json.starts_with(b"\""));
        if is_part && !may_have_forms {
            continue;
        }
        each_text(json, |text| {
            if !is_part {
                push_run(out, begin, first, text);
            }
            may_have_forms |= each_form(*class, text, &mut |form| forms.push(form));
        });
    }
    push_length(out, begin, first);
    // Beside the name's words, because they are no part of its length.
    forms.each(|form| push(out, begin, Class::Name.mark(), form.as_bytes()));
}

/// Appends the words of one of a name's texts, which begin at `first`, unless they stand in another one.
fn push_run(out: &mut Vec<u8>, begin: usize, first: usize, text: &str) {
    let end = out.len();
    if push_text(out, begin, Class::Name, (text, end > first)) && end > first {
        let (front, new) = out.split_at(end);
        let new = new.strip_prefix(b" |").unwrap_or(new);
        let is_held = stands(front.get(first..).unwrap_or_default(), new.strip_prefix(b" ").unwrap_or(new));
        out.truncate(if is_held { end } else { out.len() });
    }
}

/// So many words of a name are compared without a list.
const FEW: usize = 8;

/// Appends how many different words a name has.
fn push_length(out: &mut Vec<u8>, begin: usize, first: usize) {
    let words = out.get(first..).unwrap_or_default().split(|byte| *byte == b' ');
    let words = words.filter(|word| word.len() > 1);
    let (mut few, mut length) = ([&b""[..]; FEW], 0);
    let mut more = Vec::new();
    for word in words {
        if few.contains(&word) {
            continue;
        }
        match few.get_mut(length) {
            Some(place) => *place = word,
            None => more.push(word),
        }
        length += usize::from(more.is_empty());
    }
    more.sort_unstable();
    more.dedup();
    length += more.len();
    if length > 0 {
        push(out, begin, LENGTH_MARK, b"");
        // Writing a number to a vector can't fail.
        let _ = write!(out, "{length}");
    }
}

/// The different forms of a name.
#[derive(Default)]
struct Forms(String);

impl Forms {
    fn push(&mut self, form: &str) {
        self.0.push_str(form);
        self.0.push(' ');
    }

    /// Visits them in the order of their letters.
    fn each(&self, visit: impl FnMut(&str)) {
        if self.0.is_empty() {
            return;
        }
        let mut forms: Vec<&str> = self.0.split_terminator(' ').collect();
        forms.sort_unstable();
        forms.dedup();
        forms.into_iter().for_each(visit);
    }
}

/// Appends the digits of the phone numbers in a text.
pub fn push_numbers(out: &mut Vec<u8>, begin: usize, phone: &str) {
    each_number(phone, &mut |number| push(out, begin, NUMBER_MARK, number.as_bytes()));
}

/// Appends the folded words of one text, each behind a mark. A gap parts them from those of another text.
pub fn push_marked(out: &mut Vec<u8>, mark: char, folded: &str) {
    let mut words = split(folded.as_bytes()).peekable();
    if !out.is_empty() && words.peek().is_some() {
        push(out, 0, GAP, b"");
    }
    words.for_each(|word| push(out, 0, mark, word));
}

fn split(words: &[u8]) -> impl Iterator<Item = &[u8]> {
    words.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

fn push(out: &mut Vec<u8>, begin: usize, mark: char, word: &[u8]) {
    if out.len() > begin {
        out.push(b' ');
    }
    // Marks are ASCII.
    out.push(u8::try_from(mark).unwrap_or(b'+'));
    out.extend_from_slice(word);
}

/// The texts of a field: its own, those of a list, or those of an object's members. A number is the text that it is
/// written as.
pub fn each_text(json: Option<&[u8]>, mut visit: impl FnMut(&str)) {
    let mut one = |json: &[u8]| {
        if json::is_number(json) {
            std::str::from_utf8(json).into_iter().for_each(&mut visit);
        } else if let Some(text) = text(json) {
            visit(&text);
        }
    };
    // The state's values are canonical, and were valid when they were folded.
    let Some(json) = json else { return };
    let first = json.first();
    if !matches!(first, Some(b'[' | b'{')) {
        one(json);
    } else if let Some(items) = plain_items(json) {
        items.into_iter().for_each(one);
    } else if first == Some(&b'[') {
        let items: Vec<&RawValue> = serde_json::from_slice(json).unwrap_or_default();
        items.into_iter().for_each(|item| one(item.get().as_bytes()));
    } else {
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(json).unwrap_or_default();
        members.into_values().for_each(|member| one(member.get().as_bytes()));
    }
}

/// The strings of a list or of an object, if it holds nothing else, has no escapes, and its keys are in order.
fn plain_items(json: &[u8]) -> Option<Vec<&[u8]>> {
    let (is_object, end) = if json.starts_with(b"{") { (true, b"}") } else { (false, b"]") };
    let mut rest = json.get(1..)?.strip_suffix(end)?;
    if rest.contains(&b'\\') {
        return None;
    }
    let (mut items, mut last) = (Vec::with_capacity(8), None);
    while !rest.is_empty() {
        if is_object {
            let (key, behind) = split_string(rest)?;
            let key = key.get(1..key.len() - 1)?;
            if last.replace(key).is_some_and(|last| last >= key) {
                return None;
            }
            rest = behind.strip_prefix(b":")?;
        }
        let (item, behind) = split_string(rest)?;
        items.push(item);
        rest = match behind {
            [b',', next @ ..] if !next.is_empty() => next,
            [] => behind,
            _ => return None,
        };
    }
    Some(items)
}

/// The string without escapes that JSON begins with, and the rest behind it.
fn split_string(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = json.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| *byte == b'"')?;
    json.split_at_checked(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Registers;
    use crate::event::{Action, Event, EventField};

    #[test]
    fn the_strings_of_lists_and_objects_are_read_as_a_parser_reads_them() {
        for json in [
            r#"["vip","a b"]"#,
            "[]",
            "{}",
            r#"{"city":"Paris","country":"FR"}"#,
            r#"{"a":"1","a b":"2"}"#,
            r#"{"b":"1","a":"2"}"#,
            r#"{"a":"1","a":"2"}"#,
            r#"{"a":null,"b":"x","c":["y"],"d":{"e":"f"},"g":7}"#,
            r#"["a\"b","c"]"#,
            r#"["a",]"#,
            r#"["a" ,"b"]"#,
            r#"["a"#,
            "[",
            "",
            r#""x""#,
        ] {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            each_text(Some(json.as_bytes()), |text| found.push(text.to_owned()));
            match serde_json::from_str(json) {
                Ok(serde_json::Value::Array(items)) => expected = items,
                Ok(serde_json::Value::Object(members)) => {
                    let sorted: BTreeMap<_, _> = members.into_iter().collect();
                    expected = sorted.into_values().collect();
                }
                Ok(value) => expected.push(value),
                Err(_) => {}
            }
            let text = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => Some(text),
                serde_json::Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let expected: Vec<String> = expected.into_iter().filter_map(text).collect();
            assert_eq!(found, expected, "{json}");
        }
    }

    #[test]
    fn words_are_written_in_their_order_behind_the_mark_of_their_field() {
        let field = |(name, json): &(&str, &str)| EventField {
            name: (*name).to_owned(),
            json: json.as_bytes().into(),
        };
        let fields = [
            ("firstName", r#""Zoë""#),
            ("lastName", r#""Åberg-Zoe""#),
            ("email", r#""zoe@acme.test""#),
            ("phone", r#""+44 20 7946 0018""#),
            ("role", r#""CTO""#),
            ("department", r#""Head Office""#),
            ("tags", r#"["vip","a b"]"#),
        ];
        let mut contact = Registers::default();
        let (kind, id, fields) = (crate::plan::CONTACT, "c1".to_owned(), fields.iter().map(field).collect());
        contact.apply(&Event { kind, id, version: 1, sequenced: true, action: Action::Replace, fields });
        let searched = crate::plan::CONTACTS.words.unwrap();
        let mut out = b"x".to_vec();
        push_entity(&mut out, 1, (crate::plan::CONTACT.get(), &contact), searched, &[]);
        let words =
            "x.zoe .aberg .zoe %2 .abergzoe @zoe @acme @test =cto | =head =office +vip | +a +b #810064970244";
        assert_eq!(String::from_utf8(out).unwrap(), words);
    }
}
