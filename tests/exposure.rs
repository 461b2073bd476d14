//! A client of the HTTP server can neither hold it nor command it, and the text that services send commands no
//! terminal.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::harness::{GrowingLog, World, eventually, log_of};

/// More than the server keeps open.
const FLOOD: usize = 700;
/// Nothing that is answered at all takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);

fn world(name: &str, extra: &str) -> (World, GrowingLog) {
    let log = GrowingLog::new();
    log.append("organisations", "o", &json!({"name": "Marlowe Ropes"}));
    (World::embedded(name, &format!("{}{extra}", log.settings())), log)
}

fn address(world: &World) -> String {
    let read =
        || std::fs::read_to_string(world.path("state/instance")).ok().filter(|text| text.contains(':'));
    eventually("the instance's address", read)
}

/// The answer to a request with these lines in its head, and a body.
fn send(world: &World, request: &str, lines: &[&str], body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address(world).trim())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn get(world: &World, path: &str, host: &str) -> u16 {
    let answer = send(world, &format!("GET {path}"), &[&format!("Host: {host}")], "");
    status_of(&answer.unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn post(world: &World, path: &str, lines: &[&str], body: &str) -> u16 {
    let lines = [&["Host: localhost", "Content-Type: application/json"], lines].concat();
    status_of(&send(world, &format!("POST {path}"), &lines, body).unwrap())
}

/// Connections that send this and take nothing of an answer.
fn flood(address: &str, sent: &str) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        // The bytes that do not fit are not sent, because the server takes no more by then.
        let _ = stream.write(sent.as_bytes());
        stream
    };
    (0..FLOOD).map(connect).collect()
}

/// Demands an answer to each request, and 200 in the end. One of 503 counts as an answer, because the searches of the
/// flood may take a busy machine longer than a search may take.
fn answer_in_the_end(world: &World, path: &str, beside: &str) {
    eventually(&format!("200 for {path} beside {beside:.40}"), || {
        let code = get(world, path, "localhost");
        assert!([200, 503].contains(&code), "{path} beside {beside:.40}: {code}");
        (code == 200).then_some(())
    });
}

#[test]
fn connections_that_hold_on_keep_nobody_else_out() {
    let (world, _log) = world("flood", "");
    let _running = world.start(&["run"]);
    eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
    let pages = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
    let heads = "GET / HTTP/1.1\r\nHost: localh";
    let bodies = "POST /admin/verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    let searches = "GET /search?q=marlowe HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
    for sent in [&pages, &searches, heads, bodies] {
        let held = flood(address(&world).trim(), sent);
        for path in ["/healthz", "/metrics", "/"] {
            assert_eq!(get(&world, path, "localhost"), 200, "{path} beside {:.40}", sent);
        }
        for path in ["/readyz", "/search?q=marlowe"] {
            answer_in_the_end(&world, path, sent);
        }
        drop(held);
    }
}

#[test]
fn a_request_for_a_foreign_name_is_refused() {
    let (world, _log) = world("hosts", "http.hosts = [\"search.example\"]\n");
    let _running = world.start(&["run"]);
    eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
    for host in
        ["localhost", "127.0.0.1", "[::1]:80", "10.0.0.7:8080", "search.example", "Search.Example:443"]
    {
        assert_eq!(get(&world, "/search", host), 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.example"] {
        for path in ["/", "/search", "/healthz"] {
            assert_eq!(get(&world, path, host), 421, "{host}");
        }
    }
    let wrong =
        World::embedded("hosts", "http.hosts = [\"https://search.example\"]\n").run(&["check", "--offline"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(log_of(&wrong).contains("http.hosts"), "{}", log_of(&wrong));
}

/// The values of a header in an answer.
fn header<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[test]
fn scripts_of_named_origins_alone_read_searches_and_documents() {
    let allow = "access-control-allow-origin";
    let ask = |world: &World, request: &str, lines: &[&str]| {
        send(world, request, &[&["Host: localhost"], lines].concat(), "").unwrap()
    };
    let preflight = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: x-trace"];
    // Off unless asked for.
    let (closed, _log) = world("cors-off", "");
    let running = closed.start(&["run"]);
    eventually("it is ready", || (closed.get("/readyz").0 == 200).then_some(()));
    let lines = [&["Origin: https://app.example"], &preflight[..]].concat();
    for (request, code) in [("GET /search?q=marlowe", 200), ("OPTIONS /search", 405)] {
        let answer = ask(&closed, request, &lines);
        assert_eq!((status_of(&answer), header(&answer, allow)), (code, vec![]), "{request}");
    }
    drop(running);

    let (world, _log) =
        world("cors", "http.cors_origins = [\"https://App.example:443\", \"http://localhost:3000\"]\n");
    let _running = world.start(&["run"]);
    eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
    for origin in ["https://app.example", "http://localhost:3000"] {
        let own = format!("Origin: {origin}");
        let lines = [&[&*own], &preflight[..]].concat();
        for (path, code) in [
            ("/search?q=marlowe", 200),
            ("/search?wrong=1", 400),
            ("/organisations/o", 200),
            ("/contacts/none", 404),
        ] {
            let answer = ask(&world, &format!("GET {path}"), &lines);
            assert_eq!((status_of(&answer), header(&answer, allow)), (code, vec![origin]), "{path}");
            assert_eq!(header(&answer, "vary"), ["origin"]);
            assert_eq!(header(&answer, "access-control-allow-credentials"), [""; 0]);
        }
        let answer = ask(&world, "OPTIONS /search", &lines);
        assert_eq!((status_of(&answer), header(&answer, allow)), (204, vec![origin]));
        assert_eq!(header(&answer, "access-control-allow-methods"), ["GET, HEAD"]);
        // Answers about this instance alone stay closed to other origins.
        for request in [
            "GET /status",
            "GET /metrics",
            "GET /",
            "OPTIONS /admin/verify",
            "POST /admin/dead-letters/retry",
        ] {
            assert_eq!(header(&ask(&world, request, &lines), allow), [""; 0], "{request}");
        }
        assert_eq!(status_of(&ask(&world, "POST /admin/dead-letters/retry", &lines)), 403);
    }
    for origin in ["https://evil.example", "http://app.example", "https://app.example.evil.example", "null"] {
        let own = format!("Origin: {origin}");
        let lines = [&[&*own], &preflight[..]].concat();
        for request in ["GET /search", "OPTIONS /search"] {
            let answer = ask(&world, request, &lines);
            assert_eq!(
                (header(&answer, allow), header(&answer, "vary")),
                (vec![], vec!["origin"]),
                "{origin}"
            );
        }
    }
    for wrong in
        ["app.example", "https://app.example/", "ftp://app.example", "https://", "null", "https://u:secret@x"]
    {
        let output = World::embedded("cors", &format!("http.cors_origins = [{wrong:?}]\n"))
            .run(&["check", "--offline"]);
        let log = log_of(&output);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(log.contains("http.cors_origins") && !log.contains("secret"), "{log}");
    }
}

#[test]
fn orders_come_from_no_other_site() {
    let (world, _log) = world("origin", "");
    let _running = world.start(&["run"]);
    let retry = |lines: &[&str]| post(&world, "/admin/dead-letters/retry", lines, "{}");
    eventually("it takes orders", || (retry(&[]) == 200).then_some(()));
    assert_eq!(retry(&["Origin: http://localhost", "Sec-Fetch-Site: same-origin"]), 200);
    for foreign in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        assert_eq!(retry(&[foreign]), 403, "{foreign}");
    }
}

#[test]
fn beyond_loopback_orders_need_a_token() {
    let (mut world, _log) = world("token", "");
    let wide = world.config.replace("127.0.0.1:0", "0.0.0.0:0");
    world.write_config(&wide);
    let mut running = world.start(&["run"]);
    let retry = |world: &World, lines: &[&str]| post(world, "/admin/dead-letters/retry", lines, "{}");
    eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
    assert_eq!(retry(&world, &[]), 403);
    assert_eq!(post(&world, "/admin/state/copy", &[], ""), 403);
    let output = world.run(&["dead-letters", "retry"]);
    assert!(log_of(&output).contains("http.token"), "{}", log_of(&output));
    assert!(world.log().contains("the administrative routes are closed"), "{}", world.log());
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));

    std::fs::write(world.path("token"), "s3cret\n").unwrap();
    world.config = format!("{wide}http.token_file = {:?}\n", world.path("token"));
    world.write_config(&world.config);
    let _running = world.start(&["run"]);
    eventually("it is ready", || (world.get("/readyz").0 == 200).then_some(()));
    assert_eq!(retry(&world, &[]), 401);
    assert_eq!(retry(&world, &["Authorization: Bearer wrong"]), 401);
    assert_eq!(retry(&world, &["Authorization: Bearer s3cret"]), 200);
    world.succeed(&["dead-letters", "retry"]);
    world.succeed(&["verify"]);
    world.succeed(&["reindex", "--from", "state"]);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn state_letters_and_indexes_are_their_owners_alone() {
    let log = GrowingLog::new();
    log.append("organisations", "o", &json!({"name": "Marlowe Ropes"}));
    log.append("contacts", "c", &json!("no object"));
    let world = World::embedded("modes", &log.settings());
    world.succeed(&["run", "--until-end"]);
    assert_eq!(world.dead_letters().len(), 1);
    world.succeed(&["reindex", "--keep-state"]);
    for folder in ["state", "index", "state.reindex"] {
        assert_eq!(mode(&world.path(folder)), 0o700, "{folder}");
    }
    for index in world.indexes_behind().values() {
        assert_eq!(mode(&world.path("index").join(index)), 0o700, "{index}");
    }
    assert_eq!(mode(&world.path("dead-letters.jsonl")), 0o600);
}

/// Clears the screen, sets the window's title, and makes a line of its own.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;owned\u{7}\r\ntributary: all is well\u{9b}31m\u{202e}";

fn assert_harmless(what: &str, text: &str) {
    let hidden = |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
    assert!(!text.chars().any(hidden), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("tributary: all is well")), "{what}: {text}");
}

#[test]
fn what_the_services_send_commands_no_terminal() {
    let log = GrowingLog::new();
    log.append("organisations", HOSTILE, &json!({"name": HOSTILE, "status": HOSTILE}));
    log.append("contacts", HOSTILE, &json!(HOSTILE));
    log.append("contacts", "c", &json!({"name": HOSTILE, "organisationId": HOSTILE}));
    let world = World::embedded("hostile", &log.settings());
    let output = world.run(&["run", "--until-end"]);
    assert!(output.status.success());
    assert_harmless("run", &log_of(&output));
    let commands: [&[&str]; 8] = [
        &["search"],
        &["search", "--in", "contacts"],
        &["dead-letters", "list"],
        &["dead-letters", "show", HOSTILE],
        &["dead-letters", "retry"],
        &["explain", "organisations", HOSTILE],
        &["verify"],
        &["status"],
    ];
    for command in commands {
        let output = world.run(command);
        assert_harmless(&format!("{command:?}"), &log_of(&output));
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty() || command.contains(&"list"));
    }
    let output = world.run(&["search", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["hits"][0]["id"], HOSTILE, "JSON stays JSON");
}
