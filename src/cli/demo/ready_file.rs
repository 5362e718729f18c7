//! `--ready-file`: what a program needs to use the demo, as JSON.

use super::site::{Site, Tenant};
use super::{Failure, HOST, Ports};
use pgtenant::throwaway::random_hex;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file's text.
pub(super) fn text(site: &Site, ports: Ports) -> String {
    let tenant = |tenant: &Tenant| {
        let company = tenant.company;
        let mut object = json!({
            "id": company.id,
            "name": company.name,
            "kind": company.layout.kind(),
            "login": company.login,
            "password": tenant.password,
            "database": company.layout.database(),
            "url": tenant.url(site, ports.clients),
        });
        // A login of it that may see masked data alone.
        let analyst = &site.analyst;
        if analyst.tenant == company.id
            && let Some(object) = object.as_object_mut()
        {
            let masked = json!({
                "login": analyst.login,
                "password": analyst.password,
                "url": analyst.url(site, ports.clients),
            });
            object.insert("masked".to_owned(), masked);
        }
        object
    };
    let ready = json!({
        "proxy": {
            "host": HOST,
            "port": ports.clients,
            "ca_file": site.ca_file().to_string_lossy(),
            "config_file": site.config_file().to_string_lossy(),
        },
        "postgres": {
            "host": "127.0.0.1",
            "port": site.cluster.port(),
            "superuser_url": site.cluster.superuser_url("postgres"),
        },
        "admin": {
            "url": format!("http://127.0.0.1:{}/", ports.page),
            "user": "admin",
            "password": site.admin.password,
        },
        "tenants": site.tenants.iter().map(tenant).collect::<Vec<Value>>(),
    });
    format!("{ready:#}\n")
}

/// Writes the file, readable by its owner only. It is there as a whole or not at
/// all: it is written under another name and renamed.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", random_hex(4).map_err(Failure::run)?));
    let unfinished = Path::new(&name);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .and_then(|mut handle| handle.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(unfinished, file))
        .map_err(|error| {
            let _ = fs::remove_file(unfinished);
            failed("write", file, &error)
        })
}

/// Removes the file of an earlier run, so that nobody takes it for this one's.
pub(super) fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", file, &error))
        }
        _ => Ok(()),
    }
}

fn failed(action: &str, file: &Path, error: &io::Error) -> Failure {
    Failure::run(format!("cannot {action} `{}`: {error}", file.display()))
}
