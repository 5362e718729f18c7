//! The keys, and what is wrong with them.

use crate::place::*;
use testkit::stderr;

#[test]
fn wrong_keys_are_named_with_what_would_be_right() {
    on_each_version(|place| {
        let key = format!("role_key_file = {:?}\n", place.file("role.key"));
        let own = place.own();
        let shared = place.shared();
        let line = format!("setting = \"{SETTING}\"\n");
        for (text, said) in [
            (
                own.replace(&key, ""),
                "isolation.setting.role_key_file: is missing",
            ),
            (own.replace("role = \"{role}\"\n", ""), "role_key_file"),
            (
                shared.replace(&line, &format!("{line}role_group = \"x\"\n")),
                "isolation.setting.role_group = \"x\": has no meaning without `role`",
            ),
            (
                place.own_with("role_group = \"pg_monitor\""),
                "is a name that PostgreSQL keeps for itself",
            ),
            (
                place.own_with("role_group = \"innovate_own\""),
                "role \"innovate_own\" (from \"{role}\" of [isolation.setting]) is the one that tenants' roles are members of",
            ),
            (
                own.replace("role = \"synergy_own\"", "role = \"wellness_app\""),
                "is the one that tenants' roles are members of",
            ),
            (
                own.replace("role = \"synergy_own\"", "role = \"innovate_own\""),
                "it is the one of tenant",
            ),
            (
                own.replace("role = \"synergy_own\"\n", ""),
                "tenants[1].role: is missing",
            ),
            (
                place.own_with("opaque = \"allow\""),
                "must be \"reject\" or \"own\" without `seal`",
            ),
            (
                format!(
                    "{own}[isolation.silo]\nkind = \"database\"\nserver = \"main\"\ndatabase = \"{{database}}\"\nrole = \"x\"\n"
                ),
                "isolation.silo.role: belongs to kind = \"setting\" and \"schema\" alone",
            ),
        ] {
            let output = place.command(&text, &["check", "--offline"]);
            let printed = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{said}: {printed}");
            assert!(printed.contains(said), "{said}: {printed}");
        }
        let output = place.command(&own, &["check", "--offline"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    });
}
