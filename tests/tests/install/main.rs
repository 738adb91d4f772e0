//! Roost itself comes and goes: upgraded, rolled back, uninstalled and installed again, over tenants that exist.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

mod reinstall;
mod upgrade;

use anyhow::{Context, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tokio::sync::Mutex;

/// Each of the tests needs the cluster for itself.
static CLUSTER: Mutex<()> = Mutex::const_new(());

/// Runs a program in the repository's root; returns what it printed.
async fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(root);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{} {arguments:?}: {text}", program.as_ref().display());
    Ok(text)
}

/// Installs the programs that were built beside this test, or upgrades to them.
async fn install_this() -> Result<()> {
    let test = std::env::current_exe()?;
    let programs = test.parent().and_then(Path::parent).context("no folder of programs")?;
    run("deploy/cluster/install-roost", &["test", &programs.to_string_lossy()]).await?;
    Ok(())
}

/// A released version: its files, its programs in `bin/`.
fn released() -> Result<PathBuf> {
    Ok(std::env::var_os("ROOST_RELEASED").context("ROOST_RELEASED is not set: use tests/run")?.into())
}
