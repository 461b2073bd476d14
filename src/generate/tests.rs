//! A generated world as a files source reads it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::config::{Flags, Kinds};

fn options(out: &Path, organisations: u32, contacts: u32, events: u64, seed: u64) -> Generate {
    let out = Some(out.to_owned());
    Generate { organisations, contacts, events, seed, partitions: None, rate: None, out, kafka: false }
}

fn generate(options: &Generate) -> Result<()> {
    let nothing = Some(Path::new("/dev/null"));
    run(options, &Config::load(&Kinds::examples(), nothing, std::iter::empty(), &Flags::new())?)
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verb(record: &Value) -> &str {
    record["value"]["type"].as_str().map_or("tombstone", |name| name.rsplit('.').next().unwrap())
}

/// A change here changes everybody's worlds: benchmarks can no longer be compared with earlier ones.
#[test]
fn a_seed_gives_the_same_bytes_for_ever() {
    let hashes = |seed| {
        let folder = tempfile::tempdir().unwrap();
        generate(&options(folder.path(), 50, 300, 1_000, seed)).unwrap();
        ["organisations.jsonl", "contacts.jsonl"]
            .map(|name| format!("{:016x}", xxh3_64(&std::fs::read(folder.path().join(name)).unwrap())))
    };
    assert_eq!(hashes(7), ["907b08fc8d751c2a", "da8324c06311d860"]);
    assert_ne!(hashes(7), hashes(8));
}

#[test]
fn a_world_is_plausible() {
    let folder = tempfile::tempdir().unwrap();
    generate(&options(folder.path(), 1_000, 10_000, 30_000, 5)).unwrap();
    let (organisations, contacts) =
        (lines(folder.path(), "organisations.jsonl"), lines(folder.path(), "contacts.jsonl"));
    assert_eq!(organisations.len() + contacts.len(), 30_000);

    let ids: HashSet<&str> = organisations.iter().map(|record| record["key"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1_000);
    let mut sequences: HashMap<&str, HashSet<u64>> = HashMap::new();
    let mut staff: HashMap<&str, u32> = HashMap::new();
    for record in organisations.iter().chain(&contacts) {
        let (key, value) = (record["key"].as_str().unwrap(), &record["value"]);
        let holder = if value.is_null() { &record["headers"]["ce_sequence"] } else { &value["sequence"] };
        sequences.entry(key).or_default().insert(holder.as_str().unwrap().parse().unwrap());
        let data = &value["data"];
        assert!(value.is_null() || value["subject"] == *key && data.is_object(), "{record}");
        for reference in ["parentId", "organisationId"].iter().filter_map(|name| data[name].as_str()) {
            assert!(ids.contains(reference) && reference != key, "{record}");
        }
        if verb(record) == "created"
            && let Some(organisation) = data["organisationId"].as_str()
        {
            *staff.entry(organisation).or_default() += 1;
        }
    }
    assert_eq!(sequences.len(), 11_000);
    // Every sequence from 1 on was given, each to one event: one that is there twice is of the same record.
    assert!(sequences.values().all(|numbers| *numbers.iter().max().unwrap() == numbers.len() as u64));

    let largest = *staff.values().max().unwrap();
    assert!((100..=1_000).contains(&largest), "the largest has {largest} contacts, the mean is 10");
    let all = || organisations.iter().chain(&contacts);
    let share =
        |verbs: &[&str]| all().filter(|record| verbs.contains(&verb(record))).count() * 1_000 / 30_000;
    assert!((5..=60).contains(&share(&["deleted", "tombstone"])));
    assert!(share(&["moved"]) > 20 && share(&["email-changed", "renamed", "updated"]) > 200);
    let distinct: HashSet<String> = all().map(Value::to_string).collect();
    assert!((50..=600).contains(&(30_000 - distinct.len())), "about one in a hundred or two is there twice");
}

/// The entities of a topic after all of their events, each with all the fields that it ever got.
fn fold(records: &[Value]) -> HashMap<&str, serde_json::Map<String, Value>> {
    let sequence =
        |record: &Value| record["value"]["sequence"].as_str().map_or(0, |text| text.parse().unwrap());
    let mut in_order: Vec<&Value> = records.iter().collect();
    in_order.sort_by_key(|record| sequence(record));
    let mut entities: HashMap<&str, serde_json::Map<String, Value>> = HashMap::new();
    for record in in_order {
        let entity = entities.entry(record["key"].as_str().unwrap()).or_default();
        entity.extend(record["value"]["data"].as_object().cloned().unwrap_or_default());
    }
    entities
}

#[test]
fn addresses_are_of_the_own_name_at_the_own_organisation_and_phones_of_its_country() {
    let folder = tempfile::tempdir().unwrap();
    generate(&options(folder.path(), 200, 3_000, 12_000, 5)).unwrap();
    let (organisations, contacts) =
        (lines(folder.path(), "organisations.jsonl"), lines(folder.path(), "contacts.jsonl"));
    let (organisations, contacts) = (fold(&organisations), fold(&contacts));
    let codes = [
        ("GB", "+44", "0"),
        ("PL", "+48", "12"),
        ("FR", "+33", "01"),
        ("DE", "+49", "089"),
        ("JP", "+81", "03"),
        ("BR", "+55", "11"),
        ("UA", "+380", "044"),
        ("SE", "+46", "031"),
        ("US", "+1", "415"),
    ];
    let fits = |phone: &Value, country: &Value| {
        let (_, abroad, at_home) = codes.iter().find(|(code, ..)| country == *code).unwrap();
        let phone = phone.as_str().unwrap().replace('(', "");
        phone.starts_with(abroad)
            || phone.trim_start_matches('0').starts_with(at_home.trim_start_matches('0'))
    };
    for (id, contact) in &contacts {
        let employer = &organisations[contact["organisationId"].as_str().unwrap()];
        let (local, domain) = contact["email"].as_str().unwrap().split_once('@').unwrap();
        assert_eq!(employer["email"], format!("info@{domain}"), "{id}");
        assert_eq!(employer["website"], format!("https://www.{domain}"), "{id}");
        // The last name, as it is written in an address, and at least the first letter of the first one.
        let person = super::people::Person::of(5, id[4..].parse().unwrap());
        assert_eq!(contact["firstName"], person.first.0);
        assert!(local.contains(person.last.1) && local.contains(&person.first.1[..1]), "{id} {local}");
        assert!(
            contact.get("phone").is_none_or(|phone| fits(phone, &employer["address"]["country"])),
            "{id}"
        );
    }
    assert!(organisations.values().all(|one| fits(&one["phone"], &one["address"]["country"])));
}

#[test]
fn partitions_part_the_entities_and_files_of_another_run_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let parted = Generate { partitions: Some(3), ..options(folder.path(), 20, 100, 200, 1) };
    generate(&parted).unwrap();
    generate(&parted).unwrap();
    let mut home: HashMap<String, usize> = HashMap::new();
    for partition in 0..3 {
        for record in lines(folder.path(), &format!("contacts-{partition}.jsonl")) {
            let key = record["key"].as_str().unwrap().to_owned();
            assert_eq!(*home.entry(key).or_insert(partition), partition);
        }
    }
    assert_eq!(home.len(), 100);
    for other in [None, Some(2)] {
        let error = generate(&Generate { partitions: other, ..parted.clone() }).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(".jsonl is of another run"), "{error}");
    }
    std::fs::write(folder.path().join("contacts-old.jsonl"), "not of the topic").unwrap();
    generate(&parted).unwrap();
}

#[test]
fn a_file_that_it_did_not_write_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = options(folder.path(), 20, 100, 200, 1);
    let refused = |named: &str| {
        let error = generate(&options).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(named), "{error}");
    };
    // A folder of the user's, with and without a name that the source reads.
    for name in ["notes.txt", "organisations.jsonl"] {
        std::fs::write(at(name), "the only copy\n").unwrap();
        refused("was not written by");
        assert_eq!(std::fs::read_to_string(at(name)).unwrap(), "the only copy\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
        std::fs::remove_file(at(name)).unwrap();
    }
    generate(&options).unwrap();
    let written = std::fs::read(at("contacts.jsonl")).unwrap();
    // Changed since, of the same length too; put there since.
    let mut changed = written.clone();
    changed[0] = b'X';
    for bytes in [changed, [&written[..], b"{}\n"].concat()] {
        std::fs::write(at("contacts.jsonl"), &bytes).unwrap();
        refused("contacts.jsonl was changed");
        assert_eq!(std::fs::read(at("contacts.jsonl")).unwrap(), bytes);
    }
    std::fs::write(at("contacts.jsonl"), &written).unwrap();
    std::fs::write(at("contacts-7.jsonl"), "mine\n").unwrap();
    refused("contacts-7.jsonl was not written by");
    std::fs::remove_file(at("contacts-7.jsonl")).unwrap();
    generate(&options).unwrap();
    assert_eq!(std::fs::read(at("contacts.jsonl")).unwrap(), written);
}

#[test]
fn a_run_that_was_broken_off_is_begun_again_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = super::files::Files::create(folder.path(), "organisations", "contacts", None).unwrap();
    drop(files);
    std::fs::write(folder.path().join("contacts.jsonl"), "{\"key\":\"c").unwrap();
    generate(&options(folder.path(), 20, 100, 200, 1)).unwrap();
}

#[test]
fn what_cannot_be_made_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (organisations, contacts, events, named) in
        [(10, 10, 19, "--events"), (0, 0, 5, "--organisations"), (0, 3, 5, "--organisations")]
    {
        let error = generate(&options(folder.path(), organisations, contacts, events, 1)).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_rate_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    generate(&Generate { rate: Some(200), ..options(folder.path(), 10, 20, 51, 1) }).unwrap();
    assert!(started.elapsed().as_millis() >= 240, "{:?}", started.elapsed());
    assert_eq!(
        lines(folder.path(), "contacts.jsonl").len() + lines(folder.path(), "organisations.jsonl").len(),
        51
    );
}
