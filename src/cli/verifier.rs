//! `pgtenant verifier`

use super::{Failure, print};
use pgtenant::directory::Verifier;
use std::io::{self, BufRead as _, IsTerminal as _};

pub(super) fn run() -> Result<(), Failure> {
    let password = if io::stdin().is_terminal() {
        ask()?
    } else {
        read_line()?
    };
    if password.is_empty() {
        return Err(Failure::configuration("the password is empty"));
    }
    print(Verifier::derive(&password))
}

fn ask() -> Result<String, Failure> {
    let prompt = |text| {
        rpassword::prompt_password(text)
            .map_err(|error| Failure::run(format!("cannot read the password: {error}")))
    };
    let password = prompt("Password: ")?;
    if password != prompt("The same again: ")? {
        return Err(Failure::configuration("the two passwords differ"));
    }
    Ok(password)
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| {
        if error.kind() == io::ErrorKind::InvalidData {
            Failure::configuration("the password is not valid UTF-8")
        } else {
            Failure::run(format!("cannot read the password: {error}"))
        }
    })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
