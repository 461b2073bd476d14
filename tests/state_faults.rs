//! Files of the state that were cut short or changed. The store names one on opening or on reading, or shows an
//! earlier content, and never one that it did not hold.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tributary::plan::CONTACTS_OF;
use tributary::plan::{CONTACT, ORGANISATION, builtin};

use serde_json::json;
use tributary::state::State;
use tributary::state::fjall::FjallStore;
use tributary::state::keys::Space;
use tributary::state::rows::{self, FORMAT, StateFormat};
use tributary::state::store::{Changes, StateStore};

use crate::files::{below, copy};
use crate::harness::{GrowingLog, World, log_of};

/// Everything that a store shows.
type StoreContents = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

/// How many places of each file are damaged: `TRIBUTARY_TEST_CASES` for more.
fn places() -> u64 {
    std::env::var("TRIBUTARY_TEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(9)
}

fn seed() -> u64 {
    let seed = std::env::var("TRIBUTARY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed: set TRIBUTARY_TEST_SEED={seed} for this run again");
    seed
}

fn shown(store: &dyn StateStore) -> tributary::error::Result<StoreContents> {
    let mut shown = StoreContents::new();
    let view = store.view();
    for (space, _) in Space::all(builtin()) {
        view.scan(space, &[], &[], &mut |key, value| {
            shown.insert((space, key.to_vec()), value.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
    }
    // Single keys are found by other ways than scans.
    for ((space, key), value) in &shown {
        assert_eq!(view.get(*space, key)?.as_ref(), Some(value), "{space:?} {key:?}");
    }
    Ok(shown)
}

/// A store of which some spaces lie in tables, some in journals and some in both, and its content after each
/// commit.
fn store(folder: &Path) -> Vec<StoreContents> {
    let mut once = vec![StoreContents::new()];
    let text = |n: usize| format!("{n:05}").into_bytes();
    for round in 0..3_usize {
        let store = FjallStore::open(folder, builtin()).unwrap();
        if round == 0 {
            let mut entries = (0..800).map(|n| Ok((text(n), format!("row {n} ").repeat(9).into_bytes())));
            store.fill(Space::of_type(CONTACT), &mut entries).unwrap();
            once.push(shown(&store).unwrap());
        }
        for n in 0..12 {
            let mut changes = Changes::default();
            let spaces = [Space::of_type(ORGANISATION), Space::of_type(CONTACT), Space::DIRTY];
            for (at, space) in spaces.into_iter().enumerate().filter(|(at, _)| n % (at + 1) == 0) {
                changes.put(space, text(n * 7 + at), format!("{round} {n} {at}").repeat(30).into_bytes());
                changes.remove(space, text(n * 3));
            }
            changes.put(Space::META, b"progress".to_vec(), text(round * 100 + n));
            store.commit(changes).unwrap();
            once.push(shown(&store).unwrap());
        }
        if round == 0 {
            // More than a memtable holds, so that this space alone reaches its tables.
            let mut changes = Changes::default();
            (0..45).for_each(|n| changes.put(Space::of_relation(CONTACTS_OF), text(n), noise(n, 100_000)));
            store.commit(changes).unwrap();
            once.push(shown(&store).unwrap());
        }
        store.sync().unwrap();
    }
    drop(FjallStore::open(folder, builtin()).unwrap());
    once
}

/// Bytes that can't be compressed.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    (0..length / 8).flat_map(|n| mix(seed as u64, n as u64).to_be_bytes()).collect()
}

fn mix(a: u64, b: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&a.to_le_bytes(), b)
}

/// The files of a state that hold something.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = below(folder);
    found.retain(|path| path.metadata().unwrap().len() > 0);
    found
}

/// Damages a file in the way of this number; says how.
fn damage(file: &Path, number: u64, seed: u64) -> String {
    let mut bytes = std::fs::read(file).unwrap();
    // Half of the places are near the end.
    let chance = usize::try_from(mix(seed, number) % bytes.len() as u64).unwrap();
    let at = if number.is_multiple_of(2) { chance } else { bytes.len() - 1 - chance / 200 };
    let how = match number {
        0 => {
            std::fs::remove_file(file).unwrap();
            return "removed".to_owned();
        }
        1 => {
            bytes.clear();
            "emptied".to_owned()
        }
        2 => {
            bytes.pop();
            "one byte shorter".to_owned()
        }
        _ if number.is_multiple_of(4) => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        _ => {
            bytes[at] ^= 1 << (number % 8);
            format!("bit {} of {at} flipped", number % 8)
        }
    };
    std::fs::write(file, bytes).unwrap();
    how
}

#[test]
fn a_damaged_store_is_refused_or_shows_what_it_held_once() {
    let seed = seed();
    let whole = tempfile::tempdir().unwrap();
    let once = store(whole.path());
    let mut seen: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for file in files(whole.path()) {
        let name = file.strip_prefix(whole.path()).unwrap();
        let last = name.file_name().unwrap().to_str().unwrap();
        let kind = match last {
            _ if last.ends_with("jnl") => "journal",
            _ if name.to_str().unwrap().contains("tables") => "table",
            _ if last.starts_with('v') && last != "version" => "manifest",
            other => other,
        };
        for number in 0..places() {
            let broken = tempfile::tempdir().unwrap();
            copy(whole.path(), broken.path());
            let how = format!("{}: {}", name.display(), damage(&broken.path().join(name), number, seed));
            let outcome = FjallStore::open(broken.path(), builtin()).and_then(|store| shown(&store));
            let at = match outcome {
                Ok(shown) if Some(&shown) == once.last() => 0,
                Ok(shown) => {
                    assert!(once.contains(&shown), "{how}: the store shows what it never held");
                    1
                }
                Err(error) => {
                    let told = error.chain();
                    let folder = broken.path().to_str().unwrap();
                    assert!(told.contains(folder) && told.contains("delete the folder"), "{how}: {told}");
                    2
                }
            };
            seen.entry(kind.to_owned()).or_default()[at] += 1;
        }
    }
    println!("{:10} {:>10} {:>10} {:>10}", "file", "unchanged", "older", "refused");
    for (kind, [unchanged, older, refused]) in &seen {
        println!("{kind:10} {unchanged:>10} {older:>10} {refused:>10}");
    }
    for kind in ["journal", "table", "manifest", "current", "version"] {
        assert!(seen[kind].iter().sum::<u32>() > 0 && seen[kind][1..] != [0, 0], "{kind}: {seen:?}");
    }
}

/// A world with a state in which some of the log came by a load and some as it flowed.
fn world(log: &GrowingLog) -> World {
    let world = World::embedded("state-faults", &log.settings());
    for round in 0..3 {
        for n in 0..40 {
            let id = format!("o{n}");
            log.append("organisations", &id, &json!({"id": id, "name": format!("{round} {n}")}));
            let contact = json!({"id": id, "name": "c", "organisationId": format!("o{}", (n + round) % 40)});
            log.append("contacts", &id, &contact);
        }
        world.succeed(&["run", "--until-end"]);
    }
    world
}

#[test]
fn the_program_names_what_is_damaged_and_a_replay_ends_in_the_same_documents() {
    let (seed, log) = (seed(), GrowingLog::new());
    let world = world(&log);
    let expected = world.all_documents();
    let (state, kept) = (world.path("state"), world.path("kept"));
    copy(&state, &kept);
    let (mut refused, mut repaired) = (0, 0);
    for file in files(&kept) {
        let name = file.strip_prefix(&kept).unwrap();
        let last = name.file_name().unwrap().to_str().unwrap();
        if last.starts_with("v") && last != "version" && !name.starts_with("keyspaces/3") {
            continue;
        }
        for number in if last.ends_with("jnl") { 1..9 } else { 3..5 } {
            let _ = std::fs::remove_dir_all(&state);
            // Every document is made anew from the remaining state.
            let _ = std::fs::remove_dir_all(world.path("index"));
            copy(&kept, &state);
            let how = format!("{}: {}", name.display(), damage(&state.join(name), number, seed));
            let output = world.run(&["run", "--until-end"]);
            let told = log_of(&output);
            assert!(!told.contains("panicked"), "{how}: {told}");
            if output.status.code() == Some(0) {
                repaired += 1;
            } else {
                let folder = state.to_str().unwrap();
                assert_eq!(output.status.code(), Some(1), "{how}: {told}");
                assert!(told.contains(folder) && told.contains("delete the folder"), "{how}: {told}");
                refused += 1;
                if refused > 3 {
                    continue;
                }
                std::fs::remove_dir_all(&state).unwrap();
                world.succeed(&["run", "--until-end"]);
            }
            assert_eq!(world.all_documents(), expected, "{how}");
        }
    }
    println!("{refused} were refused, {repaired} were repaired");
    assert!(refused > 0 && repaired > 0, "{refused} were refused, {repaired} were repaired");
}

/// Makes the state one of the next format.
pub fn write_next_format(store: &FjallStore) {
    let held: StateFormat =
        rows::decode(&store.view().get(Space::META, b"format").unwrap().unwrap()).unwrap();
    let mut changes = Changes::default();
    let format = StateFormat { format: FORMAT + 1, ..held };
    changes.put(Space::META, b"format".to_vec(), rows::encode(&format).unwrap());
    store.commit(changes).unwrap();
    store.sync().unwrap();
}

#[test]
fn a_state_of_the_future_is_refused() {
    let log = GrowingLog::new();
    let world = world(&log);
    let state = world.path("state");
    {
        let store = FjallStore::open(&state, builtin()).unwrap();
        write_next_format(&store);
        let store: Arc<dyn StateStore> = Arc::new(store);
        assert!(State::open(store, builtin(), "any").is_err());
    }
    let refused = |wanted: &str| {
        let output = world.run(&["run", "--until-end"]);
        let told = log_of(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(wanted) && told.contains("replay") && !told.contains("panicked"), "{told}");
    };
    refused(&format!("format {}", FORMAT + 1));
    std::fs::write(state.join("version"), b"FJL\x04").unwrap();
    refused("format 4");
}

#[test]
fn a_limit_of_open_files_is_never_taken_for_damage() {
    let log = GrowingLog::new();
    let world = world(&log);
    let expected = world.all_documents();
    let mut refused = 0;
    for files in 4..40 {
        let inner = world.command(&["run", "--until-end"]);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]).arg(inner.get_program());
        let output = limited.args(inner.get_args()).current_dir(world.folder.path()).output().unwrap();
        let told = log_of(&output);
        assert!(!told.contains("damaged") && !told.contains("replay"), "{files} files: {told}");
        refused += u32::from(output.status.code() == Some(1));
    }
    assert!(refused > 5, "only {refused} of the limits were felt");
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.all_documents(), expected);
}
