//! Servers that answer without an end: no more is read than an answer may have, and it is said.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tributary::app;
use tributary::config::Config;
use tributary::engine::elasticsearch::ElasticsearchSink;
use tributary::http::client::InstanceClient;
use tributary::plan::CONTACTS;
use tributary::sink::DocumentSink;
use tributary::sink::documents::Documents;
use tributary::sink::index::Index;

use crate::harness::{World, eventually, log_of, runtime};
use crate::services::Services;

const MIB: u64 = 1 << 20;
/// The bytes that lie in the system's buffers between the two.
const ON_THE_WAY: u64 = 16 * MIB;
/// The most bytes of an endless answer: a reader of all of it is to fail, and not to take the machine with it.
const ENDLESS: u64 = 1 << 30;
/// The most memory that the program takes, with any answer.
const MEMORY: u64 = 300 * MIB;

/// The answer to the question for the product and the version.
const SERVER: &str = r#"{"nodes":{"a":{"version":"9.2.0","build_flavor":"default"}}}"#;

#[derive(Clone, Copy)]
enum Answer {
    Short(u16, &'static str),
    /// In pieces, without a word on their number.
    Endless,
    /// A length is promised that no memory holds.
    Promised,
    /// Headers, and never the line that ends them.
    EndlessHead,
}

/// A server that answers by method and path, on an address of its own.
struct Fake {
    address: String,
    sent: Arc<AtomicU64>,
}

impl Fake {
    fn start(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sent, answer) = (Arc::<AtomicU64>::default(), Arc::new(answer));
        let counted = Arc::clone(&sent);
        // It ends with the tests' process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, counted) = (Arc::clone(&answer), Arc::clone(&counted));
                std::thread::spawn(move || while serve(&stream, &*answer, &counted).is_some() {});
            }
        });
        Self { address, sent }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// One request and its answer; none when the connection is over.
fn serve(stream: &TcpStream, answer: &dyn Fn(&str, &str) -> Answer, sent: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (method, rest) = first.split_once(' ')?;
    let path = rest.split(' ').next()?;
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let value = line.to_lowercase().strip_prefix("content-length:").map(|value| value.trim().parse());
        length = value.and_then(Result::ok).unwrap_or(length);
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    // Every server tells its product and version.
    let is_asked_for_its_version = path.contains("/_nodes/_local");
    let answer = if is_asked_for_its_version { Answer::Short(200, SERVER) } else { answer(method, path) };
    let (head, piece) = match answer {
        Answer::Short(status, body) => {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            return write(stream, sent, head.as_bytes());
        }
        Answer::Endless => {
            ("transfer-encoding: chunked\r\n\r\n", format!("10000\r\n{}\r\n", " ".repeat(1 << 16)))
        }
        Answer::Promised => ("content-length: 1000000000000\r\n\r\n", " ".repeat(1 << 16)),
        Answer::EndlessHead => ("", format!("x: {}\r\n", "x".repeat(1 << 12)).repeat(16)),
    };
    write(stream, sent, format!("HTTP/1.1 200 x\r\n{head}").as_bytes())?;
    for _ in 0..ENDLESS >> 16 {
        write(stream, sent, piece.as_bytes())?;
    }
    write(stream, sent, b"0\r\n\r\n")
}

fn write(mut stream: &TcpStream, sent: &AtomicU64, bytes: &[u8]) -> Option<()> {
    sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    stream.write_all(bytes).ok()
}

/// A cluster without indexes that makes any, and answers to paths with `part` in them as said.
fn cluster(part: &'static str, odd: Answer) -> Fake {
    Fake::start(move |method, path| match method {
        _ if path.contains(part) => odd,
        "PUT" => Answer::Short(200, "{}"),
        _ if path.contains("/_alias/") => Answer::Short(200, r#"{"it":{}}"#),
        _ => Answer::Short(404, "{}"),
    })
}

/// One event in a folder, to be indexed by `fake`.
fn world(fake: &Fake, name: &str) -> World {
    let servers =
        Services { kafka: "127.0.0.1:1".to_owned(), elasticsearch: format!("http://{}", fake.address) };
    let world = World::new(&servers, name, "source.kind = \"files\"\nsource.path = \"events\"\n");
    std::fs::create_dir_all(world.path("events")).unwrap();
    let event = json!({"key": "c1", "value": {
        "specversion": "1.0", "id": "e", "source": "/", "type": "x.created", "data": {"name": "Jane"}}});
    std::fs::write(world.path("events/contacts.jsonl"), format!("{event}\n")).unwrap();
    world
}

/// Runs it, and demands exit code 1 and that the sentence says of which path the answer was.
fn ends_with_1(world: &World, arguments: &[&str], path: &str) {
    let output = world.run(arguments);
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {log}");
    let told = log.lines().any(|line| line.contains(path) && line.contains("was not listened to any longer"));
    assert!(told, "{arguments:?} does not tell of {path}: {log}");
}

#[test]
fn an_endless_answer_of_the_index_ends_the_command_with_1() {
    for (part, arguments) in
        [("/_alias/", &["run", "--until-end"][..]), ("_search", &["search", "acme", "--allow-partial"])]
    {
        for (odd, most) in [(Answer::Endless, 32), (Answer::Promised, 0)] {
            let fake = cluster(part, odd);
            ends_with_1(&world(&fake, "endless"), arguments, part);
            let sent = fake.sent();
            assert!(sent < most * MIB + ON_THE_WAY, "{arguments:?} took {sent} bytes");
        }
    }
}

fn sink(world: &World) -> ElasticsearchSink {
    let config =
        Config::load(&app::kinds(), Some(&world.config_path()), std::iter::empty(), &Vec::new()).unwrap();
    ElasticsearchSink::new(&config.index, &[CONTACTS]).unwrap()
}

#[test]
fn a_document_may_be_as_large_as_a_request_and_no_larger() {
    let fake = cluster("/_mget", Answer::Endless);
    let world = world(&fake, "endless-document");
    let error = runtime().block_on(sink(&world).find(CONTACTS, "c1", None)).unwrap_err();
    assert!(error.chain().contains("/_mget?realtime=true with more than"), "{}", error.chain());
    assert!((101 * MIB..101 * MIB + ON_THE_WAY).contains(&fake.sent()), "{} bytes were taken", fake.sent());
}

#[test]
fn documents_that_come_without_an_end_are_asked_for_fewer_at_a_time_and_given_up() {
    let fake = Fake::start(|method, path| match method {
        "POST" if path.contains("_mget") && !path.contains("tributary-rebuilds") => Answer::Endless,
        "PUT" => Answer::Short(200, "{}"),
        _ => Answer::Short(404, "{}"),
    });
    let world = world(&fake, "endless-documents");
    let sink = sink(&world);
    let ids: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    let error = runtime().block_on(async {
        sink.open("log").await.unwrap();
        sink.get(CONTACTS, &ids).await.unwrap_err()
    });
    assert!(error.chain().contains("_mget with more than"), "{}", error.chain());
    // Eight, four and two of them, then one, which may be as large as a request.
    let most = (3 * 65 + 101) * MIB + 4 * ON_THE_WAY;
    assert!(fake.sent() < most, "{} bytes were taken", fake.sent());
}

#[test]
fn an_endless_answer_to_a_write_is_waited_out_in_bounded_memory() {
    let fake = Fake::start(|method, path| match method {
        "POST" if path.contains("/_bulk?") => Answer::Endless,
        "POST" if path.contains("_pit") => Answer::Short(200, r#"{"id":"a"}"#),
        // The index is empty.
        "PUT" | "POST" => Answer::Short(200, "{}"),
        _ => Answer::Short(404, "{}"),
    });
    let world = world(&fake, "endless-writes");
    let mut running = world.start(&["run"]);
    eventually("several answers that were given up", || {
        // Of those that are told of soon after another, one is.
        (world.log().matches("/_bulk with more than the").count() > 1).then_some(())
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.0.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak << 10 < MEMORY, "{peak} KiB");
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

/// A world whose instance seems to run, and answers to paths with `part` in them as said.
fn instance(part: &'static str, odd: Answer) -> (Fake, World) {
    let fake = Fake::start(move |_, path| if path.contains(part) { odd } else { Answer::Short(200, "{}") });
    let world = world(&fake, "endless-instance");
    std::fs::create_dir_all(world.path("state")).unwrap();
    std::fs::write(world.path("state/instance"), &fake.address).unwrap();
    (fake, world)
}

#[test]
fn an_endless_answer_of_what_seems_an_instance_ends_the_command_with_1() {
    for (part, most, arguments, told) in [
        ("/status", 128, &["status"][..], "sends more to /status than an instance would"),
        ("/admin/verify", 1, &["verify"], "gave an answer that cannot be read"),
    ] {
        let (fake, world) = instance(part, Answer::Endless);
        let output = world.run(arguments);
        let log = log_of(&output);
        assert!(output.status.code() == Some(1) && log.contains(told), "{arguments:?}: {log}");
        assert!(fake.sent() < most * MIB + ON_THE_WAY, "{arguments:?} took {} bytes", fake.sent());
    }
}

#[test]
fn a_copy_of_the_state_whose_head_has_no_end_is_given_up() {
    let (fake, world) = instance("/admin/state/copy", Answer::EndlessHead);
    let mut config =
        Config::load(&app::kinds(), Some(&world.config_path()), std::iter::empty(), &Vec::new()).unwrap();
    config.state = world.path("state");
    let runtime = runtime();
    let instance = runtime.block_on(InstanceClient::find(&config)).expect("it seems to run");
    let error = instance.copy(runtime.handle().clone(), |_| Ok(())).unwrap_err();
    assert!(error.chain().contains("message head is too large"), "{}", error.chain());
    assert!(fake.sent() < ON_THE_WAY, "{} bytes were taken", fake.sent());
}
