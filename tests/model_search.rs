//! Searches by a model of one's own, on both engines.

mod library;

use serde_json::{Value, json};

use crate::harness::{GrowingLog, Running, World};
use crate::search::{ask, by_command_line, comparable, ids};
use crate::services;
use library::{LIBRARY, library};

/// The library in both engines, each with its running instance.
fn engines(servers: &services::Services, log: &GrowingLog) -> [(World, Running); 2] {
    let settings = settings(log);
    [World::new(servers, "library", &settings), World::embedded("library", &settings)]
        .map(|world| started(world, LIBRARY))
}

fn settings(log: &GrowingLog) -> String {
    format!("model = \"library.toml\"\n{}", log.source())
}

fn started(world: World, model: &str) -> (World, Running) {
    std::fs::write(world.path("library.toml"), model).unwrap();
    let running = world.start(&["run"]);
    world.wait_until_delivered();
    (world, running)
}

type Query<'a> = &'a [(&'a str, &'a str)];

/// Asks both engines and both ways; they must agree.
fn answer(engines: &[(World, Running); 2], query: Query<'_>) -> Value {
    let [one, other] = engines.each_ref().map(|(world, _)| comparable(ask(world, query)));
    assert_eq!(one, other, "{query:?}");
    let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (world, _) in engines {
        assert_eq!(comparable(by_command_line(world, &pairs)), one, "{query:?} from the command line");
    }
    one[1].clone()
}

fn check(engines: &[(World, Running); 2], expected: &[(Query<'_>, &[&str])]) {
    let mut wrong = String::new();
    for (query, wanted) in expected {
        let found = ids(&answer(engines, query));
        if found != *wanted {
            wrong += &format!("{query:?}: {found:?} instead of {wanted:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_model_of_ones_own_is_searched_filtered_ordered_and_counted_alike_on_both_engines() {
    let (servers, _turn) = services::whole();
    let log = library();
    let engines = engines(&servers, &log);
    words(&engines);
    check(&engines, &[(&[("q", "harbour north")], &["b1", "b2"])]);
    filters(&engines);
    members(&engines);
    orders(&engines);
    counts(&engines);
    hits(&engines);
    refusals(&engines);
    random(&engines);
}

/// Both layouts on one server. All members are within the documents, because those that are not are worth less there.
#[test]
fn children_are_searched_filtered_ordered_and_counted_as_nested_members_are() {
    if !services::has_join() {
        return;
    }
    let (servers, _turn) = services::whole();
    let log = library();
    let nested = LIBRARY.replace("max = 2\n", "");
    let join = nested.replace("[projections.books]\n", "[projections.books]\nlayout = \"join\"\n");
    assert!(nested != LIBRARY && join != nested);
    let layouts =
        [nested, join].map(|model| started(World::new(&servers, "layouts", &settings(&log)), &model));
    words(&layouts);
    filters(&layouts);
    members(&layouts);
    orders(&layouts);
    counts(&layouts);
    hits(&layouts);
    random(&layouts);
    for id in ["b1", "b2", "b4", "none"] {
        let of = |world: &World| world.get(&format!("/books/{id}"));
        let [one, other] = layouts.each_ref().map(|(world, _)| of(world));
        let [one, other] =
            [one, other].map(|(code, body)| (code, serde_json::from_str::<Value>(&body).unwrap()));
        assert_eq!(one, other, "{id}");
    }
}

fn words(engines: &[(World, Running); 2]) {
    check(
        engines,
        &[
            (&[("q", "harbour")], &["b2", "b1"]),
            (&[("q", "cold harbuor")], &["b1"]),
            // A default, a number and a computed member.
            (&[("q", "cellar")], &["b4", "b1"]),
            (&[("q", "412")], &["b1"]),
            (&[("q", "untold at")], &["b4"]),
            (&[("q", "9780")], &[]),
            (&[("q", "79460018")], &["b1"]),
            // Words of the authors that a book refers to, and of its copies; c3 is not embedded.
            (&[("q", "holt")], &["b2", "b1"]),
            (&[("q", "jeanluc")], &[]),
            (&[("q", "\"ilse brandt\"")], &["b1"]),
            (&[("q", "\"holt ilse\"")], &[]),
            (&[("q", "quill")], &["b1"]),
            (&[("q", "harbour -quill")], &["b2"]),
            (&[("q", "\"quill bergen\"")], &[]),
            (&[("q", "harbour 1961")], &["b2", "b1"]),
            (&[("q", "22855053")], &["b3"]),
            // The id of a copy, also one that looks like a number of a phone.
            (&[("q", "c3")], &["b1"]),
            (&[("q", "3141592")], &["b3"]),
            // A book has no projection that is searched by the words of an author, and shows the author's id.
            (&[("in", "authors"), ("q", "b2")], &["a1"]),
            (&[("q", "tower")], &["b1"]),
            (&[("q", "harbour -tower")], &["b2"]),
            (&[("q", "k 103")], &["b1"]),
            (&[("in", "copies"), ("q", "tower")], &["c3"]),
            (&[("in", "genres"), ("q", "fiction")], &["g1", "g2"]),
            (&[("in", "genres"), ("q", "crime")], &["g2"]),
            (&[("under", "g1")], &["b1", "b2"]),
            (&[("under", "g2")], &["b1"]),
            (&[("in", "genres"), ("under", "g1")], &["g1", "g2"]),
        ],
    );
}

fn filters(engines: &[(World, Running); 2]) {
    check(
        engines,
        &[
            (&[("filter", "shelf:cellar")], &["b1", "b4"]),
            (&[("filter", "inPrint:true")], &["b1", "b3"]),
            (&[("filter", "inPrint:false"), ("filter", "inPrint:true")], &["b1", "b2", "b3"]),
            (&[("filter", "pages:400")], &["b3"]),
            (&[("filter", "pages:[230 TO 400]")], &["b2", "b3"]),
            (&[("filter", "pages:{230 TO 400]")], &["b3"]),
            (&[("filter", "pages:[* TO 300]")], &["b2"]),
            (&[("filter", "pages:[* TO *]")], &["b1", "b2", "b3"]),
            (&[("filter", "pages:>400")], &["b1"]),
            (&[("filter", "price:19.9")], &["b1"]),
            (&[("filter", "price:20.0")], &["b3"]),
            (&[("filter", "price:>19.9")], &["b3"]),
            (&[("filter", "price:<=19.9")], &["b1", "b2"]),
            (&[("filter", "price:[9 TO 10]"), ("filter", "price:20")], &["b2", "b3"]),
            (&[("filter", "published:2024")], &["b1", "b3"]),
            (&[("filter", "published:2024-03-05")], &["b1"]),
            (&[("filter", "published:>2024-01-01")], &["b1"]),
            (&[("filter", "published:[2023-12 TO 2024-01]")], &["b2", "b3"]),
            (&[("filter", "published:<2024")], &["b2"]),
            (&[("filter", "author:Maren Holt"), ("filter", "country:DE")], &["b1"]),
            (&[("filter", "genre:g1")], &["b2"]),
            (&[("filter", "copies:>=2")], &["b1", "b2"]),
            (&[("filter", "copies:0")], &["b4"]),
            (&[("filter", "size:thick")], &["b1"]),
            (&[("filter", "perPage:[0.045 TO 0.05]")], &["b1", "b3"]),
            (&[("filter", "colour:red")], &["b2"]),
        ],
    );
}

/// Filters of one embed hold together by one and the same member, also by one that is not embedded.
fn members(engines: &[(World, Running); 2]) {
    check(
        engines,
        &[
            (&[("filter", "room:south")], &["b1", "b2", "b3"]),
            (&[("filter", "room:south"), ("filter", "floor:1")], &["b2"]),
            (&[("filter", "room:north"), ("filter", "floor:[2 TO 3]")], &["b2"]),
            (&[("filter", "room:north"), ("filter", "room:south"), ("filter", "floor:2")], &["b1", "b2"]),
            (&[("filter", "room:tower"), ("filter", "bought:2024-03")], &["b1"]),
            (&[("filter", "room:tower"), ("filter", "floor:1")], &[]),
            (&[("filter", "bought:>=2024")], &["b1"]),
            // Within each copy, one and the same loan.
            (&[("filter", "borrower:Ida")], &["b1", "b2"]),
            (&[("filter", "borrower:Ida"), ("filter", "weeks:>=6")], &["b2"]),
            (&[("filter", "borrower:Omar"), ("filter", "weeks:6")], &["b1"]),
            (&[("in", "copies"), ("filter", "room:tower")], &["c3"]),
        ],
    );
}

fn orders(engines: &[(World, Running); 2]) {
    check(
        engines,
        &[
            (&[("sort", "name")], &["b3", "b2", "b1", "b4"]),
            (&[("sort", "-price")], &["b3", "b1", "b2", "b4"]),
            (&[("sort", "price")], &["b2", "b1", "b3", "b4"]),
            (&[("sort", "-published")], &["b1", "b3", "b2", "b4"]),
            (&[("sort", "pages")], &["b2", "b3", "b1", "b4"]),
            (&[("sort", "-copyCount")], &["b1", "b2", "b3", "b4"]),
            (&[("sort", "perPage")], &["b2", "b1", "b3", "b4"]),
        ],
    );
    for sort in ["price", "-price", "-perPage", "-published", "name"] {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("sort", sort), ("size", "1")];
            query.extend((!after.is_empty()).then_some(("after", after.as_str())));
            // Each engine's own cursor, because it names the view.
            let answers = engines.each_ref().map(|(world, _)| ask(world, &query).1);
            assert_eq!(ids(&answers[0]), ids(&answers[1]), "{query:?}");
            all.extend(ids(&answers[0]));
            match answers[0]["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(all, ids(&answer(engines, &[("sort", sort)])), "{sort}");
    }
}

fn counts(engines: &[(World, Running); 2]) {
    let facets = answer(
        engines,
        &[("facets", "shelf,inPrint,pages,price,published,author,copies,size,colour")],
    )["facets"]
        .clone();
    assert_eq!(facets["shelf"], json!({"attic": 2, "cellar": 2}));
    assert_eq!(facets["inPrint"], json!({"false": 1, "true": 2}));
    assert_eq!(facets["price"], json!({"19.9": 1, "20": 1, "9.5": 1}));
    assert_eq!(facets["pages"], json!({"230": 1, "400": 1, "412": 1}));
    assert_eq!(facets["author"], json!({"Ilse Brandt": 1, "Jean-Luc Petit": 1, "Maren Holt": 2}));
    assert_eq!(facets["published"]["2023-12-31T23:30:00.000Z"], 1);
    assert_eq!(facets["copies"], json!({"0": 1, "1": 1, "2": 1, "3": 1}));
    assert_eq!(facets["size"], json!({"thick": 1, "thin": 2}));
    assert_eq!(facets["colour"], json!({"blue": 1, "red": 1}));
    // c3 counts for its book, which does not embed it.
    let facets = answer(engines, &[("facets", "room,floor")])["facets"].clone();
    assert_eq!(facets["room"], json!({"north": 2, "south": 3, "tower": 1}));
    assert_eq!(facets["floor"], json!({"1": 2, "2": 2, "3": 2}));
    let facets = answer(engines, &[("facets", "room,floor"), ("filter", "floor:1")])["facets"].clone();
    assert_eq!(facets["room"], json!({"north": 1, "south": 1}));
    assert_eq!(facets["floor"], json!({"1": 2, "2": 2, "3": 2}));
    let facets = answer(engines, &[("facets", "borrower"), ("filter", "weeks:>=6")])["facets"].clone();
    assert_eq!(facets["borrower"], json!({"Ida": 1, "Omar": 1}));
}

fn hits(engines: &[(World, Running); 2]) {
    let answer = answer(engines, &[("q", "harbour holt tower")]);
    let hit = &answer["hits"][0];
    assert_eq!(
        (&hit["id"], &hit["name"], &hit["price"]),
        (&json!("b1"), &json!("The Cold Harbour"), &json!(19.90))
    );
    assert_eq!(hit["genre"], json!({"id": "g2", "name": "Crime fiction", "path": ["g1"]}));
    assert_eq!(hit["copyCount"], 3);
    assert!(hit.get("shelf").is_none() && hit.get("copies").is_none(), "{hit}");
    assert_eq!(hit["highlights"]["heading"], json!(["The Cold <em>Harbour</em>"]));
    assert_eq!(hit["highlights"]["authors.name"], json!(["Maren <em>Holt</em>"]));
    let matched = hit["matchedCopies"].as_array().unwrap();
    assert_eq!(matched[0]["number"], "K-103", "{hit}");
    assert_eq!(matched[0]["highlights"], json!({"room": ["<em>tower</em>"]}));
    for (world, _) in engines {
        let (_, body) = world.get("/suggest?q=harb");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body["suggestions"][0],
            json!({"text": "Harbour Lights", "id": "b2", "in": "books", "detail": "Fiction"})
        );
    }
}

fn refusals(engines: &[(World, Running); 2]) {
    for (name, value, told) in [
        ("in", "loans", "books or copies or genres or authors"),
        ("filter", "pages:many", "without fraction"),
        ("filter", "pages:1.5", "without fraction"),
        ("filter", "price:[1 TO x]", "a number"),
        ("filter", "published:yesterday", "a date"),
        ("filter", "inPrint:yes", "true or false"),
        ("filter", "isbn:1", "is no field of books"),
        ("sort", "shelf", "relevance, or name, pages, price, published, copyCount, size, perPage"),
    ] {
        for (world, _) in engines {
            let (code, answer) = ask(world, &[(name, value)]);
            let detail = answer["detail"].as_str().unwrap_or_default();
            assert!(code == 400 && detail.contains(told), "{name}={value}: {code} {answer}");
        }
    }
    for (world, _) in engines {
        let (code, answer) = ask(world, &[("in", "copies"), ("under", "g1")]);
        assert!(code == 400 && answer["detail"].as_str().unwrap().contains("no tree"), "{answer}");
    }
}

/// Words, filters, orders and counts in any combination.
fn random(engines: &[(World, Running); 2]) {
    const WORDS: [&str; 14] = [
        "harbour",
        "cold",
        "holt",
        "maren",
        "north",
        "tower",
        "attic",
        "cellar",
        "412",
        "k 101",
        "brant",
        "lihgts",
        "\"at home\"",
        "-south",
    ];
    const FILTERS: [&str; 16] = [
        "shelf:attic",
        "inPrint:true",
        "pages:[200 TO 410]",
        "price:>=9.5",
        "published:2024",
        "author:Maren Holt",
        "genre:g2",
        "copies:>1",
        "room:north",
        "room:south",
        "floor:[2 TO 3]",
        "bought:<2024",
        "borrower:Ida",
        "weeks:>2",
        "size:thin",
        "perPage:<0.05",
    ];
    const SORTS: [&str; 7] = ["", "name", "-price", "pages", "-published", "copyCount", "-perPage"];
    const FACETS: [&str; 8] = ["shelf", "room", "floor", "author", "borrower", "price", "published", "size"];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..150 {
        let mut pick = |from: &[&'static str], most: usize| -> Vec<&'static str> {
            (0..random.usize(..=most)).map(|_| from[random.usize(..from.len())]).collect()
        };
        let words = pick(&WORDS, 3).join(" ");
        let (filters, sort, facets) = (pick(&FILTERS, 3), pick(&SORTS, 1), pick(&FACETS, 3).join(","));
        let mut query: Vec<(&str, &str)> = filters.into_iter().map(|filter| ("filter", filter)).collect();
        query.extend((!words.is_empty()).then_some(("q", words.as_str())));
        query.extend(sort.into_iter().map(|sort| ("sort", sort)));
        query.push(("facets", &facets));
        let [one, other] = engines.each_ref().map(|(world, _)| comparable(ask(world, &query)));
        assert_eq!(one, other, "seed {seed}: {query:?}");
    }
}
