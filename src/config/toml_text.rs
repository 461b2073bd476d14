//! A resolved configuration as TOML.

use std::fmt::Write;

use toml::{Table, Value};

/// The text of a table: a file that says the same. Secrets are hidden in it already.
pub fn text(table: &Table) -> String {
    let mut text = String::new();
    put(&mut text, table, "");
    text
}

fn put(text: &mut String, table: &Table, section: &str) {
    for (name, value) in table.iter().filter(|(_, value)| !value.is_table()) {
        // Writing into a text does not fail.
        let _ = writeln!(text, "{} = {}", key(name), value_text(value));
    }
    for (name, value) in table {
        let Some(inner) = value.as_table().filter(|inner| !inner.is_empty()) else { continue };
        let section = if section.is_empty() { key(name) } else { format!("{section}.{}", key(name)) };
        if inner.values().any(|value| !value.is_table()) {
            let _ = writeln!(text, "\n[{section}]");
        }
        put(text, inner, &section);
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(items) => format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", ")),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Table(_) => String::new(),
    }
}

fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quote(name) }
}

/// A text as JSON has it, which escapes all signs that TOML wants escaped but one.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let table: Table = toml::from_str(
            "a = \"x \\\" \\\\ \\u007f\\n\"\nlist = [\"1\", \"2\"]\n[s]\nn = 5\n[s.t]\n\"a.b c\" = \"d\"\n[empty]\n",
        )
        .unwrap();
        let mut expected = table.clone();
        expected.remove("empty");
        assert_eq!(toml::from_str::<Table>(&text(&table)).unwrap(), expected, "{}", text(&table));
    }
}
