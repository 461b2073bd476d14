//! The names of dead letters, of which no two records and documents have the same.
//!
//! A record is `topic/partition:offset`, and a document is `projection/id`. Behind an id `@` and the owner stand where the
//! document is a child. The `@` stands alone behind an id that would be read as that of a child, or with its projection as
//! a record.

/// Ends the id, and begins the owner.
const END: char = '@';

/// The name of a record.
pub(super) fn record_name(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic}/{partition}:{offset}")
}

/// The name of a document.
pub(crate) fn document_name(projection: &str, id: &str, owner: Option<&str>) -> String {
    match owner {
        Some(owner) => format!("{projection}/{id}{END}{}", escape(owner)),
        None if reads_as_child(id) || reads_as_record(id) => format!("{projection}/{id}{END}"),
        None => format!("{projection}/{id}"),
    }
}

/// An owner's id without the letters that part a name.
fn escape(owner: &str) -> String {
    owner.replace('%', "%25").replace(END, "%40").replace('/', "%2F")
}

fn reads_as_child(id: &str) -> bool {
    id.rsplit_once(END).is_some_and(|(before, owner)| owner.is_empty() || before.contains('/'))
}

fn reads_as_record(id: &str) -> bool {
    let place = id.rsplit('/').next().unwrap_or_default();
    place.split_once(':').is_some_and(|(partition, offset)| is_number(partition) && is_number(offset))
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_records_and_documents_have_one_name() {
        let ids =
            ["c1", "0:5", "a/0:5", "0:5@", "c1@", "contacts/c1", "contacts/c1@", "contacts/c1@o1", "a@b/0:5"];
        let owners = ["o1", "o@1", "o%401", "o/1", "0:5", "contacts/c1"];
        let mut names = BTreeSet::new();
        for topic in ["contacts", "contacts/a", "contacts/c1@", "contacts/contacts", "contacts/a@b"] {
            names.insert(record_name(topic, 0, 5));
        }
        for id in ids {
            names.insert(document_name("contacts", id, None));
        }
        for member in ["c1", "c1@o1", "0:5"] {
            for owner in owners {
                names.insert(document_name("contacts", &format!("contacts/{member}"), Some(owner)));
            }
        }
        assert_eq!(names.len(), 5 + ids.len() + 3 * owners.len(), "{names:#?}");
    }

    #[test]
    fn most_names_are_plain() {
        for (id, owner, name) in [
            ("c1", None, "contacts/c1"),
            ("jane@acme.test", None, "contacts/jane@acme.test"),
            ("contacts/c1", None, "contacts/contacts/c1"),
            ("acme:5", None, "contacts/acme:5"),
            ("0:5", None, "contacts/0:5@"),
            ("contacts/c1", Some("o1"), "contacts/contacts/c1@o1"),
        ] {
            assert_eq!(document_name("contacts", id, owner), name);
        }
    }
}
