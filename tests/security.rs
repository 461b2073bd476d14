//! Servers with TLS and credentials, and the sentences about wrong ones.

use std::fs;

use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::HeaderMap;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde_json::{Value, json};

use crate::harness::{World, eventually, fresh, log_of, runtime};
use crate::services::{self, SecuredServices, Services};

/// A wrong secret, to be found nowhere.
const WRONG: &str = "wr0ngs3cr3t7788";

/// A folder of one event, to be indexed by a server at `url`.
pub fn world(url: &str, name: &str, extra: &str) -> World {
    let servers = Services { kafka: "localhost:9".to_owned(), elasticsearch: url.to_owned() };
    let extra = format!("source.kind = \"files\"\nsource.path = \"events\"\n{extra}");
    let world = World::new(&servers, name, &extra);
    fs::create_dir_all(world.path("events")).unwrap();
    let event = json!({"key": "c1", "value": {
        "specversion": "1.0", "id": "e", "source": "/", "type": "x.created", "data": {"name": "Jane"}}});
    fs::write(world.path("events/contacts.jsonl"), format!("{event}\n")).unwrap();
    world
}

pub fn authority(secured: &SecuredServices, file: &str) -> String {
    format!("index.ca_certificate = {:?}\n", secured.certificates.join(file))
}

/// Asks the secured server as its administrator.
pub fn ask(secured: &SecuredServices, method: Method, path: &str, body: Option<&Value>) -> Value {
    let pem = fs::read(secured.certificates.join("ca.pem")).unwrap();
    let pool = SingleNodeConnectionPool::new(Url::parse(&secured.elasticsearch).unwrap());
    let transport = TransportBuilder::new(pool)
        .auth(Credentials::Basic("admin".to_owned(), secured.password.clone()))
        .cert_validation(CertificateValidation::Full(Certificate::from_pem(&pem).unwrap()))
        .build()
        .unwrap();
    runtime().block_on(async {
        let body = body.map(Value::to_string);
        let sent = transport.send(method, path, HeaderMap::new(), None::<&()>, body, None).await;
        sent.unwrap().json().await.unwrap()
    })
}

/// Takes a world's indexes from the secured server.
pub struct Tidy(pub SecuredServices, pub String);

impl Drop for Tidy {
    fn drop(&mut self) {
        let found = ask(&self.0, Method::Get, &format!("/{}*/_alias", self.1), None);
        for index in found.as_object().into_iter().flatten().map(|(index, _)| index) {
            ask(&self.0, Method::Delete, &format!("/{index}"), None);
        }
    }
}

/// Runs it and demands exit code 1; its log.
fn refused(world: &World) -> String {
    let output = world.run(&["run", "--until-end"]);
    let log = log_of(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    log
}

#[test]
fn a_password_and_an_authority_of_ones_own_are_enough_and_the_password_is_shown_nowhere() {
    let secured = services::secured();
    let extra = authority(&secured, "ca.pem") + "index.username = \"tributary\"\n";
    let mut world = world(&secured.elasticsearch, "secured", &extra);
    world.environment.push(("TRIBUTARY_INDEX__PASSWORD", secured.password.clone()));
    let _tidy = Tidy(secured.clone(), world.prefix.clone());
    world.succeed(&["run", "--until-end"]);
    let counted = ask(&secured, Method::Get, &format!("/{}contacts/_count", world.prefix), None);
    assert_eq!(counted["count"], 1, "{counted}");

    // The same from a file, while it runs.
    world.environment.clear();
    fs::write(world.path("secret"), format!("{}\n", secured.password)).unwrap();
    world.write_config(&format!("{}index.password_file = \"secret\"\n", world.config));
    let mut running = world.start(&["-v", "run"]);
    let status = eventually("it writes", || {
        let text = String::from_utf8(world.run(&["status", "--format", "json"]).stdout).unwrap();
        text.contains("\"writing\"").then_some(text)
    });
    let checked = world.succeed(&["check"]);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", world.log());
    for shown in [status, checked, world.log()] {
        assert!(!shown.contains(&secured.password), "{shown}");
    }
}

#[test]
fn wrong_credentials_end_the_run_with_1_and_are_not_shown() {
    let secured = services::secured();
    let wrong_key = format!("index.api_key = \"{WRONG}\"\n");
    let wrong_password = format!("index.username = \"tributary\"\nindex.password = \"{WRONG}\"\n");
    for credentials in [wrong_key, wrong_password, String::new()] {
        let extra = authority(&secured, "ca.pem") + &credentials;
        let log = refused(&world(&secured.elasticsearch, "credentials", &extra));
        assert!(log.contains("401") && log.contains("check index.username and index.password"), "{log}");
        assert!(!log.contains(WRONG), "{log}");
    }
    // A password in the address is none for the eyes either.
    let url = secured.elasticsearch.replace("https://", &format!("https://tributary:{WRONG}@"));
    let log = refused(&world(&url, "credentials", &authority(&secured, "ca.pem")));
    assert!(log.contains("401") && !log.contains(WRONG), "{log}");
    let log = refused(&world(&url, "credentials", &authority(&secured, "other-ca.pem")));
    assert!(!log.contains(WRONG), "{log}");
}

#[test]
fn a_certificate_that_does_not_fit_ends_the_run_with_1() {
    let secured = services::secured();
    let by_number = secured.elasticsearch.replace("localhost", "127.0.0.1");
    for (url, extra) in [
        (&secured.elasticsearch, String::new()),
        (&secured.elasticsearch, authority(&secured, "other-ca.pem")),
        (&by_number, authority(&secured, "ca.pem")),
    ] {
        let log = refused(&world(url, "certificate", &extra));
        assert!(log.contains("no TLS connection") && log.contains("index.ca_certificate"), "{log}");
    }
}

#[test]
fn plain_http_where_tls_is_spoken_and_the_reverse_end_the_run_with_1() {
    let secured = services::secured();
    let log = refused(&world(&secured.elasticsearch.replace("https", "http"), "plain", ""));
    assert!(log.contains("write https://"), "{log}");
    let (servers, _turn) = services::whole();
    let log = refused(&world(&servers.elasticsearch.replace("http", "https"), "plain", ""));
    assert!(log.contains("that the server speaks https"), "{log}");
}

#[test]
fn a_refused_connection_is_waited_for() {
    // A port without a listener: it was free just now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "https"] {
        let world = world(&format!("{scheme}://{free}"), "refused", "");
        let mut running = world.start(&["run"]);
        eventually("it has tried again", || {
            (world.log().matches("waiting for the index").count() >= 3).then_some(())
        });
        running.signal("TERM");
        assert_eq!(running.end(), Some(0), "{}", world.log());
    }
}

/// The properties of a secured broker's client.
fn kafka(secured: &SecuredServices, authority: &str, mechanism: &str, password: &str) -> String {
    properties(secured, authority, mechanism, "tributary", password)
}

pub fn properties(
    secured: &SecuredServices,
    authority: &str,
    mechanism: &str,
    user: &str,
    password: &str,
) -> String {
    format!(
        "[kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\n\"sasl.mechanisms\" = {mechanism:?}\n\
         \"sasl.username\" = {user:?}\n\"sasl.password\" = {password:?}\n\"ssl.ca.location\" = {:?}\n",
        secured.certificates.join(authority)
    )
}

/// From the secured broker into an embedded index, dead letters into the broker too.
pub fn kafka_world(secured: &SecuredServices, properties: &str) -> World {
    let name = fresh("sasl");
    let servers = Services { kafka: secured.kafka.clone(), elasticsearch: "http://127.0.0.1:1".to_owned() };
    let extra = format!(
        "index.kind = \"embedded\"\nindex.path = \"index\"\norganisations.topics = [\"o.{name}\"]\ncontacts.topics = [\"c.{name}\"]\n\
         dead_letters.kind = \"kafka\"\ndead_letters.topic = \"d.{name}\"\n{properties}"
    );
    World::new(&servers, "sasl", &extra)
}

#[test]
fn a_broker_that_asks_for_tls_and_a_password_is_read_and_written() {
    let secured = services::secured();
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let world = kafka_world(&secured, &kafka(&secured, "ca.pem", mechanism, &secured.password));
        world.succeed(&[
            "generate",
            "--kafka",
            "--organisations",
            "20",
            "--contacts",
            "50",
            "--events",
            "100",
        ]);
        world.succeed(&["run", "--until-end"]);
        assert!(world.documents("contacts").len() > 30, "{mechanism}");
        let checked = world.succeed(&["check"]);
        assert!(!checked.contains(&secured.password), "secrets are hidden");
    }
}

#[test]
fn a_broker_that_refuses_us_ends_the_run_with_1_and_shows_no_password() {
    let secured = services::secured();
    for (authority, password) in [("ca.pem", WRONG), ("other-ca.pem", secured.password.as_str())] {
        let world = kafka_world(&secured, &kafka(&secured, authority, "SCRAM-SHA-512", password));
        let log = refused(&world);
        assert!(log.contains("refuses the connection") && log.contains("kafka.properties"), "{log}");
        assert!(!log.contains(password), "{log}");
    }
}
