//! What entities look like: names in several scripts, addresses, phones, hierarchies.

use serde_json::{Map, Value, json};

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
pub(super) fn phone(rng: &mut Rng) -> String {
    let (a, b) = (rng.below(9_000) + 1_000, rng.below(9_000) + 1_000);
    match rng.below(4) {
        0 => format!("+44 20 {a} {b}"),
        1 => format!("(020) {a}-{b}"),
        2 => format!("+4420{a}{b}"),
        _ => format!("+1 (415) 5{:02}-{b}", a % 100),
    }
}

/// An organisation's name; mostly not the only one of its kind.
pub(super) fn organisation_name(rng: &mut Rng) -> String {
    format!("{} {} {}", rng.pick(NAME), rng.pick(TRADE), rng.pick(FORM))
}

/// All fields of an organisation but `id` and `parentId`.
pub(super) fn organisation(rng: &mut Rng, number: u32) -> Map<String, Value> {
    let domain = format!("{}{number}.test", rng.pick(&["acme", "laurel", "umber", "quarry", "falcon"]));
    let city =
        CITY.get(usize::try_from(rng.below(CITY.len() as u64)).unwrap_or(0)).copied().unwrap_or_default();
    let mut fields = Map::new();
    fields.insert("name".to_owned(), organisation_name(rng).into());
    fields.insert("type".to_owned(), rng.pick(KIND).into());
    fields.insert("status".to_owned(), rng.pick(STATUS).into());
    fields.insert("industry".to_owned(), rng.pick(INDUSTRY).into());
    fields.insert("website".to_owned(), format!("https://www.{domain}").into());
    fields.insert("email".to_owned(), format!("info@{domain}").into());
    fields.insert("phone".to_owned(), phone(rng).into());
    fields.insert(
        "address".to_owned(),
        json!({"city": city.0, "country": city.1, "postcode": rng.below(99_999).to_string()}),
    );
    fields.insert("tags".to_owned(), json!([rng.pick(TAG)]));
    fields.insert("createdAt".to_owned(), "2023-11-14T22:13:20Z".into());
    if rng.below(10) == 0 {
        fields.insert("legacyRef".to_owned(), rng.below(1_000_000).into());
    }
    fields
}

/// All fields of a contact but `id` and `organisationId`.
pub(super) fn contact(rng: &mut Rng, number: u32) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("firstName".to_owned(), rng.pick(FIRST).into());
    fields.insert("lastName".to_owned(), rng.pick(LAST).into());
    fields.insert("email".to_owned(), email(rng, number).into());
    fields.insert("role".to_owned(), role(rng).into());
    fields.insert("department".to_owned(), rng.pick(DEPARTMENT).into());
    fields.insert("createdAt".to_owned(), "2023-11-14T22:13:20Z".into());
    if rng.below(3) > 0 {
        fields.insert("phone".to_owned(), phone(rng).into());
    }
    if rng.below(20) == 0 {
        fields.insert("customScore".to_owned(), json!({"deep": {"er": [1, 2]}}));
    }
    fields
}

/// An e-mail address.
pub(super) fn email(rng: &mut Rng, number: u32) -> String {
    let local = rng.pick(&["jane.doe", "m.garcia", "info", "o.haddad", "k.nowak", "raj", "sales"]);
    format!("{local}{number}@{}.test", rng.pick(&["plum", "cedar", "facade", "ivory"]))
}

/// A role.
pub(super) fn role(rng: &mut Rng) -> &'static str {
    rng.pick(ROLE)
}

/// A status.
pub(super) fn status(rng: &mut Rng) -> &'static str {
    rng.pick(STATUS)
}

/// The parent of an organisation: two in five are roots, and none is deep.
pub(super) fn parent(rng: &mut Rng, number: u32) -> Option<u32> {
    (number > 0 && rng.below(5) >= 2)
        .then(|| u32::try_from(rng.below(u64::from(number / 3 + 1))).unwrap_or(0))
}

/// The organisation of a contact: a few have thousands, most have a handful.
pub(super) fn employer(rng: &mut Rng, organisations: u32) -> u32 {
    let skewed = rng.fraction().powi(2) * f64::from(organisations);
    (skewed as u32).min(organisations.saturating_sub(1))
}
