//! The names and origins of `[http]`, and the address of `[traces]`.

use toml::Value;

use super::ConfigKeys;
use crate::config::{TracesConfig, without_secrets};
use crate::error::{Error, Result};

pub(super) fn hosts(keys: &ConfigKeys<'_>) -> Result<Vec<String>> {
    let hosts = keys.list("http.hosts", &[])?;
    let is_name = |host: &String| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    match hosts.iter().find(|host| !is_name(host)) {
        Some(host) => Err(Error::usage(format!(
            "http.hosts: {host:?} found, a name without scheme and port was expected, such as search.example.com"
        ))),
        None => Ok(hosts),
    }
}

/// The collector that spans go to.
pub(super) fn collector(keys: &ConfigKeys<'_>) -> Result<Option<TracesConfig>> {
    let key = "traces.endpoint";
    let Some(text) = keys.find(key)? else { return Ok(None) };
    keys.show(key, Value::String(without_secrets(&text)));
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if rest
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
    {
        return Ok(Some(TracesConfig { endpoint: text }));
    }
    Err(Error::usage(format!(
        "{key}: {:?} found, an address was expected, such as http://localhost:4318",
        without_secrets(&text)
    )))
}

/// The origins as browsers send them: in lower case, without the port that the scheme implies.
pub(super) fn origins(keys: &ConfigKeys<'_>) -> Result<Vec<String>> {
    let key = "http.cors_origins";
    let origin_of = |text: &String| {
        if text == "*" {
            return Some(text.clone());
        }
        let origin = text.to_ascii_lowercase();
        let (scheme, host) = origin.split_once("://")?;
        let port = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return None,
        };
        let host = host.strip_suffix(port).unwrap_or(host);
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
        is_host.then(|| format!("{scheme}://{host}"))
    };
    let wrong = |text: &String| {
        Error::usage(format!(
            "{key}: {:?} found, an origin was expected, such as https://app.example.com, without a path; or *, which is every one",
            without_secrets(text)
        ))
    };
    keys.list(key, &[])?.iter().map(|text| origin_of(text).ok_or_else(|| wrong(text))).collect()
}
