//! Small charts of the last hour, as SVG.

use maud::{Markup, html};
use std::fmt::Write as _;

const HEIGHT: f64 = 24.0;
/// The width of a minute.
const STEP: f64 = 2.0;

/// A bar for each of the last minutes, the latest at the right end; `what` names it for
/// those who do not see it, and `most` is the greatest value as it is to be read.
pub(super) fn bars(values: &[f64], minutes: usize, what: &str, most: &str) -> Markup {
    let width = STEP * number(minutes);
    let label = match values.iter().any(|value| *value > 0.0) {
        true => format!("{what} in the last hour, at most {most}"),
        false => format!("{what} in the last hour: none"),
    };
    html! {
        svg class="bars" viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            path class="ground" d=(format!("M0 {}h{width}", HEIGHT - 0.5)) {}
            path d=(path(values, minutes)) {}
        }
    }
}

/// One path for all bars: with many tenants there are many charts.
fn path(values: &[f64], minutes: usize) -> String {
    let most = values.iter().copied().fold(0.0, f64::max);
    let first = minutes.saturating_sub(values.len());
    let shown = values.iter().skip(values.len().saturating_sub(minutes));
    let mut path = String::new();
    for (n, value) in shown.enumerate() {
        if *value > 0.0 && most > 0.0 {
            // A bar that is there is seen.
            let height = (value / most * (HEIGHT - 1.0)).max(1.5);
            let x = STEP * number(first + n);
            let _ = write!(
                path,
                "M{x} {HEIGHT}v-{height:.1}h{:.1}V{HEIGHT}z",
                STEP - 0.5
            );
        }
    }
    path
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_value_fills_the_height_and_the_latest_stands_at_the_right() {
        assert_eq!(path(&[0.0, 10.0], 2), "M2 24v-23.0h1.5V24z");
        assert_eq!(
            path(&[5.0, 10.0], 60),
            "M116 24v-11.5h1.5V24zM118 24v-23.0h1.5V24z"
        );
        assert_eq!(path(&[1.0; 61], 60).matches('M').count(), 60);
        assert_eq!(path(&[0.0; 60], 60), "");
        assert_eq!(path(&[], 60), "");
        let shown = bars(&[], 60, "<waits>", "0").into_string();
        assert!(
            shown.contains("&lt;waits&gt; in the last hour: none"),
            "{shown}"
        );
    }
}
