//! Connections: how many, how long, and how they end.
//!
//! A thread of its own takes the connections, and a further one answers probes. The threads of the program work on
//! the other requests. A probe finds an answer even when all of those are busy.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connections::{ConnectionProgress, Connections, WatchedStream};
use crate::shutdown::Shutdown;

/// So many connections are open at once. A further connection is taken all the same: the one that has stood still
/// for longest is closed for it. So a request to `/healthz`, `/readyz` or `/metrics` finds room.
const CONNECTIONS_MAX: usize = 512;
/// A connection that sends no whole request head in this time is closed, an idle one too.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A connection that takes nothing of its answer in this time is closed.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// After a failed accept (no file is free, mostly) the next is tried after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A head that may be a probe's is looked at again after this time.
const PIECE_PAUSE: Duration = Duration::from_millis(10);
/// So often it is looked at again.
const PIECE_PAUSES_MAX: usize = 50;
/// The routes of probes.
const PROBES: [&[u8]; 3] = [b"/healthz", b"/readyz", b"/metrics"];

/// Serves until a stop is asked for; requests in flight are answered first.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: Shutdown) {
    let (ended, end) = oneshot::channel();
    let workers = Handle::current();
    let taking = move || {
        let served = take_all(listener, router, workers, stop);
        // The receiver is gone when the program ends.
        let _ = ended.send(served);
    };
    let started = std::thread::Builder::new().name("http".to_owned()).spawn(taking);
    let served = match started {
        Ok(_) => end.await.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP server cannot run; check the limits of threads and open files");
    }
}

/// Takes connections on this thread. `workers` work on requests that are no probes.
fn take_all(listener: TcpListener, router: Router, workers: Handle, stop: Shutdown) -> std::io::Result<()> {
    let probes = Builder::new_multi_thread().worker_threads(1).thread_name("probes").enable_all().build()?;
    let listener = listener.into_std()?;
    probes.block_on(async {
        take_each(TcpListener::from_std(listener)?, router, workers, stop).await;
        Ok(())
    })
}

async fn take_each(listener: TcpListener, router: Router, workers: Handle, stop: Shutdown) {
    let graceful = GracefulShutdown::new();
    let (connections, began) = (Arc::new(Connections::default()), Instant::now());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.wait() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, watcher) = (router.clone(), graceful.watcher());
                let (workers, stop) = (workers.clone(), stop.clone());
                let progress = Arc::new(ConnectionProgress::new(began));
                connections.take(CONNECTIONS_MAX, Arc::clone(&progress), |leaving| {
                    let answering = tokio::spawn(async move {
                        let is_probe = tokio::select! {
                            is_probe = tokio::time::timeout(HEAD_TIME, asks_probe(&stream)) => is_probe,
                            () = stop.wait() => return,
                        };
                        match is_probe {
                            Ok(Some(true)) => answer(stream, router, progress, (watcher, false)).await,
                            Ok(Some(false)) => hand_over(stream, router, progress, watcher, &workers).await,
                            // It has sent nothing, and is closed.
                            Ok(None) | Err(_) => {}
                        }
                        drop(leaving);
                    });
                    answering.abort_handle()
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Whether the first request of a connection is a probe; `None` when the connection ends before it. A head that comes in
/// pieces is waited for a moment, as long as it may be one.
async fn asks_probe(stream: &TcpStream) -> Option<bool> {
    let (mut head, mut pauses) = ([0; 32], 0);
    loop {
        let length = stream.peek(&mut head).await.ok().filter(|length| *length > 0)?;
        let head = head.get(..length).unwrap_or_default();
        if pauses == PIECE_PAUSES_MAX || !may_become_probe(head) {
            return Some(is_probe(head));
        }
        pauses += 1;
        tokio::time::sleep(PIECE_PAUSE).await;
    }
}

/// Whether a head is the beginning of one that asks a probe, and does not say so yet.
fn may_become_probe(head: &[u8]) -> bool {
    let heads = [b"GET ".as_slice(), b"HEAD "];
    let mut probes =
        heads.iter().flat_map(|method| PROBES.iter().map(move |probe| [*method, *probe].concat()));
    probes.any(|whole| whole.starts_with(head))
}

fn is_probe(head: &[u8]) -> bool {
    let path = head.strip_prefix(b"GET ").or_else(|| head.strip_prefix(b"HEAD "));
    let ends = |rest: &[u8]| matches!(rest.first(), Some(b' ' | b'?'));
    path.is_some_and(|path| PROBES.iter().any(|probe| path.strip_prefix(*probe).is_some_and(ends)))
}

/// A task that is aborted when its handle is dropped.
struct TaskGuard(JoinHandle<()>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Has the workers answer a connection, and waits for its end.
async fn hand_over(
    stream: TcpStream,
    router: Router,
    progress: Arc<ConnectionProgress>,
    watcher: Watcher,
    workers: &Handle,
) {
    let Ok(stream) = stream.into_std() else { return };
    let mut following = TaskGuard(workers.spawn(async move {
        if let Ok(stream) = TcpStream::from_std(stream) {
            answer(stream, router, progress, (watcher, true)).await;
        }
    }));
    // One that was broken off is closed.
    let _ = (&mut following.0).await;
}

/// Answers the requests of one connection; one request when it is not to be kept, so that nothing but probes comes by it.
async fn answer(
    stream: TcpStream,
    router: Router,
    progress: Arc<ConnectionProgress>,
    (watcher, is_kept): (Watcher, bool),
) {
    // Small answers go out at once; a connection without this serves as well.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(WatchedStream::new(stream, Arc::clone(&progress), WRITE_TIME));
    let router = TowerToHyperService::new(router);
    let worked = service_fn(move |request: Request<Incoming>| {
        let (working, answered) = (progress.work(), router.call(request));
        async move {
            let answer = answered.await;
            drop(working);
            answer
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).keep_alive(is_kept);
    // A client that breaks off is its own affair.
    let _ = watcher.watch(builder.serve_connection(stream, worked)).await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use axum::routing::get;

    use super::*;

    fn ask(address: std::net::SocketAddr, path: &str) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // In one piece.
        stream.write_all(head_of(path).as_bytes()).unwrap();
        stream
    }

    fn head_of(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    }

    fn answer_of(mut stream: std::net::TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn probes_are_answered_while_every_worker_is_busy() {
        let workers = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ((busy, is_busy), (release, released)) = (channel::<()>(), channel::<()>());
        let (busy, released) = (Arc::new(Mutex::new(busy)), Arc::new(Mutex::new(released)));
        let hold = move || {
            let (busy, released) = (Arc::clone(&busy), Arc::clone(&released));
            async move {
                busy.lock().unwrap().send(()).unwrap();
                // The thread does nothing else meanwhile.
                let waited = std::thread::spawn(move || released.lock().unwrap().recv()).join();
                format!("{}", waited.is_ok())
            }
        };
        let router = PROBES.iter().fold(Router::new(), |router, probe| {
            router.route(std::str::from_utf8(probe).unwrap(), get(|| async { "ok" }))
        });
        let router = router.route("/hold", get(hold)).route("/", get(|| async { "page" }));
        let listener = workers.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Shutdown::default());
        let server = workers.spawn(serve(listener, router, stop.clone()));
        let connections: Vec<_> = (0..2).map(|_| ask(address, "/hold")).collect();
        connections.iter().for_each(|_| is_busy.recv().unwrap());
        let waiting = ask(address, "/");
        for probe in ["/healthz", "/readyz", "/metrics?x=1"] {
            assert!(answer_of(ask(address, probe)).ends_with("ok"), "{probe}");
        }
        connections.iter().for_each(|_| release.send(()).unwrap());
        assert!(answer_of(waiting).ends_with("page"));
        connections.into_iter().for_each(|stream| assert!(answer_of(stream).ends_with("true")));
        // One that has sent nothing keeps no stop waiting.
        let _idle = std::net::TcpStream::connect(address).unwrap();
        stop.request();
        workers.block_on(server).unwrap();
    }

    #[tokio::test]
    async fn a_probe_whose_head_comes_in_pieces_is_one() {
        use tokio::io::AsyncWriteExt as _;

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        client.write_all(b"GE").await.unwrap();
        stream.readable().await.unwrap();
        let rest = async { client.write_all(b"T /healthz HTTP/1.1").await.unwrap() };
        let (is_probe, ()) = tokio::join!(asks_probe(&stream), rest);
        assert_eq!(is_probe, Some(true));
    }

    #[test]
    fn a_connection_of_a_probe_takes_no_other_request() {
        for (head, expected) in [
            ("GET /healthz HTTP/1.1", true),
            ("HEAD /readyz?a HTTP/1.1", true),
            ("GET /metrics", false),
            ("GET /metricsx HTTP/1.1", false),
            ("POST /healthz HTTP/1.1", false),
            ("GET / HTTP/1.1", false),
        ] {
            assert_eq!(is_probe(head.as_bytes()), expected, "{head}");
            assert!(!may_become_probe(head.as_bytes()) || head == "GET /metrics", "{head}");
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router =
            Router::new().route("/healthz", get(|| async { "ok" })).route("/", get(|| async { "page" }));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Shutdown::default());
        let server = runtime.spawn(serve(listener, router, stop.clone()));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all((head("/healthz") + &head("/")).as_bytes()).unwrap();
        let answer = answer_of(stream);
        assert!(answer.to_lowercase().contains("connection: close") && !answer.contains("page"), "{answer}");
        stop.request();
        runtime.block_on(server).unwrap();
    }
}
