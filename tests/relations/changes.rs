//! Relations that change while the proxy runs.

use crate::{ALICE, Place, WHOSE, on_each};
use testkit::{Pipeline, Raw, wait_until};

/// A plain table that is replaced by a view of the same name.
const REPLACE: &[&str] = &[
    "BEGIN",
    "ALTER TABLE report RENAME TO report_old",
    "CREATE VIEW report AS SELECT n, become() AS done FROM generate_series(1, 1) n",
    "COMMIT",
];

const READ: &str = "SELECT n FROM report";

/// Reads that the proxy knows already, as harmless.
struct Reader {
    client: Raw,
}

impl Reader {
    fn new(place: &Place) -> Self {
        let mut client = place.client("innovate");
        client.run(&Pipeline::new().parse("p", READ).sync()).ok();
        let mut reader = Self { client };
        for read in Self::WAYS {
            assert!(!place.doubts(&mut reader.client, read));
        }
        reader
    }

    const WAYS: [fn(&mut Raw); 3] = [
        |client| {
            client.run_ok(READ);
        },
        |client| {
            client.extended(READ).ok();
        },
        |client| {
            client.run(&Pipeline::new().prepared("p", &[]).sync()).ok();
        },
    ];
}

#[test]
fn a_view_that_takes_a_table_s_place_through_the_proxy_is_never_believed() {
    on_each(|major| {
        let Some(place) = Place::start(major) else {
            return;
        };
        let mut reader = Reader::new(&place);
        let mut same = place.client("innovate");
        let mut changer = place.client("synergy");
        for sql in REPLACE {
            changer.run_ok(sql);
        }
        for read in Reader::WAYS {
            read(&mut reader.client);
            assert_eq!(same.value(WHOSE), ALICE, "PostgreSQL {major}");
        }
        // Once it is read anew, plain tables are believed again, and the view is not.
        wait_until("the relations are known again", || {
            !place.doubts(&mut same, |client| drop(client.run_ok(WHOSE)))
        });
        for read in Reader::WAYS {
            read(&mut reader.client);
            assert_eq!(same.value(WHOSE), ALICE, "PostgreSQL {major}");
        }
    });
}

#[test]
fn while_a_change_is_not_committed_no_query_is_believed() {
    let Some(place) = Place::start_with(15, "", "", "") else {
        return;
    };
    place.wait_until_known();
    let mut changer = place.client("innovate");
    changer.run_ok("BEGIN");
    assert!(!place.doubts(&mut changer, |client| drop(client.run_ok(WHOSE))));
    changer.run_ok("CREATE VIEW fresh AS SELECT become() AS done");
    changer.run_ok("SELECT * FROM fresh");
    changer.run_ok("ROLLBACK");
    assert_eq!(changer.value(WHOSE), ALICE);
}

#[test]
fn a_view_that_takes_a_table_s_place_on_the_server_itself_is_known_soon() {
    on_each(|major| {
        let Some(place) = Place::start(major) else {
            return;
        };
        let mut reader = Reader::new(&place);
        let mut same = place.client("innovate");
        let mut admin = place.plain.superuser();
        for sql in REPLACE {
            admin.run_ok(sql);
        }
        admin.run_ok("GRANT SELECT ON report TO wellness_app");
        for read in Reader::WAYS {
            wait_until("the view is known", || {
                place.doubts(&mut reader.client, read)
            });
        }
        for read in Reader::WAYS {
            read(&mut reader.client);
            assert_eq!(same.value(WHOSE), ALICE, "PostgreSQL {major}");
        }
    });
}

#[test]
fn a_new_table_is_believed_soon_and_a_new_view_never() {
    let Some(place) = Place::start(15) else {
        return;
    };
    let mut client = place.client("innovate");
    let mut same = place.client("innovate");
    client.run_ok("CREATE VIEW fresh AS SELECT become() AS done");
    client.run_ok("SELECT * FROM fresh");
    assert_eq!(same.value(WHOSE), ALICE);
    client.run_ok("CREATE TABLE fresh_table (n int)");
    wait_until("the table is known", || {
        !place.doubts(&mut client, |client| {
            drop(client.run_ok("TABLE fresh_table"));
        })
    });
    client.run_ok("SELECT * FROM fresh");
    assert_eq!(same.value(WHOSE), ALICE);
    assert!(place.doubts(&mut client, |client| drop(client.run_ok("TABLE fresh"))));
}
