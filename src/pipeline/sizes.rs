//! How large parts are made. In this crate's own tests they are small. A world of some dozen entities is then cut into
//! as many parts as a million is otherwise.

/// `real`, or `small` in tests.
pub(super) const fn sized(real: usize, small: usize) -> usize {
    if cfg!(test) { small } else { real }
}
