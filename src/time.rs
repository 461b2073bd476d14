//! Times as people and names of indexes show them, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Year, month, day, hour, minute, second and millisecond.
fn parts(time: SystemTime) -> (i64, u64, u64, u64, u64, u64, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or(0));
    (year, month, day, second / 3_600, second / 60 % 60, second % 60, since.subsec_millis())
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

/// RFC 3339 with milliseconds: `2026-01-02T03:04:05.678Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let (year, month, day, hour, minute, second, millisecond) = parts(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// `yyyymmddhhmmss`, as an index's name carries it.
pub fn compact(time: SystemTime) -> String {
    let (year, month, day, hour, minute, second, _) = parts(time);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_moments_read_right() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(rfc3339(at(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(at(951_782_400)), "2000-02-29T00:00:00.000Z");
        assert_eq!(compact(at(1_767_225_599)), "20251231235959");
    }
}
