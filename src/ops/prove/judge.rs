//! What an attack has shown: a refusal is told apart from a failure for another reason, and
//! what is seen counts more than what was answered.

use super::attacks::Must;
use super::observe::{Observer, Seen};
use super::report::{Outcome, Test};
use super::wire::Failed;

/// What is said of an attack that ran and came to nothing.
const WITHOUT_EFFECT: &str = "it ran, and the session is still its own tenant's";

/// What is said where it changed the setting alone.
const KEPT_BY_SEAL: &str = "the setting changed; the seal has kept the rows apart";

/// Takes back what was seen where nothing could have been: the other's rows are not any more
/// where they were.
pub(super) fn take_back(test: &mut Test) {
    let rests_on_rows = |text: &str| text == WITHOUT_EFFECT || text == KEPT_BY_SEAL;
    if matches!(&test.outcome, Outcome::Held(text) if rests_on_rows(text)) {
        let why = "it ran, and the other's rows were changed meanwhile: try again";
        test.outcome = Outcome::NotTested(why.to_owned());
    }
}

/// SQLSTATEs by which a proxy or PostgreSQL refuses: no right, not supported, read only.
const REFUSALS: &[&str] = &["42501", "0A000", "25006", "28000"];

/// Whether a login was refused for what it said, and not because there is no place or no
/// server: authorization, a wrong value or name, a broken protocol.
pub(super) fn is_refusal_of_login(sqlstate: &str) -> bool {
    let of_class = |class: &&str| sqlstate.starts_with(class);
    ["28", "3D", "42", "22", "0A", "08P01"].iter().any(of_class)
}

/// What an attack has shown, whose first error was this, and behind which that was seen.
pub(super) fn judge(
    must: Must,
    observer: &Observer,
    failed: Option<Failed>,
    seen: Seen,
) -> Outcome {
    match seen {
        Seen::Rows => return Outcome::Broken("rows of the other tenant are seen".to_owned()),
        Seen::Setting if must == Must::HoldRows && observer.is_sealed => {
            return Outcome::Held(KEPT_BY_SEAL.to_owned());
        }
        Seen::Setting => {
            return Outcome::Broken("the setting holds the other tenant's value".to_owned());
        }
        Seen::Reading(text) => return Outcome::Broken(text),
        Seen::Nothing | Seen::Unclear(_) => {}
    }
    let refused = |failed: &Failed| match failed.by_server {
        true => Outcome::Held(format!("PostgreSQL refused: {failed}")),
        false => Outcome::Held(format!("refused: {failed}")),
    };
    match (must, failed) {
        (Must::Hold | Must::HoldOr(_) | Must::HoldRows, None) => match seen {
            Seen::Unclear(text) => Outcome::NotTested(format!(
                "it ran, and what came of it cannot be seen: {text}"
            )),
            _ => Outcome::Held(WITHOUT_EFFECT.to_owned()),
        },
        (Must::HoldOr(states), Some(failed)) if states.contains(&&*failed.sqlstate) => {
            refused(&failed)
        }
        // It lacks another right, such as for temporary tables.
        (Must::Hold | Must::HoldOr(_) | Must::HoldRows, Some(failed))
            if failed.by_server && failed.sqlstate == "42501" =>
        {
            Outcome::NotApplicable(format!("PostgreSQL gives no right to it: {failed}"))
        }
        (Must::Hold | Must::HoldOr(_) | Must::HoldRows, Some(failed))
            if REFUSALS.contains(&&*failed.sqlstate) =>
        {
            refused(&failed)
        }
        (Must::Hold | Must::HoldOr(_) | Must::HoldRows, Some(failed)) => other_reason(&failed),
        (Must::Refuse, None) => Outcome::Broken("it was not refused: PostgreSQL ran it".to_owned()),
        (Must::Refuse, Some(failed)) if failed.by_server => Outcome::Broken(format!(
            "it was not refused: PostgreSQL got it and said {failed}"
        )),
        // The words for no connection, no place and a fault of the proxy tell nothing.
        (Must::Refuse, Some(failed)) => match failed.sqlstate.as_str() {
            "42501" | "0A000" | "42601" | "22021" | "08P01" => refused(&failed),
            _ => other_reason(&failed),
        },
        (Must::Fail(_), None) => Outcome::Broken("it ran".to_owned()),
        (Must::Fail(states), Some(failed)) => match states.contains(&&*failed.sqlstate) {
            true => refused(&failed),
            false => other_reason(&failed),
        },
    }
}

fn other_reason(failed: &Failed) -> Outcome {
    Outcome::NotTested(format!("it failed for another reason: {failed}"))
}

/// Of two outcomes of one test the one that says more against it.
pub(super) fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Broken(_) => 0,
        Outcome::NotTested(_) => 1,
        Outcome::Held(_) => 2,
        Outcome::NotApplicable(_) => 3,
    };
    if rank(&other) < rank(&one) {
        other
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(sqlstate: &str, by_server: bool) -> Option<Failed> {
        Some(Failed {
            sqlstate: sqlstate.to_owned(),
            message: String::new(),
            by_server,
            rule: None,
        })
    }

    fn word(must: Must, failed: Option<Failed>, seen: Seen) -> &'static str {
        let observer = Observer::blind();
        judge(must, &observer, failed, seen).word()
    }

    #[test]
    fn a_refusal_is_told_from_another_failure() {
        for (must, sqlstate, by_server, expected) in [
            (Must::Hold, "42501", false, "held"),
            (Must::Hold, "42501", true, "not applicable"),
            (Must::HoldOr(&["42501"]), "42501", true, "held"),
            (Must::Hold, "42P01", true, "not tested"),
            (Must::Hold, "42601", true, "not tested"),
            (Must::Hold, "53300", false, "not tested"),
            (Must::HoldOr(&["42P01"]), "42P01", true, "held"),
            (Must::Refuse, "42501", false, "held"),
            (Must::Refuse, "42501", true, "broken"),
            (Must::Refuse, "42P01", true, "broken"),
            (Must::Refuse, "53300", false, "not tested"),
            (Must::Refuse, "08006", false, "not tested"),
            (Must::Fail(&["26000"]), "26000", true, "held"),
            (Must::Fail(&["26000"]), "42P01", true, "not tested"),
        ] {
            let failed = failed(sqlstate, by_server);
            assert_eq!(
                word(must, failed, Seen::Nothing),
                expected,
                "{must:?} {sqlstate}"
            );
        }
        assert_eq!(word(Must::Refuse, None, Seen::Nothing), "broken");
        assert_eq!(word(Must::Fail(&[]), None, Seen::Nothing), "broken");
        assert_eq!(word(Must::Hold, None, Seen::Nothing), "held");
    }

    #[test]
    fn what_is_seen_counts_whatever_was_answered() {
        for must in [
            Must::Hold,
            Must::HoldRows,
            Must::Refuse,
            Must::Fail(&["42501"]),
        ] {
            assert_eq!(word(must, failed("42501", false), Seen::Rows), "broken");
            assert_eq!(word(must, failed("42501", false), Seen::Setting), "broken");
        }
        let unclear = || Seen::Unclear(String::new());
        assert_eq!(word(Must::Hold, None, unclear()), "not tested");
    }
}
