//! Handlers that are erased or shared, as targets.

use std::sync::Arc;

use prox::{BoxHandler, Handler, IntoResponse, Request, Response};

pub struct Version(&'static str);

impl Handler for Version {
    async fn call(&self, _: Request) -> Response {
        self.0.into_response()
    }
}

prox::gateway! {
    pub struct Shop { erased: BoxHandler, shared: Arc<Version>, boxed: Box<Version> }

    "/a" => erased.clone(),
    "/b" => erased,
    "/c" => shared.clone(),
    "/d" => split { 1 => shared, 2 => boxed },
}

fn generic(shared: Arc<impl Handler>) -> prox::Result<prox::Gateway> {
    prox::gateway! { "/" => shared }
}

fn main() -> prox::Result {
    generic(Arc::new(Version("2")))?;
    Shop::new(
        BoxHandler::new(Version("1")),
        Arc::new(Version("1")),
        Box::new(Version("1")),
    )
    .map(drop)
}
