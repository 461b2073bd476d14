//! The mapping of a projection's index, and the hash that tells one mapping from another.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, ErrorKind, Result};
use crate::model::mapping::Shape;
use crate::plan::Projection;
use crate::sink::difference::{
    Call, MappingDifference, calls_for, differences, differences_of_embedded, shapes,
};
use crate::sink::generations::{Description, GenerationSummary, Rebuild};
use crate::sink::mappings::{Mappings, join_children, paths_of_filters};
use crate::time::compact;

/// The settings that a load does without.
const LOADING: [&str; 3] = ["refresh_interval", "number_of_replicas", "auto_expand_replicas"];

/// How an index fits the mapping that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It was built with it.
    Same,
    /// It was built with another one, and a rollback put it back.
    RolledBack,
    /// It was built with another one, and takes the missing parts in place.
    Additions,
}

impl Fit {
    /// Says why an index with another mapping is written.
    pub(crate) fn tell(self, projection: Projection, index: &str) {
        if self == Self::RolledBack {
            let projection = projection.name();
            tracing::info!(
                projection,
                index,
                "the index that a rollback put back stays in use; `tributary reindex {projection}` builds one with the \
                 mapping's file as it is"
            );
        }
    }
}

/// Settings and mappings of an index.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) projection: Projection,
    /// The prefix of its alias and its indexes (`index.prefix`).
    prefix: String,
    pub(crate) body: Value,
    /// 32 hexadecimal digits over the canonical JSON.
    pub(crate) hash: String,
    /// The documents' shape.
    pub(crate) shape: Shape,
    /// The paths of objects with any members that filters look into.
    pub(crate) filtered: Vec<String>,
}

/// The parts of a mapping that an index lacks and takes in place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Additions {
    /// The settings, by their whole names.
    pub(crate) settings: Map<String, Value>,
    /// True when a document shows some of it only once it is written again.
    pub(crate) send_again: bool,
    /// Where they are, as in the mapping's file.
    paths: Vec<String>,
}

impl Additions {
    fn of(differences: &[MappingDifference]) -> Option<Self> {
        if calls_for(differences) == Call::Rebuild {
            return None;
        }
        let mut additions = Self::default();
        for difference in differences.iter().filter(|difference| difference.calls_for == Call::Addition) {
            additions.send_again |= difference.send_again;
            additions.paths.push(difference.path.clone());
            if let Some(name) = difference.path.strip_prefix("settings.index.") {
                additions.settings.insert(name.to_owned(), difference.after.clone());
            }
        }
        Some(additions)
    }

    /// Leaves out the settings that an index does without while it is filled: it gets them with the rest once it is
    /// full.
    pub(crate) fn leave_out_loading(&mut self) {
        self.settings.retain(|name, _| !LOADING.contains(&name.as_str()));
    }

    /// Logs the additions that were put in place.
    pub(crate) fn tell(&self, projection: Projection, index: &str) {
        let projection = projection.name();
        let (differences, send_again) = (self.paths.join(", "), self.send_again);
        tracing::info!(
            projection,
            index,
            differences,
            send_again,
            "the mapping's additions are put in place"
        );
    }
}

/// Puts the index's own note beside the file's entries in `_meta`.
fn insert_meta(mappings: &mut Value, meta: Value) {
    let Some(mappings) = mappings.as_object_mut() else { return };
    let entries = mappings.entry("_meta").or_insert_with(|| json!({}));
    if !entries.is_object() {
        *entries = json!({});
    }
    if let Some(entries) = entries.as_object_mut() {
        entries.insert("tributary".to_owned(), meta);
    }
}

/// The faults of mapping files, each with its projection.
pub(crate) type MappingFaults = Vec<(Projection, Error)>;

impl Mapping {
    /// The mapping of each projection, and the fault of each file that cannot be read. The mapping of the model then
    /// stands for that file, so that all else can be looked at.
    ///
    /// # Errors
    /// When the model gives no mapping to a projection, which is a bug.
    pub(crate) fn load_each(
        from: &Mappings,
        projections: &[Projection],
    ) -> Result<(Vec<Self>, MappingFaults)> {
        let (mut mappings, mut wrong) = (Vec::new(), Vec::new());
        for projection in projections.iter().copied() {
            mappings.push(match Self::load(from, projection) {
                Ok(mapping) => mapping,
                Err(error) => {
                    wrong.push((projection, error));
                    Self::of_model(from, projection)?
                }
            });
        }
        Ok((mappings, wrong))
    }

    /// The mapping that follows from the model. A file in the folder does not count.
    fn of_model(from: &Mappings, projection: Projection) -> Result<Self> {
        let body: Value = serde_json::from_str(from.mapping_text(projection)?).map_err(|error| {
            let name = projection.name();
            let what = format!("the model's mapping of {name} is no JSON; this is a bug, report it");
            Error::failure(what).because(error)
        })?;
        Ok(Self::of(from, projection, body))
    }

    /// `<projection>.json` of `folder`, or the one that follows from the model when the file is not there.
    pub(crate) fn load(from: &Mappings, projection: Projection) -> Result<Self> {
        let path = from.folder.join(format!("{}.json", projection.name()));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                from.mapping_text(projection)?.to_owned()
            }
            Err(error) => {
                let what = format!("index.mappings: the mapping {} cannot be read", path.display());
                return Err(Error::usage(what).because(error));
            }
        };
        let wrong =
            |what: &str| Error::usage(format!("index.mappings: the mapping {}: {what}", path.display()));
        let body: Value = serde_json::from_str(&text).map_err(|error| wrong("no JSON").because(error))?;
        if !body.get("mappings").is_some_and(Value::is_object) {
            return Err(wrong("an object with `mappings`, and `settings` beside it, was expected"));
        }
        Ok(Self::of(from, projection, body))
    }

    fn of(from: &Mappings, projection: Projection, mut body: Value) -> Self {
        join_children(projection, &mut body);
        // Keys are sorted when a value is written, so that order and spaces make no difference.
        let hash = format!("{:032x}", xxh3_128(body.to_string().as_bytes()));
        let (shape, filtered) = (from.shape(projection), paths_of_filters(projection));
        let prefix = from.prefix.clone();
        Self { projection, prefix, body, hash, shape, filtered }
    }

    /// The body that creates an index with this mapping, its aliases for readers and for the writer, and `_meta`. The
    /// index is to be filled first, so it has no refreshes and no replicas. Where readers are not to see it yet,
    /// `alias` is the writer's as well.
    pub(crate) fn loading_body(&self, alias: &str, writer: &str, log_identity: &str) -> Value {
        let mut mappings = self.body.get("mappings").cloned().unwrap_or_default();
        insert_meta(&mut mappings, self.meta(log_identity));
        let mut settings = self.body.get("settings").cloned().unwrap_or_else(|| json!({}));
        if let Some(settings) = settings.as_object_mut() {
            for name in LOADING {
                settings.remove(name);
                settings.remove(&format!("index.{name}"));
                settings.get_mut("index").and_then(Value::as_object_mut).map(|index| index.remove(name));
            }
            settings.insert("index.refresh_interval".to_owned(), json!("-1"));
            settings.insert("index.number_of_replicas".to_owned(), json!(0));
        }
        json!({"settings": settings, "mappings": mappings, "aliases": { alias: {}, writer: {} }})
    }

    /// As [`Self::loading_body`], for the first index behind `alias`: the cluster then refuses a second one that another
    /// instance makes at the same time.
    pub(crate) fn first_body(&self, alias: &str, writer: &str, log_identity: &str) -> Value {
        let mut body = self.loading_body(alias, writer, log_identity);
        if let Some(alias) = body.pointer_mut("/aliases").and_then(|aliases| aliases.get_mut(alias)) {
            *alias = json!({"is_write_index": true});
        }
        body
    }

    /// How often the index refreshes itself; `None` for never. A server that is told nothing does so each second
    /// (<https://www.elastic.co/docs/reference/elasticsearch/index-settings/index-modules>).
    pub(crate) fn refresh_interval(&self) -> Option<Duration> {
        let settings = self.service_settings();
        let text = match settings.pointer("/index/refresh_interval") {
            None | Some(Value::Null) => "1s",
            Some(interval) => interval.as_str()?,
        };
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let seconds = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "micros" => 1e-6,
            "nanos" => 1e-9,
            _ => return None,
        };
        Duration::try_from_secs_f64(number * seconds).ok()
    }

    /// The settings that [`Self::loading_body`] left out, as the mapping has them; null is the server's default.
    pub(crate) fn service_settings(&self) -> Value {
        let settings = self.body.get("settings");
        let setting = |name: &str| {
            let settings = settings?;
            let inside = settings.get("index").and_then(|index| index.get(name));
            settings.get(name).or_else(|| settings.get(format!("index.{name}"))).or(inside).cloned()
        };
        let expands = setting("auto_expand_replicas")
            .is_some_and(|range| range != json!("false") && range != json!(false));
        let pairs = LOADING.iter().filter_map(|name| match setting(name) {
            // The server counts replicas by itself then; a number would only be in its way.
            _ if expands && *name == "number_of_replicas" => None,
            None if *name == "auto_expand_replicas" => None,
            value => Some(((*name).to_owned(), value.unwrap_or(Value::Null))),
        });
        json!({"index": pairs.collect::<serde_json::Map<_, _>>()})
    }

    /// The parts of this mapping that an index lacks and takes in place; `None` when only a new one can have them.
    /// `live` is the answer to `GET <index>`.
    pub(crate) fn additions(&self, live: &Value) -> Option<Additions> {
        Additions::of(&differences(live, &self.body, &self.shape))
    }

    /// As [`Self::additions`], of an embedded index, which keeps `meta`.
    pub(crate) fn additions_of_embedded(&self, meta: &Value) -> Option<Additions> {
        // The differences are not known without the file that the index was built with.
        meta.get("mapping")?;
        Additions::of(&differences_of_embedded(meta, &self.body, &self.shape))
    }

    /// The mappings as they are put into an index that is there: `meta` is its own note from then on.
    pub(crate) fn with_meta(&self, meta: Value) -> Value {
        let mut mappings = self.body.get("mappings").cloned().unwrap_or_default();
        insert_meta(&mut mappings, meta);
        mappings
    }

    /// The own note of an embedded index: the file is in it too, to compare another one with.
    pub(crate) fn meta_of_embedded(&self, log_identity: &str) -> Value {
        let mut meta = self.meta(log_identity);
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("mapping".to_owned(), self.body.clone());
        }
        meta
    }

    /// The own note of an index, which tells its making.
    fn meta(&self, log_identity: &str) -> Value {
        let Self { prefix, hash, .. } = self;
        let projection = self.projection.name();
        let Shape { number, parts } = &self.shape;
        let mut meta = json!({
            "mapping_hash": hash, "shape": number, "log": log_identity, "projection": projection, "prefix": prefix,
        });
        if let (false, Some(meta)) = (parts.is_empty(), meta.as_object_mut()) {
            meta.insert("parts".to_owned(), json!(parts));
        }
        meta
    }

    /// Compares the own note of the index behind an alias with this mapping and that log. `record` is that of the
    /// projection's last rebuild: an index that a rollback put back is wanted as it is.
    ///
    /// # Errors Exit code 3 when the mapping or the documents' shape differs. 1 when the log differs, or when the
    /// index was not made by this program.
    pub(crate) fn check(
        &self,
        meta: Option<&Value>,
        alias: &str,
        index: &str,
        log_identity: &str,
        record: Option<&Rebuild>,
    ) -> Result<Fit> {
        self.check_shape(meta, alias, index, log_identity)?;
        let hash = meta.and_then(|meta| meta.get("mapping_hash")).and_then(Value::as_str);
        if hash == Some(&self.hash) {
            return Ok(Fit::Same);
        }
        if record.is_some_and(|record| record.keeps(index, &self.hash)) {
            return Ok(Fit::RolledBack);
        }
        Err(self.change_error(index))
    }

    /// The error for a mapping that the index refuses.
    pub(crate) fn refusal_error(&self, reason: &str) -> Error {
        let projection = self.projection.name();
        if reason.contains("[join]") {
            return Error::usage(format!(
                "the server has no fields of the type join, which layout = \"join\" of {projection} needs. Use a \
                 server that has \
                 the module parent-join, or layout = \"nested\": {reason}"
            ));
        }
        Error::usage(format!(
            "the index does not take the mapping of {projection}; correct {projection}.json: {reason}"
        ))
    }

    fn change_error(&self, index: &str) -> Error {
        let projection = self.projection.name();
        let message = format!(
            "the mapping of {projection} is no longer the one that {index} was built with; \
             run `tributary reindex {projection}`"
        );
        Error::new(ErrorKind::MappingChanged, message)
    }

    /// Where the documents that an index was built with have another shape than those that are wanted. `meta` is the
    /// index's own note; nothing is known of an index without one.
    pub(crate) fn other_shape(&self, meta: Option<&Value>) -> Vec<String> {
        let differences = meta.map_or(Vec::new(), |meta| shapes(meta, &self.shape));
        differences.into_iter().map(|difference| difference.path).collect()
    }

    /// As [`Self::check`], with any mapping allowed: the documents' shape and the log decide whether an instance can
    /// write there.
    pub(crate) fn check_shape(
        &self,
        meta: Option<&Value>,
        alias: &str,
        index: &str,
        log_identity: &str,
    ) -> Result<()> {
        let Some(meta) = meta else {
            return Err(Error::failure(format!(
                "the index {index} behind the alias {alias} was not made by this program; remove the alias, or set index.prefix"
            )));
        };
        let other = self.other_shape(Some(meta));
        if !other.is_empty() {
            let projection = self.projection.name();
            let message = format!(
                "{index} was built for documents of another shape than the model wants for {projection} now ({}). Run \
                 `tributary reindex {projection}`, which needs no log with --from state",
                other.join(", ")
            );
            return Err(Error::new(ErrorKind::MappingChanged, message));
        }
        let log = meta.get("log").and_then(Value::as_str).unwrap_or_default();
        if log != log_identity {
            return Err(Error::failure(format!(
                "the index {index} was built from another log ({log}) than the configured one ({log_identity}); \
                 configure that log, or set another index.prefix"
            )));
        }
        Ok(())
    }

    /// The description of an index whose mapping is `live`, beside this one. Of an embedded index `live` is its note on its
    /// making.
    pub(crate) fn describe(&self, index: GenerationSummary, live: Value, is_embedded: bool) -> Description {
        let GenerationSummary { index, documents, bytes, .. } = index;
        let (file, hash, shape) = (self.body.clone(), self.hash.clone(), self.shape.clone());
        Description { index, is_embedded, live, file, hash, shape, documents, bytes }
    }

    /// A new name for an index behind `alias`: `<alias>-<yyyymmddhhmmss>-<first 8 hex of the hash>`.
    pub(crate) fn index_name(&self, alias: &str) -> String {
        format!("{alias}-{}-{}", compact(SystemTime::now()), self.hash.get(..8).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    #[test]
    fn the_hash_goes_by_content() {
        let folder = tempfile::tempdir().unwrap();
        let load = |text: &str| {
            std::fs::write(folder.path().join("contacts.json"), text).unwrap();
            Mapping::load(&Mappings::of_built_in(folder.path()), CONTACTS).map(|mapping| mapping.hash)
        };
        let one = load(r#"{"settings":{"a":1},"mappings":{"b":2}}"#).unwrap();
        assert_eq!(one, load(r#"{ "mappings": {"b":2}, "settings": {"a":1} }"#).unwrap());
        assert_ne!(one, load(r#"{"settings":{"a":1},"mappings":{"b":3}}"#).unwrap());
        assert_eq!(load("{").unwrap_err().exit_code(), 2);
        assert_eq!(load("{}").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_refresh_interval_is_that_of_the_settings_or_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        for (interval, seconds) in [
            ("null", Some(1.0)),
            ("\"30s\"", Some(30.0)),
            ("\"200ms\"", Some(0.2)),
            ("\"-1\"", None),
            ("-1", None),
        ] {
            let text = format!(r#"{{"settings":{{"refresh_interval":{interval}}},"mappings":{{}}}}"#);
            std::fs::write(folder.path().join("contacts.json"), text).unwrap();
            let mapping = Mapping::load(&Mappings::of_built_in(folder.path()), CONTACTS).unwrap();
            assert_eq!(mapping.refresh_interval(), seconds.map(Duration::from_secs_f64), "{interval}");
        }
    }

    #[test]
    fn a_load_does_without_what_is_restored_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let load = |settings: &str| {
            let text = format!(r#"{{"settings":{settings},"mappings":{{}}}}"#);
            std::fs::write(folder.path().join("contacts.json"), text).unwrap();
            Mapping::load(&Mappings::of_built_in(folder.path()), CONTACTS).unwrap()
        };
        let flat = load(r#"{"index.number_of_replicas":2,"refresh_interval":"5s","number_of_shards":3}"#);
        let body = flat.loading_body("w", "w", "log");
        assert_eq!(
            body["settings"],
            json!({"number_of_shards":3,"index.refresh_interval":"-1","index.number_of_replicas":0})
        );
        assert_eq!(body["aliases"], json!({"w": {}}), "no reader sees it");
        let service = json!({"index":{"number_of_replicas":2,"refresh_interval":"5s"}});
        assert_eq!(flat.service_settings(), service);
        let expanding = load(r#"{"index":{"auto_expand_replicas":"0-1"}}"#);
        assert_eq!(expanding.loading_body("w", "w", "log")["settings"]["index"], json!({}));
        let service = json!({"index":{"auto_expand_replicas":"0-1","refresh_interval":null}});
        assert_eq!(expanding.service_settings(), service);
        let nothing = load("{}");
        let service = json!({"index":{"number_of_replicas":null,"refresh_interval":null}});
        assert_eq!(nothing.service_settings(), service);
    }

    #[test]
    fn built_in_mappings_stand_in() {
        let folder = tempfile::tempdir().unwrap();
        for projection in [ORGANISATIONS, CONTACTS, HIERARCHY] {
            Mapping::load(&Mappings::of_built_in(folder.path()), projection).unwrap();
        }
    }
}
