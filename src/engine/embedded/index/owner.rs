//! Owners: the position of a word says whether it is the document's own or that of one of its members.

/// The owner of the words of the document's own fields; its members follow.
pub const OWN: u32 = 0;
/// So many positions, as a power of two, are an owner's. Further words of it are found, and stand side by side with none.
pub(super) const OWNER_BITS: u32 = 12;
/// The last position of an owner, and the mask of all of them.
pub(super) const LAST: u32 = (1 << OWNER_BITS) - 1;

/// Whose word stands at a position.
pub fn owner_at(position: u32) -> u32 {
    position >> OWNER_BITS
}

/// The position of an owner's word after `before` others.
pub(super) fn position(owner: u32, before: u32) -> u32 {
    let owner = owner.min(u32::MAX >> OWNER_BITS);
    owner << OWNER_BITS | before.min(LAST)
}
