//! Documents that an earlier log made, or an earlier life of a topic: their versions lie above every position of now. They
//! are told from foreign writes by the position that a document carries, which its version is made of.

use super::versions::base_of;
use crate::sink::documents::{StoredDocument, log_of};

/// True of a document whose version is made of the position that it carries: one of our instances wrote it.
pub(super) fn is_ours(stored: &StoredDocument) -> bool {
    let Some(position) = log_of(&stored.body).and_then(|log| log.position) else { return false };
    let Some(base) = stored.version.checked_sub(position) else { return false };
    base == 0 || base_of(stored.version, position) == Some(base)
}

#[cfg(test)]
mod tests {
    use crate::plan::CONTACTS;
    use serde_json::json;

    use super::*;
    use crate::pipeline::versions::Bases;

    #[test]
    fn a_document_is_ours_when_its_version_is_made_of_the_position_that_it_carries() {
        let of = |version: u64, position: u64| {
            let body = json!({"id": "a", "_log": {"position": position}}).to_string().into_bytes();
            is_ours(&StoredDocument { version, body })
        };
        assert!(of(13, 13) && !of(14, 13) && !of(1 << 62, 13) && !of(12, 13));
        let (mut bases, document) = (Bases::default(), (CONTACTS, "a".into()));
        bases.rise_above(document, 1 << 40, 13, None);
        let risen = bases.version(&(CONTACTS, "a".into()), 20);
        assert!(of(risen, 20) && !of(risen, 19));
        for body in ["", "{}", r#"{"_log":{"position":-1}}"#, r#"{"_log":13}"#] {
            assert!(!is_ours(&StoredDocument { version: 13, body: body.as_bytes().to_vec() }), "{body}");
        }
    }
}
