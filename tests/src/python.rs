//! Programs of PyPI that tests run beside the cashier, each with its version pinned, in a folder under `target`.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::artifacts;

/// The folder `bin` of an environment that has this package, such as `localstripe==1.15.10`. Concurrent tests wait for one
/// installation.
///
/// # Errors
/// What is missing.
pub fn installed(package: &str) -> Result<PathBuf, String> {
    let has_python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !has_python.is_ok_and(|status| status.success()) {
        return Err("no python3".to_owned());
    }
    let target = artifacts::built().parent().expect("a profile is in target").join("real_peers");
    std::fs::create_dir_all(&target).expect("target can be written");
    let lock = File::create(target.join("lock")).expect("target can be written");
    lock.lock().expect("a lock");
    let environment = target.join(package.replace("==", "-"));
    let (bin, complete) = (environment.join("bin"), environment.join("complete"));
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment), "no python3 venv")?;
        let mut pip = Command::new(bin.join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
        run(&mut pip, &format!("no way to install {package}"))?;
        File::create(&complete).expect("its own folder");
    }
    Ok(bin)
}

fn run(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{otherwise}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{otherwise}: {}", error.lines().last().unwrap_or_default()))
}
