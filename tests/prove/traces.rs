//! Nothing is left behind, whether the promises hold or not.

use super::lab::{Lab, own_database};
use testkit::Options;

/// All that a test could have changed, as one text.
const STATE: &str = "
    SELECT (SELECT string_agg(u::text, '|' ORDER BY u.id) FROM users u),
           (SELECT string_agg(e::text, '|' ORDER BY e.id) FROM wellness_entries e),
           (SELECT string_agg(o::text, '|' ORDER BY o.id) FROM organizations o),
           (SELECT string_agg(n::text, '|' ORDER BY n.id) FROM numbered n),
           (SELECT last_value FROM numbered_id_seq),
           (SELECT string_agg(oid::regclass::text, '|' ORDER BY oid) FROM pg_class WHERE oid >= 16384),
           (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_type WHERE oid >= 16384 AND typtype = 'd'),
           (SELECT string_agg(rolname || coalesce(rolconfig::text, ''), '|' ORDER BY oid) FROM pg_roles),
           (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_largeobject_metadata),
           (SELECT string_agg(p::text, '|' ORDER BY polname, polrelid) FROM pg_policy p)";

const NUMBERED: &str = "
    CREATE TABLE numbered (id serial PRIMARY KEY, organization_id uuid NOT NULL, note text,
                           more int GENERATED ALWAYS AS IDENTITY, twice text GENERATED ALWAYS AS (note || note) STORED);
    ALTER TABLE numbered ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON numbered USING (organization_id = current_setting('session.current_organization_id')::uuid);
    INSERT INTO numbered (organization_id, note) SELECT id, name FROM organizations, generate_series(1, 3);
    GRANT SELECT, INSERT, UPDATE, DELETE ON numbered TO wellness_app;
    GRANT USAGE ON numbered_id_seq TO wellness_app;";

#[test]
fn a_database_is_as_it_was() {
    for (guard, opaque, channels) in [
        ("enforce", "reject", "reject"),
        ("report", "allow", "allow"),
    ] {
        let options = Options {
            guard,
            opaque,
            channels,
            ..own_database()
        };
        let lab = Lab::start(&options);
        lab.site.sql(&options.database, NUMBERED);
        let before = lab.site.sql(&options.database, STATE);
        let proved = lab.prove(&[]);
        for test in ["update", "delete", "insert", "move"] {
            let (result, said) = proved.of(&format!("{test}:public.numbered"));
            assert_eq!(result, "held", "{test}: {said}");
        }
        assert_eq!(
            lab.site.sql(&options.database, STATE),
            before,
            "{}",
            proved.text
        );
    }
}
