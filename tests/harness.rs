//! A folder, a configuration and the program, as a user has them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::Transport;
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary::config::Config;
use tributary::{app::kinds, engine::embedded::EmbeddedIndex};

#[path = "background_program.rs"]
mod background_program;

pub use self::background_program::Running;
use crate::services::{self, Services};

pub const PROJECTIONS: [&str; 3] = ["organisations", "contacts", "hierarchy"];
/// No single run of the tests' small logs takes nearly as long.
pub const LONG: Duration = Duration::from_secs(300);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A name that no other test and no earlier run has.
pub fn fresh(name: &str) -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("t{}-{number}-{name}", since.as_millis())
}

/// One deployment: a folder with its configuration, an index prefix of its own.
pub struct World {
    pub services: Services,
    pub folder: TempDir,
    pub prefix: String,
    pub config: String,
    /// Variables that the program is given.
    pub environment: Vec<(&'static str, String)>,
}

impl World {
    /// With the extra lines of configuration, written as whole tables or dotted keys.
    pub fn new(services: &Services, name: &str, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = fresh(name) + "-";
        let path = folder.path().display();
        let config = format!(
            "state = \"{path}/state\"\nkafka.brokers = \"{}\"\nkafka.group = \"{prefix}group\"\nindex.url = \"{}\"\n\
             index.prefix = \"{prefix}\"\ndead_letters.path = \"{path}/dead-letters.jsonl\"\nhttp.listen = \"127.0.0.1:0\"\n{extra}\n",
            services.kafka, services.elasticsearch
        );
        let world = Self { services: services.clone(), folder, prefix, config, environment: Vec::new() };
        world.write_config(&world.config);
        world
    }

    /// Another instance of the same group and indexes, with a state of its own.
    pub fn beside(&self) -> Self {
        let mut second = Self::new(&self.services, "beside", "");
        second.prefix.clone_from(&self.prefix);
        let folder = |world: &Self| world.folder.path().display().to_string();
        second.config = self.config.replace(&folder(self), &folder(&second));
        second.write_config(&second.config);
        second
    }

    /// The answer of `status`; `None` while it cannot be asked.
    pub fn status(&self) -> Option<Value> {
        serde_json::from_slice(&self.run(&["status", "--format", "json"]).stdout).ok()
    }

    /// Without any server: files and an embedded index.
    pub fn embedded(name: &str, extra: &str) -> Self {
        let nowhere =
            Services { kafka: "127.0.0.1:1".to_owned(), elasticsearch: "http://127.0.0.1:1".to_owned() };
        Self::new(&nowhere, name, &format!("index.kind = \"embedded\"\nindex.path = \"index\"\n{extra}"))
    }

    pub fn write_config(&self, text: &str) {
        std::fs::write(self.config_path(), text).unwrap();
    }

    /// Writes the built-in mappings, each changed, into the folder `mappings`.
    pub fn write_mappings(&self, change: impl Fn(&str, &mut Value)) {
        let folder = self.path("mappings");
        std::fs::create_dir_all(&folder).unwrap();
        for projection in PROJECTIONS {
            let mut mapping = built_in_mapping(projection);
            change(projection, &mut mapping);
            std::fs::write(folder.join(format!("{projection}.json")), mapping.to_string()).unwrap();
        }
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("tributary.toml")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.arg("--config").arg(self.config_path()).args(arguments).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs to the end of the command; bounded by [`LONG`].
    pub fn run(&self, arguments: &[&str]) -> Output {
        let child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            // A sender that is gone says that the program ended by itself: its number may be another's now.
            if end.recv_timeout(LONG) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                kill(id, "KILL");
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        let _ = watchdog.join();
        output
    }

    /// Runs and demands success.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?} ended with {:?}:\n{}",
            output.status.code(),
            log_of(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts in the background; its log goes to a file.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let child = self.command(arguments).stdout(Stdio::null()).stderr(self.log_file()).spawn().unwrap();
        Running(child, Some(self.log_file()))
    }

    /// The file that the log of a program in the background is added to.
    pub fn log_file(&self) -> File {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).read(true).append(true).open(self.path("log")).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// All documents of a projection, by id, without the keys that are our own.
    pub fn documents(&self, projection: &str) -> BTreeMap<String, Value> {
        if self.is_embedded() {
            return self.embedded_documents(projection);
        }
        let alias = format!("{}{projection}", self.prefix);
        let mut documents = BTreeMap::new();
        let mut after = Value::Null;
        loop {
            let mut body = json!({"size": 2_000, "sort": ["id"]});
            if !after.is_null() {
                body["search_after"] = after.clone();
            }
            let answer = self.es(Method::Post, &format!("/{alias}/_search"), Some(&body));
            let hits =
                answer.pointer("/hits/hits").and_then(Value::as_array).unwrap_or_else(|| panic!("{answer}"));
            for hit in hits {
                documents.insert(hit["_id"].as_str().unwrap().to_owned(), shown(&hit["_source"]));
            }
            match hits.last() {
                Some(last) if hits.len() == 2_000 => after = last["sort"].clone(),
                _ => return documents,
            }
        }
    }

    pub fn is_embedded(&self) -> bool {
        self.config.contains("index.kind = \"embedded\"")
    }

    fn embedded_documents(&self, projection: &str) -> BTreeMap<String, Value> {
        let mut config = Config::load(&kinds(), Some(&self.config_path()), [].into_iter(), &vec![]).unwrap();
        config.index.path = self.folder.path().join(&config.index.path);
        let index = EmbeddedIndex::new(&config.index);
        let (mut documents, mut after) = (BTreeMap::new(), String::new());
        loop {
            let page = runtime().block_on(index.documents(projection, &after, 2_000)).unwrap();
            let Some((last, _)) = page.last() else { return documents };
            after = last.clone();
            documents.extend(page.iter().map(|(id, document)| (id.clone(), shown(document))));
        }
    }

    /// Asks the running instance: the status and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = eventually("the instance's address", || {
            std::fs::read_to_string(self.path("state/instance")).ok().filter(|text| text.contains(':'))
        });
        http_get(address.trim(), path)
    }

    /// Waits until the running instance has delivered everything that is in the log.
    pub fn wait_until_delivered(&self) {
        eventually("everything delivered", || {
            let (code, body) = self.get("/status");
            let status: Value = serde_json::from_str(&body).ok().filter(|_| code == 200)?;
            let partitions = status["partitions"].as_array()?.clone();
            let delivered = partitions.iter().all(|at| at["delivered"] == at["end"] && at["lag"] == 0);
            (status["state"] == "writing" && !partitions.is_empty() && delivered).then_some(())
        });
    }

    pub fn all_documents(&self) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
        PROJECTIONS.into_iter().map(|projection| (projection, self.documents(projection))).collect()
    }

    pub fn refresh(&self) {
        self.es(Method::Post, &format!("/{}*/_refresh", self.prefix), None);
    }

    pub fn es(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        es(&self.services.elasticsearch, method, path, body)
    }

    /// The concrete index behind a projection's alias.
    pub fn index(&self, projection: &str) -> String {
        if self.is_embedded() {
            let aliases = std::fs::read_to_string(self.path("index/aliases.json")).unwrap();
            let aliases: Value = serde_json::from_str(&aliases).unwrap();
            return aliases[format!("{}{projection}", self.prefix)].as_str().unwrap().to_owned();
        }
        let found = self.es(Method::Get, &format!("/_alias/{}{projection}", self.prefix), None);
        found.as_object().and_then(|found| found.keys().next().cloned()).unwrap_or_else(|| panic!("{found}"))
    }

    /// The concrete index behind each projection's alias.
    pub fn indexes_behind(&self) -> BTreeMap<&'static str, String> {
        PROJECTIONS.iter().map(|projection| (*projection, self.index(projection))).collect()
    }

    /// Makes everything written so far visible to [`Self::documents`].
    pub fn settle(&self) {
        if !self.is_embedded() {
            self.refresh();
        }
    }

    /// The names of all indexes with this world's prefix, but for the records of who writes and of rebuilds.
    pub fn indexes(&self) -> Vec<String> {
        if self.is_embedded() {
            let entries = std::fs::read_dir(self.path("index")).unwrap().map(|entry| entry.unwrap());
            let folders = entries.filter(|entry| entry.path().is_dir());
            return folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        }
        let found = self.es(Method::Get, &format!("/{}*/_alias", self.prefix), None);
        let names = found.as_object().unwrap().keys().filter(|name| name.starts_with(&self.prefix));
        names.filter(|name| !name.ends_with("tributary-rebuilds")).cloned().collect()
    }

    pub fn dead_letters(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("dead-letters.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.is_embedded() {
            return;
        }
        // Shards are dear on a small server: every test takes its indexes with it.
        let all = format!("/{}*/_alias?expand_wildcards=all", self.prefix);
        if let Ok(found) = try_es(&self.services.elasticsearch, Method::Get, &all, None) {
            for index in found.as_object().into_iter().flatten().map(|(index, _)| index) {
                if index.starts_with(&self.prefix) {
                    let _ = try_es(&self.services.elasticsearch, Method::Delete, &format!("/{index}"), None);
                }
            }
        }
    }
}

/// A cluster that makes indexes by itself, as clusters do unless told otherwise, for as long as this lives.
pub struct AutoCreate(String);

impl AutoCreate {
    pub fn on(services: &Services) -> Self {
        let this = Self(services.elasticsearch.clone());
        this.set(&json!("true"));
        this
    }

    fn set(&self, value: &Value) {
        let settings = json!({"persistent": {"action.auto_create_index": value}});
        let answer = es(&self.0, Method::Put, "/_cluster/settings", Some(&settings));
        assert_eq!(answer["acknowledged"], true, "{answer}");
    }
}

impl Drop for AutoCreate {
    fn drop(&mut self) {
        self.set(&Value::Null);
    }
}

/// The mapping that comes with the program.
pub fn built_in_mapping(projection: &str) -> Value {
    let path = format!("{}/mappings/{projection}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A mapping as the search server of the tests shows it of an index that was made with it.
pub fn as_held(mapping: &Value) -> Value {
    let mut held = mapping.clone();
    if services::is_opensearch() {
        for (field, stands) in [
            ("address", json!({"type": "flat_object"})),
            ("attributes", json!({"type": "object", "enabled": false})),
        ] {
            let found = held.pointer_mut(&format!("/mappings/properties/{field}"));
            found.into_iter().for_each(|found| found.clone_from(&stands));
        }
    }
    held
}

/// A document without the keys that begin with an underscore, at the top and in its contacts.
pub fn shown(source: &Value) -> Value {
    let mut document = source.clone();
    let own = |map: &mut serde_json::Map<String, Value>| map.retain(|name, _| !name.starts_with('_'));
    own(document.as_object_mut().unwrap());
    if let Some(contacts) = document.get_mut("contacts").and_then(Value::as_array_mut) {
        contacts.iter_mut().filter_map(Value::as_object_mut).for_each(own);
    }
    document
}

/// Logs of two services in the format `plain`, which grow.
pub struct GrowingLog(TempDir);

impl GrowingLog {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn append(&self, topic: &str, key: &str, value: &Value) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.path(topic)).unwrap();
        writeln!(file, "{}", json!({"key": key, "value": value})).unwrap();
    }

    pub fn lines(&self, topic: &str) -> usize {
        std::fs::read_to_string(self.path(topic)).unwrap().lines().count()
    }

    /// The configuration of a source that reads it.
    pub fn source(&self) -> String {
        format!("source.kind = \"files\"\nsource.path = {:?}\n", self.0.path())
    }

    /// The same for the built-in model, whose plain rows the log holds.
    pub fn settings(&self) -> String {
        self.source() + "organisations.format = \"plain\"\ncontacts.format = \"plain\"\n"
    }

    /// The file of a topic.
    pub fn path(&self, topic: &str) -> PathBuf {
        self.0.path().join(format!("{topic}.jsonl"))
    }
}

/// One request on a connection of its own.
pub fn http_get(address: &str, path: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, body.to_owned())
}

/// Pairs as the query of an address.
pub fn query_of(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub fn log_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn kill(id: u32, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(id.to_string()).status();
}

/// Waits until `condition` gives something; a condition that never does is named.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LONG;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

pub fn es(url: &str, method: Method, path: &str, body: Option<&Value>) -> Value {
    try_es(url, method, path, body).unwrap()
}

pub fn try_es(
    url: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, elasticsearch::Error> {
    runtime().block_on(async {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let transport = Transport::single_node(url)?;
        let body = body.map(Value::to_string);
        let response = transport.send(method, path, headers, Some(&query), body, None).await?;
        Ok(serde_json::from_str(&response.text().await?).unwrap_or(Value::Null))
    })
}

/// The lines of a files source as records: topic, partition, line.
pub fn log_lines(folder: &Path) -> Vec<(String, i32, String)> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (topic, partition) = match stem.rsplit_once('-') {
            Some((topic, number)) if number.parse::<i32>().is_ok() => {
                (topic.to_owned(), number.parse().unwrap())
            }
            _ => (stem.clone(), -1),
        };
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            lines.push((topic.clone(), partition, line.to_owned()));
        }
    }
    lines
}
