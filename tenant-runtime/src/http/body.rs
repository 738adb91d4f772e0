//! A result on its way: batch, bytes, connection, each taken only when the next has room.

use crate::{
    admission::Ticket,
    confirmation::{Confirmation, Did},
    encode::{EncodeError, Encoder, Failure},
    http::encoding::{Encoded, Encoding, PIECE_BYTES},
    metrics::QueryMetrics,
    problems,
    prover::Prover,
};
use arrow_array::RecordBatch;
use axum::body::Body;
use bytes::Bytes;
use roost_engine::QueryStream;
use roost_protocol::{
    durability::Reads,
    problem::{ErrorCode, Problem},
};
use std::{collections::VecDeque, io, sync::Arc, time::Instant};
use uuid::Uuid;

/// Counts a query from its admission to its end, however it ends.
pub struct Accounting {
    metrics: QueryMetrics,
    since: Instant,
    error: Option<ErrorCode>,
    /// Keeps the tenant awake and the id taken.
    _ticket: Ticket,
}

impl Accounting {
    /// Begins.
    pub fn new(metrics: QueryMetrics, ticket: Ticket) -> Self {
        metrics.started();
        // A query that nobody waits for any more ends without anybody saying how.
        Self { metrics, since: Instant::now(), error: Some(ErrorCode::Cancelled), _ticket: ticket }
    }

    /// The query ended well, or with this error.
    pub fn ended(&mut self, error: Option<ErrorCode>) {
        self.error = error;
    }
}

impl Drop for Accounting {
    fn drop(&mut self) {
        self.metrics.ended(self.error, self.since.elapsed());
    }
}

/// A result that is being sent.
pub struct Answer {
    id: Uuid,
    stream: QueryStream,
    encoder: Option<Box<dyn Encoder>>,
    begun: bool,
    /// Batches that were received and not encoded; at most two.
    received: VecDeque<RecordBatch>,
    /// The stream has no more.
    ended: bool,
    /// The error that it ended with.
    failure: Option<Problem>,
    /// First row of the first received batch that is not encoded yet.
    next_row: usize,
    prover: Arc<Prover>,
    confirmation: Confirmation,
    accounting: Accounting,
}

/// One piece of an answer.
struct Piece {
    bytes: Vec<u8>,
    /// None: more follows.
    last: Option<Last>,
}

/// A body that may leave once that much is proven.
pub struct Ready {
    /// The body.
    pub body: Body,
    /// What has to be proven.
    pub proof: Reads,
    /// The request has committed something, or may yet.
    pub may_have_committed: bool,
}

enum Last {
    /// The transfer ends as it should.
    Whole,
    /// The transfer is cut, so that nobody takes it for whole.
    Cut(ErrorCode),
}

impl Answer {
    /// An answer of which nothing was sent. Waits for the first batch or the end; an error until then is returned.
    /// After a batch of one row (a count, an aggregate) it waits for what follows, which is most often the end:
    /// so an error of the commit has its own HTTP status.
    pub async fn begin(
        id: Uuid,
        mut stream: QueryStream,
        encoder: Box<dyn Encoder>,
        prover: Arc<Prover>,
        confirmation: Confirmation,
        accounting: Accounting,
    ) -> Result<Self, (Problem, Accounting)> {
        let (mut received, mut ended) = (VecDeque::new(), false);
        while !ended && received.iter().map(RecordBatch::num_rows).sum::<usize>() <= 1 && received.len() < 2 {
            match stream.next().await {
                None => ended = true,
                Some(Ok(batch)) => received.push_back(batch),
                Some(Err(error)) => return Err((problems::of_query(&error), accounting)),
            }
        }
        let encoder = Some(encoder);
        let (begun, failure, next_row) = (false, None, 0);
        Ok(Self {
            id,
            stream,
            encoder,
            begun,
            received,
            ended,
            failure,
            next_row,
            prover,
            confirmation,
            accounting,
        })
    }

    /// The body: whole at once when all of it is there and small, else streamed at the reader's pace. Its end waits
    /// until what it tells is durable; a problem in place of the body if nothing of it was sent.
    pub async fn into_body(mut self) -> Result<Ready, Problem> {
        let mut first = self.piece().await;
        while first.last.is_none() && self.ended && first.bytes.len() < PIECE_BYTES {
            let more = self.piece().await;
            first.bytes.extend_from_slice(&more.bytes);
            first.last = more.last;
        }
        if let Some(Last::Whole) = first.last {
            self.confirmed().await?;
            let (proof, may_have_committed) = (self.proof(), self.stream.may_have_committed());
            return Ok(Ready { proof, may_have_committed, body: Body::from(first.bytes) });
        }
        let (proof, may_have_committed) = (self.proof(), self.stream.may_have_committed());
        let body = Body::from_stream(async_stream::stream! {
            let mut piece = first;
            loop {
                if let Some(Last::Whole) = piece.last
                    && let Err(problem) = self.confirmed().await
                {
                    yield Err(io::Error::other(problem.detail));
                    return;
                }
                // The last look before bytes leave: after a long pause of this process they may be stale.
                if let Err(problem) = self.prover.before_answering(self.proof()).await {
                    self.accounting.ended(Some(problem.code));
                    yield Err(io::Error::other(problem.detail));
                    return;
                }
                if !piece.bytes.is_empty() {
                    yield Ok(Bytes::from(std::mem::take(&mut piece.bytes)));
                }
                match piece.last {
                    None => piece = self.piece().await,
                    Some(Last::Whole) => return,
                    Some(Last::Cut(code)) => {
                        yield Err(io::Error::other(format!("cut: {}", code.name())));
                        return;
                    }
                }
            }
        });
        Ok(Ready { body, proof, may_have_committed })
    }

    /// What the request did, as far as it has come.
    fn did(&self) -> Did {
        match (&self.failure, self.stream.outcome()) {
            (Some(problem), _) if problem.committed_statements().is_some() => Did::Commit,
            (Some(_), _) => Did::Fail,
            (None, Some(outcome)) if outcome.committed_writes => Did::Commit,
            (None, _) => Did::Read,
        }
    }

    fn proof(&self) -> Reads {
        self.confirmation.proof(self.did())
    }

    async fn confirmed(&mut self) -> Result<(), Problem> {
        let confirmed = self.confirmation.wait(self.did()).await;
        if let Err(problem) = &confirmed {
            self.accounting.ended(Some(problem.code));
        }
        confirmed
    }

    async fn piece(&mut self) -> Piece {
        if self.received.is_empty() && !self.ended {
            match self.stream.next().await {
                None => self.ended = true,
                Some(Ok(batch)) => self.received.push_back(batch),
                Some(Err(error)) => return self.fail(problems::of_query(&error)),
            }
        }
        match self.encode().await {
            Ok(piece) => piece,
            Err(error) => {
                let problem = not_encoded(ErrorCode::Internal, &error, &mut self.stream).await;
                self.fail(problem)
            }
        }
    }

    fn fail(&mut self, mut problem: Problem) -> Piece {
        problem.particulars_mut().query_id = Some(self.id);
        self.accounting.ended(Some(problem.code));
        self.ended = true;
        let mut bytes = Vec::new();
        let told = self.encoder.as_mut().map(|encoder| encoder.fail(&problem, &mut bytes));
        let last = if told == Some(Failure::Told) { Last::Whole } else { Last::Cut(problem.code) };
        self.failure = Some(problem);
        Piece { bytes, last: Some(last) }
    }

    /// Encodes the next rows, or the end.
    async fn encode(&mut self) -> Result<Piece, EncodeError> {
        let Some(encoder) = self.encoder.take() else {
            return Err(EncodeError::Stopped("the encoder failed before".into()));
        };
        let from = self.next_row;
        let work = Encoding {
            encoder,
            begin: !std::mem::replace(&mut self.begun, true),
            batch: self.received.front().cloned(),
            from,
            rows_changed: self.stream.outcome().and_then(|outcome| outcome.rows_changed),
        };
        let Encoded { encoder, bytes, done } = work.run().await?;
        self.encoder = Some(encoder);
        let next = done?;
        let Some(batch) = self.received.front() else {
            self.accounting.metrics.sent(0, bytes.len());
            self.accounting.ended(None);
            return Ok(Piece { bytes, last: Some(Last::Whole) });
        };
        self.accounting.metrics.sent(next - from, bytes.len());
        self.next_row = next;
        if next >= batch.num_rows() {
            self.received.pop_front();
            self.next_row = 0;
        }
        Ok(Piece { bytes, last: None })
    }
}

/// A result that cannot be written: its query is stopped.
pub async fn not_encoded(code: ErrorCode, error: &EncodeError, stream: &mut QueryStream) -> Problem {
    let problem = Problem::new(code, error.to_string());
    match stream.stop().await {
        Some(statements) => problem.after_commit(statements.into()),
        None => problem,
    }
}
