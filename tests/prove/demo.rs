//! The demo holds, in each of its layouts.

use super::lab::Proved;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use testkit::{Programs, wait_until};

struct Demo {
    process: Child,
    ready: Value,
    _folder: tempfile::TempDir,
}

impl Demo {
    fn start(programs: &Programs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready.json");
        let mut process = Command::new(env!("CARGO_BIN_EXE_pgtenant"))
            .args(["demo", "--port", "0", "--ready-file"])
            .arg(&file)
            .arg("--postgres-bin")
            .arg(&programs.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the demo is ready", || {
            assert!(process.try_wait().unwrap().is_none(), "the demo ended");
            file.exists()
        });
        let ready = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        Self {
            process,
            ready,
            _folder: folder,
        }
    }

    fn url(&self, login: &str) -> &str {
        let tenants = self.ready["tenants"].as_array().unwrap();
        let tenant = tenants.iter().find(|tenant| tenant["login"] == login);
        tenant.unwrap()["url"].as_str().unwrap()
    }

    fn config(&self) -> &str {
        self.ready["proxy"]["config_file"].as_str().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its watcher cleans up.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn the_demo_holds_on(major: u32) {
    let Some(programs) = Programs::find(major) else {
        return;
    };
    let demo = Demo::start(&programs);
    for (one, other, least) in [
        ("innovate", "synergy", 190),
        ("acme", "globex", 110),
        ("initech", "umbrella", 85),
    ] {
        let (one, other) = (demo.url(one), demo.url(other));
        let proved = Proved::by(&["--login", one, "--other", other, "--config", demo.config()]);
        let text = &proved.text;
        assert_eq!(proved.all("broken"), <[&str; 0]>::default(), "{text}");
        // Nobody may say that the way past the proxy is closed who has not tried it.
        assert_eq!(proved.all("not tested"), ["direct-access"], "{text}");
        assert!(proved.all("held").len() >= least, "{text}");
        assert_eq!(proved.status, Some(0), "{text}");
        let said = proved.of("set-role").1;
        assert!(said.contains("rule role"), "{said}");
        let strict = super::lab::run(&["--login", one, "--other", other, "--strict"]);
        assert_eq!(strict.status.code(), Some(2));
    }
}

#[test]
fn the_demo_holds_on_15() {
    the_demo_holds_on(15);
}

#[test]
fn the_demo_holds_on_18() {
    the_demo_holds_on(18);
}
