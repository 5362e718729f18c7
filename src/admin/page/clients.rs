//! The sessions of clients.

use super::layout::Action;
use super::{Query, Scene, shown};
use crate::session::{Hold, SessionState, SessionView};
use maud::{Markup, html};
use shown::Mood;
use std::time::{Duration, SystemTime};

/// Sessions that are shown at once.
const MOST: usize = 100;

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let sessions = &scene.picture.sessions;
    let found: Vec<_> = sessions
        .iter()
        .filter(|session| is_found(session, scene.query))
        .collect();
    html! {
        p class="nothing" {
            (shown::number(found.len())) " of " (shown::number(sessions.len())) " sessions"
            @if scene.query.text.is_empty() { "." } @else { " found." }
            @if found.len() > MOST { " The latest " (MOST) " are shown: search for others." }
        }
        @if !found.is_empty() {
            table {
                thead { tr {
                    th scope="col" { "Tenant" }
                    th scope="col" { "Login" }
                    th scope="col" { "State" }
                    th scope="col" { "Since" }
                    th scope="col" { "Client" }
                    th scope="col" { "Application" }
                    th scope="col" { "Server process" }
                    @if scene.viewer.steers() { th scope="col" { "Actions" } }
                } }
                tbody { @for session in found.iter().take(MOST) { (row(session, scene)) } }
            }
        }
    }
}

fn is_found(session: &SessionView, query: &Query) -> bool {
    let address = session.address.to_string();
    query.finds([
        session.tenant.id.as_str(),
        &session.tenant.name,
        session.login.as_str(),
        &session.application,
        &address,
    ])
}

fn row(session: &SessionView, scene: &Scene<'_>) -> Markup {
    let since = |then: SystemTime| {
        scene
            .picture
            .time
            .duration_since(then)
            .unwrap_or(Duration::ZERO)
    };
    html! {
        tr {
            th scope="row" {
                span class="name" { (shown::hostile(&session.tenant.name)) }
                " " code { (shown::hostile(session.tenant.id.as_str())) }
            }
            td data-label="Login" { (shown::hostile(session.login.as_str())) }
            td data-label="State" { (state(session)) }
            td data-label="Since" {
                (shown::duration(since(session.since)))
                small { "connected " (shown::duration(since(session.connected))) " ago" }
            }
            td data-label="Client" {
                (session.address)
                @match &session.tls {
                    Some(tls) => small { (tls) },
                    None => small class="odd" { "clear text" }
                }
            }
            td data-label="Application" class="client" { (shown::hostile(&session.application)) }
            td data-label="Server process" {
                @match session.backend { Some(key) => (key.pid), None => "–" }
                small { (session.endpoint.server.as_str()) "/" (session.endpoint.database) }
            }
            @if scene.viewer.steers() { td data-label="Actions" class="actions" { (end(session, scene)) } }
        }
    }
}

fn state(session: &SessionView) -> Markup {
    let (word, mood) = match session.state {
        SessionState::Idle => ("idle", Mood::Plain),
        SessionState::Waiting => ("waiting", Mood::Odd),
        SessionState::Attaching | SessionState::Active => ("active", Mood::Good),
    };
    let holds = match session.hold {
        Hold::No => None,
        Hold::Transaction => Some("in a transaction"),
        Hold::Objects => Some("pinned by objects"),
        Hold::Locks => Some("pinned by locks"),
        Hold::Session => Some("session mode"),
    };
    html! {
        (shown::state(word, mood))
        @if let Some(holds) = holds { small { (holds) } }
    }
}

fn end(session: &SessionView, scene: &Scene<'_>) -> Markup {
    let action = Action {
        word: "kill_client",
        target: &session.id.to_string(),
        section: "sessions",
        label: "End this session",
    };
    action.guarded(scene, "End")
}
