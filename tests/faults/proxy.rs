//! A connection's middleman that cuts, delays and truncates.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The disturbance of the bytes that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Every connection ends as soon as something passes, and new ones at once.
    Cut,
    /// Each piece comes later by this many milliseconds.
    Delay(u64),
    /// Half of a piece of a request passes, then the connection ends.
    HalfRequests,
    /// The request passes, and half of a piece of its answer.
    HalfAnswers,
    /// The request passes, the answer does not.
    NoAnswers,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

struct ProxyState {
    mode: Mutex<Mode>,
    hits: AtomicU64,
    ended: AtomicBool,
    server: String,
    /// How the server calls itself, and how it is to be called, in its own words.
    names: Option<(Vec<u8>, Vec<u8>)>,
    renamed: AtomicU64,
}

/// Listens on an address of its own for as long as it lives.
pub struct Proxy {
    shared: Arc<ProxyState>,
    pub port: u16,
}

impl Proxy {
    /// Before a server that is asked over HTTP.
    pub fn plain(server: &str) -> Self {
        Self::start(server.trim_start_matches("http://"), |_| None)
    }

    /// Before a broker: it says in its answers where it is to be found, and there this has to stand instead.
    pub fn kafka(server: &str) -> Self {
        let (host, port) = server.split_once(':').unwrap();
        let name = |port: u16| [host.as_bytes(), &u32::from(port).to_be_bytes()].concat();
        let real = name(port.parse().unwrap());
        Self::start(server, move |port| Some((real, name(port))))
    }

    fn start(server: &str, names: impl FnOnce(u16) -> Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(ProxyState {
            mode: Mutex::new(Mode::Pass),
            hits: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            server: server.to_owned(),
            names: names(port),
            renamed: AtomicU64::new(0),
        });
        let proxy = Self { shared: Arc::clone(&shared), port };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                client.ok().and_then(|client| connect(&shared, client));
            }
        });
        proxy
    }

    /// Does this from now on; answers how often something else than passing was done so far.
    pub fn set(&self, mode: Mode) -> u64 {
        *self.shared.mode.lock().unwrap() = mode;
        self.hits()
    }

    /// How often the server called itself by its name, which leads past this.
    pub fn renamed(&self) -> u64 {
        self.shared.renamed.load(Ordering::SeqCst)
    }

    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.set(Mode::Cut);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn connect(shared: &Arc<ProxyState>, client: TcpStream) -> Option<()> {
    if *shared.mode.lock().unwrap() == Mode::Cut {
        shared.hits.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    let server = TcpStream::connect(&shared.server).ok()?;
    let ways =
        [(Way::There, client.try_clone().ok()?, server.try_clone().ok()?), (Way::Back, server, client)];
    for (way, mut from, mut to) in ways {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            while let Some(piece) = read(&shared, way, &mut from) {
                if !pass(&shared, way, &piece, &mut to) {
                    break;
                }
            }
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
    Some(())
}

/// The next piece: the bytes that there are, or a whole frame of a broker's answer with its names replaced.
fn read(shared: &ProxyState, way: Way, from: &mut TcpStream) -> Option<Vec<u8>> {
    let Some((real, ours)) = shared.names.as_ref().filter(|_| way == Way::Back) else {
        let mut piece = vec![0; 64 << 10];
        let length = from.read(&mut piece).ok().filter(|length| *length > 0)?;
        piece.truncate(length);
        return Some(piece);
    };
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame).ok()?;
    let mut at = 0;
    while let Some(found) = frame[at..].windows(real.len()).position(|bytes| bytes == real) {
        frame[at + found..][..ours.len()].copy_from_slice(ours);
        at += found + ours.len();
        shared.renamed.fetch_add(1, Ordering::SeqCst);
    }
    Some([&length[..], &frame].concat())
}

/// Hands a piece on; false when the connection ends with it.
fn pass(shared: &ProxyState, way: Way, piece: &[u8], to: &mut TcpStream) -> bool {
    let mode = *shared.mode.lock().unwrap();
    let passes = match (mode, way) {
        (Mode::Pass, _) | (Mode::HalfRequests, Way::Back) => return to.write_all(piece).is_ok(),
        (Mode::HalfAnswers | Mode::NoAnswers, Way::There) => return to.write_all(piece).is_ok(),
        (Mode::Delay(ms), _) => {
            std::thread::park_timeout(Duration::from_millis(ms));
            shared.hits.fetch_add(1, Ordering::SeqCst);
            return to.write_all(piece).is_ok();
        }
        (Mode::Cut, _) | (Mode::NoAnswers, Way::Back) => 0,
        (Mode::HalfRequests, Way::There) | (Mode::HalfAnswers, Way::Back) => piece.len() / 2,
    };
    let _ = to.write_all(&piece[..passes]);
    shared.hits.fetch_add(1, Ordering::SeqCst);
    false
}
