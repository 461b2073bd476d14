//! Keys: names, ids of members and e-mail addresses as they are looked up whole.

use std::collections::BTreeSet;

/// A name as it is looked up whole: its different words in their order.
pub fn name_key<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<&str> = words.collect();
    words.into_iter().fold("n".to_owned(), |key, word| key + " " + word)
}

/// The id of a member as it is looked up whole; `members` is the number of its embed.
pub fn member_key(members: usize, id: &str) -> String {
    format!("i{members} {id}")
}

/// An e-mail address as it is looked up whole.
pub fn mail_key(mail: &str) -> String {
    format!("m {mail}")
}
