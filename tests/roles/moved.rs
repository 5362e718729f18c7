//! From a role that tenants share to one for each, one tenant after another.

use crate::place::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use testkit::{INNOVATE, SYNERGY, wait_until};

const WHO: &str = "SELECT session_user || ' ' || min(organization_id::text) || ' ' || max(organization_id::text) FROM users";

#[test]
fn tenants_are_moved_one_by_one_while_their_clients_run() {
    on_each_version(|place| {
        // Both isolations are there at once, in one database.
        let both = format!(
            "{}[isolation.own]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"{DATABASE}\"\n\
             setting = \"{SETTING}\"\nrole = \"{{role}}\"\nrole_key_file = {:?}\n",
            place.shared(),
            place.file("role.key")
        );
        let moved = |text: &str, id: &str, role: &str| {
            let (before, after) = text.split_once(&format!("id = {id:?}\n")).unwrap();
            let after = after.replacen(
                "isolation = \"setting\"",
                &format!("isolation = \"own\"\nrole = {role:?}"),
                1,
            );
            format!("{before}id = {id:?}\n{after}")
        };
        let one = moved(&both, INNOVATE, "innovate_own");
        let all = moved(&one, SYNERGY, "synergy_own");
        place.provisioned(&all);
        let proxy = place.plain.proxy_by(&both);
        let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
        let seen = |id: &str, role: &str| format!("{role} {id} {id}");
        thread::scope(|scope| {
            // Who never pauses gets no error, and its own rows alone.
            let running: Vec<_> = TENANTS
                .iter()
                .map(|(id, login, role)| {
                    let (proxy, stop, rounds) = (&proxy, &stop, &rounds);
                    scope.spawn(move || {
                        let mut client = place.client(proxy, login);
                        let (shared, own) = (seen(id, APP_ROLE), seen(id, role));
                        let mut as_own = 0;
                        while !stop.load(Ordering::Relaxed) {
                            let told = client.run_ok(WHO).value();
                            assert!(told == shared || told == own, "{told}");
                            as_own += usize::from(told == own);
                            rounds.fetch_add(1, Ordering::Relaxed);
                        }
                        as_own
                    })
                })
                .collect();
            let mut within = place.client(&proxy, "innovate");
            let mut other = place.client(&proxy, "synergy");
            within.run_ok("BEGIN");
            assert_eq!(within.value(WHO), seen(INNOVATE, APP_ROLE));
            proxy.reload(|_| one.clone());
            // A transaction ends as it began.
            assert_eq!(within.value(WHO), seen(INNOVATE, APP_ROLE));
            within.run_ok("COMMIT");
            assert_eq!(within.value(WHO), seen(INNOVATE, "innovate_own"));
            assert_eq!(other.value(WHO), seen(SYNERGY, APP_ROLE));
            proxy.reload(|_| all.clone());
            wait_until("the other tenant is moved", || {
                other.value(WHO) == seen(SYNERGY, "synergy_own")
            });
            let now = rounds.load(Ordering::Relaxed);
            wait_until("clients have gone on", || {
                rounds.load(Ordering::Relaxed) > now + 20
            });
            stop.store(true, Ordering::Relaxed);
            for thread in running {
                assert!(thread.join().unwrap() > 0, "it was never the tenant's role");
            }
            // And back.
            proxy.reload(|_| both.clone());
            wait_until("the tenant is moved back", || {
                within.value(WHO) == seen(INNOVATE, APP_ROLE)
            });
        });
    });
}
