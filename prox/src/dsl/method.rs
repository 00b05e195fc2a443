//! The methods that a route can name.
//!
//! ```text
//! GET "/users"          => users,        // HEAD as well
//! POST | PUT "/users"   => writers,
//! "/files"              => files,        // every method
//! ```
//!
//! A path that is there without the method of the request is answered with `405` and `Allow`.

use super::Word;

macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {$(
        $(#[doc = $doc])+
        ///
        /// ```text
        #[doc = concat!(stringify!($name), " \"/users/{id}\" => users,")]
        /// ```
        pub const $name: Word = Word;
    )*};
}

methods! {
    /// Reads. A route that names it takes `HEAD` as well, unless a route of the same path names that.
    ///
    /// Safe and idempotent ([RFC 9110, 9.3.1](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1)).
    GET
    /// Reads without the body. Only needed where it differs from `GET`, which brings it.
    ///
    /// Safe and idempotent ([RFC 9110, 9.3.2](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2)).
    HEAD
    /// Acts. It is never sent twice once a byte of it has left.
    ///
    /// Neither safe nor idempotent ([RFC 9110, 9.3.3](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.3)).
    POST
    /// Replaces.
    ///
    /// Idempotent ([RFC 9110, 9.3.4](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.4)).
    PUT
    /// Deletes.
    ///
    /// Idempotent ([RFC 9110, 9.3.5](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.5)).
    DELETE
    /// Asks for a tunnel.
    ///
    /// See [RFC 9110, 9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6).
    CONNECT
    /// Asks what can be done, as browsers do before a request to another origin.
    ///
    /// Safe and idempotent ([RFC 9110, 9.3.7](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7)).
    OPTIONS
    /// Asks for the request back.
    ///
    /// Safe and idempotent ([RFC 9110, 9.3.8](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.8)).
    TRACE
    /// Changes a part.
    ///
    /// Neither safe nor idempotent ([RFC 5789](https://www.rfc-editor.org/rfc/rfc5789)).
    PATCH
}
