//! An answer on its way out, in pieces of bytes: when each may leave, whatever protocol writes them.

use super::answer::Answer;
use roost_protocol::problem::{ErrorCode, Problem};

/// Bytes of an answer.
pub struct Piece {
    /// The bytes; none if there is only an end to tell.
    pub bytes: Vec<u8>,
    /// None: more follows.
    pub last: Option<Last>,
}

/// End of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The transfer ends as it should.
    Whole,
    /// The transfer is cut, so that nobody takes it for whole.
    Cut(ErrorCode),
}

/// A protocol's way of writing an answer.
pub trait Writing: Send {
    /// The next piece; a problem if nothing may leave any more.
    /// Errors: `storage-unreachable`, `fenced`, `outcome-unknown`.
    fn piece(&mut self, answer: &mut Answer) -> impl Future<Output = Result<Piece, Problem>> + Send;
}

/// The beginning of an answer that may leave.
pub enum Begun<W> {
    /// All of it: it is confirmed.
    Whole(Vec<u8>),
    /// The rest follows at the reader's pace.
    Streamed(Box<Outgoing<W>>),
}

/// An answer of which pieces leave one after the other. Dropping it before its end stops the query.
pub struct Outgoing<W> {
    answer: Answer,
    writing: W,
    first: Option<Piece>,
}

impl<W: Writing> Outgoing<W> {
    /// Begins to write an answer. What is there without waiting is put together until it has this many bytes.
    /// Errors: those of [`Answer::finish`].
    pub async fn begin(mut answer: Answer, mut writing: W, bytes: usize) -> Result<Begun<W>, Problem> {
        let mut first = writing.piece(&mut answer).await?;
        while first.last.is_none() && answer.is_complete() && first.bytes.len() < bytes {
            let more = writing.piece(&mut answer).await?;
            first.bytes.extend_from_slice(&more.bytes);
            first.last = more.last;
        }
        let first = confirmed(&mut answer, first).await?;
        Ok(match first.last {
            Some(Last::Whole) => Begun::Whole(first.bytes),
            _ => Begun::Streamed(Box::new(Self { answer, writing, first: Some(first) })),
        })
    }

    /// The next piece, which may leave now.
    /// Errors: those of [`Answer::finish`].
    pub async fn next(&mut self) -> Result<Piece, Problem> {
        let piece = match self.first.take() {
            Some(first) => first,
            None => self.writing.piece(&mut self.answer).await?,
        };
        confirmed(&mut self.answer, piece).await
    }
}

/// The last look before bytes leave; the end of an answer waits until what it tells is durable.
async fn confirmed(answer: &mut Answer, piece: Piece) -> Result<Piece, Problem> {
    match piece.last {
        Some(Last::Whole) => answer.finish().await?,
        _ => answer.may_leave().await?,
    }
    Ok(piece)
}
