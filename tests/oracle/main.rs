//! The guard against the server itself: statements of a grammar that the guard
//! lets pass are run on a real server, straight and as the role that tenants
//! share, and must leave the tenant's context as it is. The server is the judge
//! of what a statement does.
//!
//! The session's reset values name another tenant, so whatever returns to them
//! without saying so is seen.
//!
//! `PGTENANT_ORACLE_SCENARIOS` and `PGTENANT_ORACLE_SEED` make it run longer and
//! elsewhere; a failure names the seed of its scenario.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, missing_docs)]

mod server;
#[allow(unreachable_pub, dead_code)]
#[path = "../../fuzz/src/sql.rs"]
mod sql;

use pgtenant::guard::{
    Effects, Guard, Mode, Options, Permission, Policy, TouchedSettings, is_same_path,
};
use server::{Kind, Server, Session, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Scenarios of each search unless told otherwise.
const SCENARIOS: u64 = 1000;

#[test]
fn what_passes_leaves_the_tenant_of_the_setting_kind() {
    search(Kind::Setting, Permission::Reject);
}

#[test]
fn what_passes_and_is_not_doubtful_leaves_the_tenant_where_opaque_code_is_allowed() {
    search(Kind::Setting, Permission::Allow);
}

#[test]
fn what_passes_leaves_the_tenant_of_the_schema_kind() {
    search(Kind::Schema, Permission::Reject);
}

/// Without the guard the same scenarios do leave it: the oracle sees that.
#[test]
fn what_is_refused_would_have_changed_the_context() {
    /// These would reach beyond the session.
    const RULES: &[&str] = &[
        "tenant-setting",
        "role",
        "isolation-setting",
        "client-encoding",
        "string-syntax",
        "computed-setting",
        "deferred-setting",
        "pg-settings",
        "opaque-code",
        "text-as-sql",
        "reset-not-last",
    ];
    let server = Server::start(Kind::Setting);
    let guard = guard(Kind::Setting, Permission::Reject);
    let mut session = server.session();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for at in 0..2000 {
        let text = sql::generate(&bytes(1, at)).text;
        let verdict = guard.inspect(text.as_bytes());
        let rule = verdict.refusal.as_ref().map(|refusal| refusal.rule);
        if rule.is_none_or(|rule| !RULES.contains(&rule)) {
            continue;
        }
        session.attach();
        let before = session.state();
        let foreign = session.run(&text).is_some_and(|answer| answer.foreign);
        session.end();
        let changed = session
            .alive()
            .then(|| session.state().context != before.context);
        if foreign || changed == Some(true) {
            *seen.entry(rule.unwrap()).or_default() += 1;
        }
        server.clean(&text);
        if !session.alive() {
            session = server.session();
        }
    }
    println!("without the guard the context changes by {seen:?}");
    assert!(seen.values().sum::<usize>() > 40, "{seen:?}");
    for rule in [
        "tenant-setting",
        "role",
        "client-encoding",
        "computed-setting",
        "opaque-code",
    ] {
        let times = seen.get(rule).copied().unwrap_or_default();
        assert!(times > 2, "{rule}: {seen:?}");
    }
}

fn guard(kind: Kind, opaque: Permission) -> Guard {
    let options = Options {
        mode: Mode::Enforce,
        opaque,
        channels: opaque,
    };
    Guard::new(Policy::new(options, [kind.protected()]))
}

#[derive(Debug, Default)]
struct Counts {
    refused: usize,
    failed: usize,
    ran: usize,
    doubtful: usize,
}

fn search(kind: Kind, opaque: Permission) {
    let number = |name, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let seed = number("PGTENANT_ORACLE_SEED", 1);
    let scenarios = number("PGTENANT_ORACLE_SCENARIOS", SCENARIOS);
    println!("PGTENANT_ORACLE_SEED={seed} PGTENANT_ORACLE_SCENARIOS={scenarios}");
    let server = Server::start(kind);
    let guard = guard(kind, opaque);
    let foreign_rows = server.foreign_rows();
    let mut counts = Counts::default();
    let mut session = server.session();
    for at in 0..scenarios {
        let scenario = Scenario {
            guard: &guard,
            name: format!("seed {seed}, scenario {at}"),
            sealed: opaque == Permission::Allow,
            schema: kind == Kind::Schema,
            said: Effects::default(),
            touched: Vec::new(),
            texts: Vec::new(),
        };
        scenario.run(&bytes(seed, at), &server, &mut session, &mut counts);
        if !session.alive() {
            session = server.session();
        }
        if at % 2000 == 1999 {
            println!(
                "{kind:?}, opaque code {opaque:?}: {} scenarios, {counts:?}",
                at + 1
            );
        }
    }
    assert_eq!(
        server.foreign_rows(),
        foreign_rows,
        "rows of another tenant"
    );
    println!("{kind:?}, opaque code {opaque:?}: {counts:?}");
    let all = counts.refused + counts.failed + counts.ran;
    assert!(counts.ran > all / 10, "{counts:?}");
    assert!(counts.refused > all / 10, "{counts:?}");
}

/// One or two query strings in one session, within a transaction or not.
struct Scenario<'g> {
    guard: &'g Guard,
    name: String,
    /// A sealed context holds against what is doubtful.
    sealed: bool,
    /// The setting kind's names are not protected.
    schema: bool,
    /// What the guard has said of all that ran.
    said: Effects,
    touched: Vec<Box<str>>,
    texts: Vec<String>,
}

impl Scenario<'_> {
    fn run(mut self, choices: &[u8], server: &Server, session: &mut Session, counts: &mut Counts) {
        let (head, choices) = choices.split_at(2);
        let within = head[0] % 3 == 0;
        let (first, second) = choices.split_at(choices.len() * 2 / 3);
        session.attach();
        let before = session.state();
        if within {
            session.must("BEGIN");
        }
        let mut texts = vec![sql::generate(first)];
        if head[1] % 3 == 0 {
            texts.push(sql::generate(second));
        }
        for generated in texts {
            let verdict = self.guard.inspect(generated.text.as_bytes());
            let own = self.schema.then_some(Kind::Schema.value());
            let lifted = verdict.for_path(own).map(Arc::new);
            let verdict = lifted.unwrap_or(verdict);
            if verdict.refusal.is_some() {
                counts.refused += 1;
                continue;
            }
            assert!(
                !generated.forbidden || self.schema,
                "{}: passed: {}",
                self.name,
                generated.text
            );
            self.texts.push(generated.text);
            self.say(&verdict.effects);
            let Some(answer) = session.run(self.texts.last().unwrap()) else {
                break;
            };
            let doubtful = self.sealed && verdict.effects.doubtful;
            // The proxy's reset value of search_path is nobody's.
            let mut returned = verdict.effects.defaults.iter();
            let returns = returned.any(|setting| self.schema && &*setting.name == "search_path");
            counts.doubtful += usize::from(doubtful);
            counts.failed += usize::from(answer.failed);
            counts.ran += usize::from(!answer.failed);
            assert!(
                doubtful || returns || !answer.foreign,
                "{}: rows of another tenant: {:?}",
                self.name,
                self.texts
            );
            // What it did to the session is not looked at: the proxy cleans it.
            if doubtful {
                break;
            }
            // As the proxy does.
            if (verdict.effects.resets || returns) && !session.failed() {
                session.attach_only();
            }
            if !session.failed() {
                self.check_context(&before, &session.state());
            }
        }
        session.end();
        if session.alive() {
            self.check_end(&before, session);
        }
        for text in &self.texts {
            server.clean(text);
        }
    }

    fn say(&mut self, effects: &Effects) {
        let said = &mut self.said;
        said.resets |= effects.resets;
        said.residue |= effects.residue;
        said.locks |= effects.locks;
        said.doubtful |= effects.doubtful;
        said.seeds |= effects.seeds;
        match &effects.settings {
            TouchedSettings::None => {}
            TouchedSettings::Named(names) => self.touched.extend(names.iter().cloned()),
            TouchedSettings::Any => said.settings = TouchedSettings::Any,
        }
    }

    fn check_context(&self, before: &State, after: &State) {
        let differs = |(after, before): (&Option<String>, &Option<String>)| {
            let same = after == before
                || self.schema
                    && matches!((after, before), (Some(list), Some(own))
                        if is_same_path(list, "pg_catalog") || is_same_path(list, own));
            !same
        };
        let mut pairs = after.context.iter().zip(&before.context);
        assert!(
            !pairs.any(differs),
            "{}: the context has changed by {:#?}: {:?}",
            self.name,
            self.texts,
            after.context
        );
    }

    /// Once no transaction is open: the context, and that the guard has told
    /// what is left behind.
    fn check_end(&self, before: &State, session: &mut Session) {
        if self.sealed && self.said.doubtful {
            return;
        }
        if self.said.resets {
            session.attach_only();
        }
        let after = session.state();
        self.check_context(before, &after);
        let (name, texts) = (&self.name, &self.texts);
        assert!(
            !after.residue || self.said.residue,
            "{name}: leaves objects: {texts:#?}"
        );
        assert!(
            !after.locks || self.said.locks,
            "{name}: leaves locks: {texts:#?}"
        );
        if after.settings != before.settings
            && self.said.settings != TouchedSettings::Any
            && !self.said.resets
        {
            for setting in session.changed() {
                assert!(
                    self.touched.iter().any(|touched| **touched == *setting),
                    "{name}: changes {setting}, not {:?}: {texts:#?}",
                    self.touched
                );
            }
        }
    }
}

/// The choices of one scenario.
fn bytes(seed: u64, at: u64) -> Vec<u8> {
    let mut state =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xd134_2543_de82_ef95);
    // SplitMix64.
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let words = 2 + next() % 12;
    (0..words).flat_map(|_| next().to_be_bytes()).collect()
}
