use super::*;
use crate::plan::{CONTACT, ORGANISATION};

const NO_WAIT: Duration = Duration::ZERO;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn open(folder: &tempfile::TempDir) -> FilesSource {
    let topics = vec![("organisations".to_owned(), ORGANISATION), ("contacts".to_owned(), CONTACT)];
    FilesSource::open(folder.path(), topics).unwrap()
}

fn places(polled: &SourceBatch) -> Vec<String> {
    polled.records.iter().map(|record| format!("{}:{}", record.partition, record.offset)).collect()
}

#[test]
fn partitions_are_read_organisations_first() {
    let line = "{\"key\":\"a\",\"value\":{}}\n";
    let folder =
        folder(&[("contacts-1.jsonl", line), ("contacts-0.jsonl", line), ("organisations.jsonl", line)]);
    let mut source = open(&folder);
    assert_eq!(source.end().unwrap().sum(), 3, "before it is started");
    source.start(&Positions::default(), &[]).unwrap();
    let polled = source.poll(NO_WAIT, 1 << 20).unwrap();
    assert_eq!(places(&polled), ["organisations/0:0", "contacts/0:0", "contacts/1:0"]);
    assert_eq!(source.end().unwrap().sum(), 3);
}

#[test]
fn an_unfinished_line_comes_when_it_is_whole() {
    let folder = folder(&[("contacts.jsonl", "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",")]);
    let mut source = open(&folder);
    source.start(&Positions::default(), &[]).unwrap();
    assert_eq!(places(&source.poll(NO_WAIT, 1 << 20).unwrap()), ["contacts/0:0"]);
    assert_eq!(source.end().unwrap().sum(), 1);
    let path = folder.path().join("contacts.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap() + "\"value\":null}\n";
    std::fs::write(&path, whole).unwrap();
    let polled = source.poll(NO_WAIT, 1 << 20).unwrap();
    assert_eq!(places(&polled), ["contacts/0:1"]);
    assert_eq!(polled.records[0].value, None);
    assert_eq!(polled.records[0].key.as_deref(), Some(&b"b"[..]));
}

#[test]
fn what_is_no_record_is_malformed_and_keeps_its_place() {
    let folder = folder(&[(
        "contacts.jsonl",
        "nonsense\n\n{\"name\":\"A\"}\n{\"key\":\"a\"}\n{\"key\":\"a\",\"value\":\"t\"}\n",
    )]);
    let mut source = open(&folder);
    source.start(&Positions::default(), &[]).unwrap();
    let records = source.poll(NO_WAIT, 1 << 20).unwrap().records;
    let reasons: Vec<Option<&str>> = records.iter().map(|record| record.malformed.as_deref()).collect();
    let is_no_json = |reason: &Option<&str>| reason.is_some_and(|it| it.starts_with("line: no record"));
    assert!(reasons[..2].iter().all(is_no_json), "{reasons:?}");
    assert_eq!(reasons[2], Some(NO_RECORD), "an entity without an envelope");
    assert_eq!(reasons[3], Some("line: no value; a tombstone says null"));
    assert_eq!(reasons[4], None);
    assert_eq!(records[0].value.as_deref(), Some(&b"nonsense"[..]));
    assert_eq!(records[4].value.as_deref(), Some(&b"\"t\""[..]));
}

#[test]
fn a_log_that_is_another_one_is_refused_with_both_offsets() {
    let folder = folder(&[("contacts.jsonl", "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":1}\n")]);
    let at = TopicPartition::new("contacts", 0);
    let mut source = open(&folder);
    source.start(&Positions::default(), &[]).unwrap();
    let last = source.poll(NO_WAIT, 1 << 20).unwrap().records.pop().unwrap();
    let mut print = Fingerprint::of(&last);
    let positions: Positions = [(at.clone(), 2)].into_iter().collect();
    open(&folder).start(&positions, &[(at.clone(), print.clone())]).unwrap();
    print.hash ^= 1;
    let error = open(&folder).start(&positions, &[(at.clone(), print)]).unwrap_err();
    assert!(error.to_string().contains("contacts/0") && error.to_string().contains("offset 1"), "{error}");
    let beyond: Positions = [(at, 9)].into_iter().collect();
    let error = open(&folder).start(&beyond, &[]).unwrap_err();
    assert!(error.to_string().contains("offset 9") && error.to_string().contains("offset 2"), "{error}");
}

#[test]
fn a_file_that_is_truncated_or_replaced_while_it_is_read_is_refused() {
    let text = "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":1}\n";
    let read = |change: &dyn Fn(&std::path::Path)| {
        let folder = folder(&[("contacts.jsonl", text)]);
        let mut source = open(&folder);
        source.start(&Positions::default(), &[]).unwrap();
        assert_eq!(places(&source.poll(NO_WAIT, 1 << 20).unwrap()), ["contacts/0:0", "contacts/0:1"]);
        change(&folder.path().join("contacts.jsonl"));
        source.poll(NO_WAIT, 1 << 20).map(|polled| places(&polled)).map_err(|error| error.chain())
    };
    let other = text.replace("\"b\"", "\"z\"");
    let grown = format!("{other}{text}{text}");
    let refused: [&dyn Fn(&std::path::Path); 4] = [
        &|path| std::fs::write(path, "").unwrap(),
        &|path| std::fs::write(path, &grown).unwrap(),
        &|path| {
            std::fs::write(path.with_extension("new"), &grown).unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        },
        &|path| std::fs::write(path, &text[..24]).unwrap(),
    ];
    for change in refused {
        let error = read(change).unwrap_err();
        assert!(error.contains("contacts/0") && error.contains("truncated or replaced"), "{error}");
    }
    // The same log, written anew.
    let longer = format!("{text}{text}");
    let again = read(&|path| {
        std::fs::write(path.with_extension("new"), &longer).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    });
    assert_eq!(again.unwrap(), ["contacts/0:2", "contacts/0:3"]);
}

#[test]
fn a_file_that_is_away_is_told_and_waited_for() {
    let folder = folder(&[("contacts.jsonl", "{\"key\":\"a\",\"value\":1}\n")]);
    let path = folder.path().join("contacts.jsonl");
    let mut source = open(&folder);
    source.start(&Positions::default(), &[]).unwrap();
    source.poll(NO_WAIT, 1 << 20).unwrap();
    std::fs::rename(&path, path.with_extension("away")).unwrap();
    source.poll(NO_WAIT, 1 << 20).unwrap();
    let Some(LogOutage::Topic(reason)) = source.trouble() else { panic!("{:?}", source.trouble()) };
    assert!(reason.contains("contacts.jsonl"), "{reason}");
    std::fs::rename(path.with_extension("away"), &path).unwrap();
    source.poll(NO_WAIT, 1 << 20).unwrap();
    assert_eq!(source.trouble(), None);
}
