//! Dead letters in a file: one JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::{DeadLetter, DeadLetters, each_once};
use crate::error::{Error, Result};
use crate::private_files;

/// A file of dead letters, appended to by one process.
#[derive(Debug)]
pub struct FileDeadLetters {
    path: PathBuf,
}

impl FileDeadLetters {
    /// The dead letters in `path`; the file is made at the first dead letter.
    ///
    /// # Errors
    /// When the folder can't be made, or a folder is in the file's place.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let what = format!("dead_letters.path: {} is a folder; name a file", path.display());
            return Err(Error::failure(what));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            private_files::create_folder(folder).map_err(|error| {
                Error::failure(format!(
                    "cannot make the dead letters' folder {}; check its path and permissions",
                    folder.display()
                ))
                .because(error)
            })?;
        }
        Ok(Self { path: path.to_owned() })
    }

    fn file_error(&self, what: &str, error: std::io::Error) -> Error {
        Error::failure(format!("cannot {what} the dead letters {}; check the disk", self.path.display()))
            .because(error)
    }

    /// Writes whole lines and waits until they lie on the disk. A line that a crash left torn is
    /// ended first, so that it spoils no other.
    fn write(&self, file: &mut File, letters: &[DeadLetter]) -> std::io::Result<()> {
        let mut lines = Vec::new();
        if self.ends_torn()? {
            lines.push(b'\n');
        }
        for letter in letters {
            serde_json::to_writer(&mut lines, letter)?;
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_data()
    }

    fn ends_torn(&self) -> std::io::Result<bool> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(false);
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last != [b'\n'])
    }
}

impl DeadLetters for FileDeadLetters {
    fn append(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let file = private_files::options().append(true).open(&self.path);
        let mut file = file.map_err(|error| self.file_error("open", error))?;
        self.write(&mut file, letters).map_err(|error| self.file_error("write", error))
    }

    fn list(&mut self) -> Result<Vec<DeadLetter>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.file_error("read", error)),
        };
        let mut letters = Vec::new();
        for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line.map_err(|error| self.file_error("read", error))?;
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(letter) => letters.push(letter),
                // A crash may have torn a line; its record was read again, and written again.
                Err(_) => {
                    let (file, line) = (self.path.display(), number + 1);
                    tracing::warn!(%file, line, "the line is no dead letter and is passed over");
                }
            }
        }
        Ok(each_once(letters))
    }

    fn resolve(&mut self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let mut remainder = self.list()?;
        remainder.retain(|letter| !names.contains(&letter.name()));
        let beside = self.path.with_extension("jsonl.new");
        let replace = || -> std::io::Result<()> {
            let mut file = private_files::create_file(&beside)?;
            for letter in &remainder {
                serde_json::to_writer(&mut file, letter)?;
                file.write_all(b"\n")?;
            }
            file.sync_data()?;
            std::fs::rename(&beside, &self.path)
        };
        replace().map_err(|error| self.file_error("replace", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: i64, reason: &str) -> DeadLetter {
        let mut letter = DeadLetter::from_document("contacts", "x", reason);
        letter.projection = None;
        letter.topic = Some("contacts".to_owned());
        letter.partition = Some(0);
        letter.offset = Some(offset);
        letter
    }

    #[test]
    fn letters_are_listed_once_and_resolved_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/letters.jsonl");
        let mut letters = FileDeadLetters::open(&path).unwrap();
        assert_eq!(letters.list().unwrap(), []);
        letters.append(&[letter(1, "a"), letter(2, "b")]).unwrap();
        letters.append(&[letter(1, "again")]).unwrap();
        let reasons: Vec<String> = letters.list().unwrap().into_iter().map(|letter| letter.reason).collect();
        assert!(
            reasons[0].ends_with("again") && reasons[1].ends_with('b') && reasons.len() == 2,
            "{reasons:?}"
        );
        letters.resolve(&["contacts/0:1".to_owned()]).unwrap();
        let names: Vec<String> = letters.list().unwrap().iter().map(DeadLetter::name).collect();
        assert_eq!(names, ["contacts/0:2"]);
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.jsonl");
        let mut letters = FileDeadLetters::open(&path).unwrap();
        letters.append(&[letter(1, "a")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"topic\":\"con"].concat()).unwrap();
        letters.append(&[letter(2, "b")]).unwrap();
        assert_eq!(letters.list().unwrap().len(), 2);
    }
}
