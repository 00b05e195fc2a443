//! What a layer does to the question who may enter: the roles of layers, and the order that they can have.
//!
//! The type of a layer has a role by [`Declares`]; a gateway that is written with the macro is checked by these types while it
//! compiles. A layer says the same to a gateway that starts, by [`About::role`](super::About::role), for layers whose types are
//! erased. `role/order.rs` holds the rules of both.

pub(crate) mod order;
mod rules;

pub use self::rules::{
    Chain, Covers, LetsAnybody, LetsPreflights, Reaches, SaysWho, Typed, Uncached, Undeclared,
    covered, open, step,
};

/// A layer whose type says what it does to the question who may enter.
///
/// A type without it is [`Plain`], as are closures, functions, tower's layers and a [`Layer`](super::Layer) whose type is erased.
/// Every [`Authenticate`](crate::auth::Authenticate) is [`Authenticates`] without more.
///
/// Say the same in [`Middleware::about`](super::Middleware::about), for gateways that are written by hand.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Middleware, Next, Request, Response, middleware::{About, Declares, Role, role}};
///
/// /// Turns away everybody at night.
/// struct OpeningHours;
///
/// impl Middleware for OpeningHours {
///     async fn handle(&self, req: Request, next: Next) -> Response {
///         next.run(req).await
///     }
///
///     fn about(&self, about: &mut About) {
///         about.role(Role::Admits);
///     }
/// }
///
/// impl Declares for OpeningHours {
///     type Role = role::Admits;
/// }
/// ```
pub trait Declares {
    /// One of the types of this module.
    type Role: IsRole;
}

/// What a layer does to the question who may enter, as a value; see the types of the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// See [`Plain`].
    #[default]
    Plain,
    /// See [`Authenticates`].
    Authenticates,
    /// See [`Identifies`].
    Identifies,
    /// See [`Admits`].
    Admits,
    /// See [`Public`].
    Public,
    /// See [`NeedsIdentity`].
    NeedsIdentity,
    /// See [`Requires`].
    Requires,
    /// See [`KeyedByClient`].
    KeyedByClient,
    /// See [`Preflights`].
    Preflights,
    /// See [`Caches`].
    Caches,
}

/// One of the roles, as a type. It is sealed.
pub trait IsRole: rules::Row {
    /// The same as a value.
    const ROLE: Role;
}

macro_rules! roles {
    ($($(#[$doc:meta])+ $name:ident)*) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $name(());

        impl IsRole for $name {
            const ROLE: Role = Role::$name;
        }
    )*};
}

roles! {
    /// Says nothing of who may enter.
    Plain
    /// Says who the caller is, and turns away callers who do not prove it.
    Authenticates
    /// Says who the caller is if it proves that, and lets others pass: [`Optional`](crate::auth::Optional).
    Identifies
    /// Turns callers away by something else than who they are, such as their address.
    Admits
    /// Lets anybody in, on purpose: the word `public`.
    Public
    /// Uses who the caller is. A layer before it has to find that out.
    NeedsIdentity
    /// Turns callers away by who they are, and callers who have not proved who they are: [`Require`](crate::auth::Require).
    Requires
    /// Keeps something for each value that a client can choose freely. A layer before it has to turn strangers away.
    KeyedByClient
    /// Answers preflights of CORS, which carry no credentials. So no layer before it may authenticate.
    Preflights
    /// Answers from a store. So no layer behind it may turn callers away.
    Caches
}

/// Gives a layer the role that its type declares. A type that declares none leaves it as it is.
#[doc(hidden)]
pub fn declared<R: IsRole>(layer: super::Layer, _: std::marker::PhantomData<R>) -> super::Layer {
    match R::ROLE {
        Role::Plain => layer,
        role => layer.with_role(role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_a_type_is_that_of_its_value() {
        assert_eq!(<Plain as IsRole>::ROLE, Role::default());
        assert_eq!(<Requires as IsRole>::ROLE, Role::Requires);
    }
}
