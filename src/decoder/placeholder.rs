//! The placeholder that Debezium writes for a large value which the database did not send, because the change
//! left it as it was
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-toasted-values>).

/// `unavailable.value.placeholder`, as the connector has it by default, as a string of JSON.
const TEXT: &str = "\"__debezium_unavailable_value\"";
/// A list of texts or uuids.
const LIST: &str = "[\"__debezium_unavailable_value\"]";
/// A map (`hstore`).
const MAP: &str = "{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}";
/// The same, as a string that holds JSON.
const MAP_TEXT: &str = r#""{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}""#;
/// Bytes in base64.
const BASE64: &str = "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"";
/// Bytes in hexadecimal digits.
const HEX: &str = "\"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565\"";
/// A list of numbers.
const CODES: &str =
    "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]";
/// The forms in the order of their lengths.
const FORMS: [&str; 7] = [TEXT, LIST, BASE64, HEX, MAP, MAP_TEXT, CODES];

/// True of a placeholder, in canonical JSON. Lengths tell nearly all other values apart.
pub(super) fn is_placeholder(json: &[u8]) -> bool {
    FORMS.iter().any(|form| form.len() == json.len() && form.as_bytes() == json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_those_of_the_one_text() {
        let text = "__debezium_unavailable_value";
        assert_eq!(CODES, format!("{:?}", text.as_bytes()).replace(' ', ""));
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(HEX, format!("\"{hex}\""));
        assert_eq!(MAP_TEXT, serde_json::to_string(MAP).unwrap());
        assert!(FORMS.iter().all(|form| is_placeholder(form.as_bytes())));
        assert!(!is_placeholder(b"\"__debezium\"") && !is_placeholder(b"[95,95]"));
    }
}
