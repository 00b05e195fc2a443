//! Panics of guards, layers, handlers and policies, which cost one request.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{error::Failure, handler::Response, observe::panics::caught, respond};

pin_project! {
    /// An answer, or that of the failure table when what makes it panics.
    pub(super) struct Caught<'a, F> {
        #[pin]
        answer: Option<F>,
        grpc: &'a AtomicBool,
    }
}

impl<'a, F> Caught<'a, F> {
    /// `grpc` says whether the request is one of gRPC, as soon as that is known.
    pub(super) fn new(answer: F, grpc: &'a AtomicBool) -> Self {
        Self {
            answer: Some(answer),
            grpc,
        }
    }
}

impl<F: Future<Output = Response>> Future for Caught<'_, F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut this = self.project();
        if let Some(answer) = this.answer.as_mut().as_pin_mut()
            && let Some(polled) = caught(|| answer.poll(cx))
        {
            return polled;
        }
        // What is left of it may panic once more while it is dropped.
        let _ = caught(|| this.answer.set(None));
        Poll::Ready(respond::failure(Failure::Panicked, this.grpc.load(Relaxed)))
    }
}
