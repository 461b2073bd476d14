//! The plan that a seed draws for a run: the size of its world, and how often each fault strikes.

use std::time::Duration;

/// The fate of the log's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Whole,
    /// It was cut off before anybody read it.
    CutBefore,
    /// It is cut off behind everybody.
    CutBehind,
    /// It is cut off ahead of the one instance, which is away.
    CutAhead,
}

/// How often each fault strikes, in a thousand cases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    /// A request does not arrive.
    pub(super) lost: u64,
    /// It is applied and its answer does not arrive.
    pub(super) unanswered: u64,
    /// It is applied long after its sender has given it up.
    pub(super) late: u64,
    /// 429 or 503 to the whole request.
    pub(super) refused: u64,
    /// 429 or 503 to a single item.
    pub(super) item_refused: u64,
    /// An item is applied and reported as failed.
    pub(super) item_unsaid: u64,
    /// The commit of the group's offsets is lost.
    pub(super) commit_lost: u64,
    /// A sync fails.
    pub(super) torn: u64,
    /// A record comes twice.
    pub(super) doubled: u64,
    /// A record comes later than those written after it.
    pub(super) reordered: u64,
    /// A record is written that cannot be read.
    pub(super) poison: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) organisations: u64,
    pub(super) contacts: u64,
    pub(super) partitions: [i32; 2],
    /// Events carry a sequence, and come by any partition.
    pub(super) is_sequenced: bool,
    pub(super) head: Head,
    /// The first offset of each partition.
    pub(super) base: i64,
    pub(super) instances: usize,
    pub(super) has_rebuild: bool,
    /// The rebuild starts from an instance's state.
    pub(super) from_state: bool,
    /// A dead rebuild is not called again.
    pub(super) rebuild_stays_dead: bool,
    /// An instance that dies in the end stays away.
    pub(super) one_never_returns: bool,
    /// The index forgets deletes at once.
    pub(super) forgets: bool,
    /// Partitions are added while the run goes on.
    pub(super) adds_partition: bool,
    /// How many events there are before the run, and how many during it.
    pub(super) events: [u64; 2],
    /// How long faults strike.
    pub(super) time: Duration,
    pub(super) deaths: u64,
    /// The index refuses certain documents for good.
    pub(super) rejects: bool,
    /// A foreign write strikes some documents, above every version of ours.
    pub(super) has_foreign: bool,
    /// The index refuses every write from the beginning on, for so long, and later now and then.
    pub(super) refuses_first: Option<Duration>,
    /// The topics are deleted and created again, once.
    pub(super) recreates: bool,
    /// The services pause now and then: only an idle log lets the low watermark reach its end.
    pub(super) has_pauses: bool,
    pub(super) rates: Rates,
}

impl Plan {
    pub(super) fn draw(random: &mut fastrand::Rng, seed: u64) -> Self {
        let head = match random.u32(0..20) {
            0..3 => Head::CutBefore,
            3 => Head::CutBehind,
            4 => Head::CutAhead,
            _ => Head::Whole,
        };
        let has_rebuild = head != Head::CutAhead && random.u32(0..5) < 2;
        let instances = if head != Head::CutAhead && random.bool() { 2 } else { 1 };
        let forgets = random.u32(0..4) == 0;
        let base = match head {
            Head::CutBefore => *random.choice(&[1, 40, 3_000]).unwrap(),
            _ => 0,
        };
        // A random number of its own is drawn from, so that a seed's other draws stay as they were.
        let mut aside = fastrand::Rng::with_seed(!seed);
        let poison = if aside.u32(0..4) == 0 { aside.u64(20..300) } else { 0 };
        let refuses_first = (aside.u32(0..4) == 0).then(|| Duration::from_millis(aside.u64(500..15_000)));
        let has_pauses = aside.u32(0..3) == 0;
        // A backfill of few documents is through while every write is still refused.
        let few = (refuses_first.is_some() && has_pauses).then(|| aside.u64(1..9));
        let recreates = aside.u32(0..6) == 0 && head == Head::Whole && !has_rebuild;
        // A rebuild that meets a document which is refused asks its operator.
        let rejects = aside.u32(0..4) == 0 && !has_rebuild;
        let has_foreign = aside.u32(0..4) == 0;
        // Two that join beside the one that writes.
        let instances = if instances == 2 && aside.u32(0..3) == 0 { 3 } else { instances };
        Self {
            organisations: random.u64(3..13),
            contacts: random.u64(5..31),
            partitions: [random.i32(1..3), random.i32(1..3)],
            is_sequenced: random.u32(0..3) > 0,
            head,
            base,
            instances,
            has_rebuild,
            from_state: head == Head::CutBehind || random.bool(),
            rebuild_stays_dead: random.u32(0..4) == 0,
            one_never_returns: random.u32(0..3) == 0,
            forgets,
            adds_partition: random.u32(0..4) == 0,
            events: [few.unwrap_or_else(|| random.u64(0..60)), random.u64(20..160)],
            time: Duration::from_secs(random.u64(5..if has_rebuild { 40 } else { 25 })),
            deaths: random.u64(0..6),
            rejects,
            has_foreign,
            refuses_first,
            has_pauses,
            recreates,
            rates: Rates { poison, ..Rates::draw(random, forgets || recreates) },
        }
    }

    /// How many partitions the topic of an entity type has at the beginning.
    pub(super) fn partitions_of(&self, number: usize) -> i32 {
        self.partitions[number % self.partitions.len()]
    }
}

impl Rates {
    fn draw(random: &mut fastrand::Rng, nothing_late: bool) -> Self {
        let mut rate = |most: u64| if random.bool() { random.u64(0..most) } else { 0 };
        Self {
            lost: rate(200),
            unanswered: rate(200),
            // A late write after a forgotten delete brings its document back, from any sender. A document of the
            // deleted topics has a higher version than one of the new topics.
            late: if nothing_late { 0 } else { rate(200) },
            refused: rate(250),
            item_refused: rate(250),
            item_unsaid: rate(250),
            commit_lost: rate(300),
            torn: rate(60),
            doubled: rate(150),
            reordered: rate(300),
            poison: 0,
        }
    }
}
