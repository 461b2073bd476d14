//! The filling of indexes, until which they lack documents that another index acknowledged.

/// An index with a backfill lacks documents that another index acknowledged, until the backfill is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// Every index holds everything below the low watermark.
    Nothing,
    /// The documents to be sent are being marked.
    Marking,
    /// All is marked, at this step or before.
    Until(u64),
}

impl Filling {
    /// Where it is now: `is_marked` says whether everything is marked by this `step`, and `oldest` since
    /// which step a document waits.
    pub(super) fn at(self, is_marked: bool, step: u64, oldest: Option<u64>) -> Self {
        let until = match self {
            Self::Nothing => None,
            Self::Marking if !is_marked => return self,
            Self::Marking => Some(step),
            Self::Until(until) => Some(until),
        };
        until.filter(|until| oldest.is_some_and(|oldest| oldest <= *until)).map_or(Self::Nothing, Self::Until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_full_once_nothing_waits_that_waited_when_all_was_marked() {
        assert_eq!(Filling::Nothing.at(true, 7, Some(1)), Filling::Nothing);
        assert_eq!(Filling::Marking.at(false, 7, None), Filling::Marking);
        assert_eq!(Filling::Marking.at(true, 7, None), Filling::Nothing);
        let filling = Filling::Marking.at(true, 7, Some(7));
        assert_eq!(filling, Filling::Until(7));
        assert_eq!(filling.at(true, 9, Some(7)), filling);
        assert_eq!(filling.at(true, 9, Some(8)), Filling::Nothing);
    }
}
