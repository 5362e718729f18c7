//! Statements that run.

use super::Audited;
use serde_json::{Value, json};
use testkit::{INNOVATE, Pipeline, SYNERGY};

/// What is compared of a record.
fn short(record: &Value) -> Value {
    let keys = [
        "statement",
        "part",
        "classes",
        "relations",
        "outcome",
        "rows",
        "sqlstate",
        "text",
    ];
    let found = keys.into_iter().filter(|key| !record[key].is_null());
    found
        .map(|key| (key.to_owned(), record[key].clone()))
        .collect()
}

#[test]
fn each_statement_is_recorded_with_its_classes_rows_and_shape() {
    let audited = Audited::start("statements = \"all\"");
    let mut client = audited.proxy.raw("innovate");
    client.run_ok("SELECT email FROM users WHERE email <> 'nobody' -- secret");
    client.run_ok("BEGIN; UPDATE users SET email = email; ROLLBACK");
    assert_eq!(client.error("SELECT 1/0").code(), "22012");
    let found = audited.wait_for("statement", 5);
    let found: Vec<_> = found.iter().map(short).collect();
    assert_eq!(
        found,
        [
            json!({"statement": 1, "classes": ["READ"], "relations": ["users"], "outcome": "done",
                "rows": 1, "text": "SELECT email FROM users WHERE email <> ?"}),
            json!({"statement": 2, "part": 1, "classes": ["MISC"], "relations": [],
                "outcome": "done", "text": "BEGIN; UPDATE users SET email = email; ROLLBACK"}),
            json!({"statement": 2, "part": 2, "classes": ["WRITE"], "relations": ["users"],
                "outcome": "done", "rows": 1}),
            json!({"statement": 2, "part": 3, "classes": ["MISC"], "relations": [],
                "outcome": "done"}),
            json!({"statement": 3, "classes": ["READ"], "relations": [], "outcome": "failed",
                "sqlstate": "22012", "text": "SELECT ?/?"}),
        ]
    );
}

#[test]
fn each_execute_is_recorded_and_parameters_never_are() {
    let audited = Audited::start("statements = \"all\"\ntext = \"full\"");
    let mut client = audited.proxy.raw("innovate");
    let sql = "SELECT $1::text, 'literal' FROM users";
    let prepare = Pipeline::new().parse("s", sql).sync();
    client.run(&prepare).ok();
    for secret in ["secret 1", "secret 2"] {
        client
            .run(&Pipeline::new().prepared("s", &[secret]).sync())
            .ok();
    }
    // One portal by steps; a failure, and what is skipped behind it.
    let steps = Pipeline::new()
        .parse("", "SELECT generate_series(1, 3)")
        .bind("", "", &[]);
    client.run(&steps.execute("", 2).execute("", 0).sync()).ok();
    let failing = Pipeline::new()
        .statement("SELECT 1/0")
        .statement("SELECT 2")
        .sync();
    assert_eq!(client.run(&failing).error().code(), "22012");
    let found = audited.wait_for("statement", 6);
    let found: Vec<_> = found.iter().map(short).collect();
    let read = |n: i32, more: Value| {
        let mut all = json!({"statement": n, "classes": ["READ"], "relations": []});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let series = "SELECT generate_series(1, 3)";
    let done = json!({"outcome": "done", "rows": 1, "text": sql, "relations": ["users"]});
    assert_eq!(
        found,
        [
            read(1, done.clone()),
            read(2, done),
            read(3, json!({"outcome": "suspended", "text": series})),
            read(4, json!({"outcome": "done", "rows": 1, "text": series})),
            read(
                5,
                json!({"outcome": "failed", "sqlstate": "22012", "text": "SELECT 1/0"})
            ),
            read(6, json!({"outcome": "skipped", "text": "SELECT 2"})),
        ]
    );
    let log = std::fs::read_to_string(audited.file()).unwrap();
    assert!(!log.contains("secret"));
}

#[test]
fn with_write_what_only_reads_is_not_recorded() {
    let audited = Audited::start("statements = \"write\"\ntext = \"none\"");
    let mut client = audited.proxy.raw("innovate");
    client.run_ok("SELECT 1 FROM users");
    client.run_ok("UPDATE users SET email = email");
    client.extended("SELECT 2 FROM users").ok();
    client.extended("UPDATE users SET email = email").ok();
    let found = audited.wait_for("statement", 2);
    for (n, record) in [2, 4].into_iter().zip(&found) {
        assert_eq!(record["statement"], n);
        assert_eq!(record["classes"], json!(["WRITE"]));
        assert!(record["text"].is_null());
    }
}

#[test]
fn what_the_proxy_answers_itself_is_recorded_too() {
    let audited = Audited::start("statements = \"all\"");
    let mut client = audited.proxy.raw("innovate");
    client.value("SELECT pg_backend_pid()");
    let found = audited.wait_for("statement", 1);
    assert_eq!(found[0]["text"], "SELECT pg_backend_pid()");
}

#[test]
fn a_statement_whose_answer_does_not_come_has_a_record() {
    let audited = Audited::start("statements = \"all\"");
    let mut client = audited.proxy.raw("innovate");
    client.send_query("SELECT pg_sleep(100)");
    let site = testkit::site();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE query = 'SELECT pg_sleep(100)' AND state = 'active'";
    testkit::wait_until("it runs and is ended", || site.sql("postgres", end) == "1");
    let found = audited.wait_for("statement", 1);
    assert_eq!(found[0]["outcome"], "unknown");
}

#[test]
fn an_isolation_and_a_tenant_can_say_otherwise() {
    let audited = Audited::start("statements = \"none\"");
    let mut before = audited.proxy.raw("innovate");
    audited.proxy.reload(|text| {
        let tenant = format!("id = \"{INNOVATE}\"\n");
        assert!(text.contains(&tenant));
        let text = text.replacen(&tenant, &format!("{tenant}audit = \"write\"\n"), 1);
        text.replace(
            "[isolation.setting]\n",
            "[isolation.setting]\naudit = \"all\"\n",
        )
    });
    let changed = audited.wait_for("configuration_changed", 1).remove(0);
    assert_eq!(changed["keys"], json!(["isolation.setting.audit"]));
    assert!(changed["tenants"].as_str().unwrap().contains(INNOVATE));
    before.run_ok("UPDATE users SET email = email");
    let mut own = audited.proxy.raw("innovate");
    own.run_ok("SELECT 1 FROM users");
    own.run_ok("UPDATE users SET email = email");
    assert_eq!(own.error("SET ROLE postgres").code(), "42501");
    let mut other = audited.proxy.raw("synergy");
    other.run_ok("SELECT 2 FROM users");
    let found = audited.wait_for("statement", 2);
    let texts: Vec<_> = found
        .iter()
        .map(|one| (&one["tenant"], &one["text"]))
        .collect();
    let expected = [
        (json!(INNOVATE), json!("UPDATE users SET email = email")),
        (json!(SYNERGY), json!("SELECT ? FROM users")),
    ];
    assert_eq!(
        texts,
        expected.each_ref().map(|(tenant, text)| (tenant, text))
    );
    audited.wait_for("statement_refused", 1);
}

#[test]
fn a_login_can_say_otherwise_whatever_its_tenant_says() {
    let audited = Audited::start("statements = \"none\"");
    let mut before = audited.proxy.raw("innovate");
    audited.proxy.reload(|text| {
        let tenant = format!("id = \"{INNOVATE}\"\n");
        let text = text.replacen(&tenant, &format!("{tenant}audit = \"write\"\n"), 1);
        let login = "user = \"innovate\"\n";
        assert!(text.contains(login));
        text.replacen(login, &format!("{login}audit = \"all\"\n"), 1)
    });
    let changed = audited.wait_for("configuration_changed", 1).remove(0);
    assert!(changed["logins"].as_str().unwrap().contains("innovate"));
    // Who is in already goes on as before.
    before.run_ok("SELECT 1 FROM users");
    let mut own = audited.proxy.raw("innovate");
    own.run_ok("SELECT 2 FROM users");
    audited.proxy.raw("synergy").run_ok("SELECT 3 FROM users");
    let found = audited.wait_for("statement", 1).remove(0);
    assert_eq!(found["tenant"], INNOVATE);
    assert_eq!(found["text"], "SELECT ? FROM users");
    assert_eq!(found["classes"], json!(["READ"]));
    assert_eq!(found["relations"], json!(["users"]));
    // And the other way: less than others of its tenant.
    audited.proxy.reload(|text| {
        let login = "user = \"innovate\"\naudit = \"all\"\n";
        text.replacen(login, "user = \"innovate\"\naudit = \"refused\"\n", 1)
    });
    let mut less = audited.proxy.raw("innovate");
    less.run_ok("UPDATE users SET email = email");
    assert_eq!(less.error("SET ROLE postgres").code(), "42501");
    drop(less);
    audited.wait_for("statement_refused", 1);
    audited.wait_for("logout", 2);
    assert_eq!(audited.wait_for("statement", 1).len(), 1);
}
