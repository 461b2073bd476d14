//! One connection to Elasticsearch, by the official client.

use bytes::Bytes;
use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::Transport;
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{PROJECTIONS, eventually};
use crate::perf::Counting;
use crate::{Counts, Result, services};

pub struct Server {
    url: String,
    transport: Transport,
    runtime: Runtime,
}

#[derive(Deserialize)]
struct BulkAnswer {
    errors: bool,
}

impl Server {
    pub fn new(url: &str) -> Result<Self> {
        let transport =
            Transport::single_node(url).map_err(|error| format!("{url} is no address: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime can be started: {error}"))?;
        Ok(Self { url: url.to_owned(), transport, runtime })
    }

    /// Another connection.
    pub fn another(&self) -> Result<Self> {
        Self::new(&self.url)
    }

    /// The bytes of an answer that is no error.
    pub fn bytes(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>> {
        let body = body.map(|body| body.to_string().into_bytes());
        let (status, answer) = self.send(method, path, "application/json", body)?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let said = String::from_utf8_lossy(&answer);
        Err(format!("Elasticsearch at {} answered {status} to {path}: {said}", self.url))
    }

    /// A document, when it is there.
    pub fn maybe(&self, path: &str) -> Result<Option<Value>> {
        let (status, answer) = self.send(Method::Get, path, "application/json", None)?;
        Ok(serde_json::from_slice(&answer).ok().filter(|_| status == 200))
    }

    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.bytes(method, path, body)?;
        serde_json::from_slice(&answer)
            .map_err(|error| format!("the answer to {path} cannot be read: {error}"))
    }

    /// Sends a `_bulk` body as the program does, to one index where the body names none; every write must be taken.
    pub fn bulk(&self, index: Option<&str>, body: Vec<u8>, by_alias: bool) -> Result<()> {
        let index = index.map(|index| format!("/{index}")).unwrap_or_default();
        let path = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";
        let path = format!("{index}{path}&require_alias={by_alias}");
        let (status, answer) = self.send(Method::Post, &path, "application/x-ndjson", Some(body))?;
        let taken = serde_json::from_slice::<BulkAnswer>(&answer).is_ok_and(|answer| !answer.errors);
        if status == 200 && taken {
            return Ok(());
        }
        let said: String = String::from_utf8_lossy(&answer).chars().take(500).collect();
        Err(format!(
            "Elasticsearch did not take a raw body (status {status}: {said}); when it is overloaded lower \
             BENCH_CONNECTIONS or BENCH_BULK_BYTES, or give it more heap (TRIBUTARY_ELASTICSEARCH_HEAP)"
        ))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        kind: &'static str,
        body: Option<Vec<u8>>,
    ) -> Result<(u16, Vec<u8>)> {
        let body = body.map(Bytes::from);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let exchange = async {
            let response = self.transport.send(method, path, headers, Some(&query), body, None).await?;
            let status = response.status_code().as_u16();
            Ok((status, response.bytes().await?.to_vec()))
        };
        self.runtime.block_on(exchange).map_err(|error: elasticsearch::Error| {
            format!(
                "Elasticsearch at {} does not answer {path} ({error}); look at `scripts/services status`",
                self.url
            )
        })
    }

    /// How many documents each index holds, those just written included.
    pub fn counts(&self, indexes: &[String; PROJECTIONS.len()]) -> Result<Counts> {
        let mut counts = Counts::default();
        for (count, index) in counts.iter_mut().zip(indexes) {
            self.ask(Method::Post, &format!("/{index}/_refresh"), None)?;
            let answer = self.ask(Method::Get, &format!("/{index}/_count"), None)?;
            let counted = answer["count"].as_u64();
            *count = counted.ok_or_else(|| format!("Elasticsearch gives no count of {index}: {answer}"))?;
        }
        Ok(counts)
    }

    /// How many writes these indexes have taken since they were made.
    pub fn writes(&self, indexes: &[String; PROJECTIONS.len()]) -> Result<u64> {
        let path = format!("/{}/_stats/indexing", indexes.join(","));
        let answer = self.ask(Method::Get, &path, None)?;
        let total = answer["_all"]["primaries"]["indexing"]["index_total"].as_u64();
        total.ok_or_else(|| format!("Elasticsearch does not say how many writes it took: {answer}"))
    }

    /// The processor time that the server has taken so far, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let path = "/_nodes/stats/process?filter_path=nodes.*.process.cpu.total_in_millis";
        let answer = self.ask(Method::Get, path, None)?;
        let nodes = answer["nodes"].as_object().ok_or("the server does not say what it took")?;
        let millis: u64 =
            nodes.values().filter_map(|node| node["process"]["cpu"]["total_in_millis"].as_u64()).sum();
        Ok(millis as f64 / 1_000.0)
    }

    /// Counts the server's work from now on, when that is asked for.
    pub fn counting(&self) -> Result<Option<Counting>> {
        Counting::start(|| self.process())
    }

    /// The server's process, when it is one of this machine.
    fn process(&self) -> Result<u32> {
        let answer = self.ask(Method::Get, "/_nodes/process?filter_path=nodes.*.process.id", None)?;
        let nodes = answer["nodes"].as_object().ok_or("the server does not say which process it is")?;
        let id = nodes.values().find_map(|node| u32::try_from(node["process"]["id"].as_u64()?).ok());
        let command = |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let is_server = |line: &str| line.contains("org.elasticsearch") || line.contains("OpenSearchNode");
        let is_here = |id: &u32| is_server(&String::from_utf8_lossy(&command(id)));
        id.filter(is_here).ok_or_else(|| {
            "the server is no process that can be seen from here; leave BENCH_PERF out".to_owned()
        })
    }

    /// Waits until no index is merged any more, because earlier writes cost nothing then.
    pub fn wait_for_merges(&self) {
        let path = "/_nodes/stats/indices/merge?filter_path=nodes.*.indices.merges.current";
        eventually("the end of all merges", || {
            let answer = self.ask(Method::Get, path, None).ok()?;
            let mut nodes = answer["nodes"].as_object()?.values();
            nodes.all(|node| node["indices"]["merges"]["current"] == 0).then_some(())
        });
    }

    /// The machine that the figures were measured on, in words.
    pub fn machine(&self) -> Result<String> {
        let path = "/_nodes/jvm?filter_path=nodes.*.version,nodes.*.jvm.mem.heap_max_in_bytes";
        let answer = self.ask(Method::Get, path, None)?;
        let nodes = answer["nodes"].as_object().into_iter().flatten().map(|(_, node)| node);
        let product = if services::is_opensearch() { "OpenSearch" } else { "Elasticsearch" };
        let of = |node: &Value| {
            let heap = node.pointer("/jvm/mem/heap_max_in_bytes").and_then(Value::as_u64).unwrap_or(0);
            format!("{product} {} ({} MB heap)", node["version"].as_str().unwrap_or("?"), heap >> 20)
        };
        let nodes = nodes.map(of).collect::<Vec<_>>().join(", ");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        Ok(format!("{cores} cores, {nodes}, load average before: {load}"))
    }
}
