//! The guard: which statements pass, and what they do to the session.

use pgtenant::guard::{Guard, Mode, Options, Permission, Policy};

const SETTING: &str = "session.current_organization_id";

fn guard(protected: &str) -> Guard {
    Guard::new(Policy::new(
        Options {
            mode: Mode::Enforce,
            opaque: Permission::Reject,
            channels: Permission::Reject,
        },
        [protected],
    ))
}

mod corpus {
    //! The escape corpus: statements that try to leave the tenant, and those
    //! that a naive guard breaks.

    use super::{SETTING, guard};
    use pgtenant::guard::Guard;
    use serde_json::Value;

    #[test]
    fn show() {
        let (setting, schema) = (guard(SETTING), guard("search_path"));
        for line in include_str!("data/escapes.jsonl").lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let guard = if case["mode"] == "rls" {
                &setting
            } else {
                &schema
            };
            let verdicts: Vec<_> = statements(&case).iter().map(|s| guard.inspect(s)).collect();
            let rules: Vec<String> = verdicts
                .iter()
                .map(|v| {
                    v.refusal.as_ref().map_or_else(
                        || format!("{:?}", v.effects).replace("Effects ", ""),
                        |r| r.rule.to_string(),
                    )
                })
                .collect();
            let refused = verdicts.iter().any(|v| v.refusal.is_some());
            println!(
                "{} {} {} {} {} | {:?}",
                if refused { "R" } else { "-" },
                case["id"],
                case["tier"],
                case["expected"],
                case["undecidable"],
                rules
            );
            let _: &Guard = guard;
        }
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
}
