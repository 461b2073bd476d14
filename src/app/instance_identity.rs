//! The marks by which an instance is known: its claim to the indexes, its address, and its files beside the state.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::ADMIN_CLOSED;
use crate::private_files;
use crate::sink::claimant::Claimant;
use crate::sink::tenure::StateName;

/// The file of a state's folder that says which entity types and formats a running instance has.
pub(super) const FINGERPRINT: &str = "fingerprint";

/// Who is to write. Files have no coordinator that lets one instance of a group write: the state is named as well.
pub(super) fn claimant(
    config: &Config,
    takes_over: bool,
    name: impl FnOnce() -> Result<String>,
) -> Result<Claimant> {
    let state = if config.source.kind.is_coordinated {
        None
    } else {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let folder = std::fs::canonicalize(&config.state)
            .or_else(|_| std::path::absolute(&config.state))
            .unwrap_or_else(|_| config.state.clone());
        let place = format!("{}:{}", host.trim(), folder.display());
        Some(StateName { id: name()?, place })
    };
    Ok(Claimant { group: config.kafka.group.clone(), state, takes_over })
}

/// Takes the configured address. A run to the end is a batch job: it goes on without a server when
/// another instance has the address.
pub(super) async fn listen(address: &str, may_do_without: bool) -> Result<Option<TcpListener>> {
    let outcome = match split_scope(address) {
        Some(host_and_port) => TcpListener::bind(host_and_port).await,
        None => TcpListener::bind(address).await,
    };
    match outcome {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if may_do_without => {
            tracing::warn!(
                http.listen = address,
                %error,
                "the address cannot be listened on; this run goes on without an HTTP server"
            );
            Ok(None)
        }
        Err(error) => Err(Error::usage(format!(
            "http.listen: {address} cannot be listened on; free it, or set another"
        ))
        .because(error)),
    }
}

/// The host and the port of an address with a scope. The resolver takes the name of an interface without brackets only.
fn split_scope(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.strip_prefix('[')?.rsplit_once("]:")?;
    let port = port.parse().ok()?;
    host.contains('%').then_some((host, port))
}

/// True when others than this machine reach the administrative routes, and no token says who may use them.
pub(super) fn is_closed(config: &Config, address: Option<SocketAddr>) -> bool {
    let is_open = address.is_none_or(|address| address.ip().is_loopback()) || config.http.token.is_some();
    if !is_open {
        tracing::warn!(listen = config.http.listen, "{ADMIN_CLOSED}");
    }
    !is_open
}

/// Writes down where this instance answers, for those who find the state in use.
pub(super) fn announce(state: &Path, address: Option<SocketAddr>) -> Result<()> {
    let path = state.join(crate::http::client::INSTANCE);
    let done = match address {
        Some(address) => return write_down(&path, &address.to_string()),
        None if path.exists() => std::fs::remove_file(&path),
        None => Ok(()),
    };
    done.map_err(|error| write_error(&path, error))
}

/// Writes down which entity types and formats this instance has, for those who find the state in use.
pub(super) fn note_fingerprint(state: &Path, fingerprint: &str) -> Result<()> {
    write_down(&state.join(FINGERPRINT), fingerprint)
}

fn write_down(path: &Path, text: &str) -> Result<()> {
    private_files::write(path, text.as_bytes()).map_err(|error| write_error(path, error))
}

fn write_error(path: &Path, error: std::io::Error) -> Error {
    Error::failure(format!("cannot write {}; check the disk", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_scope_is_resolved_without_brackets() {
        assert_eq!(split_scope("[fe80::1%eth0]:8080"), Some(("fe80::1%eth0", 8_080)));
        for address in
            ["[::1]:8080", "127.0.0.1:8080", "localhost:8080", "[fe80::1%eth0]", "fe80::1%eth0:8080"]
        {
            assert_eq!(split_scope(address), None, "{address}");
        }
    }
}
