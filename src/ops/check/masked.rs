//! What a masked login could still see as it is.

use super::catalogue::Check;
use super::catalogue::masking::{CLEAR, DEFINER, NOT_MADE, PERSONAL};
use super::finding::{Finding, Place, Report};
use crate::config::Mask;
use crate::ops::mask::Masking;
use crate::ops::sql_client::Database;
use crate::protocol::explain;
use crate::tenant::Found;
use std::collections::BTreeSet;
use tokio_postgres::Error;

/// What names of columns with personal data have in them, each as a word of the name.
const PERSONAL_WORDS: [&str; 44] = [
    "address",
    "bank",
    "birth",
    "birthdate",
    "birthday",
    "card",
    "cell",
    "comment",
    "diagnosis",
    "dob",
    "email",
    "ethnicity",
    "family",
    "fax",
    "firstname",
    "fullname",
    "gender",
    "health",
    "iban",
    "ip",
    "lastname",
    "latitude",
    "login",
    "longitude",
    "mail",
    "mobile",
    "name",
    "note",
    "notes",
    "passport",
    "password",
    "phone",
    "postcode",
    "religion",
    "salary",
    "secret",
    "sex",
    "ssn",
    "street",
    "surname",
    "tax",
    "token",
    "username",
    "zip",
];

/// Looks at the views, and at the role that may read them.
pub(super) async fn check(
    database: &Database,
    server: &str,
    masking: &Masking,
    report: &mut Report,
) {
    let place = Place::Database {
        server: server.to_owned(),
        database: database.name.clone(),
    };
    let mut looker = Looker {
        database,
        masking,
        place,
        report,
    };
    let checks = [
        (&CLEAR, looker.clear().await),
        (&NOT_MADE, looker.columns().await),
        (&DEFINER, looker.definers().await),
    ];
    for (check, looked) in checks {
        if let Err(error) = looked {
            let reason = format!("{} could not be checked: {}", check.id, explain(&error));
            looker.report.failures.push((looker.place.clone(), reason));
        }
    }
}

struct Looker<'a> {
    database: &'a Database,
    masking: &'a Masking,
    place: Place,
    report: &'a mut Report,
}

impl Looker<'_> {
    fn add(&mut self, check: &'static Check, object: String, detail: String, fix: Option<String>) {
        self.report.findings.push(Finding {
            check,
            place: self.place.clone(),
            object,
            detail: Some(detail),
            fix,
        });
    }

    async fn clear(&mut self) -> Result<(), Error> {
        let query = Found::clear_query("$1::text");
        let rows = self
            .database
            .client
            .query(&query, &[&&*self.masking.role])
            .await?;
        for row in rows {
            let object = format!("masked role {}", self.masking.role);
            self.add(&CLEAR, object, row.try_get(0)?, None);
        }
        Ok(())
    }

    async fn columns(&mut self) -> Result<(), Error> {
        let owner = self.masking.owner();
        let sql = include_str!("sql/masked_columns.sql");
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&&*self.masking.schema, &owner];
        let (mut clear, mut shown) = (BTreeSet::new(), BTreeSet::new());
        for row in self.database.client.query(sql, &values).await? {
            let column: (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if row.try_get(2)? {
                clear.insert(column.clone());
            }
            shown.insert(column);
        }
        for mask in &self.masking.masks {
            let column = (mask.table.clone(), mask.column.clone());
            let why = match (shown.contains(&column), clear.contains(&column)) {
                (false, _) => "there is no masked view with this column",
                (true, true) => "the masked view shows the column as it is",
                (true, false) => continue,
            };
            let object = format!("mask {mask}");
            let fix = "-- run: pgtenant mask --config FILE --apply URL".to_owned();
            self.add(&NOT_MADE, object, why.to_owned(), Some(fix));
        }
        let is_masked = |table: &str, column: &str| {
            let is = |mask: &Mask| mask.table == table && mask.column == column;
            self.masking.masks.iter().any(is)
        };
        let open = clear
            .iter()
            .filter(|(table, column)| !is_masked(table, column));
        let personal: Vec<_> = open
            .filter(|(_, column)| is_personal(column))
            .cloned()
            .collect();
        for (table, column) in personal {
            let object = format!("column {}.{table}.{column}", self.masking.schema);
            let detail = format!("masked logins of {} see it", self.masking.what);
            let fix = format!("# [[mask]] table = {table:?}, column = {column:?}, with = \"null\"");
            self.add(&PERSONAL, object, detail, Some(fix));
        }
        Ok(())
    }

    async fn definers(&mut self) -> Result<(), Error> {
        let role = self.masking.role.clone();
        let sql = include_str!("sql/masked_definer.sql");
        for row in self.database.client.query(sql, &[&&*role]).await? {
            let (function, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let fix = format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;");
            let detail = format!("it runs as {owner}, and role {role} may call it");
            self.add(&DEFINER, format!("function {function}"), detail, Some(fix));
        }
        Ok(())
    }
}

/// Whether the name is one that personal data usually has: `home_address`, `ipAddress`.
fn is_personal(column: &str) -> bool {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in column.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    let is = |word: &str| PERSONAL_WORDS.binary_search(&word).is_ok();
    words.iter().any(|word| is(word))
}

#[cfg(test)]
mod tests {
    use super::{PERSONAL_WORDS, is_personal};

    #[test]
    fn names_of_personal_data_are_told_from_others() {
        assert!(PERSONAL_WORDS.is_sorted());
        for name in [
            "email",
            "home_address",
            "ipAddress",
            "firstName",
            "last_ip",
            "Date of Birth",
        ] {
            assert!(is_personal(name), "{name}");
        }
        for name in [
            "id",
            "created_at",
            "value",
            "entry_type",
            "shipped",
            "renamed_at",
        ] {
            assert!(!is_personal(name), "{name}");
        }
    }
}
