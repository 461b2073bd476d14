//! From a checked model to a plan.

mod fields;
mod search;
mod words;

use self::fields::{canonical, field, fields_in, forever};
use super::relation::{ConditionPlan, RELATION_SPACES, RelationPlan, RowPlan};
use super::routes::{self, Hop, Way, WayEnd};
use super::shape::{EmbedPlan, FromPlan, Maximum, ProjectionPlan, ReferenceAt, RelationPlanOf, ShownField};
use super::types::{CountedProgram, FieldPlan, TypePlan};
use super::{FieldSet, HeaderPlan, Plan};
use crate::model::built_in_model;
use crate::model::program::Program;
use crate::model::{self, Embed, Layout, Model, Relation};
use crate::searchable_fields::SearchableFields;

/// Compiles a checked model.
pub fn compile(model: &Model) -> Plan {
    let mut compiler =
        Compiler { model, plan: Plan { is_built_in: model.is_built_in, ..Plan::default() }, fragments: 0 };
    for entity in &model.entities {
        let entity_type = compiler.entity_type(entity);
        compiler.plan.types.push(entity_type);
    }
    for projection in &model.projections {
        let projection = compiler.projection(projection);
        compiler.plan.projections.push(projection);
    }
    compiler.resolve();
    compiler.route();
    search::fill(model, &mut compiler.plan);
    compiler.plan
}

/// The place of an embed: the form from which the embedding entity is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmbedForm {
    /// The document's own entity.
    Own,
    /// A header.
    Header,
    /// A row of a relation; the references that its embeds follow are collected.
    Row,
}

struct Compiler<'a> {
    model: &'a Model,
    plan: Plan,
    /// How many kinds of fragments there are so far.
    fragments: u16,
}

impl Compiler<'_> {
    fn entity_type(&self, entity: &model::Entity) -> TypePlan {
        let fields: Vec<FieldPlan> = entity.fields.iter().map(|of| field(&entity.name, of)).collect();
        let mut known: Vec<&'static str> = fields.iter().map(|field| field.name).chain(["id"]).collect();
        known.sort_unstable();
        TypePlan {
            name: entity.name.as_str().into(),
            transform: entity.transform.as_deref().and_then(|source| Program::compile(source).ok()),
            fields,
            known,
            relations: Vec::new(),
            routes: Vec::new(),
            triggers: Vec::new(),
            header: HeaderPlan::default(),
            fragments: Vec::new(),
        }
    }

    #[expect(clippy::expect_used, reason = "a checked model names only entities that it has")]
    fn number_of(&self, entity: &str) -> u8 {
        let number = self.model.entities.iter().position(|known| known.name == entity);
        number.and_then(|number| u8::try_from(number).ok()).expect("an entity of the model")
    }

    #[expect(clippy::expect_used, reason = "a checked model names only fields that the entity has")]
    fn field_of(&self, entity_type: u8, name: &str) -> u16 {
        let field = self.plan.types.get(usize::from(entity_type)).and_then(|of| of.field(name));
        field.and_then(|field| u16::try_from(field).ok()).expect("a field of its type")
    }

    fn projection(&mut self, projection: &model::Projection) -> ProjectionPlan {
        let of = self.number_of(&projection.of);
        let searched = |embed: &Embed| {
            let mut searches = projection.search.iter().flat_map(|search| &search.embeds);
            let found = searches.find(|found| found.embed == embed.name)?;
            words::fields_of_embed(self.model, embed, found)
        };
        let searched: Vec<Option<SearchableFields>> = projection.embeds.iter().map(searched).collect();
        let mut embeds = Vec::new();
        for (embed, searched) in projection.embeds.iter().zip(searched) {
            embeds.push(self.embed((of, EmbedForm::Own), embed, searched, &mut Vec::new()));
        }
        if projection.layout == Layout::Join {
            embeds.iter_mut().for_each(EmbedPlan::join);
        }
        let mut stubs = Vec::new();
        for name in &projection.stubs {
            let embed = embeds.iter().find(|embed| embed.name == name);
            stubs.extend(embed.and_then(EmbedPlan::from).map(|from| from.relation));
        }
        ProjectionPlan {
            name: projection.name.as_str().into(),
            of,
            conditions: self.conditions(of, &projection.conditions),
            stubs,
            show: self.show(of, &projection.show),
            rest: projection.rest.as_deref().map(forever),
            embeds,
            compute: projection.compute.iter().filter_map(compile_compute).collect(),
            words: words::own(self.model, projection),
            search: None,
            trigger: FieldSet::EMPTY,
            is_by_header: false,
        }
    }

    fn show(&self, of: u8, names: &[String]) -> Vec<ShownField> {
        let shown = |name: &String| ShownField {
            name: forever(name),
            field: self.field_of(of, name),
            slot: u16::MAX,
        };
        names.iter().map(shown).collect()
    }

    fn conditions(&self, of: u8, conditions: &[model::Condition]) -> Vec<ConditionPlan> {
        let compiled = |condition: &model::Condition| ConditionPlan {
            field: self.field_of(of, &condition.field),
            values: condition.values.iter().map(canonical).collect(),
        };
        conditions.iter().map(compiled).collect()
    }

    /// The plan of an embed. `row` collects the references that are followed from the row which embeds it.
    fn embed(
        &mut self,
        (of, context): (u8, EmbedForm),
        embed: &Embed,
        words: Option<SearchableFields>,
        row: &mut Vec<u16>,
    ) -> EmbedPlan {
        let to = self.number_of(&embed.entity);
        let show = self.show(to, &embed.show);
        let (by, embeds) = match &embed.relation {
            Relation::Reference { field, list } => {
                let at = self.reference((of, context), field, row);
                self.note_header(to, &show);
                let embeds = self.embeds((to, EmbedForm::Header), &embed.embeds, &mut Vec::new());
                (RelationPlanOf::Reference { at, is_list: *list }, embeds)
            }
            Relation::Above { field, ids, cycle } => {
                let at = self.reference((of, context), field, row);
                self.note_header(to, &show);
                let above = self.header_reference(to, self.field_of(to, field));
                let embeds = self.embeds((to, EmbedForm::Header), &embed.embeds, &mut Vec::new());
                let cycle = cycle.as_deref().map(forever);
                (RelationPlanOf::Above { at, above, is_ids: *ids, cycle }, embeds)
            }
            Relation::From(from) => {
                let mut references = Vec::new();
                let embeds = self.embeds((to, EmbedForm::Row), &embed.embeds, &mut references);
                let is_open = !embeds.is_empty();
                let row = RowPlan { show: show.clone(), words, references, is_open };
                let field = self.field_of(to, &from.field);
                let conditions = self.conditions(to, &from.conditions);
                let relation = self.relation((to, field, of), conditions, Some(row));
                let is_configured = self.model.is_built_in && embed.name == built_in_model::CONFIGURED.1;
                let max = if is_configured { Maximum::Configured } else { Maximum::Of(from.max.into()) };
                let name = |name: &Option<String>| name.as_deref().map(forever);
                let (count, truncated) = (name(&from.count), name(&from.truncated));
                let descendants = name(&from.descendants);
                (RelationPlanOf::From(FromPlan { relation, max, count, truncated, descendants }), embeds)
            }
        };
        let is_reference = matches!(by, RelationPlanOf::Reference { .. });
        let is_fragment =
            is_reference && (!embeds.is_empty() || words.is_some()) && embeds.iter().all(is_upwards);
        let fragment = is_fragment.then(|| {
            let number = self.fragments;
            self.fragments += 1;
            if let Some(to) = self.plan.types.get_mut(usize::from(to)) {
                to.fragments.push(number);
            }
            number
        });
        EmbedPlan { name: forever(&embed.name), to, by, show, embeds, fragment, words, is_joined: false }
    }

    fn embeds(&mut self, at: (u8, EmbedForm), embeds: &[Embed], row: &mut Vec<u16>) -> Vec<EmbedPlan> {
        let mut compiled = Vec::new();
        for embed in embeds {
            compiled.push(self.embed(at, embed, None, row));
        }
        compiled
    }

    /// A reference that an embed follows, by the context that it is read from.
    fn reference(&mut self, (of, context): (u8, EmbedForm), field: &str, row: &mut Vec<u16>) -> ReferenceAt {
        let field = self.field_of(of, field);
        let slot = match context {
            EmbedForm::Own => u16::MAX,
            EmbedForm::Header => self.header_reference(of, field),
            EmbedForm::Row => slot(row, field),
        };
        ReferenceAt { field, slot }
    }

    fn header_reference(&mut self, of: u8, field: u16) -> u16 {
        let of = self.plan.types.get_mut(usize::from(of));
        of.map_or(u16::MAX, |of| slot(&mut of.header.references, field))
    }

    /// Takes note of the fields of a type that others show. A field that is searched in an embed is one that is
    /// shown.
    fn note_header(&mut self, of: u8, show: &[ShownField]) {
        if let Some(of) = self.plan.types.get_mut(usize::from(of)) {
            of.header.is_read = true;
            for shown in show {
                slot(&mut of.header.fields, shown.field);
            }
        }
    }

    /// The relation of this kind, which is added where there is none yet.
    fn relation(
        &mut self,
        (member, field, owner): (u8, u16, u8),
        conditions: Vec<ConditionPlan>,
        row: Option<RowPlan>,
    ) -> u8 {
        let is_this = |known: &RelationPlan| {
            (known.member, known.field) == (member, field)
                && known.conditions == conditions
                && known.row == row
        };
        if let Some(number) = self.plan.relations.iter().position(is_this) {
            return u8::try_from(number).unwrap_or(u8::MAX);
        }
        let number = u8::try_from(self.plan.relations.len()).unwrap_or(u8::MAX);
        let of_row = row.iter().flat_map(|row| fields_of(&self.plan, member, &row.show, row.words.as_ref()));
        let of_references =
            row.iter().flat_map(|row| row.references.iter().map(|field| FieldSet::of((*field).into())));
        let own = [FieldSet::LIVENESS, FieldSet::of(field.into())];
        let trigger = fields_in(&conditions).chain(of_row).chain(of_references).chain(own).collect();
        // One relation too many is refused before anything is written ([`PlanRef::check`]).
        let space = if number < 2 { 3 + number } else { RELATION_SPACES.saturating_add(number - 2) };
        let name = self.relation_name((member, field), number, &conditions, row.as_ref());
        self.plan.relations.push(RelationPlan {
            name,
            space,
            member,
            owner,
            field,
            conditions,
            row,
            trigger,
        });
        if let Some(member) = self.plan.types.get_mut(usize::from(member)) {
            member.relations.push(number);
        }
        number
    }

    /// The name of a relation's keyspace describes the relation, so that rows of another shape have another name.
    #[expect(clippy::expect_used, reason = "only the compiler hands out numbers of types and relations")]
    fn relation_name(
        &self,
        (member, field): (u8, u16),
        number: u8,
        conditions: &[ConditionPlan],
        row: Option<&RowPlan>,
    ) -> Box<str> {
        if self.model.is_built_in {
            let name = built_in_model::RELATION_KEYSPACES.get(usize::from(number)).copied();
            return name.expect("a keyspace of the relation").into();
        }
        let of = self.plan.types.get(usize::from(member)).expect("a type of the member");
        let text = format!("{}.{} {conditions:?} {row:?}", of.name, of.field_at(field).name);
        format!("relation-{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())).into()
    }

    /// Fills in the slots and the triggers that are known once every embed was seen.
    fn resolve(&mut self) {
        let headers: Vec<HeaderPlan> = self.plan.types.iter().map(|of| of.header.clone()).collect();
        let mut projections = std::mem::take(&mut self.plan.projections);
        for projection in &mut projections {
            let header = headers.get(usize::from(projection.of));
            let own = projection.words.as_ref();
            let words = fields_of(&self.plan, projection.of, &projection.show, own);
            let conditions = fields_in(&projection.conditions);
            let references = projection
                .embeds
                .iter()
                .filter_map(EmbedPlan::starts_at)
                .map(|field| FieldSet::of(field.into()));
            let rest = projection.rest.map(|_| FieldSet::REST);
            projection.trigger =
                words.chain(conditions).chain(references).chain(rest).chain([FieldSet::LIVENESS]).collect();
            if let Some(header) = header {
                projection.is_by_header = is_by_header(projection, header);
                projection
                    .show
                    .iter_mut()
                    .for_each(|shown| shown.slot = header.field(shown.field).unwrap_or(u16::MAX));
            }
            for embed in &mut projection.embeds {
                resolve(embed, Some(projection.of), &headers);
            }
        }
        let mut fragments = Vec::new();
        projections.iter().for_each(|projection| collect(&projection.embeds, &mut fragments));
        fragments.sort_by_key(|embed| embed.fragment);
        self.plan.fragments = fragments;
        self.plan.projections = projections;
    }

    /// Finds the routes from each type to the documents that show it.
    fn route(&mut self) {
        let projections = std::mem::take(&mut self.plan.projections);
        let mut ways: Vec<Vec<Way>> = self.plan.types.iter().map(|_| Vec::new()).collect();
        for (number, projection) in projections.iter().enumerate() {
            let number = u8::try_from(number).unwrap_or(u8::MAX);
            for (at, embed) in (0..).zip(&projection.embeds) {
                let target = WayEnd { projection: number, child: embed.is_joined.then_some(at) };
                self.ways((target, projection.of), embed, &[], &mut ways);
                if embed.is_joined {
                    self.ways_of_owner(target, projection, embed, &mut ways);
                }
            }
        }
        self.plan.projections = projections;
        for (number, ways) in ways.into_iter().enumerate() {
            let (first, triggers) = routes::join(routes::distinct(ways), &mut self.plan.routes);
            if let Some(of) = self.plan.types.get_mut(number) {
                (of.routes, of.triggers) = (first, triggers);
            }
        }
    }

    /// Adds the ways back from the entities that an embed shows. `behind` are the hops from the embedding entity
    /// back to the document.
    fn ways(&mut self, (target, of): (WayEnd, u8), embed: &EmbedPlan, behind: &[Hop], ways: &mut [Vec<Way>]) {
        let projection = target.projection;
        let hop = match &embed.by {
            RelationPlanOf::Reference { at, .. } => {
                Hop::Down { relation: self.index((of, at.field), embed.to) }
            }
            RelationPlanOf::Above { at, .. } => Hop::Below { relation: self.index((of, at.field), embed.to) },
            RelationPlanOf::From(from) => {
                let field =
                    self.plan.relations.get(usize::from(from.relation)).map_or(0, |found| found.field);
                Hop::Up { of: embed.to, field }
            }
        };
        let hops: Vec<Hop> = std::iter::once(hop).chain(behind.iter().copied()).collect();
        let shown = fields_of(&self.plan, embed.to, &embed.show, embed.words.as_ref());
        let starts =
            embed.embeds.iter().filter_map(EmbedPlan::starts_at).map(|field| FieldSet::of(field.into()));
        let mut trigger: FieldSet = shown.chain(starts).chain([FieldSet::LIVENESS]).collect();
        match &embed.by {
            RelationPlanOf::Above { at, .. } => trigger = trigger.with(FieldSet::of(at.field.into())),
            RelationPlanOf::From(from) => {
                if let Some(relation) = self.plan.relations.get(usize::from(from.relation)) {
                    trigger = trigger.with(relation.trigger);
                }
                // An owner whose computed members see its children is led to twice, and above it once.
                let is_new = !embed.is_joined || target.child.is_some();
                if let (Some(_), Hop::Up { of, field }) = (from.descendants.filter(|_| is_new), hop) {
                    let hops =
                        std::iter::once(Hop::Above { of, field }).chain(behind.iter().copied()).collect();
                    let trigger = FieldSet::LIVENESS.with(FieldSet::of(field.into()));
                    push(ways, of, Way { hops, target: WayEnd { projection, child: None }, trigger });
                }
            }
            RelationPlanOf::Reference { .. } => {}
        }
        push(ways, embed.to, Way { hops: hops.clone(), target, trigger });
        for inner in &embed.embeds {
            self.ways((target, embed.to), inner, &hops, ways);
        }
    }

    /// Adds the ways between an owner and its children. An owner that comes or goes takes its children with it. A
    /// member that comes or goes changes the owner's count and may make its stub. An owner that shows neither stays as
    /// it is. Computed members are made of all that the members show.
    fn ways_of_owner(
        &mut self,
        target: WayEnd,
        projection: &ProjectionPlan,
        embed: &EmbedPlan,
        ways: &mut [Vec<Way>],
    ) {
        let Some(from) = embed.from() else { return };
        let trigger = fields_in(&projection.conditions).chain([FieldSet::LIVENESS]).collect();
        push(ways, projection.of, Way { hops: vec![Hop::Down { relation: from.relation }], target, trigger });
        let owner = WayEnd { child: None, ..target };
        if !projection.compute.is_empty() {
            self.ways((owner, projection.of), embed, &[], ways);
            return;
        }
        if from.count.is_none() && !projection.stubs.contains(&from.relation) {
            return;
        }
        let Some(relation) = self.plan.relations.get(usize::from(from.relation)) else { return };
        let own = [FieldSet::LIVENESS, FieldSet::of(relation.field.into())];
        let trigger = fields_in(&relation.conditions).chain(own).collect();
        let hops = vec![Hop::Up { of: embed.to, field: relation.field }];
        push(ways, embed.to, Way { hops, target: owner, trigger });
    }

    /// A relation of all members by one reference. It is added, with keys alone, where no embed has one.
    fn index(&mut self, (member, field): (u8, u16), owner: u8) -> u8 {
        let is_index = |known: &RelationPlan| {
            (known.member, known.field) == (member, field) && known.conditions.is_empty()
        };
        match self.plan.relations.iter().position(is_index) {
            Some(number) => u8::try_from(number).unwrap_or(u8::MAX),
            None => self.relation((member, field, owner), Vec::new(), None),
        }
    }
}

/// The model was checked: its programs can be compiled.
fn compile_compute(compute: &model::Compute) -> Option<CountedProgram> {
    Program::compile(&compute.program).ok().map(|program| CountedProgram::new(&compute.name, program))
}

fn push(ways: &mut [Vec<Way>], of: u8, way: Way) {
    if let Some(ways) = ways.get_mut(usize::from(of)) {
        ways.push(way);
    }
}

fn slot(slots: &mut Vec<u16>, field: u16) -> u16 {
    let at = slots.iter().position(|known| *known == field).unwrap_or_else(|| {
        slots.push(field);
        slots.len() - 1
    });
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// The sets of the fields that are shown or searched.
fn fields_of<'a>(
    plan: &'a Plan,
    of: u8,
    show: &'a [ShownField],
    words: Option<&'a SearchableFields>,
) -> impl Iterator<Item = FieldSet> + 'a {
    let entity_type = plan.types.get(usize::from(of));
    let shown = show.iter().map(|shown| usize::from(shown.field));
    let searched = words.into_iter().flat_map(|words| words.fields);
    let searched = searched.filter_map(move |(name, _)| entity_type.and_then(|of| of.field(name)));
    shown.chain(searched).map(FieldSet::of)
}

fn is_upwards(embed: &EmbedPlan) -> bool {
    embed.from().is_none() && embed.embeds.iter().all(is_upwards)
}

/// Collects the embeds whose finished objects are kept.
fn collect(embeds: &[EmbedPlan], fragments: &mut Vec<EmbedPlan>) {
    for embed in embeds {
        fragments.extend(embed.fragment.map(|_| embed.clone()));
        collect(&embed.embeds, fragments);
    }
}

fn is_by_header(projection: &ProjectionPlan, header: &HeaderPlan) -> bool {
    let mut fields = projection.show.iter().map(|shown| shown.field);
    let references = projection.embeds.iter().filter_map(EmbedPlan::starts_at);
    // Conditions are looked at in the entity itself.
    projection.conditions.is_empty()
        && projection.rest.is_none()
        && projection.words.is_none()
        && fields.all(|field| header.field(field).is_some())
        && references.map(|field| header.reference(field)).all(|slot| slot.is_some())
}

/// Fills in the slots of fields and references that are read from headers. `own` is the document's own type, for
/// its first embeds.
fn resolve(embed: &mut EmbedPlan, own: Option<u8>, headers: &[HeaderPlan]) {
    if let Some(header) = headers.get(usize::from(embed.to)) {
        for shown in &mut embed.show {
            shown.slot = header.field(shown.field).unwrap_or(u16::MAX);
        }
    }
    let own = own.and_then(|of| headers.get(usize::from(of)));
    if let (RelationPlanOf::Reference { at, .. } | RelationPlanOf::Above { at, .. }, Some(own)) =
        (&mut embed.by, own)
    {
        at.slot = own.reference(at.field).unwrap_or(u16::MAX);
    }
    for inner in &mut embed.embeds {
        resolve(inner, None, headers);
    }
}
