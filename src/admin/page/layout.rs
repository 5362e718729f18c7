//! The page as a whole, and the form to log in by.

use super::{
    Query, Scene, Viewer, audit, clients, directory, findings, overview, refusals, shown, tenants,
};
use crate::config::AdminRole;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What came of an administrator's action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done(String),
    /// It is not, and why.
    Refused(String),
}

/// The sections of the page, by the id of each and its heading.
const SECTIONS: [(&str, &str); 8] = [
    ("overview", "Overview"),
    ("tenants", "Tenants"),
    ("sessions", "Sessions"),
    ("refusals", "Refusals"),
    ("audit", "Audit log"),
    ("certificates", "Certificates and keys"),
    ("directory", "Directory"),
    ("findings", "Check"),
];

/// The content of each section, by its id.
#[must_use]
pub fn sections(scene: &Scene<'_>) -> Vec<(&'static str, String)> {
    let content = |id: &str| match id {
        "overview" => overview::section(scene.picture),
        "tenants" => tenants::section(scene),
        "sessions" => clients::section(scene),
        "refusals" => refusals::section(scene.picture),
        "audit" => audit::section(scene),
        "certificates" => directory::certificates(scene.picture),
        "directory" => directory::section(scene.picture),
        _ => findings::section(scene),
    };
    let all = SECTIONS.iter();
    all.map(|(id, _)| (*id, content(id).into_string()))
        .collect()
}

/// The whole page.
#[must_use]
pub fn page(scene: &Scene<'_>, outcome: Option<&Outcome>) -> String {
    let sections = sections(scene);
    let content = html! {
        header class="top" {
            h1 { img src="/icon.svg" alt="" width="24" height="24"; "pgtenant" }
            nav aria-label="Sections" {
                @for (id, heading) in SECTIONS { a href=(format!("#{id}")) { (heading) } " " }
            }
            (who(scene.viewer))
        }
        main {
            @if let Some(outcome) = outcome { (told(outcome)) }
            p class="live" {
                span id="live" role="status" { "Reload the page to refresh it." }
                " "
                button type="button" id="hold" hidden { "Stop refreshing" }
            }
            @for ((id, heading), (_, content)) in SECTIONS.iter().zip(sections) {
                section aria-labelledby=(format!("{id}-heading")) id=(id) {
                    h2 id=(format!("{id}-heading")) { (heading) }
                    @if *id == "tenants" { (search(scene.query)) }
                    div class="content" data-section=(id) { (PreEscaped(content)) }
                }
            }
        }
    };
    document("pgtenant", true, &content)
}

/// The form to log in by; `failed`: what was wrong with the last try.
#[must_use]
pub fn login(failed: Option<&str>) -> String {
    let content = html! {
        main class="login" {
            h1 { img src="/icon.svg" alt="" width="24" height="24"; "pgtenant" }
            @if let Some(failed) = failed { p class="outcome bad" role="alert" { (failed) } }
            form method="post" action="/login" {
                label { "User" input name="user" autocomplete="username" required autofocus autocapitalize="none" spellcheck="false"; }
                label { "Password" input name="password" type="password" autocomplete="current-password" required; }
                button { "Log in" }
            }
            p class="nothing" { "For the administrators of " code { "[[admins]]" } ". With a client certificate no password is needed." }
        }
    };
    document("Log in to pgtenant", false, &content)
}

fn document(title: &str, refreshes: bool, content: &Markup) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/page.css";
                @if refreshes { script src="/page.js" defer {} }
            }
            body { (content) }
        }
    };
    document.into_string()
}

fn who(viewer: &Viewer) -> Markup {
    let role = match viewer.role {
        AdminRole::Viewer => "viewer",
        AdminRole::Operator => "operator",
    };
    html! {
        p class="who" {
            (shown::hostile(&viewer.name)) " (" (role) ")"
            @if viewer.logs_out {
                form method="post" action="/logout" {
                    input type="hidden" name="csrf" value=(viewer.csrf);
                    button class="link" { "Log out" }
                }
            }
        }
    }
}

fn told(outcome: &Outcome) -> Markup {
    match outcome {
        Outcome::Done(text) => html! { p class="outcome good" role="status" { (text) } },
        Outcome::Refused(text) => {
            html! { p class="outcome bad" role="alert" { "Not done: " (text) } }
        }
    }
}

/// Outside of what is refreshed: what is being typed stays.
fn search(query: &Query) -> Markup {
    html! {
        form class="search" method="get" action="/#tenants" role="search" {
            label { "Search" input type="search" name="q" value=(query.text) placeholder="tenant, login, address, application"; }
            label { "Sort by"
                select name="sort" {
                    @for (sort, word, name) in super::Sort::ALL {
                        option value=(word) selected[sort == query.sort] { (name) }
                    }
                }
            }
            button { "Search" }
        }
    }
}

/// Something that an administrator can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'a> {
    /// The word of it, as [`Deed`](super::Deed) reads it.
    pub(super) word: &'static str,
    /// With what it is done: a tenant's id, a session's number.
    pub(super) target: &'a str,
    /// The section that is shown afterwards.
    pub(super) section: &'static str,
    /// What the button says.
    pub(super) label: &'static str,
}

impl Action<'_> {
    /// A button that shows the one that does it: nobody does it by mistake.
    pub(super) fn guarded(self, scene: &Scene<'_>, label: &str) -> Markup {
        html! {
            details class="action" data-keep=(format!("{} {}", self.word, self.target)) {
                summary { (label) }
                (self.button(scene))
            }
        }
    }

    /// The button that does it.
    pub(super) fn button(self, scene: &Scene<'_>) -> Markup {
        let Self {
            word,
            target,
            section,
            label,
        } = self;
        html! {
            form method="post" action=(format!("/act?{}", scene.query.encode())) {
                input type="hidden" name="csrf" value=(scene.viewer.csrf);
                input type="hidden" name="action" value=(word);
                input type="hidden" name="target" value=(target);
                input type="hidden" name="section" value=(section);
                button data-keep=(format!("{word} {target} button")) { (label) }
            }
        }
    }
}
