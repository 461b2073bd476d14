//! The integration tests: one binary, against the real servers that `scripts/services` runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod architecture;
mod browser;
mod cases;
mod cli;
mod command_line;
mod crash;
mod dead_letters;
mod difference;
mod end_to_end;
mod endless;
mod explain;
mod faults;
mod foreign;
mod fuzz;
mod harness;
mod instances;
mod licences;
mod mapping_change;
mod monitoring;
mod numbers;
mod odd_values;
mod outage;
mod page;
mod paging;
mod partial_log;
mod privileges;
mod property;
mod recreated;
mod reference;
mod refused_fill;
mod reindex;
mod reindex_edges;
mod scene;
mod search;
mod security;
mod services;
mod serving;
mod sink;
mod standby;
mod state_copy;
mod state_faults;
mod tamper;
mod verify;
