//! Code that no statement shows, and functions that run a text.

use super::{Attack, Must, SETTING, Step, Way, attack};
use Step::{Bound, Sql};

const fn code(id: &'static str, steps: &'static [Step]) -> Attack {
    attack(id, "P5", SETTING, Way::Within, Must::HoldRows, steps)
}

#[rustfmt::skip]
pub(super) const ATTACKS: &[Attack] = &[
    code("do", &[Sql("DO $$BEGIN PERFORM set_config({name}, {value}, false); END$$"), Sql("{rows}")]),
    code("do-execute", &[Sql("DO $$BEGIN EXECUTE 'SET {setting} = ' || quote_literal({value}); END$$"), Sql("{rows}")]),
    code("do-reset", &[Sql("DO $$BEGIN RESET ALL; END$$"), Sql("{rows}")]),
    code("function-sql", &[
        Sql("CREATE FUNCTION pg_temp.tenant_proof() RETURNS text LANGUAGE sql AS $$SELECT set_config({name}, {value}, false)$$"),
        Sql("SELECT pg_temp.tenant_proof()"), Sql("{rows}"),
    ]),
    code("function-set", &[
        Sql("CREATE FUNCTION pg_temp.tenant_proof() RETURNS SETOF text LANGUAGE sql SET {setting} = {value} AS $$SELECT r.* FROM ({rows}) r$$"),
        Sql("SELECT pg_temp.tenant_proof()"),
    ]),
    code("procedure", &[
        Sql("CREATE PROCEDURE pg_temp.tenant_proof() LANGUAGE plpgsql AS $$BEGIN PERFORM set_config({name}, {value}, false); END$$"),
        Sql("CALL pg_temp.tenant_proof()"), Sql("{rows}"),
    ]),
    code("aggregate", &[
        Sql("CREATE AGGREGATE pg_temp.tenant_proof(text, boolean) (sfunc = set_config, stype = text, initcond = {name})"),
        Sql("SELECT pg_temp.tenant_proof({value}, false)"), Sql("{rows}"),
    ]),
    code("operator", &[
        Sql("CREATE FUNCTION pg_temp.tenant_proof(text, text) RETURNS text LANGUAGE sql AS 'SELECT set_config($1, $2, false)'"),
        Sql("CREATE OPERATOR pg_temp.@@@@ (leftarg = text, rightarg = text, function = pg_temp.tenant_proof)"),
        Sql("SELECT {name}::text OPERATOR(pg_temp.@@@@) {value}::text"), Sql("{rows}"),
    ]),
    code("domain", &[
        Sql("CREATE DOMAIN pg_temp.tenant_proof AS text CHECK (set_config({name}, VALUE, false) IS NOT NULL)"),
        Sql("SELECT {value}::pg_temp.tenant_proof"), Sql("{rows}"),
    ]),
    code("default", &[
        Sql("CREATE TEMP TABLE tenant_proof (a int, b text DEFAULT set_config({name}, {value}, false))"),
        Sql("INSERT INTO tenant_proof (a) VALUES (1)"), Sql("{rows}"),
    ]),
    code("check", &[
        Sql("CREATE TEMP TABLE tenant_proof (a text CHECK (set_config({name}, a, false) IS NOT NULL))"),
        Sql("INSERT INTO tenant_proof VALUES ({value})"), Sql("{rows}"),
    ]),
    code("view", &[
        Sql("CREATE TEMP VIEW tenant_proof AS SELECT set_config({name}, {value}, false)"),
        Sql("SELECT * FROM tenant_proof"), Sql("{rows}"),
    ]),
    code("rule", &[
        Sql("CREATE TEMP TABLE tenant_proof (a text)"),
        Sql("CREATE RULE tenant_proof AS ON INSERT TO tenant_proof DO ALSO SELECT set_config({name}, {value}, false)"),
        Sql("INSERT INTO tenant_proof VALUES ('a')"), Sql("{rows}"),
    ]),
    code("query-to-xml", &[
        Sql("SELECT query_to_xml($$WITH c AS MATERIALIZED (SELECT set_config({name}, {value}, true)) SELECT r.* FROM c, ({rows}) r$$, true, false, '')"),
    ]),
    code("query-to-xml-bound", &[
        Bound("SELECT query_to_xml($1, true, false, '')", &["SELECT set_config({name}, {value}, false)"]), Sql("{rows}"),
    ]),
    code("ts-stat", &[Sql("SELECT * FROM ts_stat($$SELECT to_tsvector('simple', set_config({name}, {value}, false))$$)"), Sql("{rows}")]),
    code("attribute-notation", &[Sql("SELECT ($$SELECT to_tsvector('simple', set_config({name}, {value}, false))$$::text).ts_stat"), Sql("{rows}")]),
    code("attribute-notation-unicode", &[Sql("SELECT ($$SELECT to_tsvector('simple', set_config({name}, {value}, false))$$::text).U&\"ts\\005Fstat\""), Sql("{rows}")]),
    code("ts-rewrite", &[Sql("SELECT ts_rewrite('a'::tsquery, $$SELECT 'a'::tsquery, plainto_tsquery('simple', set_config({name}, {value}, false))$$)"), Sql("{rows}")]),
];
