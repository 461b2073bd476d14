//! The budget of one evaluation. Every value that is made, copied, visited or compared is charged for, by its size.
//!
//! A program's result must depend on its input alone, so that the budget counts steps and never time.

use std::cell::Cell;

/// The units of one evaluation. A unit is a step, or the making of 16 bytes. An evaluation therefore allocates less
/// than about 256 MiB in all, and ends within a second or two.
pub(super) const UNITS: u64 = 8 << 20;
/// The stack that an evaluation may use.
const STACK_BYTES_MAX: usize = 96 << 20;
/// The stack of a thread that compiles and evaluates: values and iterators are dropped below the deepest evaluation.
pub(super) const THREAD_STACK_BYTES: usize = 256 << 20;

/// The reason for which an evaluation was given up. It is thrown through the library, which cannot be told to stop.
pub(super) struct Exhaustion(pub(super) &'static str);

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static BASE: Cell<usize> = const { Cell::new(0) };
}

/// Begins an evaluation on this thread that may take so many units.
pub(super) fn begin(units: u64) {
    LEFT.set(units);
    BASE.set(here());
}

/// An address on the stack.
fn here() -> usize {
    let probe = 0_u8;
    std::ptr::from_ref(&probe).addr()
}

/// Charges for some units, and gives up an evaluation that has none left or is too deep.
pub(super) fn charge(units: u64) {
    let Some(remainder) = LEFT.get().checked_sub(units) else {
        give_up("it takes too many steps or too much memory")
    };
    LEFT.set(remainder);
    if BASE.get().abs_diff(here()) > STACK_BYTES_MAX {
        give_up("it nests too deep");
    }
}

/// Charges for a step and so many bytes.
pub(super) fn charge_bytes(bytes: usize) {
    charge(1 + bytes as u64 / 16);
}

/// Gives up. A panic would be told on the standard error; this is none.
pub(super) fn give_up(reason: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(Exhaustion(reason)))
}
