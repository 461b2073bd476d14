//! Models and histories that are drawn.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use tributary::model::{DeclaredType, Model};

/// The effect of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Replace,
    Merge,
    Delete,
}

/// An event of an entity.
#[derive(Debug, Clone)]
pub struct Event {
    /// The number of its entity type.
    pub entity: usize,
    pub id: String,
    pub verb: Verb,
    pub fields: Map<String, Value>,
}

/// The producer's word for the name where a model says so.
const WRITTEN: &str = "written";

/// The program over the data of events where a model has one: a producer counts from 0, and the entities from 1.
const TRANSFORMED: &str = "if .n != null then .n += 1 else . end";

/// The fields of every entity type beside its references.
const FIELDS: &str = r#"name = "string"
n = "integer"
flag = "boolean"
tags = "strings"
label = { type = "string", default = { join = ["name"] } }
tally = { type = "number", default = { value = 1.5 } }
seen = "date"
extra = "any"
place = "address"
box = "object"
length = { type = "integer", default = { jq = ".name | length" } }
"#;

/// The members that a projection computes.
const COMPUTED: [(&str, &str); 2] = [("next", "(.n // 0) + 1"), ("many", ".tags | length")];

/// A reference: its type, its name, the type that it names, and whether it is a list.
type Reference = (usize, String, usize, bool);

impl Event {
    /// The fields as the producer writes them.
    pub fn written(&self, model: &Model) -> Map<String, Value> {
        let renamed = &model.entities[self.entity].source.rename;
        let name = |name: &String| {
            let written = renamed.iter().find(|(_, declared)| *declared == name);
            written.map_or(name, |(written, _)| written).clone()
        };
        let is_transformed = model.entities[self.entity].transform.is_some();
        let value =
            |field: &str, value: &Value| match value.as_i64().filter(|_| is_transformed && field == "n") {
                Some(number) => json!(number - 1),
                None => value.clone(),
            };
        self.fields.iter().map(|(field, own)| (name(field), value(field, own))).collect()
    }
}

/// Draws from a seed.
pub struct Draws {
    rng: fastrand::Rng,
    types: usize,
    references: Vec<Reference>,
    names: usize,
}

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), types: 0, references: Vec::new(), names: 0 }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.rng.usize(0..end)
    }

    fn name(&mut self, begin: &str) -> String {
        self.names += 1;
        format!("{begin}{}", self.names)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// The text of a model.
    pub fn model(&mut self) -> String {
        self.types = 2 + self.below(3);
        let mut text = String::new();
        for of in 0..self.types {
            let _ = writeln!(text, "[entities.t{of}]");
            if self.chance(50) {
                let _ = writeln!(text, "rename = {{ {WRITTEN} = \"name\" }}");
            }
            if self.chance(30) {
                let _ = writeln!(text, "transform = '{TRANSFORMED}'");
            }
            let _ = writeln!(text, "[entities.t{of}.fields]\n{FIELDS}");
            for number in 0..1 + self.below(2) {
                let (to, is_list) = (self.below(self.types), self.chance(25));
                let name = format!("r{number}");
                let list = if is_list { ", list = true" } else { "" };
                let _ = writeln!(text, "{name} = {{ references = \"t{to}\"{list} }}");
                self.references.push((of, name, to, is_list));
            }
            if self.chance(60) {
                let _ = writeln!(text, "up = {{ references = \"t{of}\" }}");
                self.references.push((of, "up".to_owned(), of, false));
            }
        }
        for number in 0..1 + self.below(3) {
            let of = self.below(self.types);
            let _ = writeln!(text, "[projections.p{number}]\nof = \"t{of}\"");
            if self.chance(80) {
                let _ = writeln!(text, "show = {}", self.show());
            }
            if self.chance(40) {
                text += "rest = \"rest\"\n";
            }
            let has_conditions = self.chance(20);
            if has_conditions {
                let _ = writeln!(text, "where = {}", self.conditions());
            }
            let path = format!("projections.p{number}");
            let (mut embeds, mut stubs) = (String::new(), Vec::new());
            for _ in 0..self.below(4) {
                if let (Some(name), true) =
                    (self.embed(&mut embeds, &path, of, 1), !has_conditions && self.chance(50))
                {
                    stubs.push(name);
                }
            }
            if !stubs.is_empty() {
                let _ = writeln!(text, "stubs = {stubs:?}");
            }
            text += &embeds;
            if self.chance(30) {
                let _ = writeln!(text, "[{path}.compute]");
                for (name, program) in COMPUTED {
                    let _ = writeln!(text, "{name} = '{program}'");
                }
            }
        }
        text
    }

    fn show(&mut self) -> String {
        let mut shown = Vec::new();
        for name in ["name", "n", "flag", "tags", "label", "tally", "seen", "extra", "place", "box", "length"]
        {
            if self.chance(30) {
                shown.push(name);
            }
        }
        format!("{shown:?}")
    }

    fn conditions(&mut self) -> String {
        match self.below(3) {
            0 => "{ flag = true }".to_owned(),
            1 => "{ tags = [\"a\", \"b\"] }".to_owned(),
            _ => "{ label = [\"x\", \"y\"] }".to_owned(),
        }
    }

    /// Appends an embed of an entity of the type `of`; answers its name where it shows entities that refer to
    /// its owner.
    fn embed(&mut self, text: &mut String, path: &str, of: usize, depth: usize) -> Option<String> {
        let path = format!("{path}.embed");
        let name = self.name("e");
        let own: Vec<Reference> = self.references.iter().filter(|found| found.0 == of).cloned().collect();
        let others: Vec<Reference> = self.references.iter().filter(|found| found.2 == of).cloned().collect();
        let mut head = format!("[[{path}]]\nas = \"{name}\"\n");
        let choice = self.below(3);
        let (to, is_from) = match choice {
            0 if own.iter().any(|found| found.1 == "up") => {
                head += "above = \"up\"\n";
                if self.chance(40) {
                    let _ = writeln!(head, "cycle = \"{}\"", self.name("y"));
                }
                if self.chance(40) {
                    *text += &head;
                    *text += "ids = true\n";
                    return None;
                }
                let _ = writeln!(head, "show = {}", self.show());
                (of, false)
            }
            1 if !others.is_empty() => {
                // Changes travel farthest in trees.
                let up = others.iter().find(|found| found.1 == "up").filter(|_| self.chance(50));
                let (member, field, _, is_list) = up.unwrap_or(&others[self.below(others.len())]).clone();
                let _ = writeln!(head, "from = \"t{member}.{field}\"\nshow = {}", self.show());
                let has_conditions = self.chance(20);
                if has_conditions {
                    let _ = writeln!(head, "where = {}", self.conditions());
                }
                if self.chance(60) {
                    let _ = writeln!(head, "max = {}", 1 + self.below(3));
                }
                if self.chance(60) {
                    let _ = writeln!(head, "count = \"{}\"", self.name("c"));
                }
                if self.chance(40) {
                    let _ = writeln!(head, "truncated = \"{}\"", self.name("m"));
                }
                if field == "up" && !is_list && !has_conditions && self.chance(80) {
                    let _ = writeln!(head, "descendants = \"{}\"", self.name("d"));
                }
                (member, true)
            }
            _ => {
                let (_, field, to, _) = own[self.below(own.len())].clone();
                let _ = writeln!(head, "reference = \"{field}\"\nshow = {}", self.show());
                (to, false)
            }
        };
        *text += &head;
        while depth < 4 && self.chance(30) {
            self.embed(text, &path, to, depth + 1);
        }
        is_from.then_some(name)
    }

    /// An event of one of the model's entities.
    pub fn event(&mut self, model: &Model) -> Event {
        let number = self.below(model.entities.len());
        let entity = &model.entities[number];
        let verb = match self.below(10) {
            0 => Verb::Delete,
            1..5 => Verb::Replace,
            _ => Verb::Merge,
        };
        let mut fields = Map::new();
        for field in &entity.fields {
            if self.chance(50) {
                fields.insert(field.name.clone(), self.value(&field.kind));
            }
        }
        if self.chance(20) {
            fields.insert("other".to_owned(), json!([1, {"k": "v"}]));
        }
        if verb == Verb::Delete {
            fields.clear();
        }
        Event { entity: number, id: self.id(), verb, fields }
    }

    fn id(&mut self) -> String {
        format!("x{}", self.below(5))
    }

    fn value(&mut self, kind: &DeclaredType) -> Value {
        if self.chance(15) {
            return Value::Null;
        }
        match kind {
            DeclaredType::Integer => json!(self.below(3)),
            DeclaredType::Number => [json!(0), json!(-2), json!(0.25)][self.below(3)].clone(),
            DeclaredType::Date => json!(["2026-01-02T03:04:05Z", "2026-02", "soon"][self.below(3)]),
            DeclaredType::Any => {
                [json!(false), json!({"k": [null]}), json!([]), json!(1)][self.below(4)].clone()
            }
            DeclaredType::Object => [json!({"a": {"b": [1, null]}}), json!({})][self.below(2)].clone(),
            DeclaredType::Address => [json!({"city": "x", "zip": null}), json!({})][self.below(2)].clone(),
            DeclaredType::Boolean => json!(self.chance(60)),
            DeclaredType::Strings => {
                json!((0..self.below(3)).map(|_| ["a", "c"][self.below(2)]).collect::<Vec<_>>())
            }
            DeclaredType::Reference { list: true, .. } => {
                json!((0..self.below(4)).map(|_| self.id()).collect::<Vec<_>>())
            }
            DeclaredType::Reference { .. } => json!(self.id()),
            _ => json!(["", "x", "y\"", "z"][self.below(4)]),
        }
    }
}
