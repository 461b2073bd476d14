//! The hosts of `postgres.url`, each with the settings of a connection to it alone.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts};

/// The settings of each host, in the order in which hosts are tried. The client has one limit of time for all of them.
/// Settings whose lists differ in length stay whole, because the client refuses them.
pub(super) fn split_hosts(settings: &Config) -> Vec<Config> {
    let (names, addresses, ports) = (settings.get_hosts(), settings.get_hostaddrs(), settings.get_ports());
    let count = names.len().max(addresses.len());
    let is_even = |length: usize, least: usize| length <= least || length == count;
    if count < 2 || !is_even(names.len(), 0) || !is_even(addresses.len(), 0) || !is_even(ports.len(), 1) {
        return vec![settings.clone()];
    }
    let of = |number: usize| {
        let mut host = without_hosts(settings);
        match names.get(number) {
            Some(Host::Tcp(name)) => _ = host.host(name),
            Some(Host::Unix(folder)) => _ = host.host_path(folder),
            None => {}
        }
        if let Some(address) = addresses.get(number) {
            host.hostaddr(*address);
        }
        if let Some(port) = ports.get(number).or(ports.first()) {
            host.port(*port);
        }
        host
    };
    let mut hosts: Vec<Config> = (0..count).map(of).collect();
    if settings.get_load_balance_hosts() == LoadBalanceHosts::Random {
        fastrand::shuffle(&mut hosts);
    }
    hosts
}

fn without_hosts(settings: &Config) -> Config {
    let mut rest = Config::new();
    if let Some(user) = settings.get_user() {
        rest.user(user);
    }
    if let Some(password) = settings.get_password() {
        rest.password(password);
    }
    if let Some(database) = settings.get_dbname() {
        rest.dbname(database);
    }
    if let Some(options) = settings.get_options() {
        rest.options(options);
    }
    if let Some(name) = settings.get_application_name() {
        rest.application_name(name);
    }
    if let Some(wait) = settings.get_connect_timeout() {
        rest.connect_timeout(*wait);
    }
    if let Some(wait) = settings.get_tcp_user_timeout() {
        rest.tcp_user_timeout(*wait);
    }
    if let Some(interval) = settings.get_keepalives_interval() {
        rest.keepalives_interval(interval);
    }
    if let Some(retries) = settings.get_keepalives_retries() {
        rest.keepalives_retries(retries);
    }
    rest.keepalives(settings.get_keepalives())
        .keepalives_idle(settings.get_keepalives_idle())
        .ssl_mode(settings.get_ssl_mode())
        .ssl_negotiation(settings.get_ssl_negotiation())
        .target_session_attrs(settings.get_target_session_attrs())
        .channel_binding(settings.get_channel_binding())
        // The addresses of one name are shuffled too.
        .load_balance_hosts(settings.get_load_balance_hosts());
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Config {
        url.parse().unwrap()
    }

    #[test]
    fn each_host_has_its_port_and_all_other_settings() {
        let rest = "/d?connect_timeout=3&tcp_user_timeout=4&keepalives=0&keepalives_idle=5&keepalives_interval=6\
                    &keepalives_retries=7&application_name=a&options=-c%20b%3Dc&sslmode=require\
                    &target_session_attrs=read-write&channel_binding=disable";
        let hosts = split_hosts(&parse(&format!("postgres://u:p@one,two:5433,%2Frun,[::1]:5434{rest}")));
        let each = ["one", "two:5433", "%2Frun", "[::1]:5434"];
        let expected = each.map(|host| parse(&format!("postgres://u:p@{host}{rest}")));
        assert!(hosts == expected, "{hosts:#?}");
    }

    #[test]
    fn addresses_stand_beside_the_names_of_their_hosts() {
        let hosts = split_hosts(&parse("postgres://one,two/d?hostaddr=10.0.0.1,10.0.0.2"));
        let each = [("one", "10.0.0.1"), ("two", "10.0.0.2")];
        let expected = each.map(|(name, address)| parse(&format!("postgres://{name}/d?hostaddr={address}")));
        assert!(hosts == expected, "{hosts:#?}");
    }

    #[test]
    fn hosts_in_a_random_order_are_all_tried() {
        let hosts = split_hosts(&parse("postgres://one,two,three/d?load_balance_hosts=random"));
        for name in ["one", "two", "three"] {
            assert!(
                hosts.contains(&parse(&format!("postgres://{name}/d?load_balance_hosts=random"))),
                "{hosts:#?}"
            );
        }
        assert_eq!(hosts.len(), 3);
    }

    #[test]
    fn settings_that_the_client_refuses_stay_whole() {
        for url in [
            "postgres://one/d",
            "postgres://one,two/d?port=1",
            "postgres://one,two/d?hostaddr=10.0.0.1",
            "postgres://one/d?hostaddr=10.0.0.1,10.0.0.2",
        ] {
            assert!(split_hosts(&parse(url)) == [parse(url)], "{url}");
        }
    }
}
