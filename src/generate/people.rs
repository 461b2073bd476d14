//! Who is in the world: the name of each contact, the brand and the place of each organisation.
//!
//! They depend on the seed and the number alone. So every event of an entity, and every contact of an
//! organisation, can tell them without a memory of earlier draws.

use std::fmt::{self, Display, Write};

use super::rng::Rng;

/// A word with its form in an address.
pub(super) type NameWord = (&'static str, &'static str);

/// First and last names of one script; a name mixes no scripts.
struct Script {
    first: &'static [NameWord],
    last: &'static [NameWord],
}

const SCRIPTS: &[Script] = &[
    Script {
        first: &[
            ("Jane", "jane"),
            ("María", "maria"),
            ("Jürgen", "juergen"),
            ("Aoife", "aoife"),
            ("Fatima", "fatima"),
            ("Łukasz", "lukasz"),
            ("Chloé", "chloe"),
            ("Søren", "soeren"),
            ("Zoë", "zoe"),
            ("Katarzyna", "katarzyna"),
            ("Omar", "omar"),
            ("Ingrid", "ingrid"),
            ("João", "joao"),
            ("Ayşe", "ayse"),
            ("Tamás", "tamas"),
        ],
        last: &[
            ("Doe", "doe"),
            ("García", "garcia"),
            ("Müller", "mueller"),
            ("O’Brien", "obrien"),
            ("Haddad", "haddad"),
            ("Nowak", "nowak"),
            ("Lefèvre", "lefevre"),
            ("Jensen", "jensen"),
            ("Trần", "tran"),
            ("van Dijk", "vandijk"),
            ("Petrova", "petrova"),
            ("Kowalska", "kowalska"),
            ("Rossi", "rossi"),
            ("Åberg", "aaberg"),
            ("Silva", "silva"),
            ("Yılmaz", "yilmaz"),
            ("Nagy", "nagy"),
        ],
    },
    Script {
        first: &[("Олена", "olena"), ("Иван", "ivan")],
        last: &[("Шевченко", "shevchenko"), ("Коваль", "koval"), ("Мельник", "melnyk")],
    },
    Script { first: &[("明", "akira")], last: &[("田中", "tanaka"), ("鈴木", "suzuki")] },
    Script {
        first: &[("राज", "raj")], last: &[("शर्मा", "sharma"), ("पटेल", "patel")]
    },
    Script { first: &[("민준", "minjun")], last: &[("김", "kim"), ("이", "lee")] },
];
/// The first names of all scripts.
const FIRST_NAMES: usize = 20;

const NAME: &[NameWord] = &[
    ("Acme", "acme"),
    ("Northwind", "northwind"),
    ("Umber", "umber"),
    ("Laurel", "laurel"),
    ("Český", "cesky"),
    ("Façade", "facade"),
    ("Quarry", "quarry"),
    ("Blåbær", "blaabaer"),
    ("Яблоко", "yabloko"),
    ("東京", "tokyo"),
    ("Harbour", "harbour"),
    ("Falcon", "falcon"),
    ("Meridian", "meridian"),
    ("Oakfield", "oakfield"),
    ("Sterling", "sterling"),
    ("Ómega", "omega"),
    ("Granite", "granite"),
    ("Willow", "willow"),
    ("Cobalt", "cobalt"),
    ("Émeraude", "emeraude"),
];

/// A trade with its form in an address, and the industry that it belongs to.
const TRADE: &[(NameWord, &str)] = &[
    (("Software", "software"), "Education"),
    (("Builders", "builders"), "Construction"),
    (("Metal", "metal"), "Construction"),
    (("Logistics", "logistics"), "Transport"),
    (("Foods", "foods"), "Retail"),
    (("Optics", "optics"), "Healthcare"),
    (("Textiles", "textiles"), "Retail"),
    (("Energy", "energy"), "Energy"),
    (("Pharma", "pharma"), "Healthcare"),
    (("Capital", "capital"), "Finance"),
];
/// Parts of a name that a renamed organisation takes on.
const WIDER: &[&str] = &["", "International ", "Europe ", "Services ", "Solutions ", "Holding "];

/// Where an organisation is. In patterns each `#` stands for a digit.
pub(super) struct PostalPlace {
    pub(super) city: &'static str,
    pub(super) country: &'static str,
    pub(super) postcode: &'static str,
    /// The ways of writing a phone number there; each holds at most eight digits of its own.
    phones: [&'static str; 4],
    forms: &'static [&'static str],
}

static PLACES: [PostalPlace; 10] = [
    PostalPlace {
        city: "London",
        country: "GB",
        postcode: "EC#A #AB",
        phones: ["+44 20 #### ####", "020 #### ####", "+4420########", "(020) ####-####"],
        forms: &["Ltd", "plc", "Group"],
    },
    PostalPlace {
        city: "Leeds",
        country: "GB",
        postcode: "LS# #AB",
        phones: ["+44 113 ### ####", "0113 ### ####", "+44113#######", "(0113) ###-####"],
        forms: &["Ltd", "plc", "Group"],
    },
    PostalPlace {
        city: "Kraków",
        country: "PL",
        postcode: "30-###",
        phones: ["+48 12 ### ## ##", "12 ### ## ##", "+4812#######", "(12) ###-##-##"],
        forms: &["S.A.", "Sp. z o.o."],
    },
    PostalPlace {
        city: "Paris",
        country: "FR",
        postcode: "750##",
        phones: ["+33 1 ## ## ## ##", "01 ## ## ## ##", "+331########", "01.##.##.##.##"],
        forms: &["S.A.", "SARL"],
    },
    PostalPlace {
        city: "München",
        country: "DE",
        postcode: "80###",
        phones: ["+49 89 #### ####", "089 ########", "+4989########", "089/####-####"],
        forms: &["GmbH", "AG"],
    },
    PostalPlace {
        city: "東京",
        country: "JP",
        postcode: "100-00##",
        phones: ["+81 3 #### ####", "03-####-####", "+813########", "(03) ####-####"],
        forms: &["株式会社", "Group"],
    },
    PostalPlace {
        city: "São Paulo",
        country: "BR",
        postcode: "01###-###",
        phones: ["+55 11 ####-####", "(11) ####-####", "+5511########", "011 #### ####"],
        forms: &["S.A.", "Ltda"],
    },
    PostalPlace {
        city: "Київ",
        country: "UA",
        postcode: "01###",
        phones: ["+380 44 ### ## ##", "(044) ###-##-##", "+38044#######", "044 ### ####"],
        forms: &["ТОВ", "Group"],
    },
    PostalPlace {
        city: "Göteborg",
        country: "SE",
        postcode: "41# ##",
        phones: ["+46 31 ### ## ##", "031-### ## ##", "+4631#######", "(031) ### ####"],
        forms: &["AB", "Group"],
    },
    PostalPlace {
        city: "San Francisco",
        country: "US",
        postcode: "941##",
        phones: ["+1 (415) ###-####", "(415) ###-####", "+1415#######", "415.###.####"],
        forms: &["Inc", "LLC"],
    },
];

/// The purpose of a number, so that two draws of one number differ.
#[derive(Clone, Copy)]
enum Purpose {
    Person = 1,
    Place = 2,
    Brand = 3,
}

fn rng_of(seed: u64, number: u32, purpose: Purpose) -> Rng {
    let mut seeded = Rng::new(seed ^ (purpose as u64) << 56);
    Rng::new(seeded.next() ^ u64::from(number))
}

fn at<T>(items: &'static [T], index: u64) -> Option<&'static T> {
    items.get(usize::try_from(index).ok()?)
}

fn draw_from<T>(rng: &mut Rng, items: &'static [T]) -> Option<&'static T> {
    at(items, rng.below(items.len() as u64))
}

/// A contact's first and last name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) first: NameWord,
    pub(super) last: NameWord,
}

impl Person {
    /// The contact of this number.
    pub(super) fn of(seed: u64, number: u32) -> Self {
        let mut rng = rng_of(seed, number, Purpose::Person);
        let mut order = usize::try_from(rng.below(FIRST_NAMES as u64)).unwrap_or(0);
        let mut found = None;
        for script in SCRIPTS {
            if let Some(first) = script.first.get(order) {
                found = Some((*first, draw_from(&mut rng, script.last).copied().unwrap_or_default()));
                break;
            }
            order -= script.first.len();
        }
        let (first, last) = found.unwrap_or_default();
        Self { first, last }
    }
}

/// The part of an organisation that stays while its name changes: its domain, its place, its industry.
#[derive(Clone, Copy)]
pub(super) struct Brand {
    name: NameWord,
    trade: NameWord,
    /// Its industry, in a word.
    pub(super) industry: &'static str,
    /// Where it is.
    pub(super) place: &'static PostalPlace,
    /// How many brands of these words there were before.
    round: u32,
}

impl Brand {
    /// The organisation of this number. No two have the same domain.
    pub(super) fn of(seed: u64, number: u32) -> Self {
        const STRIDE: u64 = 77;
        let brands = (NAME.len() * TRADE.len()) as u64;
        let first = rng_of(seed, 0, Purpose::Brand).below(brands);
        // The stride has no factor in common with the number of brands, so that each comes once in a round.
        let index = (u64::from(number) * STRIDE + first).checked_rem(brands).unwrap_or(0);
        let trades = TRADE.len() as u64;
        let name = at(NAME, index / trades).copied().unwrap_or_default();
        let (trade, industry) = at(TRADE, index % trades).copied().unwrap_or_default();
        let place = draw_from(&mut rng_of(seed, number, Purpose::Place), &PLACES).unwrap_or(&PLACES[0]);
        let round = u32::try_from(u64::from(number).checked_div(brands).unwrap_or(0)).unwrap_or(0);
        Self { name, trade, industry, place, round }
    }

    /// Its name when it is new.
    pub(super) fn name(&self, rng: &mut Rng) -> OrganisationName {
        OrganisationName {
            name: self.name.0,
            trade: self.trade.0,
            wider: "",
            form: rng.pick(self.place.forms),
        }
    }

    /// A name that it takes later.
    pub(super) fn later_name(&self, rng: &mut Rng) -> OrganisationName {
        OrganisationName { wider: rng.pick(WIDER), ..self.name(rng) }
    }
}

/// Its domain.
impl Display for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name.1, self.trade.1)?;
        if self.round > 0 {
            write!(f, "{}", self.round + 1)?;
        }
        f.write_str(".test")
    }
}

/// An organisation's name; mostly not the only one of its kind.
pub(super) struct OrganisationName {
    name: &'static str,
    trade: &'static str,
    wider: &'static str,
    form: &'static str,
}

impl Display for OrganisationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}{}", self.name, self.trade, self.wider, self.form)
    }
}

/// An e-mail address of a contact at its organisation.
pub(super) struct Email {
    person: Person,
    brand: Brand,
    way: u64,
    /// The number that tells contacts of one name apart, where many work.
    number: Option<u32>,
}

impl Email {
    /// Draws the way in which the name is written.
    pub(super) fn draw(rng: &mut Rng, person: Person, brand: Brand, number: Option<u32>) -> Self {
        Self { person, brand, way: rng.below(5), number }
    }
}

impl Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.person.first.1, self.person.last.1);
        let initial = first.get(..1).unwrap_or_default();
        match self.way {
            0 | 1 => write!(f, "{first}.{last}")?,
            2 => write!(f, "{initial}.{last}")?,
            3 => write!(f, "{first}_{last}")?,
            _ => write!(f, "{last}.{first}")?,
        }
        if let Some(number) = self.number {
            write!(f, "{number}")?;
        }
        write!(f, "@{}", self.brand)
    }
}

/// A pattern with its digits.
pub(super) struct Digits {
    pattern: &'static str,
    digits: u64,
}

impl Digits {
    /// Draws a phone number of this place, written in one of the ways that are usual there.
    pub(super) fn phone(rng: &mut Rng, place: &PostalPlace) -> Self {
        let (exchange, line) = (rng.below(9_000) + 1_000, rng.below(9_000) + 1_000);
        Self { pattern: rng.pick(&place.phones), digits: exchange * 10_000 + line }
    }

    /// Draws a postcode of this place.
    pub(super) fn postcode(rng: &mut Rng, place: &PostalPlace) -> Self {
        Self { pattern: place.postcode, digits: rng.below(90_000_000) + 10_000_000 }
    }
}

impl Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 10_000_000;
        for letter in self.pattern.chars() {
            if letter == '#' {
                let digit = (self.digits / unit) % 10;
                f.write_char(char::from(b'0' + u8::try_from(digit).unwrap_or(0)))?;
                unit = (unit / 10).max(1);
            } else {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_given_and_no_two_organisations_share_a_domain() {
        assert_eq!(SCRIPTS.iter().map(|script| script.first.len()).sum::<usize>(), FIRST_NAMES);
        let firsts: HashSet<&str> = (0..2_000).map(|number| Person::of(1, number).first.0).collect();
        assert_eq!(firsts.len(), FIRST_NAMES);
        let domains: HashSet<String> = (0..5_000).map(|number| Brand::of(1, number).to_string()).collect();
        assert_eq!(domains.len(), 5_000);
        assert_ne!(Brand::of(1, 0).to_string(), Brand::of(2, 0).to_string());
    }

    #[test]
    fn no_word_needs_an_escape_and_every_address_is_plain() {
        let names = SCRIPTS.iter().flat_map(|script| script.first.iter().chain(script.last));
        let words: Vec<NameWord> =
            names.chain(NAME).copied().chain(TRADE.iter().map(|(trade, _)| *trade)).collect();
        for (word, form) in words {
            assert_eq!(serde_json::to_string(word).unwrap(), format!("\"{word}\""));
            assert!(form.bytes().all(|byte| byte.is_ascii_lowercase()), "{form}");
        }
        for place in &PLACES {
            let texts = [place.city, place.country, place.postcode];
            for text in texts.iter().chain(&place.phones).chain(place.forms) {
                assert_eq!(serde_json::to_string(text).unwrap(), format!("\"{text}\""));
            }
            let holes = |pattern: &str| pattern.bytes().filter(|byte| *byte == b'#').count();
            assert!(place.phones.iter().all(|phone| matches!(holes(phone), 7 | 8)), "{}", place.city);
        }
    }
}
