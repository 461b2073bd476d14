//! Freshness with message-db as the log: `cargo bench --bench message_db`.
//!
//! One change of a contact follows the other, while nothing else happens. One client looks for it by searches of the
//! index itself, again and again. Another one uses the search that is consistent with the message. Sizes by the
//! environment: `BENCH_CONTACTS` (20 000, ten in each organisation) and `BENCH_PROBES` (300 of each kind). PostgreSQL
//! and the search server are brought up by `scripts/services`. All figures are of one run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "shared/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../harness.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../services.rs"]
mod services;

use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use serde_json::json;
use tokio_postgres::NoTls;

use client::{Client, percentile};
use harness::{World, fresh, runtime};

/// A change that is not found within this time ends the measurement.
const WAIT: Duration = Duration::from_secs(30);

fn size(name: &str, default: u32) -> u32 {
    std::env::var(format!("BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A session in a message-db of its own.
struct Store(tokio_postgres::Client);

impl Store {
    fn connect(url: &str) -> Self {
        Self(runtime().block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute("SET search_path TO message_store, public").await.unwrap();
            client
        }))
    }

    /// Writes the first message of every organisation and contact.
    fn fill(&self, contacts: u32) {
        let organisations = contacts / 10;
        let statements = format!(
            "SELECT count(write_message(gen_random_uuid()::varchar, 'organisation-o' || n, 'OrganisationCreated',
                 jsonb_build_object('name', 'Organisation ' || n))) FROM generate_series(0, {organisations} - 1) n;
             SELECT count(write_message(gen_random_uuid()::varchar, 'contact-c' || n, 'ContactCreated',
                 jsonb_build_object('lastName', 'Contact ' || n, 'organisationId', 'o' || n / 10)))
                 FROM generate_series(0, {contacts} - 1) n"
        );
        runtime().block_on(self.0.batch_execute(&statements)).unwrap();
    }

    /// Changes the role of a contact, and answers the position of the message in all of the store.
    fn change(&self, contact: u32, role: &str) -> i64 {
        let (stream, data) = (format!("contact-c{contact}"), json!({ "role": role }).to_string());
        let write = "SELECT write_message(gen_random_uuid()::varchar, $1::varchar, 'ContactUpdated', $2::text::jsonb)";
        runtime().block_on(async {
            self.0.query(write, &[&stream, &data]).await.unwrap();
            let last = "SELECT max(global_position) FROM messages WHERE stream_name = $1";
            self.0.query_one(last, &[&stream]).await.unwrap().get(0)
        })
    }
}

/// A word that nothing else holds, and that is no typo of another one.
fn word(random: &mut fastrand::Rng) -> String {
    (0..16).map(|_| random.lowercase()).collect()
}

fn report(to: &str, mut times: Vec<Duration>) {
    times.sort();
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|part| percentile(&times, part));
    println!("| {to} | {} | {p50:.1} | {p99:.1} | {most:.1} |", times.len());
}

fn main() {
    let (contacts, probes) = (size("CONTACTS", 20_000), size("PROBES", 300));
    let (servers, _turn) = services::whole();
    let url = services::message_db(&fresh("freshness"));
    let store = Store::connect(&url);
    store.fill(contacts);
    let extra = format!(
        "source.kind = \"postgres\"\npostgres.url = {url:?}\norganisations.topics = [\"organisation\"]\n\
         contacts.topics = [\"contact\"]\n"
    );
    let world = World::new(&servers, "freshness", &extra);
    assert!(world.command(&["run", "--until-end"]).status().unwrap().success());
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    let instance = std::fs::read_to_string(world.path("state/instance")).unwrap();
    let mut instance = Client::connect(instance.trim()).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut polled, mut consistent) = (Vec::new(), Vec::new());
    for _ in 0..probes {
        let role = word(&mut random);
        let path = format!("/{}contacts/_search?size=0&q=role:{role}", world.prefix);
        let began = Instant::now();
        store.change(random.u32(..contacts), &role);
        while world.es(Method::Get, &path, None)["hits"]["total"]["value"] == 0 {
            assert!(began.elapsed() < WAIT, "a change was not found within {WAIT:?}");
        }
        polled.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(random.u64(100..400)));
        let role = word(&mut random);
        let began = Instant::now();
        let position = store.change(random.u32(..contacts), &role);
        let path = format!("/search?q={role}&consistent_with=contact/0:{position}");
        assert_eq!(instance.get(&path).unwrap()["total"], 1, "{path}");
        consistent.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(random.u64(100..400)));
    }
    println!("| one change, idle, found by | probes | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|");
    report("searches of the index itself", polled);
    report("the search that is consistent with it", consistent);
}
