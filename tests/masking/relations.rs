//! Which relations masked logins find, and what of them.

use crate::lab::{Lab, mask, refused, rows, servers, table};

fn parts() -> String {
    table("base", "n integer, note text, fine text, lower_note text GENERATED ALWAYS AS (lower(note)) STORED")
        + &table("other", "x text")
        + "CREATE TABLE events (tenant text, at date, note text) PARTITION BY RANGE (at);
           CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
           CREATE TABLE parent (note text); CREATE TABLE child (more text) INHERITS (parent);
           CREATE VIEW whole AS SELECT * FROM base;
           CREATE VIEW deeper AS SELECT note AS renamed FROM whole;
           CREATE MATERIALIZED VIEW kept AS SELECT note FROM base;
           CREATE VIEW invoked WITH (security_invoker) AS SELECT note FROM base;
           CREATE VIEW harmless AS SELECT x FROM other;
           CREATE FUNCTION leak() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER
               SET search_path = public, pg_temp AS 'SELECT note FROM base';
           CREATE VIEW leaking AS SELECT * FROM leak();
           CREATE TABLE some_columns (open text, closed text);
           CREATE TABLE no_right (note text);
           CREATE TABLE \"Odd \"\"name\" (\"Full Name\" text, \"select\" text);
           CREATE SCHEMA more; GRANT USAGE ON SCHEMA more TO wellness_app;
           CREATE TABLE more.base (note text); CREATE TABLE more.extra (note text);
           GRANT SELECT ON events, events_1, parent, child, whole, deeper, kept, invoked, harmless, leaking,
               \"Odd \"\"name\", more.base, more.extra TO wellness_app;
           GRANT SELECT (open) ON some_columns TO wellness_app;
           INSERT INTO base VALUES ('a', 1, 'Secret', 'fine'), ('b', 2, 'Of b', 'fine');
           INSERT INTO other VALUES ('a', 'clear');
           INSERT INTO events VALUES ('a', '2020-02-02', 'Secret');
           INSERT INTO child VALUES ('Secret', 'more'); INSERT INTO more.extra VALUES ('Secret');
           INSERT INTO \"Odd \"\"name\" VALUES ('Ada L', 'kept'); REFRESH MATERIALIZED VIEW kept;"
}

fn masks() -> [String; 5] {
    [
        mask("base", "note", "with = \"null\""),
        mask("events", "note", "with = \"partial(1)\""),
        mask("parent", "note", "with = \"partial(1)\""),
        mask("more.extra", "note", "with = \"hash\""),
        mask(r#""Odd ""name""#, "\"Full Name\"", "with = \"partial(1)\""),
    ]
}

#[test]
fn every_relation_that_the_application_reads_is_shown_masked_or_not_at_all() {
    for server in servers() {
        let lab = Lab::new(server, &parts()).with(&masks());
        let said = lab.apply();
        let shown = lab.sql(
            "SELECT string_agg(relname, ' ' ORDER BY relname COLLATE \"C\") FROM pg_class
             WHERE relnamespace = 'masked'::regnamespace AND relkind = 'v' AND relname !~ '^pgtenant'",
        );
        assert_eq!(
            shown,
            "Odd \"name base child events events_1 extra harmless other parent some_columns"
        );
        // What would show the table with the rights of its own owner.
        for left_out in ["whole", "deeper", "kept", "invoked", "leaking", "more.base"] {
            let line = said
                .lines()
                .find(|line| line.contains(&format!("{left_out}:")));
            assert!(
                line.is_some_and(|line| line.contains("NOTE: left out")),
                "{left_out}: {said}"
            );
        }
        assert!(
            said.contains("lower_note (null: it is computed of note)"),
            "{said}"
        );
        assert!(
            said.contains("WARNING: masked logins may call public.leak()"),
            "{said}"
        );
        let mut direct = lab.direct();
        for (sql, wanted) in [
            ("SELECT note, fine, lower_note FROM base", "NULL|fine|NULL"),
            ("SELECT note FROM events", "S***"),
            ("SELECT note FROM events_1", "S***"),
            ("SELECT note FROM parent", "S***"),
            ("SELECT note, more FROM child", "S***|more"),
            ("SELECT length(note) FROM extra", "32"),
            ("SELECT * FROM \"Odd \"\"name\"", "A***|kept"),
            ("SELECT * FROM harmless", "clear"),
            ("SELECT count(*) FROM some_columns", "0"),
        ] {
            assert_eq!(rows(&mut direct, sql), [wanted], "{sql}");
        }
        for (sql, code) in [
            ("SELECT closed FROM some_columns", "42703"),
            ("SELECT * FROM no_right", "42501"),
            ("SELECT * FROM whole", "42501"),
            ("SELECT * FROM kept", "42501"),
            ("SELECT * FROM leaking", "42501"),
            ("SELECT * FROM public.base", "42501"),
            ("SELECT fine FROM public.base", "42501"),
            ("SELECT count(*) FROM public.base", "42501"),
            ("TABLE public.events_1", "42501"),
            ("SELECT * FROM more.extra", "42501"),
            ("COPY public.base TO STDOUT", "42501"),
            ("COPY (SELECT note FROM public.base) TO STDOUT", "42501"),
            ("SELECT * FROM base FOR UPDATE", "42501"),
            ("INSERT INTO other VALUES ('a', 'x')", "42501"),
            ("UPDATE other SET x = 'x'", "42501"),
            ("DELETE FROM other", "42501"),
            ("SELECT * FROM masked.pgtenant_mask_key", "42501"),
            (
                "SELECT query_to_xml('SELECT note FROM public.base', true, true, '')",
                "42501",
            ),
            ("CREATE TABLE masked.mine (x text)", "42501"),
            (
                "ALTER VIEW masked.base SET (security_barrier = false)",
                "42501",
            ),
        ] {
            assert_eq!(refused(&mut direct, sql), code, "{sql}");
        }
    }
}

#[test]
fn no_error_plan_or_statistic_shows_what_is_masked() {
    let tables = table("base", "n integer, note text");
    for server in servers() {
        let masks = [mask("base", "note", "with = \"partial(1)\"")];
        let lab = Lab::new(server, &tables).with(&masks);
        lab.sql(
            "INSERT INTO base SELECT 'a', n, 'Secret ' || n % 3 FROM generate_series(1, 3000) n;
             INSERT INTO base SELECT 'b', n, 'Foreign' FROM generate_series(1, 3000) n;
             CREATE INDEX ON base (note); CREATE STATISTICS n_and_note (mcv) ON n, note FROM base; ANALYZE",
        );
        lab.apply();
        let mut direct = lab.direct();
        let quiet = |text: String, what: &str| {
            assert!(
                !text.contains("ecret") && !text.contains("oreign"),
                "{what}: {text}"
            );
        };
        for sql in [
            "SELECT note::integer FROM base",
            "SELECT * FROM base WHERE note::integer = 1",
            "SELECT * FROM base WHERE 1 / (length(note) - 4) > 0",
            "SELECT (note::jsonb) FROM base",
        ] {
            let error = direct.query(sql).error();
            quiet(format!("{error:?}"), sql);
        }
        for sql in [
            "SELECT pg_stats::text FROM pg_stats WHERE schemaname IN ('public', 'masked')",
            "SELECT pg_stats_ext::text FROM pg_stats_ext",
            "SELECT pg_stats_ext_exprs::text FROM pg_stats_ext_exprs",
        ] {
            assert!(rows(&mut direct, sql).is_empty(), "{sql}");
        }
        // Whatever is asked for, the planner expects the same.
        let estimate = |direct: &mut _, note: &str| {
            let sql = format!("EXPLAIN SELECT * FROM base WHERE note = '{note}'");
            let plan = rows(direct, &sql);
            plan.first().unwrap().replace(note, "")
        };
        assert_eq!(
            estimate(&mut direct, "Secret 1"),
            estimate(&mut direct, "Nothing")
        );
        let definition = rows(
            &mut direct,
            "SELECT pg_get_viewdef('masked.base'::regclass)",
        );
        quiet(definition.join("\n"), "the definition");
        let plan = rows(
            &mut direct,
            "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT * FROM base",
        );
        quiet(plan.join("\n"), "the plan");
    }
}

#[test]
fn no_policy_for_the_application_means_no_rows() {
    let tables = "CREATE TABLE closed (tenant text, note text);
        ALTER TABLE closed ENABLE ROW LEVEL SECURITY;
        CREATE ROLE somebody_else; GRANT SELECT ON closed TO wellness_app;
        CREATE POLICY others ON closed TO somebody_else USING (true);
        INSERT INTO closed VALUES ('a', 'x');";
    for server in servers() {
        let lab = Lab::new(server, tables).with(&[mask("closed", "note", "with = \"null\"")]);
        lab.apply();
        assert!(rows(&mut lab.direct(), "SELECT * FROM closed").is_empty());
        // A policy that comes later binds the views at once, in both directions.
        lab.sql("CREATE POLICY own ON closed TO wellness_app USING (tenant = current_setting('app.tenant'))");
        assert_eq!(rows(&mut lab.direct(), "SELECT tenant FROM closed"), ["a"]);
        lab.sql("CREATE POLICY never ON closed AS RESTRICTIVE TO wellness_app USING (false)");
        assert!(rows(&mut lab.direct(), "SELECT * FROM closed").is_empty());
        lab.sql("DROP TABLE closed CASCADE; DROP ROLE somebody_else");
    }
}
