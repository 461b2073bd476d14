//! `[postgres]`: a message-db as the log.

use std::fmt;
use std::path::PathBuf;

use tokio_postgres::config::Host;

use super::{address, mask};

/// `[postgres]`.
#[derive(Clone, PartialEq)]
pub struct PostgresConfig {
    /// The address of the database, without `sslmode`. May hold a password: never print it.
    pub url: String,
    /// The password, where the address has none. Never print it.
    pub password: Option<String>,
    /// How the connection is encrypted.
    pub sslmode: SslMode,
    /// A PEM file of the certificate authority that signed the server's certificate.
    pub ca_certificate: Option<PathBuf>,
    /// The schema of message-db.
    pub schema: String,
    /// When a message counts as stable.
    pub stable: StabilityRule,
}

/// `postgres.sslmode`, as libpq has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No encryption.
    Disable,
    /// Encryption where the server offers it; the certificate is not checked.
    Prefer,
    /// Encryption; the certificate is not checked.
    Require,
    /// Encryption; the certificate's authority is checked.
    VerifyCa,
    /// Encryption; the certificate's authority and name are checked.
    VerifyFull,
}

impl SslMode {
    /// All of them, in the order of their strength.
    pub const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// `postgres.stable`: what is waited for before a message is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StabilityRule {
    /// Nothing: `write_message` holds a lock on the category until its transaction ends.
    Lock,
    /// The end of every transaction that was writing messages when the message was seen.
    Xmin,
}

impl PostgresConfig {
    /// True when the user has a password, in the address or beside it.
    pub fn has_password(&self) -> bool {
        self.password.is_some() || self.parse().is_some_and(|parsed| parsed.get_password().is_some())
    }

    /// The names or addresses of the hosts that are asked over the network.
    pub fn hosts(&self) -> Vec<String> {
        let Some(parsed) = self.parse() else { return Vec::new() };
        let addresses: Vec<String> = parsed.get_hostaddrs().iter().map(ToString::to_string).collect();
        if !addresses.is_empty() {
            return addresses;
        }
        let name = |host: &Host| match host {
            Host::Tcp(name) => Some(name.clone()),
            // A socket of this machine.
            _ => None,
        };
        parsed.get_hosts().iter().filter_map(name).collect()
    }

    /// True when the password may go to another machine without TLS: `prefer` does without where the server offers none.
    pub fn may_be_in_clear(&self) -> bool {
        let is_encrypted = !matches!(self.sslmode, SslMode::Disable | SslMode::Prefer);
        !is_encrypted
            && self.has_password()
            && !self.hosts().iter().all(|host| address::is_of_this_machine(host))
    }

    fn parse(&self) -> Option<tokio_postgres::Config> {
        self.url.parse().ok()
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("url", &address::of_database(&self.url))
            .field("password", &mask(&self.password))
            .field("sslmode", &self.sslmode)
            .field("ca_certificate", &self.ca_certificate)
            .field("schema", &self.schema)
            .field("stable", &self.stable)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_postgres_may_be_sent_without_tls_is_told() {
        for (url, password, sslmode, is_told) in [
            ("postgres://u@db/d", Some("p"), SslMode::Prefer, true),
            ("postgres://u@db/d", Some("p"), SslMode::Disable, true),
            ("postgres://u:p@db/d", None, SslMode::Prefer, true),
            ("postgres://localhost,db/d?user=u&password=p", None, SslMode::Prefer, true),
            ("postgres://u:p@localhost/d?hostaddr=10.0.0.7", None, SslMode::Prefer, true),
            ("postgres://u@db/d", None, SslMode::Prefer, false),
            ("postgres://u:p@db/d", None, SslMode::Require, false),
            ("postgres://u:p@db/d", None, SslMode::VerifyFull, false),
            ("postgres://u:p@localhost,127.0.0.1:5433,[::1]/d", None, SslMode::Disable, false),
            ("postgres://u:p@%2Frun%2Fpostgresql/d", None, SslMode::Prefer, false),
        ] {
            let postgres = PostgresConfig {
                url: url.to_owned(),
                password: password.map(str::to_owned),
                sslmode,
                ca_certificate: None,
                schema: "message_store".to_owned(),
                stable: StabilityRule::Lock,
            };
            assert_eq!(postgres.may_be_in_clear(), is_told, "{url} {sslmode:?}");
        }
    }
}
