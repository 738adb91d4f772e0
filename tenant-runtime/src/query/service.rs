//! The queries of one served tenant: who may ask, what runs, how it is answered.

use super::{
    access::{Access, Caller, Credential},
    accounting::Accounting,
    answer::{Answer, Reader},
    confirmation::Confirming,
};
use crate::{
    admission::{Activity, Admitted, Ticket},
    metrics::Metrics,
    problems,
    serving::opening::Served,
};
use roost_engine::{Request, Session, SessionLimits, Value};
use roost_protocol::{
    BranchKey,
    durability::{self, Durability},
    problem::{ErrorCode, Problem},
    query::QueryStatus,
    session::Role,
    time::UnixMillis,
};
use std::{sync::Arc, time::Duration};
use tracing::Instrument as _;
use uuid::Uuid;

/// The queries of one served tenant.
pub struct Service {
    /// The branch that is served.
    pub branch: BranchKey,
    /// Rule by which callers are let in.
    pub access: Access,
    /// Engine, prover, shipper.
    pub served: Arc<Served>,
    /// Durability that requests may ask for and get, and strictness of reads.
    pub durability: durability::Terms,
    /// Longest time of one query.
    pub statement_timeout: Duration,
    /// Metrics.
    pub metrics: Metrics,
}

/// Statements to run.
pub struct Statement {
    /// Id by which it is looked at and cancelled; chosen by the caller, or random.
    pub id: Uuid,
    /// One or more statements; the last one's result is the answer.
    pub sql: String,
    /// Positional parameters; only with one statement.
    pub parameters: Vec<Value>,
}

/// Terms on which statements are run.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Time that they may take, until the last batch was taken.
    pub timeout: Duration,
    /// Durability that the answer waits for.
    pub durability: Durability,
}

impl Service {
    /// The caller, if it may ask.
    /// Errors: `unauthenticated`, `forbidden`.
    pub fn authorize(&self, credential: Credential<'_>) -> Result<Caller, Problem> {
        self.access
            .authorize(credential, UnixMillis::clamped(self.served.environment.clock.now().as_millisecond()))
    }

    /// Fails for any branch but the one that is served.
    /// Errors: `not-found`.
    pub fn is_of(&self, branch: &BranchKey) -> Result<(), Problem> {
        if *branch == self.branch {
            return Ok(());
        }
        Err(Problem::new(ErrorCode::NotFound, "this process does not serve that tenant or branch"))
    }

    /// Notes a sign of life.
    pub fn received(&self) {
        self.served.admission.touch(self.now());
    }

    /// The terms that are asked for, if the tenant's class allows them; a timeout is at most the class's.
    pub fn terms(
        &self,
        timeout: Option<Duration>,
        durability: Option<Durability>,
    ) -> Result<Terms, durability::TooWeak> {
        let timeout = timeout.unwrap_or(self.statement_timeout).min(self.statement_timeout);
        Ok(Terms { timeout, durability: self.durability.of_request(durability)? })
    }

    /// Runs statements in a session of their own. Answers once the last one has its first rows, or its end.
    /// Errors: those of a statement (docs/http-api.md), those of `Admission::admit()`, `busy`, `cancelled`,
    /// `storage-unreachable`, `fenced`, `outcome-unknown`, `data-corrupted`.
    pub async fn run(&self, caller: &Caller, terms: Terms, statement: Statement) -> Result<Answer, Problem> {
        let id = statement.id;
        let span = tracing::info_span!("query", %id, user = caller.user);
        self.answer(caller, terms, statement).instrument(span).await.map_err(|problem| {
            tracing::debug!(%id, user = caller.user, code = ?problem.code, "query refused or failed");
            problem.of_query(id)
        })
    }

    async fn answer(&self, caller: &Caller, terms: Terms, statement: Statement) -> Result<Answer, Problem> {
        let Statement { id, sql, parameters } = statement;
        let ticket = self.served.admission.admit(id, Activity::Request, &caller.user, self.now())?;
        let mut accounting = Accounting::new(self.metrics.queries.clone(), ticket);
        let opened = self.open_session(accounting.ticket(), caller.role, SessionLimits::default()).await;
        let session = opened.inspect_err(|problem| accounting.ended(Some(problem.code)))?;
        let reader = self.reader(id, caller.role, terms, accounting);
        match session.request(Request { sql, parameters, timeout: terms.timeout }).await {
            Ok(stream) => Answer::begin(stream, reader).await,
            Err(error) => Err(reader.refuse(problems::of_query(&error)).await),
        }
    }

    /// Opens the session of an activity that was let in.
    /// Errors: `busy`, `draining`, `cancelled`, `storage-unreachable`.
    pub(super) async fn open_session(
        &self,
        ticket: &Ticket,
        role: Role,
        limits: SessionLimits,
    ) -> Result<Session, Problem> {
        self.served.prover.before_answering(self.durability.reads).await?;
        let session = self.served.engine.open_session(role, limits);
        let session = session.map_err(|error| problems::of_query(&error))?;
        ticket.has_session(session.handle())?;
        Ok(session)
    }

    pub(super) fn reader(&self, id: Uuid, role: Role, terms: Terms, accounting: Accounting) -> Reader {
        Reader {
            id,
            accounting,
            confirming: self.confirming(role, terms),
            prover: Arc::clone(&self.served.prover),
            damage: self.served.database.damage().clone(),
        }
    }

    pub(super) fn confirming(&self, role: Role, terms: Terms) -> Confirming {
        Confirming {
            shipper: Arc::clone(&self.served.shipper),
            environment: self.served.environment.clone(),
            timeout: terms.timeout,
            durability: terms.durability,
            reads: self.durability.reads,
            role,
        }
    }

    /// Progress of a query of the caller's.
    /// Errors: `not-found`, `storage-unreachable`, `fenced`.
    pub async fn progress(&self, caller: &Caller, id: Uuid) -> Result<QueryStatus, Problem> {
        let Admitted { session, since, .. } = self.own(caller, id)?;
        self.served.prover.before_answering(self.durability.reads).await?;
        let progress = session.and_then(|session| session.progress());
        let elapsed = self.now().saturating_sub(since);
        Ok(QueryStatus {
            id,
            percentage: progress.map(|progress| progress.percentage).filter(|percentage| *percentage >= 0.0),
            rows_processed: progress.map_or(0, |progress| progress.rows),
            total_rows: progress.map_or(0, |progress| progress.total),
            elapsed_millis: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Cancels a query of the caller's.
    /// Errors: `not-found`.
    pub fn cancel(&self, caller: &Caller, id: Uuid) -> Result<(), Problem> {
        self.own(caller, id)?;
        self.served.admission.cancel(id);
        Ok(())
    }

    /// A query of the caller's; somebody else's looks like none.
    fn own(&self, caller: &Caller, id: Uuid) -> Result<Admitted, Problem> {
        self.received();
        let found = self.served.admission.find(id).filter(|query| query.user == caller.user);
        found.ok_or_else(|| Problem::new(ErrorCode::NotFound, "no query of yours with this id runs"))
    }

    /// Monotonic time.
    pub(super) fn now(&self) -> Duration {
        self.served.environment.clock.monotonic()
    }
}
