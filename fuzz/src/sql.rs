//! Statements of a grammar: places × functions × spellings. Bytes choose; the
//! same bytes give the same statement. The first alternative is the simplest
//! one, and is taken when the bytes are used up, so every statement ends.

/// A query string, and what is known of it because of how it was made.
pub struct Generated {
    /// The query string.
    pub text: String,
    /// Somewhere in it, where it would run, stands a call or statement that sets
    /// the tenant or the role: if it can be parsed, it must not pass.
    pub forbidden: bool,
}

/// The query string that `choices` make.
pub fn generate(choices: &[u8]) -> Generated {
    let mut sql = Sql {
        choices,
        depth: 0,
        forbidden: false,
        columns: false,
    };
    let text = sql.query_string();
    Generated {
        text,
        forbidden: sql.forbidden,
    }
}

struct Sql<'c> {
    choices: &'c [u8],
    depth: usize,
    forbidden: bool,
    /// Columns of users can be named.
    columns: bool,
}

const A: &str = "11111111-1111-1111-1111-111111111111";
const B: &str = "22222222-2222-2222-2222-222222222222";

/// The tenant's setting comes often; the last ones are harmless.
const SETTINGS: &[&str] = &[
    "session.current_organization_id",
    "session.current_organization_id",
    "session.current_organization_id",
    "role",
    "session_authorization",
    "row_security",
    "session_replication_role",
    "client_encoding",
    "standard_conforming_strings",
    "search_path",
    "is_superuser",
    "work_mem",
    "TimeZone",
    "DateStyle",
    "application_name",
    "app.own",
    "session.other",
    "sort_mem",
    "transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "lo_compat_privileges",
    "local_preload_libraries",
];

const VALUES: &[&str] = &[
    B,
    A,
    "",
    "wellness_app",
    "postgres",
    "none",
    "off",
    "on",
    "false",
    "1",
    "replica",
    "origin",
    "SJIS",
    "utf-8",
    "LATIN1",
    "oracle, pg_catalog",
    "pg_temp",
    "public",
    "\"$user\", public",
    "default",
    "UTC",
    "64MB",
    "serializable",
    "ISO, MDY",
];

/// Functions from text to text.
const FUNCTIONS: &[&str] = &[
    "lower",
    "upper",
    "btrim",
    "md5",
    "initcap",
    "reverse",
    "quote_literal",
    "quote_ident",
    "concat",
    "to_json",
    "pg_typeof",
    "pg_catalog.lower",
    "pg_catalog.\"upper\"",
    "\"lower\"",
    "format",
    "concat_ws",
    "num_nulls",
    "to_tsquery",
    "to_jsonb",
    "row_to_json",
    "quote_nullable",
    "to_regproc",
    "to_regrole",
    "parse_ident",
    "pg_get_viewdef",
    "pg_get_functiondef",
    "current_schemas",
    "set_byte",
    "json_typeof",
    "pg_input_is_valid",
    "ts_headline",
    "pg_size_bytes",
    "array_to_string",
    "string_to_array",
    "encode",
    "decode",
    "to_char",
];

/// Calls that run a text, reach other sessions, or do something else that is odd.
const ODD_CALLS: &[&str] = &[
    "query_to_xml('SELECT set_config(''session.current_organization_id'', ''22222222-2222-2222-2222-222222222222'', false)', true, true, '')::text",
    "(SELECT count(*)::text FROM ts_stat('SELECT to_tsvector(set_config(''session.current_organization_id'', ''22222222-2222-2222-2222-222222222222'', false))'))",
    "('SELECT to_tsvector(set_config(''role'', ''none'', false))'::text).ts_stat::text",
    "ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, set_config(''session.current_organization_id'', '''', false)::tsquery')::text",
    "ts_rewrite('a'::tsquery, 'a'::tsquery, 'b'::tsquery)::text",
    "table_to_xml('users', true, true, '')::text",
    "schema_to_xml('public', true, true, '')::text",
    "query_to_xmlschema('RESET ALL', true, true, '')::text",
    "cursor_to_xml('c', 1, true, true, '')::text",
    "database_to_xml(true, true, '')::text",
    "setseed(0.5)::text",
    "random()::text",
    "pg_notify('c', 'x')::text",
    "pg_try_advisory_lock(7)::text",
    "pg_advisory_xact_lock(7)::text",
    "pg_advisory_unlock_all()::text",
    "lo_creat(-1)::text",
    "lo_from_bytea(0, 'x')::text",
    "pg_reload_conf()::text",
    "nextval('oracle.s')::text",
    "set_config('a' || 'b.c', 'x', true)",
    "pg_show_all_settings()::text",
    "current_user::text",
    "session_user::text",
    "current_query()",
    "pg_sleep(0)::text",
    "txid_current()::text",
    "pg_export_snapshot()",
    "inet_client_addr()::text",
    "version()",
    "'set_config'::regproc::text",
    "'set_config(text,text,boolean)'::regprocedure::text",
    "has_table_privilege('users', 'SELECT')::text",
    "pg_get_function_arguments('set_config'::regproc)",
    "currtid2('users', '(0,1)')::text",
    "pg_relation_size('users')::text",
    "pg_collation_for('a'::text)",
    "pg_current_xact_id()::text",
    "pg_stat_get_activity(NULL)::text",
    "binary_upgrade_set_record_init_privs(true)::text",
    "pg_read_file('postgresql.conf')",
    "pg_ls_dir('.')",
];

impl Sql<'_> {
    fn byte(&mut self) -> usize {
        match self.choices.split_first() {
            Some((first, rest)) => {
                self.choices = rest;
                usize::from(*first)
            }
            None => 0,
        }
    }

    fn pick(&mut self, n: usize) -> usize {
        self.byte() % n
    }

    /// Once in `n` times.
    fn rarely(&mut self, n: usize) -> bool {
        self.pick(n) == n - 1
    }

    fn one_of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.pick(list.len())]
    }

    /// Goes one level deeper, unless it is deep already.
    fn deeper(&mut self) -> bool {
        self.depth += 1;
        self.depth <= 5
    }

    fn query_string(&mut self) -> String {
        let mut text = String::new();
        if self.rarely(8) {
            text += self.one_of(&["/* a */", "-- a\n", "/* /* */ ' */ ", ";", "\n\t"]);
        }
        text += &self.statement();
        let more = [0, 0, 0, 1, 1, 2][self.pick(6)];
        for _ in 0..more {
            text += self.one_of(&["; ", ";\n", ";;", " ; -- x\n", ";/*;*/"]);
            text += &self.statement();
        }
        if self.rarely(4) {
            text += self.one_of(&[";", " -- a", "; /* ' */", "\n"]);
        }
        text
    }

    fn statement(&mut self) -> String {
        self.depth = 0;
        self.columns = false;
        match self.pick(40) {
            0..=11 => self.select(),
            12 | 13 => self.insert(),
            14 | 15 => self.update(),
            16 => self.delete(),
            17 => self.merge(),
            18 => format!("EXPLAIN {} {}", self.explain_options(), self.query()),
            19 => {
                let query = self.query();
                format!("PREPARE p AS {query}; EXECUTE p")
            }
            20 => {
                let query = self.select();
                let execute = self.text();
                format!("PREPARE p(text) AS {query}; EXECUTE p({execute})")
            }
            21 => {
                let hold = self.one_of(&["", "WITH HOLD", "SCROLL", "BINARY"]);
                let select = self.select();
                if hold == "WITH HOLD" {
                    format!("DECLARE c CURSOR WITH HOLD FOR {select}; FETCH ALL c")
                } else {
                    format!("BEGIN; DECLARE c {hold} CURSOR FOR {select}; FETCH ALL c; COMMIT")
                }
            }
            22 => {
                let options = self.one_of(&["", "(FORMAT csv)", "WITH BINARY", "CSV HEADER"]);
                format!("COPY ({}) TO STDOUT {options}", self.query())
            }
            23 | 24 => self.definition(),
            25..=30 => self.set(),
            31 => self.opaque(),
            32 => self.reset(),
            33 => self.transaction(),
            34 | 35 => self.role_and_rest(),
            36 => format!("CREATE TEMP TABLE t{} AS {}", self.pick(3), self.select()),
            37 => format!("SHOW {}", self.setting_name()),
            38 => format!(
                "UPDATE {} SET setting = {} WHERE name = {}",
                self.one_of(&[
                    "pg_settings",
                    "pg_catalog.pg_settings",
                    "\"pg_settings\"",
                    "ONLY pg_settings AS s",
                    "oracle.v"
                ]),
                self.text(),
                self.text(),
            ),
            _ => self.utility(),
        }
    }

    fn query(&mut self) -> String {
        match self.pick(6) {
            0..=2 => self.select(),
            3 => self.insert(),
            4 => self.update(),
            _ => self.delete(),
        }
    }

    fn explain_options(&mut self) -> &'static str {
        self.one_of(&[
            "ANALYZE",
            "",
            "(ANALYZE, COSTS OFF)",
            "ANALYZE VERBOSE",
            "(ANALYZE false)",
        ])
    }

    fn select(&mut self) -> String {
        if !self.deeper() {
            return "SELECT 'x'".to_owned();
        }
        let text = match self.pick(16) {
            0..=11 => self.plain_select(),
            12 => format!("VALUES ({}), ({})", self.text(), self.text()),
            13 => {
                let by = self.one_of(&["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
                format!("SELECT {} {by} {}", self.text(), self.select_one())
            }
            14 => {
                let kind = self.one_of(&["", "RECURSIVE ", "", ""]);
                let how = self.one_of(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
                let cte = self.query_with_rows();
                format!("WITH {kind}w AS {how}({cte}) SELECT * FROM w")
            }
            _ => format!("TABLE {}", self.table()),
        };
        self.depth -= 1;
        text
    }

    /// A query that gives one column of text.
    fn select_one(&mut self) -> String {
        if !self.deeper() {
            return "SELECT 'x'".to_owned();
        }
        let text = match self.pick(5) {
            0 | 1 => format!("SELECT {}", self.text()),
            2 => format!("SELECT {} FROM {} LIMIT 1", self.text(), self.from()),
            3 => format!("VALUES ({})", self.text()),
            _ => format!(
                "SELECT string_agg({}, ',') FROM {}",
                self.text(),
                self.from()
            ),
        };
        self.depth -= 1;
        text
    }

    fn query_with_rows(&mut self) -> String {
        match self.pick(5) {
            0..=2 => self.select(),
            3 => self.insert() + " RETURNING email",
            _ => self.update() + " RETURNING email",
        }
    }

    fn plain_select(&mut self) -> String {
        let from = self.rarely(2).then(|| self.from());
        let outer = self.columns;
        self.columns |= from.as_ref().is_some_and(|from| from.contains("users"));
        let mut text = String::from("SELECT ");
        if self.rarely(8) {
            text += &format!("DISTINCT ON ({}) ", self.text());
        }
        text += &self.text();
        if self.rarely(3) {
            text += &format!(", {}", self.text());
        }
        if self.rarely(16) {
            text += &format!(" INTO TEMP t{}", self.pick(3));
        }
        if let Some(from) = from {
            text += &format!(" FROM {from}");
        }
        if self.rarely(3) {
            text += &format!(" WHERE {}", self.condition());
        }
        if self.rarely(10) {
            text += &match self.pick(3) {
                0 => format!(" GROUP BY {}", self.text()),
                1 => format!(" GROUP BY GROUPING SETS (({}), ())", self.text()),
                _ => format!(" GROUP BY ROLLUP ({})", self.text()),
            };
        }
        if self.rarely(10) {
            text += &format!(" HAVING {}", self.condition());
        }
        if self.rarely(10) {
            text += &format!(
                " WINDOW x AS (PARTITION BY {} ORDER BY {})",
                self.text(),
                self.text()
            );
        }
        if self.rarely(5) {
            let order = self.one_of(&["", "DESC", "USING <", "NULLS FIRST"]);
            text += &format!(" ORDER BY {} {order}", self.text());
        }
        if self.rarely(6) {
            text += &match self.pick(3) {
                0 => format!(" LIMIT {}", self.number()),
                1 => format!(" OFFSET {}", self.number()),
                _ => format!(" FETCH FIRST ({}) ROWS ONLY", self.number()),
            };
        }
        if self.rarely(16) {
            text += self.one_of(&[" FOR UPDATE", " FOR SHARE SKIP LOCKED", " FOR KEY SHARE"]);
        }
        self.columns = outer;
        text
    }

    fn table(&mut self) -> &'static str {
        self.one_of(&[
            "users",
            "wellness_entries",
            "organizations",
            "public.users",
            "\"users\"",
            "pg_settings",
            "pg_catalog.pg_settings",
            "oracle.t",
            "oracle.v",
            "pg_stat_activity",
            "pg_db_role_setting",
            "t0",
            "t1",
            "pg_prepared_statements",
            "pg_cursors",
            "only users",
            "information_schema.enabled_roles",
            "pg_roles",
            "pg_stats",
            "pg_locks",
        ])
    }

    fn from(&mut self) -> String {
        if !self.deeper() {
            return "users".to_owned();
        }
        let text = match self.pick(18) {
            0..=2 => self.table().to_owned(),
            3 => format!("({}) AS d", self.select()),
            4 => format!("users, LATERAL ({}) AS d", self.select()),
            5 => format!("{} AS f", self.call()),
            6 => format!("unnest(ARRAY[{}, {}]) AS f", self.text(), self.text()),
            7 => format!("ROWS FROM (upper({}), {}) AS f", self.text(), self.call()),
            8 => format!("generate_series(1, {}) WITH ORDINALITY AS f", self.number()),
            9 => format!("users JOIN organizations AS o ON {}", self.condition()),
            10 => format!("users NATURAL LEFT JOIN {}", self.from()),
            11 => format!(
                "users TABLESAMPLE bernoulli ({}) REPEATABLE ({})",
                self.number(),
                self.number()
            ),
            12 => format!(
                "XMLTABLE('/a' PASSING {}::xml COLUMNS b text PATH {} DEFAULT {}) AS f",
                self.text(),
                self.text(),
                self.text(),
            ),
            // Not in all versions.
            13 if self.rarely(4) => format!(
                "JSON_TABLE({}::jsonb, '$' PASSING {} AS x COLUMNS (b text PATH '$')) AS f",
                self.text(),
                self.text()
            ),
            14 => format!("(VALUES ({})) AS f (b)", self.text()),
            15 => format!("pg_settings AS s, LATERAL {} AS f", self.call()),
            16 => format!("json_to_record({}::json) AS f (a text)", self.text()),
            _ => format!(
                "regexp_split_to_table({}, {}) AS f",
                self.text(),
                self.text()
            ),
        };
        self.depth -= 1;
        text
    }

    fn condition(&mut self) -> String {
        if !self.deeper() {
            return "true".to_owned();
        }
        let text = match self.pick(14) {
            0 => format!("{} IS NOT NULL", self.text()),
            1 => format!("{} = {}", self.text(), self.text()),
            2 => format!("EXISTS ({})", self.select()),
            3 => format!(
                "{} LIKE {} ESCAPE {}",
                self.text(),
                self.text(),
                self.text()
            ),
            4 => format!("{} IN ({}, {})", self.text(), self.text(), self.text()),
            5 => format!("{} = ANY (ARRAY[{}])", self.text(), self.text()),
            6 => format!("{} IN ({})", self.text(), self.select_one()),
            7 => format!("NOT ({} AND {})", self.condition(), self.condition()),
            8 => format!(
                "{} BETWEEN SYMMETRIC {} AND {}",
                self.text(),
                self.text(),
                self.text()
            ),
            9 => format!("({}, 1) IS DISTINCT FROM ({}, 2)", self.text(), self.text()),
            10 => format!("{} SIMILAR TO {}", self.text(), self.text()),
            11 => format!("{} > ALL ({})", self.text(), self.select_one()),
            12 => format!("({} = 'on') IS UNKNOWN", self.text()),
            13 if self.rarely(4) => format!("{} IS DOCUMENT OR true", self.text()),
            _ => format!("starts_with({}, {})", self.text(), self.text()),
        };
        self.depth -= 1;
        text
    }

    fn number(&mut self) -> String {
        if !self.deeper() {
            return "1".to_owned();
        }
        let text = match self.pick(5) {
            0 | 1 => self.one_of(&["1", "2", "5"]).to_owned(),
            2 => format!("length({})", self.text()),
            3 => format!("(CASE WHEN {} THEN 1 ELSE 2 END)", self.condition()),
            _ => format!("(SELECT count(*) FROM {})", self.from()),
        };
        self.depth -= 1;
        text
    }

    /// An expression of type text, mostly.
    fn text(&mut self) -> String {
        if !self.deeper() {
            self.depth -= 1;
            return "'x'".to_owned();
        }
        // Deep below mostly what cannot fail: one error hides all the rest.
        let kinds = if self.depth > 3 && !self.rarely(8) {
            11
        } else {
            46
        };
        let text = match self.pick(kinds) {
            0..=4 => self.value_string(),
            5..=8 => self.call(),
            9 | 10 => {
                let name = self.setting();
                format!(
                    "{}({}, true)",
                    self.name("current_setting"),
                    self.string(name)
                )
            }
            11 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.condition(),
                self.text(),
                self.text()
            ),
            12 => format!(
                "CASE {} WHEN {} THEN {} END",
                self.text(),
                self.text(),
                self.text()
            ),
            13 => format!("coalesce({}, {})", self.text(), self.text()),
            14 => format!(
                "(ARRAY[{}, {}])[{}]",
                self.text(),
                self.text(),
                self.number()
            ),
            15 => format!(
                "(ARRAY[{}])[{}:{}]::text",
                self.text(),
                self.number(),
                self.number()
            ),
            16 | 17 => format!("({})", self.select_one()),
            18 => format!("ARRAY({})::text", self.select_one()),
            19 => self.cast(),
            20 => format!("{} || {}", self.text(), self.text()),
            21 => format!("{} OPERATOR(pg_catalog.||) {}", self.text(), self.text()),
            22 => format!("greatest({}, {})", self.text(), self.text()),
            23 => format!("nullif({}, {})", self.text(), self.text()),
            24 | 25 => format!("{}({})", self.one_of(FUNCTIONS), self.text()),
            26 => format!(
                "format('%s%s', VARIADIC ARRAY[{}, {}])",
                self.text(),
                self.text()
            ),
            27 => format!("(ROW({}, 1))::text", self.text()),
            28 => format!("({} COLLATE \"C\")", self.text()),
            29 => format!(
                "string_agg({}, {} ORDER BY {}) FILTER (WHERE {})",
                self.text(),
                self.text(),
                self.text(),
                self.condition(),
            ),
            30 => format!(
                "max({}) OVER (PARTITION BY {} ORDER BY {} ROWS {} PRECEDING)",
                self.text(),
                self.text(),
                self.text(),
                self.number(),
            ),
            31 => format!(
                "percentile_disc(0.5) WITHIN GROUP (ORDER BY {})",
                self.text()
            ),
            32 => format!(
                "xmlserialize(content xmlelement(name a, xmlattributes({} AS b), {}) AS text)",
                self.text(),
                self.text()
            ),
            33 => format!("json_build_object({}, {})->>'x'", self.text(), self.text()),
            // Not in all versions.
            34 if self.rarely(6) => format!("JSON_OBJECT('a': {})::text", self.text()),
            34 => format!("json_object(ARRAY['a', {}])::text", self.text()),
            35 => format!(
                "({}).{}",
                self.parenthesized(),
                self.one_of(&[
                    "lower",
                    "upper",
                    "length",
                    "ts_stat",
                    "query_to_xml",
                    "set_config",
                    "md5",
                    "a",
                    "*"
                ])
            ),
            36 => format!("substring({} FROM {})", self.text(), self.number()),
            37 => format!("overlay({} PLACING {} FROM 1)", self.text(), self.text()),
            38 => format!(
                "regexp_replace({}, {}, {})",
                self.text(),
                self.text(),
                self.text()
            ),
            39 => format!("lower(VARIADIC {})", self.text()),
            40 => format!("position({} IN {})::text", self.text(), self.text()),
            41 if self.columns || self.rarely(8) => self
                .one_of(&[
                    "email",
                    "users::text",
                    "u.email",
                    "*",
                    "organization_id::text",
                ])
                .to_owned(),
            41 => self
                .one_of(&["NULL", "$1", "f.lower", "s.*::text"])
                .to_owned(),
            _ => self.one_of(ODD_CALLS).to_owned(),
        };
        self.depth -= 1;
        text
    }

    fn parenthesized(&mut self) -> String {
        match self.pick(4) {
            0 => format!("{}::text", self.text()),
            1 => self.text(),
            2 => format!("ROW({})", self.text()),
            _ => self.select_one(),
        }
    }

    fn cast(&mut self) -> String {
        let kind = self.one_of(&[
            "text",
            "varchar",
            "name::text",
            "\"text\"",
            "pg_catalog.text",
            "regproc::text",
            "regrole::text",
            "regclass::text",
            "varchar(3)",
            "char(4)",
            "bytea::text",
            "json::text",
            "tsquery::text",
            "xml::text",
            "\"char\"::text",
            "cstring::text",
            "text[]::text",
            "regprocedure::text",
        ]);
        match self.pick(3) {
            0 => format!("({})::{kind}", self.text()),
            1 => format!("CAST({} AS text)", self.text()),
            _ => format!("CAST({}::varchar AS \"text\")", self.text()),
        }
    }

    /// A call of set_config, in some spelling.
    fn call(&mut self) -> String {
        let setting = self.setting();
        let name = self.setting_text(setting);
        let mut restores = false;
        let value = match self.pick(6) {
            0..=4 => {
                let value = self.value_of(setting);
                restores = is_own_role(setting, value);
                self.string(value)
            }
            _ if self.deeper() => {
                let text = self.text();
                self.depth -= 1;
                text
            }
            _ => {
                self.depth -= 1;
                "'x'".to_owned()
            }
        };
        let local = self.one_of(&[
            "false",
            "true",
            "false",
            "'f'",
            "1 = 2",
            "true::bool",
            "NULL",
        ]);
        self.forbidden |= carries(setting) && !restores;
        let function = self.name("set_config");
        match self.pick(32) {
            0..=28 => format!("{function}({name}, {value}, {local})"),
            29 => format!("{function}({name}, {value}, is_local => {local})"),
            30 => format!(
                "{function}(new_value => {value}, setting_name => {name}, is_local := {local})"
            ),
            _ => format!("{function} ({name},{value} , VARIADIC {local})"),
        }
    }

    /// The name of a setting, as an expression.
    fn setting_text(&mut self, setting: &str) -> String {
        let (front, back) = setting.split_at(setting.len() / 2);
        match self.pick(16) {
            0..=5 => self.string(setting),
            6 => format!("{} || {}", self.string(front), self.string(back)),
            7 => format!("'{front}'\n'{back}'"),
            8 => format!("'{front}' -- a\n  '{back}'"),
            9 => format!("concat({}, {})", self.string(front), self.string(back)),
            10 => format!("(SELECT {})", self.string(setting)),
            11 => format!("CAST({} AS text)", self.string(setting)),
            12 => format!(
                "{}::{}",
                self.string(setting),
                self.one_of(&[
                    "text",
                    "varchar",
                    "name",
                    "unknown",
                    "pg_catalog.text",
                    "\"text\""
                ])
            ),
            13 => format!("text {}", self.string(setting)),
            14 => format!("reverse('{}')", setting.chars().rev().collect::<String>()),
            _ => format!("lower({})", self.string(&setting.to_uppercase())),
        }
    }

    fn setting(&mut self) -> &'static str {
        self.one_of(SETTINGS)
    }

    fn value(&mut self) -> &'static str {
        self.one_of(VALUES)
    }

    fn value_string(&mut self) -> String {
        let value = self.value();
        self.string(value)
    }

    /// A value that the setting takes, mostly.
    fn value_of(&mut self, setting: &str) -> &'static str {
        let fitting: &[&str] = match setting {
            "session.current_organization_id" => &[B, B, "", A],
            "role" => &["wellness_app", "none"],
            "session_authorization" => &["wellness_app"],
            "row_security"
            | "standard_conforming_strings"
            | "lo_compat_privileges"
            | "default_transaction_read_only" => &["off", "false", "on"],
            "session_replication_role" => &["replica", "origin"],
            "client_encoding" => &["SJIS", "LATIN1", "utf-8"],
            "search_path" => &[
                "oracle, pg_catalog",
                "no\"ne, pg_temp",
                "pg_temp",
                "public",
                "globex",
                "acme_health",
                "acme_health\"",
                "pg_catalog",
                "",
            ],
            "work_mem" | "sort_mem" => &["64MB", "65536"],
            "extra_float_digits" => &["1"],
            _ => VALUES,
        };
        match self.pick(4) {
            0..=2 => self.one_of(fitting),
            _ => self.value(),
        }
    }

    /// A string constant, in some spelling.
    fn string(&mut self, text: &str) -> String {
        let text = self.in_some_case(text);
        let quoted = text.replace('\'', "''");
        match self.pick(14) {
            0..=6 => format!("'{quoted}'"),
            7 => format!(
                "E'{}'",
                escaped(&text, |c| format!("\\x{:02x}", u32::from(c)))
            ),
            8 => format!(
                "e'{}'",
                escaped(&text, |c| format!("\\u{:04x}", u32::from(c)))
            ),
            9 => format!(
                "U&'{}'",
                escaped(&text, |c| format!("\\{:04x}", u32::from(c)))
            ),
            10 => format!(
                "u&'{}' UESCAPE '!'",
                escaped(&text, |c| format!("!{:04X}", u32::from(c)))
            ),
            11 => format!("$${text}$$"),
            12 => format!("$a${text}$a$"),
            _ => format!("N'{quoted}'"),
        }
    }

    /// Names of settings and values mean the same in any case, mostly.
    fn in_some_case(&mut self, text: &str) -> String {
        match self.pick(8) {
            0..=5 => text.to_owned(),
            6 => text.to_uppercase(),
            _ => {
                let upper = |(at, c): (usize, char)| {
                    if at % 2 == 0 {
                        c.to_ascii_uppercase()
                    } else {
                        c
                    }
                };
                text.chars().enumerate().map(upper).collect()
            }
        }
    }

    /// The name of a function of PostgreSQL's, in some spelling.
    fn name(&mut self, name: &str) -> String {
        let qualifier = self.one_of(&[
            "",
            "",
            "",
            "pg_catalog.",
            "\"pg_catalog\".",
            "PG_Catalog . ",
            "pg_catalog./**/",
            "U&\"pg\\005fcatalog\".",
            "wellness_corp_db.pg_catalog.",
        ]);
        let name = match self.pick(8) {
            0..=2 => name.to_owned(),
            3 => name.to_uppercase(),
            4 => format!("\"{name}\""),
            5 => format!("U&\"{}\"", name.replace('_', "\\005f")),
            6 => format!("U&\"{}\" UESCAPE '!'", name.replace('_', "!005f")),
            _ => format!("/* ( */{name}--\n"),
        };
        format!("{qualifier}{name}")
    }

    fn setting_name(&mut self) -> String {
        let setting = self.setting();
        self.spelled_setting(setting)
    }

    /// A setting's name as SET takes it.
    fn spelled_setting(&mut self, setting: &str) -> String {
        match self.pick(8) {
            0..=3 => setting.to_owned(),
            4 => setting.to_uppercase(),
            5 => setting
                .split('.')
                .map(|part| format!("\"{part}\""))
                .collect::<Vec<_>>()
                .join("."),
            6 => format!("\"{setting}\""),
            _ => format!(
                "U&\"{}\"",
                setting.replace('_', "\\005F").replace('.', "\\002e")
            ),
        }
    }

    fn set(&mut self) -> String {
        let setting = self.setting();
        let mut restores = false;
        let value = match self.pick(6) {
            0..=2 => {
                let value = self.value_of(setting);
                restores = is_own_role(setting, value);
                self.string(value)
            }
            3 => {
                let word = self.one_of(&["DEFAULT", "on", "off", "none", "0", "1", "utf8"]);
                // As RESET SESSION AUTHORIZATION, which drivers send.
                restores = is_own_role(setting, word) || (is_role(setting) && word == "DEFAULT");
                word.to_owned()
            }
            4 => format!("'{}', '{}'", self.value(), self.value()),
            _ => {
                let value = self.value_of(setting);
                restores = is_own_role(setting, value);
                format!("'{value}'")
            }
        };
        let scope = self.one_of(&["", "", "LOCAL ", "SESSION "]);
        let by = self.one_of(&["=", "TO"]);
        let name = self.spelled_setting(setting);
        match self.pick(16) {
            0..=9 => {
                self.forbidden |= carries(setting) && !restores;
                format!("SET {scope}{name} {by} {value}")
            }
            10 => {
                self.forbidden |= carries(setting) && !is_role(setting);
                format!("RESET {name}")
            }
            11 => {
                let role = self.one_of(&["none", "postgres", "'none'", "wellness_app"]);
                self.forbidden |= !role.contains("none");
                format!("SET {scope}ROLE {role}")
            }
            12 => {
                self.forbidden = true;
                format!(
                    "SET {scope}SESSION AUTHORIZATION {}",
                    self.one_of(&["postgres", "'wellness_app'"])
                )
            }
            13 => format!(
                "SET {scope}NAMES {}",
                self.one_of(&["'SJIS'", "'utf8'", "DEFAULT", "'latin1'"])
            ),
            14 => format!("SET {scope}SCHEMA {value}"),
            _ => self
                .one_of(&[
                    "SET TIME ZONE 'UTC'",
                    "SET LOCAL TIME ZONE DEFAULT",
                    "SET XML OPTION DOCUMENT",
                    "SET TRANSACTION READ ONLY",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                    "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
                    "SET CONSTRAINTS ALL DEFERRED",
                    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                ])
                .to_owned(),
        }
    }

    /// What drivers clean a connection with; sometimes with a look at the data
    /// behind it.
    fn reset(&mut self) -> String {
        let reset = self.one_of(&[
            "RESET ALL",
            "DISCARD ALL",
            "DISCARD TEMP",
            "DISCARD PLANS",
            "DISCARD SEQUENCES",
            "DEALLOCATE ALL",
            "RESET SESSION AUTHORIZATION",
            "SET SESSION AUTHORIZATION DEFAULT",
            "RESET ROLE",
            "CLOSE ALL",
            "UNLISTEN *",
            "SELECT pg_advisory_unlock_all()",
            "DEALLOCATE p",
            "RESET work_mem",
        ]);
        let reset = reset.to_owned();
        match self.pick(4) {
            0 | 1 => reset,
            2 => reset + "; TABLE users",
            _ => reset + "; SELECT string_agg(email, ',') FROM users",
        }
    }

    fn transaction(&mut self) -> String {
        self.one_of(&[
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT s",
            "ROLLBACK TO s",
            "RELEASE s",
            "ABORT",
            "END AND CHAIN",
            "BEGIN READ ONLY",
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "COMMIT AND CHAIN",
            "PREPARE TRANSACTION 'x'",
        ])
        .to_owned()
    }

    /// What defines something that is used at once.
    fn definition(&mut self) -> String {
        let text = self.text();
        match self.pick(12) {
            0 => format!("CREATE VIEW oracle.v AS SELECT {text} AS a; SELECT * FROM oracle.v"),
            1 => format!(
                "CREATE TABLE oracle.t (a int, b text DEFAULT {text}); INSERT INTO oracle.t (a) VALUES (1)"
            ),
            2 => format!(
                "CREATE TEMP TABLE t0 (a int, b text GENERATED ALWAYS AS ({text}) STORED); INSERT INTO t0 VALUES (1)"
            ),
            3 => format!(
                "CREATE TABLE oracle.t (a text CHECK ({text} IS NOT NULL)); INSERT INTO oracle.t VALUES (1)"
            ),
            4 => format!(
                "CREATE TABLE oracle.t (a text); INSERT INTO oracle.t VALUES (1); CREATE INDEX ON oracle.t (({text}))"
            ),
            5 => format!(
                "CREATE TABLE oracle.t (a text); INSERT INTO oracle.t VALUES (1); ALTER TABLE oracle.t ALTER a TYPE text USING {text}"
            ),
            6 => format!(
                "CREATE MATERIALIZED VIEW oracle.m AS SELECT {text} AS a; REFRESH MATERIALIZED VIEW oracle.m"
            ),
            7 => format!("CREATE TEMP VIEW v AS SELECT {text} AS a; SELECT * FROM v"),
            8 => format!("CREATE TABLE oracle.t (a text) PARTITION BY RANGE (({text}))"),
            9 => format!(
                "CREATE TABLE oracle.t (a text); CREATE TABLE oracle.t2 PARTITION OF oracle.t FOR VALUES IN ({text})"
            ),
            10 => format!(
                "CREATE VIEW oracle.v AS SELECT * FROM pg_settings WHERE {text} IS NOT NULL; UPDATE oracle.v SET setting = 'off'"
            ),
            _ => format!(
                "CREATE TABLE oracle.t (a text); ALTER TABLE oracle.t ADD b text DEFAULT {text}; INSERT INTO oracle.t VALUES (1)"
            ),
        }
    }

    /// Code that the guard does not look into; what it holds is not counted.
    fn opaque(&mut self) -> String {
        let before = self.forbidden;
        let body = self.text();
        self.forbidden = before;
        match self.pick(9) {
            0 => format!("DO $do$ BEGIN PERFORM {body}; END $do$"),
            1 => format!("CREATE FUNCTION oracle.f() RETURNS text LANGUAGE sql AS $do$ SELECT {body} $do$; SELECT oracle.f()"),
            2 => format!("CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql RETURN {body}; SELECT pg_temp.f()"),
            3 => "CREATE AGGREGATE oracle.agg (text, bool) (sfunc = set_config, stype = text, initcond = 'session.current_organization_id'); SELECT oracle.agg('x', false)".to_owned(),
            4 => "CREATE OPERATOR oracle.=# (leftarg = text, rightarg = text, function = current_setting)".to_owned(),
            5 => format!("CREATE DOMAIN oracle.d AS text CHECK ({body} IS NOT NULL); SELECT 'a'::oracle.d"),
            6 => format!("CREATE TABLE oracle.t (a text); CREATE RULE r AS ON INSERT TO oracle.t DO ALSO SELECT {body}; INSERT INTO oracle.t VALUES (1)"),
            7 => format!("CREATE PROCEDURE oracle.p() LANGUAGE sql AS $do$ SELECT {body} $do$; CALL oracle.p()"),
            _ => "CREATE CAST (int AS text) WITH FUNCTION oracle.f(int)".to_owned(),
        }
    }

    fn role_and_rest(&mut self) -> String {
        let setting = self.spelled_setting("session.current_organization_id");
        match self.pick(8) {
            0 => format!("ALTER ROLE current_user SET {setting} = '{B}'"),
            1 => format!("ALTER ROLE wellness_app RESET {setting}"),
            2 => "ALTER ROLE wellness_app SET ROLE TO postgres".to_owned(),
            3 => format!("ALTER DATABASE wellness_corp_db SET {setting} = '{B}'"),
            4 => format!("ALTER SYSTEM SET {setting} = '{B}'"),
            5 => format!("ALTER FUNCTION oracle.f() SET {setting} = '{B}'"),
            6 => format!(
                "CREATE FUNCTION oracle.f() RETURNS int LANGUAGE sql SET {setting} = '{B}' AS 'SELECT 1'"
            ),
            _ => "ALTER TABLE users DISABLE ROW LEVEL SECURITY".to_owned(),
        }
    }

    fn utility(&mut self) -> String {
        match self.pick(22) {
            0 => format!("CALL {}", self.call()),
            1 => format!("EXECUTE p({})", self.text()),
            n => [
                "LISTEN c",
                "NOTIFY c, 'x'",
                "LOCK TABLE users IN ACCESS SHARE MODE",
                "ANALYZE oracle.t",
                "VACUUM oracle.t",
                "CLOSE c",
                "FETCH 1 c",
                "MOVE ALL c",
                "TRUNCATE oracle.t",
                "CREATE SEQUENCE oracle.s",
                "CREATE TEMP SEQUENCE q",
                "DROP TABLE IF EXISTS oracle.t CASCADE",
                "GRANT SELECT ON oracle.t TO PUBLIC",
                "COMMENT ON TABLE oracle.t IS 'x'",
                "CHECKPOINT",
                "LOAD 'plpgsql'",
                "COPY users TO PROGRAM 'true'",
                "REINDEX TABLE oracle.t",
                "CREATE TYPE oracle.e AS ENUM ('a')",
                "CREATE SCHEMA IF NOT EXISTS oracle",
            ][n - 2]
                .to_owned(),
        }
    }

    fn insert(&mut self) -> String {
        let source = match self.pick(3) {
            0 | 1 => format!("VALUES ('{A}', {}, {})", self.text(), self.text()),
            _ => format!("SELECT '{A}', {}, {}", self.text(), self.text()),
        };
        self.columns = true;
        let conflict = if self.rarely(5) {
            format!(
                " ON CONFLICT (organization_id, email) DO UPDATE SET password_hash = {} WHERE {}",
                self.text(),
                self.condition()
            )
        } else {
            String::new()
        };
        format!(
            "INSERT INTO users (organization_id, email, password_hash) {source}{conflict}{}",
            self.returning()
        )
    }

    fn update(&mut self) -> String {
        self.columns = true;
        let assignments = match self.pick(3) {
            0 => format!("password_hash = {}", self.text()),
            1 => format!(
                "(password_hash, email) = ({}, {})",
                self.text(),
                self.text()
            ),
            _ => format!(
                "(password_hash, email) = (SELECT {}, {})",
                self.text(),
                self.text()
            ),
        };
        let from = match self.pick(4) {
            3 => format!(" FROM {}", self.from()),
            _ => String::new(),
        };
        format!(
            "UPDATE users AS u SET {assignments}{from} WHERE {}{}",
            self.condition(),
            self.returning()
        )
    }

    fn delete(&mut self) -> String {
        format!(
            "DELETE FROM wellness_entries USING organizations AS o WHERE {}{}",
            self.condition(),
            self.returning()
        )
    }

    fn merge(&mut self) -> String {
        format!(
            "MERGE INTO users AS u USING (SELECT {} AS email) AS s ON {} WHEN MATCHED AND {} THEN UPDATE SET password_hash = {} WHEN NOT MATCHED THEN INSERT (organization_id, email, password_hash) VALUES ('{A}', {}, 'h')",
            self.text(),
            self.condition(),
            self.condition(),
            self.text(),
            self.text(),
        )
    }

    fn returning(&mut self) -> String {
        if self.rarely(3) {
            format!(" RETURNING {}", self.text())
        } else {
            String::new()
        }
    }
}

fn carries(setting: &str) -> bool {
    setting == "session.current_organization_id" || is_role(setting)
}

fn is_role(setting: &str) -> bool {
    ["role", "session_authorization"].contains(&setting)
}

/// Whether the role becomes that of the login, which it is already.
fn is_own_role(setting: &str, value: &str) -> bool {
    setting == "role" && value == "none"
}

/// Every third character written in another way.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    text.chars()
        .enumerate()
        .map(|(at, c)| {
            if at % 3 == 1 || !c.is_ascii_alphanumeric() && c != ' ' {
                escape(c)
            } else {
                c.to_string()
            }
        })
        .collect()
}
