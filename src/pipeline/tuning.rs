//! The sizes of the parts that work is cut into.

/// How large the parts are. A simulated world has smaller ones. Some dozen entities then make as many parts as a million
/// does otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// How many records one step folds, about: an entity touched often is written once.
    pub step_records_max: usize,
    /// How many entities one commit deletes after a truncation.
    pub step_deletes_max: usize,
    /// How many entries one step of the fan-outs looks at.
    pub step_entries_max: usize,
    /// How many tasks one step of the fan-outs takes up.
    pub step_tasks_max: usize,
    /// How many superseded records in a row on one partition are told of.
    pub superseded_run: u32,
    /// How many records a log needs for a bulk load. A log of fewer is folded as it comes.
    pub load_records_min: u64,
    /// How many bytes of entities a bulk load holds, about, before they are put aside.
    pub load_bytes_max: usize,
    /// How many documents of each priority the queue holds at most.
    pub waiting_max: usize,
    /// How many points the queue's history of positions holds. A full history loses every second one.
    pub history_max: usize,
    /// How many dirty documents one part of a scan reads.
    pub scan_documents_max: usize,
    /// How many bytes a second are written of a document that changes all the time.
    pub cooldown_rate: usize,
    /// How many bytes a document with a cool-down has. Smaller documents have none.
    pub cooldown_bytes_min: usize,
    /// How many cool-downs are known. When there are so many, those that are over are forgotten.
    pub cooldowns_max: usize,
    /// How many ids one chunk of a backfill looks at.
    pub chunk_ids_max: usize,
    /// How many documents one request holds at most.
    pub request_documents_max: usize,
    /// How many bytes one request holds at most.
    pub request_bytes_max: usize,
    /// The limit of a request's bytes does not shrink below this, however often the index is overloaded.
    pub request_bytes_min: usize,
    /// The limit for marked documents, in bytes, does not shrink below this, however slow the index is. Less would cost
    /// the index more than it takes.
    pub marked_bytes_min: usize,
}

/// The sizes of the program.
impl Default for Tuning {
    fn default() -> Self {
        Self {
            step_records_max: 6_000,
            step_deletes_max: 6_000,
            step_entries_max: 2_000,
            step_tasks_max: 1_000,
            superseded_run: 1_000,
            load_records_min: 5_000,
            load_bytes_max: 64 << 20,
            waiting_max: 20_000,
            history_max: 4_096,
            scan_documents_max: 5_000,
            cooldown_rate: 256 << 10,
            cooldown_bytes_min: 4 << 10,
            cooldowns_max: 10_000,
            chunk_ids_max: 20_000,
            request_documents_max: 2_000,
            request_bytes_max: 2 << 20,
            request_bytes_min: 128 << 10,
            marked_bytes_min: 512 << 10,
        }
    }
}

#[cfg(test)]
impl Tuning {
    /// The sizes of the simulation and of the unit tests.
    pub(crate) fn small() -> Self {
        Self {
            step_records_max: 30,
            step_deletes_max: 30,
            step_entries_max: 4,
            step_tasks_max: 3,
            superseded_run: 40,
            load_records_min: 80,
            load_bytes_max: 4 << 10,
            waiting_max: 12,
            history_max: 32,
            scan_documents_max: 7,
            cooldown_rate: 64 << 10,
            cooldown_bytes_min: 300,
            cooldowns_max: 20,
            chunk_ids_max: 6,
            request_documents_max: 5,
            request_bytes_max: 2 << 10,
            request_bytes_min: 256,
            marked_bytes_min: 1 << 10,
        }
    }
}
