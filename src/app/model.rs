//! `model`: the model in force, the faults of a model, and the mapping that follows from it.

mod bounded_embeds;
mod samples;

use std::path::Path;

use super::{environment, kinds};
use crate::cli::{GlobalOptions, ModelCommand};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::escape;
use crate::model::{self, Model, ModelFinding, RelationRows};
use crate::output;
use crate::plan::PlanRef;

pub(super) fn run(global: &GlobalOptions, command: ModelCommand) -> Result<()> {
    let in_force = || Config::load(&kinds(), global.config.as_deref(), environment(), &global.flags());
    match command {
        ModelCommand::Show => {
            output::line(model::toml_text::text(&in_force()?.model).trim_end());
            Ok(())
        }
        ModelCommand::Check { file: Some(file) } => check(Some(&file)),
        ModelCommand::Check { file: None } => {
            let file = Config::model_file(global.config.as_deref(), environment())?;
            check(file.as_deref())
        }
        ModelCommand::Init { from } => samples::init(&from),
        ModelCommand::Mapping { projection } => mapping(&in_force()?.model, &projection),
    }
}

fn check(file: Option<&Path>) -> Result<()> {
    let model = model::load(file).map_err(|findings| report_findings(&findings))?;
    let name = file.map_or_else(|| "the built-in model".to_owned(), |file| file.display().to_string());
    let plan = PlanRef::of(&model);
    plan.check().map_err(Error::usage)?;
    output::line(format_args!("model: {name}"));
    let plural =
        |number: usize, one: &str, more: &str| format!("{number} {}", if number == 1 { one } else { more });
    for entity in &model.entities {
        let references = entity.fields.iter().filter(|field| field.kind.is_reference()).count();
        output::line(format_args!(
            "entity type {}: {}, {}, from {}",
            entity.name,
            plural(entity.fields.len(), "field", "fields"),
            plural(references, "reference", "references"),
            entity.source.topics.join(", "),
        ));
    }
    for projection in &model.projections {
        let searched = if projection.search.is_some() { "searched" } else { "not searched" };
        output::line(format_args!(
            "projection {}: of {}, {}, {}, {searched}",
            projection.name,
            projection.of,
            plural(projection.embeds.len(), "embed", "embeds"),
            plural(projection.compute.len(), "computed member", "computed members"),
        ));
    }
    for rows in model::relations(&model) {
        output::line(cost(&rows));
    }
    bounded_embeds::list_losses(&model, plan).iter().for_each(output::line);
    Ok(())
}

/// All findings but the last as lines: the last is the error that ends the program.
pub(super) fn report_findings(findings: &[ModelFinding]) -> Error {
    let Some((last, others)) = findings.split_last() else { return Error::usage("the model is wrong") };
    let tell = |finding: &ModelFinding| {
        output::complain(format_args!("tributary: {}", escape::value(&finding.to_string())));
    };
    others.iter().for_each(tell);
    Error::usage(last.to_string())
}

fn cost(rows: &RelationRows) -> String {
    let RelationRows { entity, field, conditions, shown, needed_by, beside, is_only_for_changes } = rows;
    let part = if conditions.is_empty() {
        String::new()
    } else {
        let fields: Vec<&str> = conditions.iter().map(|condition| condition.field.as_str()).collect();
        format!(", those where {} holds only", fields.join(" and "))
    };
    let content = match shown {
        Some(shown) => format!("one row with {} for each {entity}.{field}", shown.join(", ")),
        None => format!("one key for each {entity}.{field}"),
    };
    let words: Vec<&str> = beside.words.iter().chain(&beside.phones).map(String::as_str).collect();
    let words = if words.is_empty() { String::new() } else { format!(", searched by {}", words.join(", ")) };
    let purpose =
        if *is_only_for_changes { "only to find the documents that a change affects: " } else { "read by " };
    format!("relation {entity}.{field}: {content}{words}{part}; {purpose}{}", needed_by.join(", "))
}

fn mapping(model: &Model, name: &str) -> Result<()> {
    let Some(projection) = model.projection(name) else {
        let known: Vec<&str> = model.projections.iter().map(|projection| projection.name.as_str()).collect();
        return Err(Error::usage(format!(
            "no projection of the model is named {name:?}; {}",
            known.join(", ")
        )));
    };
    output::line(model::mapping::text(model, projection).trim_end());
    Ok(())
}
