//! The bound of the search for a single change: a bare client writes, refreshes and searches for the same two
//! documents in the very indexes.

use std::time::{Duration, Instant};

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::Place;
use crate::Result;
use crate::server::Server;

/// Between two, as between two probes.
const PAUSE: Duration = Duration::from_millis(80);

/// The times until the contact is found, in the order of their length.
pub fn run(place: &Place<'_>, server: &Server) -> Result<Vec<Duration>> {
    server.wait_for_merges();
    let mut random = fastrand::Rng::with_seed(17);
    let mut times = Vec::new();
    while (times.len() as u64) < place.population.probes {
        let contact = format!("con-{:07}", random.u64(..place.population.contacts));
        if let Some(body) = both(place, server, &contact)? {
            times.push(once(place, server, &contact, body)?);
            std::thread::sleep(PAUSE);
        }
    }
    times.sort();
    Ok(times)
}

/// A contact and its organisation as the index holds them; none when it is deleted.
fn both(place: &Place<'_>, server: &Server, contact: &str) -> Result<Option<String>> {
    let prefix = &place.world.prefix;
    let Some(found) = server.maybe(&format!("/{prefix}contacts/_doc/{contact}"))? else { return Ok(None) };
    let mut body = line(&format!("{prefix}contacts"), &found);
    if let Some(organisation) = found["_source"]["organisation"]["id"].as_str()
        && let Some(found) = server.maybe(&format!("/{prefix}organisations/_doc/{organisation}"))?
    {
        body += &line(&format!("{prefix}organisations"), &found);
    }
    Ok(Some(body))
}

/// Written again as it is, which leaves the index as it was.
fn line(alias: &str, found: &Value) -> String {
    let action = json!({"index": {
        "_index": alias, "_id": found["_id"], "version": found["_version"], "version_type": "external_gte",
    }});
    format!("{action}\n{}\n", found["_source"])
}

fn once(place: &Place<'_>, server: &Server, contact: &str, body: String) -> Result<Duration> {
    let alias = format!("{}contacts", place.world.prefix);
    let query = json!({"size": 1, "query": {"term": {"id": contact}}});
    let began = Instant::now();
    server.bulk(None, body.into_bytes(), true)?;
    server.bytes(Method::Post, &format!("/{alias}/_refresh"), None)?;
    let found = server.ask(Method::Post, &format!("/{alias}/_search"), Some(&query))?;
    if found["hits"]["hits"][0]["_id"] != contact {
        return Err(format!("the bare client does not find {contact}: {found}"));
    }
    Ok(began.elapsed())
}
