//! Synthetic events.

use crate::cli::Generate;
use crate::config::Config;
use crate::error::Result;

/// Generates.
pub fn run(_: &Generate, _: &Config) -> Result<()> {
    Ok(())
}
