//! The order of hits that `docs/search.md` promises, case by case on both engines.

use serde_json::{Value, json};

use crate::harness::{GrowingLog, World};
use crate::search::{ask, engines, ids};
use crate::services;

/// One organisation, and its contacts by the fields that they have beside a name.
fn organisation(log: &GrowingLog, id: &str, fields: Value, contacts: &[Value]) {
    log.append("organisations", id, &fields);
    for (number, contact) in contacts.iter().enumerate() {
        let mut contact = contact.clone();
        contact["organisationId"] = json!(id);
        log.append("contacts", &format!("c-{id}-{number}"), &contact);
    }
}

fn named(name: &str) -> Value {
    json!({ "name": name })
}

/// Ways in which `marten kolder` matches, best first; ids are in the opposite order.
fn people() -> GrowingLog {
    let log = GrowingLog::new();
    let with = |field: &str, value: Value| {
        let mut contact = named("Marten Bree");
        contact[field] = value;
        vec![contact]
    };
    let all: Vec<(&str, Vec<Value>)> = vec![
        ("Marten Kolder", vec![]),
        ("Alder Works", vec![named("Marten Kolder")]),
        ("Alder Works", vec![named("Marten van Kolder")]),
        ("Alder Works", vec![named("Marten Kolderman")]),
        ("Alder Works", vec![named("Martens Kolderman")]),
        ("Kolder Works", vec![named("Marten Bree")]),
        ("Alder Works", with("email", json!("kolder@plum.test"))),
        ("Alder Works", with("email", json!("kolderman@plum.test"))),
        ("Alder Works", with("role", json!("Kolder"))),
        ("Alder Works", with("department", json!("Koldering"))),
        ("Alder Works", with("tags", json!(["kolder"]))),
        ("Alder Works", vec![named("Marten Kolber")]),
        ("Alder Works", vec![named("Marten Bree"), named("Ida Kolder")]),
        ("Alder Works", vec![named("Mbrten Kolber")]),
    ];
    for (number, (name, contacts)) in all.iter().enumerate() {
        organisation(&log, &format!("o{:02}", 99 - number), named(name), contacts);
    }
    log
}

/// Asks one engine; the ids of the hits in their order.
fn order(world: &World, q: &str, collection: &str) -> Vec<String> {
    let (code, answer) = ask(world, &[("q", q), ("in", collection), ("size", "100")]);
    assert_eq!(code, 200, "{answer}");
    let scores: Vec<u64> =
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["score"].as_u64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, next| one >= next), "{scores:?}");
    ids(&answer)
}

#[test]
fn the_best_match_of_two_words_comes_first() {
    let (servers, _turn) = services::whole();
    let log = people();
    for (world, _running) in &engines("order", &servers, &log.settings()) {
        let expected: Vec<String> = (0..14).map(|number| format!("o{}", 99 - number)).collect();
        for q in ["marten kolder", "Kolder, Marten", "KOLDER MARTEN"] {
            assert_eq!(order(world, q, "organisations"), expected, "{q} {}", world.prefix);
        }
        // Contacts are found by their organisation's name too.
        let contacts = order(world, "marten kolder", "contacts");
        let whole: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let expected = ["98", "97", "96", "95", "94", "93", "92", "91", "90", "89", "88", "86"];
        let expected: Vec<String> = expected.iter().map(|number| format!("c-o{number}-0")).collect();
        assert_eq!(whole, expected, "{}", world.prefix);
    }
}

#[test]
fn a_typo_in_a_short_word_is_forgiven_when_nothing_else_is_found() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    organisation(&log, "o1", named("Alder Works"), &[named("Marten van Dijk")]);
    organisation(&log, "o2", named("Alder Works"), &[named("Marten Dijk"), named("Ida van Kolder")]);
    organisation(&log, "o3", named("Alder Works"), &[named("Marten Bree")]);
    organisation(&log, "o4", named("Vnallar Dijk"), &[named("Marten Roe")]);
    for (world, _running) in &engines("short", &servers, &log.settings()) {
        for q in ["marten an dijk", "marten vxn dijk", "marten van djk", "van dik marten", "marten va ndijk"]
        {
            assert_eq!(order(world, q, "organisations")[0], "o1", "{q} {}", world.prefix);
            assert_eq!(order(world, q, "contacts")[0], "c-o1-0", "{q} {}", world.prefix);
        }
        // A query that finds something as typed forgives no further typo.
        assert_eq!(order(world, "marten vna dijk", "organisations"), ["o4"]);
        for q in ["xan", "djk", "xan djk", "marten \"vna\" dijks", "marten v42 dijk"] {
            assert!(order(world, q, "contacts").is_empty(), "{q}");
        }
        // Pages go on.
        let query = [("q", "marten vxn dijk"), ("size", "1")];
        let (_, first) = ask(world, &query);
        assert_eq!((&first["total"], ids(&first)), (&json!(2), vec!["o1".to_owned()]), "{first}");
        let next = first["next"].as_str().unwrap();
        let (code, second) = ask(world, &[&query[..], &[("after", next)]].concat());
        assert_eq!((code, ids(&second)), (200, vec!["o2".to_owned()]), "{second}");
        assert_eq!(second["total"], 2);
    }
}

#[test]
fn the_contact_that_matches_best_is_shown_first() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    let contacts = [
        json!({"name": "Ida Roe", "tags": ["kolder"]}),
        json!({"name": "Ida Roe", "role": "Marten"}),
        named("Martens Kolderman"),
        json!({"name": "Marten Bree", "email": "kolder@plum.test"}),
        named("Marten Kolder"),
        named("Kolder Kin"),
    ];
    organisation(&log, "o1", named("Alder Works"), &contacts);
    // The last contacts are not embedded in the second.
    organisation(&log, "o2", named("Alder Works"), &[&contacts[..], &[named("Someone Else")]].concat());
    let settings = log.settings() + "index.max_embedded_contacts = 6\n";
    for (world, _running) in &engines("shown", &servers, &settings) {
        let (_, answer) = ask(world, &[("q", "marten kolder")]);
        assert_eq!(ids(&answer).len(), 2, "{answer}");
        for hit in answer["hits"].as_array().unwrap() {
            let matched = ids(&json!({"hits": hit["matchedContacts"]}));
            let expected =
                [4, 2, 3, 5, 1, 0].map(|number| format!("c-{}-{number}", hit["id"].as_str().unwrap()));
            assert_eq!(matched, expected, "{}", world.prefix);
        }
    }
}

#[test]
fn whole_names_addresses_and_numbers_come_first_and_the_shorter_name_before_the_longer() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    organisation(&log, "o1", named("Harbour Optics North Ltd"), &[]);
    organisation(&log, "o2", named("Harbour Optics Ltd"), &[named("Bree Harbour Optics")]);
    organisation(&log, "o3", named("Harbour Optics"), &[]);
    organisation(&log, "o4", named("Harbours"), &[]);
    organisation(&log, "o5", named("Harbour"), &[]);
    let phone = |phone: &str| json!({"name": "Ida Roe", "phone": phone});
    let mail = |name: &str, mail: &str| json!({"name": name, "email": mail});
    organisation(&log, "p1", named("Plum"), &[mail("Anna Dale", "dale@plum.test")]);
    organisation(&log, "p2", named("Pear"), &[mail("Anna Plum", "anna.plum.test@pear.test")]);
    organisation(&log, "p3", named("Pear"), &[mail("B", "Anna@Plum.test")]);
    organisation(&log, "q1", json!({"name": "Pear", "phone": "+44 20 7946 0018"}), &[phone("+33 7946 0018")]);
    organisation(&log, "q2", named("Pear"), &[phone("7946 0018")]);
    let cases = [
        ("harbour", vec!["o5", "o3", "o2", "o1", "o4"]),
        ("harbour optics", vec!["o3", "o2", "o1"]),
        ("harbuor optics", vec!["o3", "o2", "o1"]),
        ("anna@plum.test", vec!["p3", "p2", "p1"]),
        ("7946-0018", vec!["q2", "q1"]),
        ("0044 20 7946 0018", vec!["q1"]),
    ];
    for (world, _running) in &engines("whole", &servers, &log.settings()) {
        for (q, expected) in &cases {
            assert_eq!(&order(world, q, "organisations"), expected, "{q} {}", world.prefix);
        }
    }
}

#[test]
fn a_further_form_of_a_word_is_no_part_of_the_whole_name() {
    let (servers, _turn) = services::whole();
    let log = GrowingLog::new();
    organisation(&log, "o1", named("Alder Works"), &[named("민준 Núñez"), named("Jean-Luc Kolder")]);
    let engines = engines("forms-order", &servers, &log.settings());
    let score = |world: &World, q: &str, id: &str| {
        let (_, answer) = ask(world, &[("q", q), ("in", "contacts")]);
        assert_eq!(ids(&answer), [id], "{q}: {answer}");
        answer["hits"][0]["score"].as_u64().unwrap()
    };
    // The second query has as many words as the name has, and each of them finds it.
    for (id, name, forms) in
        [("c-o1-0", "Núñez 민준", "준 Núñez"), ("c-o1-1", "Kolder Jean Luc", "jeanluc luc kolder")]
    {
        let [whole, part] = [name, forms].map(|q| engines.each_ref().map(|(world, _)| score(world, q, id)));
        assert_eq!((whole[0], part[0]), (whole[1], part[1]), "{name}, {forms}");
        assert!(part[0] < whole[0] - (1 << 21), "{part:?} {whole:?}");
    }
}
