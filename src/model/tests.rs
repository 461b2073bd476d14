//! The rules of a model, and the findings of one that breaks them.

use super::*;

fn findings(text: &str) -> Vec<String> {
    let findings = parse("m.toml", text).err().unwrap_or_default();
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_built_in_model_is_good() {
    assert_eq!(findings(BUILT_IN), Vec::<String>::new());
    let model = default_model();
    assert!(model.is_built_in && parse("copy.toml", BUILT_IN).unwrap().is_built_in);
    let names: Vec<&str> = model.projections.iter().map(|projection| projection.name.as_str()).collect();
    assert_eq!(names, ["organisations", "contacts", "hierarchy"]);
    let contacts = model.projection("contacts").unwrap();
    assert_eq!(contacts.show.first().map(String::as_str), Some("name"));
    assert!(!contacts.show.iter().any(|field| field == "organisationId"));
}

#[test]
fn every_model_of_the_cases_is_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases-models");
    let mut read = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let file = case.unwrap().path().join("model.toml");
        let model = load(Some(&file)).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
        assert!(!model.is_built_in && !model.projections.is_empty());
        read += 1;
    }
    assert!(read >= 8, "{read}");
}

#[test]
fn the_order_of_the_file_is_kept() {
    let text = "[projections.z]\nof = \"b\"\n[projections.a]\nof = \"b\"\n[projections.z.compute]\ny = \"1\"\nb = \"2\"\n\
                [entities.b.fields]\nz = \"string\"\nm = \"date\"\na = \"any\"\n[entities.a]\n";
    let model = parse("m.toml", text).unwrap();
    let names = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&mut model.entities.iter().map(|entity| &entity.name)), "b a");
    assert_eq!(names(&mut model.projections.iter().map(|projection| &projection.name)), "z a");
    assert_eq!(names(&mut model.entities[0].fields.iter().map(|field| &field.name)), "z m a");
    assert_eq!(names(&mut model.projections[0].compute.iter().map(|compute| &compute.name)), "y b");
    assert_eq!(names(&mut model.projections[0].show.iter()), "z m a");
}

/// A small good model; each test replaces a part of it.
const GOOD: &str = r#"
[entities.people.fields]
name = "string"
age = "integer"
address = "address"
bossId = { references = "people" }
teamIds = { references = "teams", list = true }
[entities.teams.fields]
name = "string"
parentId = { references = "teams" }
otherIds = { references = "teams", list = true }
[projections.people]
of = "people"
rest = "more"
[[projections.people.embed]]
as = "boss"
reference = "bossId"
[[projections.people.embed.embed]]
as = "bosses"
above = "bossId"
ids = true
[[projections.people.embed]]
as = "teams"
reference = "teamIds"
show = ["name"]
[projections.people.compute]
size = ".name | length"
[projections.people.search]
title = "name"
filters = { city = "address.city", team = "teams.name", size = "size", above = "boss.bosses" }
under = "boss.bosses"
[projections.teams]
of = "teams"
stubs = ["members"]
[[projections.teams.embed]]
as = "members"
from = "people.teamIds"
count = "memberCount"
[[projections.teams.embed]]
as = "below"
from = "teams.parentId"
show = []
descendants = "all"
"#;

#[test]
fn a_broken_rule_is_told_with_its_key_and_what_is_allowed() {
    assert_eq!(findings(GOOD), Vec::<String>::new());
    let cases = [
        ("age = \"integer\"", "age = \"int\"", "entities.people.fields.age", "nearest: integer"),
        (
            "age = \"integer\"",
            "age = { type = \"integer\", default = { value = 1.5 } }",
            "entities.people.fields.age.default.value",
            "integer",
        ),
        (
            "age = \"integer\"",
            "age = { type = \"string\", default = { join = [\"nam\"] } }",
            "entities.people.fields.age.default.join",
            "nearest: name",
        ),
        (
            "age = \"integer\"",
            "age = { type = \"string\", default = { join = [\"age\"] } }",
            "entities.people.fields.age.default.join",
            "its own default",
        ),
        (
            "age = \"integer\"",
            "age = { type = \"string\", list = true }",
            "entities.people.fields.age.list",
            "only a reference",
        ),
        (
            "age = \"integer\"",
            "age = { type = \"string\", default = { value = \"\", jq = \".\" } }",
            "entities.people.fields.age.default",
            "one of",
        ),
        ("age = \"integer\"", "\"a.b\" = \"integer\"", "entities.people.fields.\"a.b\"", "dot"),
        ("age = \"integer\"", "id = \"string\"", "entities.people.fields.id", "leave it out"),
        (
            "references = \"people\"",
            "references = \"persons\"",
            "entities.people.fields.bossId.references",
            "nearest: people",
        ),
        (
            "[entities.people.fields]",
            "[entities.people]\nformt = \"plain\"\n[entities.people.fields]",
            "entities.people.formt",
            "nearest: format",
        ),
        (
            "[entities.people.fields]",
            "[entities.people]\nformat = \"plan\"\n[entities.people.fields]",
            "entities.people.format",
            "nearest: plain",
        ),
        (
            "[entities.people.fields]",
            "[entities.people]\ntopics = [\"teams\"]\n[entities.people.fields]",
            "entities.teams.topics",
            "people already",
        ),
        (
            "[entities.people.fields]",
            "[entities.people]\nversion = \"lsn\"\n[entities.people.fields]",
            "entities.people.version",
            "debezium",
        ),
        (
            "[entities.people.fields]",
            "[entities.people]\nrename = { a = \"x\", b = \"x\" }\n[entities.people.fields]",
            "entities.people.rename.b",
            "a name of its own",
        ),
        ("of = \"people\"", "of = \"peopel\"", "projections.people.of", "nearest: people"),
        ("rest = \"more\"", "rests = \"more\"", "projections.people.rests", "nearest: rest"),
        ("rest = \"more\"", "rest = \"name\"", "projections.people.rest", "a shown field already"),
        ("rest = \"more\"", "show = [\"nam\"]", "projections.people.show", "nearest: name"),
        ("rest = \"more\"", "where = { nam = \"x\" }", "projections.people.where.nam", "nearest: name"),
        ("rest = \"more\"", "where = { age = [1, \"x\"] }", "projections.people.where.age", "integer"),
        ("rest = \"more\"", "where = { address = \"x\" }", "projections.people.where.address", "address"),
        ("as = \"boss\"", "as = \"name\"", "projections.people.embed[0].as", "a shown field already"),
        (
            "reference = \"bossId\"",
            "reference = \"bosId\"",
            "projections.people.embed[0].reference",
            "nearest: bossId",
        ),
        (
            "reference = \"bossId\"",
            "reference = \"bossId\"\ncount = \"n\"",
            "projections.people.embed[0].count",
            "from only",
        ),
        (
            "reference = \"bossId\"",
            "reference = \"bossId\"\nabove = \"bossId\"",
            "projections.people.embed[0]",
            "reference and above",
        ),
        ("reference = \"bossId\"", "", "projections.people.embed[0]", "found: none"),
        (
            "above = \"bossId\"",
            "above = \"teamIds\"",
            "projections.people.embed[0].embed[0].above",
            "one parent",
        ),
        (
            "ids = true",
            "ids = true\nshow = [\"name\"]",
            "projections.people.embed[0].embed[0].show",
            "nothing to show",
        ),
        ("size = \".name", "boss = \".name", "projections.people.compute.boss", "an embed already"),
        ("size = \".name", "_size = \".name", "projections.people.compute._size", "the program's own"),
        ("size = \".name", "size = \"now | .name", "projections.people.compute.size", "now is not available"),
        ("size = \".name", "size = \"def f: f; .name", "projections.people.compute.size", "f is recursive"),
        (
            "age = \"integer\"",
            "age = { type = \"integer\", default = { jq = \"lenght\" } }",
            "entities.people.fields.age.default.jq",
            "nearest: length",
        ),
        (
            "[entities.people.fields]",
            "[entities.people]\ntransform = \".a |\"\n[entities.people.fields]",
            "entities.people.transform",
            "its end",
        ),
        ("title = \"name\"", "title = \"age\"", "projections.people.search.title", "nearest: name"),
        ("title = \"name\"", "words = [\"bossId\"]", "projections.people.search.words", "no shown field"),
        ("address.city", "adress.city", "projections.people.search.filters.city", "leads to nothing"),
        ("address.city", "address", "projections.people.search.filters.city", "an object"),
        ("city = \"address", "\"c:y\" = \"address", "projections.people.search.filters.\"c:y\"", "letters"),
        (
            "under = \"boss.bosses\"",
            "under = \"boss\"",
            "projections.people.search.under",
            "nearest: boss.bosses",
        ),
        ("under = \"boss.bosses\"", "hit = [\"nme\"]", "projections.people.search.hit", "nearest: name"),
        (
            "under = \"boss.bosses\"",
            "[projections.people.search.embed.team]\nwords = [\"name\"]",
            "projections.people.search.embed.team",
            "nearest: teams",
        ),
        (
            "under = \"boss.bosses\"",
            "[projections.people.search.embed.teams]\nwords = [\"size\"]",
            "projections.people.search.embed.teams.words",
            "does not show",
        ),
        ("[\"members\"]", "[\"member\"]", "projections.teams.stubs", "nearest: members"),
        ("stubs = ", "where = { name = \"x\" }\nstubs = ", "projections.teams.stubs", "has no stubs"),
        ("people.teamIds", "people.bossId", "projections.teams.embed[0].from", "refers to people"),
        ("people.teamIds", "people.name", "projections.teams.embed[0].from", "no reference"),
        ("people.teamIds", "persons.teamIds", "projections.teams.embed[0].from", "nearest: people.teamIds"),
        ("people.teamIds", "teamIds", "projections.teams.embed[0].from", "a dot"),
        ("teams.parentId", "teams.otherIds", "projections.teams.embed[1].descendants", "need a tree"),
        (
            "descendants = \"all\"",
            "descendants = \"all\"\nwhere = { name = \"x\" }",
            "projections.teams.embed[1].descendants",
            "with where",
        ),
        ("descendants = \"all\"", "max = 20000", "projections.teams.embed[1].max", "1 to 10000"),
        ("descendants = \"all\"", "max = 0", "projections.teams.embed[1].max", "1 to 10000"),
        ("[projections.teams]", "[projections.Teams]", "projections.Teams", "small"),
        ("[projections.people]\nof", "[projections.search]\nof", "projections.search", "HTTP server"),
    ];
    for (part, instead, key, reason) in cases {
        let text = GOOD.replacen(part, instead, 1);
        assert_ne!(text, GOOD, "{part}");
        let found = findings(&text);
        let is_told = |line: &&String| line.contains(&format!(": {key}: ")) && line.contains(reason);
        assert!(found.iter().any(|line| is_told(&line)), "{instead}: {found:#?}");
        assert!(found.iter().all(|line| line.starts_with("m.toml:")), "{found:#?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_in_the_order_of_the_file() {
    let text = GOOD
        .replace("age = \"integer\"", "age = \"int\"")
        .replace("people.teamIds", "people.name")
        .replace("title = \"name\"", "titel = \"name\"");
    let found = findings(&text);
    let keys: Vec<&str> = found.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(
        keys,
        ["entities.people.fields.age", "projections.people.search.titel", "projections.teams.embed[0].from"]
    );
    assert!(found[0].starts_with("m.toml:4: "), "{found:#?}");
}

#[test]
fn depth_and_number_are_bounded() {
    let mut text =
        "[entities.a.fields]\nb = { references = \"a\" }\n[projections.a]\nof = \"a\"\n".to_owned();
    for depth in 1..=4 {
        text += &format!("[[projections.a{}]]\nas = \"x\"\nreference = \"b\"\n", ".embed".repeat(depth));
    }
    assert_eq!(findings(&text), Vec::<String>::new());
    text += "[[projections.a.embed.embed.embed.embed.embed]]\nas = \"x\"\nreference = \"b\"\n";
    assert!(findings(&text)[0].contains("4 deep"), "{:?}", findings(&text));
    let many = |number: usize| -> String {
        (0..number).map(|n| format!("[entities.e{n}]\n[projections.p{n}]\nof = \"e{n}\"\n")).collect()
    };
    assert_eq!(findings(&many(64)), Vec::<String>::new());
    assert_eq!(findings(&many(65)).len(), 2);
    assert_eq!(findings("").len(), 2);
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_told() {
    assert!(
        findings("[entities\n")[0].starts_with("m.toml:1: it is no TOML"),
        "{:?}",
        findings("[entities\n")
    );
    let missing = load(Some(Path::new("/nowhere/m.toml"))).unwrap_err();
    assert!(missing[0].to_string().contains("cannot be read"));
    assert!(
        findings("entities = 5\nprojections = [1]")
            .iter()
            .all(|line| line.contains("a table was expected") || line.contains("at least one"))
    );
}

#[test]
fn a_mapping_raises_the_limits_that_documents_of_the_model_need() {
    let members = "[entities.a.fields]\nname = \"string\"\n[entities.b.fields]\nname = \"string\"\na = { references = \"a\" }\n\
                   [projections.as]\nof = \"a\"\n[projections.as.search]\n[projections.as.search.embed.one]\nwords = [\"name\"]\n";
    let embed = |name: &str, max: &str| {
        format!("[[projections.as.embed]]\nas = \"{name}\"\nfrom = \"b.a\"\nshow = [\"name\"]\n{max}")
    };
    let limits = |text: &str| {
        let model = parse("t.toml", text).unwrap();
        let mapping = mapping::text(&model, &model.projections[0]);
        let mapping: serde_json::Value = serde_json::from_str(&mapping).unwrap();
        let limit = |name: &str| mapping["settings"]["index"][name].as_u64();
        (limit("mapping.nested_objects.limit"), limit("mapping.total_fields.limit"))
    };
    assert_eq!(limits(&format!("{members}{}", embed("one", ""))), (None, None));
    // The second is not searched, and is no nested field.
    assert_eq!(limits(&format!("{members}{}{}", embed("one", ""), embed("two", ""))), (None, None));
    let both = format!("{members}[projections.as.search.embed.two]\nwords = [\"name\"]\n");
    assert_eq!(limits(&format!("{both}{}{}", embed("one", ""), embed("two", "max = 5\n"))).0, Some(11_000));
    // A child is a document by itself, and no nested object.
    let joined = both.replace("of = \"a\"\n", "of = \"a\"\nlayout = \"join\"\n");
    assert_eq!(limits(&format!("{joined}{}{}", embed("one", ""), embed("two", "max = 5\n"))), (None, None));
    let fields: String = (0..1_200).map(|number| format!("f{number} = \"string\"\n")).collect();
    let wide = members.replacen("name = \"string\"\n", &format!("name = \"string\"\n{fields}"), 1);
    assert!(limits(&format!("{wide}{}", embed("one", ""))).1.is_some_and(|limit| limit > 1_000));
}
