//! The answers about health.

use super::answer::{Answer, json};
use hyper::StatusCode;
use serde_json::{Value, json};

/// One thing that is checked of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked, such as `listening`.
    pub name: String,
    /// Whether it is as it should be.
    pub passes: bool,
    /// More, for those who may see it.
    pub detail: String,
}

impl Check {
    /// A check.
    #[must_use]
    pub fn new(name: impl Into<String>, passes: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            passes,
            detail: detail.into(),
        }
    }
}

/// 200 if every check passes, else 503; each check with its name, and in `full` with
/// its detail.
pub(super) fn answer(checks: &[Check], full: bool) -> Answer {
    let pass = |passes| if passes { "pass" } else { "fail" };
    let passes = checks.iter().all(|check| check.passes);
    let shown: Vec<Value> = checks
        .iter()
        .map(|check| {
            let mut shown = json!({"name": check.name, "status": pass(check.passes)});
            if full && let Some(shown) = shown.as_object_mut() {
                shown.insert("detail".to_owned(), check.detail.clone().into());
            }
            shown
        })
        .collect();
    let status = match passes {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    json(status, &json!({"status": pass(passes), "checks": shown}))
}
