//! The model of a run: the events that are drawn of it, and the documents that they call for.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use super::MAX_EMBEDDED;
use super::drawn::{Drawn, Verb};
use super::events::Event;
use super::reference::{self, Does, Plain};
use super::{plain, world::World};
use crate::decode::Layout;
use crate::model::{self, Model};
use crate::plan::{EntityType, PlanRef, Projection};

/// The documents by projection and id.
pub(super) type Documents = BTreeMap<String, BTreeMap<String, Value>>;

/// A model, with the source of its events and documents.
pub(super) struct Domain {
    pub(super) plan: PlanRef,
    /// The entity types by number, each with its topic.
    pub(super) types: Vec<(String, EntityType)>,
    pub(super) projections: Vec<Projection>,
    /// An index that rejects documents rejects those that this stands in.
    refused: &'static [u8],
    model: Model,
    /// The source of the events of a drawn model.
    drawn: Option<Mutex<Drawn>>,
}

impl Domain {
    /// The built-in model.
    pub(super) fn built_in() -> Self {
        Self::of(model::built_in().clone(), br#":"s4""#, None)
    }

    /// A model that is drawn.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut drawn = Drawn::new(seed);
        let text = drawn.model();
        let model =
            model::parse("drawn.toml", &text).unwrap_or_else(|findings| panic!("{findings:?}: {text}"));
        Self::of(model, br#":"z""#, Some(Mutex::new(drawn)))
    }

    fn of(model: Model, refused: &'static [u8], drawn: Option<Mutex<Drawn>>) -> Self {
        let plan = PlanRef::of(&model);
        let types = plan.entity_types().map(|of| (of.name.to_string(), of)).collect();
        Self { plan, types, projections: plan.projections().collect(), refused, model, drawn }
    }

    /// How the records of the entity types are read.
    pub(super) fn layouts(&self) -> Vec<Layout> {
        let entities = self.types.iter().zip(&self.model.entities);
        entities.map(|((_, of), entity)| Layout::of(*of, &entity.source)).collect()
    }

    /// True for the built-in model.
    pub(super) fn is_built_in(&self) -> bool {
        self.drawn.is_none()
    }

    /// The model as a file has it, where it is a drawn one.
    pub(super) fn text(&self) -> Option<String> {
        self.drawn.is_some().then(|| model::write::text(&self.model))
    }

    /// The next event, without its version.
    pub(super) fn event(&self, world: &World) -> Event {
        let Some(drawn) = &self.drawn else { return super::events::built_in(world) };
        let event = drawn.lock().unwrap().event(&self.model);
        let does = match event.verb {
            Verb::Replace => Does::Replace,
            Verb::Merge => Does::Merge,
            Verb::Delete => Does::Delete,
        };
        let data = Value::Object(event.written(&self.model));
        let fields = event.fields.into_iter().collect();
        Event { entity: event.entity, id: event.id, version: 0, does, fields, data }
    }

    /// Whether an index that rejects documents rejects this one.
    pub(super) fn is_refused(&self, body: &[u8]) -> bool {
        body.windows(self.refused.len()).any(|part| part == self.refused)
    }

    /// The documents that events call for.
    pub(super) fn documents(&self, events: &[Event]) -> Documents {
        if self.is_built_in() {
            let events: Vec<Plain> = events.iter().map(Event::plain).collect();
            let documents = reference::documents(&events, MAX_EMBEDDED);
            return documents.into_iter().map(|(name, documents)| (name.to_owned(), documents)).collect();
        }
        let mut entities = plain::World::default();
        for (number, of) in self.model.entities.iter().enumerate() {
            let own = events.iter().filter(|event| event.entity == number);
            let own: Vec<Plain> = own.map(|event| Plain { contact: false, ..event.plain() }).collect();
            for (id, fields) in reference::fold(&own, false) {
                entities.put(&of.name, &id, fields);
            }
        }
        entities.documents(&self.model)
    }
}
