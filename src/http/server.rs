//! Connections: how many, how long, and how they end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::shutdown::Shutdown;

/// So many connections are open at once; further ones wait to be taken.
const CONNECTIONS_MAX: usize = 512;
/// A connection that sends no whole request head in this time is closed, an idle one too.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// After a failed accept (no file is free, mostly) the next is tried after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until a stop is asked for; requests under way are answered first.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: Shutdown) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.requested() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let answered = graceful.watch(connection(stream, router.clone()));
                tokio::spawn(async move {
                    // A client that breaks off is its own affair.
                    let _ = answered.await;
                    drop(place);
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

fn connection(
    stream: TcpStream,
    router: Router,
) -> hyper::server::conn::http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Small answers go out at once; a connection without this serves as well.
    let _ = stream.set_nodelay(true);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
