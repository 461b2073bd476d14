//! The stream: records are folded into the state, and what they changed is delivered to the index.

mod additions;
pub mod deliver;
pub mod durations;
pub mod fan_out;
pub mod fold;
mod gate;
pub mod hand_over;
pub mod load;
pub mod materialise;
mod pace;
pub(crate) mod planted;
pub mod queue;
pub mod reader;
pub mod readiness;
mod refresh;
pub mod run;
mod serve;
mod sizes;
mod standby;
pub mod start;
pub mod status;
pub mod stream;
pub mod sweep;
mod under_way;
pub mod versions;
mod watch;
pub mod work;
