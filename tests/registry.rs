//! A schema registry with Confluent's API over captured schemas, which fails as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The path under which it answers, as Apicurio has one.
pub const PATH: &str = "/apis/ccompat/v7";

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// With this status, to every question.
    Status(u16),
    /// Connections are closed unheard.
    Away,
}

pub struct Registry {
    pub url: String,
    shared: Arc<RegistryState>,
}

struct RegistryState {
    schemas: Mutex<Value>,
    mood: Mutex<Mood>,
    asked: Mutex<Vec<String>>,
    /// The number of questions while it was away.
    unheard: AtomicUsize,
    /// The header by which a user must name himself.
    authorization: Mutex<Option<String>>,
}

impl Registry {
    /// Answers for schemas by their ids, in the captures' form or as bare schemas of Avro.
    pub fn start(schemas: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
        let shared = Arc::new(RegistryState {
            schemas: Mutex::new(schemas),
            mood: Mutex::new(Mood::Well),
            asked: Mutex::default(),
            unheard: AtomicUsize::default(),
            authorization: Mutex::default(),
        });
        let answering = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // A client may go away in the middle.
                let _ = answering.answer(&connection);
            }
        });
        Self { url, shared }
    }

    pub fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// How often it was asked while it was away.
    pub fn unheard(&self) -> usize {
        self.shared.unheard.load(Ordering::Relaxed)
    }

    /// From now on only questions with this header `authorization` are answered.
    pub fn demand(&self, authorization: &str) {
        *self.shared.authorization.lock().unwrap() = Some(authorization.to_owned());
    }

    pub fn register(&self, id: &str, schema: Value) {
        self.shared.schemas.lock().unwrap()[id] = schema;
    }

    /// The paths that were asked for while it was well.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl RegistryState {
    fn answer(&self, connection: &TcpStream) -> std::io::Result<()> {
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Away {
            self.unheard.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let mut lines = BufReader::new(connection).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut authorization = None;
        for line in lines {
            let line = line?;
            match line.split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    authorization = Some(value.to_owned());
                }
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let demanded = self.authorization.lock().unwrap().clone();
        let mood = if demanded.is_some() && demanded != authorization { Mood::Status(401) } else { mood };
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match mood {
            Mood::Status(status) => (status, json!({"error_code": status, "message": "told to"})),
            _ => self.found(path),
        };
        let body = body.to_string();
        let mut connection = connection;
        write!(
            connection,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn found(&self, path: &str) -> (u16, Value) {
        self.asked.lock().unwrap().push(path.to_owned());
        let schemas = self.schemas.lock().unwrap();
        let unknown = (404, json!({"error_code": 40403, "message": "no such schema"}));
        let Some(path) = path.strip_prefix(PATH) else { return (404, json!("nothing here")) };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["schemas", "ids", id] => schemas.get(id).map_or(unknown, |schema| (200, sent(schema))),
            ["subjects", subject, "versions", version] => {
                let is_it = |schema: &&Value| {
                    schema["subject"] == subject.replace("%2F", "/")
                        && schema["version"].as_i64() == version.parse().ok()
                };
                let found = schemas.as_object().unwrap().values().find(is_it);
                found.map_or(unknown, |schema| (200, sent(schema)))
            }
            _ => (404, json!({"error_code": 404, "message": "no such path"})),
        }
    }
}

/// A schema as the registry sends it. Avro is not named.
fn sent(schema: &Value) -> Value {
    let Some(text) = schema["schema"].as_str() else { return json!({"schema": schema.to_string()}) };
    let mut sent = json!({"schema": text});
    for name in ["schemaType", "references"] {
        if schema[name].as_str() != Some("AVRO") && schema.get(name).is_some() {
            sent[name] = schema[name].clone();
        }
    }
    sent
}
