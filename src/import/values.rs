//! Numbers and lengths of time as PgBouncer writes them, and as pgtenant does.

use std::time::Duration;

/// A whole number: decimal, `0x…` or octal with a leading zero (C's `strtol`).
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let number = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) if !hex.starts_with(['+', '-']) => i64::from_str_radix(hex, 16),
        (None, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8),
        (None, _) => digits.parse(),
        (Some(_), _) => return None,
    };
    number.ok()?.checked_mul(sign)
}

/// Seconds, with a fraction if there is one.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A length of time in the largest unit that needs no fraction, down to milliseconds.
pub(super) fn duration(length: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [
        (24 * 3_600_000, "day"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1000, "s"),
    ];
    let millis = length.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let whole = |(unit, _): &&(u128, &str)| millis.is_multiple_of(*unit);
    match UNITS.iter().find(whole) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// TOML text in quotes.
pub(super) fn text(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML list of texts; a single one stands by itself.
pub(super) fn texts(values: &[String]) -> String {
    match values {
        [one] => text(one),
        all => {
            let all: Vec<_> = all.iter().map(|value| text(value)).collect();
            format!("[{}]", all.join(", "))
        }
    }
}
