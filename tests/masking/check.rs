//! What `pgtenant check` finds of masking.

use crate::lab::{Lab, mask, servers, table};
use serde_json::Value;
use std::process::Command;

/// The findings of masking, each with its object.
fn findings(lab: &Lab) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
        .args(["check", "--json", "--config"])
        .arg(lab.config())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failures"].as_array().unwrap().len(), 0, "{report}");
    let all = report["findings"].as_array().unwrap().iter();
    let all = all.filter(|one| one["id"].as_str().unwrap().starts_with("PGT9"));
    all.map(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("id"), text("object"), text("detail"))
    })
    .collect()
}

#[track_caller]
fn assert_found(lab: &Lab, wanted: &[&str]) {
    let found = findings(lab);
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for text in wanted {
        assert!(
            found.iter().any(|one| one.contains(text)),
            "{text}: {found:#?}"
        );
    }
}

#[test]
fn it_finds_what_a_masked_login_could_still_see() {
    let tables = table(
        "people",
        "id integer, email text, \"homeAddress\" text, fine text",
    );
    for server in servers() {
        let masks = [
            mask("people", "email", "with = \"email\""),
            mask("people", "\"homeAddress\"", "with = \"null\""),
        ];
        let mut lab = Lab::new(server, &tables).with(&masks);
        assert_found(
            &lab,
            &[
                "PGT902 mask people.email (email): there is no masked view",
                "PGT902 mask people.\"homeAddress\" (null): there is no masked view",
            ],
        );
        lab.apply();
        assert_found(&lab, &[]);
        // A mask that is new, or gone, and a column that is new.
        lab.masks =
            mask("people", "email", "with = \"email\"") + &mask("people", "id", "with = \"hash\"");
        lab.sql("ALTER TABLE people ADD phone text");
        assert_found(
            &lab,
            &["PGT902 mask people.id (hash): the masked view shows the column as it is"],
        );
        lab.apply();
        assert_found(
            &lab,
            &[
                "PGT904 column masked.people.homeAddress",
                "PGT904 column masked.people.phone",
            ],
        );
        lab.masks = masks.concat() + &mask("people", "phone", "with = \"null\"");
        lab.apply();
        let role = lab.role.clone();
        lab.sql(&format!(
            "CREATE VIEW shown AS SELECT * FROM people; GRANT SELECT ON shown TO {role};
             GRANT SELECT (email) ON people TO PUBLIC;
             CREATE ROLE {role}_group; GRANT {role}_group TO {role};
             CREATE FUNCTION leak() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM public.people'"
        ));
        assert_found(
            &lab,
            &[
                "it may read public.shown, by a grant to it",
                "it may read public.people, by a grant of columns",
                &format!("it is a member of role {role}_group"),
                "PGT903 function public.leak()",
            ],
        );
        lab.sql(&format!("DROP ROLE {role}_group"));
    }
}
