//! One piece of a result, from rows to bytes.

use crate::encode::{EncodeError, Encoder};
use arrow_array::RecordBatch;

/// Bytes after which a piece of a result is handed to the connection; a single row may exceed it.
pub const PIECE_BYTES: usize = 128 * 1024;
/// Batches of at most this many bytes are encoded where they are: handing them to another thread would take longer.
const SMALL_BATCH_BYTES: usize = 16 * 1024;

/// Rows, or the end of a result, to be encoded.
pub struct Encoding {
    /// The encoder; it is given back.
    pub encoder: Box<dyn Encoder>,
    /// Nothing of the result was encoded before.
    pub begin: bool,
    /// The rows; none: the end.
    pub batch: Option<RecordBatch>,
    /// The first row that was not encoded before.
    pub from: usize,
    /// Rows that the statement changed, for the end.
    pub rows_changed: Option<u64>,
}

/// The outcome of an [`Encoding`].
pub struct Encoded {
    /// The encoder, given back.
    pub encoder: Box<dyn Encoder>,
    /// Encoded bytes, about [`PIECE_BYTES`] at most.
    pub bytes: Vec<u8>,
    /// The first row that is not encoded now.
    pub done: Result<usize, EncodeError>,
}

impl Encoding {
    /// Encodes; what is large away from the async threads.
    ///
    /// # Errors
    /// When the encoder is lost. What it says itself is in [`Encoded::done`].
    #[allow(
        clippy::disallowed_methods,
        reason = "encoding a large batch takes long; nothing of the protocol waits in it"
    )]
    pub async fn run(self) -> Result<Encoded, EncodeError> {
        if self.is_small() {
            return Ok(self.encode(Vec::new()));
        }
        let work = tokio::task::spawn_blocking(|| self.encode(Vec::with_capacity(PIECE_BYTES)));
        work.await.map_err(|stopped| EncodeError::Stopped(stopped.to_string()))
    }

    fn is_small(&self) -> bool {
        self.batch.as_ref().is_none_or(|batch| batch.get_array_memory_size() <= SMALL_BATCH_BYTES)
    }

    fn encode(mut self, mut bytes: Vec<u8>) -> Encoded {
        let done = self.encode_into(&mut bytes);
        Encoded { encoder: self.encoder, bytes, done }
    }

    fn encode_into(&mut self, bytes: &mut Vec<u8>) -> Result<usize, EncodeError> {
        if self.begin {
            self.encoder.begin(bytes)?;
        }
        match &self.batch {
            None => self.encoder.end(self.rows_changed, bytes).map(|()| 0),
            Some(batch) => self.encoder.rows(batch, self.from, PIECE_BYTES, bytes),
        }
    }
}
