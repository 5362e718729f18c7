//! What stands for `{…}` in the attacks.

use super::scene::{Kind, Scene, Side};
use super::text::{identifier, literal};

/// Texts by their names.
pub(super) struct Filling(Vec<(&'static str, String)>);

impl Filling {
    /// For attacks with one side's login on the other side's rows, whose probe is `rows`.
    pub(super) fn new(scene: &Scene, own: &Side, other: &Side, rows: &str) -> Self {
        let mut filling = Self(Vec::new());
        filling.setting(scene.setting.as_deref().unwrap_or_default());
        let table = other.own_table();
        let qualified = table.map(|table| match scene.kind {
            Kind::Database => format!("{}.{}", identifier(&other.place.database), table.name()),
            _ => table.name(),
        });
        let qualified = qualified.unwrap_or_default();
        let schema = other.place.schema.as_str();
        let role = match own.place.user == other.place.user {
            true => &scene.superuser,
            false => &other.place.user,
        };
        let value = other.value.as_str();
        let names = [
            ("value", literal(value)),
            ("bare", value.to_owned()),
            ("rows", rows.to_owned()),
            ("database", identifier(&own.place.database)),
            ("other_database_bare", other.login.database.clone()),
            ("other_table_text", literal(&qualified)),
            ("other_table", qualified),
            ("other_schema", identifier(schema)),
            ("other_schema_text", literal(schema)),
            ("other_schema_bare", schema.to_owned()),
            ("other_role", identifier(role)),
            ("other_role_text", literal(role)),
            ("other_role_bare", role.clone()),
            ("login", own.login.user().to_owned()),
            ("other_login", other.login.user().to_owned()),
            (
                "other_value_or_schema",
                match value {
                    "" => schema.to_owned(),
                    value => value.to_owned(),
                },
            ),
        ];
        filling.0.extend(names);
        filling
    }

    /// The setting's name in its spellings.
    fn setting(&mut self, name: &str) {
        let parts: Vec<&str> = name.split('.').collect();
        let each = |spell: &dyn Fn(&str) -> String| {
            let spelt: Vec<_> = parts.iter().map(|part| spell(part)).collect();
            spelt
        };
        let unicode = |part: &str| match part.chars().next() {
            Some(first) => {
                let rest = part.get(first.len_utf8()..).unwrap_or_default();
                format!("U&\"\\{:04x}{rest}\"", u32::from(first))
            }
            None => String::new(),
        };
        let half = name.char_indices().nth(name.chars().count() / 2);
        let (head, tail) = name.split_at(half.map_or(0, |(at, _)| at));
        let first = name.chars().next().unwrap_or('a');
        let behind = name.get(first.len_utf8()..).unwrap_or_default();
        let upper = name.to_uppercase();
        self.0 = vec![
            ("setting", name.to_owned()),
            ("name", literal(name)),
            ("quoted", each(&|part| identifier(part)).join(".")),
            (
                "upper",
                each(&|part| identifier(&part.to_uppercase())).join("."),
            ),
            ("upper_bare", upper),
            ("one", identifier(name)),
            ("unicode", each(&unicode).join(".")),
            ("commented", parts.join("/* a */./* /* b */ */")),
            ("reversed", literal(&name.chars().rev().collect::<String>())),
            ("dashed", name.replace('_', "-")),
            ("head", literal(head)),
            ("tail", literal(tail)),
            ("first", u32::from(first).to_string()),
            ("behind", literal(behind)),
        ];
    }

    /// The text with what it names. Values are not looked into again.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let named = behind.split_once('}').and_then(|(name, after)| {
                let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
                Some((value, after))
            });
            match named {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = behind;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}
