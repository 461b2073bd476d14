//! `[postgres]`.

use std::path::PathBuf;

use toml::Value;

use super::ConfigKeys;
use crate::config::{PostgresConfig, SslMode, StabilityRule, address};
use crate::error::{Error, Result};

const URL: &str = "postgres.url";
const DEFAULT_URL: &str = "postgres://message_store@localhost:5432/message_store";
/// The parameter of an address that `postgres.sslmode` stands for.
const SSLMODE: &str = "sslmode=";

pub(super) fn postgres(keys: &ConfigKeys<'_>) -> Result<PostgresConfig> {
    let (url, of_url) = url(keys)?;
    let password = keys.secret("postgres.password")?;
    let ca_certificate = keys.maybe("postgres.ca_certificate")?.map(PathBuf::from);
    let modes = SslMode::ALL.map(|mode| (mode.name(), mode));
    let key = "postgres.sslmode";
    // A certificate authority is named to be asked.
    let default = if ca_certificate.is_some() { SslMode::VerifyFull } else { SslMode::Prefer };
    let sslmode = match (keys.maybe_choice(key, &modes)?, of_url) {
        (Some(_), Some(_)) => {
            return Err(Error::usage(format!("{key}: {URL} has sslmode as well; set one of the two")));
        }
        (None, Some(text)) => super::choose(key, &text, &modes)?,
        (found, None) => found.unwrap_or(default),
    };
    keys.show(key, Value::String(sslmode.name().to_owned()));
    if ca_certificate.is_some() && !matches!(sslmode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Err(Error::usage(format!(
            "{key}: \"{}\" found, which does not look at postgres.ca_certificate; use \"verify-full\"",
            sslmode.name()
        )));
    }
    let schema = keys.text("postgres.schema", "message_store")?;
    if schema.is_empty() || schema.contains('\0') {
        return Err(Error::usage("postgres.schema: the name of a schema was expected"));
    }
    let stable =
        keys.choice("postgres.stable", &[("lock", StabilityRule::Lock), ("xmin", StabilityRule::Xmin)])?;
    Ok(PostgresConfig { url, password, sslmode, ca_certificate, schema, stable })
}

/// The address without `sslmode`, and that.
fn url(keys: &ConfigKeys<'_>) -> Result<(String, Option<String>)> {
    let url = keys.find(URL)?.unwrap_or_else(|| DEFAULT_URL.to_owned());
    keys.show(URL, Value::String(address::of_database(&url)));
    let (address, parameters) = url.split_once('?').unwrap_or((&url, ""));
    let of = |is_ssl: bool| {
        let parameters = parameters.split('&').filter(|it| !it.is_empty());
        parameters.filter(move |it| it.starts_with(SSLMODE) == is_ssl)
    };
    let others: Vec<&str> = of(false).collect();
    let sslmode = of(true).next_back().and_then(|it| it.strip_prefix(SSLMODE)).map(str::to_owned);
    let url = if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) };
    // The parser's own error is not attached: it may quote the address, which may hold a password.
    let is_right = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
        && url.parse::<tokio_postgres::Config>().is_ok_and(|parsed| !parsed.get_hosts().is_empty());
    if !is_right {
        return Err(Error::usage(format!(
            "{URL}: {} found, an address such as {DEFAULT_URL} was expected",
            address::of_database(&url)
        )));
    }
    Ok((url, sslmode))
}
