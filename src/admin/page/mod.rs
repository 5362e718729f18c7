//! The page for people who would rather look than read.
//!
//! Everything on it is made here, as HTML and SVG: who serves it asks for a whole
//! [`page`], or for its [`sections`] to refresh one. Texts of clients are hostile, and
//! `maud` escapes them where they are put in. A [`Picture`] of the process is taken
//! once and shared by all who look.

mod audit;
mod chart;
mod clients;
mod deed;
mod directory;
mod errand;
mod findings;
mod layout;
mod overview;
mod picture;
mod refusals;
mod shown;
mod tenants;

pub use deed::Deed;
pub use errand::{Checkup, Errand, Errands};
pub use layout::{Outcome, login, page, sections};
pub use picture::Picture;

use crate::config::AdminRole;
use crate::console::Steered;
use crate::metrics::History;
use crate::x509::Lifetime;
use std::collections::BTreeMap;
use std::time::Duration;

/// The script that refreshes the page.
pub const SCRIPT: &str = include_str!("page.js");
/// The style of the page.
pub const STYLE: &str = include_str!("page.css");
/// The page's icon.
pub const ICON: &str = include_str!("icon.svg");

/// What the page shows beside what the console does.
pub trait Shown: Steered {
    /// What was counted in the last hour.
    fn history(&self) -> &History;

    /// Statements that were refused, by rule, since the process has started.
    fn refused_by_rule(&self) -> BTreeMap<&'static str, u64>;

    /// How old the keys of each issuer of tokens are; `None`: there are none yet.
    fn key_ages(&self) -> Vec<(String, Option<Duration>)>;

    /// How long the proxy's own certificates hold, by file.
    fn lifetimes(&self) -> Vec<(String, Lifetime)>;

    /// How long the process has served.
    fn uptime(&self) -> Duration;

    /// What `pgtenant check` would say; `None` where there is no configuration file.
    fn checkup(&self) -> Option<Checkup>;
}

/// What there is to show, to whom.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The process.
    pub picture: &'a Picture,
    /// What was counted in the last hour.
    pub history: &'a History,
    /// What takes a while.
    pub errands: &'a Errands,
    /// Who looks.
    pub viewer: &'a Viewer,
    /// What is looked for.
    pub query: &'a Query,
}

/// Who looks at the page.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// An administrator's name.
    pub name: String,
    /// What it may do.
    pub role: AdminRole,
    /// Whether it has logged in by the form, and can log out.
    pub logs_out: bool,
    /// What its forms must carry, so that no other site can send them.
    pub csrf: String,
}

impl Viewer {
    fn steers(&self) -> bool {
        self.role == AdminRole::Operator
    }
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// A part of a tenant's id or name, of a login, an address or an application.
    pub text: String,
    /// By what tenants are sorted.
    pub sort: Sort,
}

/// By what tenants are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// Those first whose clients wait, then by transactions a second.
    #[default]
    Activity,
    /// Those with the most clients first.
    Clients,
    /// Those with the most refusals first.
    Refusals,
    /// By id.
    Name,
}

impl Sort {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Activity, "activity", "Activity"),
        (Self::Clients, "clients", "Clients"),
        (Self::Refusals, "refusals", "Refusals"),
        (Self::Name, "name", "Id"),
    ];

    fn word(self) -> &'static str {
        let own = Self::ALL.iter().find(|(sort, _, _)| *sort == self);
        own.map_or("activity", |(_, word, _)| word)
    }
}

/// Most bytes of a text that is looked for.
const MOST_QUERY: usize = 200;

impl Query {
    /// The query string of an address: `q=acme&sort=name`. What is not understood is
    /// left out.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "q" => {
                    let end = value.floor_char_boundary(MOST_QUERY);
                    parsed.text = value[..end].trim().to_owned();
                }
                "sort" => {
                    let mut all = Sort::ALL.iter();
                    let own = all.find(|(_, word, _)| *word == value);
                    parsed.sort = own.map_or_else(Sort::default, |(sort, _, _)| *sort);
                }
                _ => {}
            }
        }
        parsed
    }

    /// As the query string of an address.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.text.is_empty() {
            query.append_pair("q", &self.text);
        }
        if self.sort != Sort::default() {
            query.append_pair("sort", self.sort.word());
        }
        query.finish()
    }

    /// Whether one of these texts has what is looked for, in whatever case.
    fn finds<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let wanted = self.text.to_lowercase();
        wanted.is_empty()
            || texts
                .into_iter()
                .any(|text| text.to_lowercase().contains(&wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_is_written() {
        for (text, sort) in [
            ("", Sort::Activity),
            ("a&b=c d", Sort::Name),
            ("Müller %", Sort::Refusals),
        ] {
            let text = text.to_owned();
            let query = Query { text, sort };
            assert_eq!(Query::parse(&query.encode()), query);
        }
        let query = Query::parse("sort=nonsense&x=y&q=%20acme%20");
        assert_eq!(query.text, "acme");
        assert_eq!(query.sort, Sort::Activity);
        assert!(query.finds(["x", "ACME Inc."]));
        assert!(!query.finds(["x"]));
    }
}
