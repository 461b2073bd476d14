//! The model of a run: the events that are drawn of it, and the documents that they call for.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::MAX_EMBEDDED;
use super::drawn::{Draws, Verb};
use super::events::Event;
use super::reference::{self, Does, Plain};
use super::{plain, world::World};
use crate::decoder;
use crate::model::{self, Layout, Model, Relation};
use crate::plan::{EntityType, PlanRef, Projection, child_key};

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
    drawn: Option<Mutex<Draws>>,
}

impl Domain {
    /// The built-in model.
    pub(super) fn of_built_in(layout: Layout) -> Self {
        let mut model = model::default_model().clone();
        lay_out(&mut model, layout);
        Self::of(model, br#":"s4""#, None)
    }

    /// A model that is drawn.
    pub(super) fn draw(seed: u64, layout: Layout) -> Self {
        let mut drawn = Draws::new(seed);
        let text = drawn.model();
        let mut model =
            model::parse("drawn.toml", &text).unwrap_or_else(|findings| panic!("{findings:?}: {text}"));
        lay_out(&mut model, layout);
        Self::of(model, br#":"z""#, Some(Mutex::new(drawn)))
    }

    fn of(model: Model, refused: &'static [u8], drawn: Option<Mutex<Draws>>) -> Self {
        let plan = PlanRef::of(&model);
        let types = plan.entity_types().map(|of| (of.name.to_string(), of)).collect();
        Self { plan, types, projections: plan.projections().collect(), refused, model, drawn }
    }

    /// How the records of the entity types are read.
    pub(super) fn layouts(&self) -> Vec<decoder::RecordLayout> {
        let entities = self.types.iter().zip(&self.model.entities);
        entities.map(|((_, of), entity)| decoder::RecordLayout::of(*of, &entity.source)).collect()
    }

    /// True when members of a projection are documents of their own.
    pub(super) fn has_children(&self) -> bool {
        self.projections.iter().any(|projection| projection.has_children())
    }

    /// True for the built-in model.
    pub(super) fn is_built_in(&self) -> bool {
        self.drawn.is_none()
    }

    /// The model as a file has it, where it is a drawn one.
    pub(super) fn text(&self) -> Option<String> {
        self.drawn.is_some().then(|| model::toml_text::text(&self.model))
    }

    /// The next event, without its version.
    pub(super) fn event(&self, world: &World) -> Event {
        let Some(drawn) = &self.drawn else { return super::events::draw_built_in(world) };
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
        let mut documents = self.whole_documents(events);
        for projection in self.projections.iter().filter(|projection| projection.has_children()) {
            documents.entry(projection.name().to_owned()).and_modify(|whole| part(*projection, whole));
        }
        documents
    }

    /// The documents, with their members.
    fn whole_documents(&self, events: &[Event]) -> Documents {
        if self.is_built_in() {
            let events: Vec<Plain> = events.iter().map(Event::plain).collect();
            let max_embedded = if self.has_children() { usize::MAX } else { MAX_EMBEDDED };
            let documents = reference::documents(&events, max_embedded);
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
        entities.documents(&without_max(self.model.clone()))
    }
}

/// Sets the layout of each projection that can have it.
fn lay_out(model: &mut Model, layout: Layout) {
    let names: Vec<String> = model.projections.iter().map(|projection| projection.name.clone()).collect();
    for name in names {
        if model.lay_out(&name, layout).is_err() {
            model.lay_out(&name, Layout::Nested).unwrap();
        }
    }
}

/// The model with all members where they are children.
fn without_max(mut model: Model) -> Model {
    for projection in model.projections.iter_mut().filter(|projection| projection.layout == Layout::Join) {
        for embed in &mut projection.embeds {
            if let Relation::From(from) = &mut embed.relation {
                from.max = u32::MAX;
            }
        }
    }
    model
}

/// Makes documents of their own of the members that are children.
fn part(projection: Projection, documents: &mut BTreeMap<String, Value>) {
    let mut children = BTreeMap::new();
    for (owner, document) in &mut *documents {
        for (embed, _) in projection.child_embeds() {
            let members = document.as_object_mut().unwrap().remove(embed.name);
            for member in members.as_ref().and_then(Value::as_array).into_iter().flatten() {
                let key = child_key(embed.name, owner, member["id"].as_str().unwrap());
                children.insert(key, json!({embed.name: member}));
            }
        }
    }
    documents.append(&mut children);
}
