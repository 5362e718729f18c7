//! DEALLOCATE, RESET ALL and DISCARD ALL within a pipeline: the same answers as
//! PostgreSQL gives.

use crate::{superuser, with_bulk};
use testkit::{Answer, Options, Pipeline, Raw, answers_soon};

fn p() -> Pipeline {
    Pipeline::new()
}

/// One run of a statement, without Describe.
fn run(sql: &str) -> Pipeline {
    p().parse("", sql).bind("", "", &[]).execute("", 0)
}

/// Pipelines one behind another, each ends in one ReadyForQuery.
fn scripts() -> Vec<(&'static str, Vec<Pipeline>)> {
    let x = || p().parse("x", "SELECT 1").sync();
    let use_x = || p().prepared("x", &[]).sync();
    vec![
        (
            "DEALLOCATE x, then P(x)",
            vec![
                x(),
                run("DEALLOCATE x").parse("x", "SELECT 2").sync(),
                use_x(),
            ],
        ),
        (
            "DEALLOCATE x, P(x), B(x)",
            vec![
                x(),
                run("DEALLOCATE x")
                    .parse("x", "SELECT 2")
                    .prepared("x", &[])
                    .sync(),
                use_x(),
            ],
        ),
        (
            "DEALLOCATE ALL, then P(y)",
            vec![
                x(),
                run("DEALLOCATE ALL").parse("y", "SELECT 3").sync(),
                p().prepared("y", &[]).sync(),
                use_x(),
            ],
        ),
        (
            "P(x) and its DEALLOCATE",
            vec![
                p().parse("x", "SELECT 1")
                    .parse("d", "DEALLOCATE x")
                    .prepared("d", &[])
                    .sync(),
                use_x(),
                x(),
                use_x(),
            ],
        ),
        (
            "DEALLOCATE in a string",
            vec![
                x(),
                p().query("DEALLOCATE x; SELECT 1"),
                use_x(),
                x(),
                p().query("SELECT 1; DEALLOCATE x"),
                use_x(),
                x(),
                p().query("DEALLOCATE x; SELECT 1/0"),
                use_x(),
            ],
        ),
        (
            "DEALLOCATE that is skipped",
            vec![
                x(),
                run("SELECT 1/0")
                    .parse("d", "DEALLOCATE x")
                    .prepared("d", &[])
                    .sync(),
                use_x(),
                p().prepared("d", &[]).sync(),
            ],
        ),
        (
            "DEALLOCATE in a transaction that is rolled back",
            vec![
                x(),
                p().query("BEGIN"),
                run("DEALLOCATE x").sync(),
                p().query("ROLLBACK"),
                use_x(),
            ],
        ),
        (
            "Close of a statement that is skipped",
            vec![x(), run("SELECT 1/0").close_statement("x").sync(), use_x()],
        ),
        (
            "DISCARD ALL, then P",
            vec![
                x(),
                run("DISCARD ALL")
                    .parse("z", "SELECT 4")
                    .prepared("z", &[])
                    .sync(),
                p().prepared("z", &[]).sync(),
                use_x(),
            ],
        ),
        (
            "RESET ALL, then P",
            vec![
                x(),
                run("RESET ALL")
                    .parse("z", "SELECT 5")
                    .prepared("z", &[])
                    .sync(),
                p().prepared("z", &[]).sync(),
                use_x(),
            ],
        ),
    ]
}

/// What of an answer must be the same.
fn told(answer: &Answer) -> String {
    let codes: Vec<_> = answer
        .errors()
        .iter()
        .map(|e| e.code().to_owned())
        .collect();
    format!(
        "{} {:?} {codes:?} {:?} {}",
        answer.tags(),
        answer.column(),
        answer.commands(),
        answer.status()
    )
}

fn answers(mut client: Raw, steps: &[Pipeline]) -> Vec<String> {
    let answer = |step| {
        client.send(Pipeline::bytes(step));
        if !answers_soon(&client) {
            return "none".to_owned();
        }
        match client.try_ready() {
            Some(answer) => told(&answer),
            None => "closed".to_owned(),
        }
    };
    steps.iter().map(answer).collect()
}

#[test]
fn what_deallocates_within_a_pipeline_is_answered_as_postgresql_does() {
    let proxy = with_bulk(Options {
        size: 1,
        ..Options::default()
    });
    let database = proxy.database("innovate");
    let mut different = Vec::new();
    for (name, steps) in scripts() {
        let direct = answers(superuser(&database), &steps);
        let proxied = answers(proxy.raw("innovate"), &steps);
        if direct != proxied {
            different.push(format!(
                "{name}\n  direct  {direct:#?}\n  proxied {proxied:#?}"
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
