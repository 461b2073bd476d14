//! The model by the command line: shown, checked, and refused with every error at once.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::files::{entries, root};
use crate::harness::{World, log_of};

/// A world with a model of these texts.
fn world(name: &str, model: &str) -> World {
    let world =
        World::embedded(name, "source.kind = \"files\"\nsource.path = \"events\"\nmodel = \"model.toml\"\n");
    fs::create_dir_all(world.path("events")).unwrap();
    fs::write(world.path("model.toml"), model).unwrap();
    world
}

/// The folders of the models with logs and documents.
pub fn cases() -> Vec<PathBuf> {
    let mut cases = entries(&root().join("tests/cases-models"));
    cases.retain(|case| case.join("expected.json").exists());
    assert!(cases.len() >= 8, "{cases:?}");
    cases
}

const WRONG: &str = "\
[entities.people]
formt = \"plain\"
[entities.people.fields]
name = \"sting\"
bossId = { references = \"persons\" }
[projections.people]
of = \"people\"
[[projections.people.embed]]
as = \"tickets\"
from = \"tickets.personId\"
[[projections.people.embed]]
as = \"name\"
reference = \"bosId\"
";

#[test]
fn check_tells_every_error_with_its_line_its_key_and_the_nearest_name() {
    let world = world("model-wrong", WRONG);
    let expected = [
        (2, "entities.people.formt", "format"),
        (4, "entities.people.fields.name", "string"),
        (5, "entities.people.fields.bossId.references", "people"),
        (10, "projections.people.embed[0].from", "no entity type is named \"tickets\""),
        (12, "projections.people.embed[1].as", "a shown field already"),
        (13, "projections.people.embed[1].reference", "bossId"),
    ];
    let file = world.path("model.toml");
    for (arguments, name) in [
        (vec!["model", "check"], "model.toml"),
        (vec!["model", "check", file.to_str().unwrap()], file.to_str().unwrap()),
    ] {
        let output = world.run(&arguments);
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(2), "{log}");
        for (line, key, told) in expected {
            let place = format!("{name}:{line}: {key}: ");
            assert!(
                log.lines().any(|text| text.contains(&place) && text.contains(told)),
                "{place}{told}:\n{log}"
            );
        }
        assert_eq!(log.lines().count(), expected.len(), "{log}");
    }
    // Everything else that needs the model stops with the same code and names the first.
    for arguments in [&["run", "--until-end"][..], &["model", "show"], &["check", "--offline"]] {
        let output = world.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(log_of(&output).contains("entities.people.formt"), "{}", log_of(&output));
    }
}

#[test]
fn every_model_of_the_cases_is_checked_clean_and_equals_itself_when_it_is_shown() {
    for case in cases() {
        let model = fs::read_to_string(case.join("model.toml")).unwrap();
        let world = world("model-case", &model);
        let told = world.succeed(&["model", "check"]);
        let shown = world.succeed(&["model", "show"]);
        let declared = tributary::model::parse("a", &model).unwrap();
        for entity in &declared.entities {
            assert!(told.contains(&format!("entity type {}: ", entity.name)), "{told}");
        }
        for projection in &declared.projections {
            assert!(told.contains(&format!("projection {}: ", projection.name)), "{told}");
            let mapping: Value =
                serde_json::from_str(&world.succeed(&["model", "mapping", &projection.name])).unwrap();
            let properties = mapping["mappings"]["properties"].as_object().unwrap();
            let missing = projection.members().into_iter().find(|member| !properties.contains_key(*member));
            assert_eq!(missing, None, "{properties:#?}");
        }
        assert_eq!(tributary::model::parse("b", &shown).unwrap(), declared, "{shown}");
        fs::write(world.path("model.toml"), &shown).unwrap();
        assert_eq!(world.succeed(&["model", "show"]), shown);
    }
}

#[test]
fn the_built_in_model_is_shown_as_a_file_that_says_the_same() {
    let world = World::embedded("model-built-in", "organisations.topics = [\"companies\"]\n");
    let shown = world.succeed(&["model", "show"]);
    assert!(shown.contains("topics = [\"companies\"]"), "{shown}");
    fs::write(world.path("copy.toml"), &shown).unwrap();
    let copy = World::embedded("model-copy", &format!("model = {:?}\n", world.path("copy.toml")));
    assert_eq!(copy.succeed(&["model", "show"]), shown);
    world.succeed(&["model", "check", "copy.toml"]);
    let told = world.succeed(&["model", "check"]);
    for part in [
        "one row with name, firstName, lastName, email, phone, role, department, tags for each contacts.organisationId",
        "read by organisations.contacts",
        "one row with name for each organisations.parentId; read by hierarchy.children",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    for projection in ["organisations", "contacts", "hierarchy"] {
        let file = root().join(format!("mappings/{projection}.json"));
        let mapping = world.succeed(&["model", "mapping", projection]);
        assert_eq!(mapping.trim_end(), fs::read_to_string(file).unwrap().trim_end());
    }
    assert_eq!(world.run(&["model", "mapping", "companies"]).status.code(), Some(2));
}

#[test]
fn a_relation_that_only_leads_to_affected_documents_is_told_apart() {
    let model = fs::read_to_string(cases()[0].parent().unwrap().join("two-references/model.toml")).unwrap();
    let told = world("model-cost", &model).succeed(&["model", "check"]);
    for part in [
        "relation comments.authorId: one key for each comments.authorId; only to find the documents that a change affects: tickets.comments.author",
        "relation tickets.requesterId: one row with title for each tickets.requesterId; read by people.requested, tickets.requester",
        "relation comments.ticketId: one key for each comments.ticketId; read by people.requested.comments",
        "relation people.managerId: one row with name for each people.managerId; read by people.reports",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn a_model_beside_the_configuration_is_found_and_keys_of_the_built_in_one_are_refused_with_another() {
    let other = "[entities.things.fields]\nname = \"string\"\n[projections.things]\nof = \"things\"\n";
    let world = World::embedded("model-keys", "");
    fs::create_dir_all(world.path("etc")).unwrap();
    fs::write(world.path("etc/m.toml"), other).unwrap();
    let write = |text: &str| {
        fs::write(world.path("etc/tributary.toml"), format!("model = \"m.toml\"\n{text}")).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.current_dir(world.path("")).args(["--config", "etc/tributary.toml", "model", "show"]);
        command.output().unwrap()
    };
    let shown = write("");
    assert!(shown.status.success(), "{}", log_of(&shown));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("[entities.things]"));
    for (text, key) in [
        ("organisations.topics = [\"a\"]", "organisations: "),
        ("index.max_embedded_contacts = 7", "index.max_embedded_contacts: "),
        ("index.projections = [\"thing\"]", "nearest: things"),
    ] {
        let refused = write(text);
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(log_of(&refused).contains(key), "{}", log_of(&refused));
    }
}

/// The findings of a model's text.
fn wrong(text: &str) -> Vec<String> {
    let findings = tributary::model::parse("init.toml", text).err().unwrap_or_default();
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_starting_model_is_made_of_sample_records_and_is_good() {
    let world = World::embedded("model-init", "");
    for case in cases() {
        let model = world.succeed(&["model", "init", "--from", case.join("events").to_str().unwrap()]);
        assert_eq!(wrong(&model), Vec::<String>::new(), "{model}");
    }
    let shop = cases()[0].parent().unwrap().join("two-references/events");
    let model = world.succeed(&["model", "init", "--from", shop.to_str().unwrap()]);
    for part in [
        "format = \"cloudevents\"",
        "title = \"string\"",
        "authorId = { references = \"people\" }  # because its values are ids of that type",
        "ticketId = { references = \"tickets\" }  # by its name",
        "managerId = { references = \"people\" }  # by its name",
        "above = \"managerId\"",
        "# from = \"comments.ticketId\"",
    ] {
        assert!(model.contains(part), "{part}:\n{model}");
    }
}

#[test]
fn an_id_under_another_name_is_no_reference_and_phones_are_searched_as_such() {
    let world = World::embedded("model-init-ids", "");
    fs::create_dir_all(world.path("events")).unwrap();
    for (topic, lines) in [
        (
            "customers",
            "{\"key\":\"C-1\",\"value\":{\"customerId\":\"C-1\",\"companyName\":\"Acme\",\"telephone\":\"+44 113 496 0000\",\"sku\":\"C-1\"}}\n\
             {\"key\":\"C-2\",\"value\":{\"customerId\":\"C-2\",\"companyName\":\"Beta\",\"telephone\":\"+44 113 496 0001\",\"sku\":\"C-2\"}}\n",
        ),
        (
            "persons",
            "{\"key\":\"P-1\",\"value\":{\"persNr_id\":\"P-1\",\"fullName\":\"Jane Doe\",\"customerId\":\"C-1\"}}\n",
        ),
    ] {
        fs::write(world.path("events").join(format!("{topic}.jsonl")), lines).unwrap();
    }
    let model = world.succeed(&["model", "init", "--from", "events"]);
    assert_eq!(wrong(&model), Vec::<String>::new(), "{model}");
    for part in [
        "rename = { customerId = \"id\" }",
        "rename = { persNr_id = \"id\" }",
        "sku = \"string\"",
        "customerId = { references = \"customers\" }  # by its name",
        "phones = [\"telephone\"]",
        "words = [\"companyName\", \"sku\"]",
    ] {
        assert!(model.contains(part), "{part}:\n{model}");
    }
    assert!(!model.contains("above"), "no customer refers to itself:\n{model}");
    // The boss is the one who has a manager, himself.
    let lines = "{\"key\":\"E-1\",\"value\":{\"name\":\"A\",\"managerId\":\"E-1\"}}\n{\"key\":\"E-2\",\"value\":{\"name\":\"B\"}}\n";
    fs::write(world.path("employees.jsonl"), lines).unwrap();
    let model = world.succeed(&["model", "init", "--from", "employees.jsonl"]);
    assert!(model.contains("managerId = { references = \"employees\" }"), "{model}");
    // A member `id` is the id.
    let lines = "{\"key\":\"C-1\",\"value\":{\"id\":\"C-1\",\"customerId\":\"C-1\",\"name\":\"A\",\"phoneType\":\"work\"}}\n";
    fs::write(world.path("customers.jsonl"), lines).unwrap();
    let model = world.succeed(&["model", "init", "--from", "customers.jsonl"]);
    for part in ["customerId = \"string\"", "words = [\"name\", \"customerId\", \"phoneType\"]"] {
        assert!(model.contains(part), "{part}:\n{model}");
    }
    assert!(!model.contains("rename"), "{model}");
    // A record without its key may tell its id by the entity's name.
    fs::write(world.path("customers.json"), r#"[{"customerId": "C-1", "companyName": "Acme"}]"#).unwrap();
    let model = world.succeed(&["model", "init", "--from", "customers.json"]);
    assert!(model.contains("rename = { customerId = \"id\" }"), "{model}");
}

#[test]
fn types_are_those_seen_and_odd_names_do_no_harm() {
    let world = World::embedded("model-init-odd", "");
    let records = r#"[
        {"id": 1, "name": "A", "n": 1, "f": 1.5, "b": true, "t": ["x"], "o": {"a": 1}, "d": "2024-01-31T10:00:00Z", "mix": 1, "none": null, "stub": "s", "a.b": "x", "_p": "y", "customer_id": 7, "attributes": 5, "multi\nline": "x\ny", "": 1},
        {"id": 2, "name": "B", "n": 2, "f": 2, "b": false, "t": [], "o": {}, "d": "2024-02-01", "mix": "x", "customer_id": 8, "search": ["\u0000"]}
    ]"#;
    fs::write(world.path("search.json"), records).unwrap();
    let model = world.succeed(&["model", "init", "--from", "search.json"]);
    assert_eq!(wrong(&model), Vec::<String>::new(), "{model}");
    for part in [
        "[entities.search]",
        "[projections.search-documents]",
        "format = \"plain\"",
        "n = \"integer\"",
        "f = \"number\"",
        "b = \"boolean\"",
        "t = \"strings\"",
        "o = \"object\"",
        "d = \"date\"",
        "mix = \"any\"",
        "\"a.b\" = \"a_b\"",
        "customer_id = \"integer\"  # perhaps a reference",
        "rest = \"attributes2\"",
    ] {
        assert!(model.contains(part), "{part}:\n{model}");
    }
    fs::write(world.path("model.toml"), &model).unwrap();
    world.succeed(&["model", "check", "model.toml"]);
    fs::write(world.path("none.jsonl"), "no json\n5\n").unwrap();
    for file in ["none.jsonl", "missing.jsonl"] {
        assert_eq!(world.run(&["model", "init", "--from", file]).status.code(), Some(2));
    }
}

#[test]
fn a_starting_model_reads_every_file_of_json_in_a_folder() {
    let world = World::embedded("model-init-files", "");
    fs::create_dir_all(world.path("samples")).unwrap();
    for (file, text) in [
        ("brands.json", r#"[{"id": "b1", "name": "Nordlicht"}]"#),
        ("notes.ndjson", "{\"id\": \"n1\", \"text\": \"Good\"}\n"),
        ("products.jsonl", "{\"id\": \"p1\", \"name\": \"Kettle\"}\n"),
        ("README.md", "No records."),
    ] {
        fs::write(world.path("samples").join(file), text).unwrap();
    }
    let model = world.succeed(&["model", "init", "--from", "samples"]);
    let declared = tributary::model::parse("init.toml", &model).unwrap();
    let names: Vec<&str> = declared.entities.iter().map(|entity| entity.name.as_str()).collect();
    assert_eq!(names, ["brands", "notes", "products"]);
    fs::create_dir_all(world.path("none")).unwrap();
    let refused = world.run(&["model", "init", "--from", "none"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(log_of(&refused).contains("*.jsonl, *.ndjson or *.json"), "{}", log_of(&refused));
}

#[test]
fn the_title_of_a_starting_model_is_a_field_that_is_named_so() {
    let world = World::embedded("model-init-title", "");
    for (record, title) in [
        (r#"{"code": "K-1", "displayName": "Kettle"}"#, "displayName"),
        (r#"{"code": "K-1", "product_title": "Kettle", "labelText": "New"}"#, "product_title"),
        (r#"{"code": "7", "surname": "Doe"}"#, "surname"),
        (r#"{"code": "7", "nameDe": "Kessel"}"#, "nameDe"),
        (r#"{"code": "7", "displayName": "Kettle", "title": "T"}"#, "title"),
        (r#"{"code": "7", "nameId": "x", "text": "Good"}"#, "code"),
    ] {
        fs::write(world.path("things.json"), format!("[{record}]")).unwrap();
        let model = world.succeed(&["model", "init", "--from", "things.json"]);
        let line = format!("\ntitle = \"{title}\"\n");
        assert!(model.contains(&line), "{record}: {title} was expected:\n{model}");
    }
}

/// Products with at most two prices in a document, and the search over both.
const PRICES: &str = r#"
[entities.products.fields]
name = "string"
[entities.prices.fields]
productId = { references = "products" }
occasion = "string"
currency = "string"
[projections.products]
of = "products"
[[projections.products.embed]]
as = "prices"
from = "prices.productId"
max = 2
count = "priceCount"
truncated = "pricesTruncated"
[projections.products.search]
filters = { currency = "prices.currency" }
[projections.products.search.embed.prices]
words = ["occasion"]
"#;
/// Documents of the prices themselves.
const APART: &str = r#"
[projections.prices]
of = "prices"
[[projections.prices.embed]]
as = "product"
reference = "productId"
[projections.prices.search]
title = "occasion"
filters = { currency = "currency" }
"#;

#[test]
fn check_tells_which_members_beyond_max_are_not_found_and_the_declaration_that_lacks() {
    let whole = format!("{PRICES}{APART}");
    let beyond = "embed products.prices: members beyond max = 2 are not found";
    let unfound = |model: &str| -> Vec<String> {
        let told = world("model-beyond", model).succeed(&["model", "check"]);
        told.lines().filter(|line| line.contains("not found")).map(str::to_owned).collect()
    };
    assert_eq!(unfound(&whole), [""; 0]);
    assert_eq!(unfound(&PRICES.replace("max = 2\n", "")), [""; 0]);
    for (model, told) in [
        (PRICES.to_owned(), &["projection of prices", "words occasion", "productId", "path currency"][..]),
        (whole.replace("truncated = \"pricesTruncated\"\n", ""), &["name of truncated"]),
        (whole.replace("title = \"occasion\"\n", "title = \"currency\"\n"), &["words occasion"]),
        (
            whole
                .replace("reference = \"productId\"", "above = \"productId\"")
                .replace(
                    "productId = { references = \"products\" }",
                    "productId = { references = \"products\" }\nparentId = { references = \"prices\" }",
                )
                .replace("above = \"productId\"", "above = \"parentId\""),
            &["reference = \"productId\""],
        ),
    ] {
        let lines = unfound(&model);
        let [line] = &lines[..] else { panic!("one line was expected: {lines:#?}\n{model}") };
        assert!(line.starts_with(beyond), "{line}");
        assert!(told.iter().all(|told| line.contains(told)), "{told:?}: {line}");
    }
    let filter = "filters = { currency = \"currency\" }\n";
    let lines = unfound(&whole.replace(filter, ""));
    let expected = "embed products.prices: members beyond max = 2 are not found by the filter currency; declare a filter \
                    with the path currency in the projection prices";
    assert_eq!(lines, [expected]);
}

#[test]
fn check_tells_that_members_of_members_beyond_max_are_not_found() {
    let model = r#"
        [entities.products.fields]
        name = "string"
        [entities.prices.fields]
        productId = { references = "products" }
        [entities.notes.fields]
        priceId = { references = "prices" }
        text = "string"
        [projections.products]
        of = "products"
        [[projections.products.embed]]
        as = "prices"
        from = "prices.productId"
        max = 2
        [[projections.products.embed.embed]]
        as = "notes"
        from = "notes.priceId"
        max = 3
        [projections.products.search]
        filters = { note = "prices.notes.text" }
    "#;
    let told = world("model-beyond-inner", model).succeed(&["model", "check"]);
    for (embed, max) in [("prices", 2), ("prices.notes", 3)] {
        let line = told.lines().find(|line| line.starts_with(&format!("embed products.{embed}: "))).unwrap();
        assert!(line.contains(&format!("beyond max = {max} are not found by the filter note")), "{line}");
        assert!(line.contains("raise max"), "{line}");
    }
}

#[test]
fn check_prints_the_sections_that_the_model_has_and_leads_from_others_to_the_model() {
    let other = "[entities.artworks.fields]\nname = \"string\"\n[projections.artworks]\nof = \"artworks\"\n";
    let world = world("model-sections", other);
    let printed = world.succeed(&["check", "--offline"]);
    assert!(printed.contains("[index]") && !printed.contains("[organisations]"), "{printed}");
    assert!(!printed.contains("[contacts]"), "{printed}");
    world.write_config(&format!("{}\n[artworks]\nformat = \"plain\"\n", world.config));
    let refused = world.run(&["check", "--offline"]);
    assert_eq!(refused.status.code(), Some(2));
    let log = log_of(&refused);
    assert!(log.contains("artworks: entity types are declared in the model file"), "{log}");
    assert!(log.contains("[entities.artworks]") && !log.contains("nearest"), "{log}");
    // A model with an entity type of that name keeps its section.
    fs::write(world.path("model.toml"), other.replace("artworks", "contacts")).unwrap();
    world.write_config(&world.config);
    let printed = world.succeed(&["check", "--offline"]);
    assert!(printed.contains("[contacts]") && !printed.contains("[organisations]"), "{printed}");
}

#[test]
fn a_model_of_more_relations_than_there_are_keyspaces_is_refused() {
    let fields: String = (0..200).map(|number| format!("f{number} = \"string\"\n")).collect();
    let mut text = format!(
        "[entities.t.fields]\nr = {{ references = \"u\" }}\n{fields}[entities.u.fields]\nname = \"string\"\n"
    );
    for projection in 0..64 {
        text += &format!("[projections.p{projection}]\nof = \"u\"\n");
        for embed in 0..3 {
            let field = projection * 3 + embed;
            text += &format!(
                "[[projections.p{projection}.embed]]\nas = \"e{embed}\"\nfrom = \"t.r\"\nshow = [\"f{field}\"]\n"
            );
        }
    }
    let world = World::embedded("many", "model = \"many.toml\"\nsource.kind = \"files\"\n");
    std::fs::write(world.path("many.toml"), text).unwrap();
    let file = world.path("many.toml").display().to_string();
    for call in [&["run", "--until-end"][..], &["model", "check", &file]] {
        let refused = world.run(call);
        assert_eq!(refused.status.code(), Some(2), "{}", log_of(&refused));
        assert!(log_of(&refused).contains("192 relations"), "{}", log_of(&refused));
    }
}

#[test]
fn the_relations_that_are_told_are_those_that_the_state_keeps() {
    let folders =
        ["tests/cases-models", "examples"].into_iter().flat_map(|folder| entries(&root().join(folder)));
    let models = folders.map(|folder| folder.join("model.toml"));
    let mut count = 0;
    for file in models.filter(|file| file.exists()) {
        let model = tributary::model::load(Some(&file)).unwrap();
        let (told, kept) = (tributary::model::relations(&model), tributary::plan::PlanRef::of(&model));
        assert_eq!(told.len(), kept.relations().len(), "{}: {told:?}", file.display());
        count += 1;
    }
    assert!(count > 8, "only {count} models");
}
