//! `pgtenant audit`

use super::{Failure, print};
use clap::{Args, Subcommand};
use pgtenant::audit::{
    Checkpoint, ExportVerifier, Finding, NewKey, Record, Signed, Tree, Unreadable, Verifier,
    VerifyingKey, checkpoint_path, checkpoints, follow, in_order, is_of, lines, write_head,
    write_record,
};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Findings that are shown; more are counted.
const MOST_SHOWN: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Find tampering with an audit log
    ///
    /// Reads the files of a log, in any order, and reports the file and line of changed,
    /// removed, inserted and moved records, and missing or truncated files. Also reads
    /// an export of `pgtenant audit export`. The exit code is 1 if it finds anything.
    Verify(Verify),
    /// Write one tenant's records, with proofs that they are part of the log
    ///
    /// `pgtenant audit verify` checks the output without the log.
    Export(Export),
    /// Make a key for `audit.key_file`
    Key(Key),
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The key that checkpoints are signed with: the public key, or the HMAC key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with checkpoints of the log that were kept elsewhere, one a line
    ///
    /// The file FILE.checkpoint beside a log is always read.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The files of the log
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The tenant's id
    #[arg(long, value_name = "ID")]
    tenant: String,
    /// The key that checkpoints are signed with: the public key, or the HMAC key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The files of the log
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Key {
    /// A key for HMAC-SHA256, which verification needs too
    ///
    /// The default is a key for Ed25519: FILE.pub gets the public key, which is enough
    /// to verify.
    #[arg(long)]
    hmac: bool,
    /// The file to make
    file: PathBuf,
}

pub(super) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(verify) => verify.run(),
        Command::Export(export) => export.run(),
        Command::Key(key) => key.run().map(|()| ExitCode::SUCCESS),
    }
}

impl Verify {
    fn run(self) -> Result<ExitCode, Failure> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let mut exit = ExitCode::SUCCESS;
        let mut of_log = Vec::new();
        for file in &self.files {
            if is_kept_apart(file) {
                print(format_args!("{}: not part of a log", file.display()))?;
            } else if is_export(file)? {
                if !verify_export(file, key.as_ref())? {
                    exit = ExitCode::FAILURE;
                }
            } else {
                of_log.push(file.clone());
            }
        }
        if of_log.is_empty() {
            return Ok(exit);
        }
        let mut kept = Vec::new();
        for path in &self.checkpoint {
            kept.extend(trusted(path, key.as_ref())?);
        }
        for path in of_log.iter().map(|file| checkpoint_path(file)) {
            if path.exists() {
                kept.extend(trusted(&path, key.as_ref())?);
            }
        }
        let (mut report, mut verifier) = (Report::default(), Verifier::new(key.as_ref(), kept));
        follow(
            &in_order(of_log),
            &mut verifier,
            |place, finding| report.tell(place, finding),
            |_, _| Ok::<_, Failure>(()),
        )?;
        report.end(&verifier, key.is_some())?;
        Ok(match report.findings {
            0 => exit,
            _ => ExitCode::FAILURE,
        })
    }
}

/// What was found, told as it is found.
#[derive(Debug, Default)]
struct Report {
    findings: usize,
}

impl Report {
    fn tell(&mut self, place: &str, finding: &dyn std::fmt::Display) -> Result<(), Failure> {
        self.findings += 1;
        match self.findings {
            n if n <= MOST_SHOWN => print(format_args!("{place}: {finding}")),
            _ => Ok(()),
        }
    }

    fn end(&self, verifier: &Verifier<'_>, has_key: bool) -> Result<(), Failure> {
        if self.findings > MOST_SHOWN {
            print(format_args!(
                "and {} more findings",
                self.findings - MOST_SHOWN
            ))?;
        }
        let seen = verifier.seen();
        let signed = match has_key {
            true => format!("{} signed by the key", seen.signed),
            false => "signatures not verified: give --key".to_owned(),
        };
        print(format_args!(
            "{} records from record {} on, {} checkpoints ({signed}), {} records behind the last, {} findings",
            seen.records,
            seen.first.unwrap_or_default(),
            seen.checkpoints,
            seen.behind,
            self.findings,
        ))
    }
}

impl Export {
    fn run(self) -> Result<ExitCode, Failure> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let files = in_order(self.files);
        let (mut report, mut verifier) = (Report::default(), Verifier::new(key.as_ref(), vec![]));
        let (mut tree, mut last): (Option<Tree>, Option<Vec<u8>>) = (None, None);
        let mut size = 0;
        let tell = |place: &str, finding: &Finding| report.tell(place, finding);
        follow(&files, &mut verifier, tell, |verifier, record| {
            if let Some(checkpoint) = Checkpoint::read(record, key.as_ref())
                && (key.is_none() || checkpoint.signed == Signed::ByKey)
            {
                size = checkpoint.records;
                last = Some(record.line.to_vec());
            }
            match &mut tree {
                Some(tree) => tree.push(&record.hash),
                None => tree = verifier.begun().map(|before| with(before, record)),
            }
            Ok::<_, Failure>(())
        })?;
        if report.findings > 0 {
            let message = "nothing was exported: the log does not verify";
            return Err(Failure::run(message));
        }
        let (Some(tree), Some(checkpoint)) = (tree, last) else {
            return Err(Failure::run(
                "there is no checkpoint in the log to prove records by",
            ));
        };
        let (mut proven, mut unproven) = (0, 0);
        let mut out = BufWriter::new(io::stdout().lock());
        let mut text = Vec::new();
        write_head(&self.tenant, &checkpoint, &mut text);
        for file in files {
            lines(&file, |_, line| {
                let Some(Ok(record)) = line.strip_suffix(b"\n").map(Record::read) else {
                    return Ok::<_, Failure>(());
                };
                if is_of(&record, &self.tenant) {
                    match write_record(&record, &tree, size, &mut text) {
                        true => proven += 1,
                        false => unproven += 1,
                    }
                }
                let written = out.write_all(&text);
                text.clear();
                written.map_err(|error| unwritten(&error))
            })?;
        }
        out.flush().map_err(|error| unwritten(&error))?;
        let mut err = io::stderr();
        let _ = writeln!(err, "{proven} records with a proof, {unproven} without");
        Ok(ExitCode::SUCCESS)
    }
}

fn with(before: &pgtenant::audit::Frontier, record: &Record<'_>) -> Tree {
    let mut tree = Tree::new(before);
    tree.push(&record.hash);
    tree
}

fn verify_export(file: &Path, key: Option<&VerifyingKey>) -> Result<bool, Failure> {
    let (mut verifier, mut report) = (ExportVerifier::new(key), Report::default());
    lines(file, |number, line| match verifier.line(line) {
        Ok(()) => Ok::<_, Failure>(()),
        Err(finding) => report.tell(&format!("{}:{number}", file.display()), &finding),
    })?;
    let (proven, signed) = verifier.proven();
    let signed = match signed {
        Some(Signed::ByKey) => "signed by the key",
        Some(Signed::Not) => "without a signature",
        _ => "whose signature was not verified: give --key",
    };
    print(format_args!(
        "{}: {proven} records are part of the log by a checkpoint {signed}, {} findings",
        file.display(),
        report.findings
    ))?;
    Ok(report.findings == 0)
}

impl Key {
    fn run(self) -> Result<(), Failure> {
        let new = match self.hmac {
            true => NewKey::hmac(),
            false => NewKey::ed25519(),
        };
        let new = new.ok_or_else(|| Failure::run("the system has no randomness"))?;
        create(&self.file, &new.private, 0o600)?;
        if let Some(public) = new.public {
            let mut path = self.file.into_os_string();
            path.push(".pub");
            create(Path::new(&path), &public, 0o644)?;
            print(public.trim_end())?;
        }
        Ok(())
    }
}

fn create(path: &Path, content: &str, mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.create_new(true).write(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|error| Failure::run(format!("cannot make {}: {error}", path.display())))
}

fn read_key(path: &Path) -> Result<VerifyingKey, Failure> {
    let content = std::fs::read(path).map_err(|error| unread(path, &error))?;
    VerifyingKey::read(&content)
        .map_err(|error| Failure::configuration(format!("{} {error}", path.display())))
}

fn trusted(path: &Path, key: Option<&VerifyingKey>) -> Result<Vec<Checkpoint>, Failure> {
    checkpoints(path, key, |number| {
        print(format_args!(
            "{}:{number}: this is no checkpoint that can be trusted; it is ignored",
            path.display()
        ))
    })
}

/// Files that a running proxy keeps beside its log.
fn is_kept_apart(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".checkpoint") || name.ends_with(".lock") || name.contains(".torn")
}

fn is_export(path: &Path) -> Result<bool, Failure> {
    let mut first = Vec::new();
    let file = File::open(path).map_err(|error| unread(path, &error))?;
    let read = BufReader::new(file).read_until(b',', &mut first);
    read.map_err(|error| unread(path, &error))?;
    Ok(ExportVerifier::is_export(&first))
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Self::run(unreadable)
    }
}

fn unread(path: &Path, error: &io::Error) -> Failure {
    Failure::run(format!("cannot read {}: {error}", path.display()))
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::run(format!("cannot write to standard output: {error}"))
}
