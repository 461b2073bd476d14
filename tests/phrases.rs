//! Phrases in quotation marks and exclusions, the same on both engines.

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World};
use crate::search::{ask, comparable, engines, ids};
use crate::services;

fn log() -> GrowingLog {
    let log = GrowingLog::new();
    let organisations = [
        ("o1", json!({"name": "Harbour Optics Ltd", "status": "active", "industry": "Rope Making"})),
        ("o2", json!({"name": "Optics Harbour", "address": {"city": "Port Marten", "country": "GB"}})),
        ("o3", json!({"name": "Alder Works", "tags": ["blue sky", "rope works"]})),
        ("o4", json!({"name": "Société Éclatante", "phone": "+44 20 7946 0018"})),
        ("o5", json!({"name": "株式会社東京システム"})),
        ("o6", json!({"name": "Duran Duran"})),
        ("o7", json!({"name": "Plum"})),
    ];
    organisations.iter().for_each(|(id, fields)| log.append("organisations", id, fields));
    let contacts = [
        ("c1", "o1", json!({"name": "Marten Kolder", "role": "Head of Rope", "department": "Works North"})),
        ("c2", "o2", json!({"name": "Marten Bree", "email": "marten.bree@plum.test"})),
        ("c3", "o2", json!({"name": "Ida Kolder"})),
        ("c4", "o3", json!({"firstName": "Zoë", "lastName": "Åberg Kolder", "tags": ["vip", "rope works"]})),
        ("c5", "o4", json!({"name": "Jean-Luc Picard", "phone": "020 7946 0777 ext 42"})),
        ("c6", "o7", json!({"name": "A"})),
        ("c7", "o7", json!({"name": "B"})),
        // It is not embedded.
        ("c8", "o7", json!({"name": "Ida Marten Kolder"})),
    ];
    for (id, organisation, mut fields) in contacts {
        fields["organisationId"] = json!(organisation);
        log.append("contacts", id, &fields);
    }
    log
}

/// Queries and all that they find.
const FOUND: &[(&str, &str, &[&str])] = &[
    ("organisations", "harbour optics", &["o1", "o2"]),
    ("organisations", "\"harbour optics\"", &["o1"]),
    ("organisations", "“Harbour  OPTICS”", &["o1"]),
    ("organisations", "\"optics ltd\" harbour", &["o1"]),
    ("organisations", "\"harbour ltd\"", &[]),
    ("organisations", "\"harbour opti\"", &[]),
    ("organisations", "\"harbor optics\"", &[]),
    ("organisations", "\"harbou\"", &[]),
    ("organisations", "\"harbour\"", &["o1", "o2"]),
    // All the words in one contact, truncated or not, and no contact's beside another's.
    ("organisations", "\"marten kolder\"", &["o1", "o7"]),
    ("organisations", "\"bree ida\"", &[]),
    ("organisations", "\"kolder marten\"", &[]),
    ("organisations", "\"zoe aberg kolder\"", &["o3"]),
    ("organisations", "\"zoe zoe\"", &[]),
    ("organisations", "\"optics harbour\" marten", &["o2"]),
    // One field, and one value of it.
    ("organisations", "\"active rope\"", &[]),
    ("organisations", "\"rope making\"", &["o1"]),
    ("organisations", "\"of rope works\"", &[]),
    ("organisations", "\"sky rope\"", &[]),
    ("organisations", "\"rope works\"", &["o3"]),
    ("organisations", "\"port marten\"", &["o2"]),
    ("organisations", "\"marten bree plum test\"", &["o2"]),
    ("organisations", "\"marten.bree@plum.test\"", &["o2"]),
    ("organisations", "\"societe eclatante\"", &["o4"]),
    ("organisations", "\"duran duran\"", &["o6"]),
    ("organisations", "\"duran duran duran\"", &[]),
    ("organisations", "\"東京\"", &["o5"]),
    ("organisations", "\"jean luc\"", &["o4"]),
    ("organisations", "\"jean-luc picard\"", &["o4"]),
    ("organisations", "\"020 7946 0018\"", &["o4"]),
    ("organisations", "\"7946\"", &["o4"]),
    ("organisations", "\"0777 ext 42\"", &["o4"]),
    ("contacts", "\"marten kolder\"", &["c1", "c8"]),
    ("contacts", "\"harbour optics\"", &["c1"]),
    ("contacts", "\"kolder harbour\"", &[]),
    ("contacts", "\"rope works\"", &["c4"]),
    // No marks.
    ("contacts", "\"marten kold", &["c1", "c8"]),
    ("contacts", "jean-luc", &["c5"]),
    ("contacts", "marten - kolder", &["c1", "c8"]),
    ("contacts", "marten -", &["c1", "c2", "c8"]),
    ("contacts", "-", &[]),
    ("contacts", "\"\"", &[]),
    // Exclusions.
    ("contacts", "marten -kolder", &["c2"]),
    ("contacts", "marten -kold", &["c1", "c2", "c8"]),
    ("contacts", "kolder -\"marten kolder\"", &["c3", "c4"]),
    ("contacts", "kolder -harbour", &["c4", "c8"]),
    ("contacts", "-kolder", &["c2", "c5", "c6", "c7"]),
    ("contacts", "-jean-luc -kolder", &["c2", "c6", "c7"]),
    ("contacts", "-jeanluc -kolder", &["c2", "c6", "c7"]),
    ("contacts", "-marten.bree@plum.test -kolder -02079460777", &["c6", "c7"]),
    ("contacts", "kolder -kolder", &[]),
    ("organisations", "-kolder", &["o4", "o5", "o6"]),
    ("organisations", "harbour -ida", &["o1"]),
    ("organisations", "-\"marten kolder\" -東京", &["o2", "o3", "o4", "o6"]),
    ("organisations", "-7946 -kolder", &["o5", "o6"]),
];

fn found(world: &World, collection: &str, q: &str) -> (Vec<String>, Value) {
    let (code, answer) = ask(world, &[("q", q), ("in", collection), ("size", "100")]);
    assert_eq!(code, 200, "{q}: {answer}");
    let mut found = ids(&answer);
    assert_eq!(answer["total"], json!(found.len()), "{q}");
    found.sort();
    (found, comparable((code, answer)))
}

#[test]
fn phrases_and_exclusions_find_what_they_say() {
    let (servers, _turn) = services::whole();
    let log = log();
    let settings = log.settings() + "index.max_embedded_contacts = 2\n";
    let engines = engines("phrases", &servers, &settings);
    let mut wrong = Vec::new();
    for (collection, q, expected) in FOUND {
        let [(one, same), (other, also)] = engines.each_ref().map(|(world, _)| found(world, collection, q));
        if one != *expected || other != *expected {
            wrong.push(format!("{q} in {collection} finds {one:?} and {other:?}, not {expected:?}"));
        }
        if same != also {
            wrong.push(format!("{q} in {collection}: {same} is not {also}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (world, _running) in &engines {
        let (_, answer) = ask(world, &[("q", "\"marten kolder\" -\"no such\"")]);
        let first = &answer["hits"][0];
        assert_eq!(ids(&json!({"hits": first["matchedContacts"]})), ["c1"]);
        assert_eq!(
            first["matchedContacts"][0]["highlights"]["name"],
            json!(["<em>Marten</em> <em>Kolder</em>"])
        );
        assert_eq!(ids(&json!({"hits": answer["hits"][1]["matchedContacts"]})), ["c8"]);
        let (_, answer) = ask(world, &[("q", "\"marten\" bree")]);
        let bree = &answer["hits"][0];
        assert_eq!(ids(&json!({"hits": bree["matchedContacts"]})), ["c2"]);
        assert_eq!(bree["highlights"]["address.city"], json!(["Port <em>Marten</em>"]));
        // A page after the first goes on behind exclusions too.
        let (_, first) = ask(world, &[("q", "-kolder"), ("size", "2")]);
        let next = first["next"].as_str().unwrap();
        let (code, second) = ask(world, &[("q", "-kolder"), ("size", "2"), ("after", next)]);
        assert_eq!((code, ids(&second)), (200, vec!["o6".to_owned()]), "{second}");
        assert_eq!(ask(world, &[("q", "-koldre"), ("size", "2"), ("after", next)]).0, 400);
        let long = format!("\"{}\"", "a ".repeat(40));
        assert_eq!(ask(world, &[("q", &long)]).0, 400, "{long}");
        assert_eq!(ask(world, &[("q", &"-".repeat(2_000))]).0, 400);
    }
}
