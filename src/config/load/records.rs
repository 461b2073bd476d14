//! How records are read: `[organisations]`, `[contacts]` and `[schema_registry]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use toml::Value;

use super::{Keys, choose};
use crate::config::{
    Encoding, EntityConfig, Format, FromRule, Naming, RegistryConfig, TruncateRule, VersionRule, without_user,
};
use crate::error::{Error, Result};

pub(super) fn entity(keys: &Keys<'_>, name: &'static str) -> Result<EntityConfig> {
    let topics = keys.filled_list(&format!("{name}.topics"), &[name])?;
    let formats =
        [Format::CloudEvents, Format::Debezium, Format::Outbox, Format::Plain].map(|f| (f.name(), f));
    let format = keys.choice(&format!("{name}.format"), &formats)?;
    let rules = [VersionRule::Offset, VersionRule::Lsn].map(|rule| (rule.name(), rule));
    let (version_key, key) = (format!("{name}.version"), format!("{name}.key"));
    let version = keys.choice(&version_key, &rules)?;
    if version == VersionRule::Lsn && format != Format::Debezium {
        return Err(Error::usage(format!(
            "{version_key}: \"lsn\" found, which only {name}.format = \"debezium\" has; leave it out"
        )));
    }
    let fields = if keys.list(&key, &[])?.is_empty() { Vec::new() } else { keys.filled_list(&key, &[])? };
    let encodings = Encoding::ALL.map(|encoding| (encoding.name(), encoding));
    let encoding = keys.choice(&format!("{name}.encoding"), &encodings)?;
    let key_encoding = keys.maybe_choice(&format!("{name}.key_encoding"), &encodings)?;
    let truncate_rules = [TruncateRule::Delete, TruncateRule::Stop, TruncateRule::Ignore];
    let truncate_rules = truncate_rules.map(|rule| (rule.name(), rule));
    let truncate = keys.maybe_choice(&format!("{name}.truncate"), &truncate_rules)?;
    let naming = keys.maybe_choice(&format!("{name}.naming"), &[("snake_case", Naming::SnakeCase)])?;
    let (rename, from) = (rename(keys, name)?, from(keys, name)?);
    let key = fields;
    Ok(EntityConfig { topics, format, encoding, key_encoding, version, rename, naming, from, truncate, key })
}

fn rename(keys: &Keys<'_>, name: &str) -> Result<BTreeMap<String, String>> {
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

fn from(keys: &Keys<'_>, name: &str) -> Result<BTreeMap<String, FromRule>> {
    let key = format!("{name}.from");
    let rules = FromRule::ALL.map(|rule| (rule.name(), rule));
    let texts = keys.table(&key)?.into_iter();
    texts
        .map(|(field, text)| Ok((field.clone(), choose(&format!("{key}.{field:?}"), &text, &rules)?)))
        .collect()
}

pub(super) fn schema_registry(keys: &Keys<'_>) -> Result<Option<RegistryConfig>> {
    let url = keys.find("schema_registry.url")?;
    if let Some(url) = &url {
        // An address may hold a password.
        keys.show("schema_registry.url", Value::String(without_user(url)));
    }
    let username = keys.maybe("schema_registry.username")?;
    let password = keys.secret("schema_registry.password")?;
    let ca_certificate = keys.maybe("schema_registry.ca_certificate")?.map(PathBuf::from);
    // Without an address the others say nothing. An encoding that needs the registry refuses that it is missing.
    Ok(url.map(|url| RegistryConfig { url, username, password, ca_certificate }))
}
