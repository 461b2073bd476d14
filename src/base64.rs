//! Base64 with padding (RFC 4648, section 4), for the rare value that is not text.

use ::base64::Engine as _;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be absent when text is read, because other programs omit it.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The text of these bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// The bytes of this text; `None` when it is no base64. The padding may be absent or incomplete.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    ENGINE.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_examples_hold() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(decode("Zm9*"), None);
    }

    #[test]
    fn padding_may_be_absent_and_the_last_bits_may_be_set() {
        for text in ["Zg", "Zg=", "Zg==", "Zh=="] {
            assert_eq!(decode(text).as_deref(), Some(&b"f"[..]), "{text}");
        }
        assert_eq!(decode("Zm9vY"), None, "one letter holds no byte");
    }
}
