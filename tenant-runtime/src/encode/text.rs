//! Texts of single values: what DuckDB's own `CAST(x AS VARCHAR)` writes, so that every text can be cast back.

use std::io::Write as _;

/// Writes formatted text into a byte buffer, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); }};
}

/// Gregorian date of a number of days since 1970-01-01, years counted astronomically (0 is 1 BC).
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    // Days are counted from 0000-03-01, so that leap days end a year; 146,097 days make 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u8::try_from(month).unwrap_or(0), u8::try_from(day).unwrap_or(0))
}

fn put_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    if year > 0 {
        put!(out, "{year:04}-{month:02}-{day:02}");
    } else {
        put!(out, "{:04}-{month:02}-{day:02} (BC)", 1 - year);
    }
}

/// DATE: days since 1970-01-01; both ends of the range stand for infinity.
pub fn date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN | -2_147_483_647 => out.extend_from_slice(b"-infinity"),
        days => put_date(i64::from(days), out),
    }
}

/// Fraction of a second in `units` per second, without trailing zeros.
fn put_fraction(fraction: i64, digits: usize, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    let text = format!("{fraction:0digits$}");
    put!(out, ".{}", text.trim_end_matches('0'));
}

fn put_clock(seconds: i64, out: &mut Vec<u8>) {
    put!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// TIME: microseconds since midnight.
pub fn time_micros(micros: i64, out: &mut Vec<u8>) {
    put_clock(micros / 1_000_000, out);
    put_fraction(micros % 1_000_000, 6, out);
}

/// TIME_NS: nanoseconds since midnight.
pub fn time_nanos(nanos: i64, out: &mut Vec<u8>) {
    put_clock(nanos / 1_000_000_000, out);
    put_fraction(nanos % 1_000_000_000, 9, out);
}

/// TIME WITH TIME ZONE in DuckDB's packing: microseconds above 24 bits of `57599 - offset in seconds`.
pub fn time_tz(packed: u64, out: &mut Vec<u8>) {
    let micros = i64::try_from(packed >> 24).unwrap_or(0);
    let offset = 57_599 - i64::try_from(packed & 0xff_ffff).unwrap_or(0);
    time_micros(micros, out);
    let (sign, offset) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    put!(out, "{sign}{:02}", offset / 3600);
    let (minutes, seconds) = (offset / 60 % 60, offset % 60);
    if minutes != 0 || seconds != 0 {
        put!(out, ":{minutes:02}");
    }
    if seconds != 0 {
        put!(out, ":{seconds:02}");
    }
}

/// A timestamp since 1970-01-01 in `per_second` units; `i64::MAX` and its negative stand for infinity.
pub fn timestamp(value: i64, per_second: i64, utc: bool, out: &mut Vec<u8>) {
    if value == i64::MAX {
        return out.extend_from_slice(b"infinity");
    }
    if value == -i64::MAX {
        return out.extend_from_slice(b"-infinity");
    }
    let seconds = value.div_euclid(per_second);
    put_date(seconds.div_euclid(86_400), out);
    out.push(b' ');
    put_clock(seconds.rem_euclid(86_400), out);
    let digits = usize::try_from(per_second.ilog10()).unwrap_or(0);
    put_fraction(value.rem_euclid(per_second), digits, out);
    if utc {
        out.extend_from_slice(b"+00");
    }
}

/// INTERVAL: months, days and microseconds, none of which is converted into another.
pub fn interval(months: i32, days: i32, micros: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let separate = |out: &mut Vec<u8>| {
        if out.len() > start {
            out.push(b' ');
        }
    };
    for (count, unit) in [(months / 12, "year"), (months % 12, "month"), (days, "day")] {
        if count != 0 {
            separate(out);
            put!(out, "{count} {unit}{}", if count.abs() == 1 { "" } else { "s" });
        }
    }
    if micros != 0 || out.len() == start {
        separate(out);
        if micros < 0 {
            out.push(b'-');
        }
        let micros = micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        put!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        put_fraction(i64::try_from(micros % 1_000_000).unwrap_or(0), 6, out);
    }
}

/// DECIMAL: the unscaled value with its point set `scale` digits from the right.
pub fn decimal(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let scale = usize::from(scale);
    if unscaled < 0 {
        out.push(b'-');
    }
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        put!(out, ".{fraction}");
    }
}

/// BIT in DuckDB's packing: the count of padding bits, then the bits, padded at the front.
pub fn bits(packed: &[u8], out: &mut Vec<u8>) {
    let Some((padding, bytes)) = packed.split_first() else { return };
    let all = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    out.extend(all.skip(usize::from(*padding)).map(|bit| b'0' + bit));
}

/// BIGNUM in DuckDB's packing: three bytes of sign and length, then the magnitude, most significant byte first;
/// all bits of a negative number are inverted.
pub fn bignum(packed: &[u8], out: &mut Vec<u8>) {
    const GROUP: u64 = 1_000_000_000;
    let Some((header, magnitude)) = packed.split_at_checked(3) else { return };
    let negative = header[0] & 0x80 == 0;
    // Little-endian groups of nine decimal digits.
    let mut groups: Vec<u32> = vec![0];
    for byte in magnitude {
        let mut carry = u64::from(if negative { !byte } else { *byte });
        for group in &mut groups {
            let value = u64::from(*group) << 8 | carry;
            // Both are below GROUP and 256, so they fit.
            *group = u32::try_from(value % GROUP).unwrap_or(0);
            carry = value / GROUP;
        }
        if carry > 0 {
            groups.push(u32::try_from(carry).unwrap_or(0));
        }
    }
    if negative {
        out.push(b'-');
    }
    let mut rest = groups.iter().rev();
    if let Some(first) = rest.next() {
        put!(out, "{first}");
    }
    for group in rest {
        put!(out, "{group:09}");
    }
}

/// UUID in its 36-character form.
pub fn uuid(bytes: [u8; 16], out: &mut Vec<u8>) {
    put!(out, "{}", uuid::Uuid::from_bytes(bytes));
}

/// Anything that has a plain text.
pub fn display(value: impl std::fmt::Display, out: &mut Vec<u8>) {
    put!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_have_duckdbs_text() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (18_321, "2020-02-29"),
            (-719_528, "0001-01-01 (BC)"),
            (-719_529, "0002-12-31 (BC)"),
            (i32::MAX, "infinity"),
            (-i32::MAX, "-infinity"),
            (2_147_483_646, "5881580-07-10"),
            (-2_147_483_646, "5877642-06-25 (BC)"),
        ] {
            assert_eq!(text(|out| date(days, out)), expected);
        }
    }

    #[test]
    fn timestamps_have_duckdbs_text() {
        for (value, unit, utc, expected) in [
            (0, 1_000_000, false, "1970-01-01 00:00:00"),
            (-1, 1_000_000, false, "1969-12-31 23:59:59.999999"),
            (9_223_372_036_854_775_806, 1_000_000, false, "294247-01-10 04:00:54.775806"),
            (i64::MAX, 1, false, "infinity"),
            (-i64::MAX, 1_000, true, "-infinity"),
            (1_577_836_800_500, 1_000, true, "2020-01-01 00:00:00.5+00"),
            (5, 1, false, "1970-01-01 00:00:05"),
        ] {
            assert_eq!(text(|out| timestamp(value, unit, utc, out)), expected);
        }
    }

    #[test]
    fn intervals_keep_their_three_parts() {
        for (months, days, micros, expected) in [
            (0, 0, 0, "00:00:00"),
            (-14, 0, 0, "-1 year -2 months"),
            (1, 1, 1_000_000, "1 month 1 day 00:00:01"),
            (0, 0, -1_500_000, "-00:00:01.5"),
            (999, 999, 999_999_999, "83 years 3 months 999 days 00:16:39.999999"),
        ] {
            assert_eq!(text(|out| interval(months, days, micros, out)), expected);
        }
    }

    #[test]
    fn numbers_lose_nothing() {
        assert_eq!(text(|out| decimal(-1, 4, out)), "-0.0001");
        assert_eq!(text(|out| decimal(15, 0, out)), "15");
        assert_eq!(text(|out| bits(&[3, 0xf5], out)), "10101");
        assert_eq!(text(|out| bignum(&[0x80, 0, 2, 0x01, 0x00], out)), "256");
        assert_eq!(text(|out| bignum(&[0x7f, 0xff, 0xfe, !0x05], out)), "-5");
        let big = [&[0x80, 0, 16][..], &[0xff; 16][..]].concat();
        assert_eq!(text(|out| bignum(&big, out)), u128::MAX.to_string());
        assert_eq!(text(|out| time_tz(86_400_000_000 << 24 | 0x1_c1fe, out)), "24:00:00-15:59:59");
    }
}
