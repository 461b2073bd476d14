//! A program in the background of a test.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::Child;
use std::time::{Duration, Instant};

use super::{LONG, kill};

/// A program in the background, with the file of its log; killed when it goes out of scope. The file is open, because
/// the folder of a test that fails may go first.
pub struct Running(pub Child, pub Option<File>);

impl Running {
    /// A program whose log is in no file.
    pub fn without_log(child: Child) -> Self {
        Self(child, None)
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn signal(&self, signal: &str) {
        kill(self.0.id(), signal);
    }

    /// Waits for its end; the exit code.
    pub fn end(&mut self) -> Option<i32> {
        let until = Instant::now() + LONG;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the program did not end");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking()
            && let Some(file) = &mut self.1
        {
            let mut log = String::new();
            let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut log));
            let lines: Vec<&str> = log.lines().collect();
            println!("the end of its log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
