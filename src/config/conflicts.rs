//! Values that do not go together, or that a server would refuse in the middle of a run.

use std::path::Path;

use super::{Config, DeadLetterKind, Encoding, EntityConfig, Format, IndexConfig, SourceKind};
use crate::error::Error;
use crate::model::Model;

/// The longest name of a topic (<https://kafka.apache.org/documentation/#topicconfigs>).
const TOPIC_BYTES_MAX: usize = 249;

/// All of them, each with the key to change.
pub(super) fn check(config: &Config) -> Vec<Error> {
    let mut wrong = Vec::new();
    let kind = config.source.kind;
    wrong.extend(check_topics(&config.model));
    wrong.extend(check_records(&config.model, kind));
    if kind.is_coordinated && config.kafka.group.is_empty() {
        wrong.push(Error::usage(
            "kafka.group: it is empty; name the group of the instances that share the work",
        ));
    }
    if config.dead_letters.kind == DeadLetterKind::Kafka {
        wrong.extend(check_letters(config));
    }
    wrong.extend(check_api_key(&config.index));
    wrong.extend(check_layout(&config.index));
    wrong.extend(check_encodings(config));
    wrong.extend(check_folders(config));
    wrong
}

/// An API key is of no use to a server that takes none.
fn check_api_key(index: &IndexConfig) -> Option<Error> {
    let is_unknown = index.kind.is_server && !index.kind.has_api_keys;
    index.api_key.as_ref().filter(|_| is_unknown).map(|_| {
        Error::usage(format!(
            "index.api_key: only Elasticsearch has API keys, and index.kind is {:?}; set index.username and \
             index.password",
            index.kind.name
        ))
    })
}

/// An index without a server holds no children.
fn check_layout(index: &IndexConfig) -> Option<Error> {
    let joined = index.plan.projections().find(|projection| projection.has_children());
    let joined = joined.filter(|_| !index.kind.is_server)?;
    Some(Error::usage(format!(
        "layout: \"join\" of {} needs a server, and index.kind is {:?}; use \"nested\"",
        joined.name(),
        index.kind.name
    )))
}

/// Each topic carries one entity type.
fn check_topics(model: &Model) -> Option<Error> {
    model.entities.iter().enumerate().find_map(|(number, entity)| {
        let (name, topics) = (&entity.name, &entity.source.topics);
        model.entities.iter().skip(number + 1).find_map(|other| {
            let topic = topics.iter().find(|topic| other.source.topics.contains(topic))?;
            Some(Error::usage(format!(
                "{name}.topics: the topic {topic} is both in {name}.topics and in {}.topics",
                other.name
            )))
        })
    })
}

/// Refuses topics and formats that the source does not have.
fn check_records(model: &Model, kind: &SourceKind) -> Option<Error> {
    model.entities.iter().find_map(|entity| {
        let (name, source) = (&entity.name, &entity.source);
        check_categories(name, source, kind).or_else(|| check_form(name, source, kind))
    })
}

/// Refuses a stream in the place of its category.
fn check_categories(name: &str, source: &EntityConfig, kind: &SourceKind) -> Option<Error> {
    let stream = source.topics.iter().find(|topic| kind.has_categories && topic.contains('-'))?;
    Some(Error::usage(format!(
        "{name}.topics: {stream} is the name of a stream, and source.kind {:?} reads categories; name what stands before \
         the first -",
        kind.name
    )))
}

/// Refuses the choice of a form where messages say type and position beside their data.
fn check_form(name: &str, source: &EntityConfig, kind: &SourceKind) -> Option<Error> {
    let is_json = source.encoding == Encoding::Json && source.key_encoding.is_none();
    let of = kind.name;
    match source.format {
        _ if !kind.has_one_form => None,
        Format::CloudEvents if is_json => None,
        Format::CloudEvents => Some(Error::usage(format!(
            "{name}.encoding: messages of source.kind {of:?} are JSON; leave encoding and key_encoding out"
        ))),
        format => Some(Error::usage(format!(
            "{name}.format: \"{}\" found; messages of source.kind {of:?} have one form, so leave the key out",
            format.name()
        ))),
    }
}

/// Only a registry knows the schemas of Avro and Protobuf.
fn check_encodings(config: &Config) -> Option<Error> {
    if config.schema_registry.is_some() {
        return None;
    }
    let needs = |encoding: Encoding| matches!(encoding, Encoding::Avro | Encoding::Protobuf);
    let of = |name: &str, entity: &EntityConfig| {
        let key = entity.key_encoding.map(|encoding| (format!("{name}.key_encoding"), encoding));
        let value = Some((format!("{name}.encoding"), entity.encoding));
        value.into_iter().chain(key).find(|(_, encoding)| needs(*encoding))
    };
    let (key, encoding) = config.model.entities.iter().find_map(|entity| of(&entity.name, &entity.source))?;
    Some(Error::usage(format!(
        "schema_registry.url: missing, the address of a schema registry was expected because {key} is \"{}\"",
        encoding.name()
    )))
}

fn check_letters(config: &Config) -> Option<Error> {
    let topic = &config.dead_letters.topic;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = (1..=TOPIC_BYTES_MAX).contains(&topic.len()) && topic.bytes().all(is_legal);
    if !is_name || topic == "." || topic == ".." {
        return Some(Error::usage(format!(
            "dead_letters.topic: no topic can be named {topic:?}; use letters, digits, `.`, `_` and `-`"
        )));
    }
    let mut sources = config.model.entities.iter().flat_map(|entity| &entity.source.topics);
    if config.source.kind.is_kafka && sources.any(|source| source == topic) {
        return Some(Error::usage(format!(
            "dead_letters.topic: events are read from the topic {topic}, so that each dead letter would be read as an event; \
             name another topic"
        )));
    }
    None
}

/// The state's folder may be deleted to replay the log: nothing else lies in it.
fn check_folders(config: &Config) -> Vec<Error> {
    let mut wrong = Vec::new();
    let state = config.state.as_path();
    let is_in = |path: &Path| path.starts_with(state);
    if config.source.kind.is_folder && is_in(&config.source.path) {
        wrong.push(Error::usage(
            "state: the events of source.path lie in this folder; name a folder of its own",
        ));
    }
    if !config.index.kind.is_server && is_in(&config.index.path) {
        wrong.push(Error::usage(
            "state: the index of index.path lies in this folder; name a folder of its own",
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Kinds};

    fn load(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tributary.toml");
        std::fs::write(&path, text).unwrap();
        let loaded = Config::load(&Kinds::examples(), Some(&path), std::iter::empty(), &Vec::new());
        loaded.map_err(|error| {
            assert_eq!(error.exit_code(), 2, "{error}");
            error.to_string()
        })
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_its_key() {
        let letters = "dead_letters.kind = \"kafka\"\n";
        let postgres = "source.kind = \"postgres\"\n";
        for (text, key) in [
            ("index.kind = \"opensearch\"\nindex.api_key = \"a2V5\"\n".to_owned(), "index.api_key"),
            (
                "organisations.topics = [\"a\"]\ncontacts.topics = [\"b\", \"a\"]\n".to_owned(),
                "organisations.topics",
            ),
            ("kafka.group = \"\"\n".to_owned(), "kafka.group"),
            (format!("{letters}dead_letters.topic = \"contacts\"\n"), "dead_letters.topic"),
            (format!("{letters}dead_letters.topic = \"bad name!\"\n"), "dead_letters.topic"),
            ("state = \"s\"\nsource.kind = \"files\"\nsource.path = \"s\"\n".to_owned(), "state"),
            (format!("{postgres}contacts.topics = [\"contact-1\"]\n"), "contacts.topics"),
            (format!("{postgres}contacts.format = \"plain\"\n"), "contacts.format"),
            (format!("{postgres}contacts.encoding = \"json-schema\"\n"), "contacts.encoding"),
            (format!("{postgres}kafka.group = \"\"\n"), "kafka.group"),
            ("postgres.url = \"localhost\"\n".to_owned(), "postgres.url"),
            (
                "postgres.ca_certificate = \"a\"\npostgres.sslmode = \"require\"\n".to_owned(),
                "postgres.sslmode",
            ),
            ("postgres.url = \"postgres://h/d?sslmode=none\"\n".to_owned(), "postgres.sslmode"),
            ("contacts.encoding = \"avro\"\n".to_owned(), "schema_registry.url"),
            ("contacts.key_encoding = \"protobuf\"\n".to_owned(), "schema_registry.url"),
            ("state = \"s\"\nindex.kind = \"embedded\"\nindex.path = \"s/index\"\n".to_owned(), "state"),
        ] {
            let reason = load(&text).unwrap_err();
            assert!(reason.contains(&format!("{key}: ")), "{text}: {reason}");
        }
        assert!(load(&format!("{letters}dead_letters.topic = \"letters\"\n")).is_ok());
    }
}
