//! Answers as they come: back-pressure, cut bodies, clients that leave.

use crate::{
    client::Call,
    harness::{PATIENCE, Setting, eventually, route},
    peer::{Answer, BoxFuture, Seen},
};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

const CHUNK: usize = 64 * 1024;
/// Bytes that the kernel's socket buffers may hold on the two hops, and the processes' own buffers.
const IN_FLIGHT_BOUND: u64 = 48 * 1024 * 1024;
const TOTAL: u64 = 192 * 1024 * 1024;

fn streamed(chunks: impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static) -> Answer {
    let body = StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync();
    Ok(Response::builder().status(200).header("content-type", "application/x-ndjson").body(body).unwrap())
}

/// Says when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_runtime_back() {
    let setting = Setting::new();
    let sent = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&sent);
    let script = move |_: Seen, _: usize| -> BoxFuture<Answer> {
        let counting = Arc::clone(&counting);
        let chunks = stream::iter(0..TOTAL / CHUNK as u64).map(move |number| {
            counting.fetch_add(CHUNK as u64, Ordering::SeqCst);
            Ok(Bytes::from(vec![u8::try_from(number % 251).unwrap(); CHUNK]))
        });
        async { streamed(chunks) }.boxed()
    };
    let runtime = setting.runtime("rt-1", script).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let mut begun = Call::query("SELECT 1").token("alice-token").begin(gateway.address).await;
    assert_eq!(begun.status, 200);
    let first = begun.body.frame().await.unwrap().unwrap().into_data().unwrap();
    // The client stops reading: what is under way comes to rest.
    let mut last = u64::MAX;
    let mut still = 0;
    eventually("the stream comes to rest", || {
        let now = sent.load(Ordering::SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        still > 30
    })
    .await;
    assert!(last < IN_FLIGHT_BOUND, "{last} bytes were sent to a client that does not read");
    // Then the rest arrives intact.
    let mut received = first.len() as u64;
    let check = |offset: u64, data: &Bytes| {
        let expected = |at: u64| u8::try_from(at / CHUNK as u64 % 251).unwrap();
        assert_eq!(data[0], expected(offset));
        assert_eq!(data[data.len() - 1], expected(offset + data.len() as u64 - 1));
    };
    check(0, &first);
    timeout(PATIENCE, async {
        while let Some(frame) = begun.body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            check(received, &data);
            received += data.len() as u64;
        }
    })
    .await
    .unwrap();
    assert_eq!(received, TOTAL);
}

#[tokio::test]
async fn a_cut_answer_stays_cut() {
    let setting = Setting::new();
    for length in [None, Some(100)] {
        let gate = Arc::new(Semaphore::new(0));
        let opening = Arc::clone(&gate);
        let script = move |_: Seen, _: usize| -> BoxFuture<Answer> {
            let gate = Arc::clone(&gate);
            let cut = stream::once(async move {
                gate.acquire().await.unwrap().forget();
                Err(io::Error::other("cut"))
            });
            let chunks = stream::iter([Ok(Bytes::from_static(b"a,b\n1,"))]).chain(cut);
            async move {
                let mut response = streamed(chunks)?;
                if let Some(length) = length {
                    response.headers_mut().insert("content-length", length.into());
                }
                Ok(response)
            }
            .boxed()
        };
        let runtime = setting.runtime("rt-1", script).await;
        let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
        let gateway = setting.gateway(&[operator.address], &[]).await;
        // Read from the socket itself: whether the end of the answer is there is a matter of its last bytes.
        let request = "POST /v1/namespaces/shop/tenants/acme/query HTTP/1.1\r\nhost: g\r\n\
                       authorization: Bearer alice-token\r\ncontent-length: 2\r\n\r\n{}";
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let reading = async {
            while !received.ends_with(b"a,b\n1,") && !received.ends_with(b"a,b\n1,\r\n") {
                assert_ne!(client.read_buf(&mut received).await.unwrap(), 0, "the answer begins");
            }
            opening.add_permits(1);
            // However the connection ends, it ends.
            while client.read_buf(&mut received).await.is_ok_and(|read| read > 0) {}
        };
        timeout(PATIENCE, reading).await.unwrap();
        let received = String::from_utf8(received).unwrap();
        let (head, body) = received.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(head.contains("content-length: 100"), length.is_some(), "{head}");
        assert_eq!(
            body.trim_end(),
            if length.is_some() { "a,b\n1," } else { "6\r\na,b\n1," },
            "no final chunk"
        );
        eventually("the audit says so", || {
            gateway.gateway.metrics.render().unwrap().contains("outcome=\"cut-by-runtime\"} 1")
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_query_with_it() {
    let setting = Setting::new();
    let (running, streaming) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let flags = (Arc::clone(&running), Arc::clone(&streaming));
    let script = move |seen: Seen, _: usize| -> BoxFuture<Answer> {
        if seen.body.starts_with(b"{\"sql\":\"run") {
            let flag = Flag(Arc::clone(&flags.0));
            return async move {
                let _flag = flag;
                futures::future::pending().await
            }
            .boxed();
        }
        let flag = Flag(Arc::clone(&flags.1));
        let chunks = stream::once(async { Ok(Bytes::from_static(b"first")) })
            .chain(stream::pending())
            .inspect(move |_| {
                let _ = &flag;
            });
        async { streamed(chunks) }.boxed()
    };
    let runtime = setting.runtime("rt-1", script).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;

    // While the query runs and nothing came back.
    let call = Call::query("run").token("alice-token").begin(gateway.address);
    tokio::select! {
        _ = call => panic!("an answer"),
        () = eventually("the query runs", || runtime.seen().len() == 1) => {}
    }
    eventually("the running query is dropped", || running.load(Ordering::SeqCst)).await;

    // While the answer streams.
    let mut begun = Call::query("stream").token("alice-token").begin(gateway.address).await;
    assert_eq!(begun.body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    drop(begun);
    eventually("the streaming query is dropped", || streaming.load(Ordering::SeqCst)).await;
    eventually("both are counted", || {
        gateway.gateway.metrics.render().unwrap().contains("outcome=\"client-left\"} 2")
    })
    .await;
}
