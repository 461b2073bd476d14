//! Fields of a document that show entities without a record in a partial log. The index may know more of them than the
//! state, because it was written when the log was whole. Examples are an owner's name, its references, and its
//! members. Such a document is no fault, and a repair would only take away knowledge that no record gives back.

use serde_json::{Map, Value};

use super::comparison::own_members;
use crate::error::Result;
use crate::plan::{EmbedPlan, EntityType, PlanRef, RelationPlanOf};
use crate::projection::Projection;
use crate::state::Snapshot;
use crate::state::keys::Space;

/// Says of which entities the log holds a record.
pub(super) trait Records {
    /// True of an entity of this type that has a record.
    fn has(&self, entity_type: EntityType, id: &str) -> Result<bool>;
}

impl Records for Snapshot {
    fn has(&self, entity_type: EntityType, id: &str) -> Result<bool> {
        self.has_record(Space::of_type(entity_type), id)
    }
}

/// Whether the `stored` document differs from the `expected` one only by more knowledge of entities without a record.
///
/// # Errors
/// Those of the state.
pub(super) fn explains(
    records: &impl Records,
    projection: Projection,
    expected: &[u8],
    stored: &[u8],
) -> Result<bool> {
    let (Some(expected), Some(stored)) = (own_members(expected), own_members(stored)) else {
        return Ok(false);
    };
    let known = SilenceCheck { records, plan: projection.plan() };
    let id = stored.get("id").cloned().unwrap_or(Value::Null);
    if id.is_null() {
        return known.is_child_more(projection, &expected, &stored);
    }
    known.embeds_are_more((&projection.get().embeds, projection.entity_type()), &id, (expected, stored), true)
}

struct SilenceCheck<'a, R> {
    records: &'a R,
    plan: PlanRef,
}

impl<R: Records> SilenceCheck<'_, R> {
    /// True of an entity that the log is silent on; false of none.
    fn is_silent(&self, of: EntityType, entity: &Value) -> Result<bool> {
        match entity.get("id").and_then(Value::as_str).or(entity.as_str()) {
            Some(id) => Ok(!self.records.has(of, id)?),
            None => Ok(false),
        }
    }

    /// The same of a child, which holds the member under the name of its embed.
    fn is_child_more(
        &self,
        projection: Projection,
        expected: &Map<String, Value>,
        stored: &Map<String, Value>,
    ) -> Result<bool> {
        for (embed, _) in projection.child_embeds() {
            if let (Some(of), Some(expected), Some(stored)) =
                (self.plan.entity_type_of_number(embed.to), expected.get(embed.name), stored.get(embed.name))
            {
                return self.is_richer(embed, of, expected, stored);
            }
        }
        Ok(false)
    }

    /// True when two objects differ only in more knowledge of embedded entities. `own` is the type of the object, whose
    /// own members are equal where `is_known` says so, and may be more otherwise.
    fn embeds_are_more(
        &self,
        (embeds, own): (&[EmbedPlan], EntityType),
        id: &Value,
        (mut expected, mut stored): (Map<String, Value>, Map<String, Value>),
        is_known: bool,
    ) -> Result<bool> {
        let mut pairs = Vec::new();
        for embed in embeds {
            pairs.push((embed, expected.remove(embed.name), stored.remove(embed.name)));
            for number in embed.from().into_iter().flat_map(|from| [from.count, from.descendants]).flatten() {
                // They follow from the lists, which say whether they may be larger.
                let [expected, stored] =
                    [expected.remove(number), stored.remove(number)].map(|of| of.and_then(|of| of.as_u64()));
                if expected.unwrap_or(0) > stored.unwrap_or(0) {
                    return Ok(false);
                }
            }
        }
        let is_own = if is_known { expected == stored } else { is_within(&expected, &stored) };
        if !is_own {
            return Ok(false);
        }
        for (embed, expected, stored) in pairs {
            let (expected, stored) = (expected.unwrap_or(Value::Null), stored.unwrap_or(Value::Null));
            if expected != stored && !self.is_more((embed, own), id, &expected, &stored)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_more(
        &self,
        (embed, own): (&EmbedPlan, EntityType),
        id: &Value,
        expected: &Value,
        stored: &Value,
    ) -> Result<bool> {
        let Some(of) = self.plan.entity_type_of_number(embed.to) else { return Ok(false) };
        match &embed.by {
            RelationPlanOf::Reference { is_list: false, .. } => self.is_richer(embed, of, expected, stored),
            RelationPlanOf::Reference { is_list: true, .. } => {
                let (Some(expected), Some(stored)) = (expected.as_array(), stored.as_array()) else {
                    return Ok(false);
                };
                let mut pairs = expected.iter().zip(stored);
                let is_same = expected.len() == stored.len();
                Ok(is_same
                    && pairs.try_fold(true, |so, (left, right)| {
                        Ok::<_, crate::error::Error>(so && self.is_richer(embed, of, left, right)?)
                    })?)
            }
            RelationPlanOf::Above { .. } => match expected.as_array() {
                // A chain that is empty ends at the entity itself.
                Some(chain) if chain.is_empty() => self.is_silent(own, id),
                _ => self.is_longer(embed, of, expected, stored),
            },
            RelationPlanOf::From(_) => self.are_more(of, expected, stored),
        }
    }

    /// True when `stored` shows the same entity, and more of it, and the log is silent on it.
    fn is_richer(&self, embed: &EmbedPlan, of: EntityType, expected: &Value, stored: &Value) -> Result<bool> {
        if expected == stored {
            return Ok(true);
        }
        let (Some(expected), Some(fields)) = (expected.as_object(), stored.as_object()) else {
            return Ok(false);
        };
        let is_known = !self.is_silent(of, stored)?;
        let id = fields.get("id").cloned().unwrap_or(Value::Null);
        self.embeds_are_more((&embed.embeds, of), &id, (expected.clone(), fields.clone()), is_known)
    }

    /// True when `stored` goes on where the chain of `expected` ends, at an entity that the log is silent on.
    fn is_longer(&self, embed: &EmbedPlan, of: EntityType, expected: &Value, stored: &Value) -> Result<bool> {
        let (Some(expected), Some(stored)) = (expected.as_array(), stored.as_array()) else {
            return Ok(false);
        };
        for (at, expected) in expected.iter().enumerate() {
            let Some(stored) = stored.get(at) else { return Ok(false) };
            if !self.is_richer(embed, of, expected, stored)? {
                return Ok(false);
            }
        }
        let is_longer = stored.len() > expected.len();
        match expected.last() {
            Some(last) if is_longer => self.is_silent(of, last),
            _ => Ok(!is_longer),
        }
    }

    /// True when `stored` has the members of `expected` in their order, and beside them only entities without a record.
    fn are_more(&self, of: EntityType, expected: &Value, stored: &Value) -> Result<bool> {
        let (Some(expected), Some(stored)) = (expected.as_array(), stored.as_array()) else {
            return Ok(false);
        };
        let mut expected = expected.iter().peekable();
        for stored in stored {
            if expected.next_if(|expected| *expected == stored).is_none() && !self.is_silent(of, stored)? {
                return Ok(false);
            }
        }
        Ok(expected.next().is_none())
    }
}

fn is_within(expected: &Map<String, Value>, stored: &Map<String, Value>) -> bool {
    expected.iter().all(|(name, value)| stored.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{CONTACTS, HIERARCHY, ORGANISATIONS};

    /// Entities whose ids begin with a `k` have records.
    struct PrefixRecords;

    impl Records for PrefixRecords {
        fn has(&self, _: EntityType, id: &str) -> Result<bool> {
            Ok(id.starts_with('k'))
        }
    }

    fn is_explained(projection: Projection, expected: Value, stored: Value) -> bool {
        let [expected, stored] = [expected, stored].map(|document| document.to_string().into_bytes());
        explains(&PrefixRecords, projection, &expected, &stored).unwrap()
    }

    #[test]
    fn more_of_an_organisation_without_a_record_is_explained() {
        let of = |organisation: Value| json!({"id": "k", "name": "Jane", "organisation": organisation});
        let check = |expected: Value, stored: Value| is_explained(CONTACTS, of(expected), of(stored));
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
        assert!(!is_explained(CONTACTS, other, stored), "its own field");
    }

    #[test]
    fn contacts_and_children_without_a_record_are_explained_and_others_are_not() {
        let of = |ids: &[&str]| {
            let contacts: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
            json!({"id": "k", "contacts": contacts, "contactCount": ids.len(), "ancestors": []})
        };
        let check =
            |expected: &[&str], stored: &[&str]| is_explained(ORGANISATIONS, of(expected), of(stored));
        assert!(check(&["k1", "k2"], &["a", "k1", "k2", "z"]));
        assert!(check(&[], &["a"]));
        assert!(!check(&["k1"], &["k1", "k2"]), "the log speaks of it");
        assert!(!check(&["k1", "k2"], &["k1"]));
        let tree = |children: Value, count: u64, ancestors: Value| json!({"id": "k", "children": children, "childCount": 1, "descendantCount": count, "ancestors": ancestors});
        let expected = tree(json!([{"id": "k1"}]), 1, json!([{"id": "o"}]));
        let stored =
            tree(json!([{"id": "k1"}]), 4, json!([{"id": "o", "name": "Up"}, {"id": "k3", "name": "Top"}]));
        assert!(is_explained(HIERARCHY, expected.clone(), stored.clone()));
        assert!(!is_explained(HIERARCHY, stored, expected));
    }
}
