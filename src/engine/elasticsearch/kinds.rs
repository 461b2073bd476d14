//! The kinds of index that a cluster holds.

use crate::config::IndexKind;

/// A cluster of Elasticsearch or OpenSearch.
pub(super) const ELASTICSEARCH: IndexKind =
    IndexKind { name: "elasticsearch", is_server: true, has_api_keys: true };
/// A cluster of OpenSearch and of nothing else.
pub(super) const OPENSEARCH: IndexKind =
    IndexKind { name: "opensearch", is_server: true, has_api_keys: false };
