//! Questions to a schema registry
//! (<https://docs.confluent.io/platform/current/schema-registry/develop/api.html>), also under a path of its address.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::{Certificate, StatusCode, Url};
use serde::Deserialize;

use super::registered_schema::RegisteredSchema;
use crate::body;
use crate::config::{RegistryConfig, without_secrets};
use crate::error::{Error, ErrorKind, Result, shorten};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// No schema is nearly as long.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// So many schemas may be referred to, by each other as well.
const REFERENCES_MAX: usize = 1_000;
/// The most bytes that are shown of an answer that is no schema.
const SHOWN_BYTES_MAX: usize = 200;
/// The registry's error codes for a schema, a subject and a version that are not there.
const NOT_FOUND: [u64; 3] = [40_401, 40_402, 40_403];

/// Asks one registry. It holds secrets, and shows none.
pub(super) struct RegistryClient {
    url: Url,
    address: String,
    user: Option<(String, Option<String>)>,
    authorities: Vec<Certificate>,
}

impl std::fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The answer to a question for a schema.
#[derive(Debug)]
pub(super) enum RegistryAnswer {
    Schema(RegisteredSchema),
    /// There is no such schema.
    Unknown,
    /// The registry does not answer, or not now: why.
    Away(String),
}

/// A schema as the registry sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaAnswer {
    schema: String,
    /// Avro is not named.
    schema_type: Option<String>,
    references: Option<Vec<SchemaReference>>,
}

#[derive(Deserialize)]
struct SchemaReference {
    name: String,
    subject: String,
    version: i64,
}

/// Why a question has no schema for an answer.
enum SchemaTrouble {
    NotFound,
    /// The user may not read schemas: why.
    Refused(String),
    Away(String),
}

impl RegistryClient {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// When the address is none or a certificate cannot be read.
    pub(super) fn new(config: &RegistryConfig) -> Result<Self> {
        let address = without_secrets(&config.url);
        let mut url = Url::parse(&config.url)
            .ok()
            .filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                Error::usage(format!(
                    "schema_registry.url: {address:?} found, an address was expected, such as http://localhost:8081"
                ))
            })?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let user = config.username.clone().map(|user| (user, config.password.clone()));
        if user.is_some() {
            // Both fail only for addresses without a host.
            let _ = (url.set_username(""), url.set_password(None));
        }
        Ok(Self { url, address, user, authorities: authorities(config)? })
    }

    /// Where the registry is, without anything that is secret.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks for a schema with all that it refers to. Waits for the answers.
    pub(super) fn schema(&self, id: u32) -> RegistryAnswer {
        match wait_for(self.ask(id)) {
            Ok(schema) => RegistryAnswer::Schema(schema),
            Err(SchemaTrouble::NotFound) => RegistryAnswer::Unknown,
            Err(SchemaTrouble::Refused(why) | SchemaTrouble::Away(why)) => RegistryAnswer::Away(why),
        }
    }

    /// Asks for any schema, to see whether the registry answers. Waits for the answer.
    ///
    /// # Errors
    /// When it does not, or refuses the user; each begins with the key of the configuration.
    pub(super) fn examine(&self) -> Result<()> {
        let answer = wait_for(async {
            let client = self.http()?;
            self.get(&client, &["schemas", "ids", "1"]).await
        });
        let (key, why) = match answer {
            Ok(_) | Err(SchemaTrouble::NotFound) => return Ok(()),
            Err(SchemaTrouble::Refused(why)) => ("username", why),
            Err(SchemaTrouble::Away(why)) => ("url", why),
        };
        let message =
            format!("schema_registry.{key}: the schema registry at {} does not answer: {why}", self.address);
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    fn http(&self) -> Result<reqwest::Client, SchemaTrouble> {
        let builder = self.authorities.iter().cloned().fold(
            reqwest::Client::builder().timeout(REQUEST_TIMEOUT),
            reqwest::ClientBuilder::add_root_certificate,
        );
        let builder = builder.user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")));
        builder.build().map_err(|error| SchemaTrouble::Away(chain(&error)))
    }

    async fn ask(&self, id: u32) -> Result<RegisteredSchema, SchemaTrouble> {
        let client = self.http()?;
        let sent = self.get(&client, &["schemas", "ids", &id.to_string()]).await?;
        let mut references = Vec::new();
        self.follow(&client, &sent, &mut references).await?;
        let kind = sent.schema_type.unwrap_or_else(|| "AVRO".to_owned()).to_ascii_uppercase();
        Ok(RegisteredSchema { kind, text: sent.schema, references })
    }

    /// Asks for the schemas that a schema refers to, each once, and for those of a reference before itself.
    async fn follow(
        &self,
        client: &reqwest::Client,
        schema: &SchemaAnswer,
        found: &mut Vec<(String, String)>,
    ) -> Result<(), SchemaTrouble> {
        let mut keys: Vec<(String, i64)> = Vec::new();
        let mut line: Vec<(SchemaReference, Option<SchemaAnswer>)> = Vec::new();
        let push = |line: &mut Vec<(SchemaReference, Option<SchemaAnswer>)>,
                    references: &Option<Vec<SchemaReference>>| {
            for reference in references.iter().flatten().rev() {
                let SchemaReference { name, subject, version } = reference;
                let reference =
                    SchemaReference { name: name.clone(), subject: subject.clone(), version: *version };
                line.push((reference, None));
            }
        };
        push(&mut line, &schema.references);
        while let Some((reference, sent)) = line.pop() {
            if let Some(sent) = sent {
                found.push((reference.name, sent.schema));
                continue;
            }
            let key = (reference.subject.clone(), reference.version);
            if keys.contains(&key) {
                continue;
            }
            if keys.len() >= REFERENCES_MAX {
                return Err(SchemaTrouble::Away(format!("more than {REFERENCES_MAX} references")));
            }
            keys.push(key);
            let version = reference.version.to_string();
            let sent = self.get(client, &["subjects", &reference.subject, "versions", &version]).await?;
            let further =
                sent.references.as_ref().map(|further| {
                    let copy = |SchemaReference { name, subject, version }: &SchemaReference| {
                        SchemaReference { name: name.clone(), subject: subject.clone(), version: *version }
                    };
                    further.iter().map(copy).collect()
                });
            line.push((reference, Some(sent)));
            push(&mut line, &further);
        }
        Ok(())
    }

    async fn get(&self, client: &reqwest::Client, path: &[&str]) -> Result<SchemaAnswer, SchemaTrouble> {
        let (status, body) = self.send(client, path).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                SchemaTrouble::Away(format!("its answer is no schema ({error}): {}", excerpt(&body)))
            });
        }
        if status == StatusCode::NOT_FOUND && (is_not_found(&body) || self.is_registry(client).await?) {
            return Err(SchemaTrouble::NotFound);
        }
        let advice = match status {
            StatusCode::NOT_FOUND => {
                "; no schema registry answers there, set schema_registry.url to its address with the path"
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; set schema_registry.username and schema_registry.password_file to those of a user who may read schemas"
            }
            _ => "",
        };
        let why = format!("{status}: {}{advice}", excerpt(&body));
        let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        Err(if is_refused { SchemaTrouble::Refused(why) } else { SchemaTrouble::Away(why) })
    }

    /// True when a registry answers under this address, because a schema that it does not find is then missing.
    async fn is_registry(&self, client: &reqwest::Client) -> Result<bool, SchemaTrouble> {
        let (status, body) = self.send(client, &["subjects"]).await?;
        Ok(status.is_success() && body.trim_ascii_start().starts_with(b"["))
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        path: &[&str],
    ) -> Result<(StatusCode, Vec<u8>), SchemaTrouble> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request =
            client.get(url).header("accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, password.as_ref());
        }
        let away = |error: reqwest::Error| SchemaTrouble::Away(chain(&error.without_url()));
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let bytes = body::read(answer, ANSWER_BYTES_MAX).await.map_err(away)?;
        let long = || SchemaTrouble::Away(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes"));
        Ok((status, bytes.ok_or_else(long)?))
    }
}

/// Waits for the end of a question, on a thread that may wait.
fn wait_for<T>(question: impl Future<Output = Result<T, SchemaTrouble>>) -> Result<T, SchemaTrouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| SchemaTrouble::Away(error.to_string()))?.block_on(question)
}

/// True of the registry's own word that something is not there.
fn is_not_found(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct ErrorAnswer {
        error_code: u64,
    }
    serde_json::from_slice::<ErrorAnswer>(body).is_ok_and(|said| NOT_FOUND.contains(&said.error_code))
}

fn authorities(config: &RegistryConfig) -> Result<Vec<Certificate>> {
    let Some(path) = &config.ca_certificate else { return Ok(Vec::new()) };
    let wrong =
        |what: &str| Error::usage(format!("schema_registry.ca_certificate: {} {what}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong("cannot be read").because(error))?;
    let found = Certificate::from_pem_bundle(&pem)
        .map_err(|error| wrong("holds no PEM certificate").because(error))?;
    if found.is_empty() { Err(wrong("holds no PEM certificate")) } else { Ok(found) }
}

/// The beginning of an answer, for a sentence.
fn excerpt(body: &[u8]) -> String {
    shorten(String::from_utf8_lossy(body).trim().to_owned(), SHOWN_BYTES_MAX)
}

/// An error with its causes.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
