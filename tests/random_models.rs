//! Drawn models and histories against a plain interpreter of the language, which shares no code with the program.

mod drawn;
mod plain;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tributary::decoder::{Decoder, RecordLayout};
use tributary::event::Record;
use tributary::model::{self, Model};
use tributary::pipeline::bulk_load::BulkLoad;
use tributary::pipeline::fold::{DecodedRecord, StateWriter};
use tributary::pipeline::tuning::Tuning;
use tributary::plan::{PlanRef, Projection};
use tributary::position::{Positions, TopicPartition};
use tributary::state::State;
use tributary::state::memory::MemoryStore;

use self::drawn::{Draws, Event, Verb};
use crate::harness::{GrowingLog, World};
use crate::property::{Indexes, NoDeadLetters, deliver, pass};
use crate::services;

/// One instance with documents as an index would hold them: made anew for each mark only, so that a mark that is missing
/// shows.
struct Instance {
    plan: PlanRef,
    decoder: Decoder,
    state: Arc<State>,
    state_writer: StateWriter,
    index: Indexes,
}

impl Instance {
    fn new(model: &Model, plan: PlanRef) -> Self {
        let entities = plan.entity_types().zip(&model.entities);
        let layouts = entities.map(|(of, entity)| RecordLayout::of(of, &entity.source)).collect();
        let state = Arc::new(State::open(Arc::new(MemoryStore::default()), plan, "drawn").unwrap());
        let projections: Vec<Projection> = plan.projections().collect();
        let (letters, tuning) = (Box::new(NoDeadLetters), Tuning::default());
        let state_writer = StateWriter::new(Arc::clone(&state), projections, letters, tuning).unwrap();
        let decoder = Decoder::new(plan, layouts, BTreeMap::new());
        let mut instance = Self { plan, decoder, state, state_writer, index: Indexes::new() };
        instance.empty();
        instance
    }

    fn empty(&mut self) {
        self.index = self.plan.projections().map(|of| (of.name(), BTreeMap::new())).collect();
    }

    fn take(&self, records: &[Record]) -> Vec<DecodedRecord> {
        let records = records.iter();
        records
            .map(|record| DecodedRecord { record: record.clone(), decoded: self.decoder.decode(record) })
            .collect()
    }

    fn deliver(&mut self) {
        deliver(&self.state, &mut self.state_writer, &mut self.index);
    }

    /// Fills all indexes anew by backfills.
    fn backfill(&mut self) {
        self.empty();
        self.plan
            .projections()
            .for_each(|projection| drop(self.state_writer.begin_backfill(projection).unwrap()));
        self.state_writer.resume_backfills().unwrap();
        while pass(&self.state, &mut self.state_writer, &mut self.index) {}
    }
}

fn topic(event: &Event) -> String {
    format!("t{}", event.entity)
}

/// The entities that events make in their order.
fn entities(model: &Model, events: &[Event]) -> plain::World {
    let mut entities = BTreeMap::<(usize, &str), Option<BTreeMap<String, Value>>>::new();
    for event in events {
        let held = entities.entry((event.entity, &event.id)).or_default();
        let mut fields = held.take().filter(|_| event.verb == Verb::Merge).unwrap_or_default();
        fields.extend(event.fields.clone());
        fields.retain(|_, value| !value.is_null());
        *held = (event.verb != Verb::Delete).then_some(fields);
    }
    let mut world = plain::World::default();
    for ((entity, id), fields) in entities {
        world.put(&model.entities[entity].name, id, fields);
    }
    world
}

fn verb(event: &Event) -> &'static str {
    match event.verb {
        Verb::Merge => "updated",
        Verb::Replace => "created",
        Verb::Delete => "deleted",
    }
}

fn record(plan: PlanRef, model: &Model, event: &Event, offset: i64) -> Record {
    let verb = verb(event);
    let value = json!({"type": format!("x.{verb}"), "data": event.written(model)});
    let kind = plan.entity_types().nth(event.entity).unwrap();
    Record {
        key: Some(event.id.clone().into_bytes()),
        value: Some(value.to_string().into_bytes()),
        ..Record::new(kind, TopicPartition::new(topic(event), 0), offset)
    }
}

/// The first difference, as an error, between the documents of the program and those of the interpreter.
fn difference(
    what: &str,
    got: &Indexes,
    expected: &BTreeMap<String, BTreeMap<String, Value>>,
) -> Result<(), String> {
    for (projection, expected) in expected {
        let got = &got[projection.as_str()];
        for id in expected.keys().chain(got.keys()) {
            if got.get(id) != expected.get(id) {
                let text = |of: Option<&Value>| of.map_or_else(|| "none".to_owned(), Value::to_string);
                let (got, expected) = (text(got.get(id)), text(expected.get(id)));
                return Err(format!("{what}: {projection}/{id}\n got      {got}\n expected {expected}"));
            }
        }
    }
    Ok(())
}

/// The model that a seed draws, with its text; an error names the faults that the check finds in it.
fn drawn_model(seed: u64) -> Result<(Draws, String, Model), String> {
    let mut drawn = Draws::new(seed);
    let text = drawn.model();
    let model = model::parse("drawn.toml", &text).map_err(|findings| {
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n" + &text
    })?;
    Ok((drawn, text, model))
}

fn drawn_events(drawn: &mut Draws, model: &Model) -> Vec<Event> {
    let count = 10 + drawn.below(50);
    (0..count).map(|_| drawn.event(model)).collect()
}

fn check(seed: u64) -> Result<(), String> {
    let (mut drawn, text, model) = drawn_model(seed)?;
    let plan = PlanRef::of(&model);
    if model::relations(&model).len() != plan.relations().len() {
        return Err(format!(
            "{:?} for {:?}\n{text}",
            model::relations(&model),
            plan.relations().collect::<Vec<_>>()
        ));
    }
    let events = drawn_events(&mut drawn, &model);
    let mut offsets: BTreeMap<String, i64> = BTreeMap::new();
    let records: Vec<Record> = events
        .iter()
        .map(|event| {
            let offset = offsets.entry(topic(event)).or_default();
            *offset += 1;
            record(plan, &model, event, *offset - 1)
        })
        .collect();
    let with_model = |why: String| format!("{why}\n{text}");
    let expected = entities(&model, &events).documents(&model);

    let mut instance = Instance::new(&model, plan);
    let mut rest = &records[..];
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(drawn.below(4).min(rest.len() - 1) + 1);
        let records = instance.take(batch);
        instance.state_writer.fold(&records, &[]).unwrap();
        if drawn.below(3) > 0 {
            instance.state_writer.fan_out().unwrap();
        }
        if drawn.below(2) == 0 {
            instance.deliver();
        }
        rest = after;
    }
    while instance.state_writer.fan_out().unwrap().number > 0 {}
    instance.deliver();
    difference("folded", &instance.index, &expected).map_err(with_model)?;
    instance.backfill();
    difference("backfilled", &instance.index, &expected).map_err(with_model)?;

    let mut instance = Instance::new(&model, plan);
    plan.projections().for_each(|projection| drop(instance.state_writer.begin_backfill(projection).unwrap()));
    let tuning = Tuning { load_bytes_max: 500, ..Tuning::default() };
    let mut load = BulkLoad::new(instance.state.scratch(), plan, Positions::default(), tuning);
    for batch in records.chunks(3) {
        let records = instance.take(batch);
        instance.state_writer.load(&mut load, &records, &[]).unwrap();
    }
    instance.state_writer.end_load(load).unwrap();
    instance.backfill();
    difference("loaded", &instance.index, &expected).map_err(with_model)
}

/// Runs a drawn model over files by the command line, and compares the index.
fn check_run(seed: u64, world: impl Fn(&str) -> World) {
    let (mut drawn, text, model) = drawn_model(seed).unwrap();
    let events = drawn_events(&mut drawn, &model);
    let log = GrowingLog::new();
    for event in &events {
        let verb = verb(event);
        let topic = &model.entities[event.entity].name;
        let value = json!({"specversion": "1.0", "type": format!("x.{verb}"), "data": event.written(&model)});
        log.append(topic, &event.id, &value);
    }
    let world = world(&format!("model = \"drawn.toml\"\n{}", log.source()));
    std::fs::write(world.path("drawn.toml"), &text).unwrap();
    world.succeed(&["run", "--until-end"]);
    world.settle();
    for (projection, expected) in entities(&model, &events).documents(&model) {
        assert_eq!(world.documents(&projection), expected, "seed {seed}, {projection}\n{text}");
    }
    assert_eq!(world.dead_letters(), Vec::<Value>::new(), "seed {seed}\n{text}");
}

#[test]
fn drawn_models_end_in_their_documents_in_the_embedded_index() {
    (1_000..1_008).for_each(|seed| check_run(seed, |settings| World::embedded("drawn", settings)));
}

#[test]
fn drawn_models_end_in_their_documents_on_a_server() {
    let (servers, _turn) = services::whole();
    (1_000..1_008).for_each(|seed| check_run(seed, |settings| World::new(&servers, "drawn", settings)));
}

#[test]
fn drawn_models_end_in_the_documents_of_a_plain_interpreter() {
    let named = std::env::var("TRIBUTARY_MODELS").ok();
    let seeds = named.as_deref().and_then(|named| named.split_once(".."));
    let seeds = seeds.map_or(0..300, |(from, to)| from.parse().unwrap()..to.parse().unwrap());
    println!("models {seeds:?}: set TRIBUTARY_MODELS for others");
    for seed in seeds {
        if let Err(why) = check(seed) {
            panic!("seed {seed}: {why}");
        }
    }
}
