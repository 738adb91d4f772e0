//! A connection for a client's statements, known to the guard and placed in the tenant's database.
use crate::guard::SessionGuard;
use roost_duckdb::{Connection, Database, EngineError, Trust};
use roost_protocol::session::Role;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The connection of one request. The guard forgets it with its end.
pub(crate) struct ClientConnection {
    connection: Connection,
    guard: Arc<SessionGuard>,
}

impl ClientConnection {
    /// Connects. Until it [belongs to](Self::belongs_to) somebody it may only read.
    pub fn open(instance: &Database, guard: &Arc<SessionGuard>, database: &str) -> Result<Self, EngineError> {
        let connection = instance.connect(Trust::Client)?;
        let mut client = Self { connection, guard: Arc::clone(guard) };
        client.belongs_to(Role::ReadOnly);
        client.use_database(database)?;
        Ok(client)
    }

    /// From now on its statements are judged by this role.
    pub fn belongs_to(&self, role: Role) {
        self.guard.enter(self.connection.id(), role);
    }
}

impl Deref for ClientConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for ClientConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.guard.leave(self.connection.id());
    }
}
