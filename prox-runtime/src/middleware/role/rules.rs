//! The table of the roles, for the types of layers: what the expansion of a gateway asks while it compiles. The order at start
//! reads the same rows as values.
//!
//! Each rule is a direct bound of [`step`], since a compiler shows the texts of direct bounds alone. What comes out of a step
//! is there whatever the rules say, so that no error follows from another.

use std::marker::PhantomData;

use super::order::{Entry, Needs};
use super::{
    Admits, Authenticates, Caches, Declares, Identifies, IsRole, KeyedByClient, NeedsIdentity,
    Plain, Preflights, Public, Requires, Role,
};

/// No layer says who may enter.
#[derive(Debug)]
pub struct Open;
/// A layer lets anybody in on purpose.
#[derive(Debug)]
pub struct LetIn;
/// A layer turns away callers who are not known.
#[derive(Debug)]
pub struct Admitted;
/// The caller is known.
#[derive(Debug)]
pub struct Known;
/// Yes, of one of the other questions.
#[derive(Debug)]
pub struct Yes;
/// No.
#[derive(Debug)]
pub struct No;

/// What no role needs. It is here so that no state has a single need: a compiler would take that for the only one possible, and
/// would say that in place of the text of the rule.
#[derive(Debug)]
pub struct Never;

/// What the layers up to a place of a chain have done: who is let in, whether somebody asked who the caller is, and whether
/// there is a cache.
#[derive(Debug)]
pub struct Chain<Entry, Asked, Cached>(PhantomData<(Entry, Asked, Cached)>);

/// Before the first layer.
pub fn open() -> Chain<Open, No, No> {
    Chain(PhantomData)
}

/// The row of a role: what it asks of its place, and what it does.
pub trait Row {
    type SaysWho;
    type Keyed;
    type Preflights;
    type Public;
    type TurnsAway;
    type Entry;
    type Asks;
    type Caches;
}

macro_rules! rows {
    ($($role:ident: $who:ident $keyed:ident $preflights:ident $public:ident $turns:ident => $entry:ident $asks:ident $caches:ident;)*) => {$(
        impl Row for $role {
            type SaysWho = $who;
            type Keyed = $keyed;
            type Preflights = $preflights;
            type Public = $public;
            type TurnsAway = $turns;
            type Entry = $entry;
            type Asks = $asks;
            type Caches = $caches;
        }
    )*

        /// The row of a role as a value, for the order at start.
        pub(super) fn row(role: Role) -> Needs {
            match role {$(
                Role::$role => Needs {
                    says_who: value!($who),
                    keyed: value!($keyed),
                    preflights: value!($preflights),
                    public: value!($public),
                    turns_away: value!($turns),
                    entry: value!($entry),
                    asks: value!($asks),
                    caches: value!($caches),
                },
            )*}
        }
    };
}

/// A cell of a row as a value. [`Keep`] is the lowest entry, which changes none.
macro_rules! value {
    (Yes) => {
        true
    };
    (No) => {
        false
    };
    (Keep) => {
        Entry::Open
    };
    (LetIn) => {
        Entry::Public
    };
    (Admitted) => {
        Entry::Admitted
    };
    (Known) => {
        Entry::Known
    };
}

/// Leaves it as it is.
#[derive(Debug)]
pub struct Keep;

rows! {
    //             needs: who known before-auth no-auth uncached => entry asks caches
    Plain:         No  No  No  No  No  => Keep No No;
    Authenticates: No  No  No  No  Yes => Known Yes No;
    Identifies:    No  No  No  No  No  => Keep Yes No;
    Admits:        No  No  No  No  Yes => Admitted No No;
    Public:        No  No  No  Yes No  => LetIn No No;
    NeedsIdentity: Yes No  No  No  No  => Keep No No;
    Requires:      Yes No  No  No  Yes => Known Yes No;
    KeyedByClient: No  Yes No  No  No  => Keep No No;
    Preflights:    No  No  Yes No  No  => Keep No No;
    Caches:        No  No  No  No  Yes => Keep No Yes;
}

/// What comes of a part of the state.
pub trait Becomes<From> {
    type Next;
}

macro_rules! becomes {
    ($($to:ident: $($from:ident => $next:ident),*;)*) => {$($(
        impl Becomes<$from> for $to {
            type Next = $next;
        }
    )*)*};
}

becomes! {
    Keep: Open => Open, LetIn => LetIn, Admitted => Admitted, Known => Known;
    Known: Open => Known, LetIn => Known, Admitted => Known, Known => Known;
    Admitted: Open => Admitted, LetIn => Admitted, Admitted => Admitted, Known => Known;
    LetIn: Open => LetIn, LetIn => LetIn, Admitted => Admitted, Known => Known;
    Yes: Yes => Yes, No => Yes;
    No: Yes => Yes, No => No;
}

macro_rules! rules {
    ($($(#[$attr:meta])* $rule:ident: $($state:ident $need:ident),*;)*) => {$(
        $(#[$attr])*
        pub trait $rule<Need> {}

        $(
            #[diagnostic::do_not_recommend]
            impl $rule<$need> for $state {}
            #[diagnostic::do_not_recommend]
            impl $rule<(Never, $need)> for $state {}
        )*
    )*};
}

rules! {
    /// Whether a layer has asked who the caller is.
    #[diagnostic::on_unimplemented(
        message = "no authenticator before this layer",
        label = "this layer needs to know the caller",
        note = "add an authenticator before it, in the same list or around it: `with [auth, Require::scope(\"orders\")]`",
        note = "for your own function that rejects callers, write `admits(check_session)`"
    )]
    SaysWho: Yes No, No No, Yes Yes;

    /// Whether those who get here are known.
    #[diagnostic::on_unimplemented(
        message = "a client can avoid this limit by sending a different value with each request",
        label = "the client chooses this key",
        note = "add an authenticator before this layer, or a key that the client cannot choose, such as `client_ip()`"
    )]
    Reaches: Open No, LetIn No, Admitted No, Known No, Known Yes;

    /// Whether a preflight gets here.
    #[diagnostic::on_unimplemented(
        message = "the layers before this one reject preflights, which carry no credentials",
        label = "no preflight reaches this layer",
        note = "write it before the authenticator: `with [Cors::origins([\"https://shop.example.com\"]), auth]`"
    )]
    LetsPreflights: Open No, LetIn No, Admitted No, Known No, Open Yes, LetIn Yes, Admitted Yes;

    /// Whether anybody can get here.
    #[diagnostic::on_unimplemented(
        message = "`public` has no effect after a layer that rejects callers",
        label = "a layer before this one rejects callers",
        note = "remove `public`, or add the authenticator only to the other routes"
    )]
    LetsAnybody: Open No, LetIn No, Admitted No, Known No, Open Yes, LetIn Yes, Admitted Yes;

    /// Whether no cache answers before this place.
    #[diagnostic::on_unimplemented(
        message = "a cache before this layer would answer callers that it rejects",
        label = "this layer comes after a cache",
        note = "move the cache after it"
    )]
    Uncached: Yes No, No No, No Yes;
}

/// A state in which a layer has said who may enter.
#[diagnostic::on_unimplemented(
    message = "this route has no authentication layer",
    label = "required by `require auth` here",
    note = "add an authenticator: `with [auth]`",
    note = "to allow anonymous requests, write `with [public]`; if the upstream authenticates them, write `with [upstream_auth]`",
    note = "for your own function that rejects callers, write `with [admits(check_session)]`"
)]
pub trait Covers {}

#[diagnostic::do_not_recommend]
impl Covers for LetIn {}
#[diagnostic::do_not_recommend]
impl Covers for Admitted {}
#[diagnostic::do_not_recommend]
impl Covers for Known {}

/// The state behind a layer of this role.
#[doc(hidden)]
#[expect(
    clippy::type_complexity,
    reason = "the next state is made of three, each by a rule of its own"
)]
pub fn step<E, A, C, R>(
    _: &Chain<E, A, C>,
    _: PhantomData<R>,
) -> Chain<
    <R::Entry as Becomes<E>>::Next,
    <R::Asks as Becomes<A>>::Next,
    <R::Caches as Becomes<C>>::Next,
>
where
    R: IsRole,
    R::Entry: Becomes<E>,
    R::Asks: Becomes<A>,
    R::Caches: Becomes<C>,
    A: SaysWho<R::SaysWho>,
    E: Reaches<R::Keyed>,
    E: LetsPreflights<R::Preflights>,
    E: LetsAnybody<R::Public>,
    C: Uncached<R::TurnsAway>,
{
    Chain(PhantomData)
}

/// Holds a route under `require auth`.
#[doc(hidden)]
pub fn covered<E: Covers, A, C>(_: &Chain<E, A, C>) {}

/// The type of a layer whose form is erased.
#[derive(Debug)]
#[doc(hidden)]
pub struct Typed<L>(PhantomData<fn() -> L>);

impl<L> Typed<L> {
    /// The type of a layer.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<L> Default for Typed<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Declares> Typed<L> {
    /// The role that the type declares.
    pub fn role(&self) -> PhantomData<L::Role> {
        PhantomData
    }
}

/// The role of every other type. A method of the type itself comes before this one.
#[doc(hidden)]
pub trait Undeclared {
    /// The role of a type that declares none.
    fn role(&self) -> PhantomData<Plain> {
        PhantomData
    }
}

impl<L> Undeclared for Typed<L> {}
