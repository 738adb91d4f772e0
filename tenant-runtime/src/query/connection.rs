//! A session that its caller keeps, as a connection of a client or a job does: statement by statement, on the same terms as
//! requests.

use super::{
    access::Caller,
    accounting::Accounting,
    answer::Answer,
    service::{Service, Terms},
};
use crate::{
    admission::{Activity, Ticket},
    problems,
};
use roost_engine::{Extracted, QueryError, Session, SessionLimits, Statement, Value};
use roost_protocol::problem::Problem;
use std::sync::Arc;
use uuid::Uuid;

/// A session that its caller keeps. Dropping it ends what runs, and rolls an open transaction back.
pub struct Connection {
    service: Arc<Service>,
    caller: Caller,
    session: Session,
    /// The connection's own place among the activities: a statement has another while it runs.
    _ticket: Ticket,
}

impl Service {
    /// Opens a session that its caller keeps. `id` is the connection's own: to cancel it cancels the statement that runs.
    /// Errors: those of `Admission::admit()`, `busy`, `cancelled`, `storage-unreachable`.
    pub async fn connect(
        self: &Arc<Self>,
        caller: Caller,
        (id, activity): (Uuid, Activity),
        limits: SessionLimits,
    ) -> Result<Connection, Problem> {
        let ticket = self.served.admission.admit(id, activity, &caller.user, self.now())?;
        let session = self.open_session(&ticket, caller.role, limits).await?;
        Ok(Connection { service: Arc::clone(self), caller, session, _ticket: ticket })
    }
}

impl Connection {
    /// Parses SQL into its statements; nothing of it is bound or run.
    /// Errors: those of a statement (docs/http-api.md).
    pub async fn extract(&mut self, sql: &str, terms: Terms) -> Result<Vec<Extracted>, Problem> {
        let extracted = self.session.extract(sql, terms.timeout).await;
        self.told(extracted, terms).await
    }

    /// Binds a statement, which can be executed any number of times.
    /// Errors: those of a statement (docs/http-api.md), `outcome-unknown`, `storage-unreachable`.
    pub async fn prepare(&mut self, statement: Extracted, terms: Terms) -> Result<Statement, Problem> {
        let prepared = self.session.prepare(statement, terms.timeout).await;
        self.told(prepared, terms).await
    }

    /// Executes a statement of this connection. Answers once it has its first rows, or its end; inside a transaction that end
    /// waits for what was seen, after COMMIT also for its own commit. `id` is the statement's, while it runs.
    /// Errors: those of a statement (docs/http-api.md), those of `Admission::admit()`, `cancelled`, `storage-unreachable`,
    /// `outcome-unknown`, `data-corrupted`.
    pub async fn execute(
        &mut self,
        id: Uuid,
        (statement, values): (&Statement, Vec<Value>),
        terms: Terms,
    ) -> Result<Answer, Problem> {
        let (service, role) = (&self.service, self.caller.role);
        let ticket =
            service.served.admission.admit(id, Activity::Request, &self.caller.user, service.now())?;
        let mut accounting = Accounting::new(service.metrics.queries.clone(), ticket);
        let allowed = async {
            service.served.prover.before_answering(service.durability.reads).await?;
            accounting.ticket().runs_in(self.session.handle())
        };
        allowed.await.inspect_err(|problem: &Problem| accounting.ended(Some(problem.code)))?;
        let reader = service.reader(id, role, terms, accounting);
        match self.session.execute(statement, values, terms.timeout).await {
            Ok(stream) => Answer::begin(stream, reader).await,
            Err(error) => Err(reader.refuse(problems::of_query(&error)).await),
        }
    }

    /// Whether a transaction of the client's is open, which may have failed.
    pub fn in_transaction(&self) -> bool {
        self.session.in_transaction()
    }

    /// Ends the session, and returns when nothing of it can be committed any more.
    pub async fn end(self) {
        self.session.end().await;
    }

    async fn told<T>(&self, result: Result<T, QueryError>, terms: Terms) -> Result<T, Problem> {
        match result {
            Ok(done) => Ok(done),
            Err(error) => {
                let confirming = self.service.confirming(self.caller.role, terms);
                Err(confirming.told(problems::of_query(&error)).await)
            }
        }
    }
}
