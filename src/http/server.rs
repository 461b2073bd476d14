//! Connections: how many, how long, and how they end.

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
use tokio::time::Instant;

use super::connections::{Connections, Progress, Watched};
use crate::shutdown::Shutdown;

/// So many connections are open at once. A further one is always taken: the one that has stood still for longest is closed
/// for it, so that whoever asks `/healthz`, `/readyz` or `/metrics` finds room.
const CONNECTIONS_MAX: usize = 512;
/// A connection that sends no whole request head in this time is closed, an idle one too.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A connection that takes nothing of its answer in this time is closed.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// After a failed accept (no file is free, mostly) the next is tried after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until a stop is asked for; requests under way are answered first.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: Shutdown) {
    let graceful = GracefulShutdown::new();
    let (connections, began) = (Arc::new(Connections::default()), Instant::now());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.requested() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, watcher) = (router.clone(), graceful.watcher());
                let progress = Arc::new(Progress::new(began));
                connections.take(CONNECTIONS_MAX, Arc::clone(&progress), |leaving| {
                    let answering = tokio::spawn(async move {
                        answer(stream, router, progress, watcher).await;
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

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, router: Router, progress: Arc<Progress>, watcher: Watcher) {
    // Small answers go out at once; a connection without this serves as well.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&progress), WRITE_TIME));
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
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    // A client that breaks off is its own affair.
    let _ = watcher.watch(builder.serve_connection(stream, worked)).await;
}
