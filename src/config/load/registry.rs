//! `[schema_registry]`.

use std::path::PathBuf;

use toml::Value;

use super::Keys;
use crate::config::{RegistryConfig, without_user};
use crate::error::Result;

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
