//! Whatever is done to a log is found.

use super::{
    Checkpoint, ExportFinding, ExportVerifier, Finding, Frontier, Ledger, NewKey, Record,
    SigningKey, Tip, Tree, Verifier, VerifyingKey, write_head, write_record,
};
use proptest::prelude::*;
use std::sync::Arc;

const EVERY: u64 = 5;

/// A log in several files, and what it is verified with.
struct Written {
    files: Vec<Vec<u8>>,
    key: VerifyingKey,
    last: Checkpoint,
}

fn write(records: usize, per_file: usize) -> Written {
    let new = NewKey::hmac().expect("a key");
    let key = Arc::new(SigningKey::read(new.private.as_bytes()).expect("a key"));
    let verifying = key.verifying();
    let mut ledger = Ledger::new(Tip::new("a log"), Some(key), EVERY);
    let mut files = Vec::new();
    let mut out = Vec::new();
    ledger.begin_file(1, &mut out);
    for n in 0..records {
        if n > 0 && n % per_file == 0 {
            ledger.checkpoint(2, &mut out);
            files.push(std::mem::take(&mut out));
            ledger.begin_file(3, &mut out);
        }
        let tenant = n % 3;
        let body = format!("\"event\":\"login\",\"tenant\":\"t{tenant}\",\"n\":{n}");
        ledger.append(n as u64, body.as_bytes(), &mut out);
    }
    ledger.checkpoint(4, &mut out);
    files.push(out);
    let line = lines(files.last().expect("a file")).pop().expect("a line");
    let record = Record::read(line.strip_suffix(b"\n").expect("an end")).expect("a record");
    Written {
        last: Checkpoint::read(&record, Some(&verifying)).expect("a checkpoint"),
        files,
        key: verifying,
    }
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|c| *c == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

impl Written {
    fn verify(&self, files: &[Vec<u8>]) -> Vec<Finding> {
        let mut verifier = Verifier::new(Some(&self.key), vec![self.last.clone()]);
        let mut findings = Vec::new();
        for file in files {
            verifier.begin_file();
            for line in lines(file) {
                findings.extend(verifier.line(&line));
            }
        }
        findings.extend(verifier.end());
        findings
    }
}

#[test]
fn a_log_verifies_from_any_of_its_files_on() {
    let log = write(40, 9);
    assert_eq!(log.files.len(), 5);
    for from in 0..5 {
        assert_eq!(log.verify(&log.files[from..]), []);
    }
    // As one file.
    assert_eq!(log.verify(&[log.files.concat()]), []);
}

#[test]
fn a_log_can_be_followed_by_another_once_it_has_ended() {
    let verify = |files: &[&[u8]]| {
        let mut verifier = Verifier::new(None, vec![]);
        let all = lines(&files.concat()).into_iter();
        all.flat_map(|line| verifier.line(&line))
            .collect::<Vec<_>>()
    };
    let text = |id: &str| {
        let mut ledger = Ledger::new(Tip::new(id), None, EVERY);
        let mut out = Vec::new();
        ledger.begin_file(1, &mut out);
        ledger.append(1, b"\"event\":\"login\"", &mut out);
        let open = out.clone();
        ledger.checkpoint(1, &mut out);
        (open, out)
    };
    let (open, whole) = text("one");
    let (_, next) = text("other");
    assert_eq!(verify(&[&whole, &next]), []);
    let findings = verify(&[&open, &next]);
    assert!(
        matches!(findings[..], [Finding::OtherLog { .. }]),
        "{findings:?}"
    );
    let (_, later) = next.split_at(lines(&next)[0].len());
    assert!(!verify(&[&whole, later]).is_empty());
}

#[test]
fn a_missing_file_is_found() {
    let log = write(40, 9);
    for missing in 0..5 {
        let mut files = log.files.clone();
        files.remove(missing);
        let findings = log.verify(&files);
        match missing {
            // It may have been removed as too old.
            0 => assert_eq!(findings, []),
            4 => assert!(
                matches!(findings[..], [Finding::Cut { .. }]),
                "{findings:?}"
            ),
            _ => assert!(
                matches!(findings[..], [Finding::Missing(..)]),
                "{findings:?}"
            ),
        }
    }
    let mut files = log.files.clone();
    files.swap(1, 2);
    assert!(!log.verify(&files).is_empty());
}

#[test]
fn records_that_were_bound_anew_contradict_the_checkpoints() {
    let log = write(12, 100);
    // All of it anew, by somebody without the key, with the checkpoints as they were.
    let (mut forged, mut chain) = (Vec::new(), super::Chain::START);
    for line in lines(&log.files[0]) {
        let record = Record::read(line.strip_suffix(b"\n").expect("an end")).expect("a record");
        let body = String::from_utf8(record.body.to_vec()).expect("text");
        chain.seal(9, body.replace("t1", "t2").as_bytes(), &mut forged);
    }
    let findings = log.verify(&[forged]);
    assert!(findings.contains(&Finding::Contradicts), "{findings:?}");
    // Without the checkpoints.
    let (mut forged, mut chain) = (Vec::new(), super::Chain::START);
    for line in lines(&log.files[0]) {
        let record = Record::read(line.strip_suffix(b"\n").expect("an end")).expect("a record");
        if record.event() != "checkpoint" {
            chain.seal(9, record.body, &mut forged);
        }
    }
    let findings = log.verify(&[forged]);
    assert!(
        findings.contains(&Finding::NoCheckpoint(EVERY)),
        "{findings:?}"
    );
    // With checkpoints of another key.
    let other = write(12, 100);
    let findings = log.verify(&other.files);
    assert!(
        findings
            .iter()
            .any(|one| matches!(one, Finding::WrongSignature(_))),
        "{findings:?}"
    );
}

#[test]
fn an_export_proves_its_records_and_nothing_else() {
    let log = write(20, 8);
    let all: Vec<_> = log.files.iter().flat_map(|file| lines(file)).collect();
    let records: Vec<_> = all
        .iter()
        .map(|line| Record::read(line.strip_suffix(b"\n").expect("an end")).expect("a record"))
        .collect();
    let mut tree = Tree::new(&Frontier::default());
    records.iter().for_each(|record| tree.push(&record.hash));
    let checkpoint = records.last().expect("a record");
    let mut out = Vec::new();
    write_head("t1", checkpoint.line, &mut out);
    let own = records.iter().filter(|record| super::is_of(record, "t1"));
    for record in own.clone() {
        assert!(write_record(record, &tree, checkpoint.seq, &mut out));
    }
    let verify = |export: &[u8]| {
        let mut verifier = ExportVerifier::new(Some(&log.key));
        let findings = lines(export)
            .into_iter()
            .filter_map(|line| verifier.line(&line).err());
        (findings.collect::<Vec<_>>(), verifier.proven().0)
    };
    assert_eq!(verify(&out), (vec![], own.count() as u64));
    let mut more = out.clone();
    let other = records.iter().find(|record| super::is_of(record, "t2"));
    write_record(
        other.expect("there is one"),
        &tree,
        checkpoint.seq,
        &mut more,
    );
    assert!(matches!(
        verify(&more).0[..],
        [ExportFinding::OtherTenant(_)]
    ));
    for at in 0..out.len() {
        let mut changed = out.clone();
        changed[at] ^= 1;
        assert!(!verify(&changed).0.is_empty(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_change_of_any_byte_is_found(at in any::<prop::sample::Index>(), bits in 1_u8..=255) {
        let log = write(25, 9);
        let mut files = log.files.clone();
        let len: usize = files.iter().map(Vec::len).sum();
        let mut at = at.index(len);
        for file in &mut files {
            if at < file.len() {
                file[at] ^= bits;
                break;
            }
            at -= file.len();
        }
        prop_assert!(!log.verify(&files).is_empty());
    }

    #[test]
    fn bytes_that_are_taken_out_or_put_in_are_found(
        at in any::<prop::sample::Index>(), len in 1_usize..2000, put in any::<Vec<u8>>(),
    ) {
        let log = write(25, 9);
        let mut file = log.files.concat();
        let at = at.index(file.len());
        let end = (at + len).min(file.len());
        let before = file.clone();
        file.splice(at..end, put);
        prop_assume!(file != before);
        prop_assert!(!log.verify(&[file]).is_empty());
    }

    #[test]
    fn records_that_are_taken_out_moved_or_repeated_are_found(
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), what in 0_u8..3,
    ) {
        let log = write(25, 9);
        let mut all = lines(&log.files.concat());
        let before = all.clone();
        let (from, to) = (from.index(all.len()), to.index(all.len()));
        match what {
            0 => drop(all.remove(from)),
            1 => all.swap(from, to),
            _ => all.insert(to, all[from].clone()),
        }
        prop_assume!(all != before);
        let is_front = what == 0 && from == 0;
        let findings = log.verify(&[all.concat()]);
        prop_assert!(!findings.is_empty(), "{is_front}");
    }

    #[test]
    fn a_cut_anywhere_is_found(at in any::<prop::sample::Index>()) {
        let log = write(25, 9);
        let mut file = log.files.concat();
        file.truncate(at.index(file.len()));
        prop_assume!(!file.is_empty());
        prop_assert!(!log.verify(&[file]).is_empty());
    }
}
