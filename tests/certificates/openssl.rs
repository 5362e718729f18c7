//! Certificate authorities as people make them: with `openssl ca`.

#![allow(unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// An authority and what it has issued.
pub struct Authority {
    folder: TempDir,
    /// The number of the next file. `openssl ca` keeps a database in a file:
    /// one at a time.
    next: Mutex<usize>,
}

/// What a certificate is to be.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The common name, where `subject` says nothing else.
    pub name: &'a str,
    /// `/CN=…`
    pub subject: &'a str,
    /// `URI:…`, `DNS:…`, `email:…`, separated by commas; or nothing.
    pub names: &'a str,
    /// `clientAuth`, `serverAuth`, or nothing.
    pub usage: &'a str,
    /// From when to when, as `YYYYMMDDHHMMSSZ`.
    pub valid: (&'a str, &'a str),
    /// More lines of extensions.
    pub more: &'a str,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

pub const ALWAYS: (&str, &str) = ("20200101000000Z", "20400101000000Z");

impl Wish<'_> {
    /// A client of this common name.
    pub fn client(name: &str) -> Wish<'_> {
        Wish {
            name,
            subject: "",
            names: "",
            usage: "clientAuth",
            valid: ALWAYS,
            more: "",
        }
    }
}

impl Authority {
    /// A root of this name.
    pub fn root(name: &str) -> Self {
        let authority = Self::empty();
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            "3650",
            "-config",
            "ca.cnf",
            "-extensions",
            "authority",
            "-subj",
            &format!("/CN={name}"),
        ]);
        authority
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let below = Self::empty();
        let issued = self.issue(&Wish {
            usage: "",
            more: "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n",
            ..Wish::client(name)
        });
        fs::copy(issued.certificate, below.file("ca.crt")).unwrap();
        fs::copy(issued.key, below.file("ca.key")).unwrap();
        below
    }

    fn empty() -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
            next: Mutex::new(0),
        };
        authority.write("index.txt", "");
        authority.write("index.txt.attr", "unique_subject = no\n");
        authority.write("serial", "1000\n");
        authority.write("crlnumber", "1000\n");
        authority.write("ca.cnf", CONFIG);
        authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// Issues a certificate.
    pub fn issue(&self, wish: &Wish<'_>) -> Issued {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let own = format!("/CN={}", wish.name);
        let name = format!("client-{next}");
        let subject = if wish.subject.is_empty() {
            &own
        } else {
            wish.subject
        };
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &request,
            "-config",
            "ca.cnf",
            "-subj",
            subject,
        ]);
        let line = |key: &str, value: &str| match value {
            "" => String::new(),
            value => format!("{key} = {value}\n"),
        };
        let extensions =
            line("subjectAltName", wish.names) + &line("extendedKeyUsage", wish.usage) + wish.more;
        self.write(
            "extensions.cnf",
            &format!("[default]\nnsComment = test\n{extensions}"),
        );
        let certificate = format!("{name}.crt");
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "ca.cnf",
            "-in",
            &request,
            "-out",
            &certificate,
            "-startdate",
            wish.valid.0,
            "-enddate",
            wish.valid.1,
            "-extfile",
            "extensions.cnf",
        ]);
        Issued {
            certificate: self.file(&certificate),
            key: self.file(&key),
        }
    }

    /// Revokes a certificate; the next list has it.
    pub fn revoke(&self, issued: &Issued) {
        let _busy = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let path = issued.certificate.to_str().unwrap();
        self.openssl(&["ca", "-config", "ca.cnf", "-revoke", path]);
    }

    /// Its list of revoked certificates, valid from and to.
    pub fn revocation_list(&self, name: &str, (from, to): (&str, &str)) -> PathBuf {
        let _busy = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.openssl(&[
            "ca",
            "-config",
            "ca.cnf",
            "-gencrl",
            "-out",
            name,
            "-crl_lastupdate",
            from,
            "-crl_nextupdate",
            to,
        ]);
        self.file(name)
    }

    /// A certificate that nobody but its own key has signed.
    pub fn self_signed(&self, name: &str) -> Issued {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        self.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            "3650",
            "-config",
            "ca.cnf",
            "-extensions",
            "client",
            "-subj",
            &format!("/CN={name}"),
        ]);
        Issued {
            certificate: self.file(&certificate),
            key: self.file(&key),
        }
    }

    /// A key, and a request of this name, in files.
    fn request(&self, file: &str, name: &str) {
        let (key, request) = (format!("{file}.key"), format!("{file}.csr"));
        let subject = format!("/CN={name}");
        let made = ["req", "-new", "-nodes", "-keyout", &key, "-out", &request];
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        self.openssl(&[&made[..], &ec, &["-config", "ca.cnf", "-subj", &subject]].concat());
    }

    /// Issues a certificate as PostgreSQL's manual does, by `openssl x509 -req`: of
    /// version 1.
    pub fn issue_version_1(&self, file: &str, name: &str, days: &str) -> Issued {
        let (certificate, key) = (self.certificate(), self.file("ca.key"));
        self.issue_version_1_by(file, name, days, &Issued { certificate, key })
    }

    /// The same, with the certificate and key of somebody else.
    pub fn issue_version_1_by(&self, file: &str, name: &str, days: &str, by: &Issued) -> Issued {
        self.request(file, name);
        let (request, certificate) = (format!("{file}.csr"), format!("{file}.crt"));
        let (ca, key) = (by.certificate.to_str().unwrap(), by.key.to_str().unwrap());
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-days",
            days,
            "-CA",
            ca,
            "-CAkey",
            key,
            "-CAcreateserial",
            "-out",
            &certificate,
        ]);
        Issued {
            certificate: self.file(&certificate),
            key: self.file(&format!("{file}.key")),
        }
    }

    /// A self-signed certificate as PostgreSQL's manual makes it: also that of an
    /// authority.
    pub fn self_signed_with(&self, file: &str, name: &str, options: &[&str]) -> Issued {
        let (key, certificate) = (format!("{file}.key"), format!("{file}.crt"));
        let subject = format!("/CN={name}");
        let made = ["req", "-new", "-x509", "-nodes", "-text", "-subj", &subject];
        let files = ["-keyout", &key, "-out", &certificate];
        self.openssl(&[&made[..], &files, options].concat());
        Issued {
            certificate: self.file(&certificate),
            key: self.file(&key),
        }
    }

    /// Runs openssl in the authority's folder.
    pub fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
    }

    /// Writes a file into its folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The texts of several files, one after another.
pub fn joined(paths: &[&Path]) -> String {
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.collect()
}

const CONFIG: &str = "\
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
default_md = sha256
policy = any
crl_extensions = list
email_in_dn = no
[any]
commonName = optional
organizationName = optional
[list]
authorityKeyIdentifier = keyid:always
[req]
distinguished_name = name
string_mask = utf8only
utf8 = yes
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
";
