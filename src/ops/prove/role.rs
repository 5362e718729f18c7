//! What the role of server connections may do.

use super::report::{Outcome, Test};
use super::scene::{Kind, Scene, Side};

/// Asks the catalog about the roles that the logins' statements run as.
pub(super) async fn roles(scene: &Scene, tests: &mut Vec<Test>) {
    role(&scene.own, scene.kind, false, tests).await;
    if scene.own.place.user != scene.other.place.user {
        role(&scene.other, scene.kind, true, tests).await;
    }
}

async fn role(side: &Side, kind: Kind, is_second: bool, tests: &mut Vec<Test>) {
    let answer = match side.login.open().await {
        Ok(mut session) => {
            let answer = session.query(include_str!("sql/role.sql")).await;
            session.close().await;
            match (&answer.failed, answer.rows.first()) {
                (None, Some(row)) => Ok(row.clone()),
                (Some(failed), _) => Err(failed.to_string()),
                (None, None) => Err("the catalog does not list the role".to_owned()),
            }
        }
        Err(error) => Err(format!("cannot log in: {error}")),
    };
    let role = &side.place.user;
    let says = |at: usize| -> Result<String, String> {
        let row = answer.as_ref().map_err(Clone::clone)?;
        Ok(row.get(at).cloned().flatten().unwrap_or_default())
    };
    let with_policies = kind == Kind::Setting;
    let mut add = |id: &str,
                   what: &str,
                   applies: bool,
                   said: Result<String, String>,
                   is_bad: &dyn Fn(&str) -> bool,
                   bad: &str| {
        let id = match is_second {
            false => id.to_owned(),
            true => format!("{id}:{role}"),
        };
        let outcome = match said {
            _ if !applies => Outcome::NotApplicable(
                "the tenants are not kept apart by row-level security".to_owned(),
            ),
            Err(why) => Outcome::NotTested(why),
            Ok(said) if is_bad(&said) => Outcome::Broken(
                format!("role {role} {bad}{said}")
                    .trim_end_matches("true")
                    .to_owned(),
            ),
            Ok(_) => Outcome::Held(format!("role {role} is not so")),
        };
        tests.push(Test {
            id,
            promise: "P12",
            what: what.to_owned(),
            outcome,
        });
    };
    let is_true = |said: &str| said == "true";
    let is_any = |said: &str| !said.is_empty();
    add(
        "role-superuser",
        "whether the role is a superuser",
        true,
        says(0),
        &is_true,
        "is a superuser",
    );
    add(
        "role-bypassrls",
        "whether the role has BYPASSRLS",
        with_policies,
        says(1),
        &is_true,
        "has BYPASSRLS",
    );
    add(
        "role-owner",
        "whether the role owns tables that do not force row-level security",
        with_policies,
        says(2),
        &is_any,
        "has the rights of the owner of ",
    );
    add(
        "role-member",
        "whether the role may become one that is not bound",
        true,
        says(3),
        &is_any,
        "may become ",
    );
    add(
        "role-createrole",
        "whether the role may make roles",
        true,
        says(4),
        &is_true,
        "may make roles (CREATEROLE)",
    );
}
