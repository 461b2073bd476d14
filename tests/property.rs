//! The fold against the plain reference. Random histories of both entities are permuted, doubled and cut into
//! batches at random places, with restarts between. They end in the same documents.

use std::collections::BTreeMap;
use std::sync::Arc;
use tributary::plan::{CONTACT, ORGANISATION, builtin};
use tributary::plan::{CONTACTS_OF, PROJECTIONS};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};
use tributary::config::Format;
use tributary::dead_letter::{DeadLetter, DeadLetters};
use tributary::decoder::Decoder;
use tributary::event::Record;
use tributary::pipeline::backfill;
use tributary::pipeline::bulk_load::BulkLoad;
use tributary::pipeline::fold::{DecodedRecord, StateWriter};
use tributary::pipeline::tuning::Tuning;
use tributary::pipeline::versions::Bases;
use tributary::position::{Positions, TopicPartition};
use tributary::projection::Limits;
use tributary::state::State;
use tributary::state::fjall::FjallStore;
use tributary::state::keys::Space;
use tributary::state::memory::MemoryStore;
use tributary::state::store::StateStore;

use crate::harness::shown;
use crate::reference::{self, Does, Plain};

const MAX_EMBEDDED: usize = 3;
const LIMITS: Limits = Limits { max_embedded_contacts: MAX_EMBEDDED };

/// Documents by projection and id.
/// The documents of each projection by their ids.
pub type Indexes = BTreeMap<&'static str, BTreeMap<String, Value>>;

/// No record of these histories is poison.
pub struct NoDeadLetters;

impl DeadLetters for NoDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> tributary::error::Result<()> {
        panic!("poison: {letters:?}")
    }
    fn list(&mut self) -> tributary::error::Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
    fn resolve(&mut self, _: &[String]) -> tributary::error::Result<()> {
        Ok(())
    }
}

fn organisation_id() -> impl Strategy<Value = Value> {
    prop_oneof![3 => select(vec!["a", "b", "c", "d"]).prop_map(Value::from), 1 => Just(Value::Null)]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![4 => select(vec!["", "x", "é", "zz"]).prop_map(Value::from), 1 => Just(Value::Null)]
}

fn fields(contact: bool) -> impl Strategy<Value = BTreeMap<String, Value>> {
    let reference = if contact { "organisationId" } else { "parentId" };
    let texts =
        if contact { vec!["name", "firstName", "lastName", "role"] } else { vec!["name", "status", "email"] };
    let field = prop_oneof![
        3 => organisation_id().prop_map(move |id| (reference.to_owned(), id)),
        4 => (select(texts), text()).prop_map(|(name, value)| (name.to_owned(), value)),
        1 => select(vec![json!(["t"]), json!([]), Value::Null]).prop_map(|tags| ("tags".to_owned(), tags)),
        1 => select(vec![json!(1), json!({"k": [null, 2.5]}), Value::Null]).prop_map(|any| ("extra".to_owned(), any)),
    ];
    proptest::collection::btree_map("k[0-9]", field, 0..4).prop_map(|map| map.into_values().collect())
}

fn event() -> impl Strategy<Value = Plain> {
    let does = prop_oneof![4 => Just(Does::Merge), 3 => Just(Does::Replace), 1 => Just(Does::Delete)];
    (any::<bool>(), does).prop_flat_map(|(contact, does)| {
        let ids = if contact { vec!["c1", "c2", "c3", "c4", "c5"] } else { vec!["a", "b", "c", "d"] };
        (select(ids), 0u64..12, fields(contact)).prop_map(move |(id, version, fields)| Plain {
            contact,
            id: id.to_owned(),
            version,
            does,
            fields: if does == Does::Delete { BTreeMap::new() } else { fields },
        })
    })
}

fn record(event: &Plain, offset: i64, partition: i32) -> Record {
    let verb = match event.does {
        Does::Merge => "updated",
        Does::Replace => "created",
        Does::Delete => "deleted",
    };
    let (kind, topic) = if event.contact { (CONTACT, "contacts") } else { (ORGANISATION, "organisations") };
    let value =
        json!({"type": format!("x.{verb}"), "sequence": event.version.to_string(), "data": event.fields});
    Record {
        key: Some(event.id.clone().into_bytes()),
        value: Some(value.to_string().into_bytes()),
        ..Record::new(kind, TopicPartition::new(topic, partition), offset)
    }
}

/// Folds the records in batches; after each batch the folder is opened anew when `restarts` says so.
/// Documents are kept as an index would: made anew for each mark only, so that a mark that is
/// missing shows.
fn indexed(
    store: &Arc<dyn StateStore>,
    batches: &[&[Record]],
    restarts: bool,
    backfill: Option<Backfill>,
) -> Indexes {
    let decoder = Decoder::new(
        builtin(),
        vec![Format::CloudEvents.into(), Format::CloudEvents.into()],
        BTreeMap::new(),
    );
    let open = || {
        let state = Arc::new(State::open(Arc::clone(store), builtin(), "test").unwrap());
        let (letters, tuning) = (Box::new(NoDeadLetters), Tuning::default());
        let state_writer =
            StateWriter::new(Arc::clone(&state), PROJECTIONS.to_vec(), letters, tuning).unwrap();
        (state, state_writer)
    };
    let (mut state, mut state_writer) = open();
    let empty = || -> Indexes {
        PROJECTIONS.into_iter().map(|projection| (projection.name(), BTreeMap::new())).collect()
    };
    let mut index = empty();
    for (number, batch) in batches.iter().enumerate() {
        if backfill.is_some_and(|backfill| backfill.from == number) {
            index = empty();
            PROJECTIONS
                .into_iter()
                .for_each(|projection| drop(state_writer.begin_backfill(projection).unwrap()));
        }
        if backfill.is_some_and(|backfill| backfill.wakes == number) {
            state_writer.resume_backfills().unwrap();
        }
        // While a backfill pauses nothing is delivered.
        let delivers = backfill.is_none_or(|backfill| !(backfill.from..backfill.wakes).contains(&number));
        let records: Vec<DecodedRecord> = batch
            .iter()
            .map(|record| DecodedRecord { record: record.clone(), decoded: decoder.decode(record) })
            .collect();
        state_writer.fold(&records, &[]).unwrap();
        // A fan-out goes on between the batches, some of it only after the next.
        if number % 3 != 1 {
            state_writer.fan_out().unwrap();
        }
        if number % 2 == 0 && delivers {
            deliver(&state, &mut state_writer, &mut index);
        }
        if delivers {
            pass(&state, &mut state_writer, &mut index);
        }
        if restarts {
            drop((state, state_writer));
            (state, state_writer) = open();
        }
    }
    while state_writer.fan_out().unwrap().number > 0 {}
    deliver(&state, &mut state_writer, &mut index);
    state_writer.resume_backfills().unwrap();
    while pass(&state, &mut state_writer, &mut index) {}
    assert!(state.is_delivered().unwrap());
    assert!(state_writer.marks().unwrap().is_empty());
    index
}

/// When the index is new, and when it is begun to be filled: numbers of batches.
#[derive(Debug, Clone, Copy)]
struct Backfill {
    from: usize,
    wakes: usize,
}

/// The next part of each backfill that is active, of one document or two; false when there is none.
pub fn pass(state: &Arc<State>, state_writer: &mut StateWriter, index: &mut Indexes) -> bool {
    let (limits, projections) = (LIMITS, &state.plan().projections().collect::<Vec<_>>());
    let backfills = state_writer.pending_backfills();
    for backfill in &backfills {
        let Some(cursor) = &backfill.cursor else { continue };
        let most = (1 + cursor.len() % 2, usize::MAX);
        let bases = Bases::default();
        // The index was empty when the backfill was called for: with deletes or without them it is the same.
        let (is_untouched, buffers) = (backfill.step % 2 == 0, Arc::default());
        let ids_max = Tuning::default().chunk_ids_max;
        let making = backfill::ChunkContext::new(state, projections, limits, &bases, &buffers, ids_max)
            .with_untouched(is_untouched);
        let part = backfill::make_chunk(&making, backfill.projection, cursor, most).unwrap();
        let documents = index.get_mut(backfill.projection.name()).unwrap();
        let batch = &part.made.batch;
        for write in batch.writes() {
            match batch.document(write) {
                Some(body) => {
                    let document = serde_json::from_slice(body).unwrap();
                    documents.insert(write.id.to_string(), shown(&document));
                }
                None => drop(documents.remove(&*write.id)),
            }
        }
        state_writer.advance_backfill(backfill.projection, backfill.step, part.next, part.passed).unwrap();
    }
    !backfills.is_empty()
}

pub fn deliver(state: &State, state_writer: &mut StateWriter, index: &mut Indexes) {
    let snapshot = state.snapshot().unwrap();
    let mut acknowledged = Vec::new();
    for (number, id) in state_writer.marks().unwrap() {
        let projection = state.plan().projection_of_number(number).unwrap();
        let mut bytes = Vec::new();
        let documents = index.get_mut(projection.name()).unwrap();
        if projection.materialise(&snapshot, &id, LIMITS, 1, &mut bytes).unwrap() {
            documents.insert(id.clone(), shown(&serde_json::from_slice(&bytes).unwrap()));
        } else {
            documents.remove(&id);
        }
        acknowledged.push(((projection, Arc::from(id)), snapshot.progress().step));
    }
    state_writer.acknowledge(&acknowledged).unwrap();
}

/// Loads the first `count` records, a few at a time, folds the others as they come, and backfills.
fn loaded(records: &[Record], count: usize, held_max: usize, durable: bool) -> Indexes {
    let folder = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryStore::default());
    let open = || {
        let memory: Arc<dyn StateStore> = Arc::clone(&memory) as _;
        let store =
            if durable { Arc::new(FjallStore::open(folder.path(), builtin()).unwrap()) } else { memory };
        let state = Arc::new(State::open(store, builtin(), "test").unwrap());
        let (letters, tuning) = (Box::new(NoDeadLetters), Tuning::default());
        let state_writer =
            StateWriter::new(Arc::clone(&state), PROJECTIONS.to_vec(), letters, tuning).unwrap();
        (state, state_writer)
    };
    let (mut state, mut state_writer) = open();
    // The row that a load finds of an earlier one, which broke off.
    state
        .fill(
            Space::of_relation(CONTACTS_OF),
            &mut [Ok((b"a\0\0gone".to_vec(), b"{}".to_vec()))].into_iter(),
            0,
        )
        .unwrap();
    let decoder = Decoder::new(
        builtin(),
        vec![Format::CloudEvents.into(), Format::CloudEvents.into()],
        BTreeMap::new(),
    );
    PROJECTIONS.into_iter().for_each(|projection| drop(state_writer.begin_backfill(projection).unwrap()));
    let take = |records: &[Record]| -> Vec<DecodedRecord> {
        let records = records.iter();
        records
            .map(|record| DecodedRecord { record: record.clone(), decoded: decoder.decode(record) })
            .collect()
    };
    let tuning = Tuning { load_bytes_max: held_max, ..Tuning::default() };
    let mut load = BulkLoad::new(state.scratch(), builtin(), Positions::default(), tuning);
    for batch in records[..count].chunks(3) {
        state_writer.load(&mut load, &take(batch), &[]).unwrap();
    }
    let positions = load.positions();
    state_writer.end_load(load).unwrap();
    assert_eq!(state.progress().unwrap().positions(), positions);
    assert!(state_writer.marks().unwrap().is_empty() && !state.scratch().exists());
    drop((state, state_writer));
    (state, state_writer) = open();
    for batch in records[count..].chunks(4) {
        state_writer.fold(&take(batch), &[]).unwrap();
    }
    let mut index = PROJECTIONS.into_iter().map(|each| (each.name(), BTreeMap::new())).collect();
    state_writer.resume_backfills().unwrap();
    while pass(&state, &mut state_writer, &mut index) {}
    index
}

/// A permutation with doubles, cut into batches.
fn shuffled(events: &[Plain], order: &[Index]) -> Vec<Record> {
    let mut left: Vec<&Plain> = events.iter().collect();
    let mut records = Vec::new();
    for (offset, index) in order.iter().enumerate() {
        if left.is_empty() {
            break;
        }
        let at = index.index(left.len());
        let doubled = index.index(7) == 0;
        let event = if doubled { left[at] } else { left.remove(at) };
        // The partitions that carry an entity differ: all events have a sequence.
        records.push(record(event, i64::try_from(offset).unwrap(), i32::try_from(index.index(2)).unwrap()));
    }
    let offset = records.len();
    records.extend(
        left.iter().enumerate().map(|(n, event)| record(event, i64::try_from(offset + n).unwrap(), 0)),
    );
    records
}

fn cut<'a>(records: &'a [Record], cuts: &[Index]) -> Vec<&'a [Record]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(records.len() + 1)).collect();
    at.extend([0, records.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &records[pair[0]..pair[1]]).collect()
}

/// Cases that failed before are kept in a file, and are run first.
fn config(cases: u32) -> ProptestConfig {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/property.txt");
    let failure_persistence = FileFailurePersistence::Direct(file);
    ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(failure_persistence)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn any_order_ends_in_the_documents_of_the_reference(
        events in proptest::collection::vec(event(), 0..40),
        order in proptest::collection::vec(any::<Index>(), 60),
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
        restarts in any::<bool>(),
    ) {
        let records = shuffled(&events, &order);
        let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
        let got = indexed(&store, &cut(&records, &cuts), restarts, None);
        prop_assert_eq!(got, reference::documents(&events, MAX_EMBEDDED));
    }

    #[test]
    fn a_log_that_is_loaded_in_runs_and_goes_on_ends_in_the_same_documents(
        events in proptest::collection::vec(event(), 0..40),
        order in proptest::collection::vec(any::<Index>(), 60),
        at in any::<Index>(),
        held_max in select(vec![1_usize, 900, 3_000, usize::MAX]),
        durable in 0_u8..20,
    ) {
        let records = shuffled(&events, &order);
        let got = loaded(&records, at.index(records.len() + 1), held_max, durable == 0);
        prop_assert_eq!(got, reference::documents(&events, MAX_EMBEDDED));
    }

    #[test]
    fn a_new_index_is_backfilled_while_the_log_goes_on(
        events in proptest::collection::vec(event(), 0..40),
        order in proptest::collection::vec(any::<Index>(), 60),
        cuts in proptest::collection::vec(any::<Index>(), 0..12),
        restarts in any::<bool>(),
        (from, sleeps) in (0_usize..8, 0_usize..8),
    ) {
        let records = shuffled(&events, &order);
        let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
        let backfill = Some(Backfill { from, wakes: from + sleeps });
        let got = indexed(&store, &cut(&records, &cuts), restarts, backfill);
        prop_assert_eq!(got, reference::documents(&events, MAX_EMBEDDED));
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn the_durable_store_ends_in_the_same_documents(
        events in proptest::collection::vec(event(), 0..40),
        order in proptest::collection::vec(any::<Index>(), 60),
        cuts in proptest::collection::vec(any::<Index>(), 0..6),
    ) {
        let records = shuffled(&events, &order);
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn StateStore> = Arc::new(FjallStore::open(folder.path(), builtin()).unwrap());
        let got = indexed(&store, &cut(&records, &cuts), true, Some(Backfill { from: 0, wakes: 2 }));
        prop_assert_eq!(got, reference::documents(&events, MAX_EMBEDDED));
    }
}

#[test]
fn one_organisation_with_50_000_contacts_fans_out_in_bounded_steps() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    let state = Arc::new(State::open(store, builtin(), "test").unwrap());
    let (letters, tuning) = (Box::new(NoDeadLetters), Tuning::default());
    let mut state_writer =
        StateWriter::new(Arc::clone(&state), PROJECTIONS.to_vec(), letters, tuning).unwrap();
    let decoder = Decoder::new(
        builtin(),
        vec![Format::CloudEvents.into(), Format::CloudEvents.into()],
        BTreeMap::new(),
    );
    let take = |record: Record| DecodedRecord { decoded: decoder.decode(&record), record };
    let plain = |contact, id: String, version, fields: Value| Plain {
        contact,
        id,
        version,
        does: Does::Merge,
        fields: serde_json::from_value(fields).unwrap(),
    };
    let contacts: Vec<DecodedRecord> = (0..50_000)
        .map(|n| {
            take(record(
                &plain(true, format!("c{n:05}"), 1, json!({"organisationId": "a", "name": "n"})),
                n,
                0,
            ))
        })
        .collect();
    state_writer.fold(&contacts, &[]).unwrap();
    let step = state.snapshot().unwrap().progress().step;
    let all: Vec<_> = state_writer.marks().unwrap().into_iter().collect();
    let named =
        |(number, id): (u8, String)| ((builtin().projection_of_number(number).unwrap(), Arc::from(id)), step);
    state_writer.acknowledge(&all.into_iter().map(named).collect::<Vec<_>>()).unwrap();
    state_writer
        .fold(&[take(record(&plain(false, "a".to_owned(), 1, json!({"name": "A"})), 0, 0))], &[])
        .unwrap();
    let mut steps = 0;
    loop {
        let step = state_writer.fan_out().unwrap();
        if step.number == 0 {
            break;
        }
        assert!(step.marked.len() <= 4_000, "a step marked {}", step.marked.len());
        steps += 1;
    }
    assert!(steps >= 25, "50 000 contacts in {steps} steps");
    assert_eq!(state_writer.marks().unwrap().len(), 50_002);
}
