//! Each write to the API server as a step; see [`roost_store::step`].

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::http::{Method, Request};
use kube::client::Body;
use roost_store::step::stepped;
use tower::{Layer, Service};

/// Makes steps of the writes of a client.
#[derive(Clone, Copy, Debug)]
pub struct ApiSteps;

impl<S> Layer<S> for ApiSteps {
    type Service = Stepped<S>;

    fn layer(&self, inner: S) -> Stepped<S> {
        Stepped(inner)
    }
}

/// The service with steps.
#[derive(Clone, Debug)]
pub struct Stepped<S>(S);

impl<S> Service<Request<Body>> for Stepped<S>
where
    S: Service<Request<Body>>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.method() == Method::GET {
            return Box::pin(self.0.call(request));
        }
        let subject = format!("{} {}", request.method(), request.uri().path());
        // The layers below send nothing before their future is awaited.
        Box::pin(stepped("write", subject, self.0.call(request)))
    }
}
