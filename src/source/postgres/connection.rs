//! A connection to the database, and the handling of its errors.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode as Encryption, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::hosts::split_hosts;
use super::tls;
use crate::config::{PostgresConfig, SslMode};
use crate::error::{Error, ErrorKind, Result};

/// How long TCP waits for one address.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long one statement waits for its answer, and how long connecting to one host takes.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// How long several hosts together have for a session. A stop waits for it, so it is shorter than the time that
/// supervisors usually give.
const HOSTS_WAIT: Duration = Duration::from_secs(25);
/// A server that vanished is noticed after about so long.
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 2;

/// The classes of SQLSTATE that pass: connection, resources, an operator's intervention, a lock or a conflict.
const PASSING: [&str; 6] = ["08", "53", "57", "58", "40", "55"];

/// A session of the database.
pub(super) struct DatabaseSession {
    pub(super) client: Client,
    /// The task that moves bytes; it ends with the connection.
    pub(super) connection: JoinHandle<()>,
}

impl Drop for DatabaseSession {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl DatabaseSession {
    /// Connects to the server that can be written to. `name` tells sessions apart in `pg_stat_activity`.
    ///
    /// # Errors
    /// A wrong configuration, a refusal, or a server that does not answer.
    pub(super) async fn open(config: &PostgresConfig, name: &str) -> Result<Self> {
        let hosts = split_hosts(&settings(config, name)?);
        let count = u32::try_from(hosts.len()).unwrap_or(u32::MAX).max(1);
        let session = Self::connect(&hosts, config, ANSWER_WAIT.min(HOSTS_WAIT / count)).await?;
        let schema = config.schema.replace('"', "\"\"");
        // The functions of message-db name their tables without a schema.
        let path = format!(
            "SET search_path TO \"{schema}\", public; SET tcp_keepalives_idle TO 10; SET tcp_keepalives_interval TO 5; \
             SET tcp_keepalives_count TO 3; SET default_transaction_isolation TO 'read committed'"
        );
        answer(session.client.batch_execute(&path), "the session's settings").await?;
        Ok(session)
    }

    /// Connects to the first of the hosts that takes the session, each of which has this time.
    async fn connect(
        hosts: &[tokio_postgres::Config],
        config: &PostgresConfig,
        wait: Duration,
    ) -> Result<Self> {
        let mut refusal = None;
        for host in hosts {
            let outcome = match config.sslmode {
                SslMode::Disable => Self::connect_within(wait, host.connect(NoTls)).await,
                mode => {
                    let connector = tls::Connector::new(mode, config.ca_certificate.as_deref())?;
                    Self::connect_within(wait, host.connect(connector)).await
                }
            };
            match outcome {
                Ok(session) => return Ok(session),
                Err(error) => {
                    tracing::debug!(
                        error = error.chain(),
                        "a host of postgres.url does not take the session"
                    );
                    refusal = Some(choose_error(refusal, error));
                }
            }
        }
        Err(refusal.unwrap_or_else(|| Error::usage("postgres.url: it has no host")))
    }

    /// The session, once the server has answered. The time limit of the settings is that of TCP: it says nothing of TLS
    /// and of the first messages.
    pub(super) async fn connect_within<S, T>(
        wait: Duration,
        connecting: impl Future<
            Output = std::result::Result<(Client, tokio_postgres::Connection<S, T>), tokio_postgres::Error>,
        >,
    ) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
    {
        let (client, connection) = answer_within(wait, connecting, "a connection").await?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL broke off");
            }
        });
        Ok(Self { client, connection })
    }
}

/// The error of several hosts. An outage of one may end, and the host that takes the session may be that one. A wrong
/// configuration does not pass.
fn choose_error(former: Option<Error>, error: Error) -> Error {
    let Some(former) = former else { return error };
    match (former.kind(), error.kind()) {
        (ErrorKind::Usage, _) => former,
        (_, ErrorKind::Usage) => error,
        (ErrorKind::Unavailable, _) => former,
        _ => error,
    }
}

fn settings(config: &PostgresConfig, name: &str) -> Result<tokio_postgres::Config> {
    let parsed = config.url.parse::<tokio_postgres::Config>();
    let mut settings =
        parsed.map_err(|_| Error::usage("postgres.url: an address of a database was expected"))?;
    if let Some(password) = &config.password {
        settings.password(password);
    }
    settings.ssl_mode(match config.sslmode {
        SslMode::Disable => Encryption::Disable,
        SslMode::Prefer => Encryption::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Encryption::Require,
    });
    if settings.get_application_name().is_none() {
        settings.application_name(name);
    }
    if settings.get_connect_timeout().is_none() {
        settings.connect_timeout(CONNECT_WAIT);
    }
    settings
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(KEEPALIVE * (KEEPALIVE_RETRIES + 1))
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    Ok(settings)
}

/// The answer that the database gives in time.
///
/// # Errors
/// Its refusal, or its absence.
pub(super) async fn answer<T>(
    question: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    what: &str,
) -> Result<T> {
    answer_within(ANSWER_WAIT, question, what).await
}

/// As [`answer`], with another limit of time.
///
/// # Errors
/// Its refusal, or its absence.
pub(super) async fn answer_within<T>(
    wait: Duration,
    question: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    what: &str,
) -> Result<T> {
    match tokio::time::timeout(wait, question).await {
        Ok(answered) => answered.map_err(|error| judge(error, what)),
        Err(_) => Err(outage_error(format!(
            "PostgreSQL does not answer in time: {what}; check the server and its log"
        ))),
    }
}

pub(super) fn outage_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message)
}

/// The error that an answer of the database is: a passing one is waited for.
pub(super) fn judge(error: tokio_postgres::Error, what: &str) -> Error {
    let Some(code) = error.code() else {
        return if is_of_settings(&error) {
            Error::usage(format!("postgres.url: {what} cannot be made")).because(error)
        } else if is_of_answer(&error) {
            Error::failure(format!("{what} have another form than those of message-db; check its version"))
                .because(error)
        } else if tls::is_missing(&error) {
            Error::failure("PostgreSQL offers no TLS; turn ssl on there, or set postgres.sslmode")
                .because(error)
        } else if tls::is_refused(&error) {
            Error::failure(
                "the certificate of PostgreSQL is refused; check postgres.ca_certificate, postgres.sslmode and the host in \
                 postgres.url",
            )
            .because(error)
        } else {
            outage_error(format!("PostgreSQL does not answer: {what}; check postgres.url and the server"))
                .because(error)
        };
    };
    let class = code.code().get(..2).unwrap_or_default();
    let advice = match *code {
        _ if PASSING.contains(&class) => {
            return outage_error(format!("PostgreSQL cannot answer now: {what}")).because(error);
        }
        SqlState::INSUFFICIENT_PRIVILEGE => "grant the role message_store to the user of postgres.url",
        SqlState::UNDEFINED_FUNCTION | SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => {
            "there is no message-db in this schema; install it, or name its schema and database in postgres.schema and \
             postgres.url"
        }
        SqlState::INVALID_CATALOG_NAME => "name the database of message-db in postgres.url",
        _ if class == "28" => "check the user of postgres.url and postgres.password",
        _ => "check the server and its log",
    };
    Error::failure(format!("PostgreSQL refuses {what}; {advice}")).because(error)
}

/// True when the client itself finds the settings wrong.
fn is_of_settings(error: &tokio_postgres::Error) -> bool {
    let said = error.to_string();
    ["invalid configuration", "invalid connection string", "authentication error"]
        .iter()
        .any(|it| said.starts_with(it))
}

/// True when the server's answer cannot be read.
fn is_of_answer(error: &tokio_postgres::Error) -> bool {
    let said = error.to_string();
    ["error deserializing", "error serializing", "invalid column"].iter().any(|it| said.starts_with(it))
}

/// The identity of this log: the cluster of databases, and the database in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreId {
    /// The system identifier of the server, which replicas share.
    pub(super) system: String,
    /// The number of the database, which one of the same name made later does not have.
    pub(super) database: u32,
}

impl StoreId {
    /// Asks for it.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn ask(client: &Client) -> Result<Self> {
        let sql = "SELECT (SELECT system_identifier FROM pg_control_system())::text, oid FROM pg_database \
                   WHERE datname = current_database()";
        let row = answer(client.query_one(sql, &[]), "its system identifier").await?;
        let what = "its system identifier";
        let system = row.try_get(0).map_err(|error| judge(error, what))?;
        let database = row.try_get(1).map_err(|error| judge(error, what))?;
        Ok(Self { system, database })
    }
}

impl std::fmt::Display for StoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.system, self.database)
    }
}

/// A runtime of one thread for a client that is asked by a thread that blocks. It may be dropped anywhere.
pub(super) struct Blocking(Option<tokio::runtime::Runtime>);

impl Blocking {
    /// # Errors
    /// When the runtime cannot be started.
    pub(super) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Error::failure("the runtime of a connection cannot be started; check the limit of threads")
                .because(error)
        })?;
        Ok(Self(Some(runtime)))
    }

    /// Waits for the future, on this thread.
    ///
    /// # Errors
    /// Those of the future.
    pub(super) fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = self.0.as_ref().ok_or_else(|| Error::failure("the runtime of a connection is gone"))?;
        runtime.block_on(future)
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::StabilityRule;

    #[tokio::test]
    async fn a_host_that_is_silent_leaves_the_next_one_its_time() {
        let (mute, server) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
        let (mute, server) = (mute.unwrap(), server.unwrap());
        let hosts = [&mute, &server].map(|listener| listener.local_addr().unwrap().to_string()).join(",");
        let config = PostgresConfig {
            url: format!("postgres://u@{hosts}/d"),
            password: None,
            sslmode: SslMode::Disable,
            ca_certificate: None,
            schema: "message_store".to_owned(),
            stable: StabilityRule::Lock,
        };
        tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut startup = [0; 1_024];
            assert!(stream.read(&mut startup).await.unwrap() > 0);
            // AuthenticationOk and ReadyForQuery.
            stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
            while stream.read(&mut startup).await.is_ok_and(|bytes| bytes > 0) {}
        });
        let hosts = split_hosts(&config.url.parse().unwrap());
        let wait = Duration::from_secs(1);
        assert!(!DatabaseSession::connect(&hosts, &config, wait).await.unwrap().client.is_closed());
        let error = DatabaseSession::connect(&hosts[..1], &config, wait).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn an_outage_of_one_host_stands_for_all() {
        let error = |kind| Error::new(kind, "why");
        for (former, latter, expected) in [
            (ErrorKind::Unavailable, ErrorKind::Failed, ErrorKind::Unavailable),
            (ErrorKind::Failed, ErrorKind::Unavailable, ErrorKind::Unavailable),
            (ErrorKind::Failed, ErrorKind::Usage, ErrorKind::Usage),
        ] {
            assert_eq!(choose_error(Some(error(former)), error(latter)).kind(), expected);
        }
        assert_eq!(choose_error(None, error(ErrorKind::Failed)).kind(), ErrorKind::Failed);
    }
}
