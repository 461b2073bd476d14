//! Settings that work and that others than the operator could use.

use reqwest::Url;

use crate::app::check::findings::Findings;
use crate::app::check::{CONFIGURATION, HTTP};
use crate::config::{Config, is_of_this_machine};
use crate::http::ADMIN_CLOSED;
use crate::source::driver::SourceDriver;

/// Looks at the address that is listened on, and at credentials that go over the network without TLS.
pub(super) fn look(config: &Config, driver: &SourceDriver, findings: &mut Findings) {
    if !findings.is_any_wrong(&[HTTP]) {
        match is_listened_on_here(&config.http.listen) || config.http.token.is_some() {
            true => findings.note_good(HTTP, format_args!("{} can be listened on", config.http.listen)),
            false => findings.note_doubtful(HTTP, format_args!("http.listen: {ADMIN_CLOSED}")),
        }
    }
    let index = &config.index;
    let has_secret = index.password.is_some() || index.api_key.is_some();
    if index.kind.is_server && index.urls.iter().any(|url| is_in_clear(url, has_secret)) {
        findings.note_doubtful(CONFIGURATION, of_plain("index.url"));
    }
    let registry = config.schema_registry.as_ref();
    if registry.is_some_and(|registry| is_in_clear(&registry.url, registry.password.is_some())) {
        findings.note_doubtful(CONFIGURATION, of_plain("schema_registry.url"));
    }
    if let Some(text) = (driver.exposure)(config) {
        findings.note_doubtful(CONFIGURATION, text);
    }
}

fn of_plain(key: &str) -> String {
    format!("{key}: the credentials go over the network without TLS; use an address with https://")
}

/// True when requests to the address carry credentials, its own or those beside it, to another machine by plain HTTP.
fn is_in_clear(address: &str, has_secret: bool) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let has_user = !url.username().is_empty() || url.password().is_some();
    let is_here = url.host_str().is_some_and(is_of_this_machine);
    (has_secret || has_user) && url.scheme() == "http" && !is_here
}

/// True of a host and a port that only this machine reaches.
fn is_listened_on_here(address: &str) -> bool {
    let url = Url::parse(&format!("http://{address}"));
    url.is_ok_and(|url| url.host_str().is_some_and(is_of_this_machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_go_to_another_machine_by_plain_http_are_told_from_the_rest() {
        for (url, has_secret, is_told) in [
            ("http://search:9200", true, true),
            ("http://search", true, true),
            ("HTTP://Search:9200/path", true, true),
            ("http://u@10.0.0.7:9200/path", true, true),
            ("http://u:p@search:9200", false, true),
            ("http://localhost@search:9200", false, true),
            ("http://search:9200/localhost", true, true),
            ("http://[2001:db8::1]:9200", true, true),
            ("http://search:9200", false, false),
            ("https://u:p@search:9200", true, false),
            ("http://u:p@localhost:9200", true, false),
            ("http://127.0.0.1:9200/x@y", true, false),
            ("http://[::1]:9200", true, false),
        ] {
            assert_eq!(is_in_clear(url, has_secret), is_told, "{url} {has_secret}");
        }
    }

    #[test]
    fn only_this_machine_reaches_its_loopback() {
        for address in ["localhost:8080", "127.0.0.1:0", "[::1]:8080", "127.8.0.1:80"] {
            assert!(is_listened_on_here(address), "{address}");
        }
        for address in ["0.0.0.0:8080", "[::]:8080", "search.example.com:80", "10.0.0.7:80"] {
            assert!(!is_listened_on_here(address), "{address}");
        }
    }
}
