//! From the tables of a database to the documents: PostgreSQL, Debezium, Kafka, Tributary, Elasticsearch.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde_json::{Value, json};

use crate::capture::reasons;
use crate::cases::create_topics;
use crate::encodings::{field, id_of, shape};
use crate::harness::{Running, World, es, eventually, fresh};
use crate::services::{self, Services, Sources};

const TABLES: [&str; 2] = ["organisations", "contacts"];

/// How a connector writes, and how its records are read.
struct Flavour {
    name: &'static str,
    converter: fn(&Sources) -> Value,
    settings: &'static str,
    /// The columns whose values have a meaning that nothing tells.
    untyped: &'static [&'static str],
    is_outbox: bool,
}

impl Flavour {
    const fn new(name: &'static str, converter: fn(&Sources) -> Value) -> Self {
        Self { name, converter, settings: "", untyped: &[], is_outbox: false }
    }

    /// Without schemas the configuration alone tells the meaning of numbers.
    const fn without_schemas(self) -> Self {
        Self { settings: NUMBERS, untyped: &["opensAt"], ..self }
    }

    const fn avro(self) -> Self {
        Self { settings: "organisations.encoding = \"avro\"\ncontacts.encoding = \"avro\"\n", ..self }
    }
}

/// The meaning of the numbers in columns, where no schema tells it.
const NUMBERS: &str = "organisations.from = {founded = \"days\", renewedAt = \"micros\"}\ncontacts.from = {birthDate = \"days\"}\n";

const FLAVOURS: [Flavour; 5] = [
    Flavour::new("json", |_| json!({"decimal.handling.mode": "string"})).without_schemas(),
    Flavour::new("schemas", with_schemas),
    Flavour::new("numbered", numbered).without_schemas(),
    Flavour::new("avro", avro).avro(),
    Flavour { is_outbox: true, ..Flavour::new("outbox", outbox).avro() },
];

fn with_schemas(_: &Sources) -> Value {
    let mut settings = json!({"time.precision.mode": "isostring"});
    for part in ["key", "value"] {
        settings[format!("{part}.converter")] = json!("org.apache.kafka.connect.json.JsonConverter");
        settings[format!("{part}.converter.schemas.enable")] = json!("true");
    }
    settings
}

fn avro(sources: &Sources) -> Value {
    registered(sources, "AvroConverter")
}

/// Apicurio's converter writes JSON with the number of a schema, which Confluent's API does not know.
fn numbered(sources: &Sources) -> Value {
    let mut settings = registered(sources, "ExtJsonConverter");
    settings["decimal.handling.mode"] = json!("string");
    settings
}

/// Events of an outbox by Debezium's router.
fn outbox(sources: &Sources) -> Value {
    let mut settings = avro(sources);
    settings["table.include.list"] = json!("app.outbox");
    settings["tombstones.on.delete"] = json!("false");
    // The router takes nothing but rows: no message of an application, no mark of a transaction.
    settings["predicates"] = json!("row");
    settings["predicates.row.type"] =
        json!("org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    settings["predicates.row.pattern"] = json!(".*\\.app\\.outbox");
    settings["transforms.outbox.predicate"] = json!("row");
    settings["transforms"] = json!("outbox");
    for (name, value) in [
        ("type", "io.debezium.transforms.outbox.EventRouter"),
        ("table.field.event.key", "aggregateid"),
        ("table.fields.additional.placement", "type:header:eventType"),
    ] {
        settings[format!("transforms.outbox.{name}")] = json!(value);
    }
    settings
}

fn registered(sources: &Sources, converter: &str) -> Value {
    let mut settings = json!({});
    for part in ["key", "value"] {
        settings[format!("{part}.converter")] =
            json!(format!("io.apicurio.registry.utils.converter.{converter}"));
        let url = format!("{}/apis/registry/v2", sources.registry_from_connect);
        for (name, value) in [
            ("url", url.as_str()),
            ("auto-register", "true"),
            ("find-latest", "true"),
            ("as-confluent", "true"),
            ("use-id", "contentId"),
            ("headers.enabled", "false"),
        ] {
            settings[format!("{part}.converter.apicurio.registry.{name}")] = json!(value);
        }
    }
    settings
}

/// A database with a connector and a deployment for each flavour.
struct Capture {
    sources: Sources,
    database: String,
    flavours: Vec<(&'static Flavour, World, Running)>,
}

impl Capture {
    fn start(servers: &Services) -> Self {
        let sources = services::sources();
        let database = fresh("cdc").replace('-', "_");
        services::sql("postgres", &[&format!("create database {database}")]);
        services::sql_file(&database, include_str!("change_data_capture/before.sql"));
        let mut this = Self { sources, database, flavours: Vec::new() };
        for flavour in &FLAVOURS {
            let name = format!("{}_{}", this.database, flavour.name);
            let topics = TABLES.map(|table| format!("{name}.app.{table}"));
            create_topics(&servers.kafka, &topics, 1);
            this.connect(&name, flavour);
            let mut extra = flavour.settings.to_owned();
            for (entity, topic) in TABLES.iter().zip(&topics) {
                let format = if flavour.is_outbox { "outbox" } else { "debezium" };
                extra += &format!("{entity}.topics = [{topic:?}]\n{entity}.format = {format:?}\n");
            }
            extra += &format!("schema_registry.url = \"{}/apis/ccompat/v7\"\n", this.sources.registry);
            let world = World::new(servers, flavour.name, &extra);
            let running = world.start(&["run"]);
            this.flavours.push((flavour, world, running));
        }
        this
    }

    fn connect(&self, name: &str, flavour: &Flavour) {
        let (host, port) = self.sources.postgres_from_connect.split_once(':').unwrap();
        let mut config = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": host, "database.port": port, "database.user": "postgres", "database.password": "none",
            "database.dbname": self.database, "topic.prefix": name, "slot.name": name, "publication.name": name,
            "plugin.name": "pgoutput", "publication.autocreate.mode": "filtered", "poll.interval.ms": "100",
            "table.include.list": "app.organisations,app.contacts,app.signal", "signal.data.collection": "app.signal",
            "skipped.operations": "none", "topic.creation.default.replication.factor": "1",
            "topic.creation.default.partitions": "1", "provide.transaction.metadata": "true",
        });
        config["transforms.outbox.route.topic.replacement"] = json!(format!("{name}.app.${{routedByValue}}"));
        for (name, value) in (flavour.converter)(&self.sources).as_object().unwrap() {
            config[name] = value.clone();
        }
        let made = es(
            &self.sources.connect,
            Method::Post,
            "/connectors",
            Some(&json!({"name": name, "config": config})),
        );
        assert_eq!(made["name"], json!(name), "{made}");
    }

    fn sql(&self, text: &str) {
        services::sql_file(&self.database, text);
    }

    /// Waits until every connector has read the tables and follows their changes.
    fn wait_until_followed(&self) {
        let count = format!(
            "select count(*) from pg_replication_slots where active and database = '{}'",
            self.database
        );
        eventually("connectors that follow the changes", || {
            for (flavour, ..) in &self.flavours {
                self.assert_well(flavour);
            }
            (services::sql(&self.database, &[&count]).trim() == FLAVOURS.len().to_string()).then_some(())
        });
    }

    fn assert_well(&self, flavour: &Flavour) {
        let path = format!("/connectors/{}_{}/status", self.database, flavour.name);
        let status = es(&self.sources.connect, Method::Get, &path, None);
        assert_ne!(status["tasks"][0]["state"], json!("FAILED"), "{status}");
    }

    /// The rows of a table by their ids.
    fn rows(&self, table: &str) -> BTreeMap<String, Value> {
        let bytes =
            if table == "organisations" { "translate(encode(logo, 'base64'), E'\\n', '')" } else { "null" };
        let query = format!("select to_jsonb(t) || jsonb_build_object('logo', {bytes}) from app.{table} t");
        let rows = services::sql(&self.database, &["set timezone to 'UTC'", &query]);
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| (id_of(&row["id"]), row)).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // No other test needs these two.
        for server in ["connect", "registry"] {
            services::control("stop", server);
        }
    }
}

/// The differences of the documents from the tables.
fn differences(capture: &Capture, flavour: &Flavour, world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for table in TABLES {
        let mut documents = world.documents(table);
        for (id, row) in capture.rows(table) {
            let Some(document) = documents.remove(&id) else {
                found.push(format!("{}: {table}/{id} is missing", flavour.name));
                continue;
            };
            for (name, expected) in row.as_object().unwrap() {
                let got = field(&document, name);
                if shape(&got) != shape(expected) && !flavour.untyped.contains(&name.as_str()) {
                    found.push(format!("{}: {table}/{id}.{name}: {got} for {expected}", flavour.name));
                }
            }
        }
        found.extend(documents.keys().map(|id| format!("{}: {table}/{id} is too much", flavour.name)));
    }
    found
}

/// The document of an organisation, once it is there.
fn organisation(world: &World, id: &str) -> Option<Value> {
    world.refresh();
    world.documents("organisations").remove(id)
}

fn outbox_is_folded(capture: &Capture, flavour: &Flavour, world: &World) {
    let document = eventually("the events of the outbox", || {
        capture.assert_well(flavour);
        world.wait_until_delivered();
        let document = organisation(world, "o-1").filter(|document| document["name"] == "Aldergate Group")?;
        organisation(world, "o-2").is_none().then_some(document)
    });
    assert_eq!((&document["tags"], document.get("website")), (&json!(["uk"]), None), "{document}");
    assert_eq!(reasons(world), Vec::<String>::new());
}

#[test]
fn documents_are_what_the_tables_of_a_database_hold() {
    let (servers, _turn) = services::whole();
    let mut capture = Capture::start(&servers);
    capture.wait_until_followed();
    capture.sql(include_str!("change_data_capture/changes.sql"));
    for (flavour, world, _) in &capture.flavours {
        if flavour.is_outbox {
            continue;
        }
        // Its indexes are there then.
        world.wait_until_delivered();
        eventually("the incremental snapshot", || {
            capture.assert_well(flavour);
            // Neither an event of the new column nor one of the new key says these.
            let (old, moved) = (organisation(world, "4")?, organisation(world, "11")?);
            (old["attributes"]["region"].is_string() && moved["attributes"]["notes"].is_string())
                .then_some(())
        });
    }
    capture.sql(include_str!("change_data_capture/after.sql"));
    let mut running = std::mem::take(&mut capture.flavours);
    for (flavour, world, instance) in &mut running {
        if flavour.is_outbox {
            outbox_is_folded(&capture, flavour, world);
            continue;
        }
        eventually("the last row", || organisation(world, "1000"));
        world.wait_until_delivered();
        eventually("the last contacts", || {
            world.refresh();
            world.documents("contacts").contains_key("c0a80001-0000-4000-8000-000000000009").then_some(())
        });
        world.wait_until_delivered();
        world.refresh();
        assert_eq!((reasons(world), differences(&capture, flavour, world)), (Vec::new(), Vec::new()));
        world.succeed(&["verify"]);
        instance.signal("TERM");
        assert_eq!(instance.end(), Some(0), "{}", world.log());
    }
}
