//! A client's search_path in kind `schema`: the tenant's own list passes in every
//! spelling, others only where a role keeps the tenants apart.

use crate::place::{OWN_ROLE, Place, SHARED_ROLE};
use testkit::{Pipeline, Raw};

const WHOSE: &str = "SELECT whose FROM t";
const PATH: &str = "SELECT array_to_string(current_schemas(false), ',')";

fn places() -> impl Iterator<Item = Place> {
    [15, 18]
        .into_iter()
        .filter_map(|major| Place::start(major, ""))
}

/// Every spelling of a list of one schema.
fn spellings(schema: &str) -> Vec<String> {
    let upper = schema.to_uppercase();
    vec![
        format!("SET search_path = \"{schema}\""),
        format!("SET search_path TO {upper}"),
        format!("SET SESSION search_path = '{schema}'"),
        format!("SET LOCAL search_path = {schema}"),
        format!("SET SCHEMA '{schema}'"),
        format!("set search_path = U&\"{schema}\", {schema}"),
        format!("SELECT set_config('search_path', '{schema}', false)"),
        format!("SELECT pg_catalog.set_config('Search_Path', ' {upper} ,\"{schema}\"', true)"),
        "RESET search_path".to_owned(),
        "SET search_path TO DEFAULT".to_owned(),
        "SET LOCAL search_path = DEFAULT".to_owned(),
    ]
}

/// `set_config` with parameters.
fn bound(client: &mut Raw, name: &str, value: Option<&str>) -> String {
    let values = [Some(name), value];
    let one = Pipeline::new()
        .parse("", "SELECT set_config($1, $2, false)")
        .bind_with("", "", &[], &values)
        .execute("", 0)
        .sync();
    let answer = client.run(&one);
    let errors = answer.errors();
    errors
        .first()
        .map_or_else(|| "ok".to_owned(), |error| error.code().to_owned())
}

#[test]
fn the_tenants_own_list_passes_in_every_spelling() {
    for place in places() {
        for [one, other] in [SHARED_ROLE, OWN_ROLE] {
            let (mut client, mut neighbour) = (place.client(one), place.client(other));
            for sql in spellings(one) {
                for within in [false, true] {
                    for extended in [false, true] {
                        if within {
                            client.run_ok("BEGIN");
                        }
                        match extended {
                            true => client.extended(&sql).ok(),
                            false => client.query(&sql).ok(),
                        };
                        assert_eq!(client.value(WHOSE), one, "{sql}");
                        if within {
                            assert_eq!(client.value(PATH), one, "{sql}");
                            client.run_ok("COMMIT");
                        }
                        assert_eq!(client.value(PATH), one, "{sql}");
                        assert_eq!(neighbour.value(WHOSE), other, "{sql}");
                        assert_eq!(neighbour.value(PATH), other, "{sql}");
                    }
                }
            }
            assert_eq!(bound(&mut client, "search_path", Some(one)), "ok");
            assert_eq!(
                bound(&mut client, "SEARCH_PATH", Some(&format!("\"{one}\""))),
                "ok"
            );
            assert_eq!(client.value(WHOSE), one);
            // What is prepared is judged each time it is bound.
            let prepare = Pipeline::new()
                .parse("p", &format!("SET search_path = {one}"))
                .prepared("p", &[])
                .sync();
            client.run(&prepare).ok();
            neighbour.value(WHOSE);
            client.run(&Pipeline::new().prepared("p", &[]).sync()).ok();
            assert_eq!(
                (client.value(WHOSE), neighbour.value(WHOSE)),
                (one.into(), other.into())
            );
        }
    }
}

#[test]
fn another_list_is_refused_without_a_role_and_reaches_nobody_with_one() {
    let [north, south] = SHARED_ROLE;
    let [east, west] = OWN_ROLE;
    for place in places() {
        let mut client = place.client(north);
        for list in [
            south.to_owned(),
            format!("{north}, {south}"),
            format!("{south}, {north}"),
            format!("{north}, public"),
            "\"NORTH\"".to_owned(),
            "public".to_owned(),
            "shared".to_owned(),
            "pg_temp".to_owned(),
            format!("{north}, pg_temp"),
            format!("pg_catalog, {north}"),
            "\"$user\"".to_owned(),
        ] {
            let in_text = list.replace('\'', "''");
            for sql in [
                format!("SET search_path = {list}"),
                format!("SET LOCAL search_path TO {list}"),
                format!("SELECT set_config('search_path', '{in_text}', false)"),
                format!("RESET search_path; SET search_path = {list}"),
                format!(
                    "SELECT set_config('search_path', '{north}', false), set_config('search_path', '{in_text}', true)"
                ),
            ] {
                let error = client.error(&sql);
                assert_eq!(error.code(), "42501", "{sql}");
                assert!(
                    error.message().contains("search_path"),
                    "{sql}: {}",
                    error.message()
                );
                assert!(!client.extended(&sql).errors().is_empty(), "{sql}");
            }
            assert_eq!(
                bound(&mut client, "search_path", Some(&list)),
                "42501",
                "{list}"
            );
            let options = format!("-c search_path={}", list.replace(' ', "\\ "));
            for parameter in [("search_path", &*list), ("options", &*options)] {
                let refused = place.enter(north, &[parameter]).map(|_| ()).unwrap_err();
                assert_eq!(refused.code(), "42501", "{parameter:?}");
            }
        }
        for sql in [
            "SET search_path = ''",
            "SELECT set_config('search_path', '', false)",
            "SELECT set_config('search_path', 'no\"rth\"', false)",
            "SELECT set_config('search_path', current_user, false)",
            "SELECT set_config('search_path', NULL, false)",
            "ALTER ROLE CURRENT_USER SET search_path = north",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = north AS 'SELECT 1'",
        ] {
            assert_eq!(client.error(sql).code(), "42501", "{sql}");
        }
        assert_eq!(bound(&mut client, "search_path", None), "42501");
        assert_eq!(client.value(WHOSE), north);

        // The role is what keeps these apart: a list shows what a qualified name does.
        let (mut client, mut neighbour) = (place.client(east), place.client(west));
        for list in [&*format!("{west}, {east}"), "shared", "public, shared", ""] {
            let sql = format!("SELECT set_config('search_path', '{list}', false)");
            client.run_ok(&sql);
            // Its own schemas alone: `west` is skipped.
            assert_ne!(client.query(WHOSE).column(), [west], "{list}");
            assert_eq!(neighbour.value(WHOSE), west, "{list}");
            assert_eq!(client.value("SHOW search_path"), list);
        }
        client.run_ok("SET search_path = shared");
        assert_eq!(client.value(WHOSE), "all");
        assert_eq!(client.error("SELECT * FROM west.t").code(), "42501");
        assert_eq!(place.client(east).value(WHOSE), east, "another client");
        assert_eq!(client.value(WHOSE), "all", "it follows its client");
        client.run_ok("RESET search_path");
        assert_eq!(client.value(WHOSE), east);
        for sql in [
            "SET search_path = nosuch, pg_temp",
            "SET search_path = east, pg_catalog",
        ] {
            assert_eq!(client.error(sql).code(), "42501", "{sql}");
        }
    }
}

#[test]
fn pg_catalog_alone_hides_what_the_tenant_has_and_shows_nothing() {
    for place in places() {
        for [one, other] in [SHARED_ROLE, OWN_ROLE] {
            let (mut client, mut neighbour) = (place.client(one), place.client(other));
            client.run_ok("SET search_path = pg_catalog");
            assert_eq!(client.error(WHOSE).code(), "42P01");
            assert_eq!(neighbour.value(WHOSE), other);
            assert_eq!(client.error(WHOSE).code(), "42P01", "it follows its client");
            assert_eq!(client.value(&format!("SELECT whose FROM {one}.t")), one);
            assert_eq!(place.client(one).value(WHOSE), one, "another client");
            // Rows are written, a function of one's own runs: the tenant is attached anew.
            client.run_ok(&format!("INSERT INTO {one}.t VALUES ('x')"));
            client.run_ok(&format!("DELETE FROM {one}.t WHERE whose = 'x'"));
            assert_eq!(client.error(WHOSE).code(), "42P01");
            assert_eq!(place.client(one).value(WHOSE), one, "another client");
            client.run_ok("BEGIN; SET LOCAL search_path = DEFAULT");
            assert_eq!(client.value(WHOSE), one);
            client.run_ok("ROLLBACK");
            assert_eq!(client.error(WHOSE).code(), "42P01");
            client.run_ok("BEGIN; RESET search_path");
            assert_eq!(client.value(WHOSE), one);
            client.run_ok("ROLLBACK");
            assert_eq!(client.error(WHOSE).code(), "42P01");
            client.run_ok("DISCARD ALL");
            assert_eq!(client.value(WHOSE), one);
            client.run_ok("BEGIN; SET LOCAL search_path = pg_catalog");
            assert_eq!(client.error(WHOSE).code(), "42P01");
            client.run_ok("ROLLBACK");
            assert_eq!(client.value(WHOSE), one);
            client.run_ok("BEGIN; SET search_path = pg_catalog; ROLLBACK");
            assert_eq!(client.value(WHOSE), one);
            assert_eq!(neighbour.value(WHOSE), other);
        }
    }
}

#[test]
fn a_list_of_the_startup_packet_is_what_a_reset_goes_back_to() {
    for place in places() {
        for [one, other] in [SHARED_ROLE, OWN_ROLE] {
            let mut neighbour = place.client(other);
            let quoted = format!("\"{one}\"");
            let options = format!("-c search_path={one}");
            for parameter in [
                ("search_path", &*quoted),
                ("search_path", one),
                ("options", &*options),
            ] {
                let mut client = place.enter(one, &[parameter]).unwrap();
                assert_eq!(client.value(WHOSE), one, "{parameter:?}");
                assert_eq!(neighbour.value(WHOSE), other);
                client.run_ok("RESET search_path");
                assert_eq!(client.value(WHOSE), one, "{parameter:?}");
                client.run_ok("RESET ALL");
                assert_eq!(client.value(WHOSE), one, "{parameter:?}");
            }
            let catalog = ("search_path", "pg_catalog");
            let mut client = place.enter(one, &[catalog]).unwrap();
            for sql in [
                "SELECT 1".to_owned(),
                format!("SET search_path = {one}; RESET search_path"),
                "DISCARD ALL".to_owned(),
            ] {
                client.run_ok(&sql);
                assert_eq!(client.error(WHOSE).code(), "42P01", "{sql}");
                assert_eq!(neighbour.value(WHOSE), other);
            }
            client.run_ok(&format!("SET search_path = {one}"));
            assert_eq!(client.value(WHOSE), one);
            // A parameter of its own wins over one in the options.
            let both = [
                ("options", "-c search_path=pg_catalog"),
                ("search_path", one),
            ];
            assert_eq!(place.enter(one, &both).unwrap().value(WHOSE), one);
        }
    }
}

#[test]
fn a_reset_within_a_pipeline_goes_back_to_the_tenants_list() {
    for place in places() {
        for [one, other] in [SHARED_ROLE, OWN_ROLE] {
            let (mut client, mut neighbour) = (place.client(one), place.client(other));
            let pipeline = Pipeline::new()
                .statement("SET search_path = pg_catalog")
                .statement("RESET search_path")
                .statement(WHOSE)
                .statement(&format!("SET search_path = {one}"))
                .statement(WHOSE)
                .sync();
            let answer = client.run(&pipeline);
            answer.ok();
            assert_eq!(answer.column(), [one, one]);
            assert_eq!(neighbour.value(WHOSE), other);
            assert_eq!(client.value(WHOSE), one);
        }
    }
}

#[test]
fn a_reload_that_takes_the_role_takes_the_lists_with_it() {
    for place in places() {
        let [east, west] = OWN_ROLE;
        let mut client = place
            .enter(east, &[("search_path", "shared, east")])
            .unwrap();
        client.run_ok("SET search_path = shared, west");
        place.plain.cluster.psql("branches", "GRANT USAGE ON SCHEMA east, west TO wellness_app; GRANT ALL ON east.t, west.t TO wellness_app").unwrap();
        place
            .proxy
            .reload(|text| text.replace("role = \"{id}_app\"\nrole_key_file = \"role.key\"\n", ""));
        assert_eq!(client.value(WHOSE), east);
        client.run_ok("RESET search_path");
        assert_eq!(client.value(WHOSE), east);
        assert_eq!(
            client.error("SET search_path = shared, west").code(),
            "42501"
        );
        assert_eq!(place.client(west).value(WHOSE), west);
    }
}
