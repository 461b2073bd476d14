//! The functions that programs may call. A function of the library that has an effect, depends on more than its input,
//! or need not end is left out.

use std::rc::Rc;

use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Error, RunPtr, ValR};

use super::meter::charge_bytes;
use super::value::Val;

/// The threads that programs run on.
pub(super) type ProgramData = JustLut<Val>;

/// Names that a program is refused for, beside recursive definitions and `$ENV`.
pub(super) const REFUSED: [&str; 17] = [
    "now",
    "env",
    "input",
    "inputs",
    "input_line_number",
    "debug",
    "stderr",
    "halt",
    "halt_error",
    "localtime",
    "strflocaltime",
    "recurse",
    "repeat",
    "while",
    "until",
    "range",
    "limit",
];

/// Functions of the library that are not given to programs nor to its own definitions. The Bessel functions take as many
/// steps as their order says.
const WITHHELD: [&str; 9] =
    ["now", "env", "halt", "debug_empty", "stderr_empty", "strflocaltime", "localtime", "jn", "yn"];

/// Definitions that stand on those. `isnan` goes by an order in which nothing is a number before itself.
const NOT_DEFINED: [&str; 6] = ["stderr", "debug", "halt", "halt_error", "combinations", "isnan"];

/// Definitions of our own.
const OWN: &str = r#"
def toboolean: if isboolean then . else fromjson | if isboolean then . else error("cannot parse as boolean") end end;
def transpose: [range([.[] | length] | max // 0) as $i | [.[][$i]]];
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i): indices($i)[0];
def rindex($i): indices($i)[-1];
def @json: tojson;
def ascii: [.] | implode;
def combinations: .[][] |= [.] | reduce .[] as $a ([]; . + $a[]);
"#;

#[expect(clippy::expect_used, reason = "the definitions come with the program, and tests read them")]
pub(super) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let is_given = |definition: &Def<&'static str>| !NOT_DEFINED.contains(&definition.name);
    let own = jaq_core::load::parse(OWN, |parser| parser.defs()).expect("the program's definitions");
    jaq_core::defs().chain(jaq_std::defs()).filter(is_given).chain(own)
}

pub(super) fn functions() -> impl Iterator<Item = Fun<ProgramData>> {
    let is_given = |function: &Fun<ProgramData>| !WITHHELD.contains(&function.0);
    let own = own().into_vec().into_iter().map(run::<ProgramData>);
    jaq_core::funs::<ProgramData>().chain(jaq_std::funs::<ProgramData>()).filter(is_given).chain(own)
}

fn own() -> Box<[Filter<RunPtr<ProgramData>>]> {
    Box::new([
        ("isnan", v(0), |cv| bome(is_nan(&cv.1))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tojson", v(0), |cv| bome(Ok(cv.1.to_json_string()))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("contains", v(1), |cv| {
            unary(cv, |value, part| {
                charge_bytes(value.size().saturating_mul(part.size()) / 64);
                Ok(contains(&value, &part).into())
            })
        }),
        ("has", v(1), |cv| unary(cv, |value, key| Ok(value.member(&key)?.is_some().into()))),
        ("indices", v(1), |cv| unary(cv, |value, part| value.indices(&part))),
        ("bsearch", v(1), |cv| {
            unary(cv, |list, value| {
                let Val::Arr(items) = &list else { return Err(Error::typ(list, "array")) };
                let place = |at: usize| isize::try_from(at).unwrap_or(isize::MAX);
                let found = items.parts.binary_search(&value);
                Ok(found.map_or_else(|at| Val::from(-1 - place(at)), |at| Val::from(place(at))))
            })
        }),
    ])
}

fn is_nan(value: &Val) -> ValR<Val> {
    match value {
        Val::Num(number) => Ok(number.float().is_nan().into()),
        other => Err(Error::typ(other.clone(), "number")),
    }
}

fn from_json(value: &Val) -> ValR<Val> {
    let Val::Str(text) = value else { return Err(Error::typ(value.clone(), "string")) };
    charge_bytes(text.len().saturating_mul(4));
    serde_json::from_str(text)
        .map(Val::of_json)
        .map_err(|error| Error::str(format!("it is no JSON: {error}")))
}

fn to_number(value: Val) -> ValR<Val> {
    match value {
        Val::Num(_) => Ok(value),
        Val::Str(ref text) => {
            charge_bytes(text.len());
            let number: Option<serde_json::Number> = serde_json::from_str(text.trim()).ok();
            let number = number.map(|number| Val::of_json(serde_json::Value::Number(number)));
            number.ok_or_else(|| Error::typ(value.clone(), "number"))
        }
        other => Err(Error::typ(other, "number")),
    }
}

fn length(value: &Val) -> ValR<Val> {
    Ok(match value {
        Val::Null => Val::from(0_usize),
        Val::Num(number) if number.float() < 0.0 => Val::Num(number.negate()),
        Val::Num(_) => value.clone(),
        Val::Str(text) => {
            charge_bytes(text.len());
            Val::from(text.chars().count())
        }
        Val::Arr(list) => Val::from(list.parts.len()),
        Val::Obj(object) => Val::from(object.parts.len()),
        Val::Bool(_) => return Err(Error::str(format!("{value} has no length"))),
    })
}

fn contains(value: &Val, part: &Val) -> bool {
    match (value, part) {
        (Val::Str(text), Val::Str(part)) => text.contains(part.as_str()),
        (Val::Arr(items), Val::Arr(parts)) => {
            parts.parts.iter().all(|part| items.parts.iter().any(|item| contains(item, part)))
        }
        (Val::Obj(members), Val::Obj(parts)) => {
            let has = |(key, part): (&Rc<String>, &Val)| {
                members.parts.get(key).is_some_and(|value| contains(value, part))
            };
            parts.parts.iter().all(has)
        }
        (value, part) => value == part,
    }
}
