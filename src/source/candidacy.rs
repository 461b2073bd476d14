//! When a member of a group asks for the writing. It never takes it from a member that writes. It waits until it has
//! caught up with the log, unless the group had no other member when it came.

use std::time::Duration;

use tokio::time::Instant;

/// A member that comes after another one by its rank waits so much longer: the other one asks first.
const RANK_WAIT: Duration = Duration::from_secs(2);
/// After so long without an answer about the group, a member that has caught up asks without one. The reason is that
/// failover must not depend on brokers that are down.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The writers and members of a group, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupMembers {
    /// The brokers do not say.
    Silent,
    /// A rebalance is under way: the writer is not known.
    Changing,
    /// A member writes.
    Led,
    /// No member writes.
    Leaderless {
        /// How many members there are.
        count: usize,
        /// How many of them ask before this one.
        rank: usize,
    },
}

/// One member's way to the writing.
#[derive(Debug, Default)]
pub(crate) struct Candidacy {
    /// Whether the group had no member when this one came; none before that is known.
    came_first: Option<bool>,
    leaderless: Option<Instant>,
    silent: Option<Instant>,
}

impl Candidacy {
    /// True when the member asks for the writing now.
    pub(crate) fn asks(&mut self, members: GroupMembers, has_caught_up: bool) -> bool {
        let now = Instant::now();
        if members != GroupMembers::Silent {
            self.silent = None;
            let is_empty = matches!(members, GroupMembers::Leaderless { count: 0, .. });
            self.came_first.get_or_insert(is_empty);
        }
        if !matches!(members, GroupMembers::Leaderless { .. }) {
            self.leaderless = None;
        }
        let may = has_caught_up || self.came_first == Some(true);
        match members {
            GroupMembers::Silent => {
                let since = *self.silent.get_or_insert(now);
                has_caught_up && now >= since + SILENCE_MAX
            }
            GroupMembers::Changing | GroupMembers::Led => false,
            GroupMembers::Leaderless { rank, .. } => {
                let since = *self.leaderless.get_or_insert(now);
                may && now >= since + RANK_WAIT.saturating_mul(u32::try_from(rank).unwrap_or(u32::MAX))
            }
        }
    }

    /// The member was the writer, and is not any more: the others may be further than it is.
    pub(crate) fn step_down(&mut self) {
        *self = Self { came_first: Some(false), ..Self::default() };
    }

    /// False until it is known whether the group has members.
    pub(crate) fn knows_group(&self) -> bool {
        self.came_first.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: GroupMembers = GroupMembers::Leaderless { count: 1, rank: 0 };

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_first_asks_at_once_and_a_joiner_only_when_it_has_caught_up() {
        let mut first = Candidacy::default();
        assert!(!first.asks(GroupMembers::Silent, false) && !first.knows_group());
        assert!(first.asks(GroupMembers::Leaderless { count: 0, rank: 0 }, false));
        let mut joiner = Candidacy::default();
        for members in [GroupMembers::Changing, GroupMembers::Led, ALONE] {
            assert!(!joiner.asks(members, false), "{members:?}");
        }
        assert!(!joiner.asks(GroupMembers::Led, true) && !joiner.asks(GroupMembers::Changing, true));
        assert!(joiner.asks(ALONE, true));
        first.step_down();
        assert!(!first.asks(ALONE, false), "it came first, and has written since");
    }

    #[tokio::test(start_paused = true)]
    async fn members_ask_one_after_the_other() {
        let (mut low, mut high) = (Candidacy::default(), Candidacy::default());
        let leaderless = |rank| GroupMembers::Leaderless { count: 2, rank };
        assert!(low.asks(leaderless(0), true) && !high.asks(leaderless(1), true));
        tokio::time::advance(RANK_WAIT / 2).await;
        assert!(!high.asks(GroupMembers::Changing, true));
        tokio::time::advance(RANK_WAIT / 2).await;
        assert!(!high.asks(leaderless(1), true), "a change begins the wait anew");
        tokio::time::advance(RANK_WAIT).await;
        assert!(high.asks(leaderless(1), true));
    }

    #[tokio::test(start_paused = true)]
    async fn brokers_that_say_nothing_for_long_do_not_keep_the_writing_from_being_taken() {
        let mut member = Candidacy::default();
        assert!(!member.asks(GroupMembers::Silent, true));
        tokio::time::advance(SILENCE_MAX).await;
        assert!(!member.asks(GroupMembers::Silent, false) && member.asks(GroupMembers::Silent, true));
    }
}
