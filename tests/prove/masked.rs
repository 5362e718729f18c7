//! Masked logins.

use super::lab::{Lab, own_database};
use testkit::INNOVATE;

/// A role with views of its own, past the proxy: what a proxy's masked login comes to.
const VIEWS: &str = "
    CREATE ROLE masker NOLOGIN;
    GRANT USAGE ON SCHEMA public TO masker;
    GRANT SELECT ON users, wellness_entries TO masker;
    CREATE SCHEMA masked;
    CREATE VIEW masked.users WITH (security_barrier) AS
        SELECT id, organization_id, encode(sha256(convert_to(email, 'UTF8')), 'hex') AS email, created_at
        FROM public.users;
    ALTER VIEW masked.users OWNER TO masker;
    CREATE ROLE analyst LOGIN PASSWORD 'analyst';
    GRANT USAGE ON SCHEMA masked, public TO analyst;
    GRANT SELECT ON masked.users TO analyst;
    ALTER ROLE analyst SET search_path = masked, public;";

#[test]
fn a_masked_login_is_compared_with_the_plain_one() {
    let options = own_database();
    let lab = Lab::start(&options);
    let sql = |sql: &str| lab.site.sql(&options.database, sql);
    sql(VIEWS);
    sql(&format!(
        "ALTER ROLE analyst SET session.current_organization_id = '{INNOVATE}'"
    ));
    let url = format!(
        "postgres://analyst:analyst@127.0.0.1:{}/{}?sslmode=require",
        lab.site.cluster.port(),
        options.database
    );
    let proved = lab.prove(&["--masked", &url]);
    assert_eq!(proved.status, Some(0), "{}", proved.text);
    let (result, said) = proved.of("masked-columns:public.users");
    assert_eq!(result, "held");
    assert!(
        said.contains("email") && said.contains("as they are: created_at, id"),
        "{said}"
    );
    assert_eq!(proved.of("masked-base:public.users").0, "held");
    assert_eq!(proved.of("masked-rows:public.users").0, "held");

    sql("GRANT SELECT ON public.users TO analyst");
    lab.prove(&["--masked", &url])
        .breaks_alone(&["masked-base:public.users"]);
    sql("REVOKE SELECT ON public.users FROM analyst");
    sql(
        "CREATE OR REPLACE VIEW masked.users WITH (security_barrier) AS \
         SELECT id, organization_id, email, created_at FROM public.users",
    );
    // The hash of the password is left out, which is a mask too.
    let proved = lab.prove(&["--masked", &url]);
    let (_, said) = proved.of("masked-columns:public.users");
    assert!(said.contains("masked or left out: password_hash"), "{said}");
    sql(
        "DROP VIEW masked.users; CREATE VIEW masked.users AS SELECT * FROM public.users; \
         GRANT SELECT ON masked.users TO analyst",
    );
    // It is the superuser's now, whom no policy binds.
    lab.prove(&["--masked", &url])
        .breaks(&["masked-rows:public.users", "masked-columns:public.users"]);
    sql("ALTER VIEW masked.users OWNER TO masker");
    lab.prove(&["--masked", &url])
        .breaks_alone(&["masked-columns:public.users"]);
}

#[test]
fn a_plain_login_is_not_masked() {
    let lab = Lab::start(&own_database());
    let plain = lab.url("innovate");
    lab.prove(&["--masked", &plain]).breaks_alone(&[
        "masked-base:public.users",
        "masked-base:public.wellness_entries",
        "masked-base:public.organizations",
    ]);
}
