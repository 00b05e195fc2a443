//! The methods that a route can name.
//!
//! ```text
//! GET "/users"          => users,        // HEAD as well
//! POST | PUT "/users"   => writers,
//! "/files"              => files,        // every method
//! ```
//!
//! The methods that IANA has registered are words, and `PURGE` is. Any other method is written in quotes, in upper case:
//!
//! ```text
//! PROPFIND "/files"         => files,
//! "INVALIDATE" "/cache"     => cache,
//! ```
//!
//! A path that is there without the method of the request is answered with `405` and `Allow`.

use super::Word;

/// What an editor knows of the methods. An empty line completes the common ones only, since it leaves out hidden items.
pub(super) mod shown {
    pub use super::{CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE, others::*};
}

macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $(=> #[$hidden:meta])? $name:ident)*) => {$(
        $(#[doc = $doc])+
        ///
        /// ```text
        #[doc = concat!(stringify!($name), " \"/users/{id}\" => users,")]
        /// ```
        $(#[$hidden])?
        pub const $name: Word = Word;
    )*};
}

macro_rules! others {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {
        methods! { $($(#[doc = $doc])+ $name)* }

        mod others {
            use crate::dsl::Word;

            methods! { $($(#[doc = $doc])+ => #[doc(hidden)] $name)* }
        }
    };
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

others! {
    /// Changes who may do what.
    ///
    /// See [RFC 3744, 8.1](https://www.rfc-editor.org/rfc/rfc3744#section-8.1).
    ACL
    /// Adds a name to a resource.
    ///
    /// See [RFC 5842, 4](https://www.rfc-editor.org/rfc/rfc5842#section-4).
    BIND
    /// Ends a change of a version.
    ///
    /// See [RFC 3253, 4.4](https://www.rfc-editor.org/rfc/rfc3253#section-4.4).
    CHECKIN
    /// Begins a change of a version.
    ///
    /// See [RFC 3253, 4.3](https://www.rfc-editor.org/rfc/rfc3253#section-4.3).
    CHECKOUT
    /// Copies to the address in `Destination`.
    ///
    /// See [RFC 4918, 9.8](https://www.rfc-editor.org/rfc/rfc4918#section-9.8).
    COPY
    /// Names a version.
    ///
    /// See [RFC 3253, 8.2](https://www.rfc-editor.org/rfc/rfc3253#section-8.2).
    LABEL
    /// Links two resources.
    ///
    /// See [RFC 2068, 19.6.1.2](https://www.rfc-editor.org/rfc/rfc2068#section-19.6.1.2).
    LINK
    /// Locks against changes of others.
    ///
    /// See [RFC 4918, 9.10](https://www.rfc-editor.org/rfc/rfc4918#section-9.10).
    LOCK
    /// Merges versions.
    ///
    /// See [RFC 3253, 11.2](https://www.rfc-editor.org/rfc/rfc3253#section-11.2).
    MERGE
    /// Makes an activity.
    ///
    /// See [RFC 3253, 13.5](https://www.rfc-editor.org/rfc/rfc3253#section-13.5).
    MKACTIVITY
    /// Makes a calendar.
    ///
    /// See [RFC 4791, 5.3.1](https://www.rfc-editor.org/rfc/rfc4791#section-5.3.1).
    MKCALENDAR
    /// Makes a collection.
    ///
    /// See [RFC 4918, 9.3](https://www.rfc-editor.org/rfc/rfc4918#section-9.3).
    MKCOL
    /// Makes a redirect.
    ///
    /// See [RFC 4437, 6](https://www.rfc-editor.org/rfc/rfc4437#section-6).
    MKREDIRECTREF
    /// Makes a workspace.
    ///
    /// See [RFC 3253, 6.3](https://www.rfc-editor.org/rfc/rfc3253#section-6.3).
    MKWORKSPACE
    /// Moves to the address in `Destination`.
    ///
    /// See [RFC 4918, 9.9](https://www.rfc-editor.org/rfc/rfc4918#section-9.9).
    MOVE
    /// Orders a collection.
    ///
    /// See [RFC 3648, 7](https://www.rfc-editor.org/rfc/rfc3648#section-7).
    ORDERPATCH
    /// Reads properties. Safe and idempotent.
    ///
    /// See [RFC 4918, 9.1](https://www.rfc-editor.org/rfc/rfc4918#section-9.1).
    PROPFIND
    /// Changes properties.
    ///
    /// See [RFC 4918, 9.2](https://www.rfc-editor.org/rfc/rfc4918#section-9.2).
    PROPPATCH
    /// Removes from a cache. It is not registered, and many caches know it.
    PURGE
    /// Asks with a body. Safe and idempotent.
    ///
    /// See [draft-ietf-httpbis-safe-method-w-body](https://datatracker.ietf.org/doc/draft-ietf-httpbis-safe-method-w-body/).
    QUERY
    /// Moves a name of a resource.
    ///
    /// See [RFC 5842, 6](https://www.rfc-editor.org/rfc/rfc5842#section-6).
    REBIND
    /// Asks for a report. Safe and idempotent.
    ///
    /// See [RFC 3253, 3.6](https://www.rfc-editor.org/rfc/rfc3253#section-3.6).
    REPORT
    /// Searches. Safe and idempotent.
    ///
    /// See [RFC 5323, 2](https://www.rfc-editor.org/rfc/rfc5323#section-2).
    SEARCH
    /// Removes a name of a resource.
    ///
    /// See [RFC 5842, 5](https://www.rfc-editor.org/rfc/rfc5842#section-5).
    UNBIND
    /// Drops a change of a version.
    ///
    /// See [RFC 3253, 4.5](https://www.rfc-editor.org/rfc/rfc3253#section-4.5).
    UNCHECKOUT
    /// Removes a link.
    ///
    /// See [RFC 2068, 19.6.1.3](https://www.rfc-editor.org/rfc/rfc2068#section-19.6.1.3).
    UNLINK
    /// Removes a lock.
    ///
    /// See [RFC 4918, 9.11](https://www.rfc-editor.org/rfc/rfc4918#section-9.11).
    UNLOCK
    /// Changes to another version.
    ///
    /// See [RFC 3253, 7.1](https://www.rfc-editor.org/rfc/rfc3253#section-7.1).
    UPDATE
    /// Changes a redirect.
    ///
    /// See [RFC 4437, 7](https://www.rfc-editor.org/rfc/rfc4437#section-7).
    UPDATEREDIRECTREF
}
