//! The portal of a Query that has failed within a transaction: PostgreSQL keeps it,
//! with a plan that is in its memory no more, and can end all sessions when a
//! client executes it.

use testkit::{INNOVATE, Pipeline, Plain, Programs, Proxy, Raw};

/// Statements whose memory is used again by the next message.
const FAILS: &[&str] = &["ROLLBACK TO nowhere", "RELEASE nowhere", "SELECT 1/0"];
const NEXT: &str = "SELECT set_config('DateStyle', 'Postgres', true)";

fn on_each_server(run: impl Fn(&Plain, &Proxy)) {
    for programs in [15, 18].into_iter().filter_map(Programs::find) {
        let plain = Plain::start(&programs, &[]);
        let proxy = plain.proxy(plain.cluster.port(), "size = 1", "");
        run(&plain, &proxy);
    }
}

/// In a failed transaction, behind the Query that has failed.
fn failed(client: &mut Raw, sql: &str) {
    client.run_ok("BEGIN");
    assert_eq!(client.query(sql).status(), 'E');
    client.query(NEXT);
}

#[test]
fn a_portal_that_a_failed_query_has_left_is_out_of_reach() {
    on_each_server(|plain, proxy| {
        let mut bystander = plain.superuser();
        let mut client = plain.client(proxy, "innovate");
        // Each with its number of answers.
        let uses = [
            (Pipeline::new().execute("", 2).sync(), 1),
            (Pipeline::new().describe("").sync(), 1),
            (Pipeline::new().describe("").execute("", 0).sync(), 1),
            // What would bind it fails, and the Execute behind the Sync is sent on.
            (
                Pipeline::new()
                    .statement("SELECT 1")
                    .sync()
                    .execute("", 0)
                    .sync(),
                2,
            ),
        ];
        for sql in FAILS {
            for (pipeline, answers) in &uses {
                failed(&mut client, sql);
                client.send(pipeline.bytes());
                for _ in 0..*answers {
                    assert_eq!(client.until_ready().error().code(), "25P02", "{sql}");
                }
                client.run_ok("ROLLBACK");
            }
        }
        bystander.run_ok("SELECT 1");
    });
}

#[test]
fn a_portal_may_be_used_that_was_bound_behind_a_failed_query() {
    on_each_server(|plain, proxy| {
        let mut client = plain.client(proxy, "innovate");
        let mut direct = plain.direct("wellness_corp_db", INNOVATE);
        for client in [&mut client, &mut direct] {
            failed(client, "ROLLBACK TO nowhere");
            let bind = Pipeline::new().parse("", "ROLLBACK").bind("", "", &[]);
            client.run(&bind.sync()).ok();
            client.run(&Pipeline::new().execute("", 0).sync()).ok();
            // And one that is fetched from in several pipelines.
            client.run_ok("BEGIN");
            let first = Pipeline::new()
                .parse("", "SELECT generate_series(1, 3)")
                .bind("", "", &[])
                .execute("", 1)
                .sync();
            assert_eq!(client.run(&first).ok().value(), "1");
            client.send(
                Pipeline::new()
                    .execute("", 1)
                    .sync()
                    .execute("", 1)
                    .sync()
                    .bytes(),
            );
            assert_eq!(client.until_ready().ok().value(), "2");
            assert_eq!(client.until_ready().ok().value(), "3");
            client.run_ok("COMMIT");
        }
    });
}
