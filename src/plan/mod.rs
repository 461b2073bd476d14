//! The plan: a checked model, compiled once at start into numbers and handles.
//!
//! A handle is `Copy` and names an entity type, a projection or a relation. A program has one plan, which lives as long as
//! the program does.

mod built_in_plan;
mod child;
mod compile;
mod field_set;
mod header;
mod relation;
mod routes;
mod search;
mod shape;
mod tree;
mod types;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::OnceLock;

pub use self::built_in_plan::*;
pub use self::child::{Child, ChildKey, child_key, display_key, id_and_owner, is_held, key_of};
pub use self::compile::compile;
pub use self::field_set::FieldSet;
pub use self::header::HeaderPlan;
pub use self::relation::{ConditionPlan, RelationPlan, RowPlan};
pub use self::routes::{Hop, Mark, Route};
pub use self::search::{
    ApartPlan, Collection, FilterPlan, MembersPlan, ReferredPlan, SearchPlan, SortPlan, UnderPlan,
};
pub use self::shape::{
    EmbedPlan, FromPlan, Maximum, ProjectionPlan, ReferenceAt, RelationPlanOf, ShownField,
};
pub use self::tree::TreePart;
pub use self::types::{AbsenceRule, CountedProgram, FieldPlan, FieldType, TypePlan};
pub use crate::model::join::JOIN;

/// A compiled model.
#[derive(Debug, Default)]
pub struct Plan {
    types: Vec<TypePlan>,
    projections: Vec<ProjectionPlan>,
    relations: Vec<RelationPlan>,
    routes: Vec<Route>,
    /// The embeds whose finished objects are kept, by the number of the fragment.
    fragments: Vec<EmbedPlan>,
    is_built_in: bool,
}

/// A place for a plan that lives as long as the program.
pub struct PlanCell {
    plan: OnceLock<Plan>,
    make: fn() -> Plan,
}

impl PlanCell {
    /// A place whose plan is made when it is first needed.
    const fn lazy(make: fn() -> Plan) -> Self {
        Self { plan: OnceLock::new(), make }
    }

    /// Keeps a plan for the rest of the program's life.
    fn keep(plan: Plan) -> &'static Self {
        Box::leak(Box::new(Self { plan: OnceLock::from(plan), make: Plan::default }))
    }

    fn get(&'static self) -> &'static Plan {
        self.plan.get_or_init(self.make)
    }
}

/// A plan, as it is handed around.
#[derive(Clone, Copy)]
pub struct PlanRef(&'static PlanCell);

impl PartialEq for PlanRef {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for PlanRef {}

impl Deref for PlanRef {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        self.0.get()
    }
}

impl fmt::Debug for PlanRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.projections()).finish()
    }
}

impl PlanRef {
    /// The entity types, by their numbers.
    pub fn entity_types(self) -> impl DoubleEndedIterator<Item = EntityType> + ExactSizeIterator {
        let count = self.types.len();
        (0..count).map(move |number| EntityType { cell: self.0, number: small(number) })
    }

    /// The projections, by their numbers.
    pub fn projections(self) -> impl DoubleEndedIterator<Item = Projection> + ExactSizeIterator {
        let count = self.projections.len();
        (0..count).map(move |number| Projection { cell: self.0, number: small(number) })
    }

    /// The relations, by their numbers.
    pub fn relations(self) -> impl DoubleEndedIterator<Item = Relation> + ExactSizeIterator {
        let count = self.relations.len();
        (0..count).map(move |number| Relation { cell: self.0, number: small(number) })
    }

    /// The entity type of this name.
    pub fn entity_type(self, name: &str) -> Option<EntityType> {
        self.entity_types().find(|entity_type| *entity_type.name == *name)
    }

    /// The projection of this name.
    pub fn projection(self, name: &str) -> Option<Projection> {
        self.projections().find(|projection| projection.name() == name)
    }

    /// The projection of this number.
    pub fn projection_of_number(self, number: u8) -> Option<Projection> {
        (usize::from(number) < self.projections.len()).then_some(Projection { cell: self.0, number })
    }

    /// The route of this number.
    pub fn route(self, number: u16) -> Option<&'static Route> {
        self.0.get().routes.get(usize::from(number))
    }

    /// The keyspaces of entities and relations: the number and the name of each.
    pub fn spaces(self) -> Vec<(u8, String)> {
        let of_type = |of: EntityType| (of.space(), of.space_name());
        let of_relation = |relation: Relation| (relation.space, relation.name.to_string());
        self.entity_types().map(of_type).chain(self.relations().map(of_relation)).collect()
    }

    /// For each computed member, its projection, its name and how many evaluations failed.
    pub fn compute_errors(self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let programs = |projection: Projection| {
            let plan = projection.get();
            plan.compute.iter().map(move |program| (&*plan.name, &*program.name, program.errors()))
        };
        self.projections().flat_map(programs)
    }

    /// For each default that a program makes, its entity type, its field and how many evaluations failed.
    pub fn default_errors(self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let programs = |of: EntityType| {
            let entity = of.get();
            entity.fields.iter().filter_map(move |field| match &field.absent {
                Some(AbsenceRule::Program(program)) => Some((&*entity.name, field.name, program.errors())),
                _ => None,
            })
        };
        self.entity_types().flat_map(programs)
    }

    /// A number that changes with the projections, the relations and the routes.
    pub fn shape(self) -> u64 {
        let names: Vec<&str> = self.projections.iter().map(|projection| &*projection.name).collect();
        let relations: Vec<&str> = self.relations.iter().map(|relation| &*relation.name).collect();
        xxhash_rust::xxh3::xxh3_64(format!("{names:?} {relations:?} {:?}", self.routes).as_bytes())
    }

    /// True when a route leads to a document of one of the projections by one of these rules.
    pub fn leads_to(self, route: &Route, rules: u128, is_wanted: &dyn Fn(u8) -> bool) -> bool {
        route.marks.iter().any(|mark| mark.rule & rules != 0 && is_wanted(mark.projection))
            || route
                .next
                .iter()
                .filter_map(|number| self.route(*number))
                .any(|next| next.rules & rules != 0 && self.leads_to(next, rules, is_wanted))
    }

    /// How many kinds of fragments there are.
    pub fn fragments(self) -> usize {
        self.fragments.len()
    }

    /// The embed of a kind of fragment, and the type that it shows.
    pub fn fragment(self, kind: u16) -> Option<(&'static EmbedPlan, EntityType)> {
        let embed = self.0.get().fragments.get(usize::from(kind))?;
        Some((embed, self.entity_type_of_number(embed.to)?))
    }

    /// The entity type of this number.
    pub fn entity_type_of_number(self, number: u8) -> Option<EntityType> {
        (usize::from(number) < self.types.len()).then_some(EntityType { cell: self.0, number })
    }

    /// The relation of this number.
    pub fn relation_of_number(self, number: u8) -> Option<Relation> {
        (usize::from(number) < self.relations.len()).then_some(Relation { cell: self.0, number })
    }
}

/// The keyspaces of entity types beyond the first two have numbers from this one on.
const ENTITY_SPACES: u8 = 8;

/// The model has at most 64 of each.
fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $plan:ty, $list:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name {
            cell: &'static PlanCell,
            number: u8,
        }

        impl $name {
            /// The number of it in its plan.
            pub fn number(self) -> u8 {
                self.number
            }

            /// The plan that it belongs to.
            pub fn plan(self) -> PlanRef {
                PlanRef(self.cell)
            }

            /// Its part of the plan.
            pub fn get(self) -> &'static $plan {
                self.cell.get().$list.get(usize::from(self.number)).expect("a handle of its plan")
            }
        }

        impl Deref for $name {
            type Target = $plan;

            fn deref(&self) -> &$plan {
                (*self).get()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.number == other.number
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.number.cmp(&other.number)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.number.hash(state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.get().name)
            }
        }
    };
}

handle!(
    /// An entity type of the model.
    EntityType,
    TypePlan,
    types
);
handle!(
    /// A projection of the model. Its number is on disk.
    Projection,
    ProjectionPlan,
    projections
);
handle!(
    /// A relation: for each owner, the entities that refer to it.
    Relation,
    RelationPlan,
    relations
);

impl Projection {
    /// The projection's name: of its index, its mapping and in the configuration.
    pub fn name(self) -> &'static str {
        &self.get().name
    }

    /// The type whose entities have documents.
    pub fn entity_type(self) -> EntityType {
        EntityType { cell: self.cell, number: self.get().of }
    }

    /// The relations of its embeds, each of the entities that refer to the document's own.
    pub fn members(self) -> impl Iterator<Item = Relation> {
        let number = |embed: &'static EmbedPlan| embed.from().map(|from| from.relation);
        self.get().embeds.iter().filter_map(number).map(move |number| Relation { cell: self.cell, number })
    }

    /// True where the members of a relation alone make a document.
    pub fn makes_stubs(self, relation: Relation) -> bool {
        self.get().stubs.contains(&relation.number)
    }
}

impl EntityType {
    /// The number of its keyspace.
    pub fn space(self) -> u8 {
        if self.number < 2 { 1 + self.number } else { ENTITY_SPACES + (self.number - 2) }
    }

    fn space_name(self) -> String {
        let name = &self.get().name;
        if self.plan().is_built_in() {
            format!("{}-{name}", 1 + self.number)
        } else {
            format!("entity-{name}")
        }
    }

    /// The declared field of this name.
    pub fn field_named(self, name: &str) -> Option<&'static FieldPlan> {
        self.get().fields.iter().find(|field| field.name == name)
    }

    /// The relations in which its entities are members.
    pub fn relations(self) -> impl Iterator<Item = Relation> {
        self.get().relations.iter().map(move |number| Relation { cell: self.cell, number: *number })
    }
}

impl Relation {
    /// The type of the members.
    pub fn member(self) -> EntityType {
        EntityType { cell: self.cell, number: self.get().member }
    }

    /// The type of the owners.
    pub fn owner(self) -> EntityType {
        EntityType { cell: self.cell, number: self.get().owner }
    }
}
