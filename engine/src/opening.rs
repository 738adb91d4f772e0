//! From nothing to a locked-down instance with the tenant's database attached.
use crate::config::EngineConfig;
use crate::error::OpenError;
use crate::guard::SessionGuard;
use crate::lockdown::{self, Wall, Walls};
use crate::mutation::{Mutation, broken};
use crate::policy;
use crate::quoting::{literal, quoted};
use crate::search_path::within;
use roost_duckdb::{Connection, Database, EngineError, OpenFlags, Trust, Vfs, VfsError, VfsFile};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Names that DuckDB gives its own databases.
const RESERVED_NAMES: [&str; 4] = ["main", "memory", "system", "temp"];

/// An instance that was opened, with our own connection and the guard of its sessions.
pub(crate) struct Opened {
    pub instance: Database,
    pub own: Connection,
    pub guard: Arc<SessionGuard>,
}

/// Opens an in-memory instance, attaches the tenant's database through `vfs`, and locks the instance down.
pub(crate) fn open(config: &EngineConfig, vfs: Arc<dyn Vfs>, walls: &Walls) -> Result<Opened, OpenError> {
    check(config)?;
    let step = |step: &'static str| move |source| OpenError::Engine { step, source };
    let walls_of_plans = (walls.has(Wall::Policy), walls.has(Wall::Roles));
    let guard = SessionGuard::new(&config.database_name, walls_of_plans, config.renames.clone());
    let witness = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(Witness { inner: vfs, path: config.main_path.clone(), opened: Arc::clone(&witness) });
    let options = start_options(config);
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let instance =
        Database::open_in_memory(&options, seen, Arc::clone(&guard) as _).map_err(step("start"))?;
    // In that test DuckDB replays as it does by itself: the connection for it is not placed in the database.
    let place = !broken(Mutation::ShipWhatIsNotProven);
    instance
        .define_storage(&other_names(config), place)
        .map_err(step("learn the database's former names"))?;
    let mut own = instance.connect(Trust::Own).map_err(step("connect"))?;
    for setting in STORAGE_SETTINGS {
        own.run(setting).map_err(step("take the storage settings"))?;
    }
    for (name, value) in &config.settings {
        own.run(&format!("SET GLOBAL {name} = {}", literal(value)))
            .map_err(step("take the class's settings"))?;
    }
    own.run(&attach(config)).map_err(OpenError::Attach)?;
    if !witness.load(Ordering::SeqCst) {
        return Err(OpenError::NotThroughVfs { path: config.main_path.clone() });
    }
    guard.opened();
    // Our own connection stays in `memory`, but for checkpoints: no client's macro shadows a function that it calls.
    lockdown::lock_down(&instance, &mut own, config, walls)?;
    Ok(Opened { instance, own, guard })
}

/// Only we checkpoint: nothing else may write the main file's header or remove the WAL.
const STORAGE_SETTINGS: [&str; 4] = [
    "SET checkpoint_threshold = '1TB'",
    "SET wal_autocheckpoint_entries = 0",
    "SET auto_checkpoint_skip_wal_threshold = 18446744073709551615",
    "PRAGMA disable_checkpoint_on_shutdown",
];

fn check(config: &EngineConfig) -> Result<(), OpenError> {
    let name = config.database_name.to_ascii_lowercase();
    if RESERVED_NAMES.contains(&name.as_str()) {
        return Err(OpenError::ReservedName(config.database_name.clone()));
    }
    match config.settings.keys().find(|name| !policy::CLASS_SETTINGS.contains(&name.as_str())) {
        Some(name) => Err(OpenError::SettingNotAllowed(name.clone())),
        None => Ok(()),
    }
}

fn start_options(config: &EngineConfig) -> Vec<(&'static str, String)> {
    vec![
        ("threads", config.threads.max(1).to_string()),
        ("memory_limit", format!("{}B", config.memory_limit_bytes)),
        ("temp_directory", config.temp_directory.to_string_lossy().into_owned()),
        ("max_temp_directory_size", format!("{}B", config.temp_limit_bytes)),
        ("storage_compatibility_version", config.storage_version.clone()),
        ("arrow_lossless_conversion", "true".into()),
    ]
}

/// Former names that are not the present one, nor DuckDB's: a tenant may be copied back to where it came from.
fn other_names(config: &EngineConfig) -> Vec<&str> {
    let is_own = |name: &str| name.eq_ignore_ascii_case(&config.database_name);
    let is_reserved = |name: &str| RESERVED_NAMES.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
    let names = config.former_names.iter().map(String::as_str);
    names.filter(|name| !is_own(name) && !is_reserved(name)).collect()
}

fn attach(config: &EngineConfig) -> String {
    // Naming the type keeps DuckDB from opening the file once more, without a lock, to find out what it is.
    let options = if config.read_only { "TYPE roost, READ_ONLY" } else { "TYPE roost" };
    format!("ATTACH {} AS {} ({options})", literal(&config.main_path), quoted(&config.database_name))
}

/// Checkpoints the tenant's database from within it.
pub(crate) fn checkpoint(connection: &mut Connection, database: &str) -> Result<(), EngineError> {
    // CHECKPOINT would call what the tenant may have given this name.
    let sql = format!("CALL system.main.checkpoint({})", literal(database));
    within(connection, database, |connection| connection.run(&sql))?
}

/// Passes everything on and remembers whether the database's file was opened.
struct Witness {
    inner: Arc<dyn Vfs>,
    path: String,
    opened: Arc<AtomicBool>,
}

impl Vfs for Witness {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let file = self.inner.open(path, flags)?;
        if path == self.path && file.is_some() {
            self.opened.store(true, Ordering::SeqCst);
        }
        Ok(file)
    }

    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        self.inner.exists(path)
    }

    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        self.inner.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        self.inner.rename(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_and_unknown_settings_are_refused() {
        for name in ["main", "memory", "System", "TEMP"] {
            assert!(matches!(check(&EngineConfig::new(name, "/t")), Err(OpenError::ReservedName(_))));
        }
        let mut config = EngineConfig::new("acme", "/t");
        assert!(check(&config).is_ok());
        config.settings.insert("temp_directory".into(), "/".into());
        assert!(matches!(check(&config), Err(OpenError::SettingNotAllowed(_))));
    }
}
