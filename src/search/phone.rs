//! The phone numbers that a term of a query may mean.

/// How a phone number is looked up: documents hold its digits in reverse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phone {
    /// Digits in reverse; a number that ends in them matches.
    pub endings: Vec<String>,
    /// Whole numbers in reverse: a number stored without the country code that was asked for.
    pub whole: Vec<String>,
}

impl Phone {
    /// True when the reversed digits of a stored number match.
    pub fn matches(&self, reversed: &str) -> bool {
        self.endings.iter().any(|ending| reversed.starts_with(ending.as_str()))
            || self.whole.iter().any(|whole| whole == reversed)
    }

    /// True when no number is looked for.
    pub fn is_empty(&self) -> bool {
        self.endings.is_empty() && self.whole.is_empty()
    }

    /// Looks for the numbers of another one as well.
    pub(super) fn add(&mut self, other: Phone) {
        self.endings.extend(other.endings);
        self.whole.extend(other.whole);
    }

    /// Leaves out each ending that a shorter one covers.
    pub(super) fn reduce(&mut self) {
        self.endings.sort();
        self.endings.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        self.whole.sort();
        self.whole.dedup();
    }
}
