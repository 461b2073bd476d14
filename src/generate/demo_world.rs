//! A world that goes on: written at once as the folder of a files source, then changed little by little.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use super::RecordTarget;
use super::events::Events;
use super::files::Files;
use super::pace::EventPace;
use crate::cli::Demo;
use crate::error::{Error, Result};

/// A longer log than any demonstration sees.
const EVENTS_MAX: u64 = 1 << 40;

/// The wanted world.
#[derive(Debug, Clone)]
pub struct DemoWorld {
    /// Where its files go.
    pub folder: PathBuf,
    /// How many organisations.
    pub organisations: u32,
    /// How many contacts.
    pub contacts: u32,
    /// The seed.
    pub seed: u64,
    /// Changes a second, once it is there.
    pub rate: u32,
}

impl DemoWorld {
    /// The world that a demonstration asks for, with its files in `folder`.
    pub fn of(demo: &Demo, folder: PathBuf) -> Self {
        let Demo { organisations, contacts, seed, rate, .. } = *demo;
        Self { folder, organisations, contacts, seed, rate }
    }

    /// How large it is, for people.
    pub fn size(&self) -> String {
        format!("{} organisations and {} contacts", self.organisations, self.contacts)
    }
}

/// A world that is there; it is changed from the first [`LiveWorld::go`] until this is dropped.
pub struct LiveWorld {
    go: Sender<()>,
}

impl LiveWorld {
    /// Writes the world.
    ///
    /// # Errors
    /// When its files can't be written.
    pub fn start(world: DemoWorld) -> Result<Self> {
        let (go, start) = channel();
        let (ready, written) = channel();
        std::thread::Builder::new()
            .name("world".to_owned())
            .spawn(move || run(&world, &ready, &start))
            .map_err(|error| {
                Error::failure("the world's thread cannot be started; check the limit of threads")
                    .because(error)
            })?;
        written.recv().map_err(|_| Error::failure("the world's thread broke off"))??;
        Ok(Self { go })
    }

    /// Begins the changes.
    pub fn go(&self) {
        // A thread that is gone has said why.
        let _ = self.go.send(());
    }
}

fn run(world: &DemoWorld, ready: &Sender<Result<()>>, start: &Receiver<()>) {
    let mut events = Events::new(world.seed, world.organisations, world.contacts, EVENTS_MAX);
    let mut files = match Files::create(&world.folder, "organisations", "contacts", None) {
        Ok(files) => files,
        Err(error) => return drop(ready.send(Err(error))),
    };
    // Of ten events eight create something, until everything is there.
    let first = (u64::from(world.organisations) + u64::from(world.contacts)) * 3 / 2;
    let mut write = |count: u64| -> Result<()> {
        for event in events.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            files.put(&event)?;
        }
        files.hand_on()
    };
    let written = write(first);
    let is_written = written.is_ok();
    let _ = ready.send(written);
    if !is_written || start.recv().is_err() {
        return;
    }
    let mut pace = EventPace::start(world.rate);
    while matches!(start.recv_timeout(pace.next().unwrap_or_default()), Err(RecvTimeoutError::Timeout)) {
        if let Err(error) = write(1) {
            tracing::error!(error = error.chain(), "no further changes");
            return;
        }
    }
}
