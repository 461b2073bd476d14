//! The configuration as users write it, right and wrong.

use std::path::Path;

use super::*;
use crate::error::Result;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&Kinds::examples(), Some(&path), environment, &Flags::new())
}

#[test]
fn everything_has_its_default() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.state, Path::new("data/state"));
    assert_eq!((config.source.kind.name, config.index.kind.name), ("kafka", "elasticsearch"));
    assert_eq!(config.index.urls, ["http://localhost:9200"]);
    assert_eq!(config.index.projections, ["organisations", "contacts", "hierarchy"]);
    assert_eq!(config.http.listen, "127.0.0.1:8080");
    assert_eq!(config.index.max_embedded_contacts, 10_000);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let error = load("[kafka]\nbroker = \"x\"", &[]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(
        error.to_string().starts_with("kafka.broker: ") && error.to_string().ends_with("kafka.brokers"),
        "{error}"
    );
    let error = load("", &[("TRIBUTARY_INDEX__URLL", "x")]).unwrap_err();
    assert!(error.to_string().ends_with("index.url"), "{error}");
}

#[test]
fn the_environment_goes_over_the_file() {
    let environment = [
        ("TRIBUTARY_KAFKA__BROKERS", "b:1"),
        ("TRIBUTARY_KAFKA__PROPERTIES__SECURITY__PROTOCOL", "SSL"),
        ("TRIBUTARY_CONTACTS__TOPICS", "a, b"),
        ("TRIBUTARY_INDEX__MAX_EMBEDDED_CONTACTS", "7"),
        ("TRIBUTARY_STATE", "s"),
        ("TRIBUTARY_SERVICES_DIR", "not ours"),
    ];
    let config = load("[kafka]\nbrokers = \"a:1\"", &environment).unwrap();
    assert_eq!(config.kafka.brokers, "b:1");
    assert_eq!(config.kafka.properties["security.protocol"], "SSL");
    assert_eq!(config.model.entity("contacts").unwrap().source.topics, ["a", "b"]);
    assert_eq!(config.index.max_embedded_contacts, 7);
    assert_eq!(config.state, Path::new("s"));
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (text, named) in [
        (
            "[source]\nkind = \"kafak\"",
            "source.kind: \"kafak\" found, one of kafka, files, postgres was expected (nearest: kafka)",
        ),
        (
            "[index]\nkind = \"opensaerch\"",
            "one of elasticsearch, opensearch, embedded was expected (nearest: opensearch)",
        ),
        ("[index]\nkind = \"embedded\"\nlayout = \"join\"", "needs a server"),
        ("[index]\nmax_embedded_contacts = 10001", "index.max_embedded_contacts"),
        ("[index]\nprojections = [\"contact\"]", "nearest: contacts"),
        ("[index]\nprojections = [\"contacts\", \"contacts\"]", "once"),
        ("[contacts]\ntopics = [\"organisations\"]", "both"),
        ("[events.types]\n\"a.b\" = \"drop\"", "a.b"),
        ("state = 5", "state"),
        ("kafka = 5", "section"),
        ("[kafka]\nbrokers = 5", "kafka.brokers: a string was expected, found: integer"),
        ("[kafka.properties]\n\"a\" = [1]", "found: array"),
        ("[index]\nurl = []", "index.url"),
        ("[index]\nurl = [\"\"]", "index.url"),
        ("[contacts]\ntopics = [\"a\", \"a\"]", "twice"),
        ("[kafka.properties]\na = \"b\"\n[kafka.properties_files]\na = \"c\"", "set one"),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(named), "{text}: {error}");
    }
}

#[test]
fn a_misspelt_key_is_refused_and_a_variable_without_a_section_is_passed_over() {
    for name in ["TRIBUTARY_KAFKA__BROKER", "TRIBUTARY__STATE", "TRIBUTARY_STATE__X"] {
        assert_eq!(load("", &[(name, "x")]).unwrap_err().exit_code(), 2, "{name}");
    }
    // The variables that Kubernetes sets in each pod beside a Service named `tributary`.
    for name in [
        "TRIBUTARY_PORT",
        "TRIBUTARY_SERVICE_HOST",
        "TRIBUTARY_SERVICE_PORT",
        "TRIBUTARY_SERVICE_PORT_HTTP",
        "TRIBUTARY_PORT_8080_TCP",
        "TRIBUTARY_PORT_8080_TCP_ADDR",
    ] {
        load("", &[(name, "tcp://10.0.0.7:8080")]).unwrap();
    }
    assert_eq!(load("", &[("TRIBUTARY_STATE", "s")]).unwrap().state, Path::new("s"));
    for name in [
        "TRIBUTARY_LOG",
        "TRIBUTARY_CONFIG",
        "TRIBUTARY_KAFKA_PORT",
        "TRIBUTARY_SERVICES",
        "TRIBUTARY_SERVICES_DIR",
    ] {
        load("", &[(name, "x")]).unwrap();
    }
    let error = load("", &[("TRIBUTARY_KAFKA__PROPERTIES", "x")]).unwrap_err();
    assert!(error.to_string().contains("TRIBUTARY_KAFKA__PROPERTIES__NAME"), "{error}");
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line_and_never_quoted() {
    for line in [
        "password = hunter2",
        "password = \"hunter2",
        "password = 'hunter2' x",
        "password = \"a\"\npassword = \"hunter2\"",
        "password = \"hunter2\\q\"",
        "password = hunter2\"",
        "password \"hunter2\"",
        "password = [\"hunter2\"",
        "password = {hunter2}",
        "hunter2",
    ] {
        let error = load(&format!("[index]\n{line}"), &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.chain().contains(" in line "), "{line}: {}", error.chain());
        assert!(!error.chain().contains("hunter2"), "{line}: {}", error.chain());
    }
}

#[test]
fn secrets_are_read_from_files_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let text = format!(
        "[index]\nusername = \"u\"\npassword_file = {secret:?}\nurl = \"http://u:hunter2@h:1\"\n\
         [kafka.properties_files]\n\"sasl.password\" = {secret:?}\n[http]\ntoken = \"hunter2\""
    );
    let config = load(&text, &[]).unwrap();
    assert_eq!(config.index.password.as_deref(), Some("hunter2"));
    assert_eq!(config.kafka.properties["sasl.password"], "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn secrets_in_addresses_are_never_shown() {
    for text in [
        "[postgres]\nurl = \"postgres://u:hunter2@h/d\"",
        "[postgres]\nurl = \"postgres://u@h/d?password=hunter2\"",
        "[postgres]\nurl = \"postgresql://h/d?user=u&pass%77ord=hunter2\"",
        "[traces]\nendpoint = \"http://u:hunter2@h:4318\"",
        "[traces]\nendpoint = \"https://h/otlp?api-key=hunter2\"",
        "[index]\nurl = [\"http://h\", \"http://h:9200/?key=hunter2\"]",
        "[schema_registry]\nurl = \"http://u:hunter2@h\"",
        "[schema_registry]\nurl = \"http://h?key=hunter2\"",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        let examined = Config::examine(&Kinds::examples(), Some(&path), std::iter::empty(), &Flags::new());
        let (config, shown) = examined.unwrap();
        let shown = format!("{}\n{config:?}", toml_text::text(&shown));
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
        assert!(shown.contains("(hidden)"), "{text}: {shown}");
    }
    for text in [
        "[postgres]\nurl = \"host=h user=u password=hunter2\"",
        "[postgres]\nurl = \"mysql://u:hunter2@h\"",
        "[postgres]\nurl = \"postgres://u:hunter2\"",
        "[postgres]\nurl = \"postgres://h/d?password=hunter2&what=hunter2\"",
        "[traces]\nendpoint = \"h?api-key=hunter2\"",
        "[traces]\nendpoint = \"ftp://h?api-key=hunter2\"",
        "[index]\nurl = [\"http://u:hunter2@h\", \"http://u:hunter2@h\"]",
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.exit_code() == 2 && !error.chain().contains("hunter2"), "{text}: {}", error.chain());
    }
}
