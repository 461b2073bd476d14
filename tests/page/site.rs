//! A server of the page, with canned answers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tributary::http::{ModelDescription, page};
use tributary::plan;

/// A server of the page; its answers can be changed while it runs.
#[derive(Clone)]
pub struct Site {
    pub address: String,
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
pub struct World {
    pub hits: Vec<Value>,
    pub documents: BTreeMap<String, Value>,
    pub position: u64,
    /// Every request, as it came.
    pub log: Vec<String>,
    pub is_gone: bool,
    /// Records that are not in the index, for a while already.
    pub lag: u64,
    /// So many of the collections are searched.
    pub searched: usize,
    /// It does not describe the model yet.
    pub has_no_model: bool,
}

impl Site {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let site = Self { address, world: Arc::new(Mutex::new(World::sample())) };
        let shared = site.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let site = shared.clone();
                std::thread::spawn(move || site.answer(stream));
            }
        });
        site
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        let mut world = self.world.lock().unwrap();
        change(&mut world);
        world.position += 1;
    }

    pub fn was_asked(&self, part: &str) -> bool {
        self.world.lock().unwrap().log.iter().any(|line| line.contains(part))
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(target) = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)) else {
            return;
        };
        let _ = lines.take_while(|line| !line.is_empty()).count();
        let mut world = self.world.lock().unwrap();
        world.log.push(target.clone());
        if world.is_gone {
            return;
        }
        let (status, headers, body) = if target == "/" {
            let policy =
                format!("content-type: text/html\r\ncontent-security-policy: {}", page::policy("abc"));
            (200, policy, page::html("abc"))
        } else {
            let (status, body) = world.answer(&target);
            (status, "content-type: application/json".to_owned(), body.to_string())
        };
        drop(world);
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} -\r\n{headers}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all((head + &body).as_bytes());
    }
}

impl World {
    fn sample() -> Self {
        let mut world = Self { searched: 2, ..Self::default() };
        world.add("o0", "Acme Group", "active", None);
        world.add("o1", "Acme Ltd", "inactive", Some(("o0", "Acme Group")));
        world.add("o2", "Birch Foods", "active", Some(("o0", "Acme Group")));
        for number in 3..40 {
            world.add(&format!("o{number}"), &format!("Filler {number}"), "active", None);
        }
        world
    }

    pub fn add(&mut self, id: &str, name: &str, status: &str, parent: Option<(&str, &str)>) {
        let contacts: Vec<_> =
            (0..120).map(|n| json!({"id": format!("{id}-c{n}"), "name": format!("Jane {n}")})).collect();
        let mut document = json!({
            "id": id, "name": name, "status": status, "industry": "food", "website": "https://acme.example/",
            "address": {"city": "Leeds", "country": "GB"}, "tags": ["key"], "attributes": {"size": [1, {"a": 2}]},
            "contacts": contacts, "contactCount": 120, "ancestors": [],
        });
        if let Some((id, name)) = parent {
            document["parent"] = json!({"id": id, "name": name});
            document["ancestors"] = json!([{"id": id, "name": name}]);
        }
        let marked = name.replace("Acme", "<em>Acme</em>");
        let matched: Vec<_> = (1..=7).map(|number| matched_contact(id, number)).collect();
        let mut hit = json!({
            "id": id, "name": name, "score": 1.5, "status": status, "industry": "food",
            "address": {"city": "Leeds", "country": "GB"}, "contactCount": 120, "highlights": {"name": [marked]},
            "matchedContacts": matched,
        });
        let contact = format!("/contacts/{id}-c1");
        self.documents.insert(contact, contact_hit(&hit));
        if let Some(parent) = document.get("parent") {
            hit["parent"] = parent.clone();
        }
        self.hits.push(hit);
        self.documents.insert(format!("/organisations/{id}"), document);
    }

    fn answer(&self, target: &str) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let has = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        match path {
            "/search" => {
                let statuses: Vec<_> =
                    query.split('&').filter_map(|pair| pair.strip_prefix("filter=status%3A")).collect();
                let (status, mut page) =
                    self.search(has("q").unwrap_or_default(), &statuses, has("after"), has("size"));
                if has("in") == Some("contacts") {
                    let hits = page["hits"].as_array_mut();
                    hits.into_iter().flatten().for_each(|hit| *hit = contact_hit(hit));
                }
                (status, page)
            }
            "/suggest" => (200, suggestions()),
            "/model" if self.has_no_model => (503, problem(503, "the model is not there yet")),
            "/model" => (200, built_in_model(self.searched)),
            "/status" => {
                let partition = json!({"topic": "organisations", "partition": 0, "position": self.position, "end": self.position,
                    "lag": self.lag, "delivered": self.position});
                let counters = json!({"records": self.position, "delivered": self.position});
                (
                    200,
                    json!({"state": "writing", "partitions": [partition], "documents_waiting": 3,
                    "oldest_waiting_ms": if self.lag == 0 { 40 } else { 60_000 },
                    "indexes": {}, "counters": counters,
                    "reindex": [{"projection": "contacts", "phase": "filling", "documents": 5, "total": 10, "rate": 2.5}]}),
                )
            }
            path => match (self.documents.get(path), path.strip_prefix("/hierarchy/")) {
                (Some(document), _) => (200, document.clone()),
                (None, Some(id)) if self.documents.contains_key(&format!("/organisations/{id}")) => {
                    (200, self.hierarchy(id))
                }
                _ => (404, problem(404, "there is no document of this id")),
            },
        }
    }

    /// An organisation in its tree.
    fn hierarchy(&self, id: &str) -> Value {
        let own = &self.documents[&format!("/organisations/{id}")];
        json!({"id": id, "name": own["name"], "ancestors": own["ancestors"], "children": [{"id": "o1", "name": "Acme Ltd"}],
            "childCount": 1, "descendantCount": 446})
    }

    /// As the instance does: any of the statuses, and their counts without this filter.
    fn search(&self, q: &str, statuses: &[&str], after: Option<&str>, size: Option<&str>) -> (u16, Value) {
        if q.contains("wrong") {
            return (400, problem(400, "q: at most 32 words"));
        }
        let name = |hit: &Value| hit["name"].as_str().unwrap_or_default().to_lowercase();
        let mut found: Vec<_> =
            self.hits.iter().filter(|hit| name(hit).contains(&q.to_lowercase())).cloned().collect();
        let mut counts = BTreeMap::<String, u64>::new();
        for hit in &found {
            *counts.entry(hit["status"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        found.retain(|hit| statuses.is_empty() || statuses.iter().any(|status| hit["status"] == *status));
        let start: usize = after.map_or(0, |after| after.parse().unwrap());
        let end = (start + size.unwrap().parse::<usize>().unwrap()).min(found.len());
        let mut page = json!({"total": found.len(), "took_ms": 2, "hits": found[start..end], "facets": {"status": counts}});
        if end < found.len() {
            page["next"] = json!(end.to_string());
        }
        (200, page)
    }
}

/// As an instance with the built-in model describes it, with so many of its collections.
fn built_in_model(searched: usize) -> Value {
    let plan = plan::builtin();
    let kept: Vec<String> = plan.projections().map(|projection| projection.name().to_owned()).collect();
    let mut model = serde_json::to_value(ModelDescription::of(plan, &kept)).unwrap();
    model["collections"].as_array_mut().unwrap().truncate(searched);
    model
}

/// A contact of the organisation of this id, as a hit shows it.
fn matched_contact(id: &str, number: u32) -> Value {
    json!({"id": format!("{id}-c{number}"), "name": format!("Jane {number}"), "email": "jane@acme.example",
        "phone": "+44 113 496 0000", "role": "Buyer of Ingredients", "department": "Research & Development",
        "highlights": {"email": ["<em>jane</em>@acme.example"], "firstName": ["<em>Jane</em>"]}})
}

/// The first matched contact of an organisation's hit, as a hit of its own.
fn contact_hit(organisation: &Value) -> Value {
    let mut hit = organisation["matchedContacts"][0].clone();
    hit["organisation"] = json!({"id": organisation["id"], "name": organisation["name"]});
    hit["highlights"]["organisation.name"] = organisation["highlights"]["name"].clone();
    hit["highlights"]["tags"] = json!(["<em>acme</em>"]);
    hit
}

/// More than any window has room for.
fn suggestions() -> Value {
    let mut suggestions = vec![json!({"text": "Acme Ltd", "id": "o1", "in": "organisations"})];
    suggestions.extend((2..9).map(|number| {
        let text = format!("Acme Logistics of the North, Branch {number}");
        json!({"text": text, "id": format!("o{number}"), "in": "organisations"})
    }));
    json!({"suggestions": suggestions})
}

fn problem(status: u16, detail: &str) -> Value {
    json!({"type": "about:blank", "title": "Not possible", "status": status, "detail": detail})
}
