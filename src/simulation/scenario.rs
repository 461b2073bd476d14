//! One run: events, faults and deaths for a while, then quiet, and a comparison.

mod checks;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::events::Events;
use super::group;
use super::instance::Instance;
use super::plan::Head;
use super::rebuild::Rebuild;
use super::store::Remains;
use super::world::World;
use crate::plan::CONTACTS;
use crate::position::Positions;
use crate::state::keys::{PROGRESS_KEY, Space};
use crate::state::rows::{self, FoldProgress};
use crate::state::store::Reader;

/// Once it is quiet everything has to be delivered within this time.
const QUIET_MAX: Duration = Duration::from_secs(400);
/// Every late request has arrived by then.
const LATE_MAX: Duration = Duration::from_secs(25);

pub(super) struct Scenario {
    world: Arc<World>,
    events: Events,
    instances: Vec<Instance>,
    rebuild: Rebuild,
    deaths: u64,
    /// Instances that stay away for good.
    absentees: Vec<usize>,
    has_cut: bool,
    has_recreated: bool,
    /// The contacts whose documents a foreign write has changed.
    foreign: BTreeSet<String>,
    /// The services write no event until then.
    paused_until: Option<Instant>,
    /// How many foreign writes there were.
    foreign_writes: u64,
}

impl Scenario {
    pub(super) fn new(world: &Arc<World>, folder: &Path) -> Self {
        let instances = (0..world.plan.instances).map(|number| Instance::new(number, folder)).collect();
        Self {
            world: Arc::clone(world),
            events: Events::default(),
            instances,
            rebuild: Rebuild::new(folder),
            deaths: world.plan.deaths,
            absentees: Vec::new(),
            has_cut: false,
            has_recreated: false,
            foreign: BTreeSet::new(),
            paused_until: None,
            foreign_writes: 0,
        }
    }

    pub(super) async fn run(&mut self) -> Result<(), String> {
        let world = Arc::clone(&self.world);
        world.note(format_args!("{:?}", world.plan));
        if let Some(model) = world.domain.text() {
            world.note(format_args!("the model:\n{model}"));
        }
        let broker = tokio::spawn(group::serve(Arc::clone(&world)));
        for _ in 0..world.plan.events[0] {
            self.events.append(&world);
        }
        if let Some(time) = world.plan.refuses_first {
            self.refuse_writes(time);
            self.pause();
        }
        self.instances[0].start(&world)?;
        if world.draw(0..3) == 0 {
            // While the index is filled for the first time.
            self.strike(0);
        }
        let until = Instant::now() + world.plan.time;
        while Instant::now() < until {
            tokio::time::sleep(world.millis(1..200)).await;
            self.bury().await?;
            self.append_or_pause();
            if world.draw(0..100) < 8 {
                self.fate().await?;
            }
            if world.plan.has_foreign && world.draw(0..100) < 3 {
                self.interfere();
            }
            if world.plan.recreates && !self.has_recreated && world.draw(0..100) < 3 {
                self.recreate_topics();
            }
            if world.plan.refuses_first.is_some() && world.draw(0..100) < 2 {
                self.refuse_writes(world.millis(100..10_000));
            }
        }
        self.quieten().await?;
        self.settle().await?;
        broker.abort();
        Ok(())
    }

    /// Appends events, or none while the services pause.
    fn append_or_pause(&mut self) {
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.append();
        if self.world.plan.has_pauses && self.world.draw(0..100) < 3 {
            self.pause();
        }
    }

    /// The services write nothing for a while.
    fn pause(&mut self) {
        if self.world.plan.has_pauses {
            self.world.count("services pause");
            self.paused_until = Some(Instant::now() + self.world.millis(1_000..12_000));
        }
    }

    /// As many events as fall to a tenth of a second.
    fn append(&mut self) {
        let tenths = u64::try_from(self.world.plan.time.as_millis()).unwrap() / 100;
        let most = self.world.plan.events[1] * 2 / tenths + 2;
        for _ in 0..self.world.draw(0..most) {
            self.events.append(&self.world);
        }
    }

    /// Draws a fault or a change, and lets it befall an instance, the index, the log or the rebuild.
    async fn fate(&mut self) -> Result<(), String> {
        let world = Arc::clone(&self.world);
        let number = usize::try_from(world.draw(0..self.instances.len() as u64)).unwrap();
        match world.draw(0..14) {
            0..3 => self.strike(number),
            3..6 if self.instances[number].running.is_none() => self.instances[number].start(&world)?,
            6 => {
                world.count("clean stop");
                self.instances[number].stop(&world);
            }
            7 => self.cut_off(number),
            8 => {
                world.count("index away");
                world.server.lock().unwrap().away_until = Some(Instant::now() + world.millis(100..8_000));
            }
            9 => {
                world.count("index slow");
                world.server.lock().unwrap().slow_until = Some(Instant::now() + world.millis(100..15_000));
            }
            10 if world.plan.adds_partition => self.add_partition(),
            11 | 12 if world.plan.has_rebuild => self.rebuild_fares(),
            13 => self.cut_head(number).await?,
            _ => {}
        }
        Ok(())
    }

    /// The topics are deleted and created again; a broker forgets the group's offsets of a topic that is deleted.
    fn recreate_topics(&mut self) {
        self.has_recreated = true;
        self.world.count("topics recreated");
        self.world.log.lock().unwrap().recreate();
        self.world.group.lock().unwrap().forget_offsets();
        for _ in 0..self.world.draw(0..40) {
            self.events.append(&self.world);
        }
    }

    /// The index takes no write for a while.
    fn refuse_writes(&self, time: Duration) {
        self.world.count("index refuses all writes");
        self.world.server.lock().unwrap().refuses_until = Some(Instant::now() + time);
    }

    /// Makes a foreign write to a contact's document.
    fn interfere(&mut self) {
        let contact = format!("c{}", self.world.draw(0..self.world.plan.contacts));
        if self.world.server.lock().unwrap().write_foreign(CONTACTS, &contact) {
            self.world.count("foreign write");
            self.world.note(format_args!("somebody else writes {contact}"));
            self.foreign.insert(contact);
            self.foreign_writes += 1;
        }
    }

    /// A process dies, now or at one of its next steps.
    fn strike(&mut self, number: usize) {
        let Some(running) = &self.instances[number].running else { return };
        if self.deaths == 0 {
            return;
        }
        self.deaths -= 1;
        if self.world.draw(0..4) == 0 {
            self.world.count("killed");
            running.process.kill();
        } else {
            self.world.count("killed between two steps");
            running.process.light_fuse(self.world.draw(1..40));
        }
    }

    fn cut_off(&mut self, number: usize) {
        if let Some(running) = &self.instances[number].running {
            self.world.count("cut off from the broker");
            let time = self.world.millis(500..20_000);
            self.world.group.lock().unwrap().cut_off(&running.process.name, time);
        }
    }

    fn add_partition(&mut self) {
        let types = &self.world.domain.types;
        let (topic, _) = &types[usize::try_from(self.world.draw(0..types.len() as u64)).unwrap()];
        let mut log = self.world.log.lock().unwrap();
        if log.count(topic) < 3 {
            log.add_partition(topic);
            drop(log);
            self.world.count("partition added");
        }
    }

    fn rebuild_fares(&mut self) {
        if self.rebuild.is_over {
            return;
        }
        match self.rebuild.process() {
            None => self.start_rebuild(),
            Some(process) if self.world.draw(0..3) == 0 => {
                self.world.count("rebuild killed");
                process.light_fuse(self.world.draw(1..60));
            }
            Some(_) => {}
        }
    }

    fn start_rebuild(&mut self) {
        let state = self.instances.iter().find_map(|instance| instance.running.as_ref());
        let state = state.map(|running| Arc::clone(&running.state));
        let has_indexes =
            self.world.server.lock().unwrap().aliases.len() == self.world.domain.projections.len();
        if !has_indexes || self.world.plan.from_state && state.is_none() {
            return;
        }
        if !self.rebuild.has_begun {
            self.world.count("rebuild begun");
        }
        self.rebuild.start(&self.world, state.filter(|_| self.world.plan.from_state));
    }

    /// The log loses its beginning.
    async fn cut_head(&mut self, number: usize) -> Result<(), String> {
        match self.world.plan.head {
            Head::CutBehind => {
                let mut least = self.world.log.lock().unwrap().end();
                let disks = self.instances.iter().map(|instance| &instance.disk);
                for disk in disks.chain(self.rebuild.has_begun.then_some(&self.rebuild.disk)) {
                    let position = positions(&*disk.view_of_disk());
                    least = least
                        .iter()
                        .map(|(at, next)| (at.clone(), position.get(at).unwrap_or(0).min(next)))
                        .collect();
                }
                self.world.log.lock().unwrap().cut(&least, true);
                self.world.count("head cut off behind everybody");
            }
            Head::CutAhead if !self.has_cut && self.instances[number].running.is_some() => {
                if let Some(running) = &self.instances[number].running {
                    running.process.kill();
                }
                self.bury_one(number, Remains::All).await?;
                let position = positions(&*self.instances[number].disk.view());
                for _ in 0..20 {
                    self.events.append(&self.world);
                }
                self.cut_ahead(&position);
                self.instances[number].start(&self.world)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn cut_ahead(&mut self, position: &Positions) {
        let mut log = self.world.log.lock().unwrap();
        let to: Positions = log
            .end()
            .iter()
            .map(|(at, end)| {
                let next = position.get(at).unwrap_or(0);
                (at.clone(), if next < end { next + 1 } else { next })
            })
            .collect();
        log.cut(&to, false);
        drop(log);
        self.has_cut = true;
        self.world.count("head cut off ahead of the state");
    }

    async fn bury(&mut self) -> Result<(), String> {
        if let Some(why) = self.world.group.lock().unwrap().wrong.take() {
            return Err(why);
        }
        for number in 0..self.instances.len() {
            let left = self.draw_left();
            self.bury_one(number, left).await?;
        }
        if self.rebuild.process().is_some() {
            let left = if self.world.draw(0..2) == 0 { Remains::All } else { Remains::Some };
            self.rebuild.bury(&self.world, left).await?;
        }
        Ok(())
    }

    fn draw_left(&self) -> Remains {
        let may_lose = self.world.plan.head == Head::Whole || self.world.plan.head == Head::CutBefore;
        match self.world.draw(0..20) {
            0..9 => Remains::All,
            9..17 => Remains::Some,
            17 | 18 if may_lose => Remains::Former,
            19 if may_lose => Remains::Nothing,
            _ => Remains::All,
        }
    }

    async fn bury_one(&mut self, number: usize, left: Remains) -> Result<(), String> {
        let world = Arc::clone(&self.world);
        let count = || {
            world.count(match left {
                Remains::All => "state whole after a death",
                Remains::Some => "state back at an earlier batch",
                Remains::Former => "state back at an earlier sync",
                Remains::Nothing => "state lost",
            });
            left
        };
        match self.instances[number].bury(&world, count).await {
            Err(why) if self.has_cut && why.contains("records are missing") => {
                world.count("gap found");
                let disk = self.instances[number].disk.after_crash(Remains::Nothing, &world);
                self.instances[number].disk = disk;
                Ok(())
            }
            Err(why)
                if self.has_recreated
                    && (why.contains("recreated") || why.contains("records are missing")) =>
            {
                world.count("recreation found");
                let disk = self.instances[number].disk.after_crash(Remains::Nothing, &world);
                self.instances[number].disk = disk;
                Ok(())
            }
            buried => buried.map(|_| ()),
        }
    }

    /// Ends the faults. An instance or a rebuild that is to stay away is killed for good.
    async fn quieten(&mut self) -> Result<(), String> {
        let world = Arc::clone(&self.world);
        self.events.append_held(&world);
        // A document that a foreign write has changed is repaired by the next change of its contact.
        for contact in &self.foreign {
            self.events.touch(&world, contact);
        }
        if world.plan.one_never_returns && self.instances.len() > 1 {
            let number = usize::try_from(world.draw(0..2)).unwrap();
            if let Some(running) = &self.instances[number].running {
                running.process.kill();
            }
            world.count("instance never returns");
            self.bury_one(number, Remains::All).await?;
            self.absentees.push(number);
        }
        if world.plan.rebuild_stays_dead && !self.rebuild.is_over && self.rebuild.has_begun {
            if let Some(process) = self.rebuild.process() {
                process.kill();
            }
            world.count("rebuild never returns");
            self.rebuild.bury(&world, Remains::All).await?;
            self.rebuild.is_over = true;
        }
        world.quieten();
        let mut server = world.server.lock().unwrap();
        (server.away_until, server.slow_until, server.refuses_until) = (None, None, None);
        Ok(())
    }

    /// Goes on until everything is delivered, and compares.
    async fn settle(&mut self) -> Result<(), String> {
        let world = Arc::clone(&self.world);
        let began = Instant::now();
        let mut is_compared = false;
        while began.elapsed() < QUIET_MAX {
            tokio::time::sleep(Duration::from_millis(250)).await;
            self.bury().await?;
            for number in 0..self.instances.len() {
                if self.instances[number].running.is_none() && !self.absentees.contains(&number) {
                    self.instances[number].start(&world)?;
                }
            }
            let goes_on = self.rebuild.has_begun && !self.rebuild.is_over;
            if goes_on && self.rebuild.process().is_none() {
                self.start_rebuild();
            }
            if goes_on || !self.is_settled()? {
                continue;
            }
            if !is_compared {
                self.compare()?;
                is_compared = true;
                // The repaired documents change again.
                self.foreign.iter().for_each(|contact| self.events.touch(&world, contact));
                continue;
            }
            if began.elapsed() >= LATE_MAX {
                self.check_foreign()?;
                return self.compare();
            }
        }
        Err(format!("it does not come to an end: {}", self.standing()))
    }

    /// True when every instance has folded everything, and nothing waits at the writer, which has said so. A
    /// standby may keep marks that fan-outs made last: it cannot tell them from others of the same positions.
    fn is_settled(&self) -> Result<bool, String> {
        let end = self.world.log.lock().unwrap().end();
        let behind = self.world.server.lock().unwrap().aliases.clone();
        let mut is_settled = false;
        for running in self.instances.iter().filter_map(|instance| instance.running.as_ref()) {
            if !running.state.progress().map_err(|error| error.chain())?.positions().covers(&end) {
                return Ok(false);
            }
            let report = running.status.report(None);
            if report.state == "writing" {
                let projections = self.world.domain.projections.iter();
                let written = projections.map(|projection| report.indexes.get(projection.name()).cloned());
                let is_delivered = running.state.is_delivered().map_err(|error| error.chain())?;
                let projections = self.world.domain.projections.iter();
                let expected = projections.map(|projection| behind.get(projection).cloned());
                is_settled = is_delivered && written.eq(expected);
            }
        }
        Ok(is_settled && self.world.group.lock().unwrap().low_watermark().covers(&end))
    }
}

fn positions(view: &dyn Reader) -> Positions {
    let progress = view.get(Space::META, PROGRESS_KEY).ok().flatten();
    progress.map(|bytes| rows::decode::<FoldProgress>(&bytes).unwrap().positions()).unwrap_or_default()
}
