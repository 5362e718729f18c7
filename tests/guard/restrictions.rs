//! What clients of a restricted tenant may not lift.

use super::{SETTING, refused};
use pgtenant::guard::{Guard, Mode, Options, Parameter, Permission, Policy};
use std::time::Duration;

fn guard() -> Guard {
    let options = Options {
        mode: Mode::Enforce,
        opaque: Permission::Reject,
        channels: Permission::Reject,
    };
    let mut policy = Policy::new(options, [SETTING]);
    policy.read_only = true;
    policy.most = vec![("statement_timeout".into(), Duration::from_secs(5))];
    Guard::new(policy)
}

#[test]
fn a_read_only_tenant_cannot_get_a_transaction_that_writes() {
    let guard = guard();
    for sql in [
        "BEGIN READ WRITE",
        "begin isolation level serializable, read write",
        "START TRANSACTION READ WRITE",
        "SET TRANSACTION READ WRITE",
        "SET LOCAL transaction_read_only = off",
        "SET transaction_read_only TO DEFAULT",
        "RESET transaction_read_only",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET default_transaction_read_only = false",
        "SET default_transaction_read_only TO DEFAULT",
        "RESET default_transaction_read_only",
        "SET \"Default_Transaction_Read_Only\" = 0",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT 1; BEGIN; SET TRANSACTION READ WRITE; DELETE FROM t; COMMIT",
    ] {
        assert_eq!(refused(&guard, sql), Some("read-only"), "{sql}");
    }
    // Whether they write at all is for the server to say.
    for sql in [
        "BEGIN",
        "BEGIN READ ONLY",
        "SET TRANSACTION READ ONLY",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET default_transaction_read_only = on",
        "SET default_transaction_isolation = 'serializable'",
        "DELETE FROM t",
        "RESET ALL",
        "COMMIT AND CHAIN",
    ] {
        assert_eq!(refused(&guard, sql), None, "{sql}");
    }
    assert!(
        guard
            .startup_setting("default_transaction_read_only", "off", None)
            .is_some()
    );
    assert!(
        guard
            .startup_setting("Default-Transaction-Read-Only", "no", None)
            .is_some()
    );
    assert!(
        guard
            .startup_setting("default_transaction_read_only", "on", None)
            .is_none()
    );
}

#[test]
fn a_limited_time_can_only_be_made_shorter() {
    let guard = guard();
    for value in [
        "0",
        "'0'",
        "DEFAULT",
        "5001",
        "'6s'",
        "'1min'",
        "'0.0001s'",
        "'100us'",
        "'1e9'",
        "'0x0'",
        "-1",
        "'5 seconds'",
        "''",
        "6000, 1",
    ] {
        let sql = format!("SET statement_timeout = {value}");
        assert_eq!(refused(&guard, &sql), Some("tenant-limit"), "{sql}");
    }
    for sql in [
        "RESET statement_timeout",
        "SET LOCAL statement_timeout = 0",
        "SELECT set_config('statement_timeout', '0', false)",
        "SELECT set_config('STATEMENT_TIMEOUT', '1h', true)",
    ] {
        assert_eq!(refused(&guard, sql), Some("tenant-limit"), "{sql}");
    }
    assert_eq!(
        refused(
            &guard,
            "SELECT set_config('statement_timeout', x, false) FROM t"
        ),
        Some("computed-setting")
    );
    for value in ["5000", "'5s'", "' 5000 ms '", "1", "'1.5 s'", "'0.01min'"] {
        let sql = format!("SET statement_timeout = {value}");
        assert_eq!(refused(&guard, &sql), None, "{sql}");
    }
    // Other times are not limited.
    assert_eq!(refused(&guard, "SET lock_timeout = 0"), None);
}

#[test]
fn a_value_that_is_bound_is_held_to_the_limit() {
    let guard = guard();
    let verdict = guard.inspect(b"SELECT set_config($1, $2, false)");
    let bound = |name: &str, value: &str| {
        let parameter = |value| Parameter {
            declared: 0,
            format: 0,
            value: Some(value),
        };
        let parameters = [parameter(name.as_bytes()), parameter(value.as_bytes())];
        let refusal = guard.bound(&verdict, &parameters).refusal;
        refusal.map(|refusal| refusal.rule)
    };
    assert_eq!(bound("statement_timeout", "0"), Some("tenant-limit"));
    assert_eq!(bound("statement_timeout", "1s"), None);
    assert_eq!(
        bound("default_transaction_read_only", "off"),
        Some("read-only")
    );
    assert_eq!(bound("default_transaction_read_only", "on"), None);
}
