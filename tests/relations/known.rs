//! What the proxy knows of the relations, and when.

use crate::{ALICE, BOB, Place, WHOSE, on_each};
use std::net::TcpListener;
use testkit::{Pipeline, Plain, Programs, wait_until};

#[test]
fn queries_over_plain_tables_cost_no_message_more() {
    on_each(|major| {
        let Some(place) = Place::start(major) else {
            return;
        };
        let mut client = place.client("innovate");
        let mut same = place.client("innovate");
        for sql in [
            WHOSE,
            "SELECT count(*) FROM users u JOIN wellness_entries e ON e.user_id = u.id",
            "SELECT count(*) FROM report, part, part_one",
            "SELECT relname FROM pg_class LIMIT 1",
            "SELECT table_name FROM information_schema.tables LIMIT 1",
        ] {
            let parse = Pipeline::new().parse("p", sql).sync();
            let prepared = Pipeline::new().prepared("p", &[]).sync();
            let doubts = place.doubts(&mut client, |client| {
                client.run(&parse).ok();
                for _ in 0..3 {
                    client.run_ok(sql);
                    same.run_ok(sql);
                    client.extended(sql).ok();
                    client.run(&prepared).ok();
                }
                client
                    .run(&Pipeline::new().close_statement("p").sync())
                    .ok();
            });
            assert!(
                !doubts,
                "PostgreSQL {major}: {sql}: {:#?}",
                place.relay.passed()
            );
        }
    });
}

#[test]
fn until_the_relations_are_known_no_query_is_believed() {
    let Some(programs) = Programs::find(15) else {
        return;
    };
    let plain = Plain::start(&programs, &[]);
    plain.superuser().run_ok(crate::TRAPS);
    let relay = crate::Between::start(plain.cluster.port());
    // What reads the relations is not answered.
    relay.hold_answer_to("pg_catalog.pg_inherits");
    let proxy = plain.proxy(relay.port, "size = 1", "");
    relay.wait_until_held();
    let place = Place {
        proxy,
        relay,
        plain,
    };
    let mut client = place.client("innovate");
    let mut same = place.client("innovate");
    assert!(place.doubts(&mut client, |client| {
        client.run_ok(WHOSE);
    }));
    client.run_ok("SELECT * FROM innocent");
    assert_eq!(same.value(WHOSE), ALICE);
    assert!(!place.doubts(&mut client, |client| {
        client.run_ok("SELECT relname FROM pg_class LIMIT 1");
    }));
    place.relay.release();
    place.wait_until_known();
    assert!(!place.doubts(&mut client, |client| {
        client.run_ok(WHOSE);
    }));
}

#[test]
fn what_is_known_goes_with_the_connection_that_read_it_and_comes_back() {
    let Some(place) = Place::start(15) else {
        return;
    };
    let mut client = place.client("innovate");
    let mut same = place.client("innovate");
    assert!(!place.doubts(&mut client, |client| {
        client.run_ok(WHOSE);
    }));
    // It cannot log in again.
    let mut admin = place.plain.superuser();
    admin.run_ok("ALTER ROLE wellness_app CONNECTION LIMIT 1");
    admin.run_ok(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wellness_app' \
         AND application_name = 'pgtenant'",
    );
    let line = place.proxy.wait_for_log("cannot be read");
    assert!(!line.contains("a password"), "{line}");
    assert!(place.doubts(&mut client, |client| {
        client.run_ok(WHOSE);
    }));
    client.run_ok("SELECT * FROM innocent");
    assert_eq!(same.value(WHOSE), ALICE);
    admin.run_ok("ALTER ROLE wellness_app CONNECTION LIMIT -1");
    wait_until("the relations are known again", || {
        !place.doubts(&mut client, |client| {
            client.run_ok(WHOSE);
        })
    });
}

#[test]
fn after_a_reload_the_new_guards_know_what_the_old_ones_did() {
    let Some(place) = Place::start(15) else {
        return;
    };
    let mut stays = place.client("innovate");
    let prepare = Pipeline::new().parse("p", WHOSE).sync();
    stays.run(&prepare).ok();
    let allow = "[guard]\nchannels = \"allow\"\n";
    for (before, after) in [("[guard]\n", allow), (allow, "[guard]\n")] {
        place.proxy.reload(|text| text.replace(before, after));
        let mut comes = place.client("innovate");
        for client in [&mut stays, &mut comes] {
            assert!(!place.doubts(client, |client| {
                client.run_ok(WHOSE);
            }));
            assert!(place.doubts(client, |client| {
                client.run_ok("SELECT * FROM innocent");
            }));
            assert_eq!(client.value(WHOSE), ALICE);
        }
        drop(comes);
    }
}

#[test]
fn a_server_that_cannot_be_reached_keeps_neither_the_proxy_nor_other_tenants() {
    let Some(programs) = Programs::find(15) else {
        return;
    };
    let plain = Plain::start(&programs, &[]);
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let more = format!(
        "[servers.away]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"off\"\nuser = \"x\"\n\
         password = \"hidden-word\"\n[isolation.away]\nkind = \"setting\"\nserver = \"away\"\n\
         database = \"x\"\nsetting = \"app.tenant\"\n[guard]"
    );
    let first = plain.proxy(plain.cluster.port(), "size = 1", "");
    let text = std::fs::read_to_string(&first.config).unwrap();
    std::fs::write(&first.config, text.replace("[guard]", &more)).unwrap();
    let mut proxy = testkit::Proxy::run(&first.config);
    proxy.password.clone_from(&first.password);
    proxy.wait_for_log("the plain tables of the database cannot be read");
    proxy.wait_for_log("the plain tables of the database are known");
    assert!(!proxy.log().contains("hidden-word"));
    assert_eq!(plain.client(&proxy, "synergy").value(WHOSE), BOB);
}
