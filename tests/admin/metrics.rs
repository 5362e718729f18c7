//! What `/metrics` counts.

use crate::client::Door;
use crate::{TOKEN, bearer, proxy};
use testkit::{INNOVATE, Options, Proxy, Raw, SYNERGY, wait_until};

/// A proxy with one server connection and one worker.
fn single(lines: &str) -> (Proxy, Door) {
    proxy(
        lines,
        Options {
            size: 1,
            ..Options::default()
        },
    )
}

/// The sum of all samples of this name that have all these labels.
fn sum(door: &Door, name: &str, labels: &[(&str, &str)]) -> f64 {
    let reply = door.get("/metrics", &[&bearer(TOKEN)]);
    assert_eq!(reply.status, 200);
    let samples = reply.body.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (own, set) = series.split_once('{').unwrap_or((series, ""));
        let has = |(key, value): &(&str, &str)| set.contains(&format!("{key}=\"{value}\""));
        (own == name && labels.iter().all(has)).then(|| value.parse::<f64>().unwrap())
    });
    samples.sum()
}

/// Waits until it is so much: what is counted last is counted behind the answer.
fn wait_for(door: &Door, name: &str, labels: &[(&str, &str)], expected: f64) {
    wait_until(&format!("{name} {labels:?} is {expected}"), || {
        let now = sum(door, name, labels);
        assert!(now <= expected, "{name} {labels:?}: {now}");
        now >= expected
    });
}

#[test]
fn what_a_tenant_does_is_counted_under_its_name() {
    let (proxy, door) = single("");
    let own = ("tenant", INNOVATE);
    let mut client = proxy.raw("innovate");
    client.run_ok("SELECT 1");
    client.run_ok("BEGIN");
    client.run_ok("SELECT 2");
    client.run_ok("COMMIT");
    client.error("SELECT 1/0");
    wait_for(&door, "pgtenant_transactions_total", &[own], 3.0);
    wait_for(&door, "pgtenant_queries_total", &[own], 5.0);
    wait_for(&door, "pgtenant_transaction_seconds_count", &[own], 3.0);
    wait_for(&door, "pgtenant_wait_seconds_count", &[own], 3.0);
    wait_for(&door, "pgtenant_errors_total", &[own, ("class", "22")], 1.0);
    assert!(sum(&door, "pgtenant_client_received_bytes_total", &[own]) > 50.0);
    assert!(sum(&door, "pgtenant_client_sent_bytes_total", &[own]) > 100.0);
    assert!(sum(&door, "pgtenant_query_seconds_total", &[own]) > 0.0);
    let logins = [own, ("method", "scram"), ("outcome", "accepted")];
    assert_eq!(sum(&door, "pgtenant_logins_total", &logins), 1.0);
    assert_eq!(sum(&door, "pgtenant_login_seconds_count", &[own]), 1.0);
    // Of others there is nothing.
    assert_eq!(
        sum(&door, "pgtenant_transactions_total", &[("tenant", SYNERGY)]),
        0.0
    );
}

#[test]
fn every_histogram_has_a_bucket_for_all_that_took_longer() {
    let (proxy, door) = single("");
    proxy.raw("innovate").run_ok("SELECT 1");
    let own = ("tenant", INNOVATE);
    for name in ["wait", "transaction", "login"] {
        let all = [own, ("le", "+Inf")];
        wait_for(&door, &format!("pgtenant_{name}_seconds_bucket"), &all, 1.0);
    }
    for accept in ["application/openmetrics-text", "text/plain"] {
        let text = door.get("/metrics", &[&bearer(TOKEN), &format!("Accept: {accept}")]);
        let is_last = |line: &&str| line.contains("_bucket{") && line.contains("le=\"+Inf\"");
        assert_eq!(text.body.lines().filter(is_last).count(), 3, "{accept}");
        // Fifteen buckets would be one more than there are bounds.
        let buckets = text.body.lines().filter(|line| line.contains("_bucket{"));
        assert_eq!(buckets.count(), 3 * 14, "{accept}");
    }
}

#[test]
fn refusals_are_counted_by_rule_and_errors_by_class() {
    let (proxy, door) = single("");
    let own = ("tenant", INNOVATE);
    let mut client = proxy.raw("innovate");
    client.error("SET session.current_organization_id = 'x'");
    let refused = [own, ("rule", "tenant-setting")];
    wait_for(&door, "pgtenant_refusals_total", &refused, 1.0);
    wait_for(&door, "pgtenant_errors_total", &[own, ("class", "42")], 1.0);
    // What was refused has not been a transaction of the server's.
    assert_eq!(sum(&door, "pgtenant_transactions_total", &[own]), 0.0);
}

#[test]
fn a_connection_that_goes_to_another_tenant_is_counted_as_scrubbed() {
    let (proxy, door) = single("");
    let mut one = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    one.run_ok("SELECT 1");
    let kinds = |tenant, kind| [("tenant", tenant), ("kind", kind)];
    let attachments = "pgtenant_attachments_total";
    // Its login may have made it its tenant's.
    let kept = || sum(&door, attachments, &kinds(INNOVATE, "kept"));
    wait_for(&door, attachments, &[("tenant", INNOVATE)], 1.0);
    let before = kept();
    one.run_ok("SELECT 1");
    wait_until("it is kept", || kept() == before + 1.0);
    other.run_ok("SELECT 1");
    wait_for(&door, attachments, &kinds(SYNERGY, "scrubbed"), 1.0);
}

#[test]
fn clients_are_told_apart_by_what_they_do() {
    let (proxy, door) = single("");
    let state = |state| [("tenant", INNOVATE), ("state", state)];
    let mut holder = proxy.raw("innovate");
    let mut waiter = proxy.raw("innovate");
    wait_for(&door, "pgtenant_clients", &state("idle"), 2.0);
    holder.run_ok("BEGIN");
    wait_until("a client is active", || {
        sum(&door, "pgtenant_clients", &state("active")) == 1.0
    });
    waiter.send_query("SELECT 1");
    wait_until("a client is waiting", || {
        sum(&door, "pgtenant_clients", &state("waiting")) == 1.0
    });
    assert_eq!(
        sum(&door, "pgtenant_server_connections", &[("state", "active")]),
        1.0
    );
    holder.run_ok("COMMIT");
    waiter.until_ready();
    wait_until("a client is idle", || {
        sum(&door, "pgtenant_clients", &state("idle")) == 2.0
    });
    // It has waited, and that took more than the first bucket has room for.
    let own = ("tenant", INNOVATE);
    wait_for(&door, "pgtenant_wait_seconds_count", &[own], 2.0);
    assert!(sum(&door, "pgtenant_wait_seconds_sum", &[own]) > 0.0);
    // Locks keep the connection.
    holder.run_ok("CREATE TEMPORARY TABLE kept (a int)");
    wait_until("a client is pinned", || {
        sum(&door, "pgtenant_clients", &state("pinned")) == 1.0
    });
}

#[test]
fn tenants_beyond_the_limit_are_counted_together() {
    let (proxy, door) = single("tenant_series = 1");
    proxy.raw("innovate").run_ok("SELECT 1");
    proxy.raw("synergy").run_ok("SELECT 1");
    let transactions = "pgtenant_transactions_total";
    wait_for(&door, transactions, &[("tenant", INNOVATE)], 1.0);
    wait_for(&door, transactions, &[("tenant", "other")], 1.0);
    assert_eq!(sum(&door, transactions, &[("tenant", SYNERGY)]), 0.0);
}

#[test]
fn logins_that_fail_are_counted_and_give_nobody_a_series() {
    let (proxy, door) = single("");
    let refused = ("outcome", "refused");
    for user in ["nobody", "innovate"] {
        let parameters = [("user", user), ("database", "wellness_corp_db")];
        let refused = Raw::log_in(proxy.port, "wrong", &parameters);
        assert_eq!(refused.err().unwrap().all["C"], "28P01");
    }
    let nobodys = [refused, ("tenant", "")];
    wait_for(&door, "pgtenant_logins_total", &nobodys, 1.0);
    let others = [refused, ("tenant", "other"), ("method", "scram")];
    wait_for(&door, "pgtenant_logins_total", &others, 1.0);
    assert_eq!(
        sum(&door, "pgtenant_logins_total", &[("tenant", INNOVATE)]),
        0.0
    );
}

#[test]
fn memory_is_told_by_what_it_is_held_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    for audit in [String::new(), format!("[audit]\nfile = {log:?}\n")] {
        let options = Options {
            more: audit.clone(),
            ..Options::default()
        };
        let (proxy, door) = proxy("", options);
        let mut client = proxy.raw("innovate");
        client.run_ok("SELECT 1");
        let text = door.get("/metrics", &[&bearer(TOKEN)]).body;
        let lines = text.lines();
        let own = lines.filter_map(|line| line.strip_prefix("pgtenant_memory_bytes{kind=\""));
        let kinds: Vec<_> = own.map(|line| line.split('"').next().unwrap()).collect();
        match audit.is_empty() {
            true => assert_eq!(kinds, ["statements"]),
            false => assert_eq!(kinds, ["audit", "statements"]),
        }
    }
}
