//! An answer as the body of a response: batch, bytes, connection, each taken only when the next has room.

use super::encoding::{Encoded, Encoding, PIECE_BYTES};
use crate::{
    encode::{EncodeError, Encoder, Failure},
    query::{
        answer::{Answer, Halt},
        outgoing::{Begun, Last, Outgoing, Piece, Writing},
    },
};
use arrow_array::RecordBatch;
use axum::body::Body;
use bytes::Bytes;
use roost_protocol::problem::{ErrorCode, Problem};
use std::io;

/// Rows that are encoded piece by piece.
struct Rows {
    encoder: Option<Box<dyn Encoder>>,
    begun: bool,
    /// The batch that is being encoded, and its first row that is not.
    batch: Option<(RecordBatch, usize)>,
}

/// The body: whole at once when all of it is there and small, else streamed at the reader's pace; a problem in its place
/// if nothing of it may leave. Its end waits until what it tells is durable.
/// Errors: those of [`Answer::finish`].
pub async fn send(answer: Answer, encoder: Box<dyn Encoder>) -> Result<Body, Problem> {
    let rows = Rows { encoder: Some(encoder), begun: false, batch: None };
    let mut outgoing = match Outgoing::begin(answer, rows, PIECE_BYTES).await? {
        Begun::Whole(bytes) => return Ok(Body::from(bytes)),
        Begun::Streamed(outgoing) => outgoing,
    };
    Ok(Body::from_stream(async_stream::stream! {
        loop {
            let Piece { bytes, last } = match outgoing.next().await {
                Ok(piece) => piece,
                Err(problem) => {
                    yield Err(io::Error::other(problem.detail));
                    return;
                }
            };
            if !bytes.is_empty() {
                yield Ok(Bytes::from(bytes));
            }
            match last {
                None => {}
                Some(Last::Whole) => return,
                Some(Last::Cut(code)) => {
                    yield Err(io::Error::other(format!("cut: {}", code.name())));
                    return;
                }
            }
        }
    }))
}

impl Writing for Rows {
    async fn piece(&mut self, answer: &mut Answer) -> Result<Piece, Problem> {
        if self.batch.is_none() {
            match answer.next_batch().await {
                Ok(batch) => self.batch = batch.map(|batch| (batch, 0)),
                Err(Halt::Failed(problem)) => return Ok(self.fail(&problem)),
                Err(Halt::Unproven(problem)) => return Err(problem),
            }
        }
        match self.encode(answer).await {
            Ok(piece) => Ok(piece),
            Err(error) => {
                let problem = answer.abandon(ErrorCode::Internal, &error).await;
                Ok(self.fail(&problem))
            }
        }
    }
}

impl Rows {
    /// The problem as the end of the answer, if the format has a place for it.
    fn fail(&mut self, problem: &Problem) -> Piece {
        self.batch = None;
        let mut bytes = Vec::new();
        let told = self.encoder.as_mut().map(|encoder| encoder.fail(problem, &mut bytes));
        let last = if told == Some(Failure::Told) { Last::Whole } else { Last::Cut(problem.code) };
        Piece { bytes, last: Some(last) }
    }

    /// Encodes the next rows, or the end.
    async fn encode(&mut self, answer: &mut Answer) -> Result<Piece, EncodeError> {
        let Some(encoder) = self.encoder.take() else {
            return Err(EncodeError::Stopped("the encoder failed before".into()));
        };
        let (batch, from) = self.batch.take().map_or((None, 0), |(batch, from)| (Some(batch), from));
        let work = Encoding {
            encoder,
            begin: !std::mem::replace(&mut self.begun, true),
            batch: batch.clone(),
            from,
            rows_changed: answer.outcome().and_then(|outcome| outcome.rows_changed),
        };
        let Encoded { encoder, bytes, done } = work.run().await?;
        self.encoder = Some(encoder);
        let next = done?;
        let Some(batch) = batch else {
            answer.sent(0, bytes.len());
            return Ok(Piece { bytes, last: Some(Last::Whole) });
        };
        answer.sent(next - from, bytes.len());
        self.batch = (next < batch.num_rows()).then_some((batch, next));
        Ok(Piece { bytes, last: None })
    }
}
