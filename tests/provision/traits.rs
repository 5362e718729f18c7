//! Schemas as frameworks' migrations leave them, on both versions of the server.

use crate::place::*;

const RAILS: &str = include_str!("../data/templates/rails.sql");
const DJANGO: &str = include_str!("../data/templates/django.sql");
const LARAVEL: &str = include_str!("../data/templates/laravel.sql");

/// The objects of schemas of these names that need something of the template's.
fn reaching_out(place: &Place, schema: &str) -> String {
    place.sql(&format!(
        "SELECT o.identity, r.identity FROM pg_depend d,
             pg_identify_object(d.classid, d.objid, 0) o,
             pg_identify_object(d.refclassid, d.refobjid, 0) r
         WHERE d.classid <> 0 AND o.identity ~ '\\m{schema}\\M' AND r.identity ~ '\\mtmpl\\M'"
    ))
}

/// Copies the template, and then the copy: that one must be equal to the last byte.
/// Then the same by the trigger. Returns the place, for what is to be looked at more.
fn copied(site: &'static Site, text: &str, names: [&str; 3]) -> Place {
    let [first, second, joined] = names;
    let place = Place::on(site, &[first, second]);
    place.sql(text);
    place.done(&["--template=schema:tmpl", "Company 0"]);
    let again = place.done(&["--template=schema:tmpl", "Company 0"]);
    assert!(again.ends_with(": up to date\n"), "{again}");
    place.done(&[&format!("--template=schema:{first}"), "Company 1"]);

    place.sql("CREATE TABLE public.companies (schema_name text)");
    let table = [
        "--directory-table=public.companies",
        "--schema-column=schema_name",
    ];
    let trigger = ["--template=schema:tmpl", "--isolation=made", "--trigger"];
    place.done(&[&trigger[..], &table[..]].concat());
    place.sql(&format!("INSERT INTO public.companies VALUES ('{joined}')"));
    for schema in names {
        assert_eq!(reaching_out(&place, schema), "", "{schema}");
    }
    // The system's own pg_dump is not of the newest release.
    if std::ptr::eq(place.site, testkit::site()) {
        assert_eq!(place.dump(second), place.dump(first));
        assert_eq!(place.dump(joined), place.dump(first));
    }
    // What is there is equal to the template, also where nothing is noted of it.
    place.sql("DELETE FROM pgtenant_provision.provisioned");
    let again = place.done(&["--template=schema:tmpl", "Company 0"]);
    assert!(again.ends_with(": up to date\n"), "{again}");
    place
}

#[test]
fn a_schema_of_rails_is_copied_and_its_views_read_the_copy() {
    for site in servers() {
        let place = copied(site, RAILS, ["rails_one", "rails_two", "rails_three"]);
        for schema in ["rails_one", "rails_two", "rails_three"] {
            let read = |sql: &str| place.sql(&format!("SET search_path = {schema}; {sql}"));
            let none = "SELECT (SELECT count(*) FROM active_users), \
                        (SELECT count(*) FROM of_everyone), (SELECT count(*) FROM totals), admins()";
            assert_eq!(read(none), "0|0|0|0", "{schema}");
            read(
                "INSERT INTO accounts (name) VALUES ('own');
                 INSERT INTO users (account_id, email, role) VALUES (1, 'own@own', 'admin');
                 REFRESH MATERIALIZED VIEW totals",
            );
            assert_eq!(read("SELECT email FROM active_users"), "own@own");
            assert_eq!(read("SELECT email, n FROM of_everyone"), "own@own|1");
            assert_eq!(read("SELECT * FROM totals"), "1|1");
            assert_eq!(read("SELECT admins()"), "1");
            let wrong = format!("UPDATE {schema}.accounts SET status = 'other'");
            let error = site.cluster.psql(&place.database, &wrong).unwrap_err();
            assert!(error.to_string().contains("known_status"), "{error}");
        }
        assert_eq!(
            place.sql("SELECT name FROM tmpl.accounts"),
            "secret of the template"
        );
    }
}

#[test]
fn a_schema_of_django_is_copied() {
    for site in servers() {
        let place = copied(site, DJANGO, ["django_one", "django_two", "django_three"]);
        for schema in ["django_one", "django_two", "django_three"] {
            let read = |sql: &str| place.sql(&format!("SET search_path = {schema}; {sql}"));
            read(
                "INSERT INTO auth_user (username, email) VALUES ('own', 'Own@x');
                 INSERT INTO shop_order (state, customer_id, paid, net) VALUES ('new', 1, false, 7)",
            );
            assert_eq!(
                read("SELECT id, gross, open FROM shop_order"),
                "1000|7.00|t"
            );
            assert_eq!(read("SELECT id FROM auth_user WHERE email = 'OWN@X'"), "1");
            let twice = format!(
                "INSERT INTO {schema}.shop_order (state, customer_id, paid, net)
                 VALUES ('new', 1, false, 7)"
            );
            let error = site.cluster.psql(&place.database, &twice).unwrap_err();
            assert!(error.to_string().contains("one_new"), "{error}");
        }
    }
}

/// The owner is no superuser: the policies apply to him as well, and they fail where
/// no tenant is set.
#[test]
fn forced_policies_do_not_hinder_foreign_keys_and_materialized_views() {
    for site in servers() {
        let place = Place::on(site, &["laravel_one", "laravel_two"]);
        let Place { database, .. } = &place;
        place.sql("CREATE ROLE laravel_owner LOGIN CREATEROLE PASSWORD 'pw'");
        place.sql(&format!("ALTER DATABASE {database} OWNER TO laravel_owner"));
        place.sql(&format!("SET ROLE laravel_owner; {LARAVEL}"));
        let port = site.cluster.port();
        let url = format!("postgres://laravel_owner:pw@127.0.0.1:{port}/{database}");
        let arguments = ["--template=schema:tmpl", "--isolation=made", "--all"];
        let first = place.provision_at(&url, &arguments);
        let text = stdout(&first) + &stderr(&first);
        assert_eq!(first.status.code(), Some(0), "{text}");
        let again = stdout(&place.provision_at(&url, &arguments));
        assert_eq!(again.matches(": up to date").count(), 2, "{again}");
        assert_eq!(reaching_out(&place, "laravel_one"), "");
        let forced = "SELECT count(*) FROM pg_class WHERE relforcerowsecurity
                      AND relnamespace = 'laravel_one'::regnamespace";
        assert_eq!(place.sql(forced), "2");

        let proxy = Proxy::start_before(site, &place.options);
        let mut raw = place.log_in(&proxy, 0);
        raw.run_ok("SET app.tenant = 'x'");
        raw.run_ok("INSERT INTO teams (kind) VALUES ('a')");
        raw.run_ok("INSERT INTO posts (team_id, title) VALUES (1, 'a')");
        assert_eq!(raw.value("SELECT status FROM posts"), "new");
        assert_eq!(raw.value("SELECT count(*) FROM teams_of('a')"), "1");
        assert_eq!(raw.error("SELECT * FROM tmpl.teams").code(), "42501");
        let error = raw.error("INSERT INTO posts (team_id, title, status) VALUES (1, 'a', 'old')");
        assert_eq!(error.code(), "23514");
    }
}

#[test]
fn notes_of_the_servers_own_in_column_options_are_not_copied() {
    for site in servers() {
        let place = Place::on(site, &["attver"]);
        place.sql(
            "CREATE SCHEMA tmpl; CREATE TABLE tmpl.t (a int, b int);
             ALTER TABLE tmpl.t ALTER b SET (n_distinct = 5);
             SET allow_system_table_mods = on;
             UPDATE pg_attribute SET attoptions = attoptions || '{pg_attver=3}'
                 WHERE attrelid = 'tmpl.t'::regclass AND attname = 'b';
             UPDATE pg_attribute SET attoptions = '{pg_attver=3}'
                 WHERE attrelid = 'tmpl.t'::regclass AND attname = 'a'",
        );
        place.done(&["--template=schema:tmpl", "Company 0"]);
        // Newer releases note the like of new columns: numbers of their own.
        let options = "SELECT string_agg(o, ',') FROM pg_attribute, unnest(attoptions) o
                       WHERE attrelid = 'attver.t'::regclass
                           AND (o !~ '^pg_attver=' OR o = 'pg_attver=3')";
        assert_eq!(place.sql(options), "n_distinct=5");
    }
}
