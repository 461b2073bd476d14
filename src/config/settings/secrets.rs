//! Secrets, in the configuration itself or in files of their own.

use std::path::Path;

use toml::Value;

use super::ConfigKeys;
use crate::config::HIDDEN;
use crate::error::{Error, Result};

impl ConfigKeys<'_> {
    /// A secret, by its key or from the file that `<key>_file` names.
    pub(super) fn secret(&self, key: &str) -> Result<Option<String>> {
        let file_key = format!("{key}_file");
        let secret = self.find(key)?;
        if secret.is_some() {
            self.show(key, Value::String(HIDDEN.to_owned()));
        }
        match (secret, self.maybe(&file_key)?) {
            (Some(_), Some(_)) => {
                Err(Error::usage(format!("{key}: {file_key} is set as well; set one of the two")))
            }
            (secret, None) => Ok(secret),
            (None, Some(path)) => read_secret(&file_key, Path::new(&path)).map(Some),
        }
    }

    /// A secret that is sent in a header of HTTP, where only some letters may stand.
    pub(super) fn secret_of_header(&self, key: &str) -> Result<Option<String>> {
        let secret = self.secret(key)?;
        let may_stand = |letter: char| letter.is_ascii_graphic() || letter == ' ';
        match &secret {
            Some(text) if text.is_empty() || !text.chars().all(may_stand) => Err(Error::usage(format!(
                "{key}: printable ASCII letters were expected, and at least one; a line's end, an accent or nothing was found"
            ))),
            _ => Ok(secret),
        }
    }
}

pub(super) fn read_secret(key: &str, path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("{key}: {} cannot be read", path.display())).because(error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
