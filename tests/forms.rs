//! Names, numbers and ids are found in the forms in which people type them, on both engines.

use serde_json::json;

use crate::harness::{GrowingLog, World};
use crate::search::{ask, engines, ids};
use crate::services;

fn people() -> GrowingLog {
    let log = GrowingLog::new();
    let contacts = [
        ("c1", "P c1", "０３－１２３４－５６７８"),
        ("c2", "P c2", "020 7946 0999 ext. 12"),
        ("c3", "P c3", "+44 20 7946 0777 / 07700 900123"),
        ("c4", "P c4", "+1 (212) 555-0142 x77"),
        ("c5", "P c5", "٠٢٠٧٩٤٦٠٥٥٥"),
        ("c6", "山田太郎", ""),
        ("c7", "김철수", ""),
        ("c8", "محمد عبد الرحمن", ""),
        ("c9", "Jean-Luc Picard", ""),
        ("c10", "Smith-Jones Ann", ""),
        ("c11", "J. R. R. Tolkien", ""),
        ("c12", "Ber\u{ad}lin Ltd", ""),
        ("c13", "Jeanmarie Dubois", ""),
        ("c14", "Conan O’Brien", ""),
        ("c15", "ﬁnn Ａｄａｍｓ", ""),
        ("c16", "สมชาย ใจดี", ""),
        ("550e8400-e29b-41d4", "Ida Roe", ""),
    ];
    for (id, name, phone) in contacts {
        let organisation = if id.starts_with('5') { Some("o5") } else { None };
        log.append("contacts", id, &json!({"name": name, "phone": phone, "organisationId": organisation}));
    }
    let organisations = [
        ("o1", "株式会社東京システム"),
        ("o2", "AT&T Corp"),
        ("o3", "A.B.C. Ltd"),
        ("o4", "H&M"),
        ("o5", "Alder Works"),
        ("org-77", "Plum"),
        ("a0", "Corp 9"),
        ("o6", "Quince"),
    ];
    log.append("contacts", "c-9", &json!({"name": "Ida Bree", "organisationId": "o6"}));
    log.append("contacts", "c17", &json!({"firstName": "花子", "lastName": "田中"}));
    log.append("contacts", "c18", &json!({"firstName": "민준", "lastName": "김"}));
    log.append("contacts", "c19", &json!({"firstName": "E.", "lastName": "B. White"}));
    organisations.iter().for_each(|(id, name)| log.append("organisations", id, &json!({ "name": name })));
    log
}

/// Queries, and the one document that each finds.
const FOUND: &[(&str, &str, &str)] = &[
    ("contacts", "0312345678", "c1"),
    ("contacts", "+81 3 1234 5678", "c1"),
    ("contacts", "03-1234-5678", "c1"),
    ("contacts", "０３１２３４５６７８", "c1"),
    ("contacts", "79460999", "c2"),
    ("contacts", "02079460999", "c2"),
    ("contacts", "+44 20 7946 0999", "c2"),
    ("contacts", "020 7946 0999 ext. 12", "c2"),
    ("contacts", "02079460777", "c3"),
    ("contacts", "07700900123", "c3"),
    ("contacts", "2125550142", "c4"),
    ("contacts", "02079460555", "c5"),
    ("contacts", "٠٢٠٧٩٤٦٠٥٥٥", "c5"),
    ("contacts", "太郎", "c6"),
    ("contacts", "山田", "c6"),
    ("contacts", "철수", "c7"),
    ("contacts", "김철", "c7"),
    ("contacts", "رحمن", "c8"),
    ("contacts", "الرحمن", "c8"),
    ("contacts", "jeanluc", "c9"),
    ("contacts", "jean-luc", "c9"),
    ("contacts", "jean luc picard", "c9"),
    ("contacts", "jeanluc picard", "c9"),
    ("contacts", "smithjones", "c10"),
    ("contacts", "jrr tolkien", "c11"),
    ("contacts", "J.R.R.", "c11"),
    ("contacts", "berlin", "c12"),
    ("contacts", "jean-marie dubois", "c13"),
    ("contacts", "jean marie", "c13"),
    ("contacts", "obrien", "c14"),
    ("contacts", "o'brien", "c14"),
    ("contacts", "finn adams", "c15"),
    ("contacts", "ใจดี", "c16"),
    ("contacts", "田中花子", "c17"),
    ("contacts", "花子田中", "c17"),
    ("contacts", "김민준", "c18"),
    ("contacts", "eb white", "c19"),
    ("contacts", "550e8400-e29b-41d4", "550e8400-e29b-41d4"),
    ("organisations", "550e8400-e29b-41d4", "o5"),
    ("organisations", "東京", "o1"),
    ("organisations", "システム", "o1"),
    ("organisations", "att", "o2"),
    ("organisations", "at&t", "o2"),
    ("organisations", "abc ltd", "o3"),
    ("organisations", "hm", "o4"),
    ("organisations", "h&m", "o4"),
    ("organisations", "org-77", "org-77"),
];

fn finds(world: &World, collection: &str, q: &str) -> Vec<String> {
    let (code, answer) = ask(world, &[("q", q), ("in", collection), ("size", "100")]);
    assert_eq!(code, 200, "{q}: {answer}");
    ids(&answer)
}

#[test]
fn each_form_finds_what_is_meant() {
    let (servers, _turn) = services::whole();
    let log = people();
    for (world, _running) in &engines("forms", &servers, &log.settings()) {
        let wrong: Vec<String> = FOUND
            .iter()
            .map(|(collection, q, id)| (q, id, finds(world, collection, q)))
            .filter(|(_, id, found)| *found != [**id])
            .map(|(q, id, found)| format!("{q} finds {found:?}, not {id}"))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", world.prefix);
        // The organisation of the contact comes before those that merely have words that begin with its parts.
        assert_eq!(finds(world, "organisations", "c-9")[0], "o6", "{}", world.prefix);
        // An extension is no number, and two numbers are not one.
        for q in ["0779077009", "460999 12", "7946055512"] {
            assert!(!finds(world, "contacts", q).iter().any(|id| id == "c5"), "{q}");
        }
        // The contact whose id it is is shown with its organisation.
        for (id, organisation) in [("c-9", "o6"), ("550e8400-e29b-41d4", "o5")] {
            let (_, answer) = ask(world, &[("q", id)]);
            assert_eq!(answer["hits"][0]["id"], organisation);
            assert_eq!(ids(&json!({"hits": answer["hits"][0]["matchedContacts"]})), [id], "{answer}");
        }
        // A number that is typed with its extension is the whole query.
        for (q, id) in
            [("020 7946 0999 ext. 12", "c2"), ("+1 (212) 555-0142 x77", "c4"), ("02079460999 ext 12", "c2")]
        {
            let (_, answer) = ask(world, &[("q", q), ("in", "contacts")]);
            let hit = &answer["hits"][0];
            assert!(hit["id"] == id && hit["score"].as_u64() > Some(1 << 22), "{q}: {answer}");
        }
        let (_, answer) = ask(world, &[("q", "jeanluc"), ("in", "contacts")]);
        assert_eq!(answer["hits"][0]["highlights"]["name"], json!(["<em>Jean</em>-<em>Luc</em> Picard"]));
    }
}
