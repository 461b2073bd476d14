//! The form of a document in the embedded index: the fields that are searched, and its JSON as it is.
//!
//! Embedded objects are folded into fields of their document. The position of a word in a field tells its owner. The
//! document's own words have the first positions, those of its first member the next, and so on
//! ([`owner_at`](super::owner::owner_at)). Within those, words that stand side by side in a text have positions side by
//! side.

use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, STORED, Schema, SchemaBuilder, TextFieldIndexing,
    TextOptions,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::plan::{Collection, FilterPlan, MembersPlan, Projection, SearchPlan, SortPlan};
use crate::searchable_fields::{Class, SortKind, ValueKind};

/// The name of the tokenizer that takes words with their positions apart.
pub(super) const PLACED: &str = "placed";
/// Longer values are kept and not found, as the mappings' `ignore_above` has it.
pub(super) const VALUE_LETTERS_MAX: usize = 1_024;
/// Parts the values of one member: no letter that a person types.
pub const PART: char = '\u{1f}';
/// Stands for a value that a member does not have.
pub const ABSENT: &str = "\u{1e}";

/// The fields of the index of a projection.
#[derive(Debug, Clone)]
pub struct IndexFields {
    /// All of them.
    pub schema: Schema,
    /// The document's id.
    pub id: Field,
    /// The version that it was written with.
    pub version: Field,
    /// Its JSON.
    pub document: Field,
    /// The fields that searches look in; none of a projection that is not searched.
    pub search: Option<SearchFields>,
}

/// The fields that searches look in.
#[derive(Debug, Clone)]
pub struct SearchFields {
    /// How documents are searched.
    pub plan: &'static SearchPlan,
    /// The words of names, e-mail addresses, roles and other fields, its own and its members', by the classes' order.
    pub words: [Field; 4],
    /// The words of entities that the document refers to.
    pub referred: Field,
    /// Names as [`name_key`](super::keys::name_key)s and e-mail addresses as [`mail_key`](super::keys::mail_key)s.
    pub whole: Field,
    /// Phone numbers' digits, reversed.
    pub phone: Field,
    /// How many words its own name has.
    pub length: Field,
    /// The entities that it is at or below.
    pub below: Field,
    /// The values to filter by and to count, by the numbers of the filters: the text, and the number of one that has an order.
    pub filters: Vec<(Field, Option<Field>)>,
    /// The values that hits may be ordered by, by the numbers of the orders.
    pub sorts: Vec<Field>,
    /// For each `from` embed that is looked into: the values of each member together, and `yes` where not all are embedded.
    pub members: Vec<(Field, Field)>,
    /// The owners that documents of members show, by the embeds.
    pub owners: Vec<(&'static str, Field)>,
}

impl IndexFields {
    /// The fields of the index of a projection.
    pub fn of(projection: Projection) -> Self {
        let mut builder = Schema::builder();
        let id = builder.add_text_field("id", count_options() | STORED);
        let version = builder.add_u64_field("version", fast());
        let document = builder.add_bytes_field("document", BytesOptions::default().set_stored());
        let search = Collection::of(projection).map(|collection| SearchFields::of(collection, &mut builder));
        Self { schema: builder.build(), id, version, document, search }
    }
}

/// A number that changes with the fields of the index of a projection, and with their content.
pub(super) fn layout(projection: Projection) -> u64 {
    let Some(collection) = Collection::of(projection) else { return 0 };
    let SearchPlan { own, filters, sorts, under, members, referred, .. } = collection.get();
    let filters: Vec<_> = filters.iter().map(|filter| (filter.path, filter.kind, filter.members)).collect();
    let sorts: Vec<_> = sorts.iter().map(|sort| (sort.member, sort.kind)).collect();
    let member = |of: &MembersPlan| (of.path, of.words, of.truncated, of.is_found_by_id());
    let members: Vec<_> = members.iter().map(member).collect();
    let under = under.as_ref().map(|under| (&under.at, &under.above));
    let owners = owners(collection);
    xxh3_64(format!("{own:?} {filters:?} {sorts:?} {under:?} {members:?} {referred:?} {owners:?}").as_bytes())
}

/// The embeds by which documents of a collection show the owners that do not embed them.
fn owners(collection: Collection) -> Vec<&'static str> {
    let number = collection.projection().number();
    let mut owners = Vec::new();
    for other in collection.projection().plan().collections() {
        let apart = other.get().members.iter().filter_map(|members| members.apart);
        for apart in apart.filter(|apart| apart.projection == number) {
            if !owners.contains(&apart.owner) {
                owners.push(apart.owner);
            }
        }
    }
    owners
}

impl SearchFields {
    fn of(collection: Collection, builder: &mut SchemaBuilder) -> Self {
        let plan = collection.get();
        let placed = text_options(PLACED, IndexRecordOption::WithFreqsAndPositions);
        let classes = ["name_words", "mail_words", "role_words", "other_words"];
        let words = classes.map(|name| builder.add_text_field(name, placed.clone()));
        let referred = builder.add_text_field("referred_words", placed.clone());
        let whole = builder.add_text_field("whole", placed.clone());
        let phone = builder.add_text_field("phone", placed);
        let length = builder.add_u64_field("length", fast());
        let below = builder.add_text_field("below", raw());
        let filters = plan.filters.iter().map(|filter| {
            let text = builder.add_text_field(&text_column(filter), count_options());
            (text, number_column(builder, filter))
        });
        let filters = filters.collect();
        let sorts = plan.sorts.iter().map(|sort| add_sort(builder, sort)).collect();
        let members = (0..plan.members.len()).map(|number| {
            let together = builder.add_text_field(&members_column(number), count_options());
            (together, builder.add_text_field(&format!("truncated_{number}"), raw()))
        });
        let members = members.collect();
        let owners = owners(collection).into_iter();
        let owners = owners.map(|name| (name, builder.add_text_field(&owner_column(name), count_options())));
        let owners = owners.collect();
        Self { plan, words, referred, whole, phone, length, below, filters, sorts, members, owners }
    }

    /// The field of a filter's texts.
    pub fn text(&self, filter: &FilterPlan) -> Option<Field> {
        self.filters.get(usize::from(filter.number)).map(|(text, _)| *text)
    }

    /// The field of a filter's numbers.
    pub fn number(&self, filter: &FilterPlan) -> Option<Field> {
        self.filters.get(usize::from(filter.number)).and_then(|(_, number)| *number)
    }

    /// The field of an owner that documents of members show.
    pub fn owner(&self, embed: &str) -> Option<Field> {
        self.owners.iter().find(|(name, _)| *name == embed).map(|(_, field)| *field)
    }

    /// The field that holds the words of a class.
    pub fn of_class(&self, class: Class) -> Field {
        let [name, mail, role, other] = self.words;
        match class {
            Class::Name => name,
            Class::Mail => mail,
            Class::Role => role,
            Class::Other => other,
        }
    }
}

fn text_options(tokenizer: &str, option: IndexRecordOption) -> TextOptions {
    let indexing =
        TextFieldIndexing::default().set_tokenizer(tokenizer).set_fieldnorms(false).set_index_option(option);
    TextOptions::default().set_indexing_options(indexing)
}

/// A text that is compared whole.
fn raw() -> TextOptions {
    text_options("raw", IndexRecordOption::Basic)
}

/// The same, which can be counted.
fn count_options() -> TextOptions {
    raw().set_fast("raw")
}

fn fast() -> NumericOptions {
    NumericOptions::default().set_fast()
}

fn number_column(builder: &mut SchemaBuilder, filter: &FilterPlan) -> Option<Field> {
    let name = format!("number_{}", filter.number);
    match filter.kind {
        ValueKind::Text | ValueKind::Boolean => None,
        ValueKind::Integer | ValueKind::Date => Some(builder.add_i64_field(&name, fast())),
        ValueKind::Number | ValueKind::Computed => Some(builder.add_f64_field(&name, fast())),
    }
}

fn add_sort(builder: &mut SchemaBuilder, sort: &SortPlan) -> Field {
    let name = sort_column(sort);
    match sort.kind {
        SortKind::Title => builder.add_text_field(&name, TextOptions::default().set_fast("raw")),
        SortKind::Integer | SortKind::Date => builder.add_i64_field(&name, fast()),
        SortKind::Number => builder.add_f64_field(&name, fast()),
    }
}

/// The name of the column of a filter's texts.
pub fn text_column(filter: &FilterPlan) -> String {
    format!("filter_{}", filter.number)
}

/// The name of the column of an order.
pub fn sort_column(sort: &SortPlan) -> String {
    format!("sort_{}", sort.number)
}

/// The name of the column of the values of each member together.
pub fn members_column(number: usize) -> String {
    format!("members_{number}")
}

/// The name of the column of an owner.
pub fn owner_column(embed: &str) -> String {
    format!("owner_{embed}")
}
