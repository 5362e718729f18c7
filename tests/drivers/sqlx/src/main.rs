//! sqlx as applications use it: statements that are prepared by default, and a
//! pool of its own, which asks a connection for a sign of life before each use
//! and rolls back what was left open.
//!
//!     sqlx-client URL_OF_INNOVATE URL_OF_SYNERGY

use futures_util::future::join_all;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::{Acquire as _, Connection as _, Executor as _, Row as _};

const OWN: &str = "alice@innovate.example";
const OTHER: &str = "bob@synergy.example";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let urls: Vec<String> = std::env::args().skip(1).collect();
    let [own, other] = urls.as_slice() else {
        panic!("two connection strings are missing");
    };
    let (pool, other) = (pool(own).await, pool(other).await);
    queries_with_parameters(&pool, &other).await;
    transactions_and_savepoints(&pool).await;
    errors_leave_connections_usable(&pool, &other).await;
    more_at_once_than_there_are_connections(&pool, &other).await;
    a_cache_of_statements_and_settings(&pool, &other).await;
    assert_eq!(email(&pool).await, OWN);
    assert_eq!(email(&other).await, OTHER);
    pool.close().await;
    other.close().await;
}

async fn pool(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(3);
    pool.connect(url).await.unwrap()
}

async fn email(pool: &PgPool) -> String {
    let email = sqlx::query_scalar("SELECT email FROM users");
    email.fetch_one(pool).await.unwrap()
}

async fn count(pool: &PgPool, kind: &str) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM wellness_entries WHERE entry_type = $1");
    count.bind(kind).fetch_one(pool).await.unwrap()
}

const INSERT: &str = "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value) \
                      SELECT id, organization_id, $1, $2 FROM users";

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error().and_then(|error| error.code());
    code.map(|code| code.into_owned())
}

async fn queries_with_parameters(pool: &PgPool, other: &PgPool) {
    for n in 0..20_i32 {
        let all = "SELECT $1::int + 1, $2::text, $3::bytea, $4::int[], $5::text";
        for (persistent, pool) in [(true, pool), (false, other), (true, other)] {
            let row = sqlx::query(all)
                .bind(n)
                .bind("é€𝄞")
                .bind(vec![0_u8, 255])
                .bind(vec![1, 2])
                .bind(None::<String>)
                .persistent(persistent)
                .fetch_one(pool)
                .await
                .unwrap();
            assert_eq!(row.get::<i32, _>(0), n + 1);
            assert_eq!(row.get::<String, _>(1), "é€𝄞");
            assert_eq!(row.get::<Vec<u8>, _>(2), [0, 255]);
            assert_eq!(row.get::<Vec<i32>, _>(3), [1, 2]);
            assert_eq!(row.get::<Option<String>, _>(4), None);
        }
        let parts = (pool.execute("SELECT 1; SELECT 2"), email(other));
        let (simple, email) = tokio::join!(parts.0, parts.1);
        simple.unwrap();
        assert_eq!(email, OTHER);
    }
}

async fn transactions_and_savepoints(pool: &PgPool) {
    let mut transaction = pool.begin().await.unwrap();
    let insert = sqlx::query(INSERT).bind("kept").bind(1);
    insert.execute(&mut *transaction).await.unwrap();
    let mut savepoint = transaction.begin().await.unwrap();
    let insert = sqlx::query(INSERT).bind("undone").bind(1);
    insert.execute(&mut *savepoint).await.unwrap();
    savepoint.rollback().await.unwrap();
    transaction.commit().await.unwrap();
    // One that is dropped is rolled back before the connection's next use.
    let mut transaction = pool.begin().await.unwrap();
    let insert = sqlx::query(INSERT).bind("dropped").bind(1);
    insert.execute(&mut *transaction).await.unwrap();
    drop(transaction);
    assert_eq!(count(pool, "kept").await, 1);
    assert_eq!(count(pool, "undone").await, 0);
    assert_eq!(count(pool, "dropped").await, 0);
}

async fn errors_leave_connections_usable(pool: &PgPool, other: &PgPool) {
    for _ in 0..5 {
        let error = pool.execute("SELECT 1 / 0").await.unwrap_err();
        assert_eq!(sqlstate(&error).as_deref(), Some("22012"));
        let error = sqlx::query("SELECT 1 / $1").bind(0).execute(other).await;
        assert_eq!(sqlstate(&error.unwrap_err()).as_deref(), Some("22012"));
        let error = sqlx::query("SET ROLE postgres").execute(pool).await;
        assert_eq!(sqlstate(&error.unwrap_err()).as_deref(), Some("42501"));
        assert_eq!(email(pool).await, OWN);
    }
    let mut listener = PgListener::connect_with(pool).await.unwrap();
    let error = listener.listen("news").await.unwrap_err();
    assert_eq!(sqlstate(&error).as_deref(), Some("42501"));
}

async fn more_at_once_than_there_are_connections(pool: &PgPool, other: &PgPool) {
    // More at once than either pool has connections.
    let many = (0..60).map(async |n: i32| {
        let pool = if n % 2 == 0 { pool } else { other };
        let row = sqlx::query("SELECT $1::int, email FROM users").bind(n);
        let row = row.fetch_one(pool).await.unwrap();
        (row.get::<i32, _>(0), row.get::<String, _>(1))
    });
    for (n, (number, email)) in (0..).zip(join_all(many).await) {
        assert_eq!(number, n);
        assert_eq!(email == OWN, n % 2 == 0);
    }
}

async fn a_cache_of_statements_and_settings(pool: &PgPool, other: &PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    connection.ping().await.unwrap();
    let one = sqlx::query("SELECT $1::int").bind(1);
    one.execute(&mut *connection).await.unwrap();
    assert!(connection.cached_statements_size() > 0);
    connection.clear_cached_statements().await.unwrap();
    let one = sqlx::query("SELECT $1::int").bind(1);
    one.execute(&mut *connection).await.unwrap();
    // A setting is the session's own.
    connection
        .execute("SET TimeZone = 'Asia/Tokyo'")
        .await
        .unwrap();
    drop(connection);
    let zone = sqlx::query_scalar::<_, String>("SHOW TimeZone");
    assert_eq!(zone.fetch_one(other).await.unwrap(), "UTC");
}
