//! tokio-postgres as applications use it, in both modes of the pool.

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt as _, TryStreamExt as _};
use std::pin::pin;
use testkit::{Options, Proxy, site, wait_until};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, NoTls, SimpleQueryMessage};

const OWN: &str = "alice@innovate.example";

/// Runs a part once for each mode, with two clients where they can share one
/// server connection.
async fn in_both_modes(part: impl AsyncFn(&mut Client, &Client, &Proxy)) {
    for (mode, size) in [("transaction", 1), ("session", 4)] {
        let proxy = Proxy::start(&Options {
            database: site().fresh_database(),
            mode,
            size,
            ..Options::default()
        });
        let mut client = proxy.connect("innovate").await;
        let other = proxy.connect("synergy").await;
        part(&mut client, &other, &proxy).await;
        assert_eq!(email(&client).await, OWN, "{mode}");
        assert_eq!(email(&other).await, "bob@synergy.example", "{mode}");
    }
}

async fn email(client: &Client) -> String {
    let row = client.query_one("SELECT email FROM users", &[]).await;
    row.unwrap().get(0)
}

async fn count(client: &Client, kind: &str) -> i64 {
    let query = "SELECT count(*) FROM wellness_entries WHERE entry_type = $1";
    client.query_one(query, &[&kind]).await.unwrap().get(0)
}

const INSERT: &str = "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
                      SELECT id, organization_id, $1, $2 FROM users";

#[tokio::test]
async fn queries_and_prepared_statements() {
    in_both_modes(async |client, other, _| {
        let query = "SELECT $1::int + 1, $2::text, $3::bytea, $4::int[], $5::text";
        let statement = client.prepare(query).await.unwrap();
        assert_eq!(statement.params()[1], Type::TEXT);
        for n in 0..20 {
            let values = (n, "é€𝄞", vec![0_u8, 255], vec![1, 2], None::<String>);
            let (a, b, c, d, e) = &values;
            let row = client.query_one(&statement, &[a, b, c, d, e]).await;
            let row = row.unwrap();
            assert_eq!(row.get::<_, i32>(0), n + 1);
            let got = (n, row.get(1), row.get(2), row.get(3), row.get(4));
            assert_eq!(values, (got.0, got.1, got.2, got.3, got.4));
            // Another tenant takes the server connection, with the same statement.
            let row = other.query_one(query, &[a, b, c, d, e]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), n + 1);
            assert_eq!(email(other).await, "bob@synergy.example");
        }
        let typed = [(
            &OWN as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT,
        )];
        let rows = client
            .query_typed("SELECT 1 FROM users WHERE email = $1", &typed)
            .await;
        assert_eq!(rows.unwrap().len(), 1);
        assert!(
            client
                .query_opt("SELECT 1 WHERE false", &[])
                .await
                .unwrap()
                .is_none()
        );
        let error = client.query("SELECT 1 / 0", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
        let error = client.execute("SET ROLE postgres", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    })
    .await;
}

#[tokio::test]
async fn many_queries_at_once_on_one_client() {
    in_both_modes(async |client, other, _| {
        let statement = client
            .prepare("SELECT $1::int, email FROM users")
            .await
            .unwrap();
        let numbers: Vec<i32> = (0..300).collect();
        let asked = numbers.iter().map(async |n| {
            let row = client.query_one(&statement, &[n]).await.unwrap();
            (row.get::<_, i32>(0), row.get::<_, String>(1))
        });
        let meanwhile = (0..30).map(async |n| match n % 3 {
            0 => email(other).await == "bob@synergy.example",
            1 => other.query("SELECT 1 / 0", &[]).await.is_err(),
            _ => other.simple_query("SELECT 1; SELECT 2").await.is_ok(),
        });
        let (answers, kept) = tokio::join!(join_all(asked), join_all(meanwhile));
        let expected: Vec<_> = numbers.iter().map(|n| (*n, OWN.to_owned())).collect();
        assert_eq!(answers, expected);
        assert!(kept.into_iter().all(|kept| kept));
    })
    .await;
}

#[tokio::test]
async fn transactions_and_savepoints() {
    in_both_modes(async |client, _, _| {
        let transaction = client.transaction().await.unwrap();
        transaction.execute(INSERT, &[&"kept", &1]).await.unwrap();
        transaction.commit().await.unwrap();
        let builder = client.build_transaction();
        let builder = builder.isolation_level(IsolationLevel::Serializable);
        let mut transaction = builder.start().await.unwrap();
        transaction.execute(INSERT, &[&"kept", &2]).await.unwrap();
        let savepoint = transaction.transaction().await.unwrap();
        savepoint.execute(INSERT, &[&"kept", &3]).await.unwrap();
        savepoint.query("SELECT 1 / 0", &[]).await.unwrap_err();
        savepoint.rollback().await.unwrap();
        assert_eq!(count(transaction.client(), "kept").await, 2);
        // Dropped: it is rolled back.
        drop(transaction);
        assert_eq!(count(client, "kept").await, 1);
        let builder = client.build_transaction().read_only(true);
        let transaction = builder.start().await.unwrap();
        let error = transaction.execute(INSERT, &[&"no", &1]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
        transaction.rollback().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn portals_and_streams_of_rows() {
    in_both_modes(async |client, _, _| {
        let transaction = client.transaction().await.unwrap();
        let query = "SELECT n FROM generate_series(1, $1::int) n";
        let portal = transaction.bind(query, &[&1000]).await.unwrap();
        let second = transaction.bind(query, &[&5]).await.unwrap();
        let mut sum = 0;
        loop {
            let rows = transaction.query_portal(&portal, 70).await.unwrap();
            sum += rows.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>();
            if rows.len() < 70 {
                break;
            }
        }
        assert_eq!(sum, 500_500);
        let rest = transaction.query_portal(&second, 0).await.unwrap();
        assert_eq!(rest.len(), 5);
        transaction.commit().await.unwrap();
        let mut rows = pin!(client.query_raw(query, [20_000]).await.unwrap());
        let mut sum = 0_i64;
        while let Some(row) = rows.try_next().await.unwrap() {
            sum += i64::from(row.get::<_, i32>(0));
        }
        assert_eq!(sum, 200_010_000);
        assert_eq!(rows.rows_affected(), Some(20_000));
        // Left half read.
        let mut rows = pin!(client.query_raw(query, [20_000]).await.unwrap());
        rows.try_next().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn copies_in_and_out() {
    in_both_modes(async |client, _, _| {
        // A table without row-level security, with which COPY FROM does not go.
        let copied = "SELECT count(*) FROM organizations WHERE name LIKE 'copied %'";
        let transaction = client.transaction().await.unwrap();
        let sink = transaction.copy_in("COPY organizations (name) FROM STDIN");
        let mut sink = pin!(sink.await.unwrap());
        for n in 0..5000 {
            sink.send(Bytes::from(format!("copied {n}\n")))
                .await
                .unwrap();
        }
        assert_eq!(sink.as_mut().finish().await.unwrap(), 5000);
        let sink = transaction.copy_in("COPY organizations (name) FROM STDIN BINARY");
        let mut writer = pin!(BinaryCopyInWriter::new(sink.await.unwrap(), &[Type::TEXT]));
        for n in 5000..6000 {
            let name = format!("copied {n}");
            writer.as_mut().write(&[&name]).await.unwrap();
        }
        assert_eq!(writer.finish().await.unwrap(), 1000);
        let row = transaction.query_one(copied, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 6000);
        transaction.rollback().await.unwrap();
        let row = client.query_one(copied, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0);
        // Given up before its end.
        {
            let sink = client.copy_in("COPY organizations (name) FROM STDIN");
            let mut sink = pin!(sink.await.unwrap());
            sink.send(Bytes::from_static(b"copied x\n")).await.unwrap();
        }
        let row = client.query_one(copied, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0);
        let out = client.copy_out("COPY (SELECT email FROM users) TO STDOUT");
        let chunks: Vec<Bytes> = out.await.unwrap().try_collect().await.unwrap();
        assert_eq!(chunks.concat(), format!("{OWN}\n").as_bytes());
        let out = "COPY (SELECT n, n::text FROM generate_series(1, 3000) n) TO STDOUT BINARY";
        let out = client.copy_out(out).await.unwrap();
        let rows = BinaryCopyOutStream::new(out, &[Type::INT4, Type::TEXT]);
        let rows: Vec<_> = rows.try_collect().await.unwrap();
        let text: &str = rows[2999].get(1);
        assert_eq!(
            (rows.len(), rows[2999].get::<i32>(0), text),
            (3000, 3000, "3000")
        );
    })
    .await;
}

#[tokio::test]
async fn a_cancel_token_ends_the_query_alone() {
    in_both_modes(async |client, other, proxy| {
        let token = client.cancel_token();
        let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
                       AND query LIKE 'SELECT pg_sleep(600)%' AND datname = current_database()";
        let database = proxy.database("innovate");
        let look = move || {
            wait_until("the query runs", || site().sql(&database, running) == "1");
        };
        let cancel = async {
            tokio::task::spawn_blocking(look).await.unwrap();
            token.cancel_query(NoTls).await.unwrap();
        };
        let sleep = client.query("SELECT pg_sleep(600)", &[]);
        let (answer, ()) = tokio::join!(sleep, cancel);
        let error = answer.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        assert_eq!(email(other).await, "bob@synergy.example");
    })
    .await;
}

#[tokio::test]
async fn batches_and_simple_queries() {
    in_both_modes(async |client, _, _| {
        client
            .batch_execute(
                "BEGIN; INSERT INTO organizations (name) VALUES ('batch'); ROLLBACK;
                 SET statement_timeout = '7s'; SELECT 1",
            )
            .await
            .unwrap();
        let messages = client.simple_query(
            "SHOW statement_timeout; SELECT count(*) FROM organizations WHERE name = 'batch'",
        );
        let rows: Vec<_> = messages.await.unwrap();
        let rows: Vec<_> = rows
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            })
            .collect();
        assert_eq!(rows, ["7s", "0"]);
        let error = client.batch_execute("SELECT 1; SET session.current_organization_id = 'x'");
        let error = error.await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        client.batch_execute("RESET ALL").await.unwrap();
        let row = client
            .query_one("SHOW statement_timeout", &[])
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), "0");
    })
    .await;
}
