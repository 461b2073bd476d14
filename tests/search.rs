//! Search: the same documents and queries on both engines, over HTTP and from the command line.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use crate::harness::{GrowingLog, Running, World, eventually, http_get, query_of};
use crate::services;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/search");

/// The same log in both engines, each with its running instance.
pub fn engines(name: &str, servers: &services::Services, extra: &str) -> [(World, Running); 2] {
    [World::new(servers, name, extra), World::embedded(name, extra)].map(|world| {
        let running = world.start(&["run"]);
        world.wait_until_delivered();
        (world, running)
    })
}

fn files(folder: &str) -> String {
    format!("source.kind = \"files\"\nsource.path = {folder:?}\nindex.max_embedded_contacts = 40\n")
}

/// A parameter of the cases: a list is a repeated one.
fn pairs(params: &Value) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in params.as_object().unwrap() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            pairs.push((name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
    if !pairs.iter().any(|(name, _)| name == "size") {
        pairs.push(("size".to_owned(), "100".to_owned()));
    }
    pairs
}

/// Status and answer over HTTP. An index that a busy machine makes slow is asked again, as `Retry-After` tells users.
pub fn by_http(world: &World, pairs: &[(String, String)]) -> (u16, Value) {
    let path = format!("/search?{}", query_of(pairs));
    eventually(&format!("an index that answers {path}"), || {
        let (code, body) = world.get(&path);
        let answer: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        let is_slow = answer["detail"] == "the index does not answer now; try again later";
        (!is_slow).then_some((code, answer))
    })
}

/// The same from the command line: exit code 2 stands for 400.
pub fn by_command_line(world: &World, pairs: &[(String, String)]) -> (u16, Value) {
    let mut arguments = vec!["search".to_owned(), "--format".to_owned(), "json".to_owned()];
    for (name, value) in pairs {
        arguments.extend([format!("--{}={value}", name.replace('_', "-"))]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = world.run(&arguments);
    if output.status.code() == Some(2) {
        return (400, Value::Null);
    }
    assert!(output.status.success(), "{arguments:?}: {}", crate::harness::log_of(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "one object a line");
    (200, serde_json::from_str(&text).unwrap())
}

pub fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"].as_array().cloned().unwrap_or_default();
    hits.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect()
}

type Ask<'a> = dyn Fn(&[(String, String)]) -> (u16, Value) + 'a;

/// The differences from a case's expectation.
fn differences(case: &Value, ask: &Ask<'_>) -> Vec<String> {
    let (expect, mut pairs) = (&case["expect"], pairs(&case["params"]));
    let (code, answer) = ask(&pairs);
    let allowed = expect["status"].as_array().cloned().unwrap_or_else(|| vec![json!(200)]);
    if !allowed.contains(&json!(code)) {
        return vec![format!("status {code}: {answer}")];
    }
    if code != 200 {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let got = ids(&answer);
    let got_set: BTreeSet<&String> = got.iter().collect();
    if expect["ids"].is_array() {
        let wanted = texts(&expect["ids"]);
        if got_set != wanted.iter().collect()
            || answer["total"] != json!(wanted.len())
            || got.len() != wanted.len()
        {
            wrong.push(format!("hits {got:?}, total {}", answer["total"]));
        }
    }
    wrong.extend(
        texts(&expect["contains"]).iter().filter(|id| !got_set.contains(id)).map(|id| format!("no {id}")),
    );
    wrong.extend(
        texts(&expect["excludes"]).iter().filter(|id| got_set.contains(id)).map(|id| format!("has {id}")),
    );
    if let Some(first) =
        expect["first"].as_str().filter(|first| got.first().map(String::as_str) != Some(first))
    {
        wrong.push(format!("{first} is not first of {got:?}"));
    }
    for (organisation, wanted) in expect["matched"].as_object().into_iter().flatten() {
        let hit = answer["hits"].as_array().unwrap().iter().find(|hit| hit["id"] == json!(organisation));
        let matched = hit.map(|hit| ids(&json!({"hits": hit["matchedContacts"]}))).unwrap_or_default();
        let lacks = texts(&wanted["contains"]).iter().any(|id| !matched.contains(id));
        if lacks || texts(&wanted["excludes"]).iter().any(|id| matched.contains(id)) {
            wrong.push(format!("{organisation} matched {matched:?}"));
        }
    }
    if expect["facets"].is_object() && answer["facets"] != expect["facets"] {
        wrong.push(format!("facets {}", answer["facets"]));
    }
    if let Some(size) = expect["pages"].as_u64() {
        pairs.retain(|(name, _)| name != "size");
        let paged = pages(&pairs, size, ask, &|| {});
        if paged.len() != got.len() || paged.iter().collect::<BTreeSet<_>>() != got_set {
            wrong.push(format!("pages {paged:?}"));
        }
    }
    wrong
}

/// Every hit, page by page; `between` is called before each page.
fn pages(pairs: &[(String, String)], size: u64, ask: &Ask<'_>, between: &dyn Fn()) -> Vec<String> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut pairs = pairs.to_vec();
        pairs.push(("size".to_owned(), size.to_string()));
        pairs.extend(after.map(|after| ("after".to_owned(), after)));
        let (code, answer) = ask(&pairs);
        assert_eq!(code, 200, "{answer}");
        let page = ids(&answer);
        assert!(page.len() as u64 <= size);
        all.extend(page);
        match answer["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return all,
        }
        between();
    }
}

#[test]
fn every_query_has_its_hits_on_both_engines_over_http_and_from_the_command_line() {
    let (servers, _turn) = services::whole();
    let cases = std::fs::read_to_string(format!("{CASES}/search_cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    assert_eq!(cases.len(), 70);
    let mut failed = String::new();
    for (world, _running) in &engines("search", &servers, &files(&format!("{CASES}/events"))) {
        let asks: [(&str, Box<Ask<'_>>); 2] = [
            ("http", Box::new(|pairs| by_http(world, pairs))),
            ("command line", Box::new(|pairs| by_command_line(world, pairs))),
        ];
        for (way, ask) in &asks {
            for case in &cases {
                let wrong = differences(case, &**ask);
                if !wrong.is_empty() {
                    failed += &format!("{} {way} {}: {wrong:?}\n", world.prefix, case["name"]);
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// Answers without the members that may differ between engines.
pub fn comparable((code, mut answer): (u16, Value)) -> Value {
    if let Some(members) = answer.as_object_mut() {
        members.retain(|name, _| !["took_ms", "position"].contains(&name.as_str()));
        // Behind the place, the number of the view is the instance's own.
        if let Some(Value::String(next)) = members.get_mut("next") {
            *next = next.splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
        }
    }
    json!([code, answer])
}

/// Words as people type them: whole, begun, mistyped, and of several fields together.
fn typed(words: &[String], random: &mut fastrand::Rng) -> String {
    let one = |random: &mut fastrand::Rng| {
        let mut letters: Vec<char> = words[random.usize(..words.len())].chars().collect();
        match random.u8(..6) {
            0 => letters.truncate(random.usize(1..=letters.len())),
            1 if letters.len() > 3 => {
                letters.remove(random.usize(..letters.len()));
            }
            2 if letters.len() > 3 => letters.swap(0, 1),
            _ => {}
        }
        let word: String = letters.into_iter().collect();
        match random.u8(..10) {
            0 => format!("\"{word}\""),
            1 => format!("-{word}"),
            2 => format!("-\"{word}\""),
            _ => word,
        }
    };
    let count = random.usize(1..=3);
    (0..count).map(|_| one(random)).collect::<Vec<_>>().join(" ")
}

#[test]
fn both_engines_give_the_same_answers_to_random_queries() {
    let seed: u64 = std::env::var("TRIBUTARY_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(fastrand::u64(..));
    println!("TRIBUTARY_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (servers, _turn) = services::whole();
    let [(one, _running), (other, _running_too)] =
        &engines("same", &servers, &files(&format!("{CASES}/events")));
    let mut words: BTreeSet<String> = BTreeSet::new();
    for document in other.documents("contacts").values().chain(other.documents("organisations").values()) {
        let text = ["name", "email", "phone", "role", "city"]
            .map(|field| document[field].as_str().unwrap_or("").to_owned());
        words.extend(text.join(" ").split_whitespace().map(str::to_owned));
        // Whole names, addresses and numbers have places of their own in the order.
        words.extend(text.into_iter().filter(|text| !text.is_empty()));
    }
    let words: Vec<String> = words.into_iter().collect();
    for _ in 0..300 {
        let q = typed(&words, &mut random);
        let mut pairs = vec![("q", q), ("size", random.u8(1..=30).to_string())];
        if random.bool() {
            pairs.extend([("in", "contacts".to_owned()), ("facets", "role,tag".to_owned())]);
        } else {
            pairs.push(("facets", "country,status,role,department".to_owned()));
            if random.u8(..4) == 0 {
                pairs.push(("filter", "role:Engineer".to_owned()));
            }
        }
        if random.u8(..4) == 0 {
            let sorts = ["name", "-name", "createdAt", "-updatedAt", "contactCount"];
            let sort = sorts[random.usize(..if pairs[2].0 == "in" { 4 } else { 5 })];
            pairs.push(("sort", sort.to_owned()));
        }
        let pairs: Vec<(String, String)> =
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (one, other) = (comparable(by_http(one, &pairs)), comparable(by_http(other, &pairs)));
        assert_eq!(one, other, "seed {seed}: {pairs:?}");
        assert_eq!(one[0], 200);
    }
}

#[test]
fn hostile_queries_get_an_answer_or_a_400_and_mean_what_they_say() {
    let (servers, _turn) = services::whole();
    let long = "zephyrine ".repeat(1_000);
    let hostile = [
        "\"",
        "'",
        "{}",
        "{\"match_all\":{}}",
        "*",
        "zephyrine\\",
        "zephyrine~2",
        "/.*/",
        "zephyrine && NOT x",
        "\u{0}",
        "\u{7}\u{1b}[2J",
        "\u{202e}enirhpez\u{202c}",
        "\u{feff}",
        "zephyrine\u{200b}quibblecorp",
        "%",
        "%00",
        "%F0%28",
        "../../etc/passwd",
        "<script>",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd ee ff gg",
        "\u{1F9A5}",
        "ﷺ",
        &long,
        "_id:*",
        "+12 34 56 78 90 11 +13 35 57 79 91 12 +14 36 58 70 92 15 +16 37 59 71 93 17 +18 38 50 72 94",
        "${jndi:x}",
    ];
    for (world, _running) in &engines("hostile", &servers, &files(&format!("{CASES}/events"))) {
        for text in hostile {
            for name in
                ["q", "under", "filter", "facets", "after", "in", "size", "consistent_with", "timeout", text]
            {
                let (code, answer) = by_http(world, &[(name.to_owned(), text.to_owned())]);
                assert!([200, 400].contains(&code), "{name:.40}={text:.40?}: {code} {answer}");
                if code == 400 {
                    assert_eq!(answer["status"], 400, "a problem document");
                }
            }
            let (code, _) = world.get(&format!(
                "/organisations/{}",
                query_of(&[(String::new(), text.to_owned())]).trim_start_matches('=')
            ));
            assert!([200, 400, 404].contains(&code), "id {:.40?}: {code}", text);
        }
        // Raw bytes that are no UTF-8, and a parameter without a value.
        for path in ["/search?q=%ff%fe", "/search?q", "/search?=", "/search?&&&", "/search?q=%"] {
            assert!([200, 400].contains(&world.get(path).0), "{path}");
        }
        let total = |name: &str, value: &str| {
            by_http(world, &[(name.to_owned(), value.to_owned())]).1["total"].clone()
        };
        for (name, value) in [
            ("filter", "status:*"),
            ("filter", "status:m*"),
            ("under", "*"),
            ("q", "*"),
            ("filter", "industry:falconry"),
        ] {
            assert_eq!(total(name, value), 0, "{name}={value} is taken as it is written");
        }
        assert_eq!(world.get("/nowhere").0, 404);
        assert_eq!(world.get("/organisations/zo1").0, 200);
    }
}

/// One organisation with twelve contacts, four of them to be embedded ([`FOUR`]).
pub fn ambergate() -> GrowingLog {
    let growing = GrowingLog::new();
    growing.append("organisations", "o1", &json!({"name": "Ambergate Works", "industry": "Rope"}));
    for number in 0..12 {
        let role = ["Buyer", "Pilot", "Clerk"][number % 3];
        let department = ["North", "South"][number % 2];
        growing.append(
            "contacts",
            &format!("c{number:02}"),
            &json!({
                "organisationId": "o1", "firstName": format!("Kin{number}"), "lastName": "Folkwright",
                "role": role, "department": department,
            }),
        );
    }
    growing
}

pub const FOUR: &str = "index.max_embedded_contacts = 4\n";

pub fn ask(world: &World, query: &[(&str, &str)]) -> (u16, Value) {
    let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    by_http(world, &pairs)
}

#[test]
fn contacts_that_are_not_embedded_count_for_words_filters_facets_and_matches() {
    let (servers, _turn) = services::whole();
    let log = ambergate();
    for (world, _running) in &engines("truncated", &servers, &(log.settings() + FOUR)) {
        assert_eq!(world.get("/readyz"), (200, "ready\n".to_owned()));
        let (_, answer) = ask(world, &[("q", "kin11 kin0"), ("facets", "role,department")]);
        assert_eq!(ids(&answer), ["o1"], "{answer}");
        assert_eq!(ids(&json!({"hits": answer["hits"][0]["matchedContacts"]}))[..2], ["c00", "c11"]);
        assert_eq!(
            answer["facets"],
            json!({"role": {"Buyer": 1, "Clerk": 1, "Pilot": 1}, "department": {"North": 1, "South": 1}})
        );
        let found = |filters: &[&str]| {
            let pairs: Vec<_> = filters.iter().map(|filter| ("filter", *filter)).collect();
            ask(world, &pairs).1["total"].clone()
        };
        assert_eq!(found(&["role:Buyer"]), 1);
        assert_eq!(found(&["role:Clerk", "department:South"]), 1, "c05, which is not embedded");
        assert_eq!(found(&["role:Clerk", "role:Nobody", "department:South"]), 1, "any value of a field");
        assert_eq!(found(&["role:Clerk", "department:Nowhere"]), 0);
        assert_eq!(found(&["role:Nobody", ""]), 0);
        assert_eq!(found(&["role:clerk"]), 0);
    }
}

#[test]
fn a_consistent_search_shows_the_record_and_pages_stay_whole_while_documents_change() {
    let (servers, _turn) = services::whole();
    let log = ambergate();
    for (world, _running) in &engines("live", &servers, &(log.settings() + FOUR)) {
        for number in 0..20 {
            let name = format!("Halcyon{number}x{}", world.prefix);
            log.append("organisations", "o2", &json!({"name": name}));
            let token = format!("organisations/0:{}", log.lines("organisations") - 1);
            let (code, answer) = ask(world, &[("q", &name), ("consistent_with", &token)]);
            assert_eq!((code, ids(&answer)), (200, vec!["o2".to_owned()]), "{answer}");

            // The documents of a fan-out are waited for, and the other index is not looked at.
            let name = format!("Zephyr{number}x{}", world.prefix);
            log.append("organisations", "o1", &json!({"name": name}));
            let token = format!("organisations/0:{}", log.lines("organisations") - 1);
            let (code, answer) = ask(world, &[("q", &name), ("in", "contacts"), ("consistent_with", &token)]);
            assert_eq!((code, &answer["total"]), (200, &json!(12)), "{answer}");
        }
        let (code, answer) = ask(world, &[("consistent_with", "contacts/0:999999"), ("timeout", "100ms")]);
        assert_eq!(code, 503);
        assert!(
            answer["detail"].as_str().unwrap().contains("contacts/0:"),
            "names the position reached: {answer}"
        );

        let between = || {
            for number in [0, 3, 6, 9, 11] {
                let role = format!("Role {}", fastrand::u32(..));
                log.append("contacts", &format!("c{number:02}"), &json!({
                    "organisationId": "o1", "firstName": format!("Kin{number}"), "lastName": "Folkwright", "role": role,
                }));
            }
            let token = format!("contacts/0:{}", log.lines("contacts") - 1);
            assert_eq!(ask(world, &[("consistent_with", &token)]).0, 200);
        };
        let pairs = [("q", "folkwright"), ("in", "contacts")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let paged = pages(&pairs, 3, &|pairs| by_http(world, pairs), &between);
        assert_eq!(paged, (0..12).map(|number| format!("c{number:02}")).collect::<Vec<_>>());
    }
}

#[test]
fn documents_and_other_routes_answer_and_an_absent_index_is_not_ready() {
    let log = ambergate();
    log.append("organisations", "o2", &json!({"name": "Small Works", "parentId": "o1"}));
    let world = World::embedded("routes", &(log.settings() + FOUR));
    let _running = world.start(&["run"]);
    world.wait_until_delivered();
    let body = |path: &str| serde_json::from_str::<Value>(&world.get(path).1).unwrap();
    assert_eq!(body("/organisations/o1"), world.documents("organisations")["o1"]);
    assert_eq!(body("/contacts/c03"), world.documents("contacts")["c03"]);
    assert_eq!(body("/organisations/o1/children")["children"], json!([{"id": "o2", "name": "Small Works"}]));
    assert_eq!(
        body("/organisations/o2/ancestors")["ancestors"],
        json!([{"id": "o1", "name": "Ambergate Works"}])
    );
    assert_eq!(world.get("/contacts/c03/children").0, 404);
    assert_eq!(body("/suggest?q=amb")["suggestions"][0]["text"], "Ambergate Works");
    assert_eq!(body("/organisations/nobody")["status"], 404);
    // Every described route answers something else than that there is none.
    let described = body("/openapi.json");
    let paths = described["paths"].as_object().unwrap();
    assert!(
        paths.contains_key("/organisations/{id}/children") && !paths.contains_key("/contacts/{id}/children")
    );
    for (path, methods) in paths {
        if methods.get("get").is_some() {
            let (code, answer) = world.get(&path.replace("{id}", "o1"));
            assert!(code == 200 || path == "/contacts/{id}", "{path}: {code} {answer}");
        }
    }
    assert_eq!(world.get("/readyz").0, 200);
    std::fs::write(world.path("index/aliases.json"), "{").unwrap();
    eventually("an index that can't be read is not ready", || (world.get("/readyz").0 == 503).then_some(()));
    assert_eq!(world.get("/healthz").0, 200);
}

#[test]
fn a_stop_answers_who_waits_and_is_not_held_up_by_open_connections() {
    let log = ambergate();
    let world = World::embedded("stop", &(log.settings() + FOUR));
    let mut running = world.start(&["run"]);
    world.wait_until_delivered();
    let address = std::fs::read_to_string(world.path("state/instance")).unwrap();
    // One connection is idle after an answer, one has sent half a request, one waits for a record.
    let mut idle = std::net::TcpStream::connect(address.trim()).unwrap();
    write!(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(std::io::Read::read(&mut idle, &mut [0; 512]).unwrap() > 0);
    let mut half = std::net::TcpStream::connect(address.trim()).unwrap();
    write!(half, "GET /healthz HTTP/1.1\r\nHo").unwrap();
    let waiting = {
        let address = address.trim().to_owned();
        std::thread::spawn(move || {
            http_get(&address, "/search?consistent_with=contacts/0:99999&timeout=3s").0
        })
    };
    eventually("the search is asked", || {
        let (_, metrics) = world.get("/metrics");
        metrics.contains("tributary_searches_waiting 1").then_some(())
    });
    running.signal("TERM");
    assert_eq!(waiting.join().unwrap(), 503, "answered before the end");
    assert_eq!(running.end(), Some(0), "{}", world.log());
}

#[test]
fn the_demonstration_indexes_and_finds() {
    let world = World::embedded("demo", "");
    let text = world.succeed(&["demo", "--once", "--organisations", "200", "--contacts", "2000"]);
    assert!(text.contains("documents indexed") && text.contains("Acme"), "{text}");
    assert!(!text.contains("\n0 found"), "{text}");
}
