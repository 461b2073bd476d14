//! The kinds of source and of index, as their drivers describe them: the configuration asks for no kind by its name.

/// The kinds that a configuration can name, each with its default first.
#[derive(Debug, Clone)]
pub struct Kinds {
    /// The values of `source.kind`.
    pub sources: Vec<&'static SourceKind>,
    /// The values of `index.kind`.
    pub indexes: Vec<&'static IndexKind>,
}

/// A kind of source, as far as other keys depend on it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceKind {
    /// The value of `source.kind`.
    pub name: &'static str,
    /// True of a log in the cluster of `[kafka]`, whose topics dead letters may go to as well.
    pub is_kafka: bool,
    /// True of a log in the folder `source.path`.
    pub is_folder: bool,
    /// True when the log's server elects one instance of the group `kafka.group`.
    pub is_coordinated: bool,
    /// True when topics are categories, which hold streams.
    pub has_categories: bool,
    /// True when all records have one form, so that no format and no encoding is chosen.
    pub has_one_form: bool,
}

/// A kind of index, as its engine describes it.
#[derive(Debug, PartialEq, Eq)]
pub struct IndexKind {
    /// The value of `index.kind`.
    pub name: &'static str,
    /// True of an index behind `index.url`, false of one in the folder `index.path`. Only a server holds children.
    pub is_server: bool,
    /// True when a server takes `index.api_key`.
    pub has_api_keys: bool,
}

#[cfg(test)]
impl Kinds {
    /// Kinds for the tests of parts that import no source and no engine.
    pub(crate) fn examples() -> Self {
        const KAFKA: SourceKind = SourceKind {
            name: "kafka",
            is_kafka: true,
            is_folder: false,
            is_coordinated: true,
            has_categories: false,
            has_one_form: false,
        };
        const FILES: SourceKind =
            SourceKind { name: "files", is_kafka: false, is_folder: true, is_coordinated: false, ..KAFKA };
        const POSTGRES: SourceKind = SourceKind {
            name: "postgres",
            is_kafka: false,
            has_categories: true,
            has_one_form: true,
            ..KAFKA
        };
        const ELASTICSEARCH: IndexKind =
            IndexKind { name: "elasticsearch", is_server: true, has_api_keys: true };
        const OPENSEARCH: IndexKind = IndexKind { name: "opensearch", has_api_keys: false, ..ELASTICSEARCH };
        const EMBEDDED: IndexKind = IndexKind { name: "embedded", is_server: false, has_api_keys: false };
        Self {
            sources: vec![&KAFKA, &FILES, &POSTGRES],
            indexes: vec![&ELASTICSEARCH, &OPENSEARCH, &EMBEDDED],
        }
    }
}
