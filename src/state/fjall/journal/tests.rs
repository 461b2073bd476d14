use super::*;
use crate::plan::{CONTACT, builtin};
use crate::state::fjall::FjallStore;
use crate::state::keys::Space;
use crate::state::store::{Changes, StateStore};

/// The ends of the batches of a journal.
fn ends(path: &Path) -> Vec<u64> {
    let file = std::fs::File::open(path).unwrap();
    let mut walk = JournalWalk { input: BufReader::new(file), passed: 0, hash: Xxh3::new() };
    let (mut chain, mut ends) = (Chain::default(), Vec::new());
    while matches!(walk.batch(&mut chain), Ok(true)) {
        ends.push(walk.passed);
    }
    ends
}

/// Bytes that cannot be compressed.
fn noise(seed: u8) -> Vec<u8> {
    let part = |n: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&n.to_le_bytes(), u64::from(seed)).to_le_bytes();
    (0..1125).flat_map(part).collect()
}

/// Two journals of five commits, the first with three of them; the ends of those.
fn two(folder: &Path) -> Vec<u64> {
    let store = FjallStore::open(folder, builtin()).unwrap();
    for n in 0..5 {
        let mut changes = Changes::default();
        changes.put(Space::of_type(CONTACT), vec![n], noise(n));
        store.commit(changes).unwrap();
    }
    store.sync().unwrap();
    drop(store);
    let (first, second) = (folder.join("0.jnl"), folder.join("1.jnl"));
    let ends = ends(&first);
    let bytes = std::fs::read(&first).unwrap();
    let at = usize::try_from(ends[2]).unwrap();
    std::fs::write(&second, &bytes[at..]).unwrap();
    let zeros = vec![0; 3000];
    std::fs::write(&first, [&bytes[..at], &zeros].concat()).unwrap();
    ends
}

fn flip(path: &Path, at: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 16;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_end_that_a_killed_process_had_begun_to_write_is_cut_off() {
    let check = |break_it: &dyn Fn(&Path, &[u64]), is_told: bool| {
        let folder = tempfile::tempdir().unwrap();
        let ends = two(folder.path());
        break_it(folder.path(), &ends);
        let (cut, last) = (repair(folder.path()).unwrap(), folder.path().join("1.jnl"));
        let at = ends[3] - ends[2];
        assert_eq!(cut, is_told.then(|| Cut { file: last.clone(), at }));
        let length = std::fs::metadata(&last).unwrap().len();
        assert_eq!(repair(folder.path()).unwrap(), None, "what is left is whole");
        FjallStore::open(folder.path(), builtin()).unwrap();
        length - at
    };
    // Nothing is wrong: the last batch stays.
    assert!(check(&|_, _| (), false) > 9000);
    let last = |folder: &Path| folder.join("1.jnl");
    for missing in [1, 30, 5000, 9000] {
        let begin = |folder: &Path, ends: &[u64]| cut(&last(folder), ends[4] - ends[2] - missing).unwrap();
        assert_eq!(check(&begin, false), 0, "{missing}");
    }
    // Pages that were never written are zeros.
    let zeros = |folder: &Path, ends: &[u64]| {
        let mut bytes = std::fs::read(last(folder)).unwrap();
        let from = usize::try_from(ends[3] - ends[2]).unwrap();
        bytes[from + 2000..from + 7000].fill(0);
        std::fs::write(last(folder), bytes).unwrap();
    };
    assert_eq!(check(&zeros, true), 0);
    let first = |folder: &Path, ends: &[u64]| {
        let mut bytes = std::fs::read(last(folder)).unwrap();
        let from = usize::try_from(ends[3] - ends[2]).unwrap();
        bytes[from..from + 4096].fill(0);
        std::fs::write(last(folder), bytes).unwrap();
    };
    assert_eq!(check(&first, false), 0);
}

#[test]
fn damage_amid_what_was_written_is_refused_and_left_as_it_is() {
    let refused = |what: &str, break_it: &dyn Fn(&Path, &[u64])| {
        let folder = tempfile::tempdir().unwrap();
        let ends = two(folder.path());
        break_it(folder.path(), &ends);
        let files = || ["0.jnl", "1.jnl"].map(|name| std::fs::read(folder.path().join(name)).unwrap());
        let before = files();
        let reason = repair(folder.path()).unwrap_err().chain();
        assert!(
            reason.contains("is damaged at byte") && reason.contains("delete the folder"),
            "{what}: {reason}"
        );
        assert!(files() == before, "{what}: nothing is changed");
        let opened = FjallStore::open(folder.path(), builtin()).map(drop);
        assert_eq!(opened.unwrap_err().chain(), reason, "{what}");
    };
    for at in [13 + 12, 13 + 20] {
        refused("a length or a checksum", &|folder, ends| flip(&folder.join("0.jnl"), ends[0] + at));
    }
    refused("a checksum", &|folder, ends| flip(&folder.join("0.jnl"), ends[1] - 9));
    refused("the last of a file before the last", &|folder, ends| flip(&folder.join("0.jnl"), ends[2] - 100));
    refused("a number that is too high", &|folder, _| flip(&folder.join("0.jnl"), 7));
    refused("a number that is too low", &|folder, ends| {
        let mut bytes = std::fs::read(folder.join("0.jnl")).unwrap();
        bytes[usize::try_from(ends[1]).unwrap() + 5] = 0;
        std::fs::write(folder.join("0.jnl"), bytes).unwrap();
    });
    refused("a batch that is missing", &|folder, ends| cut(&folder.join("0.jnl"), ends[1]).unwrap());
    refused("a beginning that is zeros", &|folder, ends| {
        let mut bytes = std::fs::read(folder.join("0.jnl")).unwrap();
        let from = usize::try_from(ends[0]).unwrap();
        bytes[from..from + 4096].fill(0);
        std::fs::write(folder.join("0.jnl"), bytes).unwrap();
    });
    refused("the first of the last file", &|folder, _| flip(&folder.join("1.jnl"), 100));
}

#[test]
fn what_another_version_of_the_store_wrote_is_refused_and_left_as_it_is() {
    /// Where in a batch of one entry its parts are.
    const ENTRY: usize = 13;
    let refused = |what: &str, change: &dyn Fn(&mut Vec<u8>, usize)| {
        let folder = tempfile::tempdir().unwrap();
        let second = usize::try_from(two(folder.path())[0]).unwrap();
        let path = folder.path().join("0.jnl");
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes, second);
        std::fs::write(&path, &bytes).unwrap();
        let reason = repair(folder.path()).unwrap_err().chain();
        assert!(reason.contains("does not know") && reason.contains("delete the folder"), "{what}: {reason}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{what}: nothing is cut");
        assert!(folder.path().join("1.jnl").exists(), "{what}: nothing is removed");
    };
    // A change with the checksum that goes with it.
    let rewrite = |bytes: &mut Vec<u8>, second: usize, at: usize, to: u8| {
        bytes[second + at] = to;
        let end = bytes.windows(4).enumerate().filter(|(at, part)| *at > second && *part == TRAILER);
        let end = end.map(|(at, _)| at).next().unwrap();
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes[second + ENTRY..end - 9]);
        bytes[end - 8..end].copy_from_slice(&sum.to_le_bytes());
    };
    refused("a kind", &|bytes, second| rewrite(bytes, second, ENTRY + 1, 9));
    refused("a compression", &|bytes, second| rewrite(bytes, second, ENTRY + 2, 7));
    refused("a tag of an entry", &|bytes, second| rewrite(bytes, second, ENTRY, 8));
    refused("a tag of a batch", &|bytes, second| bytes[second] = 9);
}
