//! Inputs from a kept corpus, changed a little: bytes, pieces, and words that parsers stumble over.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;

/// Words that end, open, nest, repeat or overflow something.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"null",
    b"true",
    b"-",
    b"1e999",
    b"-0",
    b"0.1e-400",
    b"18446744073709551616",
    b"9223372036854775808",
    b"99999999999999999999999999999999999999",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\xf4\x90\x80\x80",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\"a\":1,\"a\":2,",
    b"\"\":",
    b"{\"$serde_json::private::Number\":\"\",\"a\":1}",
    b"\"$serde_json::private::RawValue\":\"\",",
    b"[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":",
    b"=",
    b"&",
    b"%",
    b"-",
    b"__",
    b"'''",
    b"\"\"\"",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
];

/// One change: its kind, its two places, and its byte.
type Change = (u8, Index, Index, u8);

/// How many cases a target has: `TRIBUTARY_TEST_CASES` for a soak.
pub fn config() -> ProptestConfig {
    let cases = std::env::var("TRIBUTARY_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(1_500), failure_persistence: None, ..ProptestConfig::default() }
}

/// Every kept input of a target, in the order of their names.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "corpus", target].iter().collect();
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no input is kept for {target}");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A kept input, changed up to eight times.
pub fn inputs(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let corpus = corpus(target);
    let change = (any::<u8>(), any::<Index>(), any::<Index>(), any::<u8>());
    (any::<Index>(), proptest::collection::vec(change, 0..8)).prop_map(move |(at, changes)| {
        let mut input = at.get(&corpus).clone();
        changes.iter().for_each(|change| mutate(&mut input, &corpus, change));
        input
    })
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], (what, from, to, byte): &Change) {
    let at = from.index(input.len() + 1);
    let end = (at + to.index(32) + 1).min(input.len());
    match what % 8 {
        0 if at < input.len() => input[at] ^= 1 << (byte % 8),
        1 if at < input.len() => input[at] = *byte,
        2 => drop(input.drain(at..end)),
        3 => {
            let piece: Vec<u8> = input[at..end].to_vec();
            // Enough to nest or repeat beyond every limit, and bounded.
            let times = if *byte > 250 { 3_000 } else { usize::from(byte % 8) };
            drop(input.splice(at..at, piece.repeat(times)));
        }
        4 => input.truncate(at),
        5 => {
            let other = &corpus[to.index(corpus.len())];
            let begin = from.index(other.len() + 1);
            drop(input.splice(at..at, other[begin..].iter().copied()));
        }
        _ => {
            let word = WORDS[to.index(WORDS.len())];
            let times = if *byte > 252 { 2_000 } else { 1 };
            drop(input.splice(at..at, word.repeat(times)));
        }
    }
    // Longer inputs show nothing more.
    input.truncate(256 << 10);
}
