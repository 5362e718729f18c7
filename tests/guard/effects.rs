//! What the statements that pass do to the session.

use crate::{SETTING, but_draws, guard};
use pgtenant::guard::{
    Effects, Guard, Mode, Options, Permission, Policy, Returned, SqlName, TouchedSettings,
    Transaction,
};

fn named(names: &[&str]) -> Effects {
    let names = names.iter().map(|name| (*name).into()).collect();
    Effects {
        settings: TouchedSettings::Named(names),
        ..Effects::default()
    }
}

#[test]
fn the_first_statement_of_pg_dump_passes() {
    let sql = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings \
               WHERE name = 'restrict_nonsystem_relation_kind'";
    let verdict = guard(SETTING).inspect(sql.as_bytes());
    assert_eq!(verdict.refusal, None);
    let expected = Effects {
        doubtful: true,
        ..named(&["restrict_nonsystem_relation_kind"])
    };
    assert_eq!(but_draws(&verdict.effects), expected);
}

fn returned(names: &[&str], name: &str, alone: bool) -> Effects {
    Effects {
        defaults: vec![Returned {
            name: name.into(),
            local: false,
            alone,
        }],
        ..named(names)
    }
}

#[test]
fn effects_tell_what_outlives_the_transaction() {
    let none = Effects::default;
    let resets = Effects {
        resets: true,
        ..none()
    };
    let again = |names, set: &[&str]| Effects {
        resets: true,
        set_again: set.iter().map(|name| (*name).into()).collect(),
        ..named(names)
    };
    let cleans = Effects {
        drops_temporary: true,
        ..resets.clone()
    };
    let discards = Effects {
        drops_prepared: true,
        drops_temporary: true,
        clears_residue: true,
        sql_names: vec![SqlName::DeallocateAll],
        ..resets.clone()
    };
    let drops = Effects {
        drops_prepared: true,
        sql_names: vec![SqlName::DeallocateAll],
        ..none()
    };
    let residue = Effects {
        residue: true,
        ..none()
    };
    let temporary = |name: &str| Effects {
        temporary: vec![name.into()],
        ..residue.clone()
    };
    let seeds = Effects {
        seeds: true,
        ..none()
    };
    let doubtful = Effects {
        doubtful: true,
        ..none()
    };
    let local = Effects {
        sets_local: true,
        ..none()
    };
    let cases = [
        ("SET statement_timeout = 5", named(&["statement_timeout"])),
        (
            "SET DateStyle = ISO, MDY; SET App.X = ''; RESET app.x",
            returned(&["datestyle", "app.x"], "app.x", false),
        ),
        ("RESET app.x; SET app.x = '1'", named(&["app.x"])),
        (
            "SET TimeZone TO DEFAULT",
            returned(&["timezone"], "timezone", true),
        ),
        ("SET LOCAL work_mem = '64MB'", local.clone()),
        ("SET LOCAL search_path = a, b", local.clone()),
        (
            "SELECT set_config('app.user', $1, true)",
            Effects {
                local_customs: vec!["app.user".into()],
                ..local.clone()
            },
        ),
        (
            "SET LOCAL App.X = 1; SET LOCAL app.x = 2",
            Effects {
                local_customs: vec!["app.x".into()],
                ..local.clone()
            },
        ),
        (
            "SET LOCAL work_mem TO DEFAULT",
            Effects {
                defaults: vec![Returned {
                    name: "work_mem".into(),
                    local: true,
                    alone: true,
                }],
                ..local
            },
        ),
        ("SET TIME ZONE 'UTC'", named(&["timezone"])),
        (
            "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
            named(&["timezone"]),
        ),
        ("SET NAMES 'utf-8'", named(&["client_encoding"])),
        ("SET search_path = a, b", named(&["search_path"])),
        ("SET search_path = pg_catalog, a", named(&["search_path"])),
        (
            "SET search_path = pg_catalog, a, pg_temp",
            named(&["search_path"]),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE",
            named(&[
                "default_transaction_read_only",
                "default_transaction_isolation",
            ]),
        ),
        (
            "SELECT set_config('TimeZone', 'UTC', false)",
            named(&["timezone"]),
        ),
        ("SELECT set_config('a.b', $1, $2)", named(&["a.b"])),
        (
            "SELECT set_config('search_path', '', false)",
            named(&["search_path"]),
        ),
        ("RESET work_mem", returned(&["work_mem"], "work_mem", true)),
        // Names of old, which PostgreSQL still takes.
        (
            "SET sort_mem = 64; SELECT set_config('Vacuum_Mem', '64MB', false)",
            named(&["work_mem", "maintenance_work_mem"]),
        ),
        ("RESET ALL", resets.clone()),
        ("RESET ALL; SELECT 1, 'a'", resets.clone()),
        ("SET a.b = 1; RESET ALL", again(&["a.b"], &[])),
        ("RESET ALL; SET A.b = 1; RESET c.d", {
            let returned = returned(&["c.d"], "c.d", false).defaults;
            Effects {
                defaults: returned,
                ..again(&["a.b", "c.d"], &["a.b"])
            }
        }),
        ("RESET ALL; SET a.b = 1; SET c.d = 2; RESET ALL", {
            again(&["a.b", "c.d"], &[])
        }),
        (
            "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
            resets.clone(),
        ),
        ("SET SESSION AUTHORIZATION DEFAULT", resets.clone()),
        ("RESET SESSION AUTHORIZATION", resets.clone()),
        // Npgsql cleans a connection that has prepared statements so.
        (
            "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP",
            cleans,
        ),
        (
            "DISCARD TEMP",
            Effects {
                drops_temporary: true,
                ..none()
            },
        ),
        ("DISCARD ALL", discards),
        ("DEALLOCATE ALL", drops),
        (
            "DEALLOCATE p",
            Effects {
                deallocates: Some("p".into()),
                sql_names: vec![SqlName::Deallocate("p".into())],
                ..none()
            },
        ),
        (
            "DEALLOCATE PREPARE \"P q\"",
            Effects {
                deallocates: Some("P q".into()),
                sql_names: vec![SqlName::Deallocate("P q".into())],
                ..none()
            },
        ),
        ("CREATE TEMP TABLE t (a int)", temporary("t")),
        ("CREATE TABLE pg_temp.t (a int)", temporary("t")),
        ("CREATE TEMP TABLE \"T u\" AS SELECT 1", temporary("T u")),
        ("SELECT 1 INTO TEMP t", temporary("t")),
        ("CREATE TEMP SEQUENCE s", temporary("s")),
        (
            "CREATE MATERIALIZED VIEW pg_temp.m AS SELECT 1",
            Effects {
                redefines: true,
                ..temporary("m")
            },
        ),
        (
            "CREATE STATISTICS pg_temp.s ON a, b FROM t",
            residue.clone(),
        ),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", residue.clone()),
        (
            "PREPARE p AS SELECT 1",
            Effects {
                sql_names: vec![SqlName::Prepare("p".into())],
                ..residue.clone()
            },
        ),
        ("SELECT setseed(0.5)", seeds.clone()),
        ("SET seed = 0.5", seeds),
        ("SELECT app.f(1)", doubtful.clone()),
        ("SELECT f(1)", doubtful.clone()),
        ("SELECT pg_temp.lower('A')", doubtful.clone()),
        ("SELECT 1 OPERATOR(app.+) 2", doubtful.clone()),
        ("SELECT 1 <===> 2", doubtful.clone()),
        ("CALL p()", doubtful.clone()),
        (
            "EXECUTE p",
            Effects {
                sql_names: vec![SqlName::Execute("p".into())],
                ..doubtful.clone()
            },
        ),
        ("CREATE TABLE t (a int DEFAULT f())", doubtful),
    ];
    let guard = guard(SETTING);
    for (sql, effects) in cases {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(but_draws(&verdict.effects), effects, "{sql}");
    }
}

#[test]
fn report_mode_still_names_the_rule_and_the_effects() {
    let options = Options {
        mode: Mode::Report,
        opaque: Permission::Reject,
        channels: Permission::Reject,
    };
    let guard = Guard::new(Policy::new(options, [SETTING]));
    let verdict = guard.inspect(b"SET session.current_organization_id = 'x'");
    assert!(verdict.refusal.is_some() && verdict.effects.doubtful);
    assert_eq!(verdict.effects.settings, named(&[SETTING]).settings);
    let unread = guard.inspect(b"FROBNICATE");
    assert_eq!(unread.effects.settings, TouchedSettings::Any);
}

#[test]
fn what_the_options_let_through_keeps_its_effects() {
    let options = Options {
        mode: Mode::Enforce,
        opaque: Permission::Allow,
        channels: Permission::Allow,
    };
    let guard = Guard::new(Policy::new(options, [SETTING]));
    let locks = Effects {
        locks: true,
        ..Effects::default()
    };
    let doubtful = Effects {
        doubtful: true,
        ..Effects::default()
    };
    let both = Effects {
        residue: true,
        doubtful: true,
        ..Effects::default()
    };
    let view = Effects {
        temporary: vec!["v".into()],
        redefines: true,
        ..both.clone()
    };
    let cases = [
        ("LISTEN a", &locks),
        ("SELECT pg_advisory_lock(1)", &locks),
        ("SELECT (1::bigint).pg_advisory_lock_shared", &locks),
        ("SELECT pg_try_advisory_lock(1)", &locks),
        ("SELECT pg_try_advisory_lock_shared(1)", &locks),
        ("SELECT pg_advisory_xact_lock(1)", &Effects::default()),
        ("SELECT pg_try_advisory_xact_lock(1)", &Effects::default()),
        ("EXPLAIN ANALYZE SELECT 1", &Effects::default()),
        ("SELECT * FROM pg_stats", &Effects::default()),
        ("NOTIFY a", &Effects::default()),
        ("SELECT query FROM pg_stat_activity", &Effects::default()),
        ("DO $$BEGIN END$$", &doubtful),
        ("SELECT query_to_xml('x', true, false, '')", &doubtful),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1",
            &doubtful,
        ),
        (
            "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql RETURN 1",
            &both,
        ),
        ("CREATE DOMAIN pg_temp.d AS text", &both),
        ("CREATE TYPE pg_temp.e AS ENUM ('a')", &both),
        (
            "CREATE AGGREGATE pg_temp.a(int) (sfunc = f, stype = int)",
            &both,
        ),
        ("CREATE TEMP VIEW v AS SELECT 1", &view),
    ];
    for (sql, effects) in cases {
        let verdict = guard.inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(but_draws(&verdict.effects), *effects, "{sql}");
    }
}

#[test]
fn a_guard_can_be_shared() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&guard(SETTING));
}

/// The last change of each counts, however many there are.
#[test]
fn thousands_of_settings_come_to_their_last_changes() {
    let many = |what: &dyn Fn(usize) -> String| (0..4000).map(what).collect::<String>();
    let sets = many(&|n| format!("SET a{n} = 1;"));
    let resets = many(&|n| format!("RESET a{};", 2 * (n % 2000)));
    let guard = guard(SETTING);
    let effects = |sql: &str| guard.inspect(sql.as_bytes()).effects.clone();
    assert_eq!(effects(&(sets.clone() + &resets)).defaults.len(), 2000);
    assert_eq!(effects(&(resets.clone() + &sets)).defaults, []);
    let after = effects(&format!("RESET ALL;{sets}{resets}"));
    assert_eq!((after.set_again.len(), after.defaults.len()), (2000, 2000));
    assert!(
        after
            .set_again
            .iter()
            .all(|name| name.ends_with(['1', '3', '5', '7', '9']))
    );
    let again = effects(&format!("RESET ALL;{sets}RESET ALL;SET a.b = 1"));
    assert_eq!(again.set_again, ["a.b".into()]);
    let local = many(&|n| format!("SET LOCAL a.a{} = 1;", n % 2000));
    assert_eq!(effects(&local).local_customs.len(), 2000);
}

#[test]
fn a_part_of_the_date_style_behind_a_return_to_its_default_is_told() {
    for (sql, part) in [
        ("RESET ALL; SET DateStyle = 'ISO'", Some("ISO")),
        (
            "SET DateStyle = 'SQL'; RESET DateStyle; SET DateStyle = 'ISO'",
            Some("ISO"),
        ),
        (
            "SET DateStyle TO DEFAULT; SET DateStyle = 'dmy'",
            Some("DMY"),
        ),
        (
            "RESET ALL; SET DateStyle = iso; SET DateStyle = european",
            None,
        ),
        ("RESET DateStyle; SET LOCAL DateStyle = 'ISO'", None),
        ("RESET ALL; SET DateStyle = 'ISO'; RESET DateStyle", None),
        ("SET DateStyle = 'ISO'; RESET ALL", None),
        ("SET DateStyle = 'ISO'", None),
    ] {
        let verdict = guard(SETTING).inspect(sql.as_bytes());
        assert_eq!(verdict.refusal, None, "{sql}");
        assert_eq!(verdict.effects.date_style, part, "{sql}");
    }
}

#[test]
fn what_becomes_of_a_transaction_is_told() {
    let guard = guard(SETTING);
    let cases = [
        ("SELECT 1", Transaction::None),
        ("INSERT INTO t VALUES (1); SELECT 1", Transaction::None),
        ("COMMIT", Transaction::Ends),
        ("end work /* now */;", Transaction::Ends),
        ("ROLLBACK", Transaction::Ends),
        ("ABORT", Transaction::Ends),
        ("COMMIT AND NO CHAIN", Transaction::Ends),
        ("COMMIT AND CHAIN", Transaction::Any),
        ("ROLLBACK AND CHAIN", Transaction::Any),
        ("BEGIN", Transaction::Any),
        ("START TRANSACTION READ ONLY", Transaction::Any),
        ("SELECT 1; BEGIN", Transaction::Any),
        ("BEGIN; SELECT 1; COMMIT", Transaction::Any),
        ("COMMIT; SELECT 1", Transaction::Any),
        ("SAVEPOINT s", Transaction::Any),
        ("RELEASE s", Transaction::Any),
        ("ROLLBACK TO s", Transaction::Any),
    ];
    for (sql, transaction) in cases {
        let effects = &guard.inspect(sql.as_bytes()).effects;
        assert_eq!(effects.transaction, transaction, "{sql}");
        let is_over = transaction == Transaction::None;
        assert_eq!(effects.are_over_with_it(), is_over, "{sql}");
    }
    for sql in [
        "SET work_mem = 1",
        "LISTEN a",
        "PREPARE p AS SELECT 1",
        "COPY t FROM STDIN",
    ] {
        assert!(
            !guard.inspect(sql.as_bytes()).effects.are_over_with_it(),
            "{sql}"
        );
    }
}
