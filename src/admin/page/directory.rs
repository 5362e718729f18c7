//! The directory of tenants, and what holds for a time: certificates and keys.

use super::picture::Picture;
use super::shown;
use crate::tenant::Standing;
use maud::{Markup, html};
use shown::Mood;
use std::time::Duration;

pub(super) fn section(picture: &Picture) -> Markup {
    let directory = &picture.directory;
    let of = |standing| {
        let tenants = directory.tenants();
        tenants.filter(|tenant| tenant.standing == standing).count()
    };
    let (word, mood) = match directory.is_complete() {
        true => ("complete", Mood::Good),
        false => ("a source is away", Mood::Bad),
    };
    html! {
        dl class="figures" {
            div { dt { "State" } dd { (shown::state(word, mood)) } }
            div { dt { "Tenants" } dd { (shown::number(directory.tenants().count())) } }
            div { dt { "Read-only" } dd { (shown::number(of(Standing::ReadOnly))) } }
            div { dt { "Suspended" } dd { (shown::number(of(Standing::Suspended))) } }
            div { dt { "Logins" } dd { (shown::number(directory.len())) } }
            @if let Some(age) = directory.age() {
                div { dt { "Confirmed by its database" } dd { (shown::duration(age)) " ago" } }
                div { dt { "Entries that cannot be used" } dd {
                    @match directory.left_out() {
                        0 => { "0" }
                        n => (shown::state(&shown::number(n), Mood::Odd)),
                    }
                } }
            }
        }
    }
}

/// A certificate that ends so soon must be looked after.
const SOON: i64 = 14 * 86_400;

pub(super) fn certificates(picture: &Picture) -> Markup {
    if picture.lifetimes.is_empty() && picture.key_ages.is_empty() {
        return shown::nothing(
            "There is no certificate: clients come in clear text. No keys of tokens are fetched.",
        );
    }
    html! {
        table {
            thead { tr { th scope="col" { "File or issuer" } th scope="col" { "State" } th scope="col" { "More" } } }
            tbody {
                @for (file, lifetime) in &picture.lifetimes {
                    tr {
                        th scope="row" { code { (file) } }
                        td data-label="State" { (left(lifetime.left(picture.time))) }
                        td data-label="More" { (lifetime) }
                    }
                }
                @for (issuer, age) in &picture.key_ages {
                    tr {
                        th scope="row" { (shown::hostile(issuer)) }
                        td data-label="State" {
                            @match age {
                                Some(age) => { "keys fetched " (shown::duration(*age)) " ago" }
                                None => (shown::state("no keys yet", Mood::Odd)),
                            }
                        }
                        td data-label="More" { "issuer of tokens" }
                    }
                }
            }
        }
    }
}

fn left(seconds: i64) -> Markup {
    let time = shown::duration(Duration::from_secs(seconds.unsigned_abs()));
    match seconds {
        ..=0 => shown::state(&format!("expired {time} ago"), Mood::Bad),
        1..SOON => shown::state(&format!("expires in {time}"), Mood::Odd),
        _ => shown::state(&format!("expires in {time}"), Mood::Good),
    }
}
