//! Entity types as they are compiled.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{FieldSet, HeaderPlan};
use crate::model::program::Program;

/// An entity type.
#[derive(Debug)]
pub struct TypePlan {
    /// Its name.
    pub name: Box<str>,
    /// The program from the data of an event to the data that is folded.
    pub transform: Option<Program>,
    /// The declared fields, in the model's order.
    pub fields: Vec<FieldPlan>,
    /// The names of the declared fields and `id`, in their own order.
    pub known: Vec<&'static str>,
    /// The relations in which its entities are members.
    pub relations: Vec<u8>,
    /// The first hops of the routes from a changed entity to the documents that show it.
    pub routes: Vec<u16>,
    /// For each rule, the changes that set it off.
    pub triggers: Vec<FieldSet>,
    /// The parts that others show by a reference.
    pub header: HeaderPlan,
    /// The fragments that show an entity of this type.
    pub fragments: Vec<u16>,
}

/// A declared field.
#[derive(Debug)]
pub struct FieldPlan {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: FieldType,
    /// The name of the type, as a model has it.
    pub kind_name: &'static str,
    /// The default where it is absent or null.
    pub absent: Option<AbsenceRule>,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
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
    /// An object whose members are strings or null.
    Address,
    /// Any JSON value.
    Any,
    /// The id of an entity.
    Reference,
    /// A list of ids.
    References,
}

/// The default of an absent field when a document is made.
#[derive(Debug)]
pub enum AbsenceRule {
    /// The texts of these fields, with this between them.
    Join {
        /// The names of the fields.
        fields: Vec<&'static str>,
        /// The text between two of them, as it stands within a JSON string.
        with: Vec<u8>,
    },
    /// Canonical JSON.
    Value(Box<[u8]>),
    /// The result of a program over the entity's fields.
    Program(CountedProgram),
}

/// A program whose errors are counted.
#[derive(Debug)]
pub struct CountedProgram {
    /// The name of the field or member that it makes.
    pub name: Box<str>,
    program: Program,
    errors: AtomicU64,
}

impl CountedProgram {
    /// No error was counted yet.
    pub fn new(name: &str, program: Program) -> Self {
        Self { name: name.into(), program, errors: AtomicU64::new(0) }
    }

    /// The result over canonical JSON; `None` when it is null, absent, of another type than `kind`, or an error. An error is counted, and logged when the
    /// count is a power of two.
    pub fn run(&self, of: &str, input: &[u8], kind: FieldType) -> Option<Vec<u8>> {
        match self.evaluate(input, kind) {
            Ok(result) => result,
            Err(error) => {
                let errors = self.errors.fetch_add(1, Ordering::Relaxed) + 1;
                if errors.is_power_of_two() {
                    tracing::warn!(
                        field = &*self.name,
                        of,
                        errors,
                        error,
                        "a program of the model failed: the field is left out"
                    );
                }
                None
            }
        }
    }

    /// The same, with an error told and not counted.
    ///
    /// # Errors
    /// The error of the program, or that its result does not fit.
    pub fn evaluate(&self, input: &[u8], kind: FieldType) -> Result<Option<Vec<u8>>, String> {
        let result = self.program.run(input)?.filter(|json| json != b"null");
        match result {
            Some(json) if !kind.holds(&json) => {
                Err("the result is of another type than the field".to_owned())
            }
            result => Ok(result),
        }
    }

    /// How many evaluations failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

impl FieldType {
    /// True of canonical JSON that a field of this type may hold.
    pub fn holds(self, json: &[u8]) -> bool {
        let is_number = |json: &[u8]| json.first().is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit());
        match self {
            Self::Any => true,
            Self::String | Self::Date | Self::Reference => json.first() == Some(&b'"'),
            Self::Strings | Self::References => serde_json::from_slice::<Vec<String>>(json).is_ok(),
            Self::Number => is_number(json),
            Self::Integer => is_number(json) && !json.iter().any(|byte| b".eE".contains(byte)),
            Self::Boolean => matches!(json, b"true" | b"false"),
            Self::Object | Self::Address => json.first() == Some(&b'{'),
        }
    }
}

impl TypePlan {
    /// The number of a declared field.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The declared field of this name.
    pub fn field_named(&self, name: &str) -> Option<&FieldPlan> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The declared field of this number.
    #[expect(clippy::expect_used, reason = "only the compiler hands out numbers of fields")]
    pub fn field_at(&self, number: u16) -> &FieldPlan {
        self.fields.get(usize::from(number)).expect("a field of its type")
    }
}
