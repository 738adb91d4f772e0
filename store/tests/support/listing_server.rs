//! An S3 endpoint that answers nothing but LIST, as a test wants it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use roost_store::{S3Config, S3Credentials, S3Store};

/// One page as the endpoint sends it.
#[derive(Clone, Default)]
pub struct Page {
    pub keys: Vec<&'static str>,
    /// None: the answer does not say.
    pub truncated: Option<bool>,
    pub next: Option<String>,
}

impl Page {
    pub fn last(keys: &[&'static str]) -> Self {
        Self { keys: keys.to_vec(), truncated: Some(false), next: None }
    }
    pub fn truncated(keys: &[&'static str], next: &str) -> Self {
        Self { keys: keys.to_vec(), truncated: Some(true), next: Some(next.to_owned()) }
    }

    fn xml(&self) -> String {
        let object = |key: &&str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let objects: String = self.keys.iter().map(object).collect();
        let truncated = self.truncated.map(|truncated| format!("<IsTruncated>{truncated}</IsTruncated>"));
        let next =
            self.next.as_ref().map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>tenants</Name>{}{}{objects}</ListBucketResult>",
            truncated.unwrap_or_default(),
            next.unwrap_or_default()
        )
    }
}

/// A store whose every page is what `answer` makes of the request's continuation token.
pub fn listing(answer: impl Fn(Option<&str>) -> Page + Send + Sync + 'static) -> S3Store {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(&connection.unwrap(), &*answer));
        }
    });
    let credentials =
        S3Credentials { access_key_id: "id".into(), secret_access_key: "secret".into(), session_token: None };
    let config = S3Config {
        bucket: "tenants".into(),
        endpoint: Some(endpoint),
        region: "us-east-1".into(),
        path_style: true,
        ca_pem: None,
        credentials,
        timeout: Duration::from_secs(30),
    };
    S3Store::new(&config).unwrap()
}

/// Answers the requests of one connection until the client closes it.
fn serve(connection: &TcpStream, answer: &dyn Fn(Option<&str>) -> Page) {
    let mut lines = BufReader::new(connection).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|header| header.is_ok_and(|header| !header.is_empty())) {}
        let query = request.split(['?', ' ']).nth(2).unwrap_or_default();
        let token = query.split('&').find_map(|part| part.strip_prefix("continuation-token="));
        let body = answer(token).xml();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}", body.len());
        let mut connection = connection;
        if connection.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).is_err() {
            return;
        }
    }
}
