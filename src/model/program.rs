//! jq programs, by the library jaq: compiled and checked once, and run within a budget.
//!
//! The bounds of an evaluation, for every record:
//!
//! - *It ends*, because recursive definitions and the functions that loop are refused by the syntax tree (`refuse`).
//!   Each step is also charged to a budget (`meter`). The value type is ours, and the library makes, copies, visits
//!   and compares values by it alone. `[., .] | [., .] | …`, and `.[] as $a | .[] as $b | …` end by it.
//! - *Memory*: each new value is charged by its size to the same budget. No value is larger than 32 MiB when it is
//!   written out, shared parts counted each time (`value`). `tojson`, `@text`, `*` of objects, `==` and sorting are
//!   bounded by that.
//! - *The stack*: values are at most 100 deep, and each charge looks how much stack is in use. Programs run on threads of
//!   their own with a large stack.
//! - *A panic* of the library is an error of that evaluation.
//!
//! Nothing goes by time: the same input gives the same result everywhere.

mod access;
mod decimal;
mod library;
mod meter;
mod number;
mod operators;
mod refusals;
mod thread;
mod value;

use std::fmt::{self, Write};
use std::sync::Arc;

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};

use self::library::ProgramData;
use self::value::Val;

/// The largest result.
pub const RESULT_BYTES_MAX: usize = 1 << 20;
/// The longest program.
pub const SOURCE_BYTES_MAX: usize = 16 << 10;
/// The longest message of an error: values are part of it.
const MESSAGE_BYTES_MAX: usize = 500;

type CompiledProgram = jaq_core::Filter<ProgramData>;

/// A compiled program.
#[derive(Clone)]
pub struct Program {
    source: Arc<str>,
    compiled: Arc<CompiledProgram>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.source).finish()
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Program {
    /// Compiles a program.
    ///
    /// # Errors
    /// The fault of the program, or the part of it that could depend on more than the input or need not end.
    pub fn compile(source: &str) -> Result<Self, String> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(format!(
                "it has {} bytes, and a program has at most {SOURCE_BYTES_MAX}",
                source.len()
            ));
        }
        let text = source.to_owned();
        // Deep brackets need a large stack.
        let compiled = thread::on_large_stack(move || compile(&text))??;
        Ok(Self { source: source.into(), compiled: Arc::new(compiled) })
    }

    /// The program's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Runs the program on a value of JSON and gives its one result as canonical JSON: keys sorted, no spaces. `None` when
    /// it has no result.
    ///
    /// A number that is only passed on keeps its digits. Arithmetic is exact for integers of 64 bits, and in doubles beyond.
    ///
    /// # Errors jq's message. There is also one for more than one result, for a result above [`RESULT_BYTES_MAX`], and
    /// for an evaluation beyond its budget.
    pub fn run(&self, input: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.run_within(input, meter::UNITS)
    }
}

impl Program {
    fn run_within(&self, input: &[u8], units: u64) -> Result<Option<Vec<u8>>, String> {
        thread::run(Arc::clone(&self.compiled), input.to_vec(), units)
    }
}

fn compile(source: &str) -> Result<CompiledProgram, String> {
    let arena = Arena::default();
    let loader = Loader::new(library::definitions());
    let modules = loader
        .load(&arena, File { code: source, path: () })
        .map_err(|errors| errors.iter().map(|(_, error)| syntax(source, error)).next().unwrap_or_default())?;
    // A module's head or an import before it is no expression.
    let term = load::parse(source, |parser| parser.term());
    refusals::check(
        &term.ok_or_else(|| "one expression was expected, without module and import".to_owned())?,
    )?;
    let compiler = Compiler::default().with_funs(library::functions());
    compiler.compile(modules).map_err(|errors| {
        let undefined =
            errors.iter().flat_map(|(_, errors)| errors).map(|(name, kind)| describe_undefined(name, kind));
        undefined.collect::<Vec<_>>().join("; ")
    })
}

/// Says where a program cannot be read.
fn syntax(source: &str, error: &load::Error<&str>) -> String {
    let place = |found: &str| {
        let at = source.len().saturating_sub(found.len());
        let is_end = found.is_empty();
        let near: String = found.chars().take(20).collect();
        let found = source.find(found).filter(|_| !is_end).unwrap_or(at);
        let line = source.get(..found).unwrap_or_default().split('\n').count();
        if is_end { "its end".to_owned() } else { format!("{near:?} in its line {line}") }
    };
    match error {
        load::Error::Lex(errors) => errors.first().map_or_else(String::new, |(expected, found)| {
            format!("{} was expected at {}", expected.as_str(), place(found))
        }),
        load::Error::Parse(errors) => errors.first().map_or_else(String::new, |(expected, found)| {
            format!("{} was expected at {}", expected.as_str(), place(found))
        }),
        load::Error::Io(_) => "a program can import nothing".to_owned(),
    }
}

fn describe_undefined(name: &str, kind: &jaq_core::compile::Undefined) -> String {
    let functions: Vec<&str> = library::definitions().map(|definition| definition.name).collect();
    let natives: Vec<&str> = library::functions().map(|function| function.0).collect();
    let known = functions.into_iter().chain(natives).filter(|known| !library::REFUSED.contains(known));
    match kind {
        jaq_core::compile::Undefined::Filter(arity) => {
            let near = super::tables::nearest(name, known).unwrap_or_default();
            format!("no function is named {name} with {arity} arguments (nearest: {near})")
        }
        other => format!("no {} is named {name}", other.as_str()),
    }
}

/// Evaluates on this thread.
fn evaluate(compiled: &CompiledProgram, input: &[u8], units: u64) -> Result<Option<Vec<u8>>, String> {
    meter::begin(units);
    meter::charge_bytes(input.len());
    let json: serde_json::Value =
        serde_json::from_slice(input).map_err(|error| format!("the input is no JSON: {error}"))?;
    let context = Ctx::<ProgramData>::new(&compiled.lut, Vars::new([]));
    let mut results = compiled.id.run((context, Val::of_json(json)));
    let Some(result) = results.next() else { return Ok(None) };
    let value = result.map_err(|exception| match exception.get_err() {
        // The text of a string is the message, as in jq.
        Ok(error) => match error.into_val() {
            Val::Str(text) => BoundedText::text(MESSAGE_BYTES_MAX, &text).0,
            other => BoundedText::text(MESSAGE_BYTES_MAX, &other).0,
        },
        Err(_) => "it broke off".to_owned(),
    })?;
    if results.next().is_some() {
        return Err("it has more than one result".to_owned());
    }
    match BoundedText::text(RESULT_BYTES_MAX, &value) {
        (text, true) => Ok(Some(text.into_bytes())),
        (_, false) => Err(format!("its result is larger than {RESULT_BYTES_MAX} bytes")),
    }
}

/// A text that takes no more than so many bytes.
struct BoundedText {
    text: String,
    bytes_max: usize,
}

impl BoundedText {
    /// The text of a value, and whether it is whole.
    fn text(bytes_max: usize, value: &impl fmt::Display) -> (String, bool) {
        let mut bounded = Self { text: String::new(), bytes_max };
        let is_whole = write!(bounded, "{value}").is_ok();
        (bounded.text, is_whole)
    }
}

impl Write for BoundedText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.bytes_max - self.text.len();
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| part.is_char_boundary(*at)).unwrap_or(0);
        self.text.push_str(part.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests;
