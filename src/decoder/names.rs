//! The names and the values of fields where a producer has others: `rename`, `naming` and `from`.

use std::collections::HashMap;

use super::fields;
use crate::config::{EntityConfig, FromRule, Naming};
use crate::encoding::Meaning;
use crate::plan::EntityType;

/// The names and numbers that a topic writes in its own way. It is empty for most topics.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Names of the model by those of the producer.
    read: HashMap<Box<str>, Box<str>>,
    /// The meaning of numbers, by the names of the model.
    from: HashMap<Box<str>, FromRule>,
}

impl Names {
    /// The names of one kind of entity.
    pub(super) fn of(kind: EntityType, config: &EntityConfig) -> Self {
        let mut read: HashMap<Box<str>, Box<str>> = HashMap::new();
        if config.naming == Some(Naming::SnakeCase) {
            read.extend(fields::names_of_declared(kind).map(|name| (snake_case(name).into(), name.into())));
            read.retain(|written, name| written != name);
        }
        let pair = |(written, name): (&String, &String)| (written.as_str().into(), name.as_str().into());
        read.extend(config.rename.iter().map(pair));
        let from = config.from.iter().map(|(name, rule)| (name.as_str().into(), *rule)).collect();
        Self { read, from }
    }

    /// The name that a producer's name is read as; `None` when it is read as it is. `has` says whether the data has a member
    /// of a name: one that is there by the model's name goes before another.
    pub(super) fn read(&self, written: &str, has: impl FnOnce(&str) -> bool) -> Option<&str> {
        if self.read.is_empty() {
            return None;
        }
        self.read.get(written).map(|name| &**name).filter(|name| !has(name))
    }

    /// True of a producer's name that is read as this one.
    pub(super) fn is_read_as(&self, written: &str, name: &str) -> bool {
        written == name || !self.read.is_empty() && self.read.get(written).is_some_and(|read| **read == *name)
    }

    /// The JSON of the moment or text that a number in this field means; `None` when no rule names the field.
    pub(super) fn meaning_of(&self, name: &str, json: &[u8]) -> Option<String> {
        if self.from.is_empty() {
            return None;
        }
        let rule = self.from.get(name)?;
        let number = std::str::from_utf8(json).ok()?;
        if !number.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit()) {
            return None;
        }
        let meaning = match rule {
            FromRule::Number => return Some(format!("\"{number}\"")),
            FromRule::Days => Meaning::Date,
            FromRule::Seconds => Meaning::Timestamp(1),
            FromRule::Millis => Meaning::Timestamp(1_000),
            FromRule::Micros => Meaning::Timestamp(1_000_000),
            FromRule::Nanos => Meaning::Timestamp(1_000_000_000),
        };
        meaning.meaning_of_integer(number.parse().ok()?)
    }
}

/// `firstName` as `first_name`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form_in_snake_case() {
        for (name, expected) in
            [("firstName", "first_name"), ("organisationId", "organisation_id"), ("email", "email")]
        {
            assert_eq!(snake_case(name), expected);
        }
    }

    #[test]
    fn numbers_are_what_is_said_of_them() {
        let from = |rule| Names { from: HashMap::from([("f".into(), rule)]), ..Names::default() };
        for (rule, number, expected) in [
            (FromRule::Number, "4402079460001", "\"4402079460001\""),
            (FromRule::Days, "6276", "\"1987-03-09\""),
            (FromRule::Seconds, "0", "\"1970-01-01T00:00:00Z\""),
            (FromRule::Millis, "1706782272654", "\"2024-02-01T10:11:12.654Z\""),
            (FromRule::Micros, "1706782272654321", "\"2024-02-01T10:11:12.654321Z\""),
            (FromRule::Nanos, "-1", "\"1969-12-31T23:59:59.999999999Z\""),
        ] {
            assert_eq!(from(rule).meaning_of("f", number.as_bytes()).as_deref(), Some(expected), "{rule:?}");
        }
        let days = from(FromRule::Days);
        assert!(
            ["\"1987-03-09\"", "null", "1.5", "[1]"]
                .iter()
                .all(|json| days.meaning_of("f", json.as_bytes()).is_none())
        );
        assert_eq!(days.meaning_of("g", b"1"), None);
    }
}
