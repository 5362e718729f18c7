//! Where things lie that tests run with: the program under test, PostgreSQL's
//! server programs of several versions, a python, regression SQL.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The root of the repository.
pub fn root() -> &'static Path {
    // This package lies in `tests/testkit`.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("the kit lies in tests/testkit")
}

/// The program under test, `pgtenant`: cargo builds it with the tests of its package.
/// `CARGO_BIN_EXE_pgtenant` names it, by cargo's will or one's own, and else it lies
/// beside the folder of the test that runs.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("CARGO_BIN_EXE_pgtenant") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    // target/<profile>/deps/<test>
    let profile = test.ancestors().nth(2).expect("a test lies in a folder");
    let program = profile.join(format!("pgtenant{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is missing: run the tests by cargo, or name the program in CARGO_BIN_EXE_pgtenant",
        program.display(),
    );
    program
}

/// A python in which these statements succeed: the set-up's own, or the system's.
pub fn python(imports: &str) -> PathBuf {
    let own = root().join("target/test-clients/python/bin/python3");
    let succeeds = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", imports]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let mut pythons = [own, PathBuf::from("python3")].into_iter();
    pythons.find(succeeds).unwrap_or_else(|| {
        panic!("no python has what `{imports}` needs: run `deploy/setup --tests`")
    })
}

/// The folder of PostgreSQL's regression SQL: `PGTENANT_REGRESS_DIR`, or the few
/// files that are kept here.
pub fn regress_folder() -> PathBuf {
    let ours = || root().join("tests/data/regress");
    std::env::var_os("PGTENANT_REGRESS_DIR").map_or_else(ours, PathBuf::from)
}

/// A folder with the server programs of one major version.
pub struct Programs {
    /// Where they lie.
    pub folder: PathBuf,
    /// Holds a copy of them.
    _copy: Option<TempDir>,
}

impl Programs {
    /// The system's, or those that the set-up has brought. Where there are none,
    /// the test fails on a machine for integration, and is told of elsewhere.
    pub fn find(major: u32) -> Option<Self> {
        let found = Self::search(major);
        if found.is_none() {
            let complaint =
                format!("PostgreSQL {major} is missing: run `deploy/setup --tests` to install it");
            assert!(std::env::var_os("CI").is_none(), "{complaint}");
            // Not by a macro, whose output a test that passes keeps to itself.
            let notice = format!("NOT TESTED: {complaint}\n");
            io::stderr().write_all(notice.as_bytes()).unwrap();
        }
        found
    }

    fn search(major: u32) -> Option<Self> {
        let folders = [
            PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
            PathBuf::from(format!("/usr/pgsql-{major}/bin")),
            root().join(format!("target/test-clients/postgresql-{major}/bin")),
        ];
        let has_server = |folder: &PathBuf| folder.join("postgres").is_file();
        let folder = folders.into_iter().find(has_server)?;
        let is_open = |folder: &Path| {
            let mode = fs::metadata(folder).unwrap().permissions().mode();
            mode & 0o001 != 0
        };
        if folder.ancestors().all(is_open) {
            return Some(Self {
                folder,
                _copy: None,
            });
        }
        // Run as root, it is another user's server: it must be able to read them.
        let copy = tempfile::tempdir().unwrap();
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let whole = folder.parent().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .args([whole, &copy.path().join("pg")])
            .status();
        assert!(copied.unwrap().success());
        Some(Self {
            folder: copy.path().join("pg/bin"),
            _copy: Some(copy),
        })
    }
}
