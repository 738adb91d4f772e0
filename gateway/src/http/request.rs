//! Reading bodies into memory, within bounds.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use roost_protocol::{
    problem::{ErrorCode, Problem},
    query::MAX_QUERY_BODY_BYTES,
};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Larger than its limit.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection broke.
    #[error("the body broke off: {0}")]
    Broken(Box<dyn Error + Send + Sync>),
}

/// Reads a whole body of at most `most` bytes.
pub async fn read_bounded<B>(mut body: B, most: usize) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| ReadError::Broken(error.into()))?.into_data() else { continue };
        if read.len() + data.len() > most {
            return Err(ReadError::TooLarge(most));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// A request's body in memory, counted against all such bodies while it lives.
#[derive(Debug)]
pub struct BufferedBody {
    /// The body.
    pub bytes: Bytes,
    _counted: Option<OwnedSemaphorePermit>,
}

/// Room for request bodies: they are kept until an answer begins, since a request may have to be sent again.
#[derive(Clone, Debug)]
pub struct BodyBuffer {
    room: Arc<Semaphore>,
    patience: Duration,
}

impl BodyBuffer {
    /// Room for `bytes` in all; each body must arrive within `patience`.
    pub fn new(bytes: u32, patience: Duration) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes as usize)), patience }
    }

    /// Reads a request's body of at most [`MAX_QUERY_BODY_BYTES`].
    pub async fn read<B>(&self, body: B) -> Result<BufferedBody, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        if body.size_hint().lower() > MAX_QUERY_BODY_BYTES as u64 {
            return Err(too_large());
        }
        timeout(self.patience, self.read_counted(body)).await.unwrap_or_else(|_| {
            let detail = format!("the request's body did not arrive within {:?}", self.patience);
            Err(Problem::new(ErrorCode::BadRequest, detail))
        })
    }

    async fn read_counted<B>(&self, mut body: B) -> Result<BufferedBody, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut read = BytesMut::new();
        let mut counted: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Problem::new(ErrorCode::BadRequest, format!("the request's body broke off: {error}"))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > MAX_QUERY_BODY_BYTES {
                return Err(too_large());
            }
            // At most MAX_QUERY_BODY_BYTES, as just checked.
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.room).try_acquire_many_owned(size).map_err(|_| {
                Problem::new(ErrorCode::Busy, "too many large requests are being received").retry_after(1)
            })?;
            match &mut counted {
                Some(counted) => counted.merge(permit),
                None => counted = Some(permit),
            }
            read.extend_from_slice(&data);
        }
        Ok(BufferedBody { bytes: read.freeze(), _counted: counted })
    }
}

fn too_large() -> Problem {
    Problem::new(
        ErrorCode::TooLarge,
        format!(
            "the request's body is larger than {MAX_QUERY_BODY_BYTES} bytes: load data in several requests"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    fn chunks(count: usize, size: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(stream::iter((0..count).map(move |_| Ok(Frame::data(Bytes::from(vec![0; size]))))))
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_bounded() {
        let buffer = BodyBuffer::new(20 * 1024 * 1024, Duration::from_secs(10));
        let code = |result: Result<BufferedBody, Problem>| result.err().map(|problem| problem.code);
        assert_eq!(code(buffer.read(chunks(16, 1024 * 1024)).await), None);
        assert_eq!(code(buffer.read(chunks(17, 1024 * 1024)).await), Some(ErrorCode::TooLarge));
        let large = Full::new(Bytes::from(vec![0; MAX_QUERY_BODY_BYTES + 1]));
        assert_eq!(code(buffer.read(large).await), Some(ErrorCode::TooLarge));
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(code(buffer.read(never).await), Some(ErrorCode::BadRequest));
        // Together they are bounded too, and make room when dropped.
        let held = buffer.read(chunks(16, 1024 * 1024)).await.unwrap();
        assert_eq!(code(buffer.read(chunks(5, 1024 * 1024)).await), Some(ErrorCode::Busy));
        drop(held);
        assert_eq!(code(buffer.read(chunks(5, 1024 * 1024)).await), None);
    }
}
