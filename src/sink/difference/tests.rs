//! Pairs of a live and a wanted mapping, with the work that each calls for.

use serde_json::{Value, json};

use super::*;

fn live(mapping: &Value, settings: &Value) -> Value {
    let mut mappings = mapping.clone();
    mappings["_meta"] = json!({"tributary": {"shape": 1, "mapping_hash": "h", "log": "l"}});
    json!({"index-1": {"aliases": {}, "mappings": mappings, "settings": {"index": settings}}})
}

fn judge(before: &Value, after: &Value) -> Vec<MappingDifference> {
    let live = live(&json!({"dynamic": "strict", "properties": before}), &json!({"number_of_shards": "1"}));
    differences(&live, &json!({"mappings": {"dynamic": "strict", "properties": after}}), &shape(1))
}

fn only(found: &[MappingDifference]) -> (&str, Call, bool) {
    assert_eq!(found.len(), 1, "{found:#?}");
    (found[0].path.as_str(), found[0].calls_for, found[0].send_again)
}

#[test]
fn the_same_in_other_words_calls_for_nothing() {
    for (before, after) in [
        (json!({"a": {"properties": {"b": {"type": "keyword"}}}}), json!({"a.b": {"type": "keyword"}})),
        (
            json!({"a": {"type": "keyword"}}),
            json!({"a": {"type": "keyword", "index": true, "doc_values": "true"}}),
        ),
        (
            json!({"a": {"type": "keyword", "ignore_above": 9}}),
            json!({"a": {"type": "keyword", "ignore_above": "9"}}),
        ),
        (json!({"a": {"type": "object"}}), json!({"a": {"properties": {}}})),
        (json!({"a": {"type": "object", "enabled": false}}), json!({"a": {"enabled": "false"}})),
        (
            json!({"a": {"type": "text", "index_prefixes": {"min_chars": 2, "max_chars": 5}}}),
            json!({"a": {"type": "text", "index_prefixes": {}, "norms": true}}),
        ),
        (
            json!({"a": {"type": "text", "analyzer": "x"}}),
            json!({"a": {"type": "text", "analyzer": "x", "search_analyzer": "x"}}),
        ),
        (
            json!({"a": {"type": "long", "copy_to": ["b"]}}),
            json!({"a": {"type": "long", "copy_to": "b", "coerce": true}}),
        ),
    ] {
        let found = judge(&before, &after);
        assert!(found.is_empty(), "{before} {after}: {found:#?}");
    }
}

#[test]
fn what_is_new_or_updatable_can_be_put_in_place() {
    let keyword = |more: Value| {
        let mut field = json!({"type": "keyword"});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"a": field})
    };
    for (before, after, path, send_again) in [
        // No document holds a field that was rejected until now.
        (json!({}), json!({"a": {"type": "keyword"}}), "mappings.properties.a", false),
        (
            json!({"o": {"dynamic": false, "type": "object"}}),
            json!({"o": {"dynamic": false, "properties": {"a": {"type": "keyword"}}}}),
            "mappings.properties.o.properties.a",
            true,
        ),
        (
            keyword(json!({})),
            keyword(json!({"fields": {"t": {"type": "text"}}})),
            "mappings.properties.a.fields.t",
            true,
        ),
        (keyword(json!({"ignore_above": 9})), keyword(json!({})), "mappings.properties.a.ignore_above", true),
        (keyword(json!({})), keyword(json!({"copy_to": "b"})), "mappings.properties.a.copy_to", true),
        (
            keyword(json!({})),
            keyword(json!({"eager_global_ordinals": true})),
            "mappings.properties.a.eager_global_ordinals",
            false,
        ),
        (
            json!({"a": {"type": "text"}}),
            json!({"a": {"type": "text", "search_analyzer": "whitespace"}}),
            "mappings.properties.a.search_analyzer",
            false,
        ),
        (
            json!({"a": {"type": "text"}}),
            json!({"a": {"type": "text", "norms": false}}),
            "mappings.properties.a.norms",
            true,
        ),
        (
            json!({"o": {"dynamic": "strict", "type": "object"}}),
            json!({"o": {"dynamic": false, "type": "object"}}),
            "mappings.properties.o.dynamic",
            false,
        ),
    ] {
        assert_eq!(only(&judge(&before, &after)), (path, Call::Addition, send_again), "{before} {after}");
    }
}

#[test]
fn what_an_index_has_for_life_calls_for_a_rebuild() {
    let field = |field: Value| json!({"a": field});
    for (before, after, path) in [
        (field(json!({"type": "keyword"})), field(json!({"type": "text"})), "mappings.properties.a.type"),
        (field(json!({"type": "object"})), field(json!({"type": "nested"})), "mappings.properties.a.type"),
        (field(json!({"type": "keyword"})), json!({}), "mappings.properties.a"),
        (
            field(json!({"type": "text", "fields": {"k": {"type": "keyword"}}})),
            field(json!({"type": "text"})),
            "mappings.properties.a.fields.k",
        ),
        (
            field(json!({"type": "text"})),
            field(json!({"type": "text", "analyzer": "whitespace"})),
            "mappings.properties.a.analyzer",
        ),
        (
            field(json!({"type": "text", "norms": false})),
            field(json!({"type": "text"})),
            "mappings.properties.a.norms",
        ),
        (
            field(json!({"type": "date"})),
            field(json!({"type": "date", "format": "epoch_millis"})),
            "mappings.properties.a.format",
        ),
        (
            field(json!({"type": "object"})),
            field(json!({"type": "object", "enabled": false})),
            "mappings.properties.a.enabled",
        ),
        (
            field(json!({"type": "keyword"})),
            field(json!({"type": "keyword", "unheard_of": 1})),
            "mappings.properties.a.unheard_of",
        ),
    ] {
        assert_eq!(only(&judge(&before, &after)), (path, Call::Rebuild, false), "{before} {after}");
    }
}

#[test]
fn settings_come_back_as_text_with_the_servers_own_among_them() {
    let index_settings = json!({
        "number_of_shards": "1", "number_of_replicas": "0", "auto_expand_replicas": "0-1", "refresh_interval": "1s",
        "uuid": "u", "creation_date": "1", "provided_name": "i", "version": {"created": "9"},
        "routing": {"allocation": {"include": {"_tier_preference": "data_content"}}},
        "analysis": {"analyzer": {"x": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]}}},
    });
    let mapping = json!({"dynamic": "strict", "properties": {}});
    let judge = |settings: Value| {
        differences(
            &live(&mapping, &index_settings),
            &json!({"settings": settings, "mappings": mapping}),
            &shape(1),
        )
    };
    let file_settings = |refresh: &str, shards: u32, filter: &str| {
        json!({
            "index": {"auto_expand_replicas": "0-1", "number_of_shards": shards},
            "index.refresh_interval": refresh,
            "analysis": {"analyzer": {"x": {"type": "custom", "tokenizer": "standard", "filter": filter}}},
        })
    };
    assert_eq!(judge(file_settings("1s", 1, "lowercase")), []);
    assert_eq!(
        only(&judge(file_settings("5s", 1, "lowercase"))),
        ("settings.index.refresh_interval", Call::Addition, false)
    );
    // A setting that the file does not name may be an operator's or a template's.
    let found = judge(
        json!({"auto_expand_replicas": "0-1", "analysis": file_settings("1s", 1, "lowercase")["analysis"]}),
    );
    assert_eq!(only(&found), ("settings.index.refresh_interval", Call::Nothing, false));
    assert_eq!(
        only(&judge(file_settings("1s", 2, "lowercase"))),
        ("settings.index.number_of_shards", Call::Rebuild, false)
    );
    let analysis = "settings.index.analysis.analyzer.x.filter";
    assert_eq!(only(&judge(file_settings("1s", 1, "uppercase"))), (analysis, Call::Rebuild, false));
}

fn shape(number: u32) -> Shape {
    Shape { number, parts: BTreeMap::new() }
}

#[test]
fn a_changed_model_is_told_part_by_part() {
    let parts = |parts: &[(&str, &str)]| {
        Shape::of(parts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    };
    let built = parts(&[("show", "name"), ("embed prices", "from prices.productId"), ("rest", "extra")]);
    let target = parts(&[
        ("show", "name, sku"),
        ("embed prices", "from prices.productId"),
        ("compute low", "1. .low"),
    ]);
    let meta = json!({"shape": built.number, "parts": built.parts});
    let found = differences_of_embedded(&meta, &json!({}), &target);
    let changes: Vec<_> =
        found.iter().map(|one| (one.path.as_str(), one.before.clone(), one.after.clone())).collect();
    let expected = [
        ("model: compute low", json!(null), json!("1. .low")),
        ("model: rest", json!("extra"), json!(null)),
        ("model: show", json!("name"), json!("name, sku")),
    ];
    assert_eq!(changes, expected);
    assert_eq!(calls_for(&found), Call::Rebuild);
    // An index that was built without taking note of the parts.
    let found = differences_of_embedded(&json!({"shape": built.number}), &json!({}), &target);
    assert_eq!(only(&found).0, "shape");
}

#[test]
fn long_values_are_shown_from_a_little_before_their_first_difference() {
    let shown = |before: &str, after: &str| {
        let text = |text: &str| Shape::of([("search".to_owned(), text.to_owned())].into());
        let built = text(before);
        let meta = json!({"shape": built.number, "parts": built.parts});
        let report =
            MappingReport::of_embedded("shop", "i", &meta, &json!({}), "h", &text(after), None).text();
        let line = report.lines().find(|line| line.contains("model: search")).unwrap().to_owned();
        assert!(line.contains("documents or the way in which they are searched"), "{line}");
        let (values, _) = line.split_once("  (").unwrap();
        let (before, after) = values.split_once("search: ").unwrap().1.split_once(" -> ").unwrap();
        (before.to_owned(), after.to_owned())
    };
    let (same, rest) = ("é".repeat(120), "z".repeat(120));
    let (before, after) = shown(&format!("{same}name{rest}"), &format!("{same}note{rest}"));
    for (text, differs) in [(&before, "namez"), (&after, "notez")] {
        assert!(text.starts_with("…éé") && text.contains(differs) && text.ends_with("z…"), "{text}");
        assert_eq!(text.chars().count(), 82, "{text}");
    }
    // A difference at the end and one of a value that is the beginning of the other.
    let (before, after) = shown(&format!("{same}a"), &format!("{same}b"));
    assert!(
        before.starts_with("…é") && before.ends_with("éa\"") && after.ends_with("éb\""),
        "{before} {after}"
    );
    let (before, after) = shown(&same, &format!("{same}, sku"));
    assert!(before.ends_with("é\"") && after.ends_with("é, sku\""), "{before} {after}");
    // A difference near the beginning, and short values.
    let (before, after) = shown(&format!("name{rest}"), &format!("note{rest}"));
    assert!(before.starts_with("\"name") && after.starts_with("\"note"), "{before} {after}");
    assert_eq!(shown("name, sku", "name, code"), ("\"name, sku\"".to_owned(), "\"name, code\"".to_owned()));
}

#[test]
fn another_shape_calls_for_a_rebuild_whatever_the_mapping() {
    let mapping = json!({"dynamic": "strict", "properties": {}});
    let found = differences(&live(&mapping, &json!({})), &json!({"mappings": mapping}), &shape(2));
    assert_eq!(only(&found), ("shape", Call::Rebuild, false));
    let foreign = json!({"i": {"mappings": mapping, "settings": {}}});
    assert_eq!(calls_for(&differences(&foreign, &json!({"mappings": mapping}), &shape(1))), Call::Rebuild);
    assert_eq!(differences_of_embedded(&json!({"shape": 1, "mapping_hash": "x"}), &mapping, &shape(1)), []);
    let meta = json!({"shape": 1, "mapping": {"mappings": {"properties": {}}}});
    let more = json!({"mappings": {"properties": {"a": {"type": "keyword"}}}});
    assert_eq!(calls_for(&differences_of_embedded(&meta, &more, &shape(1))), Call::Addition);
    assert_eq!(calls_for(&differences_of_embedded(&json!({"shape": 1}), &mapping, &shape(2))), Call::Rebuild);
}

#[test]
fn the_report_says_what_to_do() {
    let mapping = |ignore: u32| json!({"dynamic": "strict", "properties": {"a": {"type": "keyword", "ignore_above": ignore}}});
    let file = json!({"mappings": mapping(2)});
    let costs = estimate(1_000, 3 << 20, Some(10.0));
    let report = MappingReport::new(
        "contacts",
        "i",
        &live(&mapping(1), &json!({})),
        &file,
        "other",
        &shape(1),
        Some(costs),
    );
    assert_eq!((report.calls_for, report.send_again, report.hash_differs), (Call::Addition, true, true));
    let text = report.text();
    for said in [
        "contacts (i): an addition",
        "mappings.properties.a.ignore_above: \"1\" -> \"2\"",
        "`tributary reindex contacts`",
        "1000 documents, about 2 min",
        "6 MiB instead of 3 MiB",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["calls_for"], &json["estimate"]["seconds"]), (&json!("addition"), &json!(100)));
    let same = MappingReport::new(
        "contacts",
        "i",
        &live(&mapping(2), &json!({})),
        &file,
        "h",
        &shape(1),
        Some(costs),
    );
    assert!(same.text().ends_with("nothing to do"), "{}", same.text());
    let embedded = MappingReport::of_embedded(
        "contacts",
        "i",
        &json!({"shape": 1, "mapping_hash": "h"}),
        &file,
        "other",
        &shape(1),
        None,
    );
    assert!(embedded.calls_for == Call::Nothing && embedded.text().contains("does not keep the file"));
}

#[test]
fn an_estimate_bears_any_rate() {
    assert_eq!(estimate(10, 5, None).seconds, None);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(estimate(10, 5, Some(rate)).seconds, None, "{rate}");
    }
    assert_eq!(estimate(u64::MAX, u64::MAX, Some(1e-300)).seconds, Some(u64::MAX));
}
