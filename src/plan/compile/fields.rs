//! Declared fields as they are compiled.

use crate::model;
use crate::model::program::Program;
use crate::plan::types::{AbsenceRule, CountedProgram, FieldPlan, FieldType};
use crate::plan::{ConditionPlan, FieldSet};

/// The plan of a declared field of an entity type.
pub(super) fn field(entity: &str, field: &model::Field) -> FieldPlan {
    let kind = match &field.kind {
        model::DeclaredType::String => FieldType::String,
        model::DeclaredType::Strings => FieldType::Strings,
        model::DeclaredType::Date => FieldType::Date,
        model::DeclaredType::Number => FieldType::Number,
        model::DeclaredType::Integer => FieldType::Integer,
        model::DeclaredType::Boolean => FieldType::Boolean,
        model::DeclaredType::Object => FieldType::Object,
        model::DeclaredType::Address => FieldType::Address,
        model::DeclaredType::Any => FieldType::Any,
        model::DeclaredType::Reference { list: false, .. } => FieldType::Reference,
        model::DeclaredType::Reference { list: true, .. } => FieldType::References,
    };
    let absent = field.default.as_ref().and_then(|default| {
        Some(match default {
            model::Default::Join { fields, with } => AbsenceRule::Join {
                fields: fields.iter().map(|name| forever(name)).collect(),
                with: escape(with),
            },
            model::Default::Value(value) => AbsenceRule::Value(canonical(value)),
            // The model was checked: its programs can be compiled.
            model::Default::Jq(program) => {
                let name = format!("{entity}.{}", field.name);
                AbsenceRule::Program(CountedProgram::new(&name, Program::compile(program).ok()?))
            }
        })
    });
    let kind_name = match kind {
        FieldType::Reference => "reference",
        FieldType::References => "references",
        _ => field.kind.name(),
    };
    FieldPlan { name: forever(&field.name), kind, kind_name, absent }
}

/// A text as it stands within a JSON string.
fn escape(text: &str) -> Vec<u8> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().into()
}

/// Objects of values have their keys in order.
pub(super) fn canonical(value: &serde_json::Value) -> Box<[u8]> {
    value.to_string().into_bytes().into()
}

/// A name that lives as long as the plan does.
pub(super) fn forever(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

/// The sets of the fields that conditions look at.
pub(super) fn fields_in(conditions: &[ConditionPlan]) -> impl Iterator<Item = FieldSet> + '_ {
    conditions.iter().map(|condition| FieldSet::of(condition.field.into()))
}
