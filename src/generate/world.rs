//! The values of entities: names in several scripts, addresses, phones, hierarchies.
//!
//! Values are drawn first and written after, since a seed's world must not depend on the order of a document's keys.
//! They are written as JSON straight into the record. This makes a large world several times as fast as by way of a
//! tree of values. No word below needs an escape.

use std::fmt::{self, Display, Write};

use super::people::{Brand, Digits, Email, Person};
use super::rng::Rng;

const STATUS: &[&str] = &["active", "active", "active", "dormant", "prospect"];
const KIND: &[&str] = &["customer", "supplier", "partner"];
const ROLE: &[&str] = &["CEO", "CTO", "Buyer", "Site Manager", "Accountant", "Engineer"];
const DEPARTMENT: &[&str] = &["IT", "Sales", "Finance", "Research & Development", "Operations"];
const TAG: &[&str] = &["key-account", "prospect", "vip", "newsletter", "supplier"];
/// When everything was created, and when everything happened.
pub(super) const CREATED: &str = "2023-11-14T22:13:20Z";
/// One contact in so many has no phone number.
const WITHOUT_PHONE: u32 = 3;
/// One organisation in so many is large, because low numbers employ most.
const LARGE: u32 = 32;

/// A contact at its organisation.
#[derive(Clone, Copy)]
pub(super) struct Employee {
    number: u32,
    person: Person,
    brand: Brand,
    /// True where several contacts of one name are likely.
    is_one_of_many: bool,
}

impl Employee {
    /// The contact of this number at the organisation of that one, of so many.
    pub(super) fn of(seed: u64, number: u32, employer: u32, organisations: u32) -> Self {
        let (person, brand) = (Person::of(seed, number), Brand::of(seed, employer));
        Self { number, person, brand, is_one_of_many: employer < organisations / LARGE }
    }

    /// Draws an e-mail address: the contact's name at the organisation's domain.
    pub(super) fn email(&self, rng: &mut Rng) -> Email {
        Email::draw(rng, self.person, self.brand, self.is_one_of_many.then_some(self.number % 1_000))
    }

    /// Draws a phone number of the organisation's country, unless the contact has none.
    pub(super) fn phone(&self, rng: &mut Rng) -> Option<Digits> {
        (!self.number.is_multiple_of(WITHOUT_PHONE)).then(|| Digits::phone(rng, self.brand.place))
    }
}

/// Writes all fields of an organisation as a JSON object; `parent` is JSON too.
pub(super) fn organisation(
    out: &mut String,
    rng: &mut Rng,
    brand: &Brand,
    id: impl Display,
    parent: impl Display,
) -> fmt::Result {
    let name = brand.name(rng);
    let (kind, status) = (rng.pick(KIND), rng.pick(STATUS));
    let phone = Digits::phone(rng, brand.place);
    let postcode = Digits::postcode(rng, brand.place);
    let tag = rng.pick(TAG);
    let legacy = (rng.below(10) == 0).then(|| rng.below(1_000_000));
    let (city, country, industry) = (brand.place.city, brand.place.country, brand.industry);
    write!(
        out,
        r#"{{"address":{{"city":"{city}","country":"{country}","postcode":"{postcode}"}},"createdAt":"{CREATED}","email":"info@{brand}","id":"{id}","industry":"{industry}","#
    )?;
    if let Some(legacy) = legacy {
        write!(out, r#""legacyRef":{legacy},"#)?;
    }
    write!(
        out,
        r#""name":"{name}","parentId":{parent},"phone":"{phone}","status":"{status}","tags":["{tag}"],"type":"{kind}","website":"https://www.{brand}"}}"#
    )
}

/// Writes all fields of a contact as a JSON object.
pub(super) fn contact(
    out: &mut String,
    rng: &mut Rng,
    employee: &Employee,
    id: impl Display,
    organisation: impl Display,
) -> fmt::Result {
    let email = employee.email(rng);
    let (role, department) = (role(rng), rng.pick(DEPARTMENT));
    let phone = employee.phone(rng);
    let ((first, _), (last, _)) = (employee.person.first, employee.person.last);
    write!(out, r#"{{"createdAt":"{CREATED}","#)?;
    if rng.below(20) == 0 {
        out.push_str(r#""customScore":{"deep":{"er":[1,2]}},"#);
    }
    write!(
        out,
        r#""department":"{department}","email":"{email}","firstName":"{first}","id":"{id}","lastName":"{last}","organisationId":"{organisation}","#
    )?;
    if let Some(phone) = phone {
        write!(out, r#""phone":"{phone}","#)?;
    }
    write!(out, r#""role":"{role}"}}"#)
}

/// Writes the fields that change when a contact goes to another organisation: its address and its number go
/// with it.
pub(super) fn write_move(
    out: &mut String,
    rng: &mut Rng,
    employee: &Employee,
    organisation: impl Display,
) -> fmt::Result {
    let (email, phone) = (employee.email(rng), employee.phone(rng));
    write!(out, r#"{{"email":"{email}","organisationId":"{organisation}""#)?;
    if let Some(phone) = phone {
        write!(out, r#","phone":"{phone}""#)?;
    }
    out.write_char('}')
}

/// A role.
pub(super) fn role(rng: &mut Rng) -> &'static str {
    rng.pick(ROLE)
}

/// A status.
pub(super) fn status(rng: &mut Rng) -> &'static str {
    rng.pick(STATUS)
}

/// The parent of an organisation: two in five are roots, none is deep, and a few have hundreds of children.
pub(super) fn parent(rng: &mut Rng, number: u32) -> Option<u32> {
    if number == 0 || rng.below(5) < 2 {
        return None;
    }
    let candidates = f64::from(number / 3 + 1);
    // One in ten goes to the well-known few, which makes some wide without making the others shallow.
    let to_few = rng.below(10) == 0;
    let fraction = rng.fraction();
    // Multiplied out: `powi` does not promise the same bits everywhere.
    let skewed = if to_few { fraction * fraction * fraction } else { fraction };
    Some((skewed * candidates) as u32)
}

/// The organisation of a contact: a few have thousands, most have a handful.
pub(super) fn employer(rng: &mut Rng, organisations: u32) -> u32 {
    let fraction = rng.fraction();
    let skewed = fraction * fraction * f64::from(organisations);
    (skewed as u32).min(organisations.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_end_are_not_deep_and_are_wide_here_and_there() {
        let mut rng = Rng::new(1);
        let parents: Vec<Option<u32>> = (0..20_000).map(|number| parent(&mut rng, number)).collect();
        let mut children = vec![0; parents.len()];
        let mut deepest = 0;
        for (number, mut above) in parents.iter().copied().enumerate() {
            assert!(above.is_none_or(|above| (above as usize) < number), "a parent comes before its child");
            above.iter().for_each(|above| children[*above as usize] += 1);
            let mut depth = 0;
            while let Some(at) = above {
                depth += 1;
                above = parents[at as usize];
            }
            deepest = deepest.max(depth);
        }
        assert!((5..=10).contains(&deepest), "{deepest}");
        let widest = children.iter().max().unwrap();
        assert!((60..=600).contains(widest), "{widest}");
    }

    #[test]
    fn no_word_needs_an_escape() {
        for word in [STATUS, KIND, ROLE, DEPARTMENT, TAG].into_iter().flatten().copied() {
            assert_eq!(serde_json::to_string(word).unwrap(), format!("\"{word}\""));
        }
    }
}
