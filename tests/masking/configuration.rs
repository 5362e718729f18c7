//! The keys of masking in the configuration file.

use crate::lab::{Lab, mask, server};
use pgtenant::config;
use std::fs;
use std::sync::Arc;

fn lab() -> Lab {
    Lab::new(server(), "").with(&[mask("people", "name", "with = \"null\"")])
}

/// The problems that the configuration has once this is replaced by that.
fn problems(lab: &Lab, from: &str, to: &str) -> Vec<String> {
    let text = lab.configuration();
    assert!(text.contains(from), "{text}");
    let path = lab.write("changed.toml", &text.replacen(from, to, 1));
    let problems = config::load(&path).unwrap_err().to_string();
    fs::remove_file(path).unwrap();
    problems.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_one(lab: &Lab, (from, to): (&str, &str), key: &str, reason: &str) {
    let found = problems(lab, from, to);
    let hit = found
        .iter()
        .any(|line| line.contains(key) && line.contains(reason));
    assert!(hit, "{key} … {reason}: {found:#?}");
}

#[test]
fn masks_are_read_as_sql_reads_names() {
    let mut lab = lab();
    lab.masks = mask(r#"Hr."Staff""#, "Data->'mood'->0", "with = \"range(2.5)\"")
        + &mask("people", "note", "expression = \"left(note, 1)\"")
        + &mask("people", "name", "with = \"constant('it''s')\"");
    let settings = config::load(&lab.config()).unwrap();
    let isolation = settings.isolations.values().next().unwrap();
    let masking = isolation.masking.as_ref().unwrap();
    let [first, second, third] = &masking.masks[..] else {
        panic!("{masking:?}");
    };
    assert_eq!(
        (first.schema.as_deref(), &*first.table),
        (Some("hr"), "Staff")
    );
    assert_eq!(
        (&*first.column, &first.path[..]),
        ("data", &["mood".to_owned(), "0".to_owned()][..])
    );
    assert_eq!(
        (first.kind, first.argument.as_deref()),
        ("range", Some("2.5"))
    );
    assert_eq!(
        (second.kind, second.argument.as_deref()),
        ("expression", Some("left(note, 1)"))
    );
    assert_eq!(
        (third.kind, third.argument.as_deref()),
        ("constant", Some("it's"))
    );
    // No password shows.
    let shown = format!("{settings:?}");
    assert!(!shown.contains(crate::lab::PASSWORD), "{shown}");
}

#[test]
fn each_mistake_is_named() {
    let lab = lab();
    for (change, key, reason) in [
        (
            ("with = \"null\"", "with = \"nul\""),
            "mask[0].with",
            "must be one of \"null\"",
        ),
        (
            ("with = \"null\"", "with = \"range(0)\""),
            "mask[0].with",
            "must be one of",
        ),
        (
            ("with = \"null\"", "with = \"constant(x)\""),
            "mask[0].with",
            "must be one of",
        ),
        (
            ("with = \"null\"", ""),
            "mask[0].with",
            "what masks the column",
        ),
        (
            ("with = \"null\"", "with = \"null\"\nexpression = \"1\""),
            "mask[0].expression",
            "keep one of them",
        ),
        (
            ("with = \"null\"", "expression = \"a, b\""),
            "mask[0].expression",
            "one SQL expression",
        ),
        (
            ("with = \"null\"", "expression = \"(SELECT 1)\""),
            "mask[0].expression",
            "must not have a query",
        ),
        (
            ("table = \"people\"", "table = \"a b\""),
            "mask[0].table",
            "name of a table",
        ),
        (("table = \"people\"", ""), "mask[0].table", "the table"),
        (
            ("column = \"name\"", "column = \"name->>'x'\""),
            "mask[0].column",
            "name of a column",
        ),
        (
            (
                "with = \"null\"\n",
                "with = \"null\"\nisolation = \"lap\"\n",
            ),
            "mask[0].isolation",
            "did you mean `lab`",
        ),
        (
            (
                "with = \"null\"\n",
                "with = \"null\"\n[[mask]]\ntable = \"people\"\ncolumn = \"Name\"\nwith = \"hash\"\n",
            ),
            "mask[1].column",
            "has a mask already",
        ),
        (
            ("masked_user = ", "masked_rolle = "),
            "mask[0]",
            "masks nothing",
        ),
        (
            ("masked_password_file = ", "masked_password_fil = "),
            "masked_password_file",
            "password of `masked_user`",
        ),
        (
            ("masked_user = ", "masked_role = \"x\"\nmasked_user = "),
            "isolation.lab.masked_role",
            "use `masked_user`",
        ),
        (
            (
                "setting = \"app.tenant\"",
                "setting = \"app.tenant\"\nmasked_schema = \"{id}\"",
            ),
            "isolation.lab.masked_schema",
            "kind = \"schema\" alone",
        ),
    ] {
        assert_one(&lab, change, key, reason);
    }
    let role = format!("masked_user = {:?}", lab.role);
    let long = format!("masked_user = {:?}", "x".repeat(60));
    assert_one(
        &lab,
        (&role, &long),
        "isolation.lab.masked_user",
        "too long",
    );
    let same = "masked_user = \"wellness_app\"";
    assert_one(
        &lab,
        (&role, same),
        "isolation.lab.masked_user",
        "role of their own",
    );
}

#[test]
fn a_masked_profile_needs_a_masked_role() {
    let mut lab = lab();
    lab.masks = String::new();
    let none = problems(&lab, "", "");
    assert!(
        none.iter()
            .any(|line| line.contains("isolation.lab") && line.contains("no [[mask]]")),
        "{none:#?}"
    );
    let text = lab.configuration();
    let lines = text.lines().filter(|line| !line.starts_with("masked_"));
    let text: Vec<_> = lines.collect();
    let path = lab.write("none.toml", &text.join("\n"));
    let found = config::load(&path).unwrap_err().to_string();
    assert!(found.contains("profiles.bi.masked"), "{found}");
    // Of two isolations one has masked logins, and a login of the other asks for it.
    let lab = self::lab();
    let other = "[isolation.other]\nkind = \"setting\"\nserver = \"main\"\ndatabase = \"other\"\nsetting = \"app.o\"\n[profiles.bi]";
    let text = lab.configuration().replacen("[profiles.bi]", other, 1);
    let text = text.replace("id = \"a\"\n", "id = \"a\"\nisolation = \"lab\"\n");
    let text = text.replace("id = \"b\"\n", "id = \"b\"\nisolation = \"other\"\n");
    let path = lab.write("two.toml", &text);
    let found = config::load(&path).unwrap_err().to_string();
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(
        found.contains("logins[3]") && found.contains("[isolation.other] has no `masked_user`"),
        "{found}"
    );
}

/// Tokens and certificates name a profile beside their login's.
#[test]
fn a_profile_that_a_credential_names_masks_too() {
    let settings = config::load(&lab().config()).unwrap();
    let directory = &settings.directory;
    let principal = |login: &str| directory.find(login).unwrap().principal.clone();
    let profile = settings.profiles.values().next().cloned();
    let app = principal("app_a");
    assert!(!app.tenant.placement.masked && principal("bi_a").tenant.placement.masked);
    let named = directory.with_profile(app, profile.clone()).unwrap();
    assert!(Arc::ptr_eq(&named.tenant, &principal("bi_a").tenant));
    // One that its own login masks is not led out of it.
    let named = directory.with_profile(principal("bi_a"), None).unwrap();
    assert!(named.tenant.placement.masked);
    // Where there is no masked role, there is no way in.
    let mut bare = pgtenant::directory::Directory::new();
    let mut tenant = (*principal("app_b").tenant).clone();
    tenant.masked = None;
    bare.insert_tenant(Arc::new(tenant.clone()));
    let mut bare_principal = principal("app_b");
    bare_principal.tenant = Arc::new(tenant);
    assert!(bare.with_profile(bare_principal, profile).is_err());
}
