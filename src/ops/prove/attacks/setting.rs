//! The tenant's setting, in every spelling.

use super::{Attack, Must, Piece, SETTING, Step, Way, attack};
use Piece::{Bind, Execute, Flush, Parse, Sync};
use Step::{Bound, Pipeline, Sql};

const fn spelling(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "P5", SETTING, Way::Both, Must::Hold, steps)
}

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    spelling("set", &[Sql("SET {setting} = {value}")]),
    spelling("set-to", &[Sql("SET {setting} TO {value}")]),
    spelling("set-session", &[Sql("SET SESSION {setting} = {value}")]),
    spelling("set-local", &[Sql("SET LOCAL {setting} = {value}; {rows}")]),
    spelling("set-case", &[Sql("sEt {upper} = {value}")]),
    spelling("set-quoted", &[Sql("SET {quoted} = {value}")]),
    spelling("set-one-name", &[Sql("SET {one} = {value}")]),
    spelling("set-unicode", &[Sql("SET {unicode} = {value}")]),
    spelling("set-comments", &[Sql("SET/**/{commented}--c\n={value}")]),
    spelling("set-dollars", &[Sql("SET {setting} = $${bare}$$")]),
    spelling("set-escapes", &[Sql("SET {setting} = E{value}")]),
    spelling("set-in-batch", &[Sql("SELECT 1; SET {setting} = {value}; {rows}")]),
    spelling("set-then-back", &[Sql("SET {setting} = {value}; {rows}; RESET {setting}")]),
    spelling("set-characteristics", &[Sql("SET TIME ZONE 'UTC'; SET {setting} = {value}")]),
    spelling("set-extended", &[Bound("SET {setting} = {value}", &[])]),
    spelling("set-behind-flush", &[Pipeline(&[
        Parse("tenant_proof", "SET {setting} = {value}"), Flush, Bind("", "tenant_proof"), Execute(""), Sync,
    ]), Sql("{rows}")]),
    spelling("set-config", &[Sql("SELECT set_config({name}, {value}, false)")]),
    spelling("set-config-local", &[Sql("SELECT set_config({name}, {value}, true)"), Sql("{rows}")]),
    spelling("set-config-qualified", &[Sql("SELECT pg_catalog.set_config({name}, {value}, false)")]),
    spelling("set-config-quoted", &[Sql("SELECT \"pg_catalog\" . /**/ \"set_config\" ({name}, {value}, false)")]),
    spelling("set-config-unicode", &[Sql("SELECT U&\"set\\005Fconfig\"({name}, {value}, false)")]),
    spelling("set-config-same-query", &[Sql("WITH c AS MATERIALIZED (SELECT set_config({name}, {value}, true)) SELECT r.* FROM c, ({rows}) r")]),
    spelling("set-config-from", &[Sql("SELECT * FROM set_config({name}, {value}, false)")]),
    spelling("set-config-lateral", &[Sql("SELECT x.* FROM (SELECT 1) s, LATERAL set_config({name}, {value}, false) x")]),
    spelling("set-config-limit", &[Sql("SELECT 1 LIMIT length(set_config({name}, {value}, false))")]),
    spelling("set-config-order", &[Sql("SELECT 1 ORDER BY set_config({name}, {value}, false)")]),
    spelling("set-config-having", &[Sql("SELECT count(*) HAVING set_config({name}, {value}, false) IS NOT NULL")]),
    spelling("set-config-values", &[Sql("VALUES (set_config({name}, {value}, false))")]),
    spelling("set-config-array", &[Sql("SELECT ARRAY[set_config({name}, {value}, false)]")]),
    spelling("set-config-named", &[Sql("SELECT set_config(setting_name => {name}, new_value => {value}, is_local => false)")]),
    spelling("set-config-explain", &[Sql("EXPLAIN ANALYZE SELECT set_config({name}, {value}, false)")]),
    spelling("set-config-computed", &[Sql("SELECT set_config(reverse({reversed}), {value}, false)")]),
    spelling("set-config-format", &[Sql("SELECT set_config(format('%s%s', {head}, {tail}), {value}, false)")]),
    spelling("set-config-chr", &[Sql("SELECT set_config(chr({first}) || {behind}, {value}, false)")]),
    spelling("set-config-json", &[Sql("SELECT set_config(j->>'k', j->>'v', false) FROM (SELECT jsonb_build_object('k', {name}, 'v', {value}) j) s")]),
    spelling("set-config-bound", &[Bound("SELECT set_config($1, $2, $3::bool)", &["{setting}", "{bare}", "f"])]),
    spelling("set-config-bound-name", &[Bound("SELECT set_config($1, {value}, false)", &["{setting}"])]),
    spelling("set-config-bound-value", &[Bound("SELECT set_config({name}, $1, false)", &["{bare}"])]),
    spelling("prepare", &[Sql("PREPARE tenant_proof AS SELECT set_config({name}, {value}, false)"), Sql("EXECUTE tenant_proof")]),
    spelling("prepare-arguments", &[Sql("PREPARE tenant_proof(text, text) AS SELECT set_config($1, $2, false)"), Sql("EXECUTE tenant_proof({name}, {value})")]),
    spelling("explain-execute", &[Sql("PREPARE tenant_proof AS SELECT set_config({name}, {value}, false)"), Sql("EXPLAIN ANALYZE EXECUTE tenant_proof")]),
    spelling("cursor", &[Sql("DECLARE tenant_proof CURSOR WITH HOLD FOR SELECT set_config({name}, {value}, false)"), Sql("FETCH tenant_proof")]),
    spelling("copy", &[Sql("COPY (SELECT set_config({name}, {value}, false)) TO STDOUT")]),
    spelling("copy-rows", &[Sql("COPY (WITH c AS MATERIALIZED (SELECT set_config({name}, {value}, true)) SELECT r.* FROM c, ({rows}) r) TO STDOUT")]),
    spelling("pg-settings", &[Sql("UPDATE pg_settings SET setting = {value} WHERE name = {name}")]),
    spelling("pg-settings-qualified", &[Sql("UPDATE pg_catalog.pg_settings AS z SET setting = {value} FROM (VALUES ({name})) v (n) WHERE z.name = v.n")]),
    attack("create-temporary", "P5", SETTING, Way::Within, Must::Hold, &[
        Sql("CREATE TEMP TABLE tenant_proof AS SELECT set_config({name}, {value}, false) x"),
    ]),
    attack("insert-returning", "P5", SETTING, Way::Within, Must::Hold, &[
        Sql("CREATE TEMP TABLE tenant_proof (a text)"),
        Sql("INSERT INTO tenant_proof VALUES ('a') RETURNING set_config({name}, {value}, false)"),
    ]),
    attack("merge", "P5", SETTING, Way::Within, Must::Hold, &[
        Sql("CREATE TEMP TABLE tenant_proof (a text)"),
        Sql("MERGE INTO tenant_proof w USING (SELECT set_config({name}, {value}, false) c) s ON w.a = s.c WHEN NOT MATCHED THEN DO NOTHING"),
    ]),
];
