//! Settings that work and that others than the operator could use.

use crate::app::check::findings::Findings;
use crate::app::check::{CONFIGURATION, HTTP};
use crate::config::{Config, IndexKind};
use crate::http::ADMIN_CLOSED;

/// Looks at the address that is listened on, and at credentials that go over plain HTTP.
pub(super) fn look(config: &Config, findings: &mut Findings) {
    if !findings.is_any_wrong(&[HTTP]) {
        match is_of_this_machine(&config.http.listen) || config.http.token.is_some() {
            true => findings.good(HTTP, format_args!("{} can be listened on", config.http.listen)),
            false => findings.doubtful(HTTP, format_args!("http.listen: {ADMIN_CLOSED}")),
        }
    }
    let index = &config.index;
    let has_secret = index.password.is_some() || index.api_key.is_some();
    let is_server = index.kind != IndexKind::Embedded;
    if is_server && has_secret && index.urls.iter().any(|url| is_plain(url)) {
        findings.doubtful(CONFIGURATION, of_plain("index.url"));
    }
    let registry = config.schema_registry.as_ref();
    if registry.is_some_and(|registry| registry.password.is_some() && is_plain(&registry.url)) {
        findings.doubtful(CONFIGURATION, of_plain("schema_registry.url"));
    }
}

fn of_plain(key: &str) -> String {
    format!("{key}: the credentials go over the network without TLS; use an address with https://")
}

/// True of plain HTTP to another machine.
fn is_plain(url: &str) -> bool {
    let rest = url.strip_prefix("http://");
    let host = rest.map(|rest| rest.rsplit('@').next().unwrap_or(rest));
    host.is_some_and(|host| !is_of_this_machine(host.split('/').next().unwrap_or(host)))
}

/// True of an address that only this machine reaches. It may end with a port.
fn is_of_this_machine(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_to_another_machine_is_told_from_the_rest() {
        for url in ["http://search:9200", "http://u@10.0.0.7:9200/path", "http://search"] {
            assert!(is_plain(url), "{url}");
        }
        for url in
            ["https://search:9200", "http://localhost:9200", "http://127.0.0.1:9200/x", "http://[::1]:9200"]
        {
            assert!(!is_plain(url), "{url}");
        }
    }
}
