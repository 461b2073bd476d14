//! Phone numbers as reversed digits.

use std::borrow::Cow;

use super::fold;

/// The fewest digits that are taken for a phone number.
pub const PHONE_DIGITS_MIN: usize = 6;

/// A phone number without the zero in brackets that is dialled at home only: `+44 (0)20` is `+44 20`.
pub fn drop_trunk_zero(text: &str) -> Cow<'_, str> {
    let Some(at) = text.find('(').and_then(|_| text.find("(0)")) else { return Cow::Borrowed(text) };
    let (before, rest) = text.split_at(at);
    let code = before.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter.is_whitespace());
    let code_is_international = code.ends_with('+')
        || before.get(code.len()..).is_some_and(|code| code.trim_start().starts_with("00"));
    match rest.get(3..) {
        Some(rest) if code_is_international => Cow::Owned(format!("{before} {rest}")),
        _ => Cow::Borrowed(text),
    }
}

/// The digits of a phone number, last first, so that a number's ending is a prefix; `None` when
/// there are fewer than [`PHONE_DIGITS_MIN`].
pub fn reverse_digits(phone: &str) -> Option<String> {
    let phone = drop_trunk_zero(phone);
    let mut digits = String::with_capacity(phone.len());
    digits.extend(phone.bytes().rev().filter(u8::is_ascii_digit).map(char::from));
    (digits.len() >= PHONE_DIGITS_MIN).then_some(digits)
}

/// The phone numbers of a field, each as [`reverse_digits`]: it may hold several, and extensions, which are no part of
/// a number.
///
/// Letters and `#` end a number. The marks `/`, `,`, `;` and `|` part two numbers when each has enough digits for one,
/// because people also write `030/123456`.
pub fn reverse_numbers(field: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    each_number(field, &mut |number| numbers.push(number.to_owned()));
    numbers
}

/// Visits the numbers that [`reverse_numbers`] answers.
pub fn each_number(field: &str, visit: &mut dyn FnMut(&str)) {
    let is_plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b' ' | b'+' | b'-' | b'.' | b'(' | b')');
    if field.bytes().all(is_plain) {
        return reverse_digits(field).iter().for_each(|number| visit(number));
    }
    let field = fold(field);
    for stretch in field.split(|letter: char| letter.is_alphabetic() || letter == '#') {
        let numbers = several(stretch).into_iter().filter_map(|number| reverse_digits(&number));
        numbers.for_each(|number| visit(&number));
    }
}

/// The numbers of a stretch without letters.
fn several(stretch: &str) -> Vec<String> {
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let mut numbers: Vec<String> = Vec::new();
    for part in stretch.split(['/', ',', ';', '|']) {
        match numbers.last_mut() {
            Some(last) if digits(last) < PHONE_DIGITS_MIN || digits(part) < PHONE_DIGITS_MIN => {
                last.push_str(part)
            }
            _ => numbers.push(part.to_owned()),
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_numbers_ending_is_a_prefix_of_its_reversed_digits() {
        assert_eq!(reverse_digits("+44 20 7946 0018").as_deref(), Some("810064970244"));
        assert_eq!(reverse_digits("12-34"), None);
    }

    #[test]
    fn extensions_are_left_out_and_several_numbers_are_told_apart() {
        let numbers = |field: &str| {
            let numbers = reverse_numbers(field);
            numbers
                .iter()
                .map(|number| number.chars().rev().collect::<String>())
                .collect::<Vec<_>>()
                .join(" ")
        };
        for (field, expected) in [
            ("+44 (0)20 7946 0018", "442079460018"),
            ("０３－１２３４－５６７８", "0312345678"),
            ("٠٢٠٧٩٤٦٠٥٥٥", "02079460555"),
            ("020 7946 0999 ext. 12", "02079460999"),
            ("+1 (212) 555-0142 x77", "12125550142"),
            ("+1 212 555 0142#77", "12125550142"),
            ("+44 20 7946 0777 / 07700 900123", "442079460777 07700900123"),
            ("030/123456", "030123456"),
            ("030 1234567/68", "030123456768"),
            ("Tel. 020 7946 0018 or 020 7946 0019; fax 020 7946 0020", "02079460018 02079460019 02079460020"),
            ("12-34", ""),
            ("", ""),
        ] {
            assert_eq!(numbers(field), expected, "{field}");
        }
    }
}
