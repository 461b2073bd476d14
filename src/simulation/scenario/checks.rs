//! The comparison of the indexes and the dead letters with the reference, once it is quiet.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::Scenario;
use crate::dead_letter::document_name;
use crate::json::remove_own;
use crate::plan::{ChildKey, display_key, id_and_owner};

impl Scenario {
    /// No instance has seen more foreign writes than there were.
    pub(super) fn check_foreign(&self) -> Result<(), String> {
        for running in self.instances.iter().filter_map(|instance| instance.running.as_ref()) {
            let (count, name) = (running.status.foreign.load(Ordering::Relaxed), &running.process.name);
            if count > self.foreign_writes {
                return Err(format!(
                    "{name} counts {count} foreign writes, there were {}",
                    self.foreign_writes
                ));
            }
        }
        Ok(())
    }

    pub(super) fn standing(&self) -> String {
        let end = self.world.log.lock().unwrap().end();
        let mut parts =
            vec![format!("end {end}, low watermark {}", self.world.group.lock().unwrap().low_watermark())];
        for running in self.instances.iter().filter_map(|instance| instance.running.as_ref()) {
            let waiting = running.state.count_waiting().unwrap_or_default();
            let at = running.state.progress().map(|progress| progress.positions().to_string());
            let state = running.status.report(None).state;
            parts.push(format!("{} is {state} at {at:?} with {waiting} waiting", running.process.name));
        }
        parts.push(format!("rebuild over {}", self.rebuild.is_over || !self.rebuild.has_begun));
        parts.join("; ")
    }

    /// The documents behind the aliases against those of the reference.
    pub(super) fn compare(&self) -> Result<(), String> {
        let expected = self.world.domain.documents(&self.world.log.lock().unwrap().events());
        let server = self.world.server.lock().unwrap();
        for projection in &self.world.domain.projections {
            let index = server.index_behind(*projection).ok_or("an alias is gone")?;
            let name = projection.name();
            let mut left = expected[name].clone();
            for (id, found) in &index.documents() {
                let body = found.body.as_deref().unwrap_or_default();
                let mut fields = serde_json::from_slice(body).map_err(|error| error.to_string())?;
                remove_own(&mut fields);
                let member = fields.values_mut().find_map(Value::as_object_mut);
                if let Some(member) = member.filter(|_| ChildKey::of(id).is_some()) {
                    member.remove("_search");
                }
                let stored = Value::Object(fields);
                match left.remove(id) {
                    Some(expected) if expected == stored => {}
                    // The log lost the records that it was made of.
                    Some(expected) if self.has_cut && expected["stub"] == true => {}
                    // A document that the index rejects stays there with its last accepted content.
                    Some(expected) if self.is_rejected(name, id, &expected)? => {}
                    // A state that was begun anew and stood by at first does not look for documents of
                    // cut-off records: `verify --repair` does.
                    None if self.has_cut => {}
                    expected => {
                        let id = display_key(id);
                        return Err(format!("{name}/{id} is {stored}, and the log makes {expected:?} of it"));
                    }
                }
            }
            for (id, expected) in left {
                if !self.is_rejected(name, &id, &expected)? {
                    let id = display_key(&id);
                    return Err(format!("{name}/{id} is missing, and the log makes {expected} of it"));
                }
            }
        }
        let letters = self.world.letters.lock().unwrap();
        let untold = self.world.log.lock().unwrap().poison().into_iter().find(|at| !letters.contains_key(at));
        untold.map_or(Ok(()), |at| Err(format!("{at} cannot be read, and no dead letter tells of it")))
    }

    /// Whether the index rejects a document, of which a dead letter tells then.
    fn is_rejected(&self, projection: &str, key: &str, expected: &Value) -> Result<bool, String> {
        if !self.world.plan.rejects || !self.world.domain.is_refused(expected.to_string().as_bytes()) {
            return Ok(false);
        }
        let (id, owner) = id_and_owner(key);
        let name = document_name(projection, &id, owner.as_deref());
        let is_told = self.world.letters.lock().unwrap().contains_key(&name);
        if is_told { Ok(true) } else { Err(format!("{name} was rejected, and no dead letter tells of it")) }
    }
}
