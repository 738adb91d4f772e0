//! Connections made ahead, so that a request need not wait for one. Each serves one request: sessions share nothing.
use super::client_connection::ClientConnection;
use crate::config::MAX_SPARES;
use roost_duckdb::EngineError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections that no request has used.
#[derive(Default)]
pub(crate) struct Spares {
    unused: Mutex<Vec<ClientConnection>>,
}

impl Spares {
    /// One of them, if there are any.
    pub fn take(&self) -> Option<ClientConnection> {
        self.unused().pop()
    }

    /// Adds one, if there are few.
    pub fn fill(
        &self,
        connect: impl FnOnce() -> Result<ClientConnection, EngineError>,
    ) -> Result<(), EngineError> {
        if self.unused().len() < MAX_SPARES {
            let made = connect()?;
            let mut unused = self.unused();
            // Other sessions that ended may have been faster.
            if unused.len() < MAX_SPARES {
                unused.push(made);
            }
        }
        Ok(())
    }

    fn unused(&self) -> MutexGuard<'_, Vec<ClientConnection>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
