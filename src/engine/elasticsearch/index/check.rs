//! Whether a cluster can hold the indexes: its server, the aliases, the mappings and the privileges.

use elasticsearch::indices::{
    IndicesCreateParts, IndicesDeleteParts, IndicesSimulateIndexTemplateParts, IndicesSimulateTemplateParts,
};
use elasticsearch::security::SecurityHasPrivilegesParts;
use serde_json::{Value, json};

use super::creation::reason;
use super::live_index::LiveIndex;
use super::transport::Method;
use super::{ElasticsearchSink, aliases, effective_form};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Projection;
use crate::sink::generations::Aliases;
use crate::sink::mapping::Mapping;

impl ElasticsearchSink {
    /// All that is wrong with the cluster for a run, each with the key of the configuration. Makes and changes nothing,
    /// unless the user may not have a mapping judged otherwise. The mappings of the projections in `unread` are not
    /// looked at.
    pub(super) async fn check_all(&self, log_identity: Option<&str>, unread: &[Projection]) -> Vec<Error> {
        if let Err(error) = self.check_server().await {
            return vec![error.about("index.url")];
        }
        let mut wrong = Vec::new();
        for Mapping { projection, .. } in &self.mappings {
            let mapping = match self.translate_mapping(*projection).await {
                Ok(mapping) => mapping,
                Err(error) => {
                    wrong.push(error.about("index.mappings"));
                    continue;
                }
            };
            let mapping = &mapping;
            let is_read = !unread.contains(projection);
            match self.check_alias(mapping, log_identity.filter(|_| is_read)).await {
                Err(error) if error.kind() == ErrorKind::MappingChanged => {
                    wrong.push(error.about("index.mappings"));
                }
                Err(error) => wrong.push(error.about("index.prefix")),
                Ok(live) if is_read => {
                    let outcome = self.check_held(mapping, live.as_ref()).await;
                    wrong.extend(outcome.err().map(|error| error.about("index.mappings")));
                }
                Ok(_) => {}
            }
            if is_read && let Err(error) = self.check_mapping(mapping).await {
                wrong.push(error.about("index.mappings"));
            }
        }
        wrong.extend(self.check_privileges().await.err().map(|error| error.about("index")));
        wrong
    }

    /// Checks that the server that answers is known, and of a version that is supported.
    async fn check_server(&self) -> Result<()> {
        let server = self.client.server().await?;
        if server.is_known() {
            return Ok(());
        }
        Err(Error::failure(format!(
            "{} does not tell its version: the user lacks a privilege for this; give its role the privilege monitor of the \
             cluster",
            self.client.addresses()
        )))
    }

    /// That the alias is free, or stands for one index that `run` goes on with, which is answered.
    async fn check_alias(&self, mapping: &Mapping, log_identity: Option<&str>) -> Result<Option<LiveIndex>> {
        let alias = &self.alias(mapping.projection);
        let indexes = aliases::indexes_behind(&self.client, alias).await?;
        let Some(index) = aliases::one(alias, &indexes)? else {
            return aliases::check_free(&self.client, alias).await.map(|()| None);
        };
        let live = LiveIndex::get(&self.client, index).await?;
        let Some(log_identity) = log_identity else { return Ok(Some(live)) };
        let record = self.rebuild_of(mapping.projection).await?.map(|(record, _)| record);
        aliases::check(&live, alias, mapping, log_identity, record.as_ref())?;
        Ok(Some(live))
    }

    /// Checks that documents are held as they are sent: by the index that is there, or else by the one that `run` would
    /// make. An index template of the cluster may change that one. A user who may not ask for it learns it from `run`.
    async fn check_held(&self, mapping: &Mapping, live: Option<&LiveIndex>) -> Result<()> {
        if let Some(live) = live {
            return effective_form::check(&self.client, live, mapping, false).await;
        }
        let index = mapping.index_name(&self.alias(mapping.projection));
        let path = IndicesSimulateIndexTemplateParts::Name(&index).url();
        let (status, answer) = self.client.ask(Method::POST, &path, None).await?;
        match answer.get("template").filter(|_| status == 200) {
            Some(template) => effective_form::check_coming(&index, template, mapping),
            None => Ok(()),
        }
    }

    /// That an index can be made with a mapping, by a template that is only simulated. Where the user may not do that,
    /// an index is made and deleted again.
    async fn check_mapping(&self, mapping: &Mapping) -> Result<()> {
        let template = json!({
            "settings": mapping.body.get("settings").cloned().unwrap_or_else(|| json!({})),
            "mappings": mapping.body.get("mappings"),
        });
        let name = format!("{}tributary-check-{:016x}", self.prefix, fastrand::u64(..));
        let body = json!({"index_patterns": [name], "template": template});
        let path = IndicesSimulateTemplateParts::None.url();
        let (status, answer) = self.client.ask(Method::POST, &path, Some(&body)).await?;
        if !matches!(status, 403..=405) {
            return self.judge(mapping, &path, status, answer);
        }
        let path = IndicesCreateParts::Index(&name).url();
        let (status, answer) = self.client.ask(Method::PUT, &path, Some(&template)).await?;
        if status == 200 {
            self.client.delete(&IndicesDeleteParts::Index(&[&name]).url(), None).await?;
        }
        self.judge(mapping, &path, status, answer)
    }

    fn judge(&self, mapping: &Mapping, path: &str, status: u16, answer: Value) -> Result<()> {
        match status {
            400 => Err(mapping.refusal_error(&reason(&answer))),
            _ => self.client.check_status(path, status, answer).map(|_| ()),
        }
    }

    /// That the user has the privileges, where the cluster knows of users.
    async fn check_privileges(&self) -> Result<()> {
        let question = json!({
            "cluster": ["monitor"],
            "index": [{"names": [format!("{}*", self.prefix)], "privileges": ["manage", "read", "write"]}],
        });
        let path = SecurityHasPrivilegesParts::None.url();
        let (status, answer) = self.client.ask(Method::POST, &path, Some(&question)).await?;
        if status != 200 || answer.get("has_all_requested") != Some(&Value::Bool(false)) {
            return Ok(());
        }
        let mut lacking = Vec::new();
        let cluster = answer.get("cluster").and_then(Value::as_object).into_iter().flatten();
        lacking.extend(
            cluster.filter(|(_, has)| **has == json!(false)).map(|(name, _)| format!("{name} (cluster)")),
        );
        let indexes = answer.get("index").and_then(Value::as_object).into_iter().flatten();
        for (names, privileges) in indexes {
            let lacks = privileges.as_object().into_iter().flatten().filter(|(_, has)| **has == json!(false));
            lacking.extend(lacks.map(|(name, _)| format!("{name} on {names}")));
        }
        Err(Error::failure(format!(
            "the user lacks privileges: {}; give them to its role",
            lacking.join(", ")
        )))
    }
}
