//! The mark of a rule that the simulation breaks, to show that it would see it.

/// True where the simulation plants the bug of this name (`simulation/bugs.rs`). The program has no bug: it is `false` there.
#[cfg(not(test))]
macro_rules! bug {
    ($name:ident) => {
        $crate::pipeline::bug::never()
    };
}

/// A function, because a plain `false` makes rules look as if they were written without need.
#[cfg(not(test))]
pub(super) const fn never() -> bool {
    false
}

#[cfg(test)]
macro_rules! bug {
    ($name:ident) => {
        $crate::simulation::bugs::is_planted($crate::simulation::bugs::Bug::$name)
    };
}
