//! A checked model: every name in it exists, and every default is filled in.

use serde_json::Value;

use super::entity_config::EntityConfig;

/// A checked model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// The entity types, in the file's order.
    pub entities: Vec<Entity>,
    /// The projections, in the file's order.
    pub projections: Vec<Projection>,
    /// True when it says the same as the model that comes with the program.
    pub is_built_in: bool,
}

/// An entity type.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Its topics and how their records are read; the topics are never empty.
    pub source: EntityConfig,
    /// A jq program from the data of an event, after `rename`, to the data that is folded.
    pub transform: Option<String>,
    /// The declared fields, in the file's order. `id` is none of them.
    pub fields: Vec<Field>,
}

/// A declared field of an entity type.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: DeclaredType,
    /// The default in documents where it is absent or null. A reference has none.
    pub default: Option<Default>,
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclaredType {
    /// A JSON string.
    String,
    /// A list of strings.
    Strings,
    /// A string that holds a date.
    Date,
    /// A JSON number.
    Number,
    /// A JSON number without fraction and exponent.
    Integer,
    /// True or false.
    Boolean,
    /// Any JSON object.
    Object,
    /// An object whose members are strings or null; those that are null are left out.
    Address,
    /// Any JSON value.
    Any,
    /// The id of an entity of the type `to`, or with `list` a list of such ids.
    Reference {
        /// The name of the entity type.
        to: String,
        /// True for a list of ids.
        list: bool,
    },
}

/// The default of an absent or null field when a document is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Default {
    /// The texts of these fields; parts that are absent or empty are skipped, and without any the field stays absent.
    Join {
        /// The names of the entity's fields. They are string, date, number, integer, boolean or a single reference.
        fields: Vec<String>,
        /// The text between two parts.
        with: String,
    },
    /// This value. It has the field's type.
    Value(Value),
    /// A jq program over the entity's fields.
    Jq(String),
}

/// A projection: one document for each living entity of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Its name.
    pub name: String,
    /// The entity type that its documents are of.
    pub of: String,
    /// Embeds of this projection, each a [`Relation::From`]. An id that was never seen has a document while one of them is
    /// not empty. Empty where there are `conditions`.
    pub stubs: Vec<String>,
    /// The own fields that a document shows, in its order. A reference among them is shown as its id or list of ids.
    pub show: Vec<String>,
    /// The member that holds the fields which are not declared.
    pub rest: Option<String>,
    /// `where`: all of them must hold.
    pub conditions: Vec<Condition>,
    /// The embeds, in the document's order.
    pub embeds: Vec<Embed>,
    /// The computed members, in their order.
    pub compute: Vec<Compute>,
    /// How it is searched; `None` for a projection that is not.
    pub search: Option<Search>,
    /// Where the members of its own `from` embeds are held.
    pub layout: Layout,
}

/// Where an index holds the members of a projection's own `from` embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, std::default::Default)]
pub enum Layout {
    /// Within the document.
    #[default]
    Nested,
    /// As documents of their own in the same index, children of the document.
    Join,
}

impl Layout {
    /// The layouts by their names in a model and in a configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("nested", Self::Nested), ("join", Self::Join)];
}

/// A part of a `where`: the field, its default included, equals one of the values. Of a list of strings or ids one member
/// does.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The name of the entity's own field.
    pub field: String,
    /// The values, at least one, each of the field's type: strings, numbers or booleans.
    pub values: Vec<Value>,
}

/// The part of a document, or of an embedded object, that shows other entities.
#[derive(Debug, Clone, PartialEq)]
pub struct Embed {
    /// The name of the member (`as`).
    pub name: String,
    /// The entity type that is embedded.
    pub entity: String,
    /// How the embedded entities are found.
    pub relation: Relation,
    /// The own fields of the embedded entity that are shown, in order. Empty where only ids are shown.
    pub show: Vec<String>,
    /// Embeds of the embedded entity.
    pub embeds: Vec<Embed>,
}

/// How embedded entities are found from the one that embeds them.
#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    /// The entity that a reference of the embedding entity names.
    Reference {
        /// The reference.
        field: String,
        /// True when it is a list of ids: the member is a list then.
        list: bool,
    },
    /// Up the tree that a reference of the embedding entity makes, the nearest first.
    Above {
        /// The reference, to the embedding entity's own type.
        field: String,
        /// True when only ids are listed.
        ids: bool,
        /// The member that is true when the way ended at a repeated id.
        cycle: Option<String>,
    },
    /// The entities that refer to the embedding entity, sorted by id.
    From(FromRelation),
}

/// `from`: the entities that refer to the embedding one.
#[derive(Debug, Clone, PartialEq)]
pub struct FromRelation {
    /// The entity type that refers; the same as [`Embed::entity`].
    pub entity: String,
    /// Its reference.
    pub field: String,
    /// True when that reference is a list of ids.
    pub list: bool,
    /// `where`: all of them must hold of the embedded entity.
    pub conditions: Vec<Condition>,
    /// At most so many are shown.
    pub max: u32,
    /// The member that holds the true number.
    pub count: Option<String>,
    /// The member that is true when there are more than `max`.
    pub truncated: Option<String>,
    /// The member that holds how many different entities are below.
    pub descendants: Option<String>,
}

/// A computed member of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compute {
    /// The member's name.
    pub name: String,
    /// The jq program over the finished document.
    pub program: String,
}

/// How a projection is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The own field, or the computed member, that is a hit's name.
    pub title: String,
    /// The own fields and computed members that are searched.
    pub words: Vec<String>,
    /// Those that hold phone numbers.
    pub phones: Vec<String>,
    /// The filters and facets, in the file's order.
    pub filters: Vec<Filter>,
    /// The path of the embed by which `under` finds documents; it is a [`Relation::Above`]. Documents whose own tree it
    /// is are below, and at the id itself. Of a path such as `category.pathIds` the category is there.
    pub under: Option<String>,
    /// The members of a document that a hit shows beside id, title and score.
    pub hit: Vec<String>,
    /// The embeds that are searched with it.
    pub embeds: Vec<EmbedSearch>,
}

/// A filter, and the facet of the same name.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The name in a request.
    pub name: String,
    /// The path of the value in a document, parts parted by dots.
    pub path: String,
    /// The member that the path leads to.
    pub target: PathTarget,
}

/// The member that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTarget {
    /// The embeds on the way, outermost first.
    pub embeds: Vec<String>,
    /// How many of them, from the outermost on, lead to the last one that is a `from`; 0 without such. Filters that share
    /// these hold together by one and the same member.
    pub from_depth: usize,
    /// The kind of the value there.
    pub kind: PathKind,
}

/// The kind of value that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// An id: `parent.id`, or a member of a list of ids.
    Id,
    /// A declared field of this type.
    Field(DeclaredType),
    /// Something inside an `address`, an `object` or the member `rest`.
    Inside,
    /// A count or a number of descendants.
    Count,
    /// A member that is true or absent.
    Flag,
    /// A computed member, whose type is not known.
    Computed,
}

/// How an embed is searched together with its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedSearch {
    /// The name of the projection's embed.
    pub embed: String,
    /// The fields of the embedded entity that are searched.
    pub words: Vec<String>,
    /// Those that hold phone numbers.
    pub phones: Vec<String>,
    /// The members that a matched one shows; by default all that the embed shows.
    pub hit: Vec<String>,
}

impl Model {
    /// The entity type of this name.
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.name == name)
    }

    /// The projection of this name.
    pub fn projection(&self, name: &str) -> Option<&Projection> {
        self.projections.iter().find(|projection| projection.name == name)
    }
}

impl Entity {
    /// The declared field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl DeclaredType {
    /// The name in a model, and a short text for a reference.
    pub fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Strings => "strings",
            Self::Date => "date",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Address => "address",
            Self::Any => "any",
            Self::Reference { .. } => "a reference",
        }
    }

    /// The types that a name alone stands for.
    pub const PLAIN: [Self; 9] = [
        Self::String,
        Self::Strings,
        Self::Date,
        Self::Number,
        Self::Integer,
        Self::Boolean,
        Self::Object,
        Self::Address,
        Self::Any,
    ];

    /// True for a reference, whether to one entity or to a list of them.
    pub fn is_reference(&self) -> bool {
        matches!(self, Self::Reference { .. })
    }
}

impl PathKind {
    /// True for a kind that exact values can be compared with.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::Field(DeclaredType::Object | DeclaredType::Address | DeclaredType::Any))
    }

    /// True for a kind that has an order, so that `field:[from TO to]` can be asked for.
    pub fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Count
                | Self::Computed
                | Self::Field(DeclaredType::Date | DeclaredType::Number | DeclaredType::Integer)
        )
    }
}
