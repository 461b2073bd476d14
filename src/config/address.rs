//! Addresses as they are shown: without the secrets that they may hold, whether or not they are right ones. Hosts that
//! are this machine.

use std::net::IpAddr;

use super::HIDDEN;

/// The parameters of a database's address whose values are no secrets.
const OPEN: [&str; 13] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "port",
    "sslmode",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// An address without the user, the password and the parameters that it may hold.
pub fn without_secrets(url: &str) -> String {
    let (scheme, found) = match url.split_once("://") {
        Some((scheme, rest)) => {
            (format!("{scheme}://"), parts(rest).filter(|(_, place, _)| has_hosts(place)))
        }
        // It may be something else than an address, such as the name of a category.
        None => (String::new(), parts(url)),
    };
    let Some((user, place, parameters)) = found else { return format!("{scheme}{HIDDEN}") };
    let user = if user.is_some() { format!("{HIDDEN}@") } else { String::new() };
    let parameters = if parameters.is_empty() { String::new() } else { format!("?{HIDDEN}") };
    format!("{scheme}{user}{place}{parameters}")
}

/// True of a host that is this machine.
pub fn is_of_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A database's address: a user without a password is shown, and so are parameters that are known to hold no secret.
pub(super) fn of_database(url: &str) -> String {
    let rest = url.split_once("://").filter(|(scheme, _)| ["postgres", "postgresql"].contains(scheme));
    let Some((scheme, rest)) = rest else {
        // Another form may hold a password anywhere.
        return if url.contains(['@', '=', '?', ':', ' ']) { HIDDEN.to_owned() } else { url.to_owned() };
    };
    let Some((user, place, parameters)) = parts(rest).filter(|(_, place, _)| has_hosts(place)) else {
        return format!("{scheme}://{HIDDEN}");
    };
    let user = match user {
        Some(user) if user.contains(':') => format!("{HIDDEN}@"),
        Some(user) => format!("{user}@"),
        None => String::new(),
    };
    let shown = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if OPEN.contains(&name) => parameter.to_owned(),
        Some((name @ "password", _)) => format!("{name}={HIDDEN}"),
        _ => HIDDEN.to_owned(),
    };
    let parameters: Vec<String> = parameters.split('&').filter(|it| !it.is_empty()).map(shown).collect();
    let parameters = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
    format!("{scheme}://{user}{place}{parameters}")
}

/// The user, the hosts with the path, and the parameters of all behind an address's scheme. `None` where an `@` stands
/// behind the beginning of a path or of parameters, because the parts are then not certain.
fn parts(rest: &str) -> Option<(Option<&str>, &str, &str)> {
    let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    if user.is_some_and(|user| user.contains(['/', '?', '#'])) {
        return None;
    }
    let (place, parameters) = place.split_once(['?', '#']).unwrap_or((place, ""));
    Some((user, place, parameters))
}

/// True when nothing but a port stands behind the name of each host: a password stands there where the host lacks.
fn has_hosts(place: &str) -> bool {
    let hosts = place.split('/').next().unwrap_or_default();
    let is_host = |host: &str| {
        let port = if host.starts_with('[') { host.rsplit_once("]:") } else { host.split_once(':') };
        port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    hosts.split(',').all(is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_user_password_and_parameters() {
        for (url, shown) in [
            ("http://h:9200/path", "http://h:9200/path"),
            ("https://[::1]:9200", "https://[::1]:9200"),
            ("http://u:hunter2@h:9200", "http://(hidden)@h:9200"),
            ("http://u:hun@ter2@h", "http://(hidden)@h"),
            ("http://u:hunter?2@h", "http://(hidden)"),
            ("http://u:hunter2", "http://(hidden)"),
            ("https://h/otlp?api-key=hunter2", "https://h/otlp?(hidden)"),
            ("https://h/otlp?api-key=hun@ter2", "https://(hidden)"),
            ("u:hunter2@h", "(hidden)@h"),
            ("h/otlp?api-key=hunter2", "h/otlp?(hidden)"),
            ("account:command", "account:command"),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
    }

    #[test]
    fn an_address_of_a_database_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://store@h:5432,i:5433/d", "postgres://store@h:5432,i:5433/d"),
            ("postgres://h/d?sslmode=require&user=u", "postgres://h/d?sslmode=require&user=u"),
            ("postgresql://u:hunter2@h/d?connect_timeout=3", "postgresql://(hidden)@h/d?connect_timeout=3"),
            ("postgres://h/d?user=u&password=hunter2", "postgres://h/d?user=u&password=(hidden)"),
            ("postgres://h/d?pass%77ord=hunter2", "postgres://h/d?(hidden)"),
            ("postgres://h/d?password=hun&ter2=x", "postgres://h/d?password=(hidden)&(hidden)"),
            ("postgres://h/d?password=hun@ter2", "postgres://(hidden)"),
            ("postgres://u:hunter2", "postgres://(hidden)"),
            ("host=h password=hunter2", "(hidden)"),
            ("mysql://u:hunter2@h", "(hidden)"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(of_database(url), shown, "{url}");
        }
    }
}
