//! The group that elects the writer, as Kafka's does by `source/kafka/elector.rs`: one member holds the deciding
//! partition. Members ask for it by the rules of the program. The assignor gives it to the member that asks, also when
//! that takes it from another one. A member that is called off stops, lets its requests end, and only then another may
//! write. The broker expires a member that is silent for the session's time. The member takes itself for expired at
//! about the same moment. Its own client counts the same time from the last heartbeat that was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::world::{Process, World};
use crate::error::Result;
use crate::position::{Positions, TopicPartition};
use crate::source::candidacy::{Candidacy, GroupMembers};
use crate::source::leadership::{DeliveredPosition, Leadership};

const SESSION: Duration = Duration::from_secs(10);
const RELEASE_WAIT: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(200);
/// For so long a member that asks takes the writer that the broker tells of for itself.
const ASKING_MAX: Duration = Duration::from_secs(3);
/// A rebalance takes at most so many milliseconds.
const REBALANCE_MS_MAX: u64 = 1_500;

struct Member {
    process: Arc<Process>,
    writer: watch::Sender<bool>,
    in_flight: Arc<AtomicU64>,
    /// When the broker last heard of it.
    heard: Instant,
    /// Its own client has taken it for expired.
    is_lost: bool,
    is_leaving: bool,
    candidacy: Candidacy,
    caught_up: Arc<AtomicBool>,
    /// Since when it asks for the writing.
    asking: Option<Instant>,
}

impl Member {
    /// It is not the writer any more, and comes back as one that stands by.
    fn step_down(&mut self) {
        self.writer.send_if_modified(std::mem::take);
        self.candidacy.step_down();
        self.asking = None;
    }
}

/// The broker's side.
#[derive(Default)]
pub(super) struct Group {
    members: BTreeMap<u64, Member>,
    holder: Option<u64>,
    /// Since when the holder is called off.
    revoked: Option<Instant>,
    number: u64,
    /// Until when a rebalance is under way.
    changing: Option<Instant>,
    /// Whether the holder was called off for another member that asked.
    is_taken: bool,
    /// The breach of the group's rules that was seen, because no group may come to it.
    pub(super) wrong: Option<String>,
    committed: BTreeMap<TopicPartition, (i64, DeliveredPosition)>,
    /// Processes that do not reach the broker, until then.
    cut_off: BTreeMap<String, Instant>,
}

impl Group {
    /// Cuts a process off from the broker for a while.
    pub(super) fn cut_off(&mut self, process: &str, time: Duration) {
        self.cut_off.insert(process.to_owned(), Instant::now() + time);
    }

    /// Forgets the published offsets.
    pub(super) fn forget_offsets(&mut self) {
        self.committed.clear();
    }

    pub(super) fn is_cut_off(&self, process: &str) -> bool {
        self.cut_off.get(process).is_some_and(|until| Instant::now() < *until)
    }

    /// Whether another one than this process is the writer.
    pub(super) fn is_held_by_another(&self, process: &str) -> bool {
        let holder = self.holder.and_then(|holder| self.members.get(&holder));
        holder.is_some_and(|holder| holder.process.name != process)
    }

    /// The low watermark that the writer has published.
    pub(super) fn low_watermark(&self) -> Positions {
        self.committed.iter().map(|(at, (next, _))| (at.clone(), *next)).collect()
    }

    fn turn(&mut self, world: &World) {
        let now = Instant::now();
        let cut_off: BTreeSet<u64> = self
            .members
            .iter()
            .filter(|(_, member)| self.is_cut_off(&member.process.name))
            .map(|(number, _)| *number)
            .collect();
        for (number, member) in &mut self.members {
            if !member.process.is_dead() && !cut_off.contains(number) {
                member.heard = now;
            } else if !member.process.is_dead() && now >= member.heard + SESSION - TURN {
                // Its own client expires it a moment before the broker does, or with it.
                member.step_down();
                member.is_lost = true;
            }
        }
        let expired = |member: &Member| now >= member.heard + SESSION;
        if let Some(holder) = self.holder {
            let member = &self.members[&holder];
            if expired(member) || member.is_lost && !cut_off.contains(&holder) {
                world.note(format_args!("{} is expired", member.process.name));
                self.holder = None;
            } else if member.is_leaving && self.revoked.is_none() {
                self.revoke(world);
            }
        }
        self.members.retain(|_, member| !member.process.is_dead() || now < member.heard + SESSION);
        if let (Some(holder), Some(since)) = (self.holder, self.revoked) {
            let rests = self.members[&holder].in_flight.load(Ordering::SeqCst) == 0;
            if rests || now >= since + RELEASE_WAIT {
                self.holder = None;
            }
        }
        if self.holder.is_none() {
            self.revoked = None;
            let count = self.members.len();
            self.members.retain(|_, member| !member.is_leaving);
            if self.members.len() < count {
                self.change(world);
            }
        }
        self.ask(world, &cut_off);
        if self.changing.is_some_and(|until| now < until) {
            return;
        }
        let is_asked = |(number, member): (&u64, &Member)| {
            self.holder != Some(*number) && member.asking.is_some() && !member.is_leaving
        };
        if self.holder.is_none() {
            self.assign(world, &cut_off);
        } else if self.revoked.is_none() && self.members.iter().any(is_asked) && world.draw(0..2) == 0 {
            world.count("writing taken by one that asks");
            self.is_taken = true;
            self.revoke(world);
        }
    }

    /// Calls the holder off.
    fn revoke(&mut self, world: &World) {
        let Some(member) = self.holder.and_then(|holder| self.members.get_mut(&holder)) else { return };
        world.note(format_args!("{} is called off", member.process.name));
        member.step_down();
        self.revoked = Some(Instant::now());
    }

    /// A member came, went or asks for something else.
    fn change(&mut self, world: &World) {
        self.changing = Some(Instant::now() + world.millis(0..REBALANCE_MS_MAX));
    }

    /// Every member that does not write looks at the group, and asks for the writing where its rules say so.
    fn ask(&mut self, world: &World, cut_off: &BTreeSet<u64>) {
        let now = Instant::now();
        let numbers: Vec<u64> = self.members.keys().copied().collect();
        for (rank, number) in numbers.iter().enumerate() {
            let is_changing = self.changing.is_some_and(|until| now < until);
            let view = if cut_off.contains(number)
                || world.strikes("group not described", world.plan.rates.commit_lost)
            {
                GroupMembers::Silent
            } else if is_changing {
                GroupMembers::Changing
            } else if self.holder.is_some() {
                GroupMembers::Led
            } else {
                GroupMembers::Leaderless { count: numbers.len() - 1, rank }
            };
            let is_holder = self.holder == Some(*number);
            let Some(member) = self.members.get_mut(number) else { continue };
            if is_holder || member.process.is_dead() || member.is_leaving {
                continue;
            }
            let has_caught_up = member.caught_up.load(Ordering::SeqCst);
            match member.asking {
                Some(since) if view == GroupMembers::Led && now >= since + ASKING_MAX => member.asking = None,
                None if member.candidacy.asks(view, has_caught_up) => {
                    world.note(format_args!("{} asks for the writing", member.process.name));
                    member.asking = Some(now);
                }
                _ => continue,
            }
            self.change(world);
        }
    }

    fn assign(&mut self, world: &World, cut_off: &BTreeSet<u64>) {
        let is_taken = std::mem::take(&mut self.is_taken);
        let able: Vec<u64> = self
            .members
            .iter()
            .filter(|(number, member)| !member.process.is_dead() && !cut_off.contains(number))
            .filter(|(_, member)| member.asking.is_some())
            .map(|(number, _)| *number)
            .collect();
        if able.is_empty() {
            return;
        }
        let number = able[usize::try_from(world.draw(0..able.len() as u64)).unwrap()];
        world.note(format_args!("{} is the writer", self.members[&number].process.name));
        self.holder = Some(number);
        if let Some(member) = self.members.get_mut(&number) {
            if is_taken && !member.caught_up.load(Ordering::SeqCst) {
                let name = &member.process.name;
                self.wrong
                    .get_or_insert(format!("{name} took the writing from a healthy one, and lags behind"));
            }
            member.is_lost = false;
            member.asking = None;
            member.writer.send_replace(true);
        }
    }
}

/// The broker's turns, for ever.
pub(super) async fn serve(world: Arc<World>) {
    loop {
        tokio::time::sleep(TURN).await;
        world.group.lock().unwrap().turn(&world);
    }
}

/// A member of the group.
pub(super) struct Membership {
    world: Arc<World>,
    process: Arc<Process>,
    number: u64,
    writer: watch::Sender<bool>,
    caught_up: Arc<AtomicBool>,
}

impl Membership {
    pub(super) fn join(world: &Arc<World>, process: &Arc<Process>, in_flight: Arc<AtomicU64>) -> Self {
        let (writer, caught_up) = (watch::Sender::new(false), Arc::<AtomicBool>::default());
        let mut group = world.group.lock().unwrap();
        group.number += 1;
        let number = group.number;
        let member = Member {
            process: Arc::clone(process),
            writer: writer.clone(),
            in_flight,
            heard: Instant::now(),
            is_lost: false,
            is_leaving: false,
            candidacy: Candidacy::default(),
            caught_up: Arc::clone(&caught_up),
            asking: None,
        };
        group.members.insert(number, member);
        group.change(world);
        Self { world: Arc::clone(world), process: Arc::clone(process), number, writer, caught_up }
    }
}

impl Leadership for Membership {
    fn writer(&self) -> watch::Receiver<bool> {
        self.writer.subscribe()
    }

    fn commit(&self, delivered: &DeliveredPosition) -> bool {
        let mut group = self.world.group.lock().unwrap();
        let is_fenced = group.holder != Some(self.number) || group.is_cut_off(&self.process.name);
        if !self.process.lives() || is_fenced {
            return false;
        }
        if self.world.strikes("offset commit lost", self.world.plan.rates.commit_lost) {
            return false;
        }
        self.world.note(format_args!("{} publishes {}", self.process.name, delivered.low_watermark));
        for (at, next) in delivered.low_watermark.iter() {
            let said = DeliveredPosition { low_watermark: Positions::default(), ..delivered.clone() };
            group.committed.insert(at.clone(), (next, said));
        }
        true
    }

    fn writer_position(&self) -> Result<DeliveredPosition> {
        self.process.check()?;
        let group = self.world.group.lock().unwrap();
        if group.is_cut_off(&self.process.name) {
            return Ok(DeliveredPosition::default());
        }
        let indexes: BTreeSet<_> = group.committed.values().map(|(_, said)| &said.indexes).collect();
        let logs: BTreeSet<_> = group.committed.values().map(|(_, said)| &said.log).collect();
        if logs.len() > 1 {
            return Ok(DeliveredPosition::default());
        }
        let indexes = indexes.first().filter(|_| indexes.len() == 1).map(|indexes| (*indexes).clone());
        let log = logs.first().map(|log| (*log).clone());
        Ok(DeliveredPosition {
            low_watermark: group.low_watermark(),
            indexes: indexes.unwrap_or_default(),
            log: log.unwrap_or_default(),
        })
    }

    fn note_caught_up(&self) {
        self.caught_up.store(true, Ordering::SeqCst);
    }

    fn close(&self) {
        if let Some(member) = self.world.group.lock().unwrap().members.get_mut(&self.number) {
            member.writer.send_replace(false);
            member.is_leaving = true;
        }
    }
}
