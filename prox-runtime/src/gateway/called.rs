//! Functions that are no handlers, and calls where the name of a function was meant: `handler(hello())`, `with [auth()]`.
//!
//! A call may well return what is wanted, so only the type can tell. What the macro writes takes the first method of a name
//! that fits: the inherent one, of which the type has to be right, or that of a trait for every type, behind a reference. The
//! second has a bound that nothing meets, which is the message, and a result of the right type, so that nothing else is said.

use std::future::Ready;

use crate::{
    handler::{Request, Response},
    middleware::Next,
};

/// A function that is called without arguments.
#[doc(hidden)]
#[derive(Debug)]
pub struct Called<F>(pub F);

impl<F, T> Called<F>
where
    F: FnOnce() -> T,
{
    /// Calls it.
    pub fn function(self) -> T {
        (self.0)()
    }

    /// Calls it.
    pub fn layer(self) -> T {
        (self.0)()
    }
}

/// What a call returned that stands in `handler(..)`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Returned<T>(pub T);

impl<T, Fut> Returned<T>
where
    T: Fn(Request) -> Fut,
{
    /// The function, which is one.
    pub fn answering(self) -> T {
        self.0
    }
}

/// What is named in `handler(..)`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<T, Fut> Named<T>
where
    T: Fn(Request) -> Fut,
{
    /// The function, which is one that takes a request.
    pub fn answering(self) -> T {
        self.0
    }
}

/// A handler that is called.
#[doc(hidden)]
pub trait CalledHandler: Sized {
    /// What is called.
    type Function;

    /// Something of the right type.
    fn function(self) -> fn(Request) -> Ready<Response>
    where
        Self::Function: HandlerByName,
    {
        unreachable!("this does not compile")
    }
}

impl<F> CalledHandler for &Called<F> {
    type Function = F;
}

/// A layer that is called.
#[doc(hidden)]
pub trait CalledLayer: Sized {
    /// What is called.
    type Function;

    /// Something of the right type.
    fn layer(self) -> fn(Request, Next) -> Ready<Response>
    where
        Self::Function: LayerByName,
    {
        unreachable!("this does not compile")
    }
}

impl<F> CalledLayer for &Called<F> {
    type Function = F;
}

/// Any other value than a function that answers requests.
#[doc(hidden)]
pub trait ReturnedOther: Sized {
    /// What was returned.
    type Value;

    /// Something of the right type.
    fn answering(self) -> fn(Request) -> Ready<Response>
    where
        Self::Value: AnswersRequests,
    {
        unreachable!("this does not compile")
    }
}

impl<T> ReturnedOther for &Returned<T> {
    type Value = T;
}

/// Any other value than a function that takes a request.
#[doc(hidden)]
pub trait NamedOther: Sized {
    /// What is named.
    type Value;

    /// Something of the right type.
    fn answering(self) -> fn(Request) -> Ready<Response>
    where
        Self::Value: TakesRequests,
    {
        unreachable!("this does not compile")
    }
}

impl<T> NamedOther for &Named<T> {
    type Value = T;
}

/// What nothing is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a handler must take exactly one argument, a `prox::Request`",
    label = "this is `{Self}`",
    note = "a handler is an `async fn hello(req: prox::Request) -> impl prox::IntoResponse`; `req.param(\"id\")` reads a parameter of the path",
    note = "a value whose type implements `prox::Handler` is a target by itself, without `handler(..)`"
)]
pub trait TakesRequests {}

/// What nothing is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this function expects arguments, but is called without any",
    label = "write only its name",
    note = "a handler is named, and the gateway calls it: `handler(hello)`, not `handler(hello())`"
)]
pub trait HandlerByName {}

/// What nothing is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this function expects arguments, but is called without any",
    label = "write only its name, or pass its arguments",
    note = "an async function is a layer by its name, and the gateway calls it: `with [auth]`, not `with [auth()]`"
)]
pub trait LayerByName {}

/// What nothing is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "expected a handler, found the value of a call",
    label = "this is `{Self}`",
    note = "a handler is named, and the gateway calls it: `handler(hello)`, not `handler(hello())`",
    note = "it is an `async fn hello(req: prox::Request) -> impl prox::IntoResponse`, or a call that returns such a function",
    note = "a value whose type implements `prox::Handler` is a target by itself, without `handler(..)`"
)]
pub trait AnswersRequests {}
