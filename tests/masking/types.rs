//! What masks make of values of each type.

use crate::lab::{Lab, mask, refused, rows, servers, table};

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE DOMAIN mail AS text NOT NULL CHECK (VALUE ~ '@');
    CREATE DOMAIN tags AS text[];";

const COLUMNS: &str = "n integer, a_text text, a_varchar varchar(20), a_short varchar(4),
    a_char char(20), a_int integer, a_small smallint, a_big bigint, a_numeric numeric(6,2),
    a_real real, a_double double precision, a_date date, a_timestamp timestamp,
    a_timestamptz timestamptz, a_uuid uuid, a_jsonb jsonb, a_enum mood, a_mail mail,
    an_array text[], numbers integer[], a_tags tags, a_bytea bytea, a_bool boolean";

/// The usual, NULL, the ends of what a type holds, and what is special.
const ROWS: &str = r#"INSERT INTO kinds VALUES
    ('a', 1, 'Hello World', 'Wanda', 'abc', 'char', 12345, 123, 1234567890123, 12.34, 1.5, 2.5,
     '1980-05-17', '1980-05-17 10:00', '1980-12-31 23:30:00-03', gen_random_uuid(),
     '{"mood": "sad"}', 'good', 'bob@example.com', '{alpha,NULL,b}', '{15,NULL}', '{one}',
     '\x00ff', true),
    ('a', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, 'x@y', NULL, NULL, NULL, NULL, NULL),
    ('a', 3, '', '', '', '', -2147483648, -32768, -9223372036854775808, -9999.99, 'Infinity',
     '-Infinity', 'infinity', '-infinity', 'infinity', gen_random_uuid(), '[1]', 'bad', '@',
     '{}', '{-2147483648}', '{}', '', false),
    ('a', 4, 'äöü€', 'äb', 'x', 'y', 2147483647, 32767, 9223372036854775807, 9999.99, 3.4e38,
     1.7e308, '0044-03-15 BC', '0044-03-15 BC', '0001-01-01', gen_random_uuid(), '5', 'bad',
     'a@b@c.example', '{{a,b},{c,d}}', '{7}', '{z}', '\x01', false)"#;

/// Each mask with the columns that it fits.
const FITS: [(&str, &[&str]); 8] = [
    (
        "null",
        &[
            "a_text",
            "a_varchar",
            "a_short",
            "a_char",
            "a_int",
            "a_small",
            "a_big",
            "a_numeric",
            "a_real",
            "a_double",
            "a_date",
            "a_timestamp",
            "a_timestamptz",
            "a_uuid",
            "a_jsonb",
            "a_enum",
            "a_mail",
            "an_array",
            "numbers",
            "a_tags",
            "a_bytea",
            "a_bool",
        ],
    ),
    (
        "hash",
        &[
            "a_text",
            "a_varchar",
            "a_char",
            "a_int",
            "a_big",
            "a_numeric",
            "a_uuid",
            "a_jsonb",
            "a_mail",
            "an_array",
            "numbers",
            "a_tags",
            "a_bytea",
        ],
    ),
    (
        "partial(2)",
        &[
            "a_text",
            "a_varchar",
            "a_short",
            "a_char",
            "a_mail",
            "an_array",
            "a_tags",
        ],
    ),
    (
        "email",
        &[
            "a_text",
            "a_varchar",
            "a_short",
            "a_char",
            "a_mail",
            "an_array",
            "a_tags",
        ],
    ),
    ("year", &["a_date", "a_timestamp", "a_timestamptz"]),
    (
        "range(10)",
        &[
            "a_int",
            "a_small",
            "a_big",
            "a_numeric",
            "a_real",
            "a_double",
            "numbers",
        ],
    ),
    (
        "noise",
        &[
            "a_int",
            "a_small",
            "a_big",
            "a_numeric",
            "a_real",
            "a_double",
            "a_date",
            "a_timestamp",
            "a_timestamptz",
            "numbers",
        ],
    ),
    (
        "constant('x')",
        &[
            "a_text",
            "a_varchar",
            "a_short",
            "a_char",
            "a_jsonb",
            "a_mail",
            "a_bytea",
        ],
    ),
];

fn kinds(server: &'static crate::lab::Server) -> Lab {
    Lab::new(server, &format!("{TYPES}{}{ROWS}", table("kinds", COLUMNS)))
}

#[test]
fn each_mask_fits_some_types_and_the_others_are_listed() {
    let all = FITS.first().unwrap().1;
    for server in servers() {
        let mut lab = kinds(server);
        for (with, fits) in FITS {
            let of = |column: &&str| mask("kinds", column, &format!("with = {with:?}"));
            let (good, bad): (Vec<&str>, Vec<&str>) =
                all.iter().partition(|column| fits.contains(column));
            lab.masks = all.iter().map(of).collect();
            if !bad.is_empty() {
                let said = lab.fails();
                for column in &bad {
                    let line = said
                        .lines()
                        .find(|line| line.contains(&format!("kinds.{column} ")));
                    let line = line.unwrap_or_else(|| panic!("{with} {column}: {said}"));
                    assert!(
                        line.contains("of type") && line.contains("what fits is"),
                        "{line}"
                    );
                }
                let listed = said
                    .lines()
                    .filter(|line| line.contains("does not fit"))
                    .count();
                assert_eq!(listed, bad.len(), "{with}: {said}");
            }
            lab.masks = good.iter().map(of).collect();
            lab.apply();
            // All rows can be read, NULL is NULL, and the types are as they were.
            let mut direct = lab.direct();
            let sql = format!("SELECT {} FROM kinds ORDER BY n", good.join(", "));
            assert_eq!(rows(&mut direct, &sql).len(), 4, "{with}");
            for column in good {
                let sql = format!("SELECT {column} IS NULL FROM kinds WHERE n = 2");
                let is_null = rows(&mut direct, &sql);
                let wanted = if column == "a_mail" && with != "null" {
                    "f"
                } else {
                    "t"
                };
                assert_eq!(is_null, [wanted], "{with} {column}");
                let sql = format!(
                    "SELECT DISTINCT format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
                     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                     WHERE a.attname = '{column}' AND a.attrelid IN ('public.kinds'::regclass, 'masked.kinds'::regclass)"
                );
                assert_eq!(lab.sql(&sql).lines().count(), 1, "{with} {column}");
            }
        }
    }
}

#[test]
fn masks_make_what_they_say() {
    let cases = [
        (
            "a_text",
            "with = \"partial(2)\"",
            ["He***", "NULL", "***", "äö***"],
        ),
        (
            "a_short",
            "with = \"partial(1)\"",
            ["a***", "NULL", "***", "***"],
        ),
        (
            "a_mail",
            "with = \"email\"",
            ["b***@example.com", "x***@y", "***", "a***@c.example"],
        ),
        (
            "a_date",
            "with = \"year\"",
            ["1980-01-01", "NULL", "infinity", "0044-01-01 BC"],
        ),
        (
            "a_int",
            "with = \"range(10)\"",
            ["12340", "NULL", "-2147483648", "2147483640"],
        ),
        (
            "a_big",
            "with = \"range(1000)\"",
            [
                "1234567890000",
                "NULL",
                "-9223372036854775808",
                "9223372036854775000",
            ],
        ),
        (
            "a_numeric",
            "with = \"range(0.5)\"",
            ["12.00", "NULL", "-10000.00", "9999.50"],
        ),
        (
            "a_double",
            "with = \"range(10)\"",
            ["0", "NULL", "-Infinity", "NULL"],
        ),
        (
            "an_array",
            "with = \"partial(1)\"",
            ["{a***,NULL,***}", "NULL", "{}", "{***,***,***,***}"],
        ),
        (
            "numbers",
            "with = \"range(10)\"",
            ["{10,NULL}", "NULL", "{-2147483648}", "{0}"],
        ),
        (
            "a_enum",
            "with = \"constant('good')\"",
            ["good", "NULL", "good", "good"],
        ),
        (
            "a_bool",
            "with = \"constant('false')\"",
            ["f", "NULL", "f", "f"],
        ),
        (
            "a_text",
            "expression = \"left(a_text, 1) || n\"",
            ["H1", "NULL", "3", "ä4"],
        ),
        (
            "a_int",
            "expression = \"CASE WHEN a_int > 0 THEN 1 END -- ends\"",
            ["1", "NULL", "NULL", "1"],
        ),
    ];
    for server in servers() {
        let mut lab = kinds(server);
        for (column, how, wanted) in cases {
            lab.masks = mask("kinds", column, how);
            lab.apply();
            let sql = format!("SELECT {column} FROM kinds ORDER BY n");
            assert_eq!(rows(&mut lab.direct(), &sql), wanted, "{column} {how}");
        }
    }
}

/// A user who could have the same value masked in several ways would learn more of it.
#[test]
fn no_setting_of_a_session_changes_what_a_mask_makes() {
    let masks = [
        mask("kinds", "a_timestamptz", "with = \"year\""),
        mask("kinds", "a_timestamp", "with = \"noise(30)\""),
        mask("kinds", "a_date", "with = \"noise\""),
        mask("kinds", "a_double", "with = \"noise\""),
        mask("kinds", "a_bytea", "with = \"hash\""),
        mask("kinds", "a_numeric", "with = \"noise\""),
    ];
    for server in servers() {
        let lab = kinds(server).with(&masks);
        lab.apply();
        let mut direct = lab.direct();
        let sql = "SELECT extract(epoch FROM a_timestamptz), extract(epoch FROM a_timestamp),
            extract(epoch FROM a_date), a_numeric, md5(a_bytea), md5(float8send(a_double))
            FROM kinds WHERE n = 1";
        let known = rows(&mut direct, sql);
        for settings in [
            "SET TimeZone = 'Pacific/Kiritimati'",
            "SET TimeZone = 'Etc/GMT+12'",
            "SET DateStyle = 'German, DMY'",
            "SET extra_float_digits = -10",
            "SET IntervalStyle = 'sql_standard'",
            "SET standard_conforming_strings = off",
        ] {
            direct.run_ok(settings);
            assert_eq!(rows(&mut direct, sql), known, "{settings}");
        }
        direct.run_ok("SET bytea_output = 'escape'");
        assert_eq!(rows(&mut direct, sql), known);
    }
}

#[test]
fn noise_is_near_and_hides_the_value() {
    let masks = [
        mask("kinds", "a_int", "with = \"noise\""),
        mask("kinds", "a_date", "with = \"noise(30)\""),
    ];
    for server in servers() {
        let lab = kinds(server).with(&masks);
        lab.sql(
            "TRUNCATE kinds; INSERT INTO kinds (tenant, n, a_int, a_date, a_mail)
             SELECT 'a', n, 1000 + n, date '2000-01-01' + n, '@' FROM generate_series(1, 500) n",
        );
        lab.apply();
        let mut direct = lab.direct();
        let sql = "SELECT count(*) FILTER (WHERE abs(a_int - 1000 - n) > (1000 + n) * 0.1 + 1),
            count(*) FILTER (WHERE abs(a_date - date '2000-01-01' - n) > 30),
            count(*) FILTER (WHERE a_int = 1000 + n) < 50,
            count(*) FILTER (WHERE a_date = date '2000-01-01' + n) < 50,
            abs(avg(a_int - 1000 - n)) < 30
            FROM kinds";
        assert_eq!(rows(&mut direct, sql), ["0|0|t|t|t"]);
    }
}

#[test]
fn parts_of_jsonb_are_masked_and_the_rest_stays() {
    let place = |path: &str, with: &str| mask("docs", path, &format!("with = {with:?}"));
    let masks = [
        place("value->'mood'", "constant('?')"),
        place("value->'score'", "range(10)"),
        place("value->'born'", "year"),
        place("value->'mail'", "email"),
        place("value->'name'", "partial(1)"),
        place("value->'list'->0", "null"),
        place("value->'deep'->'key'", "hash"),
        place("value->'of'", "partial(3)"),
        place("value->'missing'", "hash"),
    ];
    for server in servers() {
        let tables = table("docs", "n integer, value jsonb");
        let lab = Lab::new(server, &tables).with(&masks);
        lab.sql(
            r#"INSERT INTO docs VALUES ('a', 1, '{"mood": "sad", "score": 17.5, "born": "1980-02-03",
                "mail": "bob@example.com", "name": "Bob", "list": ["x", "y"], "deep": {"key": 1},
                "of": {"not": "a text"}, "rest": true}'),
               ('a', 2, NULL), ('a', 3, '5'), ('a', 4, '["mood"]'),
               ('a', 5, '{"mood": null, "score": "17", "born": 1980, "list": {"0": "kept"}}')"#,
        );
        lab.apply();
        let mut direct = lab.direct();
        assert_eq!(
            rows(
                &mut direct,
                "SELECT value FROM docs WHERE n BETWEEN 2 AND 4 ORDER BY n"
            ),
            ["NULL", "5", "[\"mood\"]"]
        );
        direct.run_ok("CREATE TEMP TABLE seen AS SELECT * FROM docs WHERE value ? 'mood'");
        assert_eq!(
            rows(
                &mut direct,
                "SELECT value - 'deep', length(value->'deep'->>'key') FROM seen
                 WHERE jsonb_typeof(value) = 'object' ORDER BY n"
            ),
            [
                "{\"of\": null, \"born\": \"1980\", \"list\": [null, \"y\"], \"mail\": \"b***@example.com\", \
                 \"mood\": \"?\", \"name\": \"B***\", \"rest\": true, \"score\": 10.0}|32",
                "{\"born\": null, \"list\": {\"0\": null}, \"mood\": null, \"score\": null}|NULL",
            ]
        );
    }
}

#[test]
fn hashes_join_within_a_tenant_and_not_across() {
    let masks = [
        mask("people", "id", "with = \"hash\""),
        mask("people", "email", "with = \"hash\""),
        mask("visits", "person", "with = \"hash\""),
        mask("visits", "email", "with = \"hash\""),
    ];
    for server in servers() {
        let tables = table("people", "id integer, email text")
            + &table("visits", "person integer, email varchar(64)")
            + "INSERT INTO people SELECT t, n, n || '@example' FROM unnest('{a,b}'::text[]) t,
                   generate_series(1, 1000) n;
               INSERT INTO visits SELECT tenant, id, email FROM people, generate_series(1, 2);";
        let lab = Lab::new(server, &tables).with(&masks);
        lab.apply();
        let proxy = lab.proxy();
        let (mut a, mut b) = (lab.client(&proxy, "bi_a"), lab.client(&proxy, "bi_b"));
        let joined = "SELECT count(*), count(DISTINCT p.id), count(DISTINCT p.email)
            FROM people p JOIN visits v ON v.person = p.id AND v.email = p.email";
        for client in [&mut a, &mut b] {
            assert_eq!(rows(client, joined), ["2000|1000|1000"]);
            assert_eq!(
                rows(
                    client,
                    "SELECT count(*) FROM people WHERE id BETWEEN 1 AND 1000 OR email ~ '@'"
                ),
                ["0"]
            );
        }
        let all = "SELECT email FROM people ORDER BY 1";
        let (of_a, of_b) = (rows(&mut a, all), rows(&mut b, all));
        assert!(
            of_a.iter()
                .all(|hash| hash.len() == 32 && !of_b.contains(hash))
        );
        // The same after the views were made anew, and past a login that is not masked.
        lab.apply();
        assert_eq!(rows(&mut lab.client(&proxy, "bi_a"), all), of_a);
        let mut app = lab.client(&proxy, "app_a");
        assert_eq!(rows(&mut app, "SELECT min(id) FROM people"), ["1"]);
        assert_eq!(
            refused(&mut a, "SELECT * FROM masked.pgtenant_mask_secret"),
            "42501"
        );
    }
}
