//! An answer as the body of a response: batch, bytes, connection, each taken only when the next has room.

use super::encoding::{Encoded, Encoding, PIECE_BYTES};
use crate::{
    encode::{EncodeError, Encoder, Failure},
    query::answer::{Answer, Halt},
};
use arrow_array::RecordBatch;
use axum::body::Body;
use bytes::Bytes;
use roost_protocol::problem::{ErrorCode, Problem};
use std::io;

/// One piece of an answer.
struct Piece {
    bytes: Vec<u8>,
    /// None: more follows.
    last: Option<Last>,
}

enum Last {
    /// The transfer ends as it should.
    Whole,
    /// The transfer is cut, so that nobody takes it for whole.
    Cut(ErrorCode),
}

/// An answer that is being written.
struct Writing {
    answer: Answer,
    encoder: Option<Box<dyn Encoder>>,
    begun: bool,
    /// The batch that is being encoded, and its first row that is not.
    batch: Option<(RecordBatch, usize)>,
}

/// The body: whole at once when all of it is there and small, else streamed at the reader's pace; a problem in its place
/// if nothing of it may leave. Its end waits until what it tells is durable.
/// Errors: those of [`Answer::finish`].
pub async fn send(answer: Answer, encoder: Box<dyn Encoder>) -> Result<Body, Problem> {
    let mut writing = Writing { answer, encoder: Some(encoder), begun: false, batch: None };
    let mut first = writing.piece().await?;
    while first.last.is_none() && writing.answer.is_complete() && first.bytes.len() < PIECE_BYTES {
        let more = writing.piece().await?;
        first.bytes.extend_from_slice(&more.bytes);
        first.last = more.last;
    }
    if let Some(Last::Whole) = first.last {
        writing.answer.finish().await?;
        return Ok(Body::from(first.bytes));
    }
    writing.answer.may_leave().await?;
    Ok(Body::from_stream(async_stream::stream! {
        let mut next = Ok(first);
        loop {
            let piece = match next {
                Ok(piece) => writing.may_leave(piece).await,
                unproven => unproven,
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(problem) => {
                    yield Err(io::Error::other(problem.detail));
                    return;
                }
            };
            if !piece.bytes.is_empty() {
                yield Ok(Bytes::from(piece.bytes));
            }
            match piece.last {
                None => next = writing.piece().await,
                Some(Last::Whole) => return,
                Some(Last::Cut(code)) => {
                    yield Err(io::Error::other(format!("cut: {}", code.name())));
                    return;
                }
            }
        }
    }))
}

impl Writing {
    /// The last look before bytes leave; the end of an answer is confirmed.
    async fn may_leave(&mut self, piece: Piece) -> Result<Piece, Problem> {
        if matches!(piece.last, Some(Last::Whole)) {
            self.answer.finish().await?;
        } else {
            self.answer.may_leave().await?;
        }
        Ok(piece)
    }

    /// The next piece; a problem if nothing may leave any more.
    async fn piece(&mut self) -> Result<Piece, Problem> {
        if self.batch.is_none() {
            match self.answer.next_batch().await {
                Ok(batch) => self.batch = batch.map(|batch| (batch, 0)),
                Err(Halt::Failed(problem)) => return Ok(self.fail(&problem)),
                Err(Halt::Unproven(problem)) => return Err(problem),
            }
        }
        match self.encode().await {
            Ok(piece) => Ok(piece),
            Err(error) => {
                let problem = self.answer.abandon(ErrorCode::Internal, &error).await;
                Ok(self.fail(&problem))
            }
        }
    }

    /// The problem as the end of the answer, if the format has a place for it.
    fn fail(&mut self, problem: &Problem) -> Piece {
        self.batch = None;
        let mut bytes = Vec::new();
        let told = self.encoder.as_mut().map(|encoder| encoder.fail(problem, &mut bytes));
        let last = if told == Some(Failure::Told) { Last::Whole } else { Last::Cut(problem.code) };
        Piece { bytes, last: Some(last) }
    }

    /// Encodes the next rows, or the end.
    async fn encode(&mut self) -> Result<Piece, EncodeError> {
        let Some(encoder) = self.encoder.take() else {
            return Err(EncodeError::Stopped("the encoder failed before".into()));
        };
        let (batch, from) = self.batch.take().map_or((None, 0), |(batch, from)| (Some(batch), from));
        let work = Encoding {
            encoder,
            begin: !std::mem::replace(&mut self.begun, true),
            batch: batch.clone(),
            from,
            rows_changed: self.answer.outcome().and_then(|outcome| outcome.rows_changed),
        };
        let Encoded { encoder, bytes, done } = work.run().await?;
        self.encoder = Some(encoder);
        let next = done?;
        let Some(batch) = batch else {
            self.answer.sent(0, bytes.len());
            return Ok(Piece { bytes, last: Some(Last::Whole) });
        };
        self.answer.sent(next - from, bytes.len());
        self.batch = (next < batch.num_rows()).then_some((batch, next));
        Ok(Piece { bytes, last: None })
    }
}
