//! Numbers, times and states, as they are shown.

use crate::observe::harmless;
use maud::{Markup, html};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// Most characters of a text of a client's.
const MOST: usize = 300;

/// A time, for people and for programs.
pub(super) fn time(at: SystemTime) -> Markup {
    let full = humantime::format_rfc3339_seconds(at).to_string();
    let shown = full.replace('T', " ").replace('Z', "");
    html! { time datetime=(full) { (shown) } }
}

/// A duration in its two greatest units.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |n: u64, unit: &str, rest: u64, small: &str| match rest {
        0 => format!("{n} {unit}"),
        rest => format!("{n} {unit} {rest} {small}"),
    };
    match seconds {
        0 if time.is_zero() => "0".to_owned(),
        0 => micros(time.as_micros()),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        86_400..8_640_000 => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Microseconds, in the unit that suits.
pub(super) fn micros(n: u128) -> String {
    match n {
        0..1000 => format!("{n} µs"),
        1000..1_000_000 => format!("{} ms", n / 1000),
        _ => format!("{} s", n / 1_000_000),
    }
}

/// A rate, with a digit behind the point where it is small.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{small:.1}"),
        rate => count(rate),
    }
}

/// A whole number, with spaces between thousands.
pub(super) fn count(n: impl Into<f64>) -> String {
    let digits = format!("{:.0}", n.into());
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// The same of a `usize`.
pub(super) fn number(n: usize) -> String {
    count(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The same of a `u64`, in full.
pub(super) fn total(n: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "digits behind the 15th are not read"
    )]
    let n = n as f64;
    count(n)
}

/// The front of a text of a client's, harmless.
pub(super) fn hostile(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST) {
        None => harmless(text),
        Some((end, _)) => Cow::Owned(format!("{}…", harmless(&text[..end]))),
    }
}

/// A state, with a colour that says whether it is good: the word says it, too.
pub(super) fn state(word: &str, kind: Mood) -> Markup {
    let class = match kind {
        Mood::Good => "state good",
        Mood::Plain => "state",
        Mood::Odd => "state odd",
        Mood::Bad => "state bad",
    };
    html! { span class=(class) { (word) } }
}

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Plain,
    Odd,
    Bad,
}

/// What is shown where there is nothing.
pub(super) fn nothing(text: &str) -> Markup {
    html! { p class="nothing" { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        let seconds = Duration::from_secs;
        for (time, expected) in [
            (Duration::ZERO, "0"),
            (Duration::from_micros(7), "7 µs"),
            (Duration::from_millis(250), "250 ms"),
            (seconds(59), "59 s"),
            (seconds(60), "1 min"),
            (seconds(3_725), "1 h 2 min"),
            (seconds(90_000), "1 d 1 h"),
            (seconds(200 * 86_400 + 3600), "200 d"),
        ] {
            assert_eq!(duration(time), expected);
        }
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(1.26), "1.3");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(999), "999");
    }

    #[test]
    fn a_text_of_a_client_is_bounded() {
        assert_eq!(hostile("a\nb"), "a\\nb");
        let long = hostile(&"ä".repeat(1000)).into_owned();
        assert_eq!(long.chars().count(), MOST + 1);
        assert!(long.ends_with('…'));
    }
}
