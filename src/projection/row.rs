//! Rows of relations: each depends on its member alone.

use serde::{Deserialize, Serialize};

use crate::entity::{EntityFields, References, holds, reference, value_at};
use crate::json::{Name, Object};
use crate::plan::{FieldType, Relation, RowPlan, TypePlan};
use crate::projection::search::push_entity;

/// The owners in whose relation a member stands: each once.
pub fn owners(relation: Relation, member: &impl EntityFields) -> Vec<String> {
    let (plan, of) = (relation.get(), relation.member().get());
    if !holds(of, &plan.conditions, member) {
        return Vec::new();
    }
    let field = of.field_at(plan.field);
    if field.kind == FieldType::References {
        return References::of(member, field.name).ids().iter().map(|id| id.to_string()).collect();
    }
    reference(member, field.name).map(|id| id.into_owned()).into_iter().collect()
}

/// The row of a member in a relation.
///
/// It is the member's object. Where embeds stand within, the object is open at its end. The row then has four bytes
/// with its length, the object without its closing brace, and the ids of its references.
#[expect(clippy::expect_used, reason = "no record makes a row of 4 GiB, and ids are always encoded")]
pub fn row(relation: Relation, id: &str, member: &impl EntityFields) -> Vec<u8> {
    let (plan, of) = (relation.get(), relation.member().get());
    let Some(row) = &plan.row else { return Vec::new() };
    let mut out = Vec::with_capacity(512);
    if !row.is_open {
        write(row, of, id, member, &mut out);
        return out;
    }
    out.extend_from_slice(&[0; 4]);
    write(row, of, id, member, &mut out);
    out.pop();
    let length = u32::try_from(out.len() - 4).expect("a row's length in four bytes");
    if let Some(head) = out.first_chunk_mut::<4>() {
        *head = length.to_be_bytes();
    }
    let reference = |field: &u16| Ids::of(&References::of(member, of.field_at(*field).name));
    let references: Vec<Ids> = row.references.iter().map(reference).collect();
    out.extend(postcard::to_allocvec(&references).expect("the ids of a row"));
    out
}

/// The members of an open row's object, and the ids of its references.
pub(super) fn open(row: &[u8]) -> Option<(&[u8], Vec<References>)> {
    let (length, rest) = row.split_first_chunk::<4>()?;
    let (object, references) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let references: Vec<Ids> = postcard::from_bytes(references).ok()?;
    Some((object.strip_prefix(b"{")?, references.into_iter().map(Ids::references).collect()))
}

/// The ids of a reference, as they lie in a row.
#[derive(Serialize, Deserialize)]
enum Ids {
    Absent,
    One(String),
    Many(Vec<String>),
}

impl Ids {
    fn of(references: &References) -> Self {
        match references {
            References::Absent => Self::Absent,
            References::One(id) => Self::One(id.to_string()),
            References::Many(ids) => Self::Many(ids.iter().map(|id| id.to_string()).collect()),
        }
    }

    fn references(self) -> References {
        match self {
            Self::Absent => References::Absent,
            Self::One(id) => References::One(id.into()),
            Self::Many(ids) => References::Many(ids.into_iter().map(Into::into).collect()),
        }
    }
}

fn write(row: &RowPlan, of: &TypePlan, id: &str, member: &impl EntityFields, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text(Name::plain("id"), id);
    for shown in &row.show {
        object.raw_if(Name::plain(shown.name), value_at(of, shown.field, member).as_deref());
    }
    if let Some(words) = row.words {
        object.words(Name::plain("_search"), |out, begin| push_entity(out, begin, (of, member), words, &[]));
    }
    object.close();
}
