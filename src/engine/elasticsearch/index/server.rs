//! The server behind `index.url`: which product it is, and of which version.

use std::fmt;

use serde_json::Value;

use super::dialect::Dialect;
use super::product::Product;
use crate::error::{Error, Result};

/// The supported versions, in words.
const SUPPORTED: &str = "Elasticsearch 8 and 9 are supported, and OpenSearch 2.19 and 3";

/// A server that can hold the indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    product: Product,
    /// As the server writes it; empty when the user may not ask for it.
    version: String,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            self.product,
            if self.is_known() { &self.version } else { "of an unknown version" }
        )
    }
}

impl Server {
    /// A server of this product whose user may not ask for its version.
    pub(super) fn of_unknown_version(product: Product) -> Self {
        Self { product, version: String::new() }
    }

    /// The server by its answer to `GET /`; none when that does not tell enough.
    pub(super) fn of_root(root: &Value) -> Option<Self> {
        let version = root.pointer("/version/number")?.as_str()?.to_owned();
        if root.pointer("/version/distribution").is_none() {
            return Some(Self { product: Product::Elasticsearch, version });
        }
        // For the sake of old clients an OpenSearch may say 7.10.2 there. Its nodes tell their version.
        let server = Self { product: Product::OpenSearch, version };
        (server.numbers()?.0 < 7).then_some(server)
    }

    /// The server by the description of the node that answers; none when that has no version.
    pub(super) fn of_node(nodes: &Value, is_opensearch: bool) -> Option<Self> {
        let node = nodes.get("nodes").and_then(Value::as_object).and_then(|nodes| nodes.values().next());
        let version = node.and_then(|node| node.get("version")).and_then(Value::as_str)?.to_owned();
        let mut server = Self { product: Product::OpenSearch, version };
        let major = server.numbers().map_or(0, |(major, _)| major);
        // OpenSearch has no flavours, and counts from 1 again.
        let has_flavour = node.is_some_and(|node| node.get("build_flavor").is_some());
        if !is_opensearch && (has_flavour || major >= 7) {
            server.product = Product::Elasticsearch;
        }
        Some(server)
    }

    /// That this server, which answers at `addresses`, is the wanted one, of a supported version.
    pub(super) fn check(&self, addresses: &str, product: Option<Product>, has_api_key: bool) -> Result<()> {
        if let Some(product) = product.filter(|product| *product != self.product) {
            return Err(Error::failure(format!(
                "{self} answers at {addresses}, and index.kind asks for {product}; set index.kind = \"elasticsearch\", which \
                 speaks to both, or check index.url"
            )));
        }
        if !self.is_known() {
            return Ok(());
        }
        let is_supported = match (self.product, self.numbers()) {
            (_, None) => return Err(Self::product_error(addresses)),
            (Product::Elasticsearch, Some((major, _))) => matches!(major, 8 | 9),
            (Product::OpenSearch, Some((major, minor))) => major == 3 || major == 2 && minor >= 19,
        };
        if !is_supported {
            return Err(Error::failure(format!("{self} answers at {addresses}; {SUPPORTED}")));
        }
        if self.product == Product::OpenSearch && has_api_key {
            return Err(Error::usage(format!(
                "index.api_key: {self} answers at {addresses}, and only Elasticsearch has API keys; set index.username and \
                 index.password"
            )));
        }
        Ok(())
    }

    /// The error for what answers at `addresses` and is neither product.
    pub(super) fn product_error(addresses: &str) -> Error {
        Error::failure(format!(
            "the server at {addresses} is neither Elasticsearch nor OpenSearch; check index.url"
        ))
    }

    /// False when the user may not ask for the version: the product is then the one that the configuration names.
    pub(crate) fn is_known(&self) -> bool {
        !self.version.is_empty()
    }

    /// The dialect that this server understands.
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect::of(self.product, self.numbers().unwrap_or_default())
    }

    /// The first two numbers of the version.
    fn numbers(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.split(['.', '-']).map(|number| number.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
    }
}
