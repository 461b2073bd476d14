//! The figures that the instance tells, over connections that are kept.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Result;
use crate::client::Client;
use crate::harness::{World, eventually};
use crate::rebuild;
use crate::report::shown;

/// No backlog that is made here takes longer.
const LONG: Duration = Duration::from_secs(300);

/// The instance's counters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    pub documents: u64,
    pub bytes: u64,
    pub records: u64,
}

impl std::ops::Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            documents: self.documents - before.documents,
            bytes: self.bytes - before.bytes,
            records: self.records - before.records,
        }
    }
}

/// The memory that a part took at most, and its room on the disk at its end.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub peak_kilobytes: Option<u64>,
    state_bytes: u64,
}

impl std::fmt::Display for Room {
    /// Two cells of a table, in megabytes.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} | {}",
            shown(self.peak_kilobytes.map(|peak| peak >> 10)),
            self.state_bytes >> 20
        )
    }
}

pub struct Gauge {
    address: String,
    connection: Client,
    process: u32,
    state: PathBuf,
}

impl Gauge {
    pub fn new(world: &World, process: u32) -> Result<Self> {
        let address = eventually("the instance's address", || {
            std::fs::read_to_string(world.path("state/instance")).ok().filter(|text| text.contains(':'))
        });
        let address = address.trim().to_owned();
        Ok(Self { connection: Client::connect(&address)?, address, process, state: world.path("state") })
    }

    /// Another connection to the instance.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.address)
    }

    pub fn counted(&mut self) -> Result<Counters> {
        let status = self.connection.get("/status")?;
        let number = |name: &str| status["counters"][name].as_u64().unwrap_or(0);
        Ok(Counters { documents: number("delivered"), bytes: number("bytes"), records: number("records") })
    }

    /// How many of the records up to these offsets are not in the index, as last noted, and how many documents wait.
    pub fn lag_and_waiting(&mut self, next: &HashMap<(String, i32), i64>) -> Result<(i64, u64)> {
        let status = self.connection.get("/status")?;
        let delivered: HashMap<(String, i32), i64> = status["partitions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|at| {
                let partition = i32::try_from(at["partition"].as_i64()?).ok()?;
                Some(((at["topic"].as_str()?.to_owned(), partition), at["delivered"].as_i64()?))
            })
            .collect();
        let left = next.iter().map(|(at, next)| next - delivered.get(at).copied().unwrap_or(0));
        let waiting = status["documents_waiting"].as_u64().unwrap_or(0);
        Ok((left.filter(|left| *left > 0).sum(), waiting))
    }

    /// Waits until the index has all of this.
    pub fn wait_for(&mut self, next: &HashMap<(String, i32), i64>) -> Result<()> {
        let tokens: Vec<String> = next
            .iter()
            .map(|((topic, partition), next)| format!("{topic}/{partition}:{}", next - 1))
            .collect();
        let until = Instant::now() + LONG;
        while Instant::now() < until {
            let path = format!("/search?size=1&timeout=30s&consistent_with={}", tokens.join(","));
            let (code, answer) = self.connection.ask(&path)?;
            match code {
                200 => return Ok(()),
                503 => {}
                _ => return Err(format!("{path}: {code} {}", String::from_utf8_lossy(&answer))),
            }
        }
        Err("the instance did not deliver what was produced; look at its log".to_owned())
    }

    /// Has the instance note its deliveries at once, for as long as this lives: a search waits for a record that
    /// never comes.
    pub fn watching(&self) -> Result<TcpStream> {
        let mut client = self.client()?;
        let status = client.get("/status")?;
        let at = &status["partitions"][0];
        let (topic, partition) = (at["topic"].as_str().unwrap_or_default(), &at["partition"]);
        client.begin(&format!(
            "/search?size=1&timeout=60s&consistent_with={topic}/{partition}:{}",
            i64::MAX - 1
        ))
    }

    /// The processor time of the instance so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        rebuild::cpu_seconds(&self.process.to_string()).unwrap_or(0.0)
    }

    /// The memory that the instance holds now, in kilobytes.
    pub fn resident_kilobytes(&self) -> Option<u64> {
        rebuild::of_status(&self.process.to_string(), "VmRSS:")
    }

    /// Forgets the peak of the memory so far.
    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.process), "5");
    }

    /// The most memory at once since it was forgotten, and the state's size.
    pub fn room(&self) -> Room {
        Room {
            peak_kilobytes: rebuild::peak_kilobytes(&self.process.to_string()),
            state_bytes: rebuild::folder_bytes(&self.state),
        }
    }
}
