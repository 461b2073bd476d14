//! How a document is made: one interpreter of the shapes that the model says.

mod child;
mod embed;
mod own_entity;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use self::own_entity::OwnEntity;
use super::ancestry::{Ancestry, ancestry};
use super::search::{ComputedMembers, write_filters};
use super::{Entities, Limits, LogPosition, NewFragment};
use crate::entity::fragment::Fragment;
use crate::entity::{EntityFields, Fields, Header, Liveness, holds};
use crate::error::Result;
use crate::json::{Name, Object, remove_own};
use crate::plan::{EntityType, FieldType, JOIN, PlanRef, Projection, ProjectionPlan};

impl Projection {
    /// Appends the document of `id` to `out` and answers true, or false (nothing appended) when
    /// there is none. `reflected` is the log position that `entities` reflects.
    ///
    /// # Errors
    /// Those of the state.
    pub fn materialise(
        self,
        entities: &dyn Entities,
        id: &str,
        limits: Limits,
        reflected: impl Into<LogPosition>,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let reflected = reflected.into();
        let renderer = Renderer::new(self.plan(), entities, limits);
        if let Some(child) = self.child(id) {
            return renderer.child(self, &child, reflected.position, out);
        }
        renderer.owner(self, id, reflected, out)
    }

    /// As [`Self::materialise`], with the members of all its embeds within the document, as they are found in it.
    ///
    /// # Errors
    /// Those of the state.
    pub fn materialise_whole(
        self,
        entities: &dyn Entities,
        id: &str,
        limits: Limits,
        position: u64,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let members = ChildMembers::Within;
        Renderer { members, ..Renderer::new(self.plan(), entities, limits) }.owner(
            self,
            id,
            position.into(),
            out,
        )
    }
}

impl Renderer<'_> {
    /// Makes the document of an entity.
    fn owner(
        &self,
        projection: Projection,
        id: &str,
        reflected: LogPosition,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let entity_type = projection.entity_type();
        if projection.get().is_by_header {
            let header = self.entities.header(entity_type, id)?;
            return self.document(projection, id, &OwnEntity::Header(&header), reflected, out);
        }
        let mut exists = false;
        self.entities.entity(entity_type, id, &mut |entity| {
            exists = self.of_entity(projection, id, entity, reflected, out)?;
            Ok(())
        })?;
        Ok(exists)
    }
}

/// Makes one document.
struct Renderer<'a> {
    plan: PlanRef,
    entities: &'a dyn Entities,
    limits: Limits,
    /// The place of the members that are children.
    members: ChildMembers,
    /// The chains that were followed.
    chains: RefCell<Vec<(Start, Rc<Ancestry>)>>,
    /// The entities that were read for the fragment that is being made.
    read: RefCell<Option<Contributors>>,
}

/// The place of members that are children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildMembers {
    /// They have documents of their own.
    Beside,
    /// They are shown within their owner.
    Within,
}

/// Entities that were read.
type Contributors = Vec<(EntityType, Arc<str>)>;

/// The beginning of a chain: the tree, the entity below it and its parent.
type Start = ((EntityType, u16), Box<str>, Arc<str>);

/// The number of an owner's members that a document shows: the relation and the true number.
type MemberCount = (u8, u64);

impl<'a> Renderer<'a> {
    fn new(plan: PlanRef, entities: &'a dyn Entities, limits: Limits) -> Self {
        let (members, chains, read) = (ChildMembers::Beside, RefCell::default(), RefCell::default());
        Self { plan, entities, limits, members, chains, read }
    }

    fn of_entity(
        &self,
        projection: Projection,
        id: &str,
        entity: &Fields<'_>,
        reflected: LogPosition,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let (plan, entity_type) = (projection.get(), projection.entity_type());
        if entity.liveness() == Liveness::Deleted || !holds(entity_type.get(), &plan.conditions, entity) {
            return Ok(false);
        }
        if entity_type.header.is_read {
            // Others will need it.
            self.entities.header_of(entity_type, id, entity);
        }
        self.document(
            projection,
            id,
            &OwnEntity::of_entity(entity_type.get(), entity, plan.words),
            reflected,
            out,
        )
    }

    fn document(
        &self,
        projection: Projection,
        id: &str,
        own: &OwnEntity<'_>,
        reflected: LogPosition,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let plan = projection.get();
        let is_unseen = own.liveness() == Liveness::Unseen;
        if own.liveness() == Liveness::Deleted || is_unseen && plan.stubs.is_empty() {
            return Ok(false);
        }
        let begin = out.len();
        let mut object = Object::open(out);
        let (counts, words) = self.head(&mut object, projection, own, (id, self.members))?;
        let is_count = |count: &&MemberCount| count.1 > 0;
        if is_unseen && !counts.iter().filter(is_count).any(|(relation, _)| plan.stubs.contains(relation)) {
            out.truncate(begin);
            return Ok(false);
        }
        if counts.iter().any(|count| is_count(&count)) {
            self.make_fragments(projection.entity_type(), id)?;
        }
        let computed = self.write_computed(&mut object, projection, own, id)?;
        write_search(&mut object, plan, own, &words, &computed);
        if projection.has_children() && self.members == ChildMembers::Beside {
            object.text(JOIN, projection.name());
        }
        object.object(Name::plain("_log"), |log| {
            log.number(Name::plain("position"), reflected.position);
            if is_unseen && reflected.is_partial {
                log.yes(Name::plain("partial"));
            }
        });
        object.close();
        Ok(true)
    }

    /// Writes the computed members, and answers them. They are made of the document with all its members.
    fn write_computed(
        &self,
        object: &mut Object<'_>,
        projection: Projection,
        own: &OwnEntity<'_>,
        id: &str,
    ) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let plan = projection.get();
        if self.members == ChildMembers::Within || plan.compute.is_empty() || !projection.has_children() {
            return Ok(compute(object, plan, id));
        }
        let mut buffer = Vec::new();
        let mut whole = Object::open(&mut buffer);
        self.head(&mut whole, projection, own, (id, ChildMembers::Within))?;
        let computed = compute(&mut whole, plan, id);
        computed.iter().for_each(|(name, json)| object.raw(*name, json));
        Ok(computed)
    }

    /// Writes the id, the own fields and the embeds. Answers the counts of members, and the words of referred entities.
    fn head(
        &self,
        object: &mut Object<'_>,
        projection: Projection,
        own: &OwnEntity<'_>,
        (id, place): (&str, ChildMembers),
    ) -> Result<(Vec<MemberCount>, Vec<u8>)> {
        let plan = projection.get();
        object.text(Name::plain("id"), id);
        if own.liveness() == Liveness::Unseen {
            object.yes("stub");
        }
        own.write(object, plan);
        let (mut counts, mut words) = (Vec::new(), Vec::new());
        for embed in &plan.embeds {
            match embed.from().filter(|_| embed.is_joined) {
                Some(from) => counts.push(self.members(object, (embed, from), id, place)?),
                None => counts.extend(self.embed(object, embed, own, id, &mut words)?),
            }
        }
        Ok((counts, words))
    }

    /// Makes the fragments of an entity whose members' documents are made after it: nothing has to be looked up for them then.
    fn make_fragments(&self, entity_type: EntityType, id: &str) -> Result<()> {
        for kind in &entity_type.fragments {
            self.fragment(*kind, id)?;
        }
        Ok(())
    }

    fn fragment(&self, kind: u16, id: &str) -> Result<Fragment> {
        self.entities.fragment(kind, id, &|| self.make_fragment(kind, id))
    }

    fn make_fragment(&self, kind: u16, id: &str) -> Result<NewFragment> {
        let Some((embed, entity_type)) = self.plan.fragment(kind) else {
            return Ok((Fragment::new(id, b"", b""), Vec::new()));
        };
        self.read.replace(Some(Vec::new()));
        let made = self.header(entity_type, id).and_then(|header| {
            let (mut json, mut words) = (Vec::new(), Vec::new());
            if header.liveness != Liveness::Deleted {
                self.write_referred(&mut json, embed, id, &header)?;
                embed::push_words(&mut words, embed, &header);
            }
            Ok(Fragment::new(id, &json, &words))
        });
        let read = self.read.take().unwrap_or_default();
        Ok((made?, read))
    }

    fn header(&self, entity_type: EntityType, id: &str) -> Result<Arc<Header>> {
        if let Some(read) = &mut *self.read.borrow_mut() {
            read.push((entity_type, id.into()));
        }
        self.entities.header(entity_type, id)
    }

    /// The chain above `id`, whose parent is `first`.
    fn ancestry(&self, tree: (EntityType, u16), id: &str, first: Option<&Arc<str>>) -> Result<Rc<Ancestry>> {
        let Some(first) = first else { return Ok(Rc::default()) };
        let known = self.chains.borrow();
        let is_this = |((of, below, parent), _): &&(Start, Rc<Ancestry>)| {
            *of == tree && **below == *id && *parent == *first
        };
        let chain = known.iter().find(is_this).map(|(_, chain)| Rc::clone(chain));
        drop(known);
        let chain = match chain {
            Some(chain) => chain,
            None => {
                let chain = Rc::new(ancestry(self.entities, tree, id, Some(Arc::clone(first)))?);
                let start = (tree, id.into(), Arc::clone(first));
                self.chains.borrow_mut().push((start, Rc::clone(&chain)));
                chain
            }
        };
        if let Some(read) = &mut *self.read.borrow_mut() {
            let ids = chain.ancestors.iter().map(|ancestor| &ancestor.id).chain(&chain.end);
            read.extend(ids.map(|id| (tree.0, Arc::clone(id))));
        }
        Ok(chain)
    }
}

/// Writes the computed members, and answers them: each program sees the document with those before it.
fn compute(object: &mut Object<'_>, plan: &'static ProjectionPlan, id: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut computed = Vec::new();
    for program in &plan.compute {
        let document = strip_words(object.whole());
        if let Some(json) = program.run(&format!("{}/{id}", plan.name), &document, FieldType::Any) {
            object.raw(&*program.name, &json);
            computed.push((&*program.name, json));
        }
    }
    computed
}

/// A document without the words of its embeds.
fn strip_words(document: Vec<u8>) -> Vec<u8> {
    const SEARCH: &str = "_search";
    let is_searched = |part: &[u8]| part == SEARCH.as_bytes();
    if !document.windows(SEARCH.len()).any(is_searched) {
        return document;
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&document) else { return document };
    remove_own(&mut members);
    Value::Object(members).to_string().into_bytes()
}

/// Writes `_search`: the words and values that finding needs beside the fields themselves. `words` are those of
/// entities that it refers to.
fn write_search(
    object: &mut Object<'_>,
    plan: &ProjectionPlan,
    own: &OwnEntity<'_>,
    words: &[u8],
    computed: &ComputedMembers,
) {
    let Some(searched) = plan.words else { return };
    let title = own.title(searched, computed);
    object.object(Name::plain("_search"), |search| {
        own.write_sort(search, title, searched);
        search.words(Name::plain("words"), |out, begin| {
            own.push_words(out, begin, title, (searched, computed));
            if !words.is_empty() {
                if out.len() > begin {
                    out.push(b' ');
                }
                out.extend_from_slice(words);
            }
        });
        if let Some(plan) = &plan.search {
            write_filters(search, &plan.filters, computed);
        }
    });
}
