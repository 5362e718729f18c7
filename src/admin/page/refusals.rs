//! Statements that were refused.

use super::picture::Picture;
use super::shown;
use crate::metrics::Refused;
use maud::{Markup, html};
use shown::Mood;

/// Refusals that are shown.
const MOST: usize = 25;

pub(super) fn section(picture: &Picture) -> Markup {
    if picture.refused_by_rule.is_empty() {
        return shown::nothing("No statement has been refused since the process has started.");
    }
    let mut rules: Vec<_> = picture.refused_by_rule.iter().collect();
    rules.sort_by_key(|(rule, n)| (std::cmp::Reverse(**n), **rule));
    html! {
        table class="narrow" {
            caption { "By rule, since the process has started" }
            thead { tr { th scope="col" { "Rule" } th scope="col" class="number" { "Refusals" } } }
            tbody {
                @for (rule, n) in rules {
                    tr { th scope="row" { code { (rule) } } td data-label="Refusals" class="number" { (shown::total(*n)) } }
                }
            }
        }
        table {
            caption { "The latest" }
            thead { tr {
                th scope="col" { "Time (UTC)" }
                th scope="col" { "Who" }
                th scope="col" { "Rule" }
                th scope="col" { "Statement" }
            } }
            tbody { @for refused in picture.refusals.iter().take(MOST) { (row(refused)) } }
        }
    }
}

fn row(refused: &Refused) -> Markup {
    html! {
        tr {
            th scope="row" { (shown::time(refused.time)) }
            td data-label="Who" {
                (shown::hostile(refused.login.as_str()))
                small { "of " (shown::hostile(refused.tenant.as_str())) ", from " (refused.client) }
            }
            td data-label="Rule" {
                code { (refused.rule) }
                @if !refused.enforced { small { (shown::state("reported only", Mood::Odd)) } }
            }
            td data-label="Statement" class="text" {
                (shown::hostile(&refused.message))
                @if let Some(shape) = &refused.shape { small { code { (shown::hostile(shape)) } } }
            }
        }
    }
}
