//! The words that can stand at each place of a gateway: what the expansion names, so that an editor completes from it.
//!
//! A `__hole` stands where a word could be typed and is not there yet; it is hidden, and so never offered.

#![allow(
    non_upper_case_globals,
    reason = "these are the words as they are written"
)]

/// Everything that is in scope where the macro takes an expression.
pub mod scope {
    pub use crate::dsl::{
        Duration, Endpoint, Host, Weighted, admits, claim, client_ip, cluster, cookie, dns,
        gateway, handler, hash, header, least_conn, p2c, principal, public, query, random,
        redirect, respond, rr, service, srv, upstream_auth, weighted,
    };
}

/// The endpoints of a list, of whatever types they are.
pub fn endpoints<T>(_: T) -> [crate::Endpoint; 0] {
    []
}

/// What stands for a split: its options are the methods of this.
pub fn shares() -> crate::__private::Split {
    crate::__private::Split::new()
}

macro_rules! places {
    ($($(#[$doc:meta])* $place:ident { $($words:tt)* })*) => {$(
        $(#[$doc])*
        pub mod $place {
            $($words)*

            #[doc(hidden)]
            pub const __hole: crate::dsl::Word = crate::dsl::Word;
        }
    )*};
}

places! {
    /// The start of a line at the top level.
    top {
        pub use crate::dsl::{item::*, method::shown::*};
    }
    /// The start of a line in the block of a listener.
    listener {
        pub use crate::dsl::{item::{exact, host, require, with}, method::shown::*};
    }
    /// The start of a line in a host or a scope.
    inner {
        pub use crate::dsl::{item::{exact, require, with}, method::shown::*};
    }
    /// Behind `|` or `expect`.
    method {
        pub use crate::dsl::method::shown::*;
    }
    /// Between the methods and the path.
    path {
        pub use crate::dsl::item::exact;
    }
    /// Behind a host, a path or a target.
    layers {
        pub use crate::dsl::item::with;
    }
    /// Behind `=>`, beside the backends, which the expansion adds.
    target {
        pub use crate::dsl::target::*;
    }
    /// Behind `if`.
    guard {
        pub use crate::dsl::guard::*;
    }
    /// Words of Rust, which are only shown.
    keyword {
        pub use crate::dsl::guard::r#if;
    }
    /// The first thing in `cluster(..)`.
    policy {
        pub use crate::dsl::policy::words::*;
    }
    /// The first thing in `.health(..)`. Elsewhere they are words only where they are called: as names they are too common.
    health {
        pub use crate::dsl::health::*;
    }
    /// Behind `require`.
    required {
        /// Who may enter: the only thing that can be required.
        pub const auth: crate::dsl::Word = crate::dsl::Word;
    }
    /// In `with [..]`, by itself.
    layer {
        pub use crate::dsl::layer::{public, upstream_auth};
    }
    /// The outcome of an `expect`, beside the backends.
    outcome {}
}
