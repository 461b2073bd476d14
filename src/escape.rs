//! Control characters in text for people. Ids and names come from elsewhere, and must not command a terminal nor make
//! lines of their own in a log.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

/// True for a letter that is never printed as it is: a control character, or one that turns the direction of the
/// text round.
fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with each hidden letter, but for those that stay, as `write` writes it.
fn escape(text: &str, stays: impl Fn(char) -> bool, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(|letter| is_hidden(letter) && !stays(letter)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) && !stays(letter) {
            write(letter, &mut escaped);
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

fn write_plain(letter: char, escaped: &mut String) {
    escaped.extend(letter.escape_default());
}

fn write_json(letter: char, escaped: &mut String) {
    // Writing to a string can't fail.
    let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
}

fn is_end_of_line(letter: char) -> bool {
    letter == '\n'
}

/// A value for people, on one line: `\u{1b}[2J` stands for the sequence that clears the screen.
pub fn value(text: &str) -> Cow<'_, str> {
    escape(text, |_| false, write_plain)
}

/// Text for people that may have several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, is_end_of_line, write_plain)
}

/// JSON with every hidden letter as JSON writes it. Outside of strings it has none but ends of lines.
fn json(text: &str) -> Cow<'_, str> {
    escape(text, is_end_of_line, write_json)
}

/// One line of the log, whose end stays; with `colours` those of the log's own stay as well.
fn log_line(text: &str, colours: bool) -> String {
    let (line, end) = text.strip_suffix('\n').map_or((text, ""), |line| (line, "\n"));
    let mut pieces = line.split('\u{1b}');
    let mut shown = value(pieces.next().unwrap_or_default()).into_owned();
    for piece in pieces {
        // The subscriber escapes this letter in fields, so that only its own colours are left.
        let colour = piece.strip_prefix('[').and_then(|rest| {
            let code = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
            rest.get(code..)?.starts_with('m').then_some(())
        });
        shown.push_str(if colours && colour.is_some() { "\u{1b}" } else { "\\u{1b}" });
        shown.push_str(&value(piece));
    }
    shown.push_str(end);
    shown
}

/// How a [`Writer`] escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapeKind {
    /// Lines of text without colours.
    Plain,
    /// Lines of text with the subscriber's colours.
    Coloured,
    /// Lines of JSON.
    Json,
}

/// Where the log goes: whole events are written at once, each escaped.
#[derive(Debug)]
pub struct Writer<W>(pub EscapeKind, pub W);

impl<W: io::Write> io::Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let shown = match self.0 {
            EscapeKind::Plain => Cow::Owned(log_line(&text, false)),
            EscapeKind::Coloured => Cow::Owned(log_line(&text, true)),
            EscapeKind::Json => json(&text),
        };
        self.1.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_instead() {
        assert_eq!(value("Zoë \u{1b}[2J\r\n\u{9b}x\u{202e}"), "Zoë \\u{1b}[2J\\r\\n\\u{9b}x\\u{202e}");
        assert_eq!(lines("a\nb\u{7}"), "a\nb\\u{7}");
        assert!(matches!(value("Łódź"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_log_keeps_its_own_colours_and_nothing_else() {
        let written = |kind, text: &str| {
            let mut writer = Writer(kind, Vec::new());
            writer.write_all(text.as_bytes()).unwrap();
            String::from_utf8(writer.1).unwrap()
        };
        let line = "\u{1b}[32mINFO\u{1b}[0m id=a\nb\u{1b}]0;x\u{7}\n";
        assert_eq!(
            written(EscapeKind::Coloured, line),
            "\u{1b}[32mINFO\u{1b}[0m id=a\\nb\\u{1b}]0;x\\u{7}\n"
        );
        assert!(!written(EscapeKind::Plain, line).trim_end().chars().any(char::is_control));
        let json = written(EscapeKind::Json, "{\"id\":\"a\u{9b}\u{7f}\"}\n");
        assert_eq!(json, "{\"id\":\"a\\u009b\\u007f\"}\n");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["id"], "a\u{9b}\u{7f}");
    }
}
