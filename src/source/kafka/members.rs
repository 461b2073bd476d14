//! The members of a group and the assignment of each, as the brokers describe them.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use crate::source::candidacy::GroupMembers;

/// The state of a group whose members all have their partitions.
const STABLE: &str = "Stable";
/// The states of a group without members.
const WITHOUT_MEMBERS: [&str; 2] = ["Empty", "Dead"];

/// Asks the brokers for the members of `group`. The member that is assigned the first partition of `deciding` writes;
/// `own` are the partitions that the asking member is assigned.
pub(super) fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    (group, deciding): (&str, &str),
    own: Option<&TopicPartitionList>,
    wait: Duration,
) -> GroupMembers {
    let found = match consumer.fetch_group_list(Some(group), wait) {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, group, "the brokers do not describe the group");
            return GroupMembers::Silent;
        }
    };
    let Some(found) = found.groups().iter().find(|found| found.name() == group) else {
        return GroupMembers::Leaderless { count: 0, rank: 0 };
    };
    if WITHOUT_MEMBERS.contains(&found.state()) {
        return GroupMembers::Leaderless { count: 0, rank: 0 };
    }
    if found.state() != STABLE {
        return GroupMembers::Changing;
    }
    let assigned = found.members().iter().map(|member| match member.assignment().unwrap_or_default() {
        [] => Some(Assignment::new()),
        bytes => parse(bytes),
    });
    // An assignment that cannot be read may be the writer's.
    let assigned = assigned.collect::<Option<Vec<_>>>();
    assigned.map_or(GroupMembers::Changing, |assigned| judge(&assigned, deciding, own))
}

/// The partitions of a member: topics and numbers.
type Assignment = Vec<(String, i32)>;

/// Members ask in the order of the partitions that they are assigned; those without any come last, in no order.
fn judge(members: &[Assignment], deciding: &str, own: Option<&TopicPartitionList>) -> GroupMembers {
    let is_deciding = |(topic, partition): &(String, i32)| topic == deciding && *partition == 0;
    if members.iter().flatten().any(is_deciding) {
        return GroupMembers::Led;
    }
    let own = own.map(TopicPartitionList::elements).unwrap_or_default();
    let lowest = own.iter().map(|own| (own.topic().to_owned(), own.partition())).min();
    let is_before = |member: &&Assignment| match (&lowest, member.iter().min()) {
        (Some(own), Some(first)) => first < own,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let mut rank = members.iter().filter(is_before).count();
    if lowest.is_none() {
        let alike = members.iter().filter(|member| member.is_empty()).count();
        rank += fastrand::usize(0..alike.max(1));
    }
    GroupMembers::Leaderless { count: members.len(), rank }
}

/// An assignment as members of type `consumer` write it. It begins with the version (2 bytes). For each topic follow
/// its name (length in 2 bytes) and its partitions (count and numbers in 4 bytes each). All numbers are big-endian.
fn parse(bytes: &[u8]) -> Option<Assignment> {
    let mut input = bytes.get(2..)?;
    let mut assigned = Vec::new();
    for _ in 0..take(&mut input)? {
        let length;
        (length, input) = input.split_first_chunk::<2>()?;
        let name;
        (name, input) = input.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let topic = std::str::from_utf8(name).ok()?;
        for _ in 0..take(&mut input)? {
            assigned.push((topic.to_owned(), take(&mut input)?));
        }
    }
    Some(assigned)
}

fn take(input: &mut &[u8]) -> Option<i32> {
    let (number, rest) = input.split_first_chunk::<4>()?;
    *input = rest;
    Some(i32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_and_what_is_cut_short_is_none() {
        let bytes = [
            &[0, 3, 0, 0, 0, 2][..],
            &[0, 1, b'o', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5],
            &[0, 2, b'c', b's', 0, 0, 0, 1, 0, 0, 0, 7],
            &[255, 255, 255, 255],
        ]
        .concat();
        let assigned = [("o", 0), ("o", 5), ("cs", 7)].map(|(topic, at)| (topic.to_owned(), at));
        assert_eq!(parse(&bytes), Some(assigned.to_vec()));
        assert_eq!(parse(&bytes[..20]), None);
        assert_eq!(parse(&[]), None, "a member that is told nothing");
    }

    #[test]
    fn the_writer_is_who_holds_the_deciding_partition_and_the_others_have_an_order() {
        let assigned =
            |topic: &str, at: &[i32]| at.iter().map(|at| (topic.to_owned(), *at)).collect::<Assignment>();
        let (low, high) = (assigned("c", &[0, 1]), assigned("c", &[2]));
        let writer = assigned("o", &[0, 1, 2]);
        assert_eq!(judge(&[low.clone(), writer], "o", None), GroupMembers::Led);
        let own = |at: &[i32]| {
            let mut list = TopicPartitionList::new();
            at.iter().for_each(|at| _ = list.add_partition("c", *at));
            list
        };
        let both = [low, high, assigned("o", &[1])];
        for (at, rank) in [(&[0, 1][..], 0), (&[2], 1)] {
            assert_eq!(judge(&both, "o", Some(&own(at))), GroupMembers::Leaderless { count: 3, rank });
        }
        let with_none = [assigned("c", &[0]), Vec::new()];
        assert_eq!(judge(&with_none, "o", Some(&own(&[]))), GroupMembers::Leaderless { count: 2, rank: 1 });
    }
}
