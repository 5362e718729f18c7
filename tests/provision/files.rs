//! SQL files, and what a failure leaves.

use crate::place::*;

#[test]
fn a_failure_in_the_midst_leaves_nothing() {
    let place = Place::new(&["two_broken"]);
    let files = Files::new(&[
        ("001.sql", "CREATE TABLE good (a int);"),
        (
            "002.sql",
            "CREATE TABLE fine (a int);\n\nSELECT * FROM missing;\n",
        ),
    ]);
    let before = place.state();
    let text = place.fails(&[&files.template(), "Company 0"]);
    assert!(
        text.contains("FAILED: file 002.sql, line 3: relation \"missing\""),
        "{text}"
    );
    assert_eq!(place.state(), before);
    assert_eq!(
        place.sql("SELECT count(*) FROM pg_roles WHERE rolname ~ '^two_broken'"),
        "0"
    );
    // When it is put right, all is made.
    files.write("002.sql", "CREATE TABLE fine (a int)");
    let text = place.done(&[&files.template(), "Company 0"]);
    assert!(text.contains("applied 2 files"), "{text}");
}

#[test]
fn one_tenant_that_fails_does_not_keep_the_others() {
    let place = Place::new(&["three_a", "three_b", "three_c"]);
    place.sql("CREATE ROLE stranger_three; CREATE SCHEMA three_b AUTHORIZATION stranger_three");
    let files = Files::new(&[("1.sql", "CREATE TABLE t (a int)")]);
    let arguments = [&*files.template(), "--all", "--isolation", "made"];
    let text = place.fails(&arguments);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].contains("created schema \"three_a\""), "{text}");
    assert!(
        lines[1].contains("FAILED: schema \"three_b\" belongs to role"),
        "{text}"
    );
    assert!(lines[2].contains("created schema \"three_c\""), "{text}");
    assert!(lines[3].contains("1 of 3 tenants failed"), "{text}");
    assert_eq!(
        place.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'three_b_app'"),
        "0"
    );
    place.sql("DROP SCHEMA three_b");
    let text = place.done(&arguments);
    assert_eq!(text.matches(": up to date").count(), 2, "{text}");
}

#[test]
fn files_are_run_once_in_order_and_must_not_change() {
    let place = Place::new(&["four_a", "four_b"]);
    let files = Files::new(&[
        (
            "010.sql",
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1) -- the end",
        ),
        ("020.sql", "INSERT INTO t VALUES (2)"),
        ("notes.txt", "not SQL"),
    ]);
    let arguments = [&*files.template(), "--all", "--isolation", "made"];
    place.done(&[arguments[0], "Company 0"]);
    files.write("030.sql", "INSERT INTO t SELECT max(a) + 1 FROM t");
    let text = place.done(&arguments);
    assert!(
        text.contains("Company 0") && text.contains(": applied 1 file\n"),
        "{text}"
    );
    assert!(text.contains("applied 3 files"), "{text}");
    for schema in ["four_a", "four_b"] {
        let sql = format!("SELECT string_agg(a::text, ',' ORDER BY a) FROM {schema}.t");
        assert_eq!(place.sql(&sql), "1,2,3");
    }
    let before = place.state();
    files.write("020.sql", "INSERT INTO t VALUES (22)");
    files.write("040.sql", "INSERT INTO t VALUES (4)");
    let text = place.fails(&arguments);
    assert_eq!(
        text.matches("FAILED: file 020.sql has changed").count(),
        2,
        "{text}"
    );
    files.write("020.sql", "INSERT INTO t VALUES (2)");
    files.write("015.sql", "INSERT INTO t VALUES (15)");
    let text = place.fails(&arguments);
    assert_eq!(
        text.matches("file 015.sql comes before 030.sql").count(),
        2,
        "{text}"
    );
    assert_eq!(place.state(), before);
}

#[test]
fn files_that_would_break_the_transaction_are_refused_before_anything_is_done() {
    let place = Place::new(&["five"]);
    for (text, reason) in [
        ("CREATE TABLE t (a int); COMMIT;", "BEGIN, COMMIT"),
        ("CREATE TABEL t (a int)", "syntax error"),
        ("COPY t FROM stdin", "COPY"),
        ("\\i other.sql", "syntax error"),
    ] {
        let files = Files::new(&[("1.sql", text)]);
        let output = place.provision(&[&files.template(), "Company 0"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let error = stderr(&output);
        assert!(error.contains("1.sql") && error.contains(reason), "{error}");
    }
}
