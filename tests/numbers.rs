//! Numbers that no double holds are shown, explained and compared to the last digit, in either index. The
//! case `tests/cases/numbers-beyond-a-double` shows that they reach the documents as they were written.

use crate::harness::{World, log_of};
use crate::services;
use crate::tamper::{Act, HIGH, tamper};

const SETTINGS: &str = "source.kind = \"files\"\nsource.path = \"events\"\norganisations.format = \"plain\"\n\
                        contacts.format = \"plain\"\n";
/// The members of data that hold them, in the order of a document. An exponent is shown with its sign.
const NUMBERS: &str =
    r#""big":1e+400,"fraction":0.10000000000000000555,"nested":{"a":[-1e+999]},"plain":1.50"#;

/// An integer that is longer than all that computers count with.
fn digits() -> String {
    "7".repeat(400)
}

fn world(world: World) -> World {
    let organisation = format!(r#"{{"name":"Acme","address":{{"city":"Leeds","map":1E400}},{NUMBERS}}}"#);
    let contact =
        format!(r#"{{"name":"Jane","organisationId":"o1","long":{},"email":"jane@acme.test"}}"#, digits());
    std::fs::create_dir(world.path("events")).unwrap();
    let line = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":{value}}}\n");
    std::fs::write(world.path("events/organisations.jsonl"), line("o1", &organisation)).unwrap();
    std::fs::write(world.path("events/contacts.jsonl"), line("c1", &contact)).unwrap();
    world
}

fn on_elasticsearch(name: &str) -> (World, std::sync::RwLockReadGuard<'static, ()>) {
    let (servers, turn) = services::whole();
    (world(World::new(&servers, name, SETTINGS)), turn)
}

#[test]
fn they_are_answered_and_explained_as_they_were_written_on_elasticsearch() {
    let (world, _turn) = on_elasticsearch("numbers");
    answers(&world);
}

#[test]
fn they_are_answered_and_explained_as_they_were_written_by_an_embedded_index() {
    let world = world(World::embedded("numbers", SETTINGS));
    answers(&world);
    let found = world.succeed(&["search", "leeds", "--format", "json"]);
    assert!(found.contains(r#""map":1e+400"#), "{found}");
}

fn answers(world: &World) {
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let (code, organisation) = world.get("/organisations/o1");
    let attributes = format!("\"attributes\":{{{NUMBERS}}}");
    assert!(code == 200 && organisation.contains(&attributes), "{code}: {organisation}");
    let (code, contact) = world.get("/contacts/c1");
    assert!(code == 200 && contact.contains(&format!("\"long\":{}", digits())), "{code}: {contact}");
    for route in ["/organisations/o1/children", "/organisations/o1/ancestors"] {
        assert_eq!(world.get(route).0, 200, "{route}");
    }
    // An address with such a number is searched by its words.
    for words in ["acme", "leeds", "jane"] {
        let (code, found) = world.get(&format!("/search?q={words}"));
        assert!(code == 200 && found.contains(r#""total":1"#), "{words}: {found}");
        assert!(found.contains(r#""city":"Leeds""#), "{words}: {found}");
    }
    explained(world);
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0));
    explained(world);
}

/// Explains by the running instance, or, without one, from the state itself.
fn explained(world: &World) {
    let told = world.succeed(&["explain", "organisations", "o1", "--format", "json"]);
    for said in ["1e+400", "0.10000000000000000555", "{\"a\":[-1e+999]}", "1.50", "\"equal\":true"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let told = world.succeed(&["explain", "contacts", "c1", "--format", "json"]);
    assert!(told.contains(&digits()) && told.contains("\"equal\":true"), "{told}");
}

#[test]
fn they_are_compared_by_their_digits_on_elasticsearch() {
    let (world, _turn) = on_elasticsearch("numbers-verified");
    compares(&world);
}

#[test]
fn they_are_compared_by_their_digits_in_an_embedded_index() {
    compares(&world(World::embedded("numbers-verified", SETTINGS)));
}

fn compares(world: &World) {
    world.succeed(&["run", "--until-end"]);
    world.succeed(&["verify"]);
    let before = world.documents("organisations")["o1"].clone();
    // A write over a foreign version goes above it, so that the second one has to be higher.
    let changes =
        [("1e+400", "1e+401", HIGH), ("0.10000000000000000555", "0.10000000000000000556", 10 * HIGH)];
    for (from, to, version) in changes {
        let other = before.to_string().replace(from, to);
        tamper(
            world,
            "organisations",
            &[("o1".to_owned(), Act::Put(version, serde_json::from_str(&other).unwrap()))],
        );
        let output = world.run(&["verify"]);
        let told = log_of(&output);
        assert!(output.status.code() == Some(4) && told.contains("stale"), "{to}: {told}");
        let told = world.succeed(&["explain", "organisations", "o1"]);
        assert!(told.contains(to) && told.contains("foreign write"), "{told}");
        world.succeed(&["verify", "--repair"]);
        world.settle();
        assert_eq!(world.documents("organisations")["o1"], before);
    }
}
