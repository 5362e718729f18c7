//! What the demo tells the person who started it.

use super::Ports;
use super::site::Site;
use pgtenant::throwaway::wellness::{Layout, SETTING};
use std::fmt::Write as _;

/// Connection strings, and three things to try.
pub(super) fn welcome(site: &Site, ports: Ports) -> String {
    let mut text = String::from(
        "\nThe proxy is ready. Six companies use one platform, each with its own login;\n\
         which rows a login reaches is decided by the proxy. Paste into another terminal:\n",
    );
    for tenant in &site.tenants {
        let layout = match tenant.company.layout {
            Layout::Setting => "shared tables with row-level security",
            Layout::Schema(_) => "a schema of its own",
            Layout::Database(_) => "a database of its own",
        };
        let _ = write!(
            text,
            "\n  {} ({layout})\n  {}\n",
            tenant.company.name,
            psql(&tenant.url(site, ports.clients))
        );
    }
    push_experiments(&mut text, site);
    let name = site
        .tenants
        .iter()
        .find(|one| one.company.id == site.analyst.tenant);
    let _ = write!(
        text,
        "\nA login for analytics of {}, which sees masked data alone: try\n\
         \x20    SELECT u.email, sum(e.value) FROM users u\n\
         \x20    JOIN wellness_entries e ON e.user_id = u.id GROUP BY 1;\n  {}\n",
        name.map_or("a company", |one| one.company.name),
        psql(&site.analyst.url(site, ports.clients)),
    );
    let _ = write!(
        text,
        "\nTo look at all of them, in a browser: user admin, password {}\n  http://127.0.0.1:{}/\n\
         \nThe configuration of this proxy, with comments:\n  {}\n\
         PostgreSQL itself, past the proxy, as superuser:\n  {}\n\n\
         Ctrl-C stops everything{}.",
        site.admin.password,
        ports.page,
        site.config_file().display(),
        psql(&site.cluster.superuser_url("postgres")),
        if site.kept { "" } else { " and removes it" },
    );
    text
}

fn push_experiments(text: &mut String, site: &Site) {
    let mut shared = site
        .tenants
        .iter()
        .filter(|tenant| tenant.company.layout == Layout::Setting);
    let (Some(one), Some(other)) = (shared.next(), shared.next()) else {
        return;
    };
    let (name, other_name) = (one.company.name, other.company.name);
    let other_id = other.company.id;
    let _ = write!(
        text,
        "\nThree things to try:\n\n\
         1. As {name}, without a WHERE and without setting anything:\n\
         \x20    SELECT organization_id, entry_type, value FROM wellness_entries;\n\
         \x20  You get the rows of {name} alone.\n\n\
         2. As {name}, try to become another tenant:\n\
         \x20    SET {SETTING} = '{other_id}';\n\
         \x20  It is refused with an error, which is logged here, and the connection goes on.\n\n\
         3. As {other_name}, the query of 1 again:\n\
         \x20  You get other rows, from the same table and the same pool of connections.\n"
    );
}

/// What is said when all has stopped.
pub(super) fn farewell(site: &Site) -> String {
    if !site.kept {
        return "\nStopped; everything is removed.".to_owned();
    }
    format!(
        "\nStopped. To start it again from what was kept (PostgreSQL not as root, but as the \
         owner of the data):\n  {}/pg_ctl -D {} -o '-p {}' start\n  pgtenant run --config {}",
        site.cluster.bin_dir().display(),
        site.cluster.data_dir().display(),
        site.cluster.port(),
        site.config_file().display(),
    )
}

fn psql(url: &str) -> String {
    format!("psql '{url}'")
}
