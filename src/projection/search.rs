//! What finding needs of a document's fields, beside the fields themselves: one text of words, each folded and behind the
//! mark of the field that it stands in. Words are letters and digits: the text needs no escapes in JSON.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::json::Object;
use crate::entity::{Shown, text};
use crate::searchable::{Class, GAP, LENGTH_MARK, NUMBER_MARK, each_form, is_plain_number, plain_name};
use crate::text::{Words, reversed_numbers, stands};

/// Appends the words of the searched fields to a text that begins at `begin`, the number of the name's words, and the
/// digits of the phone numbers. `name` is the one that the document shows, as JSON.
pub fn push_fields(
    out: &mut Vec<u8>,
    begin: usize,
    (shown, name): (&impl Shown, Option<&[u8]>),
    fields: &[(&str, Class)],
) {
    push_name(out, begin, (shown, name), fields);
    let mut words = Vec::with_capacity(64);
    let mut last = None;
    for (field, class) in fields.iter().filter(|(_, class)| *class != Class::Name) {
        each_text(shown.get(field), &mut |text| {
            each_form(*class, text, &mut |form| push(out, begin, class.mark(), form.as_bytes()));
            if *field == "phone" && is_plain_number(text) {
                return;
            }
            words.clear();
            Words::behind(&mut words).push(text);
            if last.replace(*class) == Some(*class) && !words.is_empty() {
                push_gap(out, begin);
            }
            split(&words).for_each(|word| push(out, begin, class.mark(), word));
        });
    }
    if let Some(phone) = shown.get("phone").and_then(text) {
        reversed_numbers(&phone).iter().for_each(|number| push(out, begin, NUMBER_MARK, number.as_bytes()));
    }
}

/// Writes how a name is ordered, when that is not the name's own lower case.
pub fn write_sort(search: &mut Object<'_>, name: Option<&[u8]>) {
    let plain = name.and_then(text).and_then(|name| plain_name(&name));
    plain.into_iter().for_each(|plain| search.text("sort", &plain));
}

/// Appends the words of a name in their own order, and how many different ones it has. Of the name's fields, what stands in
/// the whole of it is not written again.
fn push_name(
    out: &mut Vec<u8>,
    begin: usize,
    (shown, name): (&impl Shown, Option<&[u8]>),
    fields: &[(&str, Class)],
) {
    let (mut words, mut forms) = (Vec::with_capacity(64), Vec::new());
    for (field, class) in fields.iter().filter(|(_, class)| *class == Class::Name) {
        let json = if *field == "name" { name } else { shown.get(field) };
        each_text(json, &mut |name| {
            let run = words.len();
            Words::behind(&mut words).push(name);
            let (held, new) = words.split_at(run);
            let is_new =
                !new.is_empty() && !held.split(|byte| *byte == GAP_BYTE).any(|held| stands(held, new));
            words.truncate(if is_new { words.len() } else { run });
            words.extend(is_new.then_some(GAP_BYTE));
            each_form(*class, name, &mut |form| forms.push(form.to_owned()));
        });
    }
    for (number, run) in words.split(|byte| *byte == GAP_BYTE).filter(|run| !run.is_empty()).enumerate() {
        if number > 0 {
            push_gap(out, begin);
        }
        split(run).for_each(|word| push(out, begin, Class::Name.mark(), word));
    }
    let mut different: Vec<&[u8]> = words.split(|byte| [b' ', GAP_BYTE].contains(byte)).collect();
    different.retain(|word| !word.is_empty());
    different.sort_unstable();
    different.dedup();
    if !different.is_empty() {
        push(out, begin, LENGTH_MARK, different.len().to_string().as_bytes());
    }
    forms.sort_unstable();
    forms.dedup();
    // Beside the name's words, because they are no part of its length.
    forms.iter().for_each(|form| push(out, begin, Class::Name.mark(), form.as_bytes()));
}

/// [`GAP`], which is ASCII.
const GAP_BYTE: u8 = b'|';

/// Appends the word that parts two texts of one class.
fn push_gap(out: &mut Vec<u8>, begin: usize) {
    push(out, begin, GAP, b"");
}

/// Appends folded words, each behind a mark, to a text that begins at `begin`.
pub fn push_marked(out: &mut Vec<u8>, begin: usize, mark: char, folded: &str) {
    split(folded.as_bytes()).for_each(|word| push(out, begin, mark, word));
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

/// The texts of a field: its own, those of a list, or those of an object's members.
fn each_text(json: Option<&[u8]>, visit: &mut dyn FnMut(&str)) {
    let mut one = |json: &[u8]| {
        if let Some(text) = text(json) {
            visit(&text);
        }
    };
    // What the state holds is canonical, and was valid when it was folded.
    match json.and_then(|json| Some((json, json.first()?))) {
        Some((json, b'[')) => {
            let items: Vec<&RawValue> = serde_json::from_slice(json).unwrap_or_default();
            items.into_iter().for_each(|item| one(item.get().as_bytes()));
        }
        Some((json, b'{')) => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_slice(json).unwrap_or_default();
            members.into_values().for_each(|member| one(member.get().as_bytes()));
        }
        Some((json, _)) => one(json),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Registers;
    use crate::event::{Action, EntityKind, Event, Field};
    use crate::searchable::CONTACT;

    #[test]
    fn words_are_written_in_their_order_behind_the_mark_of_their_field() {
        let field =
            |(name, json): &(&str, &str)| Field { name: (*name).to_owned(), json: json.as_bytes().into() };
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
        let (kind, id, fields) = (EntityKind::Contact, "c1".to_owned(), fields.iter().map(field).collect());
        contact.apply(&Event { kind, id, version: 1, sequenced: true, action: Action::Replace, fields });
        let mut out = b"x".to_vec();
        push_fields(&mut out, 1, (&contact, crate::entity::contact::name(&contact).as_deref()), CONTACT);
        let words =
            "x.zoe .aberg .zoe %2 .abergzoe @zoe @acme @test =cto | =head =office +vip | +a +b #810064970244";
        assert_eq!(String::from_utf8(out).unwrap(), words);
    }
}
