//! The description of the model: collections with their filters and orders, projections with their fields and embeds. The page
//! is made by it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::plan::{Collection, EmbedPlan, EntityType, FilterPlan, PlanRef, Projection, RelationPlanOf};

/// The answer of `GET /model`.
#[derive(Debug, Clone, JsonSchema, Serialize)]
#[schemars(rename = "Model")]
pub struct ModelDescription {
    /// The projections that are kept and searched; the first is searched when a request names none.
    collections: Vec<CollectionDescription>,
    /// The projections that are kept.
    projections: Vec<ProjectionDescription>,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct CollectionDescription {
    name: &'static str,
    /// The member of a document that is the name of a hit.
    title: &'static str,
    /// The members of a document that hits show.
    hit: Vec<&'static str>,
    /// The own fields that are searched.
    words: Vec<&'static str>,
    phones: Vec<&'static str>,
    filters: Vec<FilterDescription>,
    sorts: Vec<SortDescription>,
    /// The projection of the entities that `under` takes the ids of.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    under: Option<&'static str>,
    /// The embeds that are searched with it.
    matched: Vec<MatchedDescription>,
    /// The embeds of entities that a document refers to, whose words find it.
    referred: Vec<ReferredDescription>,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct FilterDescription {
    name: &'static str,
    path: &'static str,
    kind: &'static str,
    /// The `from` embed that it looks into.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    embed: Option<&'static str>,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct SortDescription {
    name: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct MatchedDescription {
    /// The embed.
    embed: &'static str,
    /// The member of a hit that holds those which matched.
    member: &'static str,
    hit: Vec<&'static str>,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct ReferredDescription {
    embed: &'static str,
    words: Vec<&'static str>,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct ProjectionDescription {
    name: &'static str,
    /// The entity type whose documents these are.
    of: &'static str,
    /// The own fields that documents show.
    fields: Vec<FieldDescription>,
    /// The member for the fields that are not declared.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<&'static str>,
    embeds: Vec<EmbedDescription>,
    /// The computed members.
    compute: Vec<&'static str>,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct FieldDescription {
    name: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, JsonSchema, Serialize)]
struct EmbedDescription {
    name: &'static str,
    /// `reference`, `above` or `from`.
    by: &'static str,
    /// The projection in which documents of the embedded entities are found.
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    projection: Option<&'static str>,
    /// The shown fields of the embedded entities.
    fields: Vec<&'static str>,
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<&'static str>,
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<&'static str>,
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    descendants: Option<&'static str>,
    #[schemars(with = "String")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle: Option<&'static str>,
    embeds: Vec<EmbedDescription>,
}

impl ModelDescription {
    /// The description of a plan of which these projections are kept.
    pub fn of(plan: PlanRef, names: &[String]) -> Self {
        let describer = Describer { plan, names };
        let collections = plan.collections().filter(|of| describer.keeps(of.name()));
        let projections = plan.projections().filter(|of| describer.keeps(of.name()));
        Self {
            collections: collections.map(|of| describer.collection(of)).collect(),
            projections: projections.map(|of| describer.projection(of)).collect(),
        }
    }
}

struct Describer<'a> {
    plan: PlanRef,
    names: &'a [String],
}

impl Describer<'_> {
    fn keeps(&self, projection: &str) -> bool {
        self.names.iter().any(|name| name == projection)
    }

    /// The projection in which the document of an entity is best looked at: one that is searched before others.
    fn of_entities(&self, entity_type: EntityType) -> Option<&'static str> {
        let of_type = |of: &Projection| of.entity_type() == entity_type && self.keeps(of.name());
        let searched = self.plan.collections().map(Collection::projection).find(of_type);
        searched.or_else(|| self.plan.projections().find(of_type)).map(Projection::name)
    }

    fn collection(&self, collection: Collection) -> CollectionDescription {
        let plan = collection.get();
        let matched = plan.members_to_search().map(|(_, members, _)| MatchedDescription {
            embed: members.path,
            member: &members.label,
            hit: members.hit.clone(),
        });
        let filter = |filter: &FilterPlan| FilterDescription {
            name: filter.name,
            path: filter.path,
            kind: filter.kind.name(),
            embed: filter.members.and_then(|number| plan.members.get(number)).map(|members| members.path),
        };
        let under = plan.under.as_ref().and_then(|under| self.plan.entity_type(&under.entity));
        CollectionDescription {
            name: collection.name(),
            title: plan.own.title,
            hit: plan.hit.clone(),
            words: plan.own.fields.iter().map(|(name, _)| *name).collect(),
            phones: plan.own.phones.to_vec(),
            filters: plan.filters.iter().map(filter).collect(),
            sorts: plan
                .sorts
                .iter()
                .map(|sort| SortDescription { name: sort.name, kind: sort.kind.name() })
                .collect(),
            under: under.and_then(|of| self.of_entities(of)),
            matched: matched.collect(),
            referred: plan
                .referred
                .iter()
                .map(|referred| ReferredDescription { embed: referred.name, words: referred.fields.clone() })
                .collect(),
        }
    }

    fn projection(&self, projection: Projection) -> ProjectionDescription {
        let (plan, entity_type) = (projection.get(), projection.entity_type());
        let field = |name: &'static str| {
            let kind = entity_type.field_named(name).map_or("any", |field| field.kind_name);
            FieldDescription { name, kind }
        };
        ProjectionDescription {
            name: projection.name(),
            of: &entity_type.get().name,
            fields: plan.show.iter().map(|shown| field(shown.name)).collect(),
            rest: plan.rest,
            embeds: plan.embeds.iter().map(|embed| self.embed(embed)).collect(),
            compute: plan.compute.iter().map(|program| &*program.name).collect(),
        }
    }

    fn embed(&self, embed: &'static EmbedPlan) -> EmbedDescription {
        let from = embed.from();
        let (by, cycle) = match &embed.by {
            RelationPlanOf::Reference { .. } => ("reference", None),
            RelationPlanOf::Above { cycle, .. } => ("above", *cycle),
            RelationPlanOf::From(_) => ("from", None),
        };
        let of = self.plan.entity_type_of_number(embed.to);
        EmbedDescription {
            name: embed.name,
            by,
            projection: of.and_then(|of| self.of_entities(of)),
            fields: embed.show.iter().map(|shown| shown.name).collect(),
            count: from.and_then(|from| from.count),
            truncated: from.and_then(|from| from.truncated),
            descendants: from.and_then(|from| from.descendants),
            cycle,
            embeds: embed.embeds.iter().map(|inner| self.embed(inner)).collect(),
        }
    }
}
