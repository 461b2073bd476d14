//! The TLS faults of failed connections: a server that is away comes back, but waiting does not repair a
//! certificate that does not fit.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use reqwest::{Client, Url};

const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// True when an error, or one beneath it, is an I/O error of this kind.
fn has(error: &(dyn StdError + 'static), kind: io::ErrorKind) -> bool {
    let Some(io) = error.downcast_ref::<io::Error>() else {
        return error.source().is_some_and(|beneath| has(beneath, kind));
    };
    // An I/O error that wraps another is passed over by its own `source`.
    io.kind() == kind || io.get_ref().is_some_and(|wrapped| has(wrapped, kind))
}

/// True when a server answered and the two could not agree on TLS. Causes are an unknown authority, another
/// host's certificate, one that ran out, or no TLS at all on the other side. The TLS library tells all of
/// these, and only these, as data that is invalid.
pub(super) fn is_refused(error: &reqwest::Error) -> bool {
    error.is_connect() && has(error, io::ErrorKind::InvalidData)
}

/// True when a plain request to `url` failed because TLS is spoken there. The probe carries no
/// credentials, so that the certificate need not be checked.
pub(super) async fn is_spoken_at(url: &Url, error: &reqwest::Error) -> bool {
    let is_away = error.is_timeout() || has(error, io::ErrorKind::ConnectionRefused);
    if url.scheme() != "http" || is_away {
        return false;
    }
    let mut url = url.clone();
    let named =
        url.set_scheme("https").and_then(|()| url.set_username("")).and_then(|()| url.set_password(None));
    if named.is_err() {
        return false;
    }
    let probe = Client::builder().danger_accept_invalid_certs(true).timeout(PROBE_TIMEOUT).build();
    let Ok(probe) = probe else { return false };
    probe.get(url).send().await.is_ok()
}
