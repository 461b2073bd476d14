//! How records are read: the sections of entity types, `[events.types]` and `[schema_registry]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use toml::Value;

use super::{ConfigKeys, choose};
use crate::config::{
    Encoding, EntityConfig, Format, FromRule, Naming, RegistryConfig, TruncateRule, TypeRule, VersionRule,
    without_secrets,
};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::built_in_model::SECTIONS;

/// The effect of events of a type, where `[events.types]` names it.
pub(super) fn types(keys: &ConfigKeys<'_>) -> Result<BTreeMap<String, TypeRule>> {
    let rules = [TypeRule::Replace, TypeRule::Merge, TypeRule::Delete, TypeRule::Ignore]
        .map(|rule| (rule.name(), rule));
    let texts = keys.table("events.types")?.into_iter();
    texts
        .map(|(name, text)| Ok((name.clone(), choose(&format!("events.types.{name:?}"), &text, &rules)?)))
        .collect()
}

/// The configuration of each entity type: its section over the declared model.
pub(super) fn entities(keys: &ConfigKeys<'_>, model: &Model) -> Result<BTreeMap<&'static str, EntityConfig>> {
    SECTIONS.into_iter().map(|name| Ok((name, entity(keys, name, model)?))).collect()
}

/// The source section of an entity type, over that of the model. `model` is the one declared.
fn entity(keys: &ConfigKeys<'_>, name: &'static str, model: &Model) -> Result<EntityConfig> {
    let Some(declared) = model.entity(name) else {
        if keys.get(name).is_some() {
            return Err(Error::usage(format!(
                "{name}: the model has no entity type of this name; leave the section out"
            )));
        }
        return Ok(EntityConfig::of(name));
    };
    let base = declared.source.clone();
    let topics: Vec<&str> = base.topics.iter().map(String::as_str).collect();
    let topics = keys.list_of_distinct(&format!("{name}.topics"), &topics)?;
    let format =
        choice_or_default(keys, &format!("{name}.format"), &Format::ALL.map(|f| (f.name(), f)), base.format)?;
    let (version_key, key) = (format!("{name}.version"), format!("{name}.key"));
    let version = choice_or_default(
        keys,
        &version_key,
        &VersionRule::ALL.map(|rule| (rule.name(), rule)),
        base.version,
    )?;
    if version == VersionRule::Lsn && format != Format::Debezium {
        return Err(Error::usage(format!(
            "{version_key}: \"lsn\" found, which only {name}.format = \"debezium\" has; leave it out"
        )));
    }
    let default_key: Vec<&str> = base.key.iter().map(String::as_str).collect();
    let fields = if keys.list(&key, &default_key)?.is_empty() {
        Vec::new()
    } else {
        keys.list_of_distinct(&key, &default_key)?
    };
    let encodings = Encoding::ALL.map(|encoding| (encoding.name(), encoding));
    let encoding = choice_or_default(keys, &format!("{name}.encoding"), &encodings, base.encoding)?;
    let key_encoding = keys.maybe_choice(&format!("{name}.key_encoding"), &encodings)?.or(base.key_encoding);
    let truncate_rules = TruncateRule::ALL.map(|rule| (rule.name(), rule));
    let truncate = keys.maybe_choice(&format!("{name}.truncate"), &truncate_rules)?.or(base.truncate);
    let names = [(Naming::SnakeCase.name(), Naming::SnakeCase)];
    let naming = keys.maybe_choice(&format!("{name}.naming"), &names)?.or(base.naming);
    let own = keys.get(&format!("{name}.rename")).is_some();
    let rename = if own { rename(keys, name)? } else { base.rename };
    let own = keys.get(&format!("{name}.from")).is_some();
    let from = if own { from(keys, name)? } else { base.from };
    let key = fields;
    Ok(EntityConfig { topics, format, encoding, key_encoding, version, rename, naming, from, truncate, key })
}

/// The choice of a key, or the one that the model has.
fn choice_or_default<T: Copy + PartialEq>(
    keys: &ConfigKeys<'_>,
    key: &str,
    choices: &[(&'static str, T)],
    declared: T,
) -> Result<T> {
    let found = keys.maybe_choice(key, choices)?.unwrap_or(declared);
    if let Some((name, _)) = choices.iter().find(|(_, choice)| *choice == found) {
        keys.show(key, Value::String((*name).to_owned()));
    }
    Ok(found)
}

fn rename(keys: &ConfigKeys<'_>, name: &str) -> Result<BTreeMap<String, String>> {
    let key = format!("{name}.rename");
    let rename = keys.table(&key)?;
    let mut names = BTreeSet::new();
    for (written, read) in &rename {
        if read.is_empty() || !names.insert(read) {
            return Err(Error::usage(format!(
                "{key}.{written:?}: {read:?} found, a name that no other field is read as was expected"
            )));
        }
    }
    Ok(rename)
}

fn from(keys: &ConfigKeys<'_>, name: &str) -> Result<BTreeMap<String, FromRule>> {
    let key = format!("{name}.from");
    let rules = FromRule::ALL.map(|rule| (rule.name(), rule));
    let texts = keys.table(&key)?.into_iter();
    texts
        .map(|(field, text)| Ok((field.clone(), choose(&format!("{key}.{field:?}"), &text, &rules)?)))
        .collect()
}

pub(super) fn schema_registry(keys: &ConfigKeys<'_>) -> Result<Option<RegistryConfig>> {
    let url = keys.find("schema_registry.url")?;
    if let Some(url) = &url {
        // An address may hold a password.
        keys.show("schema_registry.url", Value::String(without_secrets(url)));
    }
    let username = keys.maybe("schema_registry.username")?;
    let password = keys.secret("schema_registry.password")?;
    let ca_certificate = keys.maybe("schema_registry.ca_certificate")?.map(PathBuf::from);
    // Without an address the others say nothing. An encoding that needs the registry refuses that it is missing.
    Ok(url.map(|url| RegistryConfig { url, username, password, ca_certificate }))
}
