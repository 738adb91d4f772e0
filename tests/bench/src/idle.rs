//! The cost of sessions that do nothing: a connection each, and no thread.

use crate::{figure::Figure, local_tenant::LocalTenant};
use anyhow::{Context as _, Result};
use roost_engine::{Role, Session, SessionLimits};
use roost_protocol::durability::Durability;
use roost_tests::Roost;
use std::time::Duration;

/// Fewer than a tenant of the benchmark may have.
const SESSIONS: u32 = 50;
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn run(roost: &Roost) -> Result<Vec<Figure>> {
    let tenant = LocalTenant::new(roost, "idle").await?;
    let life = tenant.open(Durability::Synchronous).await?;
    let engine = &life.served.engine;
    let mut sessions = Vec::new();
    // The first makes what is made once.
    sessions.push(rested(engine.open_session(Role::ReadWrite, SessionLimits::default())?).await?);
    let before = Process::now()?;
    for _ in 0..SESSIONS {
        sessions.push(rested(engine.open_session(Role::ReadWrite, SessionLimits::default())?).await?);
    }
    let after = Process::now()?;
    drop(sessions);
    life.seal().await.map_err(anyhow::Error::msg)?;
    let each = |more: u64, fewer: u64| {
        f64::from(u32::try_from(more.saturating_sub(fewer)).unwrap_or(u32::MAX)) / f64::from(SESSIONS)
    };
    Ok(vec![
        Figure::new("idle.memory_per_session", each(after.resident_kib, before.resident_kib), "KiB"),
        Figure::new("idle.threads_per_session", each(after.threads, before.threads), "threads"),
    ])
}

/// The session after it has run a statement.
async fn rested(mut session: Session) -> Result<Session> {
    for statement in session.extract("SELECT 42", PATIENCE).await? {
        let statement = session.prepare(statement, PATIENCE).await?;
        let mut rows = session.execute(&statement, Vec::new(), PATIENCE).await?;
        while rows.next().await.transpose()?.is_some() {}
    }
    Ok(session)
}

/// Memory and threads of this process, as the system tells them.
struct Process {
    resident_kib: u64,
    threads: u64,
}

impl Process {
    fn now() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            Ok::<u64, anyhow::Error>(line.trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Self { resident_kib: number("VmRSS:")?, threads: number("Threads:")? })
    }
}
