//! Tenants: who they are, what they do, and what they did in the last hour.

use super::layout::Action;
use super::picture::{Activity, Picture};
use super::{Query, Scene, Sort, chart, shown};
use crate::metrics::{MINUTES, Minute, Recent};
use crate::pool::Scope;
use crate::tenant::{SharedTenant, Standing, TenantId};
use maud::{Markup, html};
use shown::Mood;
use std::cmp::Reverse;
use std::time::Duration;

/// Tenants that are shown at once.
pub(super) const MOST: usize = 100;
/// A client that waits for so long waits for long.
const LONG: Duration = Duration::from_secs(1);

/// A tenant that is shown.
struct Row<'p> {
    id: &'p TenantId,
    /// `None`: it is no longer in the directory.
    tenant: Option<&'p SharedTenant>,
    activity: Activity,
}

/// With what each of those that are shown did of late.
pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let (picture, query) = (scene.picture, scene.query);
    let (rows, found) = rows(picture, query);
    let all = picture.directory.tenants().count();
    html! {
        p class="nothing" {
            @if query.text.is_empty() {
                (shown::number(found)) " of " (shown::number(all)) " tenants have a client or had one of late."
            } @else {
                (shown::number(found)) " of " (shown::number(all)) " tenants found."
            }
            @if found > MOST { " The first " (MOST) " are shown: search for others." }
        }
        @if !rows.is_empty() {
            table {
                thead { tr {
                    th scope="col" { "Tenant" }
                    th scope="col" { "State" }
                    th scope="col" class="number" { "Clients" }
                    th scope="col" class="number" { "Server connections" }
                    th scope="col" class="number" { "Transactions a second" }
                    th scope="col" class="number" { "Wait" }
                    th scope="col" class="number" { "Refusals" }
                    @if scene.viewer.steers() { th scope="col" { "Actions" } }
                } }
                tbody { @for row in &rows { (tenant(row, scene)) } }
            }
        }
    }
}

fn rows<'p>(picture: &'p Picture, query: &Query) -> (Vec<Row<'p>>, usize) {
    let row = |id: &'p TenantId, tenant: Option<&'p SharedTenant>| Row {
        id,
        tenant,
        activity: picture.tenants.get(id).copied().unwrap_or_default(),
    };
    let directory = &picture.directory;
    let mut rows: Vec<_> = match query.text.is_empty() {
        true => {
            let active = picture.tenants.keys();
            active.map(|id| row(id, directory.tenant(id))).collect()
        }
        false => {
            let known = directory.tenants();
            let known = known.map(|tenant| row(&tenant.id, Some(tenant)));
            let gone = picture.tenants.keys();
            let gone = gone.filter(|id| directory.tenant(id).is_none());
            let all = known.chain(gone.map(|id| row(id, None)));
            all.filter(|row| query.finds(texts(row))).collect()
        }
    };
    rows.sort_by(|a, b| order(a, query.sort).cmp(&order(b, query.sort)));
    let found = rows.len();
    rows.truncate(MOST);
    (rows, found)
}

fn texts<'r>(row: &'r Row<'_>) -> impl Iterator<Item = &'r str> {
    let name = row.tenant.map(|tenant| &*tenant.name);
    [row.id.as_str()].into_iter().chain(name)
}

fn order<'r>(row: &'r Row<'_>, sort: Sort) -> (Reverse<u64>, Reverse<u64>, &'r str) {
    let activity = &row.activity;
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    // A thousandth is nothing that anybody sees.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rate = (activity.rate * 1000.0) as u64;
    let (first, second) = match sort {
        Sort::Activity => (wide(activity.waiting), rate.max(wide(activity.clients))),
        Sort::Clients => (wide(activity.clients), 0),
        Sort::Refusals => (activity.refusals, 0),
        Sort::Name => (0, 0),
    };
    (Reverse(first), Reverse(second), row.id.as_str())
}

fn tenant(row: &Row<'_>, scene: &Scene<'_>) -> Markup {
    let Row {
        id,
        tenant,
        activity,
    } = row;
    let recent = &scene.history.of(id);
    html! {
        tr {
            th scope="row" {
                span class="name" { (shown::hostile(tenant.map_or("", |tenant| &tenant.name))) }
                " " code { (shown::hostile(id.as_str())) }
                @if let Some(tenant) = tenant {
                    " " span class="place" {
                        (tenant.isolation.as_str()) ", "
                        (tenant.placement.endpoint.server.as_str()) "/" (tenant.placement.endpoint.database)
                    }
                }
            }
            td data-label="State" { (state(row, scene.picture)) }
            td data-label="Clients" class="number" {
                (shown::number(activity.clients))
                @if activity.active > 0 { small { (shown::number(activity.active)) " active" } }
                @if activity.pinned > 0 { small { (shown::number(activity.pinned)) " pinned" } }
                @if activity.waiting > 0 { small class="odd" { (shown::number(activity.waiting)) " waiting" } }
            }
            td data-label="Server connections" class="number" { (shown::number(activity.connections)) }
            td data-label="Transactions a second" class="number" {
                (shown::rate(activity.rate))
                (bars(recent, |minute| f64::from(minute.transactions) / 60.0, "Transactions a second", shown::rate))
            }
            td data-label="Wait" class="number" {
                @match activity.waiting {
                    0 => "–",
                    _ => span class=[(activity.longest >= LONG).then_some("odd")] { (shown::duration(activity.longest)) }
                }
                (bars(recent, |minute| f64::from(minute.wait), "Wait for a server connection", wait))
            }
            td data-label="Refusals" class="number" {
                (shown::total(activity.refusals))
                (bars(recent, |minute| f64::from(minute.refusals), "Refusals a minute", shown::count))
            }
            @if scene.viewer.steers() { td data-label="Actions" class="actions" { (actions(row, scene)) } }
        }
    }
}

fn wait(micros: f64) -> String {
    // It was counted as a whole number.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    shown::micros(micros as u128)
}

fn bars(
    recent: &Recent,
    value: impl Fn(&Minute) -> f64,
    what: &str,
    told: impl Fn(f64) -> String,
) -> Markup {
    let values: Vec<_> = recent.minutes.iter().map(value).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    chart::bars(&values, MINUTES, what, &told(most))
}

fn state(row: &Row<'_>, picture: &Picture) -> Markup {
    let Some(tenant) = row.tenant else {
        return shown::state("removed", Mood::Bad);
    };
    let mood = match tenant.standing {
        Standing::Active => Mood::Good,
        Standing::ReadOnly => Mood::Odd,
        Standing::Suspended => Mood::Bad,
    };
    let is_disabled = picture.disabled.contains(&Scope::Tenant(row.id.clone()));
    html! {
        (shown::state(tenant.standing.name(), mood))
        @if picture.is_paused(row.id) { " " (shown::state("paused", Mood::Odd)) }
        @if is_disabled { " " (shown::state("disabled", Mood::Odd)) }
    }
}

fn actions(row: &Row<'_>, scene: &Scene<'_>) -> Markup {
    let one = |word, label, guard| {
        let action = Action {
            word,
            target: row.id.as_str(),
            section: "tenants",
            label,
        };
        action.guarded(scene, guard)
    };
    let is_known = row.tenant.is_some();
    let is_paused = scene
        .picture
        .paused
        .contains(&Scope::Tenant(row.id.clone()));
    html! {
        @if is_known && is_paused {
            (one("resume_tenant", "Resume this tenant", "Resume"))
        }
        @if is_known && !is_paused {
            (one("pause_tenant", "Pause this tenant", "Pause"))
        }
        @if is_known && row.activity.clients > 0 {
            (one("kill_tenant", "End all clients of this tenant", "End clients"))
        }
    }
}
