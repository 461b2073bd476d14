//! Fields of a document that show entities without a record in a partial log. The index may know more of them than the
//! state, because it was written when the log was whole: an organisation's name, its parent, contacts and children. Such a
//! document is no fault, and a repair would only take away what nobody can give back.

use serde_json::{Map, Value};

use super::compare::shown;
use crate::error::Result;
use crate::projection::Projection;
use crate::state::Snapshot;
use crate::state::keys::Space;

/// The fields of each projection that show other entities.
fn shared(projection: Projection) -> &'static [&'static str] {
    match projection {
        Projection::Organisations => &["ancestors", "contactCount", "contacts", "parent"],
        Projection::Contacts => &["organisation"],
        Projection::Hierarchy => &["ancestors", "childCount", "children", "descendantCount", "parent"],
    }
}

/// Says of which entities the log holds a record.
pub(super) trait Records {
    /// True of an entity of this space that has a record.
    fn has(&self, space: Space, id: &str) -> Result<bool>;
}

impl Records for Snapshot {
    fn has(&self, space: Space, id: &str) -> Result<bool> {
        self.has_record(space, id)
    }
}

/// Whether all that parts the document that is `expected` from the one that is `stored` is more knowledge in the index of
/// entities without a record.
///
/// # Errors
/// Those of the state.
pub(super) fn explains(
    records: &impl Records,
    projection: Projection,
    expected: &[u8],
    stored: &[u8],
) -> Result<bool> {
    let (Some(mut expected), Some(mut stored)) = (shown(expected), shown(stored)) else { return Ok(false) };
    let mut pairs = Vec::new();
    for name in shared(projection) {
        pairs.push((*name, expected.remove(*name), stored.remove(*name)));
    }
    if expected != stored {
        return Ok(false);
    }
    let known = Known(records);
    for (name, expected, stored) in pairs {
        let (expected, stored) = (expected.unwrap_or(Value::Null), stored.unwrap_or(Value::Null));
        let is_explained = expected == stored
            || match name {
                "contacts" => known.are_more(Space::Contacts, &expected, &stored)?,
                "children" => known.are_more(Space::Organisations, &expected, &stored)?,
                "ancestors" => known.is_longer(&expected, &stored)?,
                "parent" => known.is_richer(&expected, &stored)?,
                "organisation" => known.is_of_organisation(&expected, &stored)?,
                // They follow from the lists, which say whether they may be larger.
                _ => expected.as_u64().unwrap_or(0) <= stored.as_u64().unwrap_or(0),
            };
        if !is_explained {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Known<'a, R>(&'a R);

impl<R: Records> Known<'_, R> {
    /// True of an organisation, or of none, that the log is silent on.
    fn is_silent(&self, space: Space, of: &Value) -> Result<bool> {
        match of.get("id").and_then(Value::as_str).or(of.as_str()) {
            Some(id) => Ok(!self.0.has(space, id)?),
            None => Ok(false),
        }
    }

    /// True when `stored` shows the same organisation, and more of it, and the log is silent on it.
    fn is_richer(&self, expected: &Value, stored: &Value) -> Result<bool> {
        if expected == stored {
            return Ok(true);
        }
        let (Some(expected), Some(fields)) = (expected.as_object(), stored.as_object()) else {
            return Ok(false);
        };
        Ok(is_within(expected, fields) && self.is_silent(Space::Organisations, stored)?)
    }

    /// True when `stored` goes on where the chain of `expected` ends, at an organisation that the log is silent on.
    fn is_longer(&self, expected: &Value, stored: &Value) -> Result<bool> {
        let (Some(expected), Some(stored)) = (expected.as_array(), stored.as_array()) else {
            return Ok(false);
        };
        for (at, expected) in expected.iter().enumerate() {
            let Some(stored) = stored.get(at) else { return Ok(false) };
            if !self.is_richer(expected, stored)? {
                return Ok(false);
            }
        }
        let is_longer = stored.len() > expected.len();
        match expected.last() {
            Some(last) if is_longer => self.is_silent(Space::Organisations, last),
            _ => Ok(!is_longer),
        }
    }

    /// True when `stored` has what `expected` has, in its order, and beside it only entities that the log is silent on.
    fn are_more(&self, space: Space, expected: &Value, stored: &Value) -> Result<bool> {
        let (Some(expected), Some(stored)) = (expected.as_array(), stored.as_array()) else {
            return Ok(false);
        };
        let mut expected = expected.iter().peekable();
        for stored in stored {
            if expected.next_if(|expected| *expected == stored).is_none() && !self.is_silent(space, stored)? {
                return Ok(false);
            }
        }
        Ok(expected.next().is_none())
    }

    /// The same for a contact's organisation: it carries the ids of its ancestors.
    fn is_of_organisation(&self, expected: &Value, stored: &Value) -> Result<bool> {
        let chain = |of: &Value| of.get("ancestorIds").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        let without = |of: &Value| {
            let mut of = of.clone();
            of.as_object_mut().map(|of| of.remove("ancestorIds"));
            of
        };
        if !self.is_richer(&without(expected), &without(stored))? {
            return Ok(false);
        }
        let (before, after) = (chain(expected), chain(stored));
        // A chain that is empty ends at the organisation itself.
        match before.as_array() {
            Some(ids) if ids.is_empty() => {
                Ok(before == after || self.is_silent(Space::Organisations, stored)?)
            }
            _ => self.is_longer(&before, &after),
        }
    }
}

fn is_within(expected: &Map<String, Value>, stored: &Map<String, Value>) -> bool {
    expected.iter().all(|(name, value)| stored.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Entities whose ids begin with a `k` have records.
    struct Named;

    impl Records for Named {
        fn has(&self, _: Space, id: &str) -> Result<bool> {
            Ok(id.starts_with('k'))
        }
    }

    fn is_explained(projection: Projection, expected: Value, stored: Value) -> bool {
        let [expected, stored] = [expected, stored].map(|document| document.to_string().into_bytes());
        explains(&Named, projection, &expected, &stored).unwrap()
    }

    #[test]
    fn more_of_an_organisation_without_a_record_is_explained() {
        let of = |organisation: Value| json!({"id": "k", "name": "Jane", "organisation": organisation});
        let check =
            |expected: Value, stored: Value| is_explained(Projection::Contacts, of(expected), of(stored));
        let stub = json!({"id": "o", "ancestorIds": []});
        assert!(check(stub.clone(), json!({"id": "o", "name": "Acme", "ancestorIds": ["k1", "o2"]})));
        assert!(!check(stub.clone(), json!({"id": "k", "name": "Acme", "ancestorIds": []})), "another one");
        assert!(!check(stub, json!({"id": "o2", "name": "Acme", "ancestorIds": []})), "another one");
        let known = json!({"id": "k", "name": "Acme", "ancestorIds": ["k1", "o"]});
        assert!(check(known.clone(), json!({"id": "k", "name": "Acme", "ancestorIds": ["k1", "o", "k2"]})));
        assert!(!check(known.clone(), json!({"id": "k", "name": "Former", "ancestorIds": ["k1", "o"]})));
        assert!(!check(known, json!({"id": "k", "name": "Acme", "ancestorIds": ["k1"]})));
        let whole = json!({"id": "k", "name": "Acme", "ancestorIds": ["k1"]});
        assert!(!check(whole, json!({"id": "k", "name": "Acme", "ancestorIds": ["k1", "k2"]})));
        let other = json!({"id": "k", "name": "John", "organisation": {"id": "o", "ancestorIds": []}});
        let stored = of(json!({"id": "o", "name": "Acme", "ancestorIds": []}));
        assert!(!is_explained(Projection::Contacts, other, stored), "its own field");
    }

    #[test]
    fn contacts_and_children_without_a_record_are_explained_and_others_are_not() {
        let of = |ids: &[&str]| {
            let contacts: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
            json!({"id": "k", "contacts": contacts, "contactCount": ids.len(), "ancestors": []})
        };
        let check = |expected: &[&str], stored: &[&str]| {
            is_explained(Projection::Organisations, of(expected), of(stored))
        };
        assert!(check(&["k1", "k2"], &["a", "k1", "k2", "z"]));
        assert!(check(&[], &["a"]));
        assert!(!check(&["k1"], &["k1", "k2"]), "the log speaks of it");
        assert!(!check(&["k1", "k2"], &["k1"]));
        let tree = |children: Value, count: u64, ancestors: Value| json!({"id": "k", "children": children, "childCount": 1, "descendantCount": count, "ancestors": ancestors});
        let expected = tree(json!([{"id": "k1"}]), 1, json!([{"id": "o"}]));
        let stored =
            tree(json!([{"id": "k1"}]), 4, json!([{"id": "o", "name": "Up"}, {"id": "k3", "name": "Top"}]));
        assert!(is_explained(Projection::Hierarchy, expected.clone(), stored.clone()));
        assert!(!is_explained(Projection::Hierarchy, stored, expected));
    }
}
