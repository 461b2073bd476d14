//! The search of a program's syntax tree for parts that are refused.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;

use super::library::REFUSED;

/// Functions whose first argument is a regular expression.
const REGULAR: [&str; 8] = ["test", "match", "capture", "scan", "split", "splits", "sub", "gsub"];
/// The most repetitions that the counts of a regular expression may make together.
const REPETITIONS_MAX: u64 = 1_000;

/// Refuses the terms that may not stand in a program.
pub(super) fn check(term: &Term<&str>) -> Result<(), String> {
    DefinitionWalk::default().term(term)
}

/// The definitions around a term, each with the number of its arguments.
#[derive(Default)]
struct DefinitionWalk<'a>(Vec<(&'a str, usize)>);

impl<'a> DefinitionWalk<'a> {
    fn term(&mut self, term: &'a Term<&'a str>) -> Result<(), String> {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => Ok(()),
            Term::Var(name) if *name == "$ENV" => Err(not_available("$ENV")),
            Term::Var(_) => Ok(()),
            Term::Str(_, parts) => parts.iter().try_for_each(|part| match part {
                StrPart::Term(term) => self.term(term),
                StrPart::Str(_) | StrPart::Char(_) => Ok(()),
            }),
            Term::Arr(None) => Ok(()),
            Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => self.term(term),
            Term::Obj(members) => members.iter().try_for_each(|(key, value)| {
                self.term(key)?;
                value.iter().try_for_each(|value| self.term(value))
            }),
            Term::BinOp(left, operator, right) => {
                self.operator(left, operator, right)?;
                self.term(left)?;
                self.term(right)
            }
            Term::Fold(_, source, pattern, terms) => {
                self.term(source)?;
                self.pattern(pattern)?;
                terms.iter().try_for_each(|term| self.term(term))
            }
            Term::TryCatch(term, catch) => {
                self.term(term)?;
                catch.iter().try_for_each(|term| self.term(term))
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.term(condition)?;
                    self.term(then)?;
                }
                otherwise.iter().try_for_each(|term| self.term(term))
            }
            Term::Def(definitions, term) => {
                definitions.iter().try_for_each(|definition| self.definition(definition))?;
                self.term(term)
            }
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(term, path) => {
                self.term(term)?;
                path.0.iter().try_for_each(|(part, _)| match part {
                    Part::Index(term) => self.term(term),
                    Part::Range(from, to) => from.iter().chain(to).try_for_each(|term| self.term(term)),
                })
            }
        }
    }

    fn operator(
        &mut self,
        left: &Term<&str>,
        operator: &'a BinaryOp<&'a str>,
        right: &Term<&str>,
    ) -> Result<(), String> {
        let is_string = |term: &Term<&str>| matches!(term, Term::Str(..));
        match operator {
            BinaryOp::Pipe(Some(pattern)) => self.pattern(pattern),
            BinaryOp::Math(Math::Mul) | BinaryOp::UpdateMath(Math::Mul)
                if is_string(left) || is_string(right) =>
            {
                Err(not_available("the repetition of strings"))
            }
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &'a Pattern<&'a str>) -> Result<(), String> {
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(patterns) => patterns.iter().try_for_each(|pattern| self.pattern(pattern)),
            Pattern::Obj(members) => members.iter().try_for_each(|(key, pattern)| {
                self.term(key)?;
                self.pattern(pattern)
            }),
        }
    }

    fn definition(&mut self, definition: &'a Def<&'a str>) -> Result<(), String> {
        self.0.push((definition.name, definition.args.len()));
        let checked = self.term(&definition.body);
        self.0.pop();
        checked
    }

    fn call(&mut self, name: &'a str, arguments: &'a [Term<&'a str>]) -> Result<(), String> {
        if self.0.contains(&(name, arguments.len())) {
            return Err(format!(
                "the definition of {name} is recursive, which need not end; use map, walk or reduce"
            ));
        }
        if REFUSED.contains(&name) {
            return Err(not_available(name));
        }
        let is_regular = REGULAR.contains(&name) && (name != "split" || arguments.len() > 1);
        if is_regular {
            arguments.first().map_or(Ok(()), |pattern| check_pattern(name, pattern))?;
        }
        arguments.iter().try_for_each(|argument| self.term(argument))
    }
}

fn not_available(name: &str) -> String {
    format!("{name} is not available, because a program depends on its input alone and always ends")
}

/// A regular expression stands in the program, so that no record can bring an expensive one.
fn check_pattern(name: &str, pattern: &Term<&str>) -> Result<(), String> {
    let Term::Str(None, parts) = pattern else {
        return Err(format!("{name} takes a regular expression that is written out as a string"));
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(letter) => text.push(*letter),
            StrPart::Term(_) => {
                return Err(format!("{name} takes a regular expression without interpolated parts"));
            }
        }
    }
    let counts = text.split('{').skip(1).filter_map(|rest| {
        let count = rest.split('}').next()?;
        count.split(',').filter_map(|number| number.trim().parse::<u64>().ok()).max()
    });
    let product = counts.fold(1_u64, |product, count| product.saturating_mul(count.max(1)));
    if product > REPETITIONS_MAX || text.len() > 1_000 {
        return Err(format!(
            "the regular expression of {name} is too large: {REPETITIONS_MAX} repetitions at most"
        ));
    }
    Ok(())
}
