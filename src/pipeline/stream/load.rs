//! The first fold of a log, as a bulk load.

use super::{First, Stream};
use crate::error::Result;
use crate::pipeline::fold::DecodedRecord;
use crate::pipeline::queue::Priority;
use crate::pipeline::status::Status;
use crate::position::TopicPartition;

impl Stream {
    /// Brings a load to its end before it is through, or gives it up when that would take long.
    pub(super) fn end_load(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.first, First::Done) {
            First::Loading(load) if load.is_short() => {
                let step = self.state_writer.end_load(*load)?;
                self.publish(step, Priority::Direct)
            }
            First::Loading(_) => {
                tracing::warn!("the first fold of the log was broken off; it begins anew");
                Ok(())
            }
            First::Undecided(_) | First::Done => Ok(()),
        }
    }

    /// Takes records into a load while there is one; true when it took them.
    pub(super) fn load(
        &mut self,
        records: &[DecodedRecord],
        skipped: &[(TopicPartition, i64)],
    ) -> Result<bool> {
        if let First::Undecided(end) = &self.first {
            let load = self.state_writer.first_load(end)?;
            self.first = load.map_or(First::Done, |load| First::Loading(Box::new(load)));
        }
        let First::Loading(load) = &mut self.first else { return Ok(false) };
        let poisoned = self.state_writer.load(load, records, skipped)?;
        Status::add(&self.status.records, records.len());
        self.status.signals.note_work(records.len());
        Status::add(&self.status.poisoned, poisoned);
        self.status.set_positions(&load.positions());
        if load.is_through()
            && let First::Loading(load) = std::mem::replace(&mut self.first, First::Done)
        {
            let step = self.state_writer.end_load(*load)?;
            self.publish(step, Priority::Direct)?;
        }
        Ok(true)
    }
}
