//! Writing JSON straight into one buffer, and the members that documents hold beside their own.

use serde_json::{Map, Value};

/// An object being written; members are put in the order of the calls.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
    /// Where the object begins.
    begin: usize,
}

impl<'a> Object<'a> {
    /// Opens an object at the end of `out`.
    pub fn open(out: &'a mut Vec<u8>) -> Self {
        let begin = out.len();
        out.push(b'{');
        Self { out, empty: true, begin }
    }

    /// Ends the object.
    pub fn close(self) {
        self.out.push(b'}');
    }

    /// A member whose value is a string.
    pub fn text<'n>(&mut self, name: impl Into<Name<'n>>, value: &str) {
        self.key(name);
        push_text(self.out, value);
    }

    /// A member whose value is JSON already.
    pub fn raw<'n>(&mut self, name: impl Into<Name<'n>>, json: &[u8]) {
        self.key(name);
        self.out.extend_from_slice(json);
    }

    /// A member that is left out when there is no value.
    pub fn raw_if<'n>(&mut self, name: impl Into<Name<'n>>, json: Option<&[u8]>) {
        if let Some(json) = json {
            self.raw(name, json);
        }
    }

    /// A member whose value is a number.
    pub fn number<'n>(&mut self, name: impl Into<Name<'n>>, value: u64) {
        self.key(name);
        // Writing a number to a vector can't fail.
        let _ = serde_json::to_writer(&mut *self.out, &value);
    }

    /// A member that is `true`.
    pub fn yes<'n>(&mut self, name: impl Into<Name<'n>>) {
        self.raw(name, b"true");
    }

    /// A member whose value is an object that `write` fills.
    pub fn object<'n>(&mut self, name: impl Into<Name<'n>>, write: impl FnOnce(&mut Object<'_>)) {
        self.key(name);
        let mut object = Object::open(self.out);
        write(&mut object);
        object.close();
    }

    /// Removes the text that was written from a place on; see [`Object::place`].
    pub fn truncate(&mut self, (length, is_empty): (usize, bool)) {
        self.out.truncate(length);
        self.empty = is_empty;
    }

    /// The object as it was written so far, with its end.
    pub fn whole(&self) -> Vec<u8> {
        let written = self.out.get(self.begin..).unwrap_or_default();
        [written, b"}"].concat()
    }

    /// Where the next member begins.
    pub fn place(&self) -> (usize, bool) {
        (self.out.len(), self.empty)
    }

    /// Takes members that are JSON already, with commas between them, into the object.
    pub fn members(&mut self, members: &[u8]) {
        if !members.is_empty() {
            self.part();
            self.out.extend_from_slice(members);
        }
    }

    /// Writes the member's name and hands out the buffer for its value.
    pub fn value<'n>(&mut self, name: impl Into<Name<'n>>) -> &mut Vec<u8> {
        self.key(name);
        self.out
    }

    /// A member whose value is the text that `push` puts from a place on, in letters that need no escapes. It is left
    /// out when there is none.
    pub fn words<'n>(&mut self, name: impl Into<Name<'n>>, push: impl FnOnce(&mut Vec<u8>, usize)) {
        let (begin, was_empty) = (self.out.len(), self.empty);
        self.key(name);
        self.out.push(b'"');
        let first = self.out.len();
        push(self.out, first);
        if self.out.len() == first {
            self.out.truncate(begin);
            self.empty = was_empty;
        } else {
            self.out.push(b'"');
        }
    }

    /// Writes a name and the colon behind it.
    fn key<'n>(&mut self, name: impl Into<Name<'n>>) {
        let Name { text, is_plain } = name.into();
        self.part();
        if !is_plain {
            push_text(self.out, text);
            self.out.push(b':');
            return;
        }
        self.out.reserve(text.len() + 3);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn part(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

/// The name of a member.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    text: &'a str,
    is_plain: bool,
}

impl<'a> Name<'a> {
    /// A name that needs no escapes, such as every name of a model. It is not looked through, because each document writes it.
    pub fn plain(text: &'a str) -> Self {
        debug_assert!(is_plain(text.as_bytes()), "the name {text:?} needs escapes");
        Self { text, is_plain: true }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, is_plain: is_plain(text.as_bytes()) }
    }
}

/// True when the text needs no escapes. Without a branch for each byte, many are looked at together.
pub fn is_plain(text: &[u8]) -> bool {
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    !text.iter().fold(false, |found, byte| found | is_special(*byte))
}

/// True when a JSON value is a number, which its first byte tells.
pub fn is_number(json: &[u8]) -> bool {
    json.first().is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit())
}

/// Appends `text` as a JSON string.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string to a vector can't fail; were it to, the value would be missing, not wrong.
        let _ = serde_json::to_writer(&mut *out, text);
    }
}

/// Appends a list whose elements `write` puts one by one: it is called with the buffer and the item.
pub fn push_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    let mut first = true;
    for item in items {
        if !first {
            out.push(b',');
        }
        first = false;
        write(out, item);
    }
    out.push(b']');
}
/// Takes the program's own members out of a document: those at its top that begin with `_`, and the words of embedded
/// objects.
pub fn remove_own(document: &mut Map<String, Value>) {
    document.retain(|name, _| !name.starts_with('_'));
    let embedded = document.values_mut().filter_map(Value::as_array_mut).flatten();
    embedded.filter_map(Value::as_object_mut).for_each(|object| drop(object.remove("_search")));
}
