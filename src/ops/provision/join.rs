//! The trigger that makes a company's schema when the company joins.

use super::error::refuse;
use super::printed::STATEMENTS;
use super::schema::{begin, report};
use super::script::Script;
use super::{Mode, ProvisionError, Report, Site, copy, ledger};
use crate::config::Naming;
use crate::tenant::IsolationName;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

/// The table of companies, and what joins it.
#[derive(Debug, Clone)]
pub struct Joining {
    /// The isolation of the companies, of kind `schema`.
    pub isolation: IsolationName,
    /// The table, as SQL writes it: `public.companies`.
    pub table: String,
    /// Its column with the schema's name.
    pub column: String,
}

const FUNCTION: &str = include_str!("sql/join.sql");

/// The function that prints a schema, as [`super::printed::print`] does.
const PRINT: &str = include_str!("sql/print.sql");

/// Puts the trigger on the table, or brings it up to date.
///
/// # Errors
/// When the isolation, the table or the template cannot be used, or a statement
/// fails. Nothing is changed then.
pub async fn install(
    site: Site<'_>,
    joining: &Joining,
    mode: Mode,
) -> Result<Report, ProvisionError> {
    let isolation = site.settings.isolations.get(&joining.isolation);
    let Some((isolation, naming)) = isolation.and_then(|one| Some((one, one.naming.as_ref()?)))
    else {
        return refuse(format!(
            "isolation \"{}\" is not of kind \"schema\": the trigger makes schemas",
            joining.isolation
        ));
    };
    let Some(template) = &site.template.schema else {
        return refuse("the trigger copies a schema: name it with --template schema:NAME");
    };
    let Some(server) = site.settings.servers.get(&isolation.server) else {
        return refuse("the isolation's server is not configured");
    };
    let arguments = arguments(naming, &server.user, template, &joining.column)?;
    let database = site.url.connect_to(&naming.database).await?;
    let client = &database.client;
    begin(client).await?;
    // A template that cannot be copied is told now, not to the first company.
    let original = copy::read(client, template).await?;
    original.verify_trial(client).await?;
    let table = table(client, joining).await?;
    let mut script = Script::default();
    ledger::prepare(client, &mut script).await?;
    functions(client, &mut script).await?;
    trigger(client, &table, &arguments, &mut script).await?;
    let mut done = Vec::new();
    if !script.is_empty() {
        // Of an earlier release.
        let sql = "DROP FUNCTION IF EXISTS pgtenant_provision.template_statements(text)";
        script.push("removing what is not used any more", sql);
        done.push(format!("installed the trigger on {}", table.name));
        if mode == Mode::Run {
            script.run(client).await?;
            client.batch_execute("COMMIT").await?;
        }
    }
    Ok(report(&[&script], done))
}

/// The trigger's arguments; `join.sql` says what they are.
fn arguments(
    naming: &Naming,
    user: &str,
    template: &str,
    column: &str,
) -> Result<Vec<String>, ProvisionError> {
    let mut arguments = vec![template.to_owned(), column.to_owned()];
    let Some(role) = &naming.role else {
        arguments.extend(["user".to_owned(), user.to_owned()]);
        return Ok(arguments);
    };
    let parts = role.split_once(&*naming.schema);
    match parts {
        Some((before, behind)) if !before.contains('{') && !behind.contains('{') => {
            arguments.extend(["role", before, behind].map(str::to_owned));
            Ok(arguments)
        }
        _ => refuse(format!(
            "the trigger knows the name of the company's schema alone, and cannot make \"{role}\" \
             of it: let `role` be `{}` with something before or behind it",
            naming.schema
        )),
    }
}

struct Table {
    oid: u32,
    /// As SQL writes it.
    name: String,
}

async fn table(client: &Client, joining: &Joining) -> Result<Table, ProvisionError> {
    let sql = "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname),
            c.relkind IN ('r', 'p'),
            EXISTS (SELECT FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attname = $2::text AND a.attnum > 0
                      AND a.atttypid IN ('text'::pg_catalog.regtype,
                          'varchar'::pg_catalog.regtype, 'name'::pg_catalog.regtype))
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = pg_catalog.to_regclass($1::text)";
    let row = client
        .query_opt(sql, &[&joining.table, &joining.column])
        .await?;
    let Some(row) = row else {
        return refuse(format!(
            "there is no table {}: write it with its schema, such as public.companies",
            joining.table
        ));
    };
    let name: String = row.try_get(1)?;
    if !row.try_get::<_, bool>(2)? {
        return refuse(format!("{name} is not a table"));
    }
    if !row.try_get::<_, bool>(3)? {
        return refuse(format!(
            "table {name} has no column \"{}\" of type text, varchar or name",
            joining.column
        ));
    }
    Ok(Table {
        oid: row.try_get(0)?,
        name,
    })
}

/// Adds the functions that are missing or differ.
async fn functions(client: &Client, script: &mut Script) -> Result<(), ProvisionError> {
    let wrapped = |signature: &str, returns: &str, body: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION pgtenant_provision.{signature} RETURNS {returns} LANGUAGE sql \
             STABLE AS $function${body}$function$"
        )
    };
    let functions = [
        (
            "template_trust",
            "text",
            wrapped("template_trust(text)", "SETOF text", copy::TRUST),
        ),
        (
            "schema_statements",
            "text, text",
            wrapped(
                "schema_statements(text, text)",
                "TABLE (sql text, frame text, refusal text, need text, place bigint)",
                STATEMENTS,
            ),
        ),
        ("print_schema", "text, text", PRINT.to_owned()),
        ("join_tenant", "", FUNCTION.to_owned()),
    ];
    for (name, signature, definition) in functions {
        let sql = "SELECT p.prosrc FROM pg_catalog.pg_proc p
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
            WHERE n.nspname = 'pgtenant_provision' AND p.proname = $1::text
              AND (r.rolname = current_user OR r.rolsuper)";
        let there = client.query_opt(sql, &[&name]).await?;
        let there: Option<String> = there.map(|row| row.try_get(0)).transpose()?;
        if there.is_some_and(|body| definition.contains(&format!("$function${body}$function$"))) {
            continue;
        }
        let what = format!("making function pgtenant_provision.{name}");
        script.push(&what, definition);
        let sql =
            format!("REVOKE ALL ON FUNCTION pgtenant_provision.{name}({signature}) FROM PUBLIC");
        script.push(&what, sql);
    }
    Ok(())
}

/// Adds the trigger if it is missing or differs.
async fn trigger(
    client: &Client,
    table: &Table,
    arguments: &[String],
    script: &mut Script,
) -> Result<(), ProvisionError> {
    let sql =
        "SELECT t.tgargs, t.tgenabled = 'O' AND t.tgtype = 5 AND n.nspname = 'pgtenant_provision'
            AND p.proname = 'join_tenant'
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE t.tgrelid = $1 AND t.tgname = 'pgtenant_join'";
    let what = format!("putting the trigger on {}", table.name);
    if let Some(row) = client.query_opt(sql, &[&table.oid]).await? {
        let wanted: Vec<u8> = arguments
            .iter()
            .flat_map(|argument| argument.bytes().chain([0]))
            .collect();
        if row.try_get::<_, Vec<u8>>(0)? == wanted && row.try_get(1)? {
            return Ok(());
        }
        let sql = format!("DROP TRIGGER pgtenant_join ON {}", table.name);
        script.push(&what, sql);
    }
    let list: Vec<_> = arguments.iter().map(|one| escape_literal(one)).collect();
    let sql = format!(
        "CREATE TRIGGER {} AFTER INSERT ON {} FOR EACH ROW EXECUTE FUNCTION \
         pgtenant_provision.join_tenant({})",
        escape_identifier("pgtenant_join"),
        table.name,
        list.join(", ")
    );
    script.push(&what, sql);
    Ok(())
}
