//! Times as people and names of indexes show them, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Year, month, day, hour, minute and second.
fn parts(time: SystemTime) -> (i64, u64, u64, u64, u64, u64) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or(0));
    (year, month, day, second / 3_600, second / 60 % 60, second % 60)
}

/// Year, month and day of a number of days since the Unix epoch.
pub fn civil(days: i64) -> (i64, u64, u64) {
    // By eras of 400 years, which begin on the first of March.
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    (year, number(month), number(day))
}

/// Days since the Unix epoch; `None` when there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * shifted_month + 2) / 5 + day - 1;
    let days = era * 146_097 + day_of_era - 719_468;
    let (number, found) = (|value: i64| u64::try_from(value).unwrap_or(0), civil(days));
    (found == (year, number(month), number(day))).then_some(days)
}

/// Milliseconds since the Unix epoch of a time as RFC 3339 has it, or of the beginning of one: `2026`, `2026-01`,
/// `2026-01-02T03:04`. Without a zone it is in UTC. An index server reads the same times by
/// `strict_date_optional_time`.
pub fn milliseconds(text: &str) -> Option<i64> {
    period(text).map(|(first, _)| first)
}

const DAY: i64 = 86_400_000;

/// The first and the last millisecond of a time such as [`milliseconds`] reads: `2026-01` is the whole month.
pub fn period(text: &str) -> Option<(i64, i64)> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    let month = following(&mut rest, '-')?;
    let day = following(&mut rest, '-')?;
    let begin = days(year, month.unwrap_or(1), day.unwrap_or(1))?;
    let next = match (month, day) {
        (None, _) => days(year + 1, 1, 1)?,
        (Some(12), None) => days(year + 1, 1, 1)?,
        (Some(month), None) => days(year, month + 1, 1)?,
        (Some(_), Some(_)) => begin + 1,
    };
    let day = (begin * DAY, next * DAY - 1);
    if rest.is_empty() {
        return Some(day);
    }
    let rest = rest.strip_prefix('T')?;
    if rest.is_empty() { Some(day) } else { period_within(day.0, rest) }
}

/// The first and the last millisecond of a time of the day that begins at `day`.
fn period_within(day: i64, text: &str) -> Option<(i64, i64)> {
    let mut rest = text;
    let hour = number(&mut rest, 2)?;
    let minute = following(&mut rest, ':')?;
    let second = following(&mut rest, ':')?;
    let mut length = match (minute, second) {
        (None, _) => 3_600_000,
        (Some(_), None) => 60_000,
        (Some(_), Some(_)) => 1_000,
    };
    let (minute, second, mut fraction) = (minute.unwrap_or(0), second.unwrap_or(0), 0);
    if let Some(digits) = rest.strip_prefix(['.', ',']) {
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, others) = digits.split_at_checked(count).filter(|_| (1..=9).contains(&count))?;
        fraction = format!("{digits:0<3}").get(..3)?.parse().ok()?;
        (rest, length) = (others, 1);
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let since_midnight = ((hour * 60 + minute) * 60 + second) * 1_000 + fraction;
    let first = day + since_midnight - zone(rest)? * 60_000;
    Some((first, first + length - 1))
}

/// The minutes that a zone is ahead of UTC.
fn zone(text: &str) -> Option<i64> {
    let sign = match text.chars().next() {
        None => return Some(0),
        Some('Z') => return (text == "Z").then_some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let mut rest = text.get(1..)?;
    let hours = number(&mut rest, 2)?;
    let rest = &mut rest.strip_prefix(':').unwrap_or(rest);
    let minutes = if rest.is_empty() { 0 } else { number(rest, 2)? };
    (rest.is_empty() && hours < 19 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// The two digits behind a mark; the inner `None` when the mark does not follow.
fn following(rest: &mut &str, mark: char) -> Option<Option<i64>> {
    match rest.strip_prefix(mark) {
        Some(others) => {
            *rest = others;
            number(rest, 2).map(Some)
        }
        None => Some(None),
    }
}

/// A number of so many digits.
fn number(rest: &mut &str, digits: usize) -> Option<i64> {
    let (number, others) = rest.split_at_checked(digits)?;
    *rest = others;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// RFC 3339 with milliseconds: `2026-01-02T03:04:05.678Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// RFC 3339 with milliseconds, of milliseconds since the Unix epoch.
pub fn timestamp(milliseconds: i64) -> String {
    let (days, rest) = (milliseconds.div_euclid(DAY), milliseconds.rem_euclid(DAY));
    let ((year, month, day), seconds) = (civil(days), rest / 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1_000)
}

/// `yyyymmddhhmmss`, as an index's name carries it.
pub fn compact(time: SystemTime) -> String {
    let (year, month, day, hour, minute, second) = parts(time);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_that_is_cut_short_is_all_of_its_period() {
        for (text, first, last) in [
            ("2000", "2000-01-01T00:00:00.000Z", "2000-12-31T23:59:59.999Z"),
            ("2000-02", "2000-02-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z"),
            ("2000-12", "2000-12-01T00:00:00.000Z", "2000-12-31T23:59:59.999Z"),
            ("2000-02-29T", "2000-02-29T00:00:00.000Z", "2000-02-29T23:59:59.999Z"),
            ("2000-02-29T23Z", "2000-02-29T23:00:00.000Z", "2000-02-29T23:59:59.999Z"),
            ("2000-02-29T23:10+01:00", "2000-02-29T22:10:00.000Z", "2000-02-29T22:10:59.999Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000Z", "1969-12-31T23:59:59.999Z"),
            ("2000-02-29T23:10:01.5Z", "2000-02-29T23:10:01.500Z", "2000-02-29T23:10:01.500Z"),
        ] {
            let period = period(text).unwrap();
            assert_eq!((timestamp(period.0).as_str(), timestamp(period.1).as_str()), (first, last), "{text}");
        }
    }

    #[test]
    fn times_are_read_as_an_index_server_does() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.000Z", Some(951_782_400_000)),
            ("2000-02-29", Some(951_782_400_000)),
            ("2000-02-29T02:00:00.1234567+02:00", Some(951_782_400_123)),
            ("2000-02-28T22:30-0130", Some(951_782_400_000)),
            ("2000-02", Some(949_363_200_000)),
            ("2000", Some(946_684_800_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2001-02-29", None),
            ("2000-13-01", None),
            ("2000-1-01", None),
            ("2000-01-01T24:00:00Z", None),
            ("2000-01-01 00:00:00", None),
            ("2000-01-01T00:00:00Zx", None),
            ("yesterday", None),
            ("", None),
            ("20é", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn known_moments_read_right() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(rfc3339(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(at(951_782_400)), "2000-02-29T00:00:00.000Z");
        assert_eq!(compact(at(1_767_225_599)), "20251231235959");
    }
}
