//! Sessions that are not the tenant's serve nobody.

use crate::place::*;
use pgtenant::tenant::{
    Attachment, Endpoint, Identity, OwnSession, Placement, Seal, ServerName, TenantRole, Unfit,
};
use testkit::{INNOVATE, SYNERGY, wait_until};

const WHOSE: &str = "SELECT DISTINCT organization_id FROM users";

#[test]
fn another_tenant_that_is_stored_is_refused_and_none_is_not() {
    on_each_version(|place| {
        let text = place.own();
        place.provisioned(&text);
        let role = "ALTER ROLE innovate_own";
        let here = format!("IN DATABASE {DATABASE}");
        let database = format!("ALTER DATABASE {DATABASE}");
        for (spoil, mend) in [
            (
                format!("{role} SET {SETTING} = '{SYNERGY}'"),
                format!("{role} SET {SETTING} = '{INNOVATE}'"),
            ),
            // It counts before the role's own.
            (
                format!("{role} {here} SET {SETTING} = '{SYNERGY}'"),
                format!("{role} {here} RESET {SETTING}"),
            ),
            // For whoever has nothing of its own.
            (
                format!("{role} RESET {SETTING}; {database} SET {SETTING} = '{SYNERGY}'"),
                format!("{database} RESET {SETTING}"),
            ),
        ] {
            place.sql(&spoil);
            let proxy = place.plain.proxy_by(&text);
            let error = place.try_client(&proxy, "innovate").err().unwrap();
            assert!(error.starts_with("28000 "), "{spoil}: {error}");
            assert!(
                !error.contains("innovate_own") && !error.contains(SETTING),
                "{error}"
            );
            let line = proxy.wait_for_log("is stored for the role");
            assert!(line.contains("user=\"innovate_own\""), "{line}");
            // The other tenant is served.
            let mut other = place.client(&proxy, "synergy");
            assert_eq!(other.run_ok(WHOSE).column(), [SYNERGY]);
            place.sql(&mend);
            wait_until("the tenant is served", || {
                let client = place.try_client(&proxy, "innovate");
                client.is_ok_and(|mut client| client.run_ok(WHOSE).column() == [INNOVATE])
            });
        }
        // Nothing is stored now, and the proxy has said who it is.
        assert_eq!(
            place.sql("SELECT rolconfig FROM pg_roles WHERE rolname = 'innovate_own'"),
            ""
        );
        let proxy = place.plain.proxy_by(&text);
        let mut client = place.client(&proxy, "innovate");
        assert_eq!(client.value("SELECT run('RESET ALL')"), INNOVATE);
        // One for all is no harm where the role has its own.
        place.sql(&format!("{database} SET {SETTING} = '{SYNERGY}'"));
        let proxy = place.plain.proxy_by(&text);
        let mut other = place.client(&proxy, "synergy");
        assert_eq!(other.run_ok(WHOSE).column(), [SYNERGY]);
    });
}

#[test]
fn a_role_that_is_missing_or_unprotected_serves_nobody() {
    on_each_version(|place| {
        let text = place.own();
        let proxy = place.plain.proxy_by(&text);
        let error = place.try_client(&proxy, "innovate").err().unwrap();
        assert!(
            error.starts_with("08001 ") && !error.contains("innovate_own"),
            "{error}"
        );
        proxy.wait_for_log("`pgtenant provision` makes the tenant's role");
        place.provisioned(&text);
        wait_until("the tenant is served", || {
            place.try_client(&proxy, "innovate").is_ok()
        });
        for (spoil, mend) in [
            (
                "ALTER ROLE synergy_own BYPASSRLS",
                "ALTER ROLE synergy_own NOBYPASSRLS",
            ),
            (
                "ALTER ROLE synergy_own SUPERUSER",
                "ALTER ROLE synergy_own NOSUPERUSER",
            ),
            (
                "ALTER TABLE users OWNER TO synergy_own",
                "ALTER TABLE users OWNER TO postgres",
            ),
        ] {
            place.sql(spoil);
            let proxy = place.plain.proxy_by(&text);
            let error = place.try_client(&proxy, "synergy").err().unwrap();
            assert!(error.starts_with("28000 "), "{spoil}: {error}");
            assert!(place.try_client(&proxy, "innovate").is_ok());
            place.sql(mend);
        }
    });
}

#[test]
fn what_a_session_says_of_itself_is_what_counts() {
    let placement = Placement {
        endpoint: Endpoint {
            server: ServerName::new("main"),
            database: "app".into(),
        },
        attachment: Attachment::Setting {
            name: "session.tenant".into(),
            value: "7".into(),
            seal: Seal::Off,
        },
        identity: Identity::Tenant(TenantRole::derive(b"key", "seven")),
        allow_unprotected_role: false,
        masked: false,
    };
    let own = OwnSession::of(&placement).unwrap();
    let judge = |session, current, value, stored| {
        own.judge(&[Some(session), Some(current), value, stored])
            .unwrap()
    };
    let stored = Unfit::StoredTenant("session.tenant".into());
    for (session, current, value, stored, expected) in [
        ("seven", "seven", Some("7"), Some("7"), Ok(())),
        ("seven", "seven", Some("7"), None, Ok(())),
        ("seven", "seven", Some("7"), Some(""), Ok(())),
        ("seven", "seven", Some("7"), Some("8"), Err(stored)),
        ("eight", "seven", Some("7"), None, Err(Unfit::AnotherRole)),
        ("seven", "eight", Some("7"), None, Err(Unfit::AnotherRole)),
        (
            "seven",
            "seven",
            Some("8"),
            Some("7"),
            Err(Unfit::AnotherTenant),
        ),
        ("seven", "seven", None, None, Err(Unfit::AnotherTenant)),
    ] {
        assert_eq!(judge(session, current, value, stored), expected);
    }
    assert!(
        own.judge(&[Some("seven"), Some("seven"), Some("7")])
            .is_none()
    );
    assert!(own.judge(&[None, Some("seven"), Some("7"), None]).is_none());
    let shared = Placement {
        identity: Identity::Server,
        ..placement
    };
    assert!(OwnSession::of(&shared).is_none());
}
