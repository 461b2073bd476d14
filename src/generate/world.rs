//! What entities look like: names in several scripts, addresses, phones, hierarchies.
//!
//! Values are drawn first and written after, since a seed's world must not depend on the order of a
//! document's keys. They are written as JSON straight into the record, which makes a large world several
//! times as fast as by way of a tree of values; none of the words below needs an escape.

use std::fmt::{self, Display, Write};

use super::rng::Rng;

const FIRST: &[&str] = &[
    "Jane",
    "María",
    "Олена",
    "Jürgen",
    "Aoife",
    "Fatima",
    "Łukasz",
    "Chloé",
    "Raj",
    "明",
    "Søren",
    "Nguyễn",
    "Zoë",
    "Иван",
    "Katarzyna",
    "Omar",
    "Ingrid",
    "João",
    "Ayşe",
    "Tamás",
];
const LAST: &[&str] = &[
    "Doe",
    "García",
    "Шевченко",
    "Müller",
    "O’Brien",
    "Haddad",
    "Nowak",
    "Lefèvre",
    "शर्मा",
    "김",
    "Jensen",
    "Trần",
    "van Dijk",
    "Petrova",
    "Kowalska",
    "Rossi",
    "Åberg",
    "Silva",
    "Yılmaz",
    "Nagy",
];
const NAME: &[&str] = &[
    "Acme",
    "Northwind",
    "Umber",
    "Laurel",
    "Český",
    "Façade",
    "Quarry",
    "Blåbær",
    "Яблоко",
    "東京",
    "Harbour",
    "Falcon",
    "Meridian",
    "Oakfield",
    "Sterling",
    "Ómega",
    "Granite",
    "Willow",
    "Cobalt",
    "Émeraude",
];
const TRADE: &[&str] = &[
    "Software",
    "Builders",
    "Metal",
    "Logistics",
    "Foods",
    "Optics",
    "Textiles",
    "Energy",
    "Pharma",
    "Paper",
];
const FORM: &[&str] = &["Ltd", "GmbH", "AB", "S.A.", "Inc", "株式会社", "ООО", "Group"];
const INDUSTRY: &[&str] =
    &["Retail", "Energy", "Healthcare", "Finance", "Construction", "Education", "Transport"];
const STATUS: &[&str] = &["active", "active", "active", "dormant", "prospect"];
const KIND: &[&str] = &["customer", "supplier", "partner"];
const ROLE: &[&str] = &["CEO", "CTO", "Buyer", "Site Manager", "Accountant", "Engineer"];
const DEPARTMENT: &[&str] = &["IT", "Sales", "Finance", "Research & Development", "Operations"];
const TAG: &[&str] = &["key-account", "prospect", "vip", "newsletter", "supplier"];
const DOMAIN: &[&str] = &["acme", "laurel", "umber", "quarry", "falcon"];
const LOCAL: &[&str] = &["jane.doe", "m.garcia", "info", "o.haddad", "k.nowak", "raj", "sales"];
const PROVIDER: &[&str] = &["plum", "cedar", "facade", "ivory"];
/// When everything was created, and when everything happened.
pub(super) const CREATED: &str = "2023-11-14T22:13:20Z";
const CITY: &[(&str, &str)] = &[
    ("Leeds", "GB"),
    ("Kraków", "PL"),
    ("Paris", "FR"),
    ("München", "DE"),
    ("東京", "JP"),
    ("São Paulo", "BR"),
    ("Київ", "UA"),
];

/// A phone number, written in one of several ways.
pub(super) struct Phone {
    exchange: u64,
    line: u64,
    way: u64,
}

/// Draws a phone number.
pub(super) fn phone(rng: &mut Rng) -> Phone {
    let (exchange, line) = (rng.below(9_000) + 1_000, rng.below(9_000) + 1_000);
    Phone { exchange, line, way: rng.below(4) }
}

impl Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exchange, line, way } = self;
        match way {
            0 => write!(f, "+44 20 {exchange} {line}"),
            1 => write!(f, "(020) {exchange}-{line}"),
            2 => write!(f, "+4420{exchange}{line}"),
            _ => write!(f, "+1 (415) 5{:02}-{line}", exchange % 100),
        }
    }
}

/// An organisation's name; mostly not the only one of its kind.
pub(super) struct Name([&'static str; 3]);

/// Draws an organisation's name.
pub(super) fn organisation_name(rng: &mut Rng) -> Name {
    Name([rng.pick(NAME), rng.pick(TRADE), rng.pick(FORM)])
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([name, trade, form]) = self;
        write!(f, "{name} {trade} {form}")
    }
}

/// An e-mail address.
pub(super) struct Email {
    local: &'static str,
    number: u32,
    domain: &'static str,
}

/// Draws an e-mail address of the contact of this number.
pub(super) fn email(rng: &mut Rng, number: u32) -> Email {
    Email { local: rng.pick(LOCAL), number, domain: rng.pick(PROVIDER) }
}

impl Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}@{}.test", self.local, self.number, self.domain)
    }
}

/// Writes all fields of an organisation as a JSON object; `parent` is JSON too.
pub(super) fn organisation(
    out: &mut String,
    rng: &mut Rng,
    number: u32,
    id: impl Display,
    parent: impl Display,
) -> fmt::Result {
    let domain = rng.pick(DOMAIN);
    let city = usize::try_from(rng.below(CITY.len() as u64)).unwrap_or(0);
    let (city, country) = CITY.get(city).copied().unwrap_or_default();
    let name = organisation_name(rng);
    let (kind, status, industry) = (rng.pick(KIND), rng.pick(STATUS), rng.pick(INDUSTRY));
    let phone = phone(rng);
    let postcode = rng.below(99_999);
    let tag = rng.pick(TAG);
    let legacy = (rng.below(10) == 0).then(|| rng.below(1_000_000));
    write!(
        out,
        r#"{{"address":{{"city":"{city}","country":"{country}","postcode":"{postcode}"}},"createdAt":"{CREATED}","email":"info@{domain}{number}.test","id":"{id}","industry":"{industry}","#
    )?;
    if let Some(legacy) = legacy {
        write!(out, r#""legacyRef":{legacy},"#)?;
    }
    write!(
        out,
        r#""name":"{name}","parentId":{parent},"phone":"{phone}","status":"{status}","tags":["{tag}"],"type":"{kind}","website":"https://www.{domain}{number}.test"}}"#
    )
}

/// Writes all fields of a contact as a JSON object.
pub(super) fn contact(
    out: &mut String,
    rng: &mut Rng,
    number: u32,
    id: impl Display,
    organisation: impl Display,
) -> fmt::Result {
    let (first, last) = (rng.pick(FIRST), rng.pick(LAST));
    let email = email(rng, number);
    let (role, department) = (role(rng), rng.pick(DEPARTMENT));
    let phone = (rng.below(3) > 0).then(|| phone(rng));
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
        let lists = [
            FIRST, LAST, NAME, TRADE, FORM, INDUSTRY, STATUS, KIND, ROLE, DEPARTMENT, TAG, DOMAIN, LOCAL,
            PROVIDER,
        ];
        let places = CITY.iter().flat_map(|(city, country)| [*city, *country]);
        for word in lists.into_iter().flatten().copied().chain(places) {
            assert_eq!(serde_json::to_string(word).unwrap(), format!("\"{word}\""));
        }
    }
}
