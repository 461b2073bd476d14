//! The work that a changed mapping calls for, checked by the real Elasticsearch. It takes a change that is judged an
//! addition in place, after which nothing differs. It refuses a change that is judged a rebuild, or leaves the field as
//! it was.

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tributary::app;
use tributary::config::Config;
use tributary::engine::elasticsearch::ElasticsearchSink;
use tributary::model::mapping::Shape;
use tributary::projection::SHAPE;
use tributary::sink::DocumentSink;
use tributary::sink::difference::{Call, calls_for, differences};
use tributary::sink::generations::Aliases;

use crate::harness::{World, as_held, built_in_mapping, runtime};
use crate::services;

const META: &str = "/mappings/_meta";

/// The shape of the built-in model's documents.
fn shape() -> Shape {
    Shape { number: SHAPE, parts: std::collections::BTreeMap::new() }
}

/// A field before and after, and the work that the change calls for.
fn pairs() -> Vec<(Value, Value, Call)> {
    let plain = |kind: &str| json!({"type": kind});
    let with = |kind: &str, name: &str, value: Value| json!({"type": kind, name: value});
    let fields = |field: Value| json!({"type": "keyword", "fields": {"more": field}});
    let inside = |dynamic: Value, inner: Value| json!({"dynamic": dynamic, "properties": inner});
    let (nothing, addition, rebuild) = (Call::Nothing, Call::Addition, Call::Rebuild);
    let mut pairs = vec![
        (plain("object"), json!({"properties": {}}), nothing),
        (fields(plain("text")), fields(with("text", "norms", json!(true))), nothing),
        (plain("keyword"), fields(plain("text")), addition),
        (fields(with("keyword", "ignore_above", json!(3))), fields(plain("keyword")), addition),
        (fields(plain("text")), plain("keyword"), rebuild),
        (fields(plain("text")), fields(plain("keyword")), rebuild),
        (plain("object"), plain("nested"), rebuild),
        (plain("object"), plain("keyword"), rebuild),
        (plain("keyword"), plain("wildcard"), rebuild),
        (plain("integer"), plain("long"), rebuild),
        (plain("object"), with("object", "enabled", json!(false)), rebuild),
        (plain("nested"), with("nested", "include_in_root", json!(true)), rebuild),
        (inside(json!(false), json!({})), inside(json!("strict"), json!({})), addition),
        (
            inside(json!("strict"), json!({})),
            inside(json!("strict"), json!({"a": {"type": "date"}})),
            addition,
        ),
        (inside(json!(false), json!({"a": plain("date")})), inside(json!(false), json!({})), rebuild),
        (
            inside(json!(false), json!({"a": plain("date")})),
            inside(json!(false), json!({"a": plain("ip")})),
            rebuild,
        ),
    ];
    // Parameters: a type, the parameter with a default and without, a value of it, the work for setting it, and for
    // taking it back.
    for (kind, name, default, value, set, back) in [
        ("keyword", "ignore_above", json!(2_147_483_647), json!(5), addition, addition),
        ("keyword", "eager_global_ordinals", json!(false), json!(true), addition, addition),
        ("keyword", "split_queries_on_whitespace", json!(false), json!(true), addition, addition),
        ("keyword", "copy_to", json!([]), json!(["id"]), addition, addition),
        ("keyword", "meta", json!({}), json!({"unit": "m"}), addition, addition),
        ("keyword", "norms", json!(false), json!(true), rebuild, addition),
        ("keyword", "normalizer", Value::Null, json!("lowercase"), rebuild, rebuild),
        ("keyword", "null_value", Value::Null, json!("none"), rebuild, rebuild),
        ("keyword", "index", json!(true), json!(false), rebuild, rebuild),
        ("keyword", "doc_values", json!(true), json!(false), rebuild, rebuild),
        ("keyword", "store", json!(false), json!(true), rebuild, rebuild),
        ("text", "search_analyzer", Value::Null, json!("whitespace"), addition, addition),
        ("text", "fielddata", json!(false), json!(true), addition, addition),
        ("text", "norms", json!(true), json!(false), addition, rebuild),
        ("text", "analyzer", Value::Null, json!("whitespace"), rebuild, rebuild),
        ("text", "index_prefixes", Value::Null, json!({"min_chars": 1, "max_chars": 8}), rebuild, rebuild),
        ("text", "index_phrases", json!(false), json!(true), rebuild, rebuild),
        ("text", "index_options", json!("positions"), json!("docs"), rebuild, rebuild),
        ("text", "term_vector", json!("no"), json!("yes"), rebuild, rebuild),
        ("text", "position_increment_gap", json!(100), json!(5), rebuild, rebuild),
        ("date", "ignore_malformed", json!(false), json!(true), addition, addition),
        (
            "date",
            "format",
            json!("strict_date_optional_time||epoch_millis"),
            json!("epoch_millis"),
            rebuild,
            rebuild,
        ),
        ("integer", "ignore_malformed", json!(false), json!(true), addition, addition),
        ("integer", "coerce", json!(true), json!(false), addition, addition),
        ("flattened", "ignore_above", json!(2_147_483_647), json!(5), addition, addition),
        ("flattened", "depth_limit", json!(20), json!(30), addition, addition),
    ] {
        // OpenSearch does not take a default that is written down only later.
        if matches!((kind, name), ("flattened", _) | ("text", "position_increment_gap"))
            && services::is_opensearch()
        {
            continue;
        }
        let bare = plain(kind);
        let valued = with(kind, name, value);
        if !default.is_null() {
            pairs.push((bare.clone(), with(kind, name, default), nothing));
        }
        pairs.push((bare.clone(), valued.clone(), set));
        pairs.push((valued, bare, back));
    }
    pairs
}

/// The live index with only one of its fields.
fn with_one_field(live: &Value, field: &str) -> Value {
    let mut live = live.as_object().unwrap().values().next().unwrap().clone();
    let properties = live["mappings"]["properties"].as_object_mut().unwrap();
    properties.retain(|name, _| name == field);
    live
}

#[test]
fn the_server_takes_what_is_judged_an_addition_and_nothing_differs_then() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "difference", "");
    let index = format!("{}one", world.prefix);
    let pairs = pairs();
    let names: Vec<String> = (0..pairs.len()).map(|number| format!("f{number}")).collect();
    let before: serde_json::Map<String, Value> =
        names.iter().cloned().zip(pairs.iter().map(|(before, ..)| before.clone())).collect();
    let settings = json!({"number_of_shards": 1, "number_of_replicas": 0});
    let meta = json!({"tributary": {"shape": SHAPE}});
    let mut properties = before;
    properties.insert("id".to_owned(), json!({"type": "keyword"}));
    let body = json!({"settings": settings, "mappings": {"dynamic": "strict", "_meta": meta, "properties": properties}});
    let made = world.es(Method::Put, &format!("/{index}"), Some(&body));
    assert_eq!(made["acknowledged"], true, "{made}");
    let live = || world.es(Method::Get, &format!("/{index}"), None);
    let mut wrong = Vec::new();
    for (name, (before, after, expected)) in names.iter().zip(&pairs) {
        let wanted =
            json!({"settings": settings, "mappings": {"dynamic": "strict", "properties": {name: after}}});
        let judged = || differences(&with_one_field(&live(), name), &wanted, &shape());
        let found = judged();
        let call = calls_for(&found);
        let put = json!({"properties": {name: after}});
        let answer = world.es(Method::Put, &format!("/{index}/_mapping"), Some(&put));
        let taken = answer["acknowledged"] == true;
        let left = judged();
        let right = match call {
            Call::Nothing | Call::Addition => taken && left.is_empty(),
            // A parameter that is merely left out is taken, and stays.
            Call::Rebuild => {
                (!taken || found.iter().all(|difference| difference.after.is_null())) && !left.is_empty()
            }
        };
        if call != *expected || !right {
            wrong.push(format!(
                "{before} -> {after}: {call:?}, expected {expected:?}; {answer}; left {left:?}"
            ));
        }
    }
    world.es(Method::Delete, &format!("/{index}"), None);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn settings_and_the_roots_parameters_are_judged_as_the_server_does() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "difference-root", "");
    let index = format!("{}root", world.prefix);
    let settings = json!({"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "1s"});
    let mapping = json!({"dynamic": "strict", "properties": {"id": {"type": "keyword"}}});
    let mut own = mapping.clone();
    own["_meta"] = json!({"tributary": {"shape": SHAPE}});
    let body = json!({"settings": settings, "mappings": own});
    let made = world.es(Method::Put, &format!("/{index}"), Some(&body));
    assert_eq!(made["acknowledged"], true, "{made}");
    let judged = |settings: &Value, mapping: &Value| {
        let live = world.es(Method::Get, &format!("/{index}"), None);
        calls_for(&differences(&live, &json!({"settings": settings, "mappings": mapping}), &shape()))
    };
    assert_eq!(judged(&settings, &mapping), Call::Nothing);
    let (mut settings, mut mapping) = (settings, mapping);
    for (name, value, expected) in [
        ("refresh_interval", json!("5s"), Call::Addition),
        ("gc_deletes", json!("1h"), Call::Addition),
        ("number_of_replicas", json!(2), Call::Addition),
        ("max_result_window", json!(20_000), Call::Addition),
        ("mapping.total_fields.limit", json!(2_000), Call::Addition),
        ("default_pipeline", json!("_none"), Call::Addition),
        ("number_of_shards", json!(3), Call::Rebuild),
        ("codec", json!("best_compression"), Call::Rebuild),
        ("sort.field", json!("id"), Call::Rebuild),
        ("analysis.analyzer.x", json!({"type": "custom", "tokenizer": "standard"}), Call::Rebuild),
    ] {
        let mut wanted = settings.clone();
        wanted[name] = value.clone();
        assert_eq!(judged(&wanted, &mapping), expected, "{name}");
        let answer =
            world.es(Method::Put, &format!("/{index}/_settings"), Some(&json!({"index": {name: value}})));
        assert_eq!(answer["acknowledged"] == true, expected == Call::Addition, "{name}: {answer}");
        if expected == Call::Addition {
            settings = wanted;
            assert_eq!(judged(&settings, &mapping), Call::Nothing, "{name}");
        }
    }
    for (name, value, expected) in [
        ("dynamic", json!(false), Call::Addition),
        ("dynamic", json!(true), Call::Addition),
        ("date_detection", json!(false), Call::Addition),
        ("runtime", json!({"now": {"type": "long"}}), Call::Addition),
        (
            "dynamic_templates",
            json!([{"all": {"match": "*", "mapping": {"type": "keyword"}}}]),
            Call::Addition,
        ),
        ("_routing", json!({"required": true}), Call::Rebuild),
        ("_source", json!({"excludes": ["id"]}), Call::Rebuild),
    ] {
        if name == "runtime" && services::is_opensearch() {
            continue;
        }
        let mut wanted = mapping.clone();
        wanted[name] = value.clone();
        assert_eq!(judged(&settings, &wanted), expected, "{name}");
        let answer = world.es(Method::Put, &format!("/{index}/_mapping"), Some(&json!({name: value})));
        assert_eq!(answer["acknowledged"] == true, expected == Call::Addition, "{name}: {answer}");
        if expected == Call::Addition {
            mapping = wanted;
            assert_eq!(judged(&settings, &mapping), Call::Nothing, "{name}");
        }
    }
    world.es(Method::Delete, &format!("/{index}"), None);
}

#[test]
fn an_index_made_just_now_from_its_file_calls_for_nothing() {
    let (servers, _turn) = services::whole();
    let world = World::new(&servers, "difference-own", "");
    let config =
        Config::load(&app::kinds(), Some(&world.config_path()), std::iter::empty(), &Vec::new()).unwrap();
    let sink = ElasticsearchSink::new(&config.index, &config.projections()).unwrap();
    let states = runtime().block_on(sink.open("log")).unwrap();
    // It is made to be filled first, without the refreshes and replicas of its mapping.
    runtime().block_on(sink.serve()).unwrap();
    for state in states {
        let projection = state.projection.name();
        let mut wanted = as_held(&built_in_mapping(projection));
        let live = world.es(Method::Get, &format!("/{}", state.index), None);
        assert!(live[&state.index].pointer(META).is_some(), "{live}");
        assert_eq!(differences(&live, &wanted, &shape()), [], "{projection}");
        wanted["mappings"]["properties"]["id"]["type"] = json!("text");
        assert_ne!(calls_for(&differences(&live, &wanted, &shape())), Call::Nothing, "{projection}");
    }
}
