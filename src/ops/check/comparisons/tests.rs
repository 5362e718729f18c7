//! Conditions, and what is read from them.

use super::*;

fn reading() -> Reading {
    Reading {
        setting: "app.tenant".to_owned(),
        functions: ["uid", "my_teams"].map(str::to_owned).into(),
        sets: ["my_teams".to_owned()].into(),
    }
}

fn columns(condition: &str) -> Vec<String> {
    let found = read(condition, "objects", &reading()).comparisons;
    found
        .into_iter()
        .map(|comparison| comparison.column)
        .collect()
}

#[test]
fn only_what_is_compared_with_the_tenant_is_a_tenant_column() {
    for (condition, expected) in [
        (
            "((bucket_id = 'a'::text) AND (uid() = owner))",
            vec!["owner"],
        ),
        (
            "((uid() = owner) AND (bucket_id = 'a'::text))",
            vec!["owner"],
        ),
        (
            "((bucket_id = 'a'::text) AND ((storage.foldername(name))[1] = (uid())::text))",
            vec![],
        ),
        (
            "((bucket_id = 'a'::text) AND (owner IN ( SELECT uid() AS uid)))",
            vec!["owner"],
        ),
        (
            "(bucket_id IN ( SELECT buckets.id\n   FROM buckets\n  WHERE buckets.public))",
            vec![],
        ),
        (
            "(team_id IN ( SELECT my_teams() AS my_teams))",
            vec!["team_id"],
        ),
        (
            "(EXISTS ( SELECT 1\n   FROM members m\n  WHERE ((m.team_id = objects.team_id) AND (m.user_id = uid()))))",
            vec!["team_id"],
        ),
        (
            "((tenant_id)::uuid = (current_setting('app.tenant'::text))::uuid)",
            vec!["tenant_id"],
        ),
        ("(tenant_id = 7)", vec![]),
        ("not a condition (", vec![]),
    ] {
        assert_eq!(columns(condition), expected, "{condition}");
    }
}

#[test]
fn the_parts_of_a_comparison_are_told_apart() {
    let condition = "((tenant_id)::uuid = (current_setting('app.tenant'::text, true))::uuid)";
    let found = read(condition, "objects", &reading());
    assert_eq!(
        found.comparisons,
        [Comparison {
            column: "tenant_id".to_owned(),
            direct: true,
            bare: true,
            expression: Some("(tenant_id)::uuid".to_owned()),
            reading: Some("(current_setting('app.tenant'::text, true))::uuid".to_owned()),
            whole: Some(
                "(tenant_id)::uuid = (current_setting('app.tenant'::text, true))::uuid".to_owned()
            ),
        }]
    );
    let through = read(
        "(team_id IN ( SELECT my_teams() AS my_teams))",
        "objects",
        &reading(),
    );
    assert!(!through.comparisons[0].direct && !through.comparisons[0].bare);
}

#[test]
fn casts_with_a_length_cut_the_tenants_id() {
    let cut = |condition| read(condition, "objects", &reading()).cut_to;
    let condition =
        "((tenant_id)::text = ((current_setting('app.tenant'::text))::character varying(4))::text)";
    assert_eq!(cut(condition), Some(4));
    let condition = "(tenant_id = \"left\"(current_setting('app.tenant'::text), 4))";
    assert_eq!(cut(condition), Some(0));
    let condition = "(((note)::character varying(4))::text = 'x'::text)";
    assert_eq!(cut(condition), None);
    let condition =
        "((tenant_id)::text = ((current_setting('app.tenant'::text))::character varying)::text)";
    assert_eq!(cut(condition), None);
    let condition = "(tenant_id = (current_setting('app.tenant'::text))::character(3))";
    assert_eq!(cut(condition), Some(3));
}
