//! Hostile sizes, on the 2 MiB stack of a spawned thread.

use crate::{SETTING, guard, refused};

/// Runs on a thread with Rust's default stack.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    thread.spawn(work).unwrap().join().unwrap();
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn long_texts_are_refused_before_they_are_parsed() {
    let guard = guard(SETTING);
    let at_limit = format!("SELECT '{}'", "x".repeat((1 << 20) - 9));
    assert_eq!(at_limit.len(), 1 << 20);
    assert_eq!(refused(&guard, &at_limit), None);
    assert_eq!(refused(&guard, &(at_limit + " ")), Some("statement-length"));
}

#[test]
fn comments_may_nest_to_a_limit() {
    let guard = guard(SETTING);
    let comment = |depth| nested("/*", "x", "*/", depth) + "SELECT 1";
    assert_eq!(refused(&guard, &comment(32)), None);
    assert_eq!(refused(&guard, &comment(33)), Some("nesting"));
    assert_eq!(refused(&guard, &comment(100_000)), Some("nesting"));
    assert_eq!(
        refused(&guard, &format!("SELECT {}", "/*".repeat(100_000))),
        Some("nesting")
    );
    let flat = "/* a */".repeat(10_000) + "SELECT 1";
    assert_eq!(refused(&guard, &flat), None);
    let types = format!("SELECT 1 WHERE a IN ('x'{})", ", 'image/*'".repeat(1000));
    assert_eq!(refused(&guard, &types), None);
    for hidden in [
        "$a$ /* $a$",
        "'/*'",
        "e'\\'/*'",
        "\"/*\"",
        "-- /*\n",
        "a$b$ ",
    ] {
        let sql = format!("SELECT 1 {}, 1 /* */", hidden.repeat(40));
        assert_ne!(refused(&guard, &sql), Some("nesting"), "{hidden}");
    }
    let after_name = format!("SELECT a$b$ {}", "/*".repeat(1000));
    assert_eq!(refused(&guard, &after_name), Some("nesting"));
}

#[test]
fn deep_trees_do_not_overflow_the_stack() {
    on_a_small_stack(|| {
        let guard = guard(SETTING);
        let call = "set_config('session.current_organization_id','x',true)";
        let deep = [
            nested("(", call, ")", 2_000),
            nested("lower(", call, ")", 2_000),
            nested("(SELECT ", call, ")", 2_000),
            nested("- ", call, "", 2_000),
            nested("NOT ", call, "", 4_000),
            nested("CASE WHEN true THEN ", call, " END", 1_000),
            nested("ARRAY[", call, "]", 1_500),
            format!("1{}, {call}", "+1".repeat(200_000)),
            format!("1{} || {call}", " OR a".repeat(100_000)),
            format!("{call}{}", "::text".repeat(100_000)),
            format!("({call}){}", ".a".repeat(100_000)),
            format!("{call}{}", " IS NULL".repeat(50_000)),
            format!("{call}{}", " COLLATE \"C\"".repeat(50_000)),
        ];
        for expression in deep {
            let sql = format!("SELECT {expression}");
            assert_eq!(refused(&guard, &sql), Some("tenant-setting"), "{:.60}", sql);
        }
        let queries = [
            format!("SELECT {call}{}", " UNION ALL SELECT 1".repeat(40_000)),
            format!(
                "SELECT 1 FROM a{} WHERE {call} = ''",
                " JOIN b ON true".repeat(40_000)
            ),
            format!("SELECT {call};{}", "SELECT 1;".repeat(100_000)),
            format!("VALUES ({call}){}", ",(1)".repeat(200_000)),
        ];
        for sql in queries {
            assert_eq!(refused(&guard, &sql), Some("tenant-setting"), "{:.60}", sql);
        }
    });
}

#[test]
fn nesting_beyond_the_parser_is_refused() {
    on_a_small_stack(|| {
        let guard = guard(SETTING);
        for (open, close) in [
            ("(", ")"),
            ("f(", ")"),
            ("(SELECT ", ")"),
            ("- ", ""),
            ("CASE WHEN ", " END"),
        ] {
            let depth = (1 << 20) / (open.len() + close.len()) - 10;
            let sql = format!("SELECT {}", nested(open, "1", close, depth));
            assert_eq!(refused(&guard, &sql), Some("syntax"), "{open}");
        }
    });
}
