//! The finished object of an entity that a reference names.

use std::sync::Arc;

/// An entity as the documents show it that refer to it. Which of a hundred thousand comes next is chance. All of it
/// lies in one piece, because each piece more would be one more wait for memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Fragment(Arc<[u8]>);

/// Where the object and the words begin, each as eight bytes, and then the id.
const HEADER: usize = 16;

impl Fragment {
    /// Of the entity `id`: the object that stands in the document, empty when there is none. With it come the words
    /// that are searched there, each behind its mark.
    pub fn new(id: &str, object: &[u8], words: &[u8]) -> Self {
        let object_begin = HEADER + id.len();
        let words_begin = object_begin + object.len();
        let mut bytes = Vec::with_capacity(words_begin + words.len());
        for begin in [object_begin, words_begin] {
            bytes.extend_from_slice(&u64::try_from(begin).unwrap_or(u64::MAX).to_ne_bytes());
        }
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(object);
        bytes.extend_from_slice(words);
        Self(bytes.into())
    }

    /// The entity's id.
    pub fn id(&self) -> &[u8] {
        self.0.get(HEADER..self.begin(0)).unwrap_or_default()
    }

    /// The object that stands in the document; `None` when there is none.
    pub fn object(&self) -> Option<&[u8]> {
        self.0.get(self.begin(0)..self.begin(1)).filter(|json| !json.is_empty())
    }

    /// The words that are searched, each behind its mark.
    pub fn words(&self) -> &[u8] {
        self.0.get(self.begin(1)..).unwrap_or_default()
    }

    /// How much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    fn begin(&self, number: usize) -> usize {
        let bytes = self.0.get(number * HEADER / 2..).and_then(<[u8]>::first_chunk);
        bytes.and_then(|bytes| usize::try_from(u64::from_ne_bytes(*bytes)).ok()).unwrap_or(0)
    }
}

impl std::fmt::Debug for Fragment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |part| String::from_utf8_lossy(part).into_owned();
        out.debug_tuple("Fragment").field(&text(self.id())).field(&self.object().map(text)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_back_what_it_was_made_of() {
        let whole = Fragment::new("o1", b"{}", b"^acme");
        assert_eq!(
            (whole.id(), whole.object(), whole.words()),
            (&b"o1"[..], Some(&b"{}"[..]), &b"^acme"[..])
        );
        let none = Fragment::new("", b"", b"");
        assert_eq!((none.id(), none.object(), none.words()), (&b""[..], None, &b""[..]));
        assert!(whole != none && whole == whole.clone());
    }
}
