//! Real faults between real servers. After a kill, a cut, a full disk or a move, the documents end as the plain
//! reference has them. An operator does no more than start a program again. `TRIBUTARY_TEST_ROUNDS` asks for more
//! rounds, `TRIBUTARY_TEST_FAULT` for those of one name; with `--nocapture` the table is shown.

pub mod proxy;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Running, World};
use crate::services::{self, Services};
use crate::tamper::{Act, HIGH, tamper};

use self::proxy::{Mode, Proxy};
use self::stage::{Measurements, PART, Stage, Starter, mix};

/// One fault, as it strikes a stage whose instance is up to date.
type Fault<'a> = &'a mut dyn FnMut(&mut Stage);

struct Table {
    seed: u64,
    rounds: u64,
    rows: Vec<(String, Measurements)>,
}

impl Table {
    fn new() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seed = number("TRIBUTARY_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        println!("seed: set TRIBUTARY_TEST_SEED={seed} for this run again");
        Self { seed, rounds: number("TRIBUTARY_TEST_ROUNDS").unwrap_or(1), rows: Vec::new() }
    }

    fn row(&mut self, name: &str, servers: &Services, seen: &Services, fault: Fault<'_>) {
        let only = std::env::var("TRIBUTARY_TEST_FAULT").unwrap_or_default();
        for round in (0..self.rounds).filter(|_| name.contains(&only)) {
            let mut stage = Stage::new(servers, seen, mix(self.seed, round));
            stage.produce();
            stage.start();
            stage.converge();
            fault(&mut stage);
            self.rows.push((name.to_owned(), stage.measure()));
        }
    }

    /// Shows the measurements, and demands that nothing is lost or wrong.
    fn end(self) {
        println!("{:44} {:>5} {:>6} {:>9} {:>13}", "fault", "lost", "wrong", "restarts", "caught up (s)");
        for (name, at) in &self.rows {
            let seconds = at.caught_up.as_secs_f64();
            println!("{name:44} {:>5} {:>6} {:>9} {seconds:>13.1}", at.lost, at.wrong, at.restarts);
        }
        let harmed: Vec<_> = self.rows.iter().filter(|(_, at)| at.lost + at.wrong > 0).collect();
        assert!(harmed.is_empty(), "{:?}", harmed.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
}

/// Takes one document away, changes one, and makes one up.
fn meddle(world: &World) {
    let first = |projection: &str| world.documents(projection).into_iter().next().unwrap();
    tamper(world, "contacts", &[(first("contacts").0, Act::Delete)]);
    let (id, mut changed) = first("organisations");
    changed["name"] = json!("another name");
    tamper(world, "organisations", &[(id, Act::Put(HIGH, changed))]);
    tamper(world, "hierarchy", &[("nobody".to_owned(), Act::Put(1, json!({"id": "nobody"})))]);
}

#[test]
fn a_document_that_is_lost_changed_or_made_up_fails_the_table() {
    let (servers, _turn) = services::whole();
    let mut table = Table::new();
    let mut stage = Stage::new(&servers, &servers, table.seed);
    stage.start();
    let measured = stage.measure_after(meddle);
    assert_eq!((measured.lost, measured.wrong), (1, 2));
    table.rows.push(("somebody meddles with the index".to_owned(), measured));
    assert!(catch_unwind(AssertUnwindSafe(|| table.end())).is_err(), "it was let pass");
}

#[test]
fn whatever_is_killed_the_documents_are_those_of_the_reference() {
    let (servers, _turn) = services::alone();
    let mut table = Table::new();
    table.row("SIGKILL of Tributary, five times", &servers, &servers, &mut |stage| {
        for number in 0..5 {
            stage.produce();
            let wanted = mix(stage.id().into(), number) % PART;
            // Whether it starts, folds or delivers then is left to chance.
            stage
                .until("some records are folded", |stage| (stage.counter("records") >= wanted).then_some(()));
            stage.running.take().unwrap().kill();
            stage.restarts += 1;
            stage.start();
        }
    });
    let both = ["elasticsearch", "kafka"];
    for killed in [&both[..1], &both[1..], &both[..]] {
        let name = format!("SIGKILL of {}", killed.join(" and "));
        table.row(&name, &servers, &servers, &mut |stage| {
            for server in killed {
                stage.produce();
                services::control("kill", server);
            }
            if !killed.contains(&"kafka") {
                stage.produce();
            }
            killed.iter().for_each(|server| services::control("start", server));
        });
    }
    let proxy = Proxy::plain(&servers.elasticsearch);
    let seen = Services { elasticsearch: format!("http://127.0.0.1:{}", proxy.port), ..servers.clone() };
    table.row("SIGKILL of Tributary while Elasticsearch is away", &servers, &seen, &mut |stage| {
        proxy.set(Mode::Cut);
        stage.produce();
        stage.keep();
        stage.running.take().unwrap().kill();
        proxy.set(Mode::Pass);
        stage.restarts += 1;
        stage.start();
    });
    table.end();
}

#[test]
fn whatever_a_connection_does_the_documents_are_those_of_the_reference() {
    let (servers, _turn) = services::whole();
    let mut table = Table::new();
    let modes = [
        (Mode::Cut, "is cut"),
        (Mode::Delay(150), "is delayed by 150 ms"),
        (Mode::HalfRequests, "ends amid requests"),
        (Mode::HalfAnswers, "ends amid answers"),
        (Mode::NoAnswers, "ends before answers"),
    ];
    for (mode, what) in modes {
        let proxy = Proxy::plain(&servers.elasticsearch);
        let seen = Services { elasticsearch: format!("http://127.0.0.1:{}", proxy.port), ..servers.clone() };
        table.row(&format!("Elasticsearch's connection {what}"), &servers, &seen, &mut |stage| {
            disturb(stage, &proxy, mode);
        });
        let proxy = Proxy::kafka(&servers.kafka);
        let seen = Services { kafka: format!("127.0.0.1:{}", proxy.port), ..servers.clone() };
        table.row(&format!("Kafka's connection {what}"), &servers, &seen, &mut |stage| {
            assert!(proxy.renamed() > 0, "the broker was found by another way");
            disturb(stage, &proxy, mode);
        });
    }
    table.end();
}

/// Disturbs the connections until that was felt a few times.
fn disturb(stage: &mut Stage, proxy: &Proxy, mode: Mode) {
    let before = proxy.set(mode);
    stage.produce();
    stage.until("the fault is felt", |_| (proxy.hits() >= before + 6).then_some(()));
    proxy.set(Mode::Pass);
}

/// A file system of a few megabytes on a folder, for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing may be mounted.
    fn on(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(folder);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(folder.to_owned()))
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        while std::io::Write::write_all(&mut file, &[1]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Starts the program by a shell, after `before`.
fn by_shell(before: String) -> Starter {
    Box::new(move |world| {
        let inner = world.command(&["run"]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(world.folder.path());
        let child = command.stdout(Stdio::null()).stderr(world.log_file()).spawn().unwrap();
        Running(child, Some(world.log_file()))
    })
}

/// Waits until the instance ended and was started again so often, and its log says why.
fn stops(stage: &mut Stage, times: usize, why: &str) {
    let wanted = stage.restarts + times;
    stage.until("the instance stops", |stage| (stage.restarts >= wanted).then_some(()));
    let log = stage.world.log();
    assert!(log.contains(why), "{log}");
}

#[test]
fn whatever_the_machine_lacks_the_documents_are_those_of_the_reference() {
    let (servers, _turn) = services::whole();
    let mut table = Table::new();
    let mut disk = None;
    table.row("the disk is full", &servers, &servers, &mut |stage| {
        stage.running.take().unwrap().kill();
        drop(disk.take());
        std::fs::remove_dir_all(stage.world.path("state")).unwrap();
        match SmallDisk::on(&stage.world.path("state")) {
            Some(small) => {
                stage.start();
                stage.converge();
                small.fill();
                stage.produce();
                stops(stage, 2, "No space left");
                std::fs::remove_file(small.0.join("filler")).unwrap();
                disk = Some(small);
            }
            None => {
                // No file may become as large as a journal is from its beginning.
                stage.wrapped = Some(by_shell("trap '' XFSZ; ulimit -f 2048".to_owned()));
                stage.start();
                stops(stage, 2, "File too large");
                stage.wrapped = None;
            }
        }
    });
    table.row("a limit of 12 files from the start", &servers, &servers, &mut |stage| {
        stage.running.take().unwrap().kill();
        stage.wrapped = Some(by_shell("ulimit -n 12".to_owned()));
        stage.start();
        stage.produce();
        stops(stage, 2, "Too many open files");
        stage.wrapped = None;
    });
    let proxy = Proxy::plain(&servers.elasticsearch);
    let seen = Services { elasticsearch: format!("http://127.0.0.1:{}", proxy.port), ..servers.clone() };
    table.row("a limit of 12 files while it runs", &servers, &seen, &mut |stage| {
        let limit = |id: u32, files: &str| {
            let (id, files) = (id.to_string(), format!("--nofile={files}:"));
            assert!(Command::new("prlimit").args(["--pid", &id, &files]).status().unwrap().success());
        };
        let limited = stage.id();
        limit(limited, "12");
        // Its connections end, and it can't make others.
        proxy.set(Mode::Cut);
        stage.produce();
        stage.until("the limit is felt", |stage| {
            let is_felt = stage.world.log().contains("Too many open files");
            (is_felt || stage.restarts > 0).then_some(())
        });
        proxy.set(Mode::Pass);
        if stage.id() == limited {
            limit(limited, "1024");
        }
    });
    table.row("the clock moves by two days, back and forth", &servers, &servers, &mut clock);
    table.end();
}

/// Moves the wall clock of the instance while it runs.
fn clock(stage: &mut Stage) {
    let folder = stage.world.folder.path().to_owned();
    let (shim, offset) = (folder.join("clock.so"), folder.join("offset"));
    std::fs::write(folder.join("clock.c"), CLOCK).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-w", "-o"]).arg(&shim).arg(folder.join("clock.c"));
    assert!(compile.status().unwrap().success(), "the build needs a C compiler, and so does this");
    let set = |days: i64| {
        let file =
            std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&offset).unwrap();
        std::os::unix::fs::FileExt::write_at(&file, &(days * 86_400).to_ne_bytes(), 0).unwrap();
    };
    set(0);
    stage.running.take().unwrap().kill();
    let environment = format!("export LD_PRELOAD='{}' CLOCK_OFFSET='{}'", shim.display(), offset.display());
    stage.wrapped = Some(by_shell(environment));
    stage.start();
    for days in [-2, 2, -1, 0] {
        set(days);
        stage.produce();
        stage.converge();
    }
    // The lines of its log carry its clock.
    let log = stage.world.log();
    let days: std::collections::BTreeSet<&str> = log.lines().filter_map(|line| line.get(..10)).collect();
    assert!(days.len() > 1, "the clock did not move: {days:?}");
    set(2);
    stage.running.take().unwrap().kill();
    stage.start();
    stage.converge();
    set(-2);
}

/// The wall clock, with an offset that a file holds.
const CLOCK: &str = include_str!("clock.c");
