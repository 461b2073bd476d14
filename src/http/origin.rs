//! Which names a request may be for, and which pages may send orders.
//!
//! A page of a foreign name can have that name resolve to this instance (DNS rebinding) and read the answers. The
//! name is in `Host` then. A number is safe, because it resolves to no other address.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};

/// The names that requests may be for, besides numbers and `localhost`.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<[String]>);

impl Hosts {
    /// Those of `http.hosts`, and the name in `http.listen`.
    pub fn new(hosts: &[String], listen: &str) -> Self {
        let names = hosts.iter().map(String::as_str).chain(std::iter::once(listen));
        Self(names.map(|name| name_of(name).to_ascii_lowercase()).collect())
    }

    /// The name that a request is for, if it may not be for that one.
    pub(super) fn find_foreign(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let in_header = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
        let mut named = in_header.chain(uri.authority().map(axum::http::uri::Authority::as_str));
        named.find(|host| !self.holds(host)).map(str::to_owned)
    }

    fn holds(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        let number = name.trim_start_matches('[').trim_end_matches(']');
        number.parse::<IpAddr>().is_ok() || name == "localhost" || self.0.contains(&name)
    }
}

/// The name in `name:port`, without the dot of a whole name.
fn name_of(host: &str) -> &str {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    // A number of version 6 has colons of its own, and stands in brackets where a port may follow.
    let is_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']'));
    let name = if is_port { name } else { host };
    name.strip_suffix('.').unwrap_or(name)
}

/// True for a request that a page of another origin sends.
pub(super) fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    origin.is_none() || origin != text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn numbers_and_known_names_are_answered() {
        let hosts = Hosts::new(&["search.example".to_owned()], "box:8080");
        let foreign = |host: &str| hosts.find_foreign(&Uri::from_static("/"), &headers(&[("host", host)]));
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.1.2.3:80",
            "[::1]:8080",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "localhost.:8080",
            "search.example",
            "Search.Example:443",
            "box:8080",
            "box",
        ] {
            assert_eq!(foreign(host), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "2130706433",
        ] {
            assert_eq!(foreign(host).as_deref(), Some(host), "{host}");
        }
        let by_line = Uri::from_static("http://evil.example/search");
        assert!(hosts.find_foreign(&by_line, &headers(&[("host", "localhost")])).is_some());
        assert_eq!(
            hosts.find_foreign(&Uri::from_static("/"), &HeaderMap::new()),
            None,
            "no browser leaves it out"
        );
    }

    #[test]
    fn orders_of_other_origins_are_told_apart() {
        for own in [
            &[("host", "a:1")][..],
            &[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "same-origin")],
            &[("host", "a:1"), ("sec-fetch-site", "none")],
        ] {
            assert!(!is_cross_site(&headers(own)), "{own:?}");
        }
        for foreign in [
            &[("host", "a:1"), ("origin", "http://b:1")][..],
            &[("host", "a:1"), ("origin", "null")],
            &[("host", "a:1"), ("origin", "http://a:2")],
            &[("host", "a:1"), ("sec-fetch-site", "cross-site")],
            &[("host", "a:1"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(is_cross_site(&headers(foreign)), "{foreign:?}");
        }
    }
}
