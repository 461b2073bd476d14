//! The mapping of a projection's index, derived from the model.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::built_in_model;
use super::join;
use super::parts::parts;
use super::types::{DeclaredType, Embed, Layout, Model, PathKind, Projection, Relation, Search};

/// The limits of an index that says nothing of them
/// (<https://www.elastic.co/docs/reference/elasticsearch/index-settings/mapping-limit>).
const NESTED_DEFAULT: u64 = 10_000;
const FIELDS_DEFAULT: u64 = 1_000;
/// No document of this many objects fits into a request.
const NESTED_MAX: u64 = 10_000_000;

/// The longest text that is searched as a whole; a longer one stays in the document.
const KEYWORD_MAX: u32 = 1_024;

/// The mapping of a projection as the text of a file in `index.mappings`.
#[expect(clippy::expect_used, reason = "tests read the built-in texts, and a value of JSON can be written")]
pub fn text(model: &Model, projection: &Projection) -> String {
    let own = built_in_model::mapping(&projection.name).filter(|_| model.is_built_in);
    let mut mapping = match own {
        Some(text) if projection.layout == Layout::Nested => return text.to_owned(),
        Some(text) => serde_json::from_str(text).expect("a built-in mapping in JSON"),
        None => derive(model, projection),
    };
    let joined: Vec<&str> = projection.child_embeds().map(|(embed, _)| embed.name.as_str()).collect();
    join::apply(&mut mapping, &projection.name, &joined);
    if own.is_none() {
        raise_limits(&mut mapping, projection);
    }
    serde_json::to_string_pretty(&mapping).expect("a mapping as JSON") + "\n"
}

/// How documents of a projection look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// A number that changes when documents look different, or are found by other words.
    pub number: u32,
    /// The parts of the model that make the number, each as a text; none of the built-in model.
    pub parts: BTreeMap<String, String>,
}

/// The shape of a projection's documents; `None` for one of the built-in model, whose shape is the program's, unless its members
/// are children.
pub fn shape(model: &Model, projection: &Projection) -> Option<Shape> {
    if model.is_built_in && projection.layout == Layout::Nested {
        return None;
    }
    Some(Shape::of(parts(model, projection)))
}

impl Shape {
    /// The shape that these parts make.
    pub fn of(parts: BTreeMap<String, String>) -> Self {
        let hash = xxh3_64(format!("{parts:?}").as_bytes());
        // Small numbers are the program's own.
        let number = u32::try_from(hash >> 32).map_or(u32::MAX, |number| number | 1 << 31);
        Self { number, parts }
    }
}

/// The mapping that follows from the model, with members within their owners.
///
/// A member that only `any` and computed members may hold is kept in the document and not indexed. The reason is that
/// an index takes values of one type only. An embed by `from` is `nested` where search or a filter looks into it.
fn derive(model: &Model, projection: &Projection) -> Value {
    let derivation = Derivation { model, projection };
    let mut properties = derivation.own();
    for (embed, path) in projection.embeds.iter().map(|embed| (embed, embed.name.clone())) {
        derivation.put_embed(&mut properties, embed, &path);
    }
    for compute in &projection.compute {
        properties.insert(compute.name.clone(), value_without_index());
    }
    if let Some(search) = &projection.search {
        properties.insert("_search".to_owned(), search_properties(search));
    }
    properties.insert("_log".to_owned(), value_without_index());
    let mut settings = Map::new();
    settings.insert("number_of_shards".to_owned(), 1.into());
    for (name, value) in [("auto_expand_replicas", "0-1"), ("refresh_interval", "1s"), ("gc_deletes", "1h")] {
        settings.insert(name.to_owned(), value.into());
    }
    json!({"settings": {"index": settings}, "mappings": {"dynamic": "strict", "properties": properties}})
}

/// Raises the limits of an index that are too low for a mapping as it is sent, or for its documents.
fn raise_limits(mapping: &mut Value, projection: &Projection) {
    let properties = mapping.pointer("/mappings/properties").and_then(Value::as_object);
    let needed = properties.map(|properties| (count_nested(properties, projection), fields_of(properties)));
    let settings = mapping.pointer_mut("/settings/index").and_then(Value::as_object_mut);
    let Some(((nested, fields), settings)) = needed.zip(settings) else { return };
    let limits = [
        ("mapping.nested_objects.limit", nested, NESTED_DEFAULT),
        ("mapping.total_fields.limit", fields, FIELDS_DEFAULT),
    ];
    for (name, needed, _) in limits.into_iter().filter(|(_, needed, default)| needed > default) {
        // A round number stays when a field is added.
        settings.insert(name.to_owned(), needed.div_ceil(1_000).saturating_mul(1_000).into());
    }
}

/// The most nested objects that a document may hold: its members that are mapped so, and those within each. A child is a
/// document that holds those within it.
fn count_nested(properties: &Map<String, Value>, projection: &Projection) -> u64 {
    fn within(properties: &Map<String, Value>, embed: &Embed) -> u64 {
        let inner = properties.get(&embed.name).and_then(|mapping| mapping.get("properties")?.as_object());
        inner.map_or(0, |inner| {
            embed.embeds.iter().map(|embed| most(inner, embed)).fold(0, u64::saturating_add)
        })
    }
    fn most(properties: &Map<String, Value>, embed: &Embed) -> u64 {
        let within = within(properties, embed);
        let is_nested =
            || properties.get(&embed.name).and_then(|mapping| mapping.get("type")) == Some(&json!("nested"));
        match &embed.relation {
            Relation::From(from) => {
                u64::from(from.max).saturating_mul(within.saturating_add(is_nested().into()))
            }
            _ => within,
        }
    }
    let joined: Vec<&Embed> = projection.child_embeds().map(|(embed, _)| embed).collect();
    let is_joined = |embed: &&Embed| joined.iter().any(|joined| joined.name == embed.name);
    let own = projection.embeds.iter().filter(|embed| !is_joined(embed)).map(|embed| most(properties, embed));
    let children = joined.iter().map(|embed| within(properties, embed));
    children.fold(own.fold(0, u64::saturating_add), u64::max).min(NESTED_MAX)
}

/// How many fields a mapping has, objects and subfields among them.
fn fields_of(properties: &Map<String, Value>) -> u64 {
    let of = |mapping: &Value| {
        let inner = ["properties", "fields"].into_iter().filter_map(|name| mapping.get(name)?.as_object());
        1 + inner.map(fields_of).sum::<u64>()
    };
    properties.values().map(of).sum()
}

struct Derivation<'a> {
    model: &'a Model,
    projection: &'a Projection,
}

impl Derivation<'_> {
    /// The id, the mark of a stub, the shown fields and the member of undeclared ones.
    fn own(&self) -> Map<String, Value> {
        let projection = self.projection;
        let mut properties = Map::new();
        properties.insert("id".to_owned(), keyword());
        if !projection.stubs.is_empty() {
            properties.insert("stub".to_owned(), json!({"type": "boolean"}));
        }
        let search = projection.search.as_ref();
        for name in &projection.show {
            let Some(kind) = self.kind(&projection.of, name) else { continue };
            let is_phone = search.is_some_and(|search| search.phones.contains(name));
            let value = if search.is_some_and(|search| search.title == *name) {
                title()
            } else {
                field(kind, is_phone)
            };
            properties.insert(name.clone(), value);
        }
        if let Some(rest) = &projection.rest {
            properties.insert(rest.clone(), object_of_any_members());
        }
        properties
    }

    fn kind(&self, entity: &str, field: &str) -> Option<&DeclaredType> {
        self.model.entity(entity)?.field(field).map(|field| &field.kind)
    }

    /// An embed at a path, and the members that it has beside its own.
    fn put_embed(&self, to: &mut Map<String, Value>, embed: &Embed, path: &str) {
        let is_phone = |name: &String| {
            let search = self.projection.search.as_ref();
            let embeds = search.into_iter().flat_map(|search| &search.embeds);
            embeds.filter(|inner| inner.embed == path).any(|inner| inner.phones.contains(name))
        };
        let mut properties = Map::new();
        properties.insert("id".to_owned(), keyword());
        for name in &embed.show {
            if let Some(kind) = self.kind(&embed.entity, name) {
                properties.insert(name.clone(), field(kind, is_phone(name)));
            }
        }
        for inner in &embed.embeds {
            self.put_embed(&mut properties, inner, &format!("{path}.{}", inner.name));
        }
        let flag = |to: &mut Map<String, Value>, name: &Option<String>, kind: &str| {
            if let Some(name) = name {
                to.insert(name.clone(), json!({"type": kind}));
            }
        };
        let value = match &embed.relation {
            Relation::Above { ids: true, .. } => keyword(),
            Relation::From(_) if self.is_searched(path) => {
                if self.has_words(path) {
                    properties.insert("_search".to_owned(), words());
                }
                json!({"type": "nested", "dynamic": "strict", "properties": properties})
            }
            _ => json!({"properties": properties}),
        };
        to.insert(embed.name.clone(), value);
        match &embed.relation {
            Relation::Reference { .. } => {}
            Relation::Above { cycle, .. } => flag(to, cycle, "boolean"),
            Relation::From(from) => {
                flag(to, &from.count, "integer");
                flag(to, &from.truncated, "boolean");
                flag(to, &from.descendants, "integer");
            }
        }
    }

    fn has_words(&self, path: &str) -> bool {
        let search = self.projection.search.as_ref();
        search.is_some_and(|search| search.embeds.iter().any(|embed| embed.embed == path))
    }

    /// True when words or filters look into the embed, so that they have to hold of one and the same member.
    fn is_searched(&self, path: &str) -> bool {
        let filters = self.projection.search.iter().flat_map(|search| &search.filters);
        let goes_through = |embeds: &[String]| {
            (1..=embeds.len()).any(|depth| embeds.get(..depth).is_some_and(|way| way.join(".") == path))
        };
        self.has_words(path) || filters.into_iter().any(|filter| goes_through(&filter.target.embeds))
    }
}

fn keyword() -> Value {
    json!({"type": "keyword", "ignore_above": KEYWORD_MAX})
}

fn object_of_any_members() -> Value {
    json!({"type": "flattened", "ignore_above": KEYWORD_MAX, "depth_limit": 40})
}

/// Any value: it is kept, and no index is made of it.
fn value_without_index() -> Value {
    json!({"type": "object", "enabled": false})
}

/// The words that search compares, each behind the mark of its class.
fn words() -> Value {
    json!({"type": "text", "analyzer": "whitespace", "norms": false, "index_options": "positions"})
}

fn title() -> Value {
    json!({"type": "text", "copy_to": "_search.sort", "fields": {"keyword": keyword()}})
}

fn field(kind: &DeclaredType, is_phone: bool) -> Value {
    match kind {
        DeclaredType::String | DeclaredType::Strings if is_phone => json!({
            "type": "keyword", "ignore_above": KEYWORD_MAX,
            "fields": {"words": {"type": "text", "norms": false, "index_options": "docs"}},
        }),
        DeclaredType::String | DeclaredType::Strings | DeclaredType::Reference { .. } => keyword(),
        DeclaredType::Date => {
            json!({"type": "date", "format": "strict_date_optional_time", "ignore_malformed": true})
        }
        // A number that the index cannot hold stays in the document.
        DeclaredType::Number => json!({"type": "double", "ignore_malformed": true}),
        DeclaredType::Integer => json!({"type": "long", "ignore_malformed": true}),
        DeclaredType::Boolean => json!({"type": "boolean"}),
        DeclaredType::Object | DeclaredType::Address => object_of_any_members(),
        DeclaredType::Any => value_without_index(),
    }
}

/// The members that the program writes for search: the title's order, the words, and the values of computed members
/// that are filters.
fn search_properties(search: &Search) -> Value {
    let mut properties = json!({
        "sort": {"type": "keyword", "index": false, "normalizer": "lowercase", "ignore_above": KEYWORD_MAX},
        "words": words(),
    });
    let computed = search.filters.iter().filter(|filter| filter.target.kind == PathKind::Computed);
    let value = json!({
        "type": "keyword", "ignore_above": KEYWORD_MAX,
        "fields": {"number": {"type": "double", "ignore_malformed": true}},
    });
    let filters: Map<String, Value> = computed.map(|filter| (filter.name.clone(), value.clone())).collect();
    if let (false, Some(properties)) = (filters.is_empty(), properties.as_object_mut()) {
        properties.insert("filters".to_owned(), json!({"properties": filters}));
    }
    json!({"properties": properties})
}
