//! message-db in a real PostgreSQL as the log.

use std::path::Path;

use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::cases::{cases, differences, json as read_json, settings};
use crate::harness::{PROJECTIONS, World, eventually, fresh, kill, log_lines, runtime};
use crate::instances::state;
use crate::services;

/// A message-db, and a session in it.
struct Store {
    name: String,
    url: String,
    session: Client,
}

impl Store {
    fn new(name: &str) -> Self {
        let name = fresh(name);
        let url = services::message_db(&name);
        let session = connect(&url);
        Self { name, url, session }
    }

    /// The lines of configuration that read it.
    fn settings(&self) -> String {
        format!(
            "source.kind = \"postgres\"\npostgres.url = {:?}\norganisations.topics = [\"organisation\"]\n\
             contacts.topics = [\"contact\"]\n",
            self.url
        )
    }

    fn world(&self, extra: &str) -> World {
        World::embedded("message-db", &format!("{}{extra}", self.settings()))
    }

    fn write(&self, stream: &str, event: &str, data: &Value) {
        write(&self.session, stream, event, data);
    }

    /// Waits until all messages that there are now are in the index of an instance that writes.
    fn wait_until_delivered(&self, world: &World) {
        let ends = ["organisation", "contact"].map(|category| {
            let sql =
                "SELECT coalesce(max(global_position) + 1, 0) FROM messages WHERE category(stream_name) = $1";
            let row = runtime().block_on(connect(&self.url).query_one(sql, &[&category])).unwrap();
            (category, row.get::<_, i64>(0))
        });
        eventually("everything delivered", || {
            let status = status(world).filter(|status| status["state"] == "writing")?;
            let partitions = status["partitions"].as_array()?;
            let is_through = |(category, end): &(&str, i64)| {
                let mut of = partitions.iter().filter(|at| at["topic"] == *category);
                *end == 0 || of.any(|at| at["delivered"] == *end && at["lag"] == 0)
            };
            ends.iter().all(is_through).then_some(())
        });
    }

    /// Statements of the database's owner.
    fn own(&self, statements: &str) {
        services::sql(&self.name, &["set search_path to message_store, public", statements]);
    }
}

fn connect(url: &str) -> Client {
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SET search_path TO message_store, public").await.unwrap();
        client
    })
}

fn write(session: &Client, stream: &str, event: &str, data: &Value) {
    let data = data.to_string();
    let sql = "SELECT write_message(gen_random_uuid()::varchar, $1::varchar, $2::varchar, $3::text::jsonb)";
    runtime().block_on(session.query(sql, &[&stream, &event, &data])).unwrap();
}

/// A row without `write_message`, and so without the lock on the category.
fn insert(session: &Client, stream: &str, position: i64, event: &str, data: Option<&str>) {
    let sql = "INSERT INTO messages (stream_name, position, type, data) VALUES ($1, $2, $3, $4::text::jsonb)";
    runtime().block_on(session.execute(sql, &[&stream, &position, &event, &data])).unwrap();
}

fn run(session: &Client, statement: &str) {
    runtime().block_on(session.batch_execute(statement)).unwrap();
}

fn organisation(name: &str) -> Value {
    json!({"name": name})
}

fn status(world: &World) -> Option<Value> {
    world.status().filter(|status| status["partitions"].as_array().is_some_and(|it| !it.is_empty()))
}

/// The number after the last message of a category that the instance knows, and that of the last it has folded.
fn known(world: &World, topic: &str) -> Option<(i64, i64)> {
    let status = status(world)?;
    let found = status["partitions"].as_array()?.iter().find(|at| at["topic"] == topic)?.clone();
    Some((found["end"].as_i64()?, found["position"].as_i64()?))
}

/// Stream, position, type and data.
type Message = (String, i64, String, Option<String>);

/// An event of a case as a message. `None` where message-db has no such message.
fn message(topic: &str, offset: i64, line: &str) -> Option<Message> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let category = topic.strip_suffix('s')?;
    let (headers, value) = (&line["headers"], &line["value"]);
    let is_binary = headers["ce_type"].is_string();
    let (attribute, data) = if is_binary {
        (
            Box::new(|name: &str| text(&headers[format!("ce_{name}")]))
                as Box<dyn Fn(&str) -> Option<String>>,
            value,
        )
    } else {
        (Box::new(|name: &str| text(&value[name])) as Box<dyn Fn(&str) -> Option<String>>, &value["data"])
    };
    let id = attribute("subject").or_else(|| text(&line["key"])).or_else(|| text(&data["id"]))?;
    let sequence = if value.is_null() { text(&headers["ce_sequence"]) } else { attribute("sequence") };
    let position = sequence.map_or(Some(offset), |text| text.parse().ok())?;
    let event = if value.is_null() { "TombstoneDeleted".to_owned() } else { attribute("type")? };
    let data = (!data.is_null()).then(|| data.to_string());
    // The type jsonb has no NUL.
    let has_nul = data.as_ref().is_some_and(|data| data.contains("\\u0000"));
    (!has_nul).then(|| (format!("{category}-{id}"), position, event, data))
}

/// The messages of a case; `None` for one that message-db cannot hold, such as two events at one position of a stream.
fn messages(case: &Path) -> Option<Vec<Message>> {
    let config = read_json(&case.join("config.json"));
    let expected = read_json(&case.join("expected.json"));
    let is_plain = config["format"].as_str().is_none_or(|format| format == "cloudevents");
    if !is_plain || expected["poison"].as_array().is_some_and(|poison| !poison.is_empty()) {
        return None;
    }
    let mut offsets = std::collections::BTreeMap::new();
    let mut messages: Vec<Message> = Vec::new();
    for (topic, partition, line) in log_lines(&case.join("events")) {
        let offset = offsets.entry((topic.clone(), partition)).or_insert(-1i64);
        *offset += 1;
        let message = message(&topic, *offset, &line)?;
        match messages.iter().find(|held| (&held.0, held.1) == (&message.0, message.1)) {
            None => messages.push(message),
            Some(held) if *held == message => {}
            Some(_) => return None,
        }
    }
    Some(messages)
}

#[test]
fn the_acceptance_cases_end_in_their_documents_through_message_db() {
    let (_, _turn) = services::whole();
    let store = Store::new("cases");
    let (mut failed, mut held) = (String::new(), 0);
    for case in cases() {
        let Some(messages) = messages(&case) else { continue };
        held += 1;
        store.own("truncate messages restart identity");
        for (stream, position, event, data) in &messages {
            insert(&store.session, stream, *position, event, data.as_deref());
        }
        let config = settings(&case);
        let world = store.world(&config);
        world.succeed(&["run", "--until-end"]);
        let found = differences(&world, &case, &|_| (String::new(), 0, 0));
        if !found.is_empty() {
            failed += &format!("{}: {found}\n", case.file_name().unwrap().display());
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(held >= 35, "only {held} cases can be held");
    println!("{held} cases");
}

#[test]
fn a_writer_without_the_lock_is_passed_over_unless_messages_are_held_back() {
    let (_, _turn) = services::whole();
    for held_back in [false, true] {
        let store = Store::new("gaps");
        let world = store.world(if held_back { "postgres.stable = \"xmin\"\n" } else { "" });
        let mut running = world.start(&["run"]);
        // Of two sessions without the lock the later number is seen first.
        let slow = connect(&store.url);
        run(&slow, "BEGIN");
        insert(&slow, "organisation-slow", 0, "OrganisationCreated", Some(r#"{"name":"Slow"}"#));
        insert(&store.session, "organisation-fast", 0, "OrganisationCreated", Some(r#"{"name":"Fast"}"#));
        if held_back {
            eventually("the end is known", || known(&world, "organisation").filter(|(end, _)| *end == 3));
            // The open transaction holds this category back as well, until a look at the log after it.
            store.write("contact-1", "ContactCreated", &json!({"lastName": "Held"}));
            eventually("the other end is known", || known(&world, "contact").filter(|(end, _)| *end == 4));
            assert_eq!(known(&world, "organisation").unwrap().1, 0);
        } else {
            eventually("the later number is read", || {
                known(&world, "organisation").filter(|(_, at)| *at == 3)
            });
        }
        run(&slow, "COMMIT");
        store.write("organisation-last", "OrganisationCreated", &organisation("Last"));
        store.wait_until_delivered(&world);
        running.signal("TERM");
        assert_eq!(running.end(), Some(0), "{}", world.log());
        let documents = world.documents("organisations");
        let expected: &[&str] = if held_back { &["fast", "last", "slow"] } else { &["fast", "last"] };
        assert_eq!(
            documents.keys().map(String::as_str).collect::<Vec<_>>(),
            expected,
            "held back: {held_back}"
        );
    }
}

#[test]
fn write_message_lets_no_number_of_a_category_be_seen_before_an_earlier_one() {
    let (_, _turn) = services::whole();
    let store = Store::new("locks");
    let slow = connect(&store.url);
    run(&slow, "BEGIN");
    write(&slow, "organisation-slow", "OrganisationCreated", &organisation("Slow"));
    run(&store.session, "SET lock_timeout = '50ms'");
    let sql = "SELECT write_message(gen_random_uuid()::varchar, 'organisation-fast', 'OrganisationCreated', '{}'::jsonb)";
    assert!(runtime().block_on(store.session.query(sql, &[])).is_err(), "the category is locked");
    // A rolled back transaction takes its number with it, and another category is not locked.
    run(&slow, "ROLLBACK");
    store.write("contact-1", "ContactCreated", &json!({"lastName": "Ng", "organisationId": "fast"}));
    store.write("organisation-fast", "OrganisationCreated", &organisation("Fast"));
    let world = store.world("");
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.documents("organisations")["fast"]["contactCount"], 1);
    let told = world.succeed(&["explain", "organisations", "fast", "--format", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(!told.to_string().contains("no longer in the log"), "{told}");
}

#[test]
fn the_low_watermark_is_a_position_message_and_a_search_can_wait_for_a_message() {
    let (_, _turn) = services::whole();
    let store = Store::new("follow");
    let world = store.world("");
    let mut running = world.start(&["run"]);
    store.write("organisation-o-1", "OrganisationCreated", &organisation("Egret Group"));
    store.write("contact-c-1", "ContactCreated", &json!({"lastName": "Okonkwo", "organisationId": "o-1"}));
    let found = eventually("an answer", || {
        let (code, body) = world.get("/search?q=okonkwo&consistent_with=contact/0:2,organisation/0:1");
        (code == 200).then(|| serde_json::from_str::<Value>(&body).unwrap())
    });
    assert!(found.to_string().contains("o-1"), "{found}");
    let group = format!("{}group", world.prefix);
    let position = |category: &str| {
        let query = format!(
            "select data->>'position', type from message_store.messages where stream_name = '{category}:position-{group}' \
             order by position desc limit 1"
        );
        services::sql(&store.name, &[&query]).trim().to_owned()
    };
    eventually("the positions are written", || {
        (position("contact") == "2|Recorded" && position("organisation") == "1|Recorded").then_some(())
    });
    // Nothing is written again while nothing changes, nor at a clean end.
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    let count = "select count(*) from message_store.messages where stream_name like '%:position-%'";
    assert_eq!(services::sql(&store.name, &[count]).trim(), "2");
}

#[test]
fn another_log_is_refused_whatever_its_messages_say() {
    let (_, _turn) = services::whole();
    let store = Store::new("another");
    let created = |store: &Store| {
        let sql = "INSERT INTO messages (stream_name, position, type, data, time) VALUES \
                   ('organisation-1', 0, 'OrganisationCreated', '{}', '2026-01-01')";
        run(&store.session, sql);
    };
    created(&store);
    let world = store.world("");
    world.succeed(&["run", "--until-end"]);
    world.succeed(&["run", "--until-end"]);
    // The same database with the same message, written again: its id tells.
    store.own("truncate messages restart identity");
    created(&store);
    let output = world.run(&["run", "--until-end"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && log.contains("not the one that the state read"), "{log}");
    // Another database with the same message.
    let other = Store::new("other");
    created(&other);
    world.write_config(&world.config.replace(&store.name, &other.name));
    let output = world.run(&["run", "--until-end"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("recreated") || log.contains("not the one that the state read"), "{log}");
    // The lost messages are told as well.
    store.own("truncate messages restart identity");
    world.write_config(&world.config);
    assert_eq!(world.run(&["run", "--until-end"]).status.code(), Some(1));
}

/// Writes 20 organisations and 200 contacts, each changed a few times, by `write_message` as the server's own loop.
fn fill(store: &Store, round: i32) {
    store.own(&format!(
        "do $$ begin
           for i in 1..1200 loop
             perform write_message(gen_random_uuid()::varchar, 'contact-c' || (i % 200), 'ContactChanged', jsonb_build_object(
               'lastName', 'N' || i || 'r{round}', 'organisationId', 'o' || ((i * {round}) % 20)));
             if i % 20 = 0 then
               perform write_message(gen_random_uuid()::varchar, 'organisation-o' || (i / 20 % 20), 'OrganisationCreated',
                 jsonb_build_object('name', 'Org ' || i || ' of {round}'));
             end if;
           end loop;
         end $$"
    ));
}

#[test]
fn nothing_is_lost_by_twenty_kills_and_a_restart_of_the_database() {
    // The server is stopped: no other test may use it.
    let (_, _turn) = services::alone();
    let store = Store::new("kills");
    let (world, calm) = (store.world(""), store.world(""));
    fill(&store, 1);
    for round in 0..20u64 {
        let running = world.start(&["run"]);
        let seed = u64::from(std::process::id());
        let chance = xxhash_rust::xxh3::xxh3_64_with_seed(&round.to_le_bytes(), seed) % 1_200;
        std::thread::park_timeout(std::time::Duration::from_millis(chance));
        kill(running.0.id(), "KILL");
        if round % 7 == 6 {
            fill(&store, i32::try_from(round).unwrap());
        }
    }
    let mut running = world.start(&["run"]);
    store.wait_until_delivered(&world);
    services::control("stop", "postgres");
    let reason = |cause: &str| {
        let status = world.status()?;
        status["reasons"].as_array()?.iter().any(|reason| reason["cause"] == cause).then_some(())
    };
    eventually("the log is told to be away", || reason("log_away"));
    assert_eq!(world.get("/readyz").0, 503);
    services::control("start", "postgres");
    fill(&store, 31);
    store.wait_until_delivered(&world);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    calm.succeed(&["run", "--until-end"]);
    for projection in PROJECTIONS {
        assert!(world.documents(projection) == calm.documents(projection), "{projection}");
    }
    assert_eq!(calm.documents("contacts").len(), 200);
}

#[test]
fn a_standby_takes_over_from_a_writer_that_hangs_or_dies() {
    let (servers, _turn) = services::whole();
    let store = Store::new("standby");
    let first = World::new(&servers, "pg-standby", &store.settings());
    let second = first.beside();
    store.write("organisation-1", "OrganisationCreated", &organisation("First"));
    let writer = first.start(&["run"]);
    eventually("the first writes", || (state(&first) == "writing").then_some(()));
    let standby = second.start(&["run"]);
    eventually("the second stands by", || (state(&second) == "standing by").then_some(()));
    // It knows the delivered positions from the position messages.
    eventually("the second knows the low watermark", || {
        let partitions = second.status()?["partitions"].clone();
        let at = partitions.as_array()?.iter().find(|at| at["topic"] == "organisation")?.clone();
        (at["delivered"] == 2 && at["lag"] == 0).then_some(())
    });
    assert_eq!(state(&first), "writing");
    // A writer that hangs loses its session, and stands by when it goes on.
    writer.signal("STOP");
    eventually("the second writes", || (state(&second) == "writing").then_some(()));
    writer.signal("CONT");
    eventually("the first stands by", || (state(&first) == "standing by").then_some(()));
    standby.kill();
    eventually("the first writes", || (state(&first) == "writing").then_some(()));
    store.write("organisation-2", "OrganisationCreated", &organisation("Second"));
    store.wait_until_delivered(&first);
    first.refresh();
    assert_eq!(first.documents("organisations").len(), 2);
}

#[test]
fn connections_are_encrypted_and_certificates_and_passwords_are_checked() {
    let (_, _turn) = services::whole();
    let name = fresh("tls");
    let Some(certificates) = services::secured_message_db(&name) else {
        eprintln!("not run: Docker runs PostgreSQL, and a server in a container has no certificate");
        return;
    };
    let role = "do $$ begin create role secured login password 'hunter2' in role message_store; \
                exception when duplicate_object then null; end $$";
    let port = services::sql(&name, &[role, "show port"]).trim().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let ca = |name: &str| format!("postgres.ca_certificate = {:?}\n", certificates.join(name));
    let right = format!("postgres.password_file = {secret:?}\n");
    let wrong = "postgres.password = \"other\"\n".to_owned();
    let mode = |mode: &str| format!("postgres.sslmode = {mode:?}\n");
    for (host, settings, refusal) in [
        ("localhost", [ca("ca.pem"), right.clone()].concat(), None),
        ("127.0.0.1", [ca("ca.pem"), mode("verify-ca"), right.clone()].concat(), None),
        ("localhost", [mode("require"), right.clone()].concat(), None),
        ("localhost", right.clone(), None),
        (
            "127.0.0.1",
            [ca("ca.pem"), right.clone()].concat(),
            Some("the certificate of PostgreSQL is refused"),
        ),
        (
            "localhost",
            [ca("other-ca.pem"), right.clone()].concat(),
            Some("the certificate of PostgreSQL is refused"),
        ),
        (
            "localhost",
            [mode("verify-full"), right.clone()].concat(),
            Some("the certificate of PostgreSQL is refused"),
        ),
        ("localhost", [mode("disable"), right.clone()].concat(), Some("postgres.password")),
        ("localhost", wrong, Some("postgres.password")),
    ] {
        let url = format!(
            "source.kind = \"postgres\"\npostgres.url = \"postgres://secured@{host}:{port}/{name}\"\n"
        );
        let world = World::embedded("tls", &format!("{url}{settings}"));
        let output = world.run(&["check"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!told.contains("hunter2"), "{told}");
        match refusal {
            None => assert_eq!(output.status.code(), Some(0), "{host} {settings}: {told}"),
            Some(refusal) => {
                assert_eq!(output.status.code(), Some(1), "{host} {settings}: {told}");
                assert!(told.contains(refusal), "{host} {settings}: {told}");
            }
        }
    }
}

#[test]
fn a_server_that_accepts_a_connection_and_says_nothing_counts_as_away() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The connections stay open.
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let worlds = ["disable", "prefer"].map(|mode| {
        let settings = format!(
            "source.kind = \"postgres\"\npostgres.url = \"postgres://127.0.0.1:{port}/m\"\npostgres.sslmode = {mode:?}\n"
        );
        World::embedded("silent", &settings)
    });
    let running = worlds.each_ref().map(|world| world.start(&["run"]));
    for world in &worlds {
        let detail = eventually("the log is told to be away", || {
            let status = world.status()?;
            let reasons = status["reasons"].as_array()?;
            let found = reasons.iter().find(|reason| reason["cause"] == "log_away")?;
            found["detail"].as_str().map(str::to_owned)
        });
        assert!(detail.contains("does not answer in time: a connection"), "{detail}");
    }
    running.iter().for_each(|running| running.signal("TERM"));
    for (mut running, world) in running.into_iter().zip(&worlds) {
        assert_eq!(running.end(), Some(0), "{}", world.log());
    }
}
