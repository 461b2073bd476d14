//! A connection to an instance that is kept, and the figures on the times of its answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

pub struct Client {
    reader: BufReader<TcpStream>,
    address: String,
}

impl Client {
    pub fn connect(address: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{address} does not answer: {error}");
        let stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self { reader: BufReader::new(stream), address: address.to_owned() })
    }

    /// The JSON of an answer that is no error.
    pub fn get(&mut self, path: &str) -> Result<Value, String> {
        let (code, body) = self.ask(path)?;
        if code != 200 {
            return Err(format!("{path}: {code} {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))
    }

    /// The status and the body. A connection that was idle for long may be closed: a new one is made then.
    pub fn ask(&mut self, path: &str) -> Result<(u16, Vec<u8>), String> {
        if let Ok(answer) = self.exchange(path) {
            return Ok(answer);
        }
        *self = Self::connect(&self.address)?;
        self.exchange(path).map_err(|error| format!("{}{path}: {error}", self.address))
    }

    /// Asks, and leaves the answer alone; the question stands for as long as the connection lives.
    pub fn begin(mut self, path: &str) -> Result<TcpStream, String> {
        self.send(path).map_err(|error| error.to_string())?;
        Ok(self.reader.into_inner())
    }

    fn send(&mut self, path: &str) -> std::io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.reader.get_mut().write_all(request.as_bytes())
    }

    fn exchange(&mut self, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
        self.send(path)?;
        let (mut first, mut length) = (String::new(), 0);
        if self.reader.read_line(&mut first)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        let code = first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Ok((code, body))
    }
}

/// Of times in the order of their length, in milliseconds.
pub fn percentile(sorted: &[Duration], part: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}
