//! The second wall: what DuckDB itself refuses, whatever the policy lets through. Put up before the first client.
use crate::config::EngineConfig;
use crate::error::OpenError;
use crate::policy;
use crate::quoting::literal;
use roost_duckdb::{Connection, Database, FunctionGuard};

/// A wall between tenants' statements and everything else. Production has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wall {
    /// The statement policy on bound plans.
    Policy,
    /// Roles and databases: who may modify what.
    Roles,
    /// Built-in functions that act while they are bound.
    BindGuards,
    /// DuckDB's external access is off: no files, no ATTACH, no network.
    ExternalAccess,
    /// No extension is installed or loaded, by name or by need.
    Extensions,
    /// No secret is written to or read from disk.
    Secrets,
    /// Settings are locked, but for the few that a session may change.
    Configuration,
}

impl Wall {
    /// All walls.
    pub const ALL: [Self; 7] = [
        Self::Policy,
        Self::Roles,
        Self::BindGuards,
        Self::ExternalAccess,
        Self::Extensions,
        Self::Secrets,
        Self::Configuration,
    ];
}

/// The walls that are put up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walls(Vec<Wall>);

impl Walls {
    /// Every wall.
    pub(crate) fn all() -> Self {
        Self(Wall::ALL.to_vec())
    }

    /// Only these walls, for tests.
    #[cfg(feature = "test-walls")]
    pub fn only(walls: &[Wall]) -> Self {
        Self(walls.to_vec())
    }

    /// Whether this wall is put up.
    pub fn has(&self, wall: Wall) -> bool {
        self.0.contains(&wall)
    }
}

/// Functions that act while they are bound, before any plan could be judged.
const BIND_GUARDS: [FunctionGuard<'static>; 3] = [
    FunctionGuard::TableBind {
        schema: "main",
        name: "checkpoint",
        refusal: "CHECKPOINT is not available: the database is published by itself",
    },
    FunctionGuard::TableBind {
        schema: "main",
        name: "force_checkpoint",
        refusal: "FORCE CHECKPOINT is not available: the database is published by itself",
    },
    FunctionGuard::ScalarBeforeJudgement {
        schema: "main",
        name: "nextval",
        refusal: "nextval() cannot be evaluated while a statement is prepared; call it in a statement of its own",
    },
];

/// Puts up the walls that are DuckDB's own, in an order in which none hinders the next.
pub(crate) fn lock_down(
    instance: &Database,
    own: &mut Connection,
    config: &EngineConfig,
    walls: &Walls,
) -> Result<(), OpenError> {
    let step = |step: &'static str| move |source| OpenError::Engine { step, source };
    if walls.has(Wall::BindGuards) {
        instance.guard_functions(&BIND_GUARDS).map_err(step("guard its functions"))?;
    }
    if walls.has(Wall::Secrets) {
        own.run("SET allow_persistent_secrets = false").map_err(step("turn persistent secrets off"))?;
        own.run("SET secret_directory = '/nonexistent'").map_err(step("forget the secrets' directory"))?;
    }
    if walls.has(Wall::Extensions) {
        for setting in [
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "allow_community_extensions = false",
            "extension_directory = '/nonexistent'",
        ] {
            own.run(&format!("SET {setting}")).map_err(step("turn extensions off"))?;
        }
    }
    if walls.has(Wall::ExternalAccess) {
        if let Some(directory) = &config.export_directory {
            let directory = literal(&directory.to_string_lossy());
            own.run(&format!("SET allowed_directories = [{directory}]"))
                .map_err(step("allow the export directory"))?;
        }
        own.run("SET enable_external_access = false").map_err(step("turn external access off"))?;
    }
    if walls.has(Wall::Configuration) {
        let allowed: Vec<String> = policy::SESSION_SETTINGS.iter().map(|name| literal(name)).collect();
        own.run(&format!("SET allowed_configs = [{}]", allowed.join(", ")))
            .map_err(step("name the settings of sessions"))?;
        own.run("SET lock_configuration = true").map_err(step("lock its configuration"))?;
    }
    Ok(())
}
