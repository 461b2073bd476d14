//! The ways of the program to a machine: the archive, the Debian package, the unit of systemd, the image and the sample
//! stack.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::files::{below, entries, read, root};

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
    output
}

fn text(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).unwrap()
}

/// False where a tool is not installed; the log then says that its part was not tested.
fn is_here(tool: &str) -> bool {
    let is_here = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_here {
        eprintln!("{tool} is not here, and what takes it is not tested");
    }
    is_here
}

/// Makes the release of the program under test.
fn release(out: &Path) {
    let mut command = Command::new("scripts/release");
    command.args(["--program", env!("CARGO_BIN_EXE_tributary"), "--out"]).arg(out).current_dir(root());
    run(command.env("TRIBUTARY_GZIP_LEVEL", "1").env("SOURCE_DATE_EPOCH", "1700000000"));
}

#[test]
fn a_release_is_made_twice_of_the_same_bytes_and_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    release(&first);
    release(&second);
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(second.join("SHA256SUMS")).unwrap());
    run(Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(&first));
    let named = |end: &str| -> Option<PathBuf> {
        let name = sums.split_whitespace().find(|name| name.ends_with(end))?;
        Some(first.join(name))
    };
    run(Command::new("tar").arg("xzf").arg(named(".tar.gz").unwrap()).arg("-C").arg(folder.path()));
    let is_unpacked = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tributary-"))
    };
    let unpacked = entries(folder.path()).into_iter().find(is_unpacked).unwrap();
    for file in ["man/tributary-run.1.gz", "completions/tributary.zsh", "tributary.service", "LICENSE"] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    let version = text(Command::new(unpacked.join("bin/tributary")).arg("--version"));
    assert_eq!(version.trim(), format!("tributary {}", env!("CARGO_PKG_VERSION")));
    let sections = text(Command::new("readelf").arg("-S").arg(unpacked.join("bin/tributary")));
    assert!(!sections.contains(".debug_info"), "it is not stripped");

    let Some(package) = named(".deb") else {
        return eprintln!("cargo-deb is not here: no package is tested");
    };
    let held = text(Command::new("dpkg-deb").arg("-c").arg(&package));
    for file in [
        "/usr/bin/tributary\n",
        "/usr/lib/systemd/system/tributary.service\n",
        "/usr/share/man/man1/tributary.1.gz\n",
        "/usr/share/bash-completion/completions/tributary\n",
        "/etc/tributary/tributary.toml\n",
    ] {
        assert!(held.contains(file), "{file} is not in {held}");
    }
    let field = |name: &str| text(Command::new("dpkg-deb").arg("-f").arg(&package).arg(name));
    assert!(field("Depends").contains("libssl3"), "{}", field("Depends"));
    assert_eq!(
        text(Command::new("dpkg-deb").arg("-I").arg(&package).arg("conffiles")).trim(),
        "/etc/tributary/tributary.toml"
    );
}

#[test]
fn the_configuration_of_the_package_is_a_configuration() {
    let file = root().join("deploy/package/tributary.toml");
    run(Command::new(env!("CARGO_BIN_EXE_tributary")).arg("--config").arg(file).args(["check", "--offline"]));
}

#[test]
fn systemd_takes_the_unit_and_finds_it_closed() {
    let unit = read("deploy/systemd/tributary.service");
    assert!(
        unit.contains("\nRestartPreventExitStatus=2 3\n") && unit.contains("\nStateDirectory=tributary\n")
    );
    if !is_here("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tributary.service");
    fs::write(&file, unit.replace("/usr/bin/tributary", env!("CARGO_BIN_EXE_tributary"))).unwrap();
    let output = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the unit is taken without a warning");
    // The exposure is between 0 and 10; the threshold is given in tenths.
    let judged = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    run(Command::new("systemd-analyze").args(judged).arg(&file));
}

/// The files and folders that the image's build takes from the context.
fn copied() -> Vec<(String, String)> {
    let dockerfile = read("deploy/Dockerfile");
    let copies = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.contains("--from"));
    let pairs = copies.flat_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (to, from) = words.split_last().unwrap();
        from.iter().map(|from| ((*from).to_owned(), (*to).to_owned())).collect::<Vec<_>>()
    });
    pairs.collect()
}

/// The names of the libraries, programs, tests and benchmarks that cargo finds.
fn targets(folder: &Path) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let asked = ["metadata", "--format-version", "1", "--offline", "--locked", "--no-deps"];
    let told: Value =
        serde_json::from_str(&text(Command::new(cargo).args(asked).current_dir(folder))).unwrap();
    let targets = told["packages"][0]["targets"].as_array().unwrap();
    targets.iter().map(|target| format!("{} {}", target["kind"], target["name"])).collect()
}

#[test]
fn the_image_is_built_of_files_that_cargo_can_work_with() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in copied() {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        run(Command::new("cp").arg("-r").arg(root().join(from)).arg(to));
    }
    let dockerfile = read("deploy/Dockerfile");
    assert!(dockerfile.contains("cargo build --release --locked"), "{dockerfile}");
    // A target whose file is missing is left out here, and is an error of a build.
    assert_eq!(targets(folder.path()), targets(root()));
}

#[test]
fn the_image_holds_all_that_the_program_needs_and_less_than_60_mb() {
    let dockerfile = read("deploy/Dockerfile");
    assert!(dockerfile.contains("\nUSER 10001:10001\n") && dockerfile.contains("\nFROM scratch\n"));
    let folder = tempfile::tempdir().unwrap();
    let (program, image) = (folder.path().join("tributary"), folder.path().join("image"));
    run(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_tributary")));
    run(Command::new(root().join("deploy/rootfs")).arg(&program).arg(&image));
    let bytes: u64 = below(&image).iter().map(|file| fs::symlink_metadata(file).unwrap().len()).sum();
    // The program of a release has about 35 MB; that of the tests is larger.
    let beside = bytes - fs::metadata(&program).unwrap().len();
    assert!(beside < 20_000_000, "{beside} bytes beside the program");
    let mut alone = Command::new("chroot");
    alone.arg("--userspec=10001:10001").arg(&image).arg("/usr/bin/tributary");
    if Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        return eprintln!("only root can enter the image");
    }
    let shown = text(alone.args(["--state", "/data/state", "check", "--offline"]));
    assert!(shown.contains("# configuration and mappings: good"), "{shown}");
}

#[test]
fn the_sample_stack_mounts_files_that_there_are() {
    let stack = read("docker-compose.yml");
    let mounted: Vec<&str> = stack
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(":ro")?.split(':').next())
        .collect();
    assert!(mounted.len() >= 5, "{mounted:?}");
    for file in mounted {
        assert!(root().join(file).is_file(), "{file}");
    }
    for engine in ["elasticsearch", "opensearch"] {
        let section = stack.split(&format!("\n  {engine}:\n")).nth(1).unwrap().split("\n\n").next().unwrap();
        assert!(
            section.contains(&format!("profiles: [{engine}]")) && section.contains("aliases: [index]"),
            "{section}"
        );
    }
    // The dashboard asks for a source of data by its kind, and the stack provides one.
    assert!(read("docs/monitoring/dashboard.json").contains("\"type\": \"datasource\""));
    assert!(read("deploy/stack/grafana/datasources.yml").contains("type: prometheus"));
    assert!(read("deploy/stack/prometheus.yml").contains("job_name: tributary"), "the alerts name this job");
}
