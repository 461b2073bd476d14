//! A model's file as tables: typed access by key, in the file's order, with the line of each key. All that is wrong is
//! noted, and reading goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFinding {
    /// The model's file.
    pub file: String,
    /// The line of the key, or of the table that lacks it.
    pub line: Option<usize>,
    /// The path of the key, such as `projections.products.embed[2].from`. Lists count from 0.
    pub key: String,
    /// The fault, and the values that are allowed.
    pub message: String,
}

impl ModelFinding {
    /// A finding about the whole file.
    pub fn of_file(file: &str, message: String) -> Self {
        Self { file: file.to_owned(), line: None, key: String::new(), message }
    }
}

impl fmt::Display for ModelFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        let parting = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{parting}{}: {}", self.key, self.message)
    }
}

/// The findings so far, and the line of each key.
pub(super) struct Notes {
    file: String,
    lines: BTreeMap<String, usize>,
    findings: RefCell<Vec<ModelFinding>>,
}

impl Notes {
    /// Notes a fault at a key.
    pub(super) fn note(&self, key: &str, message: impl Into<String>) {
        let finding = ModelFinding {
            file: self.file.clone(),
            line: self.line(key),
            key: key.to_owned(),
            message: message.into(),
        };
        let mut findings = self.findings.borrow_mut();
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    /// The line of a key, or of the nearest key that holds it.
    fn line(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(line) = self.lines.get(key) {
                return Some(*line);
            }
            key = key.get(..key.rfind(['.', '['])?)?;
        }
    }
}

/// Reads a file's text as TOML and lets `read` make something of it.
pub(super) fn with_root<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(&Section<'_>) -> T,
) -> Result<T, Vec<ModelFinding>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let finding = |error: &toml::de::Error| ModelFinding {
            line: error.span().map(|span| line_of(text, span.start)),
            ..ModelFinding::of_file(file, format!("it is no TOML: {}", error.message().replace('\n', ", ")))
        };
        let mut findings: Vec<ModelFinding> = errors.iter().map(finding).collect();
        // The parser may say one thing twice.
        findings.dedup();
        return Err(findings);
    }
    let mut lines = BTreeMap::new();
    put_lines(&mut lines, text, "", table.get_ref());
    let notes = Notes { file: file.to_owned(), lines, findings: RefCell::default() };
    let read = read(&Section { notes: &notes, path: String::new(), table: table.get_ref() });
    let mut findings = notes.findings.into_inner();
    if findings.is_empty() {
        return Ok(read);
    }
    findings.sort_by_key(|finding| finding.line);
    Err(findings)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn put_lines(lines: &mut BTreeMap<String, usize>, text: &str, path: &str, table: &DeTable<'_>) {
    for (name, value) in table {
        let key = join(path, name.get_ref());
        lines.insert(key.clone(), line_of(text, name.span().start));
        put_value_lines(lines, text, &key, value);
    }
}

fn put_value_lines(lines: &mut BTreeMap<String, usize>, text: &str, key: &str, value: &Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::Table(inner) => put_lines(lines, text, key, inner),
        DeValue::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                let key = format!("{key}[{number}]");
                lines.insert(key.clone(), line_of(text, item.span().start));
                put_value_lines(lines, text, &key, item);
            }
        }
        _ => {}
    }
}

/// The path of a member.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let name = if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        Json::from(name).to_string()
    };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// The known name that a text is most like.
pub(super) fn nearest<'n>(text: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |name: &str| strsim::jaro_winkler(text, name);
    known.into_iter().max_by(|left, right| likeness(left).total_cmp(&likeness(right)))
}

/// A sentence about a name that is none of those known.
pub(super) fn describe_unknown<'n>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("{what}; allowed: {} (nearest: {near})", known.join(", ")),
        None => format!("{what}; there is none that could be named here"),
    }
}

/// A table of the file.
pub(super) struct Section<'a> {
    notes: &'a Notes,
    path: String,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn notes(&self) -> &'a Notes {
        self.notes
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of a member.
    pub(super) fn key(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Notes a fault of a member.
    pub(super) fn note(&self, name: &str, message: impl Into<String>) {
        self.notes.note(&self.key(name), message);
    }

    fn note_type(&self, name: &str, expected: &str, found: &DeValue<'_>) {
        self.note(name, format!("{expected} was expected, found: {}", found.type_str()));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    fn value(&self, name: &str) -> Option<&'a DeValue<'a>> {
        self.table.get(name).map(Spanned::get_ref)
    }

    /// The members in the order in which the file names them first.
    pub(super) fn members(&self) -> Vec<&'a str> {
        let mut members: Vec<_> = self.table.keys().collect();
        members.sort_by_key(|name| name.span().start);
        members.into_iter().map(|name| name.get_ref().as_ref()).collect()
    }

    /// Notes each member that has another name than these.
    pub(super) fn refuse_others(&self, known: &[&str]) {
        for name in self.members().into_iter().filter(|name| !known.contains(name)) {
            self.note(name, describe_unknown("unknown key", name, known.iter().copied()));
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.value(name)?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.note_type(name, "a string", value);
        }
        text
    }

    /// A text, when the member is one.
    pub(super) fn maybe_text(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }

    /// A table, when the member is one.
    pub(super) fn maybe_section(&self, name: &str) -> Option<Section<'a>> {
        let table = self.value(name)?.as_table()?;
        Some(Section { notes: self.notes, path: self.key(name), table })
    }

    /// Notes a value that is none of those known.
    pub(super) fn note_unknown(&self, name: &str, what: &str, found: &str, known: &[&str]) {
        self.note(name, describe_unknown(what, found, known.iter().copied()));
    }

    /// A text that must be there.
    pub(super) fn require_text(&self, name: &str, what: &str) -> Option<String> {
        if !self.has(name) {
            self.note(name, format!("missing; {what} was expected"));
        }
        self.text(name)
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        if value.as_bool().is_none() {
            self.note_type(name, "true or false", value);
        }
        value.as_bool()
    }

    /// A whole number within limits.
    pub(super) fn number(&self, name: &str, least: u32, most: u32) -> Option<u32> {
        let value = self.value(name)?;
        let number = value
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let found = scalar(value).map_or_else(|| value.type_str().to_owned(), |found| found.to_string());
            self.note(name, format!("an integer from {least} to {most} was expected, found: {found}"));
        }
        number
    }

    /// A list of strings.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let value = self.value(name)?;
        let Some(items) = value.as_array() else {
            self.note_type(name, "a list of strings", value);
            return None;
        };
        let mut texts = Vec::new();
        for (number, item) in items.iter().enumerate() {
            match item.get_ref().as_str() {
                Some(text) if texts.iter().any(|other| other == text) => {
                    self.note(name, format!("{text:?} is named twice; name it once"));
                }
                Some(text) => texts.push(text.to_owned()),
                None => self.notes.note(
                    &format!("{}[{number}]", self.key(name)),
                    format!("a string was expected, found: {}", item.get_ref().type_str()),
                ),
            }
        }
        Some(texts)
    }

    /// A table of strings.
    pub(super) fn table_of_texts(&self, name: &str) -> Vec<(String, String)> {
        let Some(section) = self.section(name) else { return Vec::new() };
        let text = |member: &str| Some((member.to_owned(), section.text(member)?));
        section.members().into_iter().filter_map(text).collect()
    }

    /// A table.
    pub(super) fn section(&self, name: &str) -> Option<Section<'a>> {
        let value = self.value(name)?;
        let table = value.as_table();
        if table.is_none() {
            self.note_type(name, "a table", value);
        }
        Some(Section { notes: self.notes, path: self.key(name), table: table? })
    }

    /// The tables of a table, each with its name.
    pub(super) fn sections_by_name(&self, name: &str) -> Vec<(&'a str, Section<'a>)> {
        let Some(section) = self.section(name) else { return Vec::new() };
        let named = |member: &'a str| Some((member, section.section(member)?));
        section.members().into_iter().filter_map(named).collect()
    }

    /// A list of tables.
    pub(super) fn sections(&self, name: &str) -> Vec<Section<'a>> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.note_type(name, "a list of tables ([[…]])", value);
            return Vec::new();
        };
        let section = |(number, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let path = format!("{}[{number}]", self.key(name));
            let table = item.get_ref().as_table();
            if table.is_none() {
                let found = item.get_ref().type_str();
                self.notes.note(&path, format!("a table was expected, found: {found}"));
            }
            Some(Section { notes: self.notes, path, table: table? })
        };
        items.iter().enumerate().filter_map(section).collect()
    }

    /// One of several names.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices.iter().find(|(known, _)| *known == text);
        if found.is_none() {
            let what = format!("{text:?} is not known here");
            self.note(name, describe_unknown(&what, &text, choices.iter().map(|(known, _)| *known)));
        }
        found.map(|(_, choice)| *choice)
    }

    /// A value as JSON; a date is its text.
    pub(super) fn json(&self, name: &str) -> Option<Json> {
        let value = self.value(name)?;
        let json = json(value);
        if json.is_none() {
            self.note(name, "a value that JSON can hold was expected: no `inf`, no `nan`");
        }
        json
    }

    /// One string, number or boolean, or a list of those, at least one.
    pub(super) fn scalars(&self, name: &str) -> Option<Vec<Json>> {
        let value = self.value(name)?;
        let items: Vec<&DeValue<'_>> = match value.as_array() {
            Some(items) => items.iter().map(Spanned::get_ref).collect(),
            None => vec![value],
        };
        let scalars: Option<Vec<Json>> = items.into_iter().map(scalar).collect();
        let scalars = scalars.filter(|scalars| !scalars.is_empty());
        if scalars.is_none() {
            self.note(
                name,
                "a string, a number, a boolean, or a list of those with at least one was expected",
            );
        }
        scalars
    }
}

fn scalar(value: &DeValue<'_>) -> Option<Json> {
    match value {
        DeValue::Array(_) | DeValue::Table(_) => None,
        value => json(value),
    }
}

fn json(value: &DeValue<'_>) -> Option<Json> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.into(),
        DeValue::Float(number) => {
            let float: f64 = number.as_str().parse().ok()?;
            Json::Number(serde_json::Number::from_f64(float)?)
        }
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => {
            Json::Array(items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(members) => {
            let member = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                Some((name.to_string(), json(value.get_ref())?))
            };
            Json::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
    })
}
