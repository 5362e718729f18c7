//! Where the log is written: files that follow each other, or standard output.

use super::checkpoint::{CHECKPOINT, Checkpoint, ReadHeader};
use super::hash::Hash;
use super::ledger::Tip;
use super::record::Record;
use super::verify::Verifier;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What a log's file may be read by: whoever runs the proxy.
const MODE: u32 = 0o600;

/// Takes the log for this process: two that write one would break its chain. It is
/// given back when the file is dropped.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(MODE).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another process writes it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether something else than a file is there: a pipe or a device.
pub(super) fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file())
}

/// What was found where the log is to be written.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What the log goes on from.
    pub(super) tip: Option<Tip>,
    /// Whether that is in the file itself.
    pub(super) goes_on: bool,
    /// Bytes behind the last whole record, which were set apart.
    pub(super) torn: Option<SetApart>,
    /// The file was tampered with, or is none of a log, and was set apart.
    pub(super) damaged: Option<PathBuf>,
    /// The log, and how many records it has, and should have at least.
    pub(super) cut: Option<(Box<str>, u64, u64)>,
}

/// What a crash has left of a record.
#[derive(Debug)]
pub(super) struct SetApart {
    pub(super) bytes: u64,
    pub(super) hash: Hash,
    pub(super) file: PathBuf,
}

/// Reads what is there, and makes the file one that can be gone on with.
pub(super) fn prepare(path: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    if is_device(path) {
        // There is nothing to go on from.
        return Ok(found);
    }
    match survey(path)? {
        Survey::Nothing => found.tip = newest(path),
        Survey::Whole(tip) => {
            found.tip = Some(*tip);
            found.goes_on = true;
        }
        Survey::Torn(tip, at) => {
            found.torn = Some(set_apart(path, at)?);
            found.goes_on = tip.is_some();
            found.tip = tip.map(|tip| *tip).or_else(|| newest(path));
        }
        Survey::Damaged => {
            let aside = free_name(path, "damaged");
            std::fs::rename(path, &aside)?;
            found.damaged = Some(aside);
        }
    }
    found.cut = last_checkpoint(path).and_then(|known| {
        let records = found.tip.as_ref().filter(|tip| tip.log == known.log);
        let records = records.map_or(0, |tip| tip.chain.next);
        // The checkpoint itself was one.
        (records <= known.records).then_some((known.log, records, known.records + 1))
    });
    Ok(found)
}

/// What a file is.
enum Survey {
    /// It is not there, or empty.
    Nothing,
    /// A log up to this.
    Whole(Box<Tip>),
    /// The same, and from this byte on the rest of a record.
    Torn(Option<Box<Tip>>, u64),
    /// Something else.
    Damaged,
}

fn survey(path: &Path) -> io::Result<Survey> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Survey::Nothing),
        Err(error) => return Err(error),
    };
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut verifier = Verifier::new(None, Vec::new());
    let (mut at, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let len = lines.read_until(b'\n', &mut line)? as u64;
        if len == 0 {
            let tip = verifier.tip().map(Box::new);
            return Ok(tip.map_or(Survey::Nothing, Survey::Whole));
        }
        let before = verifier.tip().map(Box::new);
        if !verifier.line(&line).is_empty() {
            if is_record(&line) {
                return Ok(Survey::Damaged);
            }
            // Records behind it were written later: it was not torn by a crash.
            loop {
                line.clear();
                match lines.read_until(b'\n', &mut line)? {
                    0 => return Ok(Survey::Torn(before, at)),
                    _ if is_record(&line) => return Ok(Survey::Damaged),
                    _ => {}
                }
            }
        }
        at += len;
    }
}

fn is_record(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n");
    line.is_some_and(|line| Record::read(line).is_ok())
}

fn set_apart(path: &Path, at: u64) -> io::Result<SetApart> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let aside = free_name(path, "torn");
    let mut apart = new_file(&aside)?;
    apart.write_all(&rest)?;
    apart.sync_all()?;
    file.set_len(at)?;
    file.sync_all()?;
    Ok(SetApart {
        bytes: rest.len() as u64,
        hash: Hash::of(&rest),
        file: aside,
    })
}

/// The end of the newest of the files that the log was in before.
fn newest(path: &Path) -> Option<Tip> {
    let mut files: Vec<(u64, PathBuf)> = siblings(path)
        .filter_map(|file| Some((first_record(&file)?.1, file)))
        .collect();
    files.sort();
    let (_, file) = files.pop()?;
    match survey(&file).ok()? {
        Survey::Whole(tip) => Some(*tip),
        _ => None,
    }
}

/// Files that may have been the log before.
pub(super) fn siblings(path: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_owned();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(move |file| {
        let other = file.file_name().unwrap_or_default().as_encoded_bytes();
        let rest = other.strip_prefix(name.as_encoded_bytes());
        let rest = rest
            .filter(|rest| !rest.is_empty())
            .map(String::from_utf8_lossy);
        rest.is_some_and(|rest| !rest.contains(".damaged") && !rest.contains(".torn"))
    })
}

/// The log that a file is of, and the number of its first record; `None` if it is none
/// of a log.
pub(super) fn first_record(path: &Path) -> Option<(Box<str>, u64)> {
    let mut line = Vec::new();
    let file = BufReader::new(File::open(path).ok()?);
    // More than any first record has.
    file.take(64 << 10).read_until(b'\n', &mut line).ok()?;
    let record = Record::read(line.strip_suffix(b"\n")?).ok()?;
    ReadHeader::read(&record).map(|header| (header.log, record.seq))
}

/// The path with this behind its name, and a number if there is such a file already.
fn free_name(path: &Path, what: &str) -> PathBuf {
    let named = |n: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(match n {
            0 => format!(".{what}"),
            n => format!(".{what}-{n}"),
        });
        PathBuf::from(name)
    };
    let free = (0..10_000).map(named).find(|path| !path.exists());
    free.unwrap_or_else(|| named(10_000))
}

fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).append(true).mode(MODE).open(path)
}

/// Where the last checkpoint is kept beside the log.
#[must_use]
pub fn checkpoint_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".checkpoint");
    name.into()
}

fn last_checkpoint(path: &Path) -> Option<Checkpoint> {
    let line = std::fs::read(checkpoint_path(path)).ok()?;
    let record = Record::read(line.strip_suffix(b"\n")?).ok()?;
    (record.event() == CHECKPOINT).then_some(())?;
    Checkpoint::read(&record, None)
}

/// An open file of the log, or standard output.
#[derive(Debug)]
pub(super) enum Output {
    File(LogFile),
    /// A pipe or a device.
    Device(File),
    Stdout,
}

/// An open file of the log.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    len: u64,
    /// The number of its first record.
    first: u64,
}

impl Output {
    /// Opens the file behind what is in it, or anew; `first`: the number of its first
    /// record.
    pub(super) fn open(path: &Path, first: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(MODE).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(Self::Device(file));
        }
        Ok(Self::File(LogFile {
            path: path.to_owned(),
            first: first_record(path).map_or(first, |(_, seq)| seq),
            file,
            len: meta.len(),
        }))
    }

    /// Writes a part of the bytes and returns how many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => {
                let written = file.file.write(bytes)?;
                file.len += written as u64;
                Ok(written)
            }
            Self::Device(file) => file.write(bytes),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()?;
                Ok(bytes.len())
            }
        }
    }

    /// Makes what was written outlast a loss of power.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.file.sync_data(),
            Self::Device(_) | Self::Stdout => Ok(()),
        }
    }

    /// How long the file is, in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.len,
            Self::Device(_) | Self::Stdout => 0,
        }
    }

    /// Keeps the last checkpoint beside the file.
    pub(super) fn keep_checkpoint(&self, line: &[u8]) -> io::Result<()> {
        let Self::File(file) = self else {
            return Ok(());
        };
        let path = checkpoint_path(&file.path);
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(MODE);
        options.open(&draft)?.write_all(line)?;
        std::fs::rename(draft, path)
    }

    /// Whether the path leads to another file now, or to none.
    pub(super) fn was_renamed(&self) -> bool {
        let Self::File(file) = self else {
            return false;
        };
        let of = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let here = std::fs::metadata(&file.path).map(of).ok();
        here.is_none() || here != file.file.metadata().map(of).ok()
    }

    /// Gives the file a name of its own, so that the next one can take its place.
    pub(super) fn rename(&self) -> io::Result<()> {
        let Self::File(file) = self else {
            return Ok(());
        };
        let number = format!("{:012}", file.first);
        std::fs::rename(&file.path, free_name(&file.path, &number))
    }
}
