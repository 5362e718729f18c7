//! The configurations that pages show load: the proxy knows each key and takes its value.
//! A part of one gets around it what it leaves out.

use super::blocks::{blocks, prose};
use super::pages;
use pgtenant::config::{Problems, Settings, load_with};
use pgtenant::directory::Verifier;
use pgtenant::throwaway::Authority;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use testkit::{INNOVATE, SYNERGY, write_private};

/// What the pages call the certificates of authorities.
const AUTHORITIES: [&str; 3] = ["server-ca.crt", "db-ca.crt", "clients-ca.crt"];
const ENVIRONMENT: [&str; 2] = ["WELLNESS_APP_PASSWORD", "TENANT_DIRECTORY_PASSWORD"];

/// The files that the pages name, but for secrets.
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

    /// The values of a key, if it is a text or a list of texts.
    fn texts(&self, key: &str) -> Vec<String> {
        let value = |line: &String| Some(line.strip_prefix(key)?.strip_prefix(" = ")?.to_owned());
        let value = self.lines.iter().find_map(value).unwrap_or_default();
        let quoted = value.split('"').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    }

    /// The name of `[isolation.NAME]` and its kin.
    fn name(&self) -> &str {
        let name = self.header.split_once('.').map_or("", |(_, name)| name);
        name.trim_end_matches(']')
    }

    /// Adds what must be in the section and is left out, for tenants of `isolation`.
    fn complete_as_shown(&mut self, isolation: &str) {
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
        if of_a_server && self.name() != "main" {
            self.complete(&[], "replica_of = \"main\"");
        }
        if self.begins("isolation.") && !self.name().ends_with(".pool") && !self.has("kind") {
            self.complete(&[], "kind = \"setting\"");
            self.complete(&[], "server = \"main\"");
            self.complete(&[], "database = \"wellness_corp_db\"");
            self.complete(&[], "setting = \"session.current_organization_id\"");
        }
        if self.begins("jwt.") {
            self.complete(&[], "issuer = \"https://login.example.com\"");
            self.complete(&[], "audience = \"pgtenant\"");
            let jwks = "jwks_url = \"https://login.example.com/keys\"";
            self.complete(&["jwks_file", "key_file"], jwks);
        }
        if self.header == "[[tenants]]" {
            self.complete(&[], &format!("isolation = \"{isolation}\""));
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
fn whole(block: &str) -> Vec<Section> {
    let mut all = sections(block);
    let has = |all: &[Section], header: &str| all.iter().any(|one| one.header == header);
    let add = |all: &mut Vec<Section>, header: &str| {
        if !has(all, header) {
            // A section stands before its parts, such as its `.pool`.
            all.insert(0, Section::new(header, &[]));
        }
    };
    // What a key names is a section.
    for (key, kind) in [
        ("server", "servers"),
        ("profile", "profiles"),
        ("profiles", "profiles"),
    ] {
        let names: Vec<_> = all.iter().flat_map(|one| one.texts(key)).collect();
        for name in names {
            add(&mut all, &format!("[{kind}.{name}]"));
        }
    }
    add(&mut all, "[tls]");
    add(&mut all, "[servers.main]");
    let isolations = all.iter().filter(|one| one.begins("isolation."));
    let isolation = isolations
        .map(|one| one.name().trim_end_matches(".pool"))
        .next();
    let alone = isolation.is_none();
    let isolation = isolation.unwrap_or("platform").to_owned();
    add(&mut all, &format!("[isolation.{isolation}]"));
    let of_tenants = has(&all, "[[logins]]") || has(&all, "[[certificates]]");
    if (alone || of_tenants) && !has(&all, "[[tenants]]") {
        for id in [INNOVATE, SYNERGY] {
            all.push(Section::new("[[tenants]]", &[&format!("id = \"{id}\"")]));
        }
    }
    for section in &mut all {
        section.complete_as_shown(&isolation);
    }
    all
}

fn load(folder: &Path, block: &str) -> Result<Settings, Problems> {
    let verifier = Verifier::derive("a password");
    let block = block
        .replace("SCRAM-SHA-256$…", &verifier)
        .replace("/etc/pgtenant/", "")
        .replace("/var/log/pgtenant/", "");
    let mut text = String::new();
    for section in whole(&block) {
        let secrets = section.lines.iter().filter_map(|line| {
            let (key, name) = line.split_once(" = ")?;
            key.ends_with("_file").then(|| name.trim_matches('"'))
        });
        for secret in secrets {
            write_private(&folder.join(secret), &"k".repeat(64));
        }
        let _ = writeln!(text, "{}\n{}", section.header, section.lines.join("\n"));
    }
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
