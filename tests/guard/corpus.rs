//! The escape corpus: statements that try to leave the tenant, and those
//! that a naive guard breaks.

use crate::{SETTING, guard};
use pgtenant::guard::{Effects, Transaction, Verdict};
use serde_json::Value;
use std::sync::Arc;

/// What passes and is stopped elsewhere.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "the role of the schema kind: a name that is qualified needs no search_path",
        &[
            "sp-fqn",
            "sp-fqn-quoted",
            "sp-fqn-db",
            "sp-fqn-case",
            "sp-table",
            "sp-cte",
            "sp-sub",
            "sp-ctas",
            "sp-prepare",
            "sp-cursor",
            "sp-like",
            "sp-delete",
            "sp-resetall",
        ],
    ),
    (
        "the session refuses every FunctionCall message",
        &["fp-set_config-tx", "fp-lo_get"],
    ),
    (
        "the server is asked for one's own rows alone",
        &[
            "ch-own-activity",
            "ch-own-activity-pushed",
            "ch-own-activity-row",
            "ch-own-activity-copy",
        ],
    ),
];

/// What a strict policy refuses though it is harmless: `opaque = "reject"`.
const STRICT: &[&str] = &["tx-call-commit-proc", "tx-do-commit-batch"];

#[test]
fn every_attack_is_refused_in_one_of_its_statements() {
    let elsewhere: Vec<&str> = ELSEWHERE
        .iter()
        .flat_map(|(_, ids)| *ids)
        .copied()
        .collect();
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case["expected"] == "reject") {
        let refused = case.refused().is_some();
        if refused == elsewhere.contains(&case.id()) {
            wrong.push(case.id().to_owned());
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_benign_statement_passes() {
    for case in cases().iter().filter(|case| case["expected"] == "allowed") {
        if case["undecidable"] != true && !STRICT.contains(&case.id()) {
            assert_eq!(case.refused(), None, "{}", case.id());
        }
    }
}

#[test]
fn what_is_left_behind_is_reported_or_refused() {
    /// These leave nothing that the guard could see: a sequence's last
    /// value, an open transaction or portal, a statement's name.
    const UNSEEN: &[&str] = &[
        "res-portal",
        "res-terminate-midquery",
        // The role is what it was.
        "res-role",
        "proto-parse-name-collide",
    ];
    // An open transaction is not left in the session.
    let leaves = |effects: &Effects| {
        let mut effects = effects.clone();
        effects.transaction = Transaction::None;
        effects != Effects::default()
    };
    for case in cases().iter().filter(|case| case["tier"] == "pool") {
        let seen = case
            .verdicts()
            .iter()
            .any(|verdict| verdict.refusal.is_some() || leaves(&verdict.effects));
        assert_eq!(seen, !UNSEEN.contains(&case.id()), "{}", case.id());
    }
}

#[test]
fn startup_settings_that_carry_the_tenant_are_refused() {
    let guard = guard(SETTING);
    for case in cases().iter().filter(|case| case["startup"].is_array()) {
        for pair in case["startup"].as_array().unwrap() {
            let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            let refused = guard.startup_setting(name, value, None).is_some();
            let carries = [
                SETTING,
                "role",
                "session_authorization",
                "standard_conforming_strings",
            ];
            assert_eq!(
                refused,
                carries.contains(&&*name.to_lowercase()),
                "{name}={value}"
            );
        }
    }
}

struct Case(Value);

impl std::ops::Deref for Case {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Case {
    fn id(&self) -> &str {
        self["id"].as_str().unwrap()
    }

    fn verdicts(&self) -> Vec<Arc<Verdict>> {
        let protected = if self["mode"] == "schema" {
            "search_path"
        } else {
            SETTING
        };
        let guard = guard(protected);
        statements(self)
            .iter()
            .map(|sql| guard.inspect(sql))
            .collect()
    }

    /// The rule that refuses one of its statements.
    fn refused(&self) -> Option<&'static str> {
        self.verdicts()
            .iter()
            .find_map(|v| v.refusal.as_ref().map(|r| r.rule))
    }
}

fn cases() -> Vec<Case> {
    let lines = include_str!("../escapes/corpus.jsonl").lines();
    lines
        .map(|line| Case(serde_json::from_str(line).unwrap()))
        .collect()
}

/// The query strings of all cases.
pub(crate) fn corpus_statements() -> Vec<Vec<u8>> {
    cases().iter().flat_map(|case| statements(case)).collect()
}

/// The query strings of a case, from all its clients.
fn statements(case: &Value) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for list in [&case["sql"], &case["steps"]] {
        for item in list.as_array().into_iter().flatten() {
            collect(item, &mut found);
        }
    }
    found
}

fn collect(item: &Value, found: &mut Vec<Vec<u8>>) {
    if let Some(text) = item.as_str().or(item["q"].as_str()) {
        found.push(expand(text).into_bytes());
    } else if let Some(hex) = item["hex"].as_str() {
        found.push(unhex(hex));
    }
    match &item["sql"] {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::String(_) => collect(&item["sql"], found),
        _ => {}
    }
    for message in item["msgs"].as_array().into_iter().flatten() {
        match (
            message[0].as_str(),
            message[1].as_str(),
            message[2].as_str(),
        ) {
            (Some("Q"), Some(text), _) | (Some("P"), _, Some(text)) => {
                found.push(expand(text).into_bytes());
            }
            _ => {}
        }
    }
}

/// `@REP:3:x@` stands for `xxx`.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@REP:") {
        let (count, after) = after.split_once(':').unwrap();
        let (part, after) = after.split_once('@').unwrap();
        out += before;
        out += &part.repeat(count.parse().unwrap());
        rest = after;
    }
    out + rest
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}
