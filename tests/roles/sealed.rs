//! Roles and a seal together.

use crate::place::*;
use testkit::{INNOVATE, SYNERGY, stderr, stdout, write_private};

const WHOSE: &str = "SELECT string_agg(DISTINCT organization_id::text, ',') FROM users";

#[test]
fn a_seal_holds_over_tenants_roles() {
    for seal in ["carrier", "token"] {
        on_each_version(|place| {
            write_private(
                &place.file("seal.key"),
                "the key of the seal: 32 bytes or more of it",
            );
            let key = format!("seal_key_file = {:?}", place.file("seal.key"));
            let text = place.own_with(&format!("seal = {seal:?}\n{key}\nopaque = \"allow\""));
            place.provisioned(&text);
            let url = place.plain.cluster.superuser_url("postgres");
            let forged = |client: &mut testkit::Raw| {
                client.run_ok("BEGIN");
                let set = format!("SET {SETTING} = '{SYNERGY}'");
                assert_eq!(
                    client.value(&format!("SELECT run({})", quoted(&set))),
                    SYNERGY
                );
                let seen = client.value(&format!("SELECT coalesce(ask({}), '-')", quoted(WHOSE)));
                client.run_ok("ROLLBACK");
                seen
            };
            // Without it the setting is all.
            let plain = place.own();
            let proxy = place.plain.proxy_by(&plain);
            assert_eq!(forged(&mut place.client(&proxy, "innovate")), SYNERGY);
            drop(proxy);
            let output = place.command(&text, &["harden", "--apply", &url]);
            assert!(
                output.status.success(),
                "{}{}",
                stdout(&output),
                stderr(&output)
            );
            let proxy = place.plain.proxy_by(&text);
            let mut client = place.client(&proxy, "innovate");
            assert_eq!(client.value(WHOSE), INNOVATE, "{seal}");
            assert_eq!(forged(&mut client), "-", "{seal}");
            assert_eq!(client.value(WHOSE), INNOVATE, "{seal}");
            assert_eq!(client.value("SELECT current_user"), "innovate_own");
            // A proxy without the seal serves nobody.
            let proxy = place.plain.proxy_by(&plain);
            let error = place.try_client(&proxy, "innovate").err().unwrap();
            assert!(error.starts_with("55000 "), "{error}");
        });
    }
}
