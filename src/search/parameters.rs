//! From the parameters of a request to a [`Request`]. Every limit of a request is here.

use super::cursor::Cursor;
use super::filter;
use super::query::{FilterField, FilterValue, Request, SIZE_MAX, Term};
use super::sort::Sort;
use super::token::{QueryParts, parse};
use crate::error::{Error, Result};
use crate::plan::Collection;
use crate::position::{Positions, TopicPartition};

/// The longest `q`, in letters.
const Q_LETTERS_MAX: usize = 1_000;
/// The most words of one query.
const TERMS_MAX: usize = 32;
/// The most filters of one query.
const FILTERS_MAX: usize = 32;
/// The longest cursor, in bytes: it holds an id and a name.
const CURSOR_BYTES_MAX: usize = 16_384;
/// The longest filter value or id, in bytes.
const VALUE_BYTES_MAX: usize = 2_048;
/// How long it waits at most.
const TIMEOUT_MS_MAX: u64 = 60_000;

/// The names of all parameters.
pub const PARAMETERS: &[&str] = &[
    "q",
    "in",
    "under",
    "filter",
    "sort",
    "size",
    "after",
    "facets",
    "consistent_with",
    "timeout",
    "allow_partial",
];

impl Request {
    /// Reads the parameters of docs/api.md. The first of the collections is searched when none is named.
    ///
    /// # Errors
    /// For an unknown parameter, one that is given twice, and a value that is none. The error says which values may
    /// be given.
    pub fn parse<'a>(
        collections: &[Collection],
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let mut parameters = Parameters::default();
        for (name, value) in pairs {
            parameters.take(name, value)?;
        }
        parameters.request(collections)
    }

    /// The parts of this search that its cursors depend on.
    pub(super) fn identity(&self) -> String {
        let Self { terms, excluded, collection, under, filters, sort, .. } = self;
        let filters: Vec<_> = filters.iter().map(|(field, value)| (field.name, value)).collect();
        let sort = sort.map(|sort| (sort.by.name, sort.descending));
        format!("{terms:?} {excluded:?} {} {under:?} {filters:?} {sort:?}", collection.name())
    }
}

#[derive(Default)]
struct Parameters<'a> {
    single: Vec<(&'a str, &'a str)>,
    filters: Vec<&'a str>,
    facets: Vec<&'a str>,
}

impl<'a> Parameters<'a> {
    fn take(&mut self, name: &'a str, value: &'a str) -> Result<()> {
        let known = PARAMETERS.iter().find(|known| **known == name);
        let Some(known) = known else {
            let shown: String = name.chars().take(40).collect();
            return Err(Error::usage(format!("{shown:?} is no parameter; {}", PARAMETERS.join(", "))));
        };
        let max = if *known == "after" { CURSOR_BYTES_MAX } else { VALUE_BYTES_MAX };
        if value.len() > max && *known != "q" {
            return Err(Error::usage(format!("{known}: at most {max} bytes")));
        }
        match *known {
            "filter" => self.filters.push(value),
            "facets" => self.facets.extend(value.split(',').filter(|field| !field.is_empty())),
            known if self.value(known).is_some() => {
                return Err(Error::usage(format!("{known}: given twice; once is enough")));
            }
            known => self.single.push((known, value)),
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.single.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn request(self, collections: &[Collection]) -> Result<Request> {
        let collection = collection(collections, self.value("in"))?;
        let everything = Request::of(collection);
        let mut request = Request {
            under: self.value("under").map(|id| under(collection, id)).transpose()?,
            filters: filters(&self.filters, collection)?,
            sort: self.value("sort").map(|name| Sort::of_name(name, collection)).transpose()?.flatten(),
            size: self.value("size").map(size).transpose()?.unwrap_or(everything.size),
            consistent_with: self.value("consistent_with").map(positions).transpose()?.unwrap_or_default(),
            timeout_ms: self.value("timeout").map(timeout).transpose()?.unwrap_or(everything.timeout_ms),
            allow_partial: self.value("allow_partial").map(choice).transpose()?.unwrap_or_default(),
            ..everything
        };
        for field in &self.facets {
            let field = field_of_name(field, collection)?;
            if !request.facets.contains(&field) {
                request.facets.push(field);
            }
        }
        if let Some(q) = self.value("q") {
            let QueryParts { terms, excluded, whole } = words(q)?;
            // A query without a word in it finds nothing, which is not the same as no query. One of exclusions alone finds
            // everything else.
            request.terms = Some(terms).filter(|terms| !terms.is_empty() || excluded.is_empty());
            (request.excluded, request.whole) = (excluded, whole);
        }
        let after = self.value("after").map(|after| Cursor::parse(after, &request.identity(), request.sort));
        request.after = after.transpose()?;
        Ok(request)
    }
}

/// The collection of that name, or the first.
fn collection(collections: &[Collection], name: Option<&str>) -> Result<Collection> {
    let Some(first) = collections.first() else {
        return Err(Error::usage(
            "no projection that is kept says how it is searched; add [projections.NAME.search]",
        ));
    };
    let Some(name) = name else { return Ok(*first) };
    collections.iter().copied().find(|collection| collection.name() == name).ok_or_else(|| {
        let names: Vec<&str> = collections.iter().map(|collection| collection.name()).collect();
        Error::usage(format!("in: {name:?} is no collection; {}", names.join(" or ")))
    })
}

fn under(collection: Collection, id: &str) -> Result<String> {
    match collection.get().under {
        Some(_) => Ok(id.to_owned()),
        None => Err(Error::usage(format!(
            "under: {} are in no tree by which they are searched",
            collection.name()
        ))),
    }
}

fn field_of_name(name: &str, collection: Collection) -> Result<FilterField> {
    let known = &collection.get().filters;
    known.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|field| field.name).collect();
        Error::usage(format!("{name:?} is no field of {}; {}", collection.name(), names.join(", ")))
    })
}

fn choice(text: &str) -> Result<bool> {
    text.parse().map_err(|_| Error::usage("allow_partial: true or false"))
}

fn words(q: &str) -> Result<QueryParts> {
    if q.chars().count() > Q_LETTERS_MAX {
        return Err(Error::usage(format!("q: at most {Q_LETTERS_MAX} letters")));
    }
    let parsed = parse(q);
    if parsed.terms.iter().chain(&parsed.excluded).flat_map(Term::words).count() > TERMS_MAX {
        return Err(Error::usage(format!("q: at most {TERMS_MAX} words")));
    }
    Ok(parsed)
}

fn filters(texts: &[&str], collection: Collection) -> Result<Vec<(FilterField, FilterValue)>> {
    if texts.len() > FILTERS_MAX {
        return Err(Error::usage(format!("filter: at most {FILTERS_MAX}")));
    }
    let mut filters = Vec::new();
    // A form that is sent with an empty field asks for nothing by it.
    for filter in texts.iter().filter(|filter| !filter.is_empty()) {
        let Some((field, value)) = filter.split_once(':') else {
            return Err(Error::usage("filter: field:value was expected, as in status:active"));
        };
        let field = field_of_name(field, collection)?;
        let filter = (field, filter::parse(field, value)?);
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    Ok(filters)
}

fn size(text: &str) -> Result<usize> {
    let size = text.parse().ok().filter(|size| (1..=SIZE_MAX).contains(size));
    size.ok_or_else(|| Error::usage(format!("size: a number from 1 to {SIZE_MAX}")))
}

/// A time as `5s`, `500ms` or `5` (seconds).
fn timeout(text: &str) -> Result<u64> {
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1_000),
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    ms.filter(|ms| *ms <= TIMEOUT_MS_MAX)
        .ok_or_else(|| Error::usage("timeout: a time up to 60s, as in 500ms or 5s"))
}

/// `topic/partition:offset`, several by commas: each partition with the offset after the record.
fn positions(text: &str) -> Result<Positions> {
    let wrong = || Error::usage("consistent_with: topic/partition:offset was expected, as in a-topic/3:77");
    let mut positions = Positions::default();
    for token in text.split(',') {
        let (partition, offset) = token.trim().rsplit_once(':').ok_or_else(wrong)?;
        let (topic, partition) = partition.rsplit_once('/').ok_or_else(wrong)?;
        let partition = partition.parse::<i32>().ok().filter(|number| *number >= 0).ok_or_else(wrong)?;
        let next = offset.parse::<i64>().ok().filter(|offset| *offset >= 0).and_then(|o| o.checked_add(1));
        if topic.is_empty() {
            return Err(wrong());
        }
        positions.advance(&TopicPartition::new(topic, partition), next.ok_or_else(wrong)?);
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::builtin;

    fn parse(pairs: &[(&str, &str)]) -> Result<Request> {
        let collections: Vec<Collection> = builtin().collections().collect();
        Request::parse(&collections, pairs.iter().copied())
    }

    #[test]
    fn defaults_and_values() {
        let none = parse(&[]).unwrap();
        assert_eq!((none.size, none.terms, none.timeout_ms), (10, None, 5_000));
        let pairs = [("in", "contacts"), ("filter", "role:a:b"), ("facets", "tag,role,tag")];
        let request = parse(&pairs).unwrap();
        assert_eq!(request.terms, None);
        let filters: Vec<_> =
            request.filters.iter().map(|(field, value)| (field.name, value.clone())).collect();
        assert_eq!(filters, [("role", FilterValue::Text("a:b".to_owned()))]);
        assert_eq!(parse(&[("filter", ""), ("filter", "")]).unwrap().filters, []);
        assert_eq!(request.facets.iter().map(|field| field.name).collect::<Vec<_>>(), ["tag", "role"]);
        for no_word in ["*:*", "  ", ""] {
            assert_eq!(parse(&[("q", no_word)]).unwrap().terms, Some(Vec::new()), "{no_word:?}");
        }
        let request = parse(&[("consistent_with", "a/b/3:77, c/0:0"), ("timeout", "250ms")]).unwrap();
        assert_eq!(request.consistent_with.get(&TopicPartition::new("a/b", 3)), Some(78));
        assert_eq!(request.timeout_ms, 250);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_name() {
        let long = "a".repeat(10_000);
        let many = (0..40).map(|n| format!("w{n} ")).collect::<String>();
        let wrong = [
            ("q", long.as_str()),
            ("q", many.as_str()),
            ("in", "people"),
            ("filter", "status"),
            ("filter", "name:x"),
            ("size", "0"),
            ("size", "101"),
            ("size", "ten"),
            ("facets", "name"),
            ("after", "not-a-cursor"),
            ("consistent_with", "contacts:3"),
            ("consistent_with", ""),
            ("consistent_with", "contacts/0:9223372036854775807"),
            ("timeout", "1h"),
            ("sort", "score"),
            ("order", "name"),
        ];
        for (name, value) in wrong {
            let error = parse(&[(name, value)]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{name}={value}");
            assert!(error.chain().len() < 300);
        }
        assert!(parse(&[("in", "contacts"), ("filter", "country:GB")]).is_err());
        assert!(parse(&[("q", "a"), ("q", "b")]).is_err());
    }
}
