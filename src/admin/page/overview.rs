//! How the process is.

use super::picture::Picture;
use super::{chart, shown};
use crate::metrics::MINUTES;
use maud::{Markup, html};
use shown::Mood;

pub(super) fn section(picture: &Picture) -> Markup {
    let failing: Vec<_> = picture
        .checks
        .iter()
        .filter(|check| !check.passes)
        .collect();
    let (word, mood) = match failing.is_empty() {
        true => ("ready", Mood::Good),
        false => ("not ready", Mood::Bad),
    };
    let servers = &picture.servers;
    html! {
        dl class="figures" {
            div { dt { "State" } dd { (shown::state(word, mood)) } }
            div { dt { "Clients" } dd { (shown::number(picture.sessions.len())) } }
            div { dt { "Active" } dd { (shown::number(picture.active())) } }
            div { dt { "Waiting" } dd { (shown::number(picture.waiting())) } }
            div { dt { "Server connections" } dd {
                (shown::number(servers.active)) " in use, " (shown::number(servers.idle)) " idle"
                @if servers.opening > 0 { ", " (shown::number(servers.opening)) " opening" }
            } }
            div { dt { "Transactions a second" } dd { (shown::rate(picture.all.rate)) (rates(picture)) } }
            div { dt { "Refusals in the last hour" } dd { (shown::total(picture.all.refusals())) (refusals(picture)) } }
            div { dt { "Up for" } dd { (shown::duration(picture.uptime)) } }
            div { dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) } }
            div { dt { "Time (UTC)" } dd { (shown::time(picture.time)) } }
        }
        @for check in failing {
            p class="outcome bad" { (check.name) ": " (shown::hostile(&check.detail)) }
        }
    }
}

fn rates(picture: &Picture) -> Markup {
    let minutes = picture.all.minutes.iter();
    let values: Vec<_> = minutes
        .map(|minute| f64::from(minute.transactions) / 60.0)
        .collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    chart::bars(
        &values,
        MINUTES,
        "Transactions a second",
        &shown::rate(most),
    )
}

fn refusals(picture: &Picture) -> Markup {
    let minutes = picture.all.minutes.iter();
    let values: Vec<_> = minutes.map(|minute| f64::from(minute.refusals)).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    chart::bars(&values, MINUTES, "Refusals a minute", &shown::count(most))
}
