//! The copy of a state that a rebuild begins with.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use tributary::plan::{CONTACT, ORGANISATION, builtin};

use serde_json::json;
use tributary::state::fjall::FjallStore;
use tributary::state::keys::Space;
use tributary::state::store::{Changes, StateStore};

use crate::harness::{GrowingLog, World, log_of};

const KEYS: u32 = 40;

/// Bytes that can't be compressed, so that the memory of a space is soon full.
fn noise(seed: u32) -> Vec<u8> {
    let number = |n: u32| xxhash_rust::xxh3::xxh3_64_with_seed(&seed.to_le_bytes(), n.into());
    (0..6_000).flat_map(|n| number(n).to_be_bytes()).collect()
}

/// The commit of this number: all rows that it leaves are known.
fn commit(store: &FjallStore, number: u32) {
    let mut changes = Changes::default();
    changes.put(Space::of_type(CONTACT), (number % KEYS).to_be_bytes().to_vec(), noise(number));
    changes.put(Space::of_type(ORGANISATION), number.to_be_bytes().to_vec(), vec![1]);
    changes.put(Space::META, b"progress".to_vec(), number.to_be_bytes().to_vec());
    store.commit(changes).unwrap();
}

fn rows(store: &FjallStore, space: Space) -> BTreeMap<u32, Vec<u8>> {
    let mut rows = BTreeMap::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.insert(u32::from_be_bytes(key.try_into().unwrap()), value.to_vec());
        Ok(std::ops::ControlFlow::Continue(()))
    };
    store.view().scan(space, &[], &[], &mut visit).unwrap();
    rows
}

/// The last commit that a store holds, after a look that it holds exactly the rows of that moment.
fn check(store: &FjallStore) -> u32 {
    let last = store.view().get(Space::META, b"progress").unwrap().unwrap();
    let last = u32::from_be_bytes(last.try_into().unwrap());
    assert_eq!(
        rows(store, Space::of_type(ORGANISATION)).into_keys().collect::<Vec<_>>(),
        (0..=last).collect::<Vec<_>>()
    );
    let contacts = rows(store, Space::of_type(CONTACT));
    for key in 0..KEYS.min(last + 1) {
        let writer = last - (last - key) % KEYS;
        assert!(contacts[&key] == noise(writer), "{key} of {last} is not what {writer} wrote");
    }
    last
}

/// Does something at its end.
struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn linked(store: &FjallStore, into: &Path) -> FjallStore {
    std::fs::create_dir(into).unwrap();
    assert!(store.link(into).unwrap());
    FjallStore::open(into, builtin()).unwrap()
}

#[test]
fn a_linked_store_holds_what_was_committed_and_goes_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallStore::open(&folder.path().join("state"), builtin()).unwrap();
    commit(&store, 0);
    let is_over = AtomicBool::new(false);
    let over = || is_over.store(true, Ordering::Relaxed);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        // Its tables are written and merged meanwhile.
        let writing = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) || number < 800 {
                number += 1;
                commit(&store, number);
            }
            number
        });
        // Also when this breaks off.
        let _over = Finally(over);
        while seen.len() < 6 || seen.last() < Some(&600) {
            let copy = folder.path().join(seen.len().to_string());
            let copied = linked(&store, &copy);
            seen.push(check(&copied));
            if seen.len() % 3 == 1 {
                // A change of the copy does not change the store.
                copied.clear(Space::of_type(CONTACT)).unwrap();
                drop(copied);
                std::fs::remove_dir_all(copy).unwrap();
            }
        }
        over();
        let last = writing.join().unwrap();
        assert_eq!(check(&store), last);
    });
    assert!(seen.is_sorted() && seen.first() < seen.last(), "{seen:?}");
    drop(store);
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let last = FjallStore::open(&folder.path().join("1"), builtin()).unwrap();
    assert_eq!(check(&last), seen[1], "the copy needs nothing of the store");
}

#[test]
fn a_state_is_linked_on_one_disk_and_copied_entry_by_entry_from_elsewhere() {
    let log = GrowingLog::new();
    for number in 0..60 {
        log.append("organisations", &format!("o{number}"), &json!({"name": format!("Firm {number}")}));
        let contact =
            json!({"name": format!("Person {number}"), "organisationId": format!("o{}", number % 7)});
        log.append("contacts", &format!("c{number}"), &contact);
    }
    let world = World::embedded("copy", &log.settings());
    let mut instance = world.start(&["run"]);
    world.wait_until_delivered();
    let documents = world.all_documents();

    let output = world.run(&["reindex", "--from", "state"]);
    assert!(output.status.success() && log_of(&output).contains("by=\"links\""), "{}", log_of(&output));
    assert_eq!(world.all_documents(), documents);

    // A rebuild whose folder the instance does not see.
    let elsewhere = world.path("elsewhere");
    std::fs::create_dir_all(elsewhere.join("state")).unwrap();
    std::fs::copy(world.path("state/instance"), elsewhere.join("state/instance")).unwrap();
    let config = world.config.replace(
        &format!("state = \"{}\"", world.path("state").display()),
        &format!("state = \"{}\"", elsewhere.join("state").display()),
    );
    assert_ne!(config, world.config);
    std::fs::write(elsewhere.join("tributary.toml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .arg("--config")
        .arg(elsewhere.join("tributary.toml"))
        .args(["reindex", "--from", "state"])
        .current_dir(world.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success() && log_of(&output).contains("by=\"entries\""), "{}", log_of(&output));
    assert_eq!(world.all_documents(), documents);
    instance.signal("TERM");
    assert_eq!(instance.end(), Some(0), "{}", world.log());
}
