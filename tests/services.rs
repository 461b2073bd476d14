//! The real servers, brought up once for all tests.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The addresses of the servers.
#[derive(Debug, Clone)]
pub struct Services {
    pub kafka: String,
    /// The search server, which `TRIBUTARY_ENGINE` chooses.
    pub elasticsearch: String,
}

/// True when the search server is an OpenSearch.
pub fn is_opensearch() -> bool {
    engine().starts_with("opensearch")
}

/// True when the search server has fields of the type `join`. The plain Elasticsearch of the tests lacks their module.
pub fn has_join() -> bool {
    is_opensearch()
}

/// The search server that the tests run on: `elasticsearch`, `elasticsearch-8`, `opensearch` or `opensearch-2`.
pub fn engine() -> String {
    std::env::var("TRIBUTARY_ENGINE").unwrap_or_else(|_| "elasticsearch".to_owned())
}

/// A second pair that asks for TLS and passwords; the user is `tributary`.
#[derive(Debug, Clone)]
pub struct SecuredServices {
    pub kafka: String,
    /// Where a client without credentials may do everything.
    pub kafka_plain: String,
    pub elasticsearch: String,
    /// `ca.pem` signed the servers' certificate, `other-ca.pem` did not.
    pub certificates: PathBuf,
    pub password: String,
}

/// A database whose changes come by Kafka. One test alone brings it up, and ends it.
#[derive(Debug, Clone)]
pub struct Sources {
    pub connect: String,
    pub registry: String,
    pub registry_from_connect: String,
    /// Host and port, with a colon between them.
    pub postgres_from_connect: String,
}

static SECURED: OnceLock<SecuredServices> = OnceLock::new();
static SERVICES: OnceLock<Services> = OnceLock::new();
/// Tests that break a server have it for themselves.
static TURNS: RwLock<()> = RwLock::new(());

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");

fn script(arguments: &[&str]) -> String {
    let output = Command::new(SCRIPT).args(arguments).output().expect("scripts/services can be run");
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "`scripts/services {}` failed. The tests need Kafka and Elasticsearch, from Docker Compose or, with Maven and a \
         JDK of version 21 or newer, from Maven Central.\n{out}{log}",
        arguments.join(" ")
    );
    out.into_owned()
}

/// The script's word under a name.
fn said(out: &str, name: &str) -> String {
    let line = out.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("scripts/services did not say {name}:\n{out}")).to_owned()
}

/// Brings the secured pair up, for those tests that need it.
pub fn secured() -> SecuredServices {
    let up = || {
        let out = script(&["secured"]);
        let find = |name: &str| said(&out, &format!("SECURED_{name}"));
        SecuredServices {
            kafka: find("KAFKA"),
            kafka_plain: find("KAFKA_PLAIN"),
            elasticsearch: find("ELASTICSEARCH"),
            certificates: find("CERTIFICATES").into(),
            password: find("PASSWORD"),
        }
    };
    SECURED.get_or_init(up).clone()
}

/// Brings OpenSearch with its security plugin up. There is no broker beside it.
pub fn secured_opensearch() -> SecuredServices {
    let out = script(&["secured-opensearch"]);
    let find = |name: &str| said(&out, &format!("SECURED_{name}"));
    SecuredServices {
        kafka: String::new(),
        kafka_plain: String::new(),
        elasticsearch: find("OPENSEARCH"),
        certificates: find("CERTIFICATES").into(),
        password: find("PASSWORD"),
    }
}

/// Brings a database, Kafka Connect with Debezium and a schema registry up.
pub fn sources() -> Sources {
    let out = script(&["up", "--with", "connect,registry,postgres"]);
    let find = |name: &str| said(&out, name);
    Sources {
        connect: find("CONNECT"),
        registry: find("REGISTRY"),
        registry_from_connect: find("REGISTRY_FROM_CONNECT"),
        postgres_from_connect: find("POSTGRES_FROM_CONNECT"),
    }
}

/// Makes a database with message-db in it; its address.
pub fn message_db(name: &str) -> String {
    said(&script(&["message-db", name]), "MESSAGE_DB")
}

/// Makes a database with message-db in it; the certificates of its server. A server in a container has none.
pub fn secured_message_db(name: &str) -> Option<PathBuf> {
    let out = script(&["message-db", name]);
    let line = out.lines().find_map(|line| line.strip_prefix("MESSAGE_DB_CERTIFICATES="));
    line.map(PathBuf::from)
}

/// The answer of the database of this name to statements, without headers.
pub fn sql(database: &str, statements: &[&str]) -> String {
    let commands = statements.iter().flat_map(|statement| ["-c", statement]);
    script(&["psql", "-d", database, "-qAt"].into_iter().chain(commands).collect::<Vec<_>>())
}

/// Runs the statements of a file, one by one.
pub fn sql_file(database: &str, text: &str) {
    let mut psql = Command::new(SCRIPT)
        .args(["psql", "-d", database, "-q", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("scripts/services can be run");
    psql.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("psql reads its statements");
    assert!(psql.wait().expect("psql ends").success(), "psql failed; see its message above");
}

fn services() -> Services {
    let up = || {
        let out = script(&["up"]);
        let find = |name: &str| said(&out, name);
        Services { kafka: find("KAFKA"), elasticsearch: find("ENGINE") }
    };
    SERVICES.get_or_init(up).clone()
}

/// The servers, whole for as long as the guard lives.
pub fn whole() -> (Services, RwLockReadGuard<'static, ()>) {
    let guard = TURNS.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    (services(), guard)
}

/// The servers' only user. One that fails amid an outage leaves them running: those after it are to fail
/// for reasons of their own.
pub struct Turn(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>);

impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let up = Command::new(SCRIPT).arg("up").output();
            eprintln!("the servers are brought up again: {up:?}");
        }
    }
}

/// The servers, for a test that breaks them.
pub fn alone() -> (Services, Turn) {
    let guard = TURNS.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    (services(), Turn(guard))
}

/// Gives or takes rights on the secured broker, as Kafka's `kafka-acls` has them.
pub fn acl(arguments: &[&str]) {
    script(&[&["acl"], arguments].concat());
}

/// `start`, `stop`, `kill` or `restart` one of them: `kafka` or, by the name `elasticsearch`, the search server.
pub fn control(what: &str, server: &str) {
    let is_opensearch = server == "elasticsearch" && is_opensearch();
    script(&[what, if is_opensearch { "opensearch" } else { server }]);
}

#[test]
fn a_value_that_several_make_at_the_same_time_is_the_same_for_all() {
    let text = std::fs::read_to_string(SCRIPT).unwrap();
    let (_, rest) = text.split_once("\nkept() {").expect("the script keeps values by a function");
    let (body, _) = rest.split_once("\n}\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Each makes another value. The first one waits until all have begun, and the others until its value is there.
    let program = format!(
        "set -euo pipefail; run=$1\nkept() {{{body}\n}}\n\
         is_time() {{ if [ $n = 1 ]; then [ -e \"$run/begun.2\" ] && [ -e \"$run/begun.3\" ]; else [ -s \"$run/value\" ]; fi; }}\n\
         make() {{ touch \"$run/begun.$n\"; until is_time; do sleep 0.01; done; echo $n; }}\n\
         for n in 1 2 3; do kept value make >\"$run/answer.$n\" & done; wait"
    );
    let status = Command::new("bash").args(["-c", &program, "bash"]).arg(folder.path()).status().unwrap();
    assert!(status.success());
    for number in 1..=3 {
        let answer = std::fs::read_to_string(folder.path().join(format!("answer.{number}"))).unwrap();
        assert_eq!(answer, "1\n", "answer {number}");
    }
}
