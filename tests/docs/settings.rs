//! The configurations that pages show load: the proxy knows each key and takes its value.
//! A part of one gets around it what it leaves out.

use super::blocks::{blocks, prose};
use super::pages;
use pgtenant::config::{Problems, Settings, load_with};
use pgtenant::directory::Verifier;
use pgtenant::throwaway::Authority;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use testkit::{INNOVATE, SYNERGY, write_private};

/// Names of secrets in files, for what each is.
const SECRETS: [&str; 6] = [
    "admin-token",
    "audit.key",
    "peers.key",
    "role.key",
    "seal.key",
    "wellness_app.password",
];
const AUTHORITIES: [&str; 3] = ["server-ca.crt", "db-ca.crt", "clients-ca.crt"];
const ENVIRONMENT: [&str; 2] = ["WELLNESS_APP_PASSWORD", "TENANT_DIRECTORY_PASSWORD"];

/// The files that the pages name.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| write_private(&folder.path().join(name), text);
    let authority = Authority::new("docs").unwrap();
    let server = authority.server(&["localhost"]).unwrap();
    put("server.crt", &server.certificate_pem);
    put("server.key", &server.key_pem);
    for name in AUTHORITIES {
        put(name, &authority.certificate_pem());
    }
    for name in SECRETS {
        put(name, &"k".repeat(64));
    }
    put("clients.crl", &revocations());
    folder
}

/// A list of revoked certificates.
fn revocations() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new([]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2039, 1, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&rcgen::Issuer::new(authority, key));
    list.unwrap().pem().unwrap()
}

/// A section, and its lines.
struct Section {
    header: String,
    lines: Vec<String>,
}

impl Section {
    fn new(header: &str, lines: &[&str]) -> Self {
        Self {
            header: header.to_owned(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    fn has(&self, key: &str) -> bool {
        let named = |line: &String| line.split(" = ").next() == Some(key);
        self.lines.iter().any(named)
    }

    fn begins(&self, name: &str) -> bool {
        self.header.trim_start_matches('[').starts_with(name)
    }

    /// Adds a key, unless it, or what stands in its place, is there.
    fn complete(&mut self, instead: &[&str], line: &str) {
        let key = line.split(" = ").next().unwrap();
        if !instead.iter().chain([&key]).any(|key| self.has(key)) {
            self.lines.push(line.to_owned());
        }
    }

    fn complete_as_shown(&mut self) {
        let of_a_server = self.begins("servers.");
        let socket = self.lines.iter().any(|line| line.starts_with("host = \"/"));
        if of_a_server {
            self.complete(&["hosts"], "host = \"db.example.com\"");
            self.complete(&[], "user = \"wellness_app\"");
            self.complete(
                &["password_env"],
                "password_file = \"wellness_app.password\"",
            );
        }
        if of_a_server && !socket {
            self.complete(&["tls"], "ca = \"server-ca.crt\"");
        }
        if self.header == "[tls]" {
            self.complete(&[], "certificate = \"server.crt\"");
            self.complete(&[], "key = \"server.key\"");
        }
        if self.header == "[[tenants]]" {
            self.complete(&[], "isolation = \"platform\"");
        }
    }
}

/// The sections of a block, without what stands for anything (`…`).
fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines().map(|line| line.split(" #").next().unwrap()) {
        let line = line.trim();
        if line.starts_with('[') {
            sections.push(Section::new(line, &[]));
        } else if !line.is_empty() && !line.starts_with(['#', '…']) {
            let section = sections.last_mut();
            let section = section.unwrap_or_else(|| panic!("{line:?} stands in no section"));
            section.lines.push(line.to_owned());
        }
    }
    sections
}

/// The whole configuration that a block is a part of.
fn whole(text: &str) -> String {
    let mut all = sections(text);
    for header in ["[tls]", "[servers.main]"] {
        if !all.iter().any(|section| section.header == header) {
            all.push(Section::new(header, &[]));
        }
    }
    let isolation = |header: &str| {
        let lines = [
            "kind = \"setting\"",
            "server = \"main\"",
            "database = \"wellness_corp_db\"",
            "setting = \"session.current_organization_id\"",
        ];
        Section::new(header, &lines)
    };
    let own: Vec<_> = all.iter().filter(|s| s.begins("isolation.")).collect();
    let pools: Vec<_> = own
        .iter()
        .filter_map(|section| Some(format!("{}]", section.header.strip_suffix(".pool]")?)))
        .collect();
    let alone = own.is_empty();
    let missing = |header: &String| all.iter().all(|section| section.header != *header);
    let missing: Vec<_> = pools.into_iter().filter(missing).collect();
    // A section stands before its `.pool`.
    for header in missing {
        all.insert(0, isolation(&header));
    }
    if alone {
        all.push(isolation("[isolation.platform]"));
    }
    if alone && !all.iter().any(|section| section.header == "[[tenants]]") {
        for id in [INNOVATE, SYNERGY] {
            all.push(Section::new("[[tenants]]", &[&format!("id = \"{id}\"")]));
        }
    }
    let mut text = String::new();
    for mut section in all {
        section.complete_as_shown();
        text += &format!("{}\n{}\n", section.header, section.lines.join("\n"));
    }
    text
}

fn load(folder: &Path, block: &str) -> Result<Settings, Problems> {
    let verifier = Verifier::derive("a password");
    let text = whole(block)
        .replace("SCRAM-SHA-256$…", &verifier)
        .replace("/etc/pgtenant/", "")
        .replace("/var/log/pgtenant/", "");
    let file = folder.join("pgtenant.toml");
    fs::write(&file, text).unwrap();
    let variables = ENVIRONMENT.map(|name| (OsString::from(name), OsString::from("x")));
    load_with(&file, variables)
}

#[test]
fn every_configuration_that_is_shown_loads() {
    let folder = folder();
    let mut loaded = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text).iter().filter(|b| b.language == "toml") {
            if let Err(problems) = load(folder.path(), &block.text) {
                panic!("{}:{}: {problems}", page.display(), block.line);
            }
            loaded += 1;
        }
    }
    assert!(loaded > 15, "{loaded}");
}

#[test]
fn a_key_that_does_not_exist_is_found() {
    let folder = folder();
    for wrong in [
        "[listen]\nadress = \"127.0.0.1:6432\"",
        "[pool]\nsize = \"many\"",
        "[isolation.reports.pool]\nsizes = 4",
    ] {
        assert!(load(folder.path(), wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_configuration_stands_between_fences() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let header = |line: &&str| {
            let name = line.trim_start().trim_start_matches('[');
            line.starts_with("   ")
                && line.trim_start().starts_with('[')
                && line.trim_end().ends_with(']')
                && name.starts_with(|c: char| c.is_ascii_lowercase())
        };
        let found = prose(&text).find(header);
        assert!(found.is_none(), "{}: {found:?}", page.display());
    }
}
