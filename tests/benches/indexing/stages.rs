//! The stages before the sending, one after the other, on the log of the rebuilds. Each row does the work of
//! the one before it and one thing more. The parts are the library's own, driven as a run drives them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tributary::plan::builtin;
use tributary::plan::{EntityType, PROJECTIONS};

use crossbeam_channel::unbounded;
use tributary::app;
use tributary::config::Config;
use tributary::dead_letter::{DeadLetter, DeadLetters};
use tributary::decoder::Decoder;
use tributary::entity::Registers;
use tributary::event::DecodeOutcome;
use tributary::pipeline::backfill;
use tributary::pipeline::command::FoldCommand;
use tributary::pipeline::fold::StateWriter;
use tributary::pipeline::queue::Queue;
use tributary::pipeline::reader::LogReader;
use tributary::pipeline::status::Status;
use tributary::pipeline::stream::Stream;
use tributary::pipeline::tuning::Tuning;
use tributary::pipeline::versions::Bases;
use tributary::position::Positions;
use tributary::projection::Limits;
use tributary::shutdown::Shutdown;
use tributary::source::EventSource;
use tributary::source::kafka::KafkaSource;
use tributary::state::State;
use tributary::state::fjall::FjallStore;

use crate::Result;
use crate::harness::World;
use crate::rebuild::{cpu_seconds, peak_kilobytes};
use crate::report::shown;

const POLL_BYTES: usize = 1 << 20;
const POLL_WAIT: Duration = Duration::from_millis(50);
/// As a request of the delivery.
const REQUEST: (usize, usize) = (2_000, 2 << 20);

/// The variable that names the stage which a process of this bench is to measure.
const ASKED: &str = "BENCH_STAGE";
const NAMES: [&str; 5] = [
    "consume",
    "consume and decode",
    "consume, decode, fold into a hash map",
    "fold into the durable state",
    "materialise",
];
pub const HASH_MAP: &str = NAMES[2];
pub const FOLD: &str = NAMES[3];
pub const MATERIALISE: &str = NAMES[4];

/// One part.
#[derive(Clone)]
pub struct Stage {
    pub what: &'static str,
    pub took: Duration,
    pub cpu: f64,
    /// Events, or documents.
    pub count: u64,
    /// Bytes of documents, or of the state.
    pub bytes: u64,
    pub peak_kilobytes: Option<u64>,
}

/// All of them, each in a process of its own; `world` says where the log is.
pub fn run(world: &World) -> Result<Vec<Stage>> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    NAMES.into_iter().map(|what| measured(world, folder.path(), what)).collect()
}

fn measured(world: &World, folder: &Path, what: &'static str) -> Result<Stage> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let asked = serde_json::json!([what, world.config_path(), folder]).to_string();
    let output = std::process::Command::new(program)
        .env(ASKED, asked)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{what} ended with {}", output.status));
    }
    let (took, cpu, count, bytes, peak_kilobytes): (f64, f64, u64, u64, Option<u64>) =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{what}: {error}"))?;
    eprintln!("{what}: {took:.1} s");
    Ok(Stage { what, took: Duration::from_secs_f64(took), cpu, count, bytes, peak_kilobytes })
}

/// The stage that this process is to measure, if it is one for that.
pub fn asked() -> Option<String> {
    std::env::var(ASKED).ok()
}

/// Measures one stage, and prints its figures in one line.
pub fn one(asked: &str) -> Result<()> {
    let (what, config, folder): (String, std::path::PathBuf, std::path::PathBuf) =
        serde_json::from_str(asked).map_err(|error| format!("{ASKED}: {error}"))?;
    let config = Config::load(&app::kinds(), Some(&config), std::iter::empty(), &Vec::new()).map_err(told)?;
    let (began, cpu) = (Instant::now(), cpu_seconds("self").unwrap_or(0.0));
    let (count, bytes) = work(&what, &config, &folder)?;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds("self").unwrap_or(0.0) - cpu);
    println!("{}", serde_json::json!([took, cpu, count, bytes, peak_kilobytes("self")]));
    // The map that a fold has left is not freed record by record, because the process ends.
    std::process::exit(0)
}

fn work(what: &str, config: &Config, folder: &Path) -> Result<(u64, u64)> {
    let decoder = Decoder::new(
        builtin(),
        config.entities().map(|(_, section)| section.format.into()).collect(),
        config.event_types.clone(),
    );
    if what == NAMES[0] {
        read(config, |_| ())
    } else if what == NAMES[1] {
        read(config, |record| {
            std::hint::black_box(decoder.decode(record));
        })
    } else if what == HASH_MAP {
        let mut map: HashMap<(EntityType, String), Registers> = HashMap::new();
        let read = read(config, |record| {
            if let DecodeOutcome::Event(event) = decoder.decode(record) {
                map.entry((event.kind, event.id.clone())).or_default().apply(&event);
            }
        });
        std::mem::forget(map);
        read
    } else if what == FOLD {
        fold(config, &decoder, folder)
    } else {
        materialise(config, folder)
    }
}

pub fn print(stages: &[Stage]) {
    if stages.is_empty() {
        return;
    }
    println!("| stage | seconds | each second | CPU s | MB | peak MB |\n|---|---|---|---|---|---|");
    for Stage { what, took, cpu, count, bytes, peak_kilobytes } in stages {
        let seconds = took.as_secs_f64();
        let peak = shown(peak_kilobytes.map(|peak| peak >> 10));
        println!(
            "| {what} | {seconds:.1} | {:.0} | {cpu:.1} | {} | {peak} |",
            *count as f64 / seconds,
            bytes >> 20
        );
    }
    println!();
}

fn told(error: tributary::error::Error) -> String {
    error.chain()
}

fn source(config: &Config) -> Result<(KafkaSource, Positions)> {
    let named =
        config.entities().flat_map(|(of, section)| section.topics.iter().map(move |topic| (topic, of)));
    let topics = named.map(|(topic, of)| (topic.clone(), of)).collect();
    let mut source = KafkaSource::open(&config.kafka, topics).map_err(told)?;
    source.start(&Positions::default(), &[]).map_err(told)?;
    let end = source.end().map_err(told)?;
    Ok((source, end))
}

fn read(config: &Config, mut take: impl FnMut(&tributary::event::Record)) -> Result<(u64, u64)> {
    let (mut source, end) = source(config)?;
    let (mut count, mut bytes, mut at) = (0, 0, Positions::default());
    while !at.covers(&end) {
        let polled = source.poll(POLL_WAIT, POLL_BYTES).map_err(told)?;
        for record in &polled.records {
            take(record);
            bytes += record.value.as_ref().map_or(0, Vec::len) as u64;
            at.advance(&record.partition, record.offset + 1);
        }
        count += polled.records.len() as u64;
        polled.passed.iter().for_each(|(partition, next)| at.advance(partition, *next));
    }
    Ok((count, bytes))
}

/// The reader's and the fold's threads, without a delivery.
fn fold(config: &Config, decoder: &Decoder, folder: &Path) -> Result<(u64, u64)> {
    let store = Arc::new(FjallStore::open(folder, builtin()).map_err(told)?);
    let state = Arc::new(State::open(store, builtin(), "bench").map_err(told)?);
    let (source, end) = source(config)?;
    let (letters, tuning) = (Box::new(NoDeadLetters), Tuning::default());
    let mut state_writer =
        StateWriter::new(Arc::clone(&state), PROJECTIONS.to_vec(), letters, tuning).map_err(told)?;
    for projection in PROJECTIONS {
        state_writer.begin_backfill(projection).map_err(told)?;
    }
    let queue = Arc::new(Queue::starting_at(0, None, Positions::default(), 0, tuning));
    let (status, decoder, stop) =
        (Arc::new(Status::default()), Arc::new(decoder.clone()), Shutdown::default());
    let (_end_requests, end_answers) = unbounded();
    let ((records_in, records_out), (commands, command_rx)) = (LogReader::channel(), unbounded());
    let reader = LogReader::new(
        Box::new(source),
        Arc::clone(&decoder),
        Arc::clone(&status),
        stop.clone(),
        end_answers,
        records_in,
    );
    let writer = tokio::sync::watch::channel(true).1;
    let stream = Stream::new(state_writer, Arc::clone(&queue), status, decoder, Vec::new(), command_rx)
        .with_log(records_out, end.clone(), writer, 0);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || reader.run());
        let folding = scope.spawn(move || stream.run());
        while !queue.positions().covers(&end) && !folding.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.request();
        let _ = commands.send(FoldCommand::Stop);
        let ended =
            [reading, folding].map(|thread| thread.join().map_err(|_| "a thread broke off".to_owned()));
        ended.into_iter().try_for_each(|ended| ended?.map_err(told))
    })?;
    Ok((end.sum(), state.disk_bytes()))
}

/// Everything that a rebuild sends, thrown away.
fn materialise(config: &Config, folder: &Path) -> Result<(u64, u64)> {
    let state = State::open(Arc::new(FjallStore::open(folder, builtin()).map_err(told)?), builtin(), "bench")
        .map_err(told)?;
    let limits = Limits { max_embedded_contacts: config.index.max_embedded_contacts };
    let (mut count, mut bytes, bases) = (0, 0, Bases::default());
    let (projections, buffers) = (&PROJECTIONS, &Arc::default());
    let ids_max = Tuning::default().chunk_ids_max;
    let making = backfill::ChunkContext::new(&state, projections, limits, &bases, buffers, ids_max)
        .with_untouched(true);
    for projection in PROJECTIONS {
        let mut place = Some(String::new());
        while let Some(at) = place {
            let part = backfill::make_chunk(&making, projection, &at, REQUEST).map_err(told)?;
            count += part.made.batch.writes().iter().filter(|write| write.body.is_some()).count() as u64;
            bytes += part.made.batch.bytes().len() as u64;
            place = part.next;
        }
    }
    Ok((count, bytes))
}

struct NoDeadLetters;

impl DeadLetters for NoDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> tributary::error::Result<()> {
        panic!("the log holds poison: {letters:?}")
    }
    fn list(&mut self) -> tributary::error::Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
    fn resolve(&mut self, _: &[String]) -> tributary::error::Result<()> {
        Ok(())
    }
}
