//! An answer: batches that may be told, and an end that waits until what it tells is durable.

use super::{
    accounting::Accounting,
    confirmation::{Confirmation, Confirming, Did},
};
use crate::{files::damage::Damage, problems, serving::prover::Prover};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use roost_engine::{Column, Outcome, RowStream};
use roost_protocol::{
    problem::{ErrorCode, Problem},
    session::Role,
};
use std::{collections::VecDeque, sync::Arc};
use uuid::Uuid;

/// Whoever asked, as their answer has to know them.
pub(super) struct Reader {
    pub id: Uuid,
    pub accounting: Accounting,
    pub confirming: Confirming,
    pub prover: Arc<Prover>,
    pub damage: Damage,
}

impl Reader {
    /// The problem of a query that has no answer, once what it tells is durable.
    pub async fn refuse(mut self, problem: Problem) -> Problem {
        let problem = self.damage.explain(self.confirming.told(problem).await);
        self.accounting.ended(Some(problem.code));
        problem
    }
}

/// Why an answer goes no further.
#[derive(Debug)]
pub enum Halt {
    /// The query failed. That may be told, after [`Answer::finish`].
    Failed(Problem),
    /// It cannot be proven that the branch is still ours: nothing may leave any more, not even this.
    Unproven(Problem),
}

/// The answer to a query. Dropping it before its end stops the query.
pub struct Answer {
    stream: RowStream,
    reader: Reader,
    confirmation: Confirmation,
    /// Batches that were received and not taken; at most two.
    received: VecDeque<RecordBatch>,
    /// The engine has no more.
    complete: bool,
    failure: Option<Problem>,
}

impl Answer {
    /// Of a query that has begun. Waits for the first batch or the end; an error until then is returned. After a batch of
    /// one row (a count, an aggregate) it waits for what follows, which is most often the end: so an error of the commit is
    /// told in place of the answer.
    /// Errors: those of a statement (docs/http-api.md), `outcome-unknown`, `storage-unreachable`, `data-corrupted`.
    pub(super) async fn begin(mut stream: RowStream, reader: Reader) -> Result<Self, Problem> {
        // The snapshot that the last statement reads was taken before its header came.
        let confirmation = reader.confirming.seen_by_now();
        let (mut received, mut complete) = (VecDeque::new(), false);
        while !complete
            && received.iter().map(RecordBatch::num_rows).sum::<usize>() <= 1
            && received.len() < 2
        {
            match stream.next().await {
                None => complete = true,
                Some(Ok(batch)) => received.push_back(batch),
                Some(Err(error)) => return Err(reader.refuse(problems::of_query(&error)).await),
            }
        }
        Ok(Self { stream, reader, confirmation, received, complete, failure: None })
    }

    /// The query's id.
    pub fn id(&self) -> Uuid {
        self.reader.id
    }

    /// Columns of the result; empty when it has none.
    pub fn columns(&self) -> &[Column] {
        &self.stream.columns
    }

    /// Arrow schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.stream.schema
    }

    /// Whether all rows are here: the next batches come without waiting.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The next batch, which may be told now; none after the last.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>, Halt> {
        if self.received.is_empty() && !self.complete {
            match self.stream.next().await {
                None => self.complete = true,
                Some(Ok(batch)) => self.received.push_back(batch),
                Some(Err(error)) => return Err(Halt::Failed(self.failed(problems::of_query(&error)))),
            }
        }
        let Some(batch) = self.received.pop_front() else { return Ok(None) };
        self.may_leave().await.map_err(Halt::Unproven)?;
        Ok(Some(batch))
    }

    /// To be asked right before a part of the answer leaves: after a long pause of this process it may be stale.
    /// Errors: `storage-unreachable`, `fenced`, `outcome-unknown`.
    pub(super) async fn may_leave(&mut self) -> Result<(), Problem> {
        let proof = self.confirmation.proof(self.did());
        let proven = self.reader.prover.before_answering(proof).await;
        proven.map_err(|problem| {
            let problem = if self.may_have_committed() { unproven_commit(&problem) } else { problem };
            self.reader.accounting.ended(Some(problem.code));
            problem.of_query(self.reader.id)
        })
    }

    /// Waits until what the answer tells is durable, and proves once more that it may be told: then its end may leave, be it
    /// an end or the problem that it failed with.
    /// Errors: `outcome-unknown`, `storage-unreachable`, `fenced`.
    pub async fn finish(&mut self) -> Result<(), Problem> {
        if let Err(problem) = self.confirmation.wait(self.did()).await {
            self.reader.accounting.ended(Some(problem.code));
            return Err(problem.of_query(self.reader.id));
        }
        self.may_leave().await?;
        if self.failure.is_none() && self.complete {
            self.reader.accounting.ended(None);
        }
        Ok(())
    }

    /// Outcome of the query; known once all rows were given.
    pub fn outcome(&self) -> Option<Outcome> {
        self.stream.outcome()
    }

    /// Rows and bytes were handed to the connection.
    pub fn sent(&self, rows: usize, bytes: usize) {
        self.reader.accounting.sent(rows, bytes);
    }

    /// Lets go of rows that are not wanted any more, as a portal that is closed does. A transaction of the client's goes on,
    /// which the dropping of an answer makes fail.
    /// Errors: those of a statement (docs/http-api.md), `outcome-unknown`, `storage-unreachable`.
    pub async fn leave(self) -> Result<(), Problem> {
        let Self { stream, mut reader, .. } = self;
        match stream.leave().await {
            Ok(()) => {
                reader.accounting.ended(None);
                Ok(())
            }
            Err(error) => Err(reader.refuse(problems::of_query(&error)).await),
        }
    }

    /// A result that cannot be written: stops the query. The problem may be told after [`Self::finish`].
    pub async fn abandon(&mut self, code: ErrorCode, why: &impl std::fmt::Display) -> Problem {
        let problem = Problem::new(code, why.to_string());
        let problem = match self.stream.stop().await {
            Some(statements) => problem.after_commit(statements.into()),
            None => problem,
        };
        self.failed(problem)
    }

    /// The same before anything of the answer left: the problem in its place, once what it tells is durable.
    pub async fn refuse(mut self, code: ErrorCode, why: &impl std::fmt::Display) -> Problem {
        let problem = self.abandon(code, why).await;
        self.reader.refuse(problem).await
    }

    fn failed(&mut self, problem: Problem) -> Problem {
        let problem = self.reader.damage.explain(problem).of_query(self.reader.id);
        self.reader.accounting.ended(Some(problem.code));
        self.complete = true;
        self.received.clear();
        self.failure = Some(problem.clone());
        problem
    }

    /// Effect of the query on the database, as far as it has come.
    fn did(&self) -> Did {
        match (&self.failure, self.stream.outcome()) {
            (Some(problem), _) if problem.committed_statements().is_some() => Did::Commit,
            (Some(_), _) => Did::Fail,
            (None, Some(outcome)) if outcome.committed_writes => Did::Commit,
            (None, _) => Did::Read,
        }
    }

    fn may_have_committed(&self) -> bool {
        self.reader.confirming.role == Role::ReadWrite && self.stream.may_have_committed()
    }
}

/// Without a proof a result is kept back. What it wrote may survive, also when another pod has the branch by now and
/// went on from a publish that holds it: that is no case for a blind retry.
fn unproven_commit(problem: &Problem) -> Problem {
    let detail = format!("the request was executed, but its result cannot be confirmed: {}", problem.detail);
    Problem::new(ErrorCode::OutcomeUnknown, detail)
}
