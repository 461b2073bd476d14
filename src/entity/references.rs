//! References as they are followed.

use std::borrow::Cow;
use std::sync::Arc;

use super::{EntityFields, Liveness, text};

/// The entities that a reference of an entity names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum References {
    /// Nothing: the field is absent or null, or the entity is not alive.
    #[default]
    Absent,
    /// One entity.
    One(Arc<str>),
    /// A list of entities, each once.
    Many(Vec<Arc<str>>),
}

impl References {
    /// The entities that the field `name` of an entity names.
    pub fn of(shown: &impl EntityFields, name: &str) -> Self {
        if shown.liveness() != Liveness::Alive {
            return Self::Absent;
        }
        shown.get(name).map_or(Self::Absent, Self::of_json)
    }

    /// The entities that canonical JSON names: one id, or a list of them.
    pub fn of_json(json: &[u8]) -> Self {
        match json {
            json if json.first() == Some(&b'[') => {
                let all: Vec<String> = serde_json::from_slice(json).unwrap_or_default();
                let mut once: Vec<Arc<str>> = Vec::with_capacity(all.len());
                let mut ids = std::collections::HashSet::with_capacity(all.len());
                for id in all {
                    if ids.insert(id.clone()) {
                        once.push(id.into());
                    }
                }
                Self::Many(once)
            }
            json => text(json).map_or(Self::Absent, |id| Self::One(id.into())),
        }
    }

    /// The ids.
    pub fn ids(&self) -> &[Arc<str>] {
        match self {
            Self::Absent => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    /// The one entity; of a list the first.
    pub fn first(&self) -> Option<&Arc<str>> {
        self.ids().first()
    }
}

/// The entity that a reference of a living entity names, where it names one.
pub fn reference<'a>(shown: &'a impl EntityFields, name: &str) -> Option<Cow<'a, str>> {
    if shown.liveness() != Liveness::Alive {
        return None;
    }
    shown.get(name).and_then(text)
}
