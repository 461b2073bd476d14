//! The schemas of a registry: asked for once each, and kept. A registry that is away is asked again, less and less often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::client::{RegistryAnswer, RegistryClient};
use super::schema::Schema;
use crate::config::RegistryConfig;
use crate::error::Result;

/// How long to wait before the registry is asked again: twice as long each time, up to the second of these.
const RETRY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// An id that is not known may be registered later, and is asked for again after so long.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);

/// The schemas of one registry.
#[derive(Debug)]
pub struct Registry {
    client: Arc<RegistryClient>,
    found: RwLock<HashMap<u32, CachedAnswer>>,
    asking: Mutex<RegistryQuestion>,
}

/// The answer that is held for an id.
#[derive(Debug, Clone)]
enum CachedAnswer {
    Schema(Arc<Schema>),
    /// Why no value of it can be read, and until when this is not asked again; `None` is for good.
    Poison(Arc<str>, Option<Instant>),
}

/// The question that is under way, if one is, and how the last ones went.
#[derive(Debug, Default)]
struct RegistryQuestion {
    under_way: Option<(u32, Receiver<RegistryAnswer>)>,
    /// Why the last question had no answer, and how long to wait after it.
    away: Option<(Arc<str>, Duration)>,
    next: Option<Instant>,
}

/// Whether a schema is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is, or it is known that there is none.
    Done,
    /// Not yet; with why, once the registry did not answer.
    Waiting(Option<Arc<str>>),
}

impl Registry {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When the address is none or a certificate cannot be read (exit code 2).
    pub fn new(config: &RegistryConfig) -> Result<Self> {
        Ok(Self {
            client: Arc::new(RegistryClient::new(config)?),
            found: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// Sees whether the registry answers, and waits for its answer.
    ///
    /// # Errors
    /// When it does not, or refuses the user; each begins with the key of the configuration (exit code 1).
    pub fn examine(&self) -> Result<()> {
        self.client.examine()
    }

    /// A schema that [`Self::look`] found.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn schema(&self, id: u32) -> Result<Arc<Schema>, String> {
        match self.found.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(CachedAnswer::Schema(schema)) => Ok(Arc::clone(schema)),
            Some(CachedAnswer::Poison(reason, _)) => Err(reason.to_string()),
            None => Err(format!("schema {id}: the registry did not say what it is")),
        }
    }

    /// Forgets that ids are not known: they may have been registered since.
    pub(crate) fn forget_unknown(&self) {
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        found.retain(|_, found| !matches!(found, CachedAnswer::Poison(_, Some(_))));
    }

    /// Looks for a schema, and asks the registry for it. Waits at most about `wait`.
    pub(crate) fn look(&self, id: u32, wait: Duration) -> Look {
        if self.is_known(id) {
            return Look::Done;
        }
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.under_way.is_none() && !self.ask(&mut asking, id, wait) {
            return Look::Waiting(asking.why());
        }
        let Some((question, answers)) = &asking.under_way else { return Look::Waiting(asking.why()) };
        let question = *question;
        let answer = match answers.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => return Look::Waiting(asking.why()),
            Err(RecvTimeoutError::Disconnected) => {
                RegistryAnswer::Away("the request was broken off".to_owned())
            }
            Ok(answer) => answer,
        };
        asking.under_way = None;
        self.take(&mut asking, question, answer);
        if self.is_known(id) { Look::Done } else { Look::Waiting(asking.why()) }
    }

    /// True while the answer about an id holds.
    fn is_known(&self, id: u32) -> bool {
        match self.found.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            Some(CachedAnswer::Schema(_) | CachedAnswer::Poison(_, None)) => true,
            Some(CachedAnswer::Poison(_, Some(until))) => Instant::now() < *until,
            None => false,
        }
    }

    /// Starts a question, on a thread of its own; false while it is too early for one.
    fn ask(&self, asking: &mut RegistryQuestion, id: u32, wait: Duration) -> bool {
        let pause =
            asking.next.map(|next| next.saturating_duration_since(Instant::now())).unwrap_or_default();
        if !pause.is_zero() {
            std::thread::sleep(pause.min(wait));
        }
        if pause > wait {
            return false;
        }
        let (client, (answered, answers)) = (Arc::clone(&self.client), bounded(1));
        let question = move || {
            // The other end is gone only when the process ends.
            let _ = answered.send(client.schema(id));
        };
        let started = std::thread::Builder::new().name("schemas".to_owned()).spawn(question);
        asking.under_way = Some((id, answers));
        started.is_ok()
    }

    fn take(&self, asking: &mut RegistryQuestion, id: u32, answer: RegistryAnswer) {
        let found = match answer {
            RegistryAnswer::Schema(schema) => match Schema::parse(&schema) {
                Ok(schema) => CachedAnswer::Schema(Arc::new(schema)),
                Err(reason) => {
                    CachedAnswer::Poison(format!("schema {id} cannot be read: {reason}").into(), None)
                }
            },
            RegistryAnswer::Unknown => {
                let reason = format!(
                    "schema {id} is not known to the schema registry at {}; register it and replay the record",
                    self.client.address()
                );
                CachedAnswer::Poison(reason.into(), Instant::now().checked_add(UNKNOWN_FOR))
            }
            RegistryAnswer::Away(why) => {
                let why = format!("the schema registry at {} does not answer: {why}", self.client.address());
                asking.note_away(why);
                return;
            }
        };
        if asking.away.take().is_some() {
            tracing::info!("the schema registry answers again");
        }
        asking.next = None;
        self.found.write().unwrap_or_else(PoisonError::into_inner).insert(id, found);
    }
}

impl RegistryQuestion {
    fn why(&self) -> Option<Arc<str>> {
        self.away.as_ref().map(|(why, _)| Arc::clone(why))
    }

    fn note_away(&mut self, why: String) {
        let [first, most] = RETRY;
        let before = self.away.as_ref().map(|(_, before)| *before);
        if before.is_none() {
            tracing::warn!(why, "the reader is waiting for the schema registry");
        }
        let pause = before.map_or(first, |before| most.min(before * 2));
        self.next = Instant::now().checked_add(pause);
        self.away = Some((why.into(), pause));
    }
}
