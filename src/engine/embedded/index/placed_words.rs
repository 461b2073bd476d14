//! Words of a document with the positions that say whose they are. They are written into one text for each field, and a
//! tokenizer of the index takes it apart. A list of tokens would be written as JSON and read again on the way there.

use tantivy::TantivyDocument;
use tantivy::schema::Field;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::keys::{mail_key, name_key};
use super::owner::{LAST, OWN, position};
use super::schema::{SearchFields, VALUE_LETTERS_MAX};
use crate::searchable_fields::Words;
use crate::text::reverse_numbers;

/// Begins a run: its first position follows, as a number.
const RUN: char = '\u{1e}';
/// Begins a token of a run; each has the position after the one before.
const WORD: char = '\u{1f}';

/// The words of a document, each with its position.
pub(super) struct PlacedWords<'a> {
    fields: &'a SearchFields,
    texts: Vec<(Field, String)>,
    /// Where the next word of the present owner stands.
    next: u32,
    /// Where the next word of an entity that the document refers to stands.
    next_referred: u32,
}

impl<'a> PlacedWords<'a> {
    pub(super) fn new(fields: &'a SearchFields) -> Self {
        let all = fields.words.iter().chain([&fields.referred, &fields.whole, &fields.phone]);
        let texts = all.map(|field| (*field, String::new())).collect();
        Self { fields, texts, next: 0, next_referred: 0 }
    }

    /// Puts the searched texts of the document or of one of its members; answers how many words its name has.
    pub(super) fn push(&mut self, owner: u32, words: &Words) -> u64 {
        self.next = 0;
        for (class, run) in words.runs.iter().chain(&words.forms) {
            self.push_run(self.fields.of_class(*class), owner, run);
        }
        let name = words.name();
        if !name.is_empty() {
            self.push_whole(self.fields.whole, owner, &name_key(name.iter().copied()));
        }
        let fits = |value: &&String| value.chars().count() <= VALUE_LETTERS_MAX;
        if let Some(mail) = words.mail.as_ref().filter(fits) {
            self.push_whole(self.fields.whole, owner, &mail_key(mail));
        }
        for phone in words.phones.iter().filter(fits) {
            self.push_whole(self.fields.phone, owner, phone);
        }
        name.len() as u64
    }

    /// Puts the words of a text of an entity that the document refers to.
    pub(super) fn push_referred(&mut self, text: &str) {
        self.next = self.next_referred;
        self.push_run(self.fields.referred, OWN, text);
        self.next_referred = self.next;
    }

    /// Puts a key of an owner that is looked up whole.
    pub(super) fn push_key(&mut self, owner: u32, key: &str) {
        self.push_whole(self.fields.whole, owner, key);
    }

    /// Puts the phone numbers in a text of an entity that the document refers to.
    pub(super) fn push_number(&mut self, text: &str) {
        for phone in reverse_numbers(text) {
            self.push_whole(self.fields.phone, OWN, &phone);
        }
    }

    /// Puts words that stand side by side, and leaves a position free behind them.
    fn push_run(&mut self, field: Field, owner: u32, run: &str) {
        let first = position(owner, self.next);
        let words = run.split(' ').filter(|word| !word.is_empty());
        self.next = self.next.saturating_add(self.put(field, first, words)).saturating_add(1);
    }

    /// Puts a text that is looked up whole.
    fn push_whole(&mut self, field: Field, owner: u32, text: &str) {
        self.put(field, position(owner, 0), std::iter::once(text));
    }

    /// Answers how many words these were.
    fn put<'b>(&mut self, field: Field, first: u32, words: impl Iterator<Item = &'b str>) -> u32 {
        let Some((_, text)) = self.texts.iter_mut().find(|(known, _)| *known == field) else { return 0 };
        let mut count = 0;
        for word in words {
            if count == 0 {
                text.push(RUN);
                text.push_str(&first.to_string());
            }
            text.push(WORD);
            text.push_str(word);
            count += 1;
        }
        count
    }

    pub(super) fn add_to(self, document: &mut TantivyDocument) {
        self.texts
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .for_each(|(field, text)| document.add_text(*field, text));
    }
}

/// Takes the texts of [`PlacedWords`] apart.
#[derive(Debug, Clone, Default)]
pub(super) struct PlacedTokenizer(Token);

/// The tokens of one text.
pub(super) struct PlacedTokens<'a> {
    rest: &'a str,
    position: u32,
    token: &'a mut Token,
}

impl Tokenizer for PlacedTokenizer {
    type TokenStream<'a> = PlacedTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> PlacedTokens<'a> {
        PlacedTokens { rest: text, position: 0, token: &mut self.0 }
    }
}

impl TokenStream for PlacedTokens<'_> {
    fn advance(&mut self) -> bool {
        if let Some(run) = self.rest.strip_prefix(RUN) {
            let (number, words) = run.split_at(run.find(WORD).unwrap_or(run.len()));
            (self.position, self.rest) = (number.parse().unwrap_or(0), words);
        } else if self.position & LAST != LAST {
            self.position += 1;
        }
        let Some(word) = self.rest.strip_prefix(WORD) else { return false };
        let (word, rest) = word.split_at(word.find([RUN, WORD]).unwrap_or(word.len()));
        self.rest = rest;
        self.token.text.clear();
        self.token.text.push_str(word);
        self.token.position = usize::try_from(self.position).unwrap_or(usize::MAX);
        self.token.position_length = 1;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::super::owner::{OWNER_BITS, owner_at};
    use super::super::schema::IndexFields;
    use super::*;

    fn tokens(text: &str) -> Vec<(u32, String)> {
        let (mut tokenizer, mut found) = (PlacedTokenizer::default(), Vec::new());
        let mut stream = tokenizer.token_stream(text);
        while stream.advance() {
            found.push((u32::try_from(stream.token().position).unwrap(), stream.token().text.clone()));
        }
        found
    }

    #[test]
    fn words_come_back_with_their_positions() {
        let fields = IndexFields::of(crate::plan::CONTACTS).search.unwrap();
        let mut placed = PlacedWords::new(&fields);
        let field = fields.words[0];
        placed.push_run(field, 0, "jane doe");
        placed.push_run(field, 0, "");
        placed.push_run(field, 2, "acme");
        placed.next = LAST;
        placed.push_run(field, 2, "a b");
        placed.push_whole(fields.whole, 1, "n doe jane");
        let text = |field: Field| placed.texts.iter().find(|(known, _)| *known == field).unwrap().1.clone();
        let second = 2 << OWNER_BITS;
        let expected =
            [(0, "jane"), (1, "doe"), (second + 4, "acme"), (second + LAST, "a"), (second + LAST, "b")];
        assert_eq!(tokens(&text(field)), expected.map(|(at, word)| (at, word.to_owned())));
        assert_eq!(tokens(&text(fields.whole)), [(1 << OWNER_BITS, "n doe jane".to_owned())]);
        assert_eq!(owner_at(second + LAST), 2);
    }

    #[test]
    fn a_text_that_nobody_wrote_so_is_taken_apart_without_a_fault() {
        for text in ["", "x", "\u{1e}", "\u{1e}x\u{1f}a", "\u{1f}", "\u{1e}4294967295\u{1f}a\u{1f}b\u{1e}"] {
            assert!(tokens(text).len() <= 2, "{text:?}");
        }
    }
}
