//! Large objects by FunctionCall messages, as libpq, JDBC and others use them.

use testkit::{Options, Pipeline, Proxy, site};

/// A FunctionCall with arguments as text.
fn call(oid: u32, arguments: &[&str]) -> Pipeline {
    let count = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let mut body = oid.to_be_bytes().to_vec();
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&count(arguments.len()));
    for value in arguments {
        body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(&[0, 0]);
    Pipeline::new().message(b'F', &body)
}

const LO_CREATE: u32 = 715;
const LO_EXPORT: u32 = 765;
const SET_CONFIG: u32 = 2078;

fn start(channels: &'static str) -> Proxy {
    Proxy::start(&Options {
        size: 1,
        channels,
        ..Options::default()
    })
}

#[test]
fn psql_imports_and_exports_where_channels_are_allowed() {
    let proxy = start("allow");
    let content = "a large object\n".repeat(10_000);
    let from = site().write("imported", &content);
    let to = site().file("exported");
    let import = format!("\\lo_import {} 'a comment'", from.display());
    let export = format!("\\lo_export :LASTOID {}", to.display());
    let output = proxy.psql("innovate", &[&import, &export, "\\lo_unlink :LASTOID"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(std::fs::read_to_string(to).unwrap(), content);
}

#[test]
fn a_call_is_judged_by_the_function() {
    for (channels, oid, arguments, expected) in [
        ("allow", LO_CREATE, &["424242"][..], ("VZ", None)),
        (
            "reject",
            LO_CREATE,
            &["424243"],
            ("EZ", Some("large-objects")),
        ),
        (
            "allow",
            LO_EXPORT,
            &["1", "/tmp/x"],
            ("EZ", Some("fast-path")),
        ),
        (
            "allow",
            SET_CONFIG,
            &["a.b", "x", "f"],
            ("EZ", Some("fast-path")),
        ),
    ] {
        let proxy = start(channels);
        let mut client = proxy.raw("innovate");
        let mut other = proxy.raw("synergy");
        let answer = client.run(&call(oid, arguments));
        assert_eq!((&*answer.tags(), answer.status()), (expected.0, 'I'));
        if let Some(rule) = expected.1 {
            assert_eq!(answer.error().code(), "42501");
            proxy.wait_for_log(&format!("rule=\"{rule}\""));
        }
        other.run_ok("SELECT 1");
        // Within a transaction, and within a pipeline.
        client.run_ok("BEGIN");
        let failed = expected.0 == "EZ";
        let again = match failed {
            true => call(oid, arguments),
            false => call(oid, &["424244"]),
        };
        let answer = client.run(&again);
        let status = if failed { 'E' } else { 'T' };
        assert_eq!((&*answer.tags(), answer.status()), (expected.0, status));
        client.run_ok("ROLLBACK");
        client.send(Pipeline::new().statement("SELECT 1").bytes());
        client.send(again.bytes());
        client.send(Pipeline::new().sync().bytes());
        let first = client.until_ready();
        assert_eq!(first.errors().len(), usize::from(failed));
        client.until_ready().ok();
        other.run_ok("SELECT 1");
        client.run_ok("SELECT 1");
    }
}

#[test]
fn a_call_behind_an_error_is_skipped() {
    let proxy = start("allow");
    let mut client = proxy.raw("innovate");
    client.send(Pipeline::new().statement("SELECT 1/0").bytes());
    client.send(call(LO_CREATE, &["515151"]).bytes());
    client.send(Pipeline::new().sync().bytes());
    assert_eq!(client.until_ready().error().code(), "22012");
    let sql = "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 515151";
    assert_eq!(client.value(sql), "0");
}
