//! The report as a file, signed as checkpoints of the audit log are: what stands in front
//! of the signature is signed, byte for byte.

use super::report::Report;
use crate::audit::{SigningKey, VerifyingKey};
use serde_json::Value;

/// What every report begins with, and nothing else that these keys sign.
const FRONT: &str = "{\n  \"format\": \"pgtenant-proof\"";
/// Where the signature begins.
const SIGNATURE: &str = ",\n  \"signature\": \"";
const END: &str = "\"\n}\n";

/// Why a file is no report of the key's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// It is something else, or damaged.
    #[error("is no report of `pgtenant prove`")]
    Form,
    /// It has no signature.
    #[error("is not signed")]
    Unsigned,
    /// It was changed, or signed with another key.
    #[error("does not verify: it was changed, or signed with another key (it names {0})")]
    Wrong(String),
}

/// The text of the report.
#[must_use]
pub fn write(report: &Report, key: Option<&SigningKey>) -> String {
    let mut value = report.to_json();
    let format = value.as_object_mut().and_then(|map| map.remove("format"));
    if let (Some(map), Some(key)) = (value.as_object_mut(), key) {
        map.insert("key".to_owned(), key.verifying().id().into());
    }
    // The keys of an object are sorted: the one that it is told by stands first.
    let rest = format!("{value:#}");
    let rest = rest.strip_prefix('{').unwrap_or_default();
    let format = format.unwrap_or_default();
    let whole = format!("{{\n  \"format\": {format},{rest}");
    let Some(key) = key else {
        return whole + "\n";
    };
    let body = whole.strip_suffix("\n}").unwrap_or(&whole);
    let signature = key.sign(body.as_bytes());
    format!("{body}{SIGNATURE}{signature}{END}")
}

/// Verifies a report, and returns it.
///
/// # Errors
/// [`Unproven`].
pub fn verify(text: &str, key: &VerifyingKey) -> Result<Value, Unproven> {
    let value: Value = serde_json::from_str(text).map_err(|_| Unproven::Form)?;
    if !text.starts_with(FRONT) {
        return Err(Unproven::Form);
    }
    let Some((body, rest)) = text.rsplit_once(SIGNATURE) else {
        return Err(Unproven::Unsigned);
    };
    let signature = rest.strip_suffix(END).ok_or(Unproven::Form)?;
    if !key.verifies(body.as_bytes(), signature) {
        let named = value.get("key").and_then(Value::as_str);
        return Err(Unproven::Wrong(named.unwrap_or("no key").to_owned()));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::NewKey;
    use crate::ops::prove::report::{Outcome, Test};

    fn key() -> SigningKey {
        let new = NewKey::ed25519().expect("a key");
        SigningKey::read(new.private.as_bytes()).expect("a key")
    }

    fn report() -> Report {
        let outcome = Outcome::Broken("rows of another: \"x\",\n  \"signature\": \"".to_owned());
        let test = Test {
            id: "a-test".to_owned(),
            promise: "P5",
            what: "SET x = 'y'".to_owned(),
            outcome,
        };
        Report {
            tests: vec![test],
            ..Report::default()
        }
    }

    #[test]
    fn a_report_verifies_as_it_was_written_and_not_when_a_byte_differs() {
        let key = key();
        let text = write(&report(), Some(&key));
        let value = verify(&text, &key.verifying()).expect("verifies");
        assert_eq!(value["result"], "broken");
        assert_eq!(value["key"], key.verifying().id());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else {
                continue;
            };
            assert!(verify(&changed, &key.verifying()).is_err(), "{at}");
        }
    }

    #[test]
    fn another_key_and_no_signature_are_told_apart() {
        let text = write(&report(), Some(&key()));
        let wrong = verify(&text, &key().verifying());
        assert!(matches!(wrong, Err(Unproven::Wrong(_))), "{wrong:?}");
        let unsigned = write(&report(), None);
        assert_eq!(
            verify(&unsigned, &key().verifying()),
            Err(Unproven::Unsigned)
        );
        assert_eq!(verify("{}", &key().verifying()), Err(Unproven::Form));
    }
}
