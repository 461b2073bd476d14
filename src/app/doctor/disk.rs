//! Room on the disks, and how many files may be open.

use std::io::Result as IoResult;
use std::path::Path;

use crate::app::check::DISK;
use crate::app::check::findings::Findings;
use crate::config::Config;
use crate::error::Error;
use crate::http::process;

/// Below this a run stops before long: the journal of the state alone takes as much.
const ROOM_MIN: u64 = 128 << 20;
/// Below this the next growth of the log may fill the disk.
const ROOM_DOUBTFUL: u64 = 1 << 30;
/// So many files are enough for 512 connections and a large state.
const FILES: f64 = 4_096.0;

/// Looks at the disks that a run writes, and at the limit of open files.
pub(super) fn look(config: &Config, findings: &mut Findings) {
    room("state", &config.state, findings);
    if !config.index.kind.is_server {
        room("index.path", &config.index.path, findings);
    }
    match process::files_max() {
        Some(files) if files < FILES => findings.note_doubtful(
            DISK,
            format_args!(
                "{files} files may be open; allow {FILES} (`ulimit -n`, or LimitNOFILE= of a systemd unit)"
            ),
        ),
        Some(files) => findings.note_good(DISK, format_args!("{files} files may be open")),
        None => {}
    }
}

fn room(key: &str, path: &Path, findings: &mut Findings) {
    let Some(there) = std::path::absolute(path).ok().and_then(|path| {
        let found = path.ancestors().find(|above| above.is_dir());
        found.map(Path::to_owned)
    }) else {
        return;
    };
    let Ok(disk) = rustix::fs::statvfs(&there) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let used = if there == path || path.is_dir() { size(path).unwrap_or(0) } else { 0 };
    let text = format!("{key}: {} holds {} MiB, and {} MiB are free", path.display(), used >> 20, free >> 20);
    match judge(free, used) {
        Room::Enough => findings.note_good(DISK, text),
        Room::Little => findings.note_doubtful(
            DISK,
            format!(
                "{text}; make room, because a first fold and a copy take as much again, and at least 1 GiB"
            ),
        ),
        Room::None => {
            findings.note_wrong(
                DISK,
                &Error::failure(format!("{text}; make room, because a run stops at a full disk")),
            );
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Room {
    Enough,
    Little,
    None,
}

fn judge(free: u64, used: u64) -> Room {
    match free {
        _ if free < ROOM_MIN => Room::None,
        _ if free < used.max(ROOM_DOUBTFUL) => Room::Little,
        _ => Room::Enough,
    }
}

/// The bytes of the files in a folder.
fn size(folder: &Path) -> IoResult<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_needs_room_for_as_much_again() {
        for (free, used, room) in [
            (10 << 20, 0, Room::None),
            (500 << 20, 0, Room::Little),
            (2 << 30, 3 << 30, Room::Little),
            (2 << 30, 1 << 30, Room::Enough),
        ] {
            assert_eq!(judge(free, used), room, "{free} {used}");
        }
    }
}
