//! `[profiles.NAME]`, and the keys of other sections that name one.

use super::limits;
use super::reader::{Entry, Section};
use super::servers::Servers;
use super::size;
use crate::audit::Statements;
use crate::problem::{shown, suggestion};
use crate::tenant::{MostResult, Profile, ProfileName, SharedProfile};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MOST_ROWS: u32 = u32::MAX;
const LEAST_BYTES: usize = 1 << 10;
const MOST_BYTES: usize = 1 << 40;

/// The profiles, and the names of those too that have a problem.
#[derive(Clone, Default)]
pub(super) struct Profiles {
    declared: BTreeSet<String>,
    valid: BTreeMap<ProfileName, SharedProfile>,
}

impl Profiles {
    /// What the key `profile` names; `None` if it is not there.
    pub(super) fn named(&self, section: &mut Section<'_>) -> Option<Option<SharedProfile>> {
        match section.optional("profile") {
            Some(entry) => self.find(&entry, entry.text()?).map(Some),
            None => Some(None),
        }
    }

    /// The profile of this name, which the value of `entry` has.
    pub(super) fn find(&self, entry: &Entry<'_>, name: &str) -> Option<SharedProfile> {
        if !self.declared.contains(name) {
            let near = suggestion(name, self.declared.iter().map(String::as_str));
            let name = shown(name);
            entry.refuse_hidden(format!(
                "no section [profiles.NAME] has the name {name}; {near}"
            ));
            return None;
        }
        self.valid.get(name).cloned()
    }

    /// The most that one of them says is recorded.
    pub(super) fn audited(&self) -> Option<Statements> {
        let all = self.valid.values();
        all.filter_map(|profile| profile.limits.audit).max()
    }

    /// The names of those that may see masked data alone.
    pub(super) fn masked(&self) -> impl Iterator<Item = &str> {
        let masked = self.valid.values().filter(|profile| profile.masked);
        masked.map(|profile| profile.name.as_str())
    }

    /// All of them, by name.
    pub(super) fn into_all(self) -> BTreeMap<ProfileName, SharedProfile> {
        self.valid
    }
}

/// Reads the sections.
pub(super) fn read(root: &mut Section<'_>, servers: &Servers) -> Profiles {
    let mut profiles = Profiles::default();
    for (name, section) in root.sections("profiles") {
        let profile = section.and_then(|section| profile(&name, section, servers));
        if let Some(profile) = profile {
            let profile = Arc::new(profile);
            profiles.valid.insert(profile.name.clone(), profile);
        }
        profiles.declared.insert(name);
    }
    profiles
}

fn profile(name: &str, mut section: Section<'_>, servers: &Servers) -> Option<Profile> {
    let read_only = flag(&mut section, "read_only");
    let masked = flag(&mut section, "masked");
    let server = match section.optional("server") {
        Some(entry) => servers.find(&entry).map(Some),
        None => Some(None),
    };
    let limits = limits::read(&mut section);
    let rows = match section.optional("max_rows") {
        Some(entry) => entry.integer(1..=MOST_ROWS).map(|n| Some(n.into())),
        None => Some(None),
    };
    let bytes = match section.optional("max_result_bytes") {
        Some(entry) => size::read(&entry, LEAST_BYTES..=MOST_BYTES).map(|n| Some(n as u64)),
        None => Some(None),
    };
    section.finish();
    Some(Profile {
        name: ProfileName::new(name),
        read_only: read_only?,
        masked: masked?,
        server: server?,
        limits: limits?,
        most_result: MostResult {
            rows: rows?,
            bytes: bytes?,
        },
    })
}

fn flag(section: &mut Section<'_>, key: &str) -> Option<bool> {
    match section.optional(key) {
        Some(entry) => entry.boolean(),
        None => Some(false),
    }
}
