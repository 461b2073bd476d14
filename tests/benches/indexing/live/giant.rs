//! One organisation with more contacts than any other.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Place;
use super::gauge::{Counters, Room};
use crate::Result;

/// Single changes.
const CHANGES: u64 = 1_000;
/// Between two of them, where they are paced.
const EVERY: Duration = Duration::from_millis(10);

/// A change of the giant organisation, and its cost.
pub struct Giant {
    pub what: String,
    pub events: u64,
    pub took: Duration,
    pub counted: Counters,
    pub room: Room,
}

pub fn run(place: &mut Place<'_>) -> Result<Vec<Giant>> {
    let contacts = place.population.giant;
    let contact = |number: u64| format!("giant-{number:05}");
    let mut done = Vec::new();
    done.push(part(place, &format!("its creation with {contacts} contacts"), contacts + 1, |place| {
        place.log.organisation("giant", "created", &json!({"name": "Giant Ltd"}))?;
        (0..contacts).try_for_each(|number| {
            let data = json!({"firstName": "Jane", "lastName": format!("Doe {number}"), "organisationId": "giant",
                "email": format!("jane.doe.{number}@giant.test"), "phone": "+44 20 7946 0018", "role": "Buyer"});
            place.log.contact(&contact(number), "created", &data)
        })
    })?);
    done.push(part(place, "its rename", 1, |place| {
        place.log.organisation("giant", "renamed", &json!({"name": "Titan Ltd"}))
    })?);
    let change = |place: &Place<'_>, number: u64| {
        let id = contact(number * 7 % contacts);
        place.log.contact(&id, "updated", &json!({"role": format!("Role {number}")}))
    };
    done.push(part(place, "contact changes, all at once", CHANGES, |place| {
        (0..CHANGES).try_for_each(|number| change(place, number))
    })?);
    done.push(part(place, "contact changes, 100 a second", CHANGES, |place| {
        (0..CHANGES).try_for_each(|number| {
            std::thread::sleep(EVERY);
            change(place, CHANGES + number)
        })
    })?);
    Ok(done)
}

fn part(
    place: &mut Place<'_>,
    what: &str,
    events: u64,
    work: impl FnOnce(&Place<'_>) -> Result<()>,
) -> Result<Giant> {
    place.gauge.forget_peak();
    let before = place.gauge.counted()?;
    let began = Instant::now();
    work(place)?;
    let next = place.log.flush()?;
    place.gauge.wait_for(&next)?;
    let took = began.elapsed();
    let counted = place.gauge.counted()? - before;
    Ok(Giant { what: what.to_owned(), events, took, counted, room: place.gauge.room() })
}
