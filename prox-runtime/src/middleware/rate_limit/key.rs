//! What tells the requests of one bucket from those of another.

use std::{net::IpAddr, sync::Arc};

use crate::{
    client::{Client, NETWORK},
    handler::Parts,
    identity::Principal,
    limits::{Key, KeyWriter, Salt},
    middleware::{
        About,
        role::{self, IsRole, Role},
        steps::Head,
    },
    route::{ClientIp, RequestExt, RequestKey, RouteInfo, names},
};

/// What [`RateLimit::by`](super::RateLimit::by) and [`InFlight::by`](crate::middleware::InFlight::by) take: each value of a key has
/// a bucket of its own.
///
/// | key | a bucket for each |
/// |---|---|
/// | [`client_ip()`](crate::client_ip) | address of a client; IPv6 addresses count by their network, see [`ClientIp::ipv6`] |
/// | [`param("tenant")`](param) | text of a parameter of the path |
/// | [`route()`](route) | route |
/// | [`principal()`](crate::auth::principal) | caller, behind a layer that says who it is |
/// | [`claim("tenant")`](crate::auth::claim) | value of a claim of the caller |
/// | [`header("x-key")`](crate::header()), [`cookie(..)`](crate::cookie), [`query(..)`](crate::query) | value, behind a layer that turns strangers away: a client can send another value with each request |
/// | `Fn(&Parts) -> Option<String>` | text, or number: anything that is `Into<Option<T>>` with `T: AsRef<[u8]>` |
/// | `(a, b)`, `(a, b, c)`, `(a, b, c, d)` | combination |
///
/// Requests without the part share a bucket. So a client that leaves it out gains nothing. One value has one bucket, however a client
/// writes it: parameters and queries are decoded, quotes around a cookie and spaces around a field do not count.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of a limit",
    label = "this does not distinguish requests",
    note = "a key is `client_ip()`, `principal()`, `claim(\"name\")`, `param(\"name\")`, `route()`, `header(\"name\")`, `cookie(\"name\")`, `query(\"name\")`, a `Fn(&prox::Parts) -> Option<String>`, or a tuple of these"
)]
pub trait LimitKey: Send + Sync + 'static {
    /// What the key needs of the layers before its limit.
    #[doc(hidden)]
    type Role: KeyRole;

    /// Writes the parts of the key.
    #[doc(hidden)]
    fn write(&self, parts: &mut KeyParts<'_>);

    /// What it reads of the request itself.
    #[doc(hidden)]
    fn reads(&self) -> KeyReads {
        KeyReads::Extensions
    }

    /// The fingerprint of what it would write, if that is kept: to write it anew would cost more. For one value of the key, either all
    /// requests have one or none.
    #[doc(hidden)]
    fn kept(&self, client: Option<&Client>, principal: Option<&Principal>) -> Option<[u64; 2]> {
        let _ = (client, principal);
        None
    }

    /// What is wrong with the key as it is configured.
    #[doc(hidden)]
    fn problem(&self) -> Option<String> {
        None
    }

    /// What is wrong with the key on this route.
    #[doc(hidden)]
    fn problem_of(&self, route: &RouteInfo) -> Option<String> {
        let _ = route;
        None
    }
}

/// What a key reads of a request, beyond who has sent it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyReads {
    /// Nothing.
    Nothing,
    /// Its head.
    Head,
    /// What the gateway has put into its extensions, too.
    Extensions,
}

/// The role of a limit by its key. Of several keys, what one of them needs is needed.
#[doc(hidden)]
pub trait KeyRole: IsRole {
    /// That of both together.
    type And<R: KeyRole>: KeyRole;
    /// That of both, where the other needs to know who the caller is.
    type AndIdentity: KeyRole;
}

impl KeyRole for role::Plain {
    type And<R: KeyRole> = R;
    type AndIdentity = role::NeedsIdentity;
}

impl KeyRole for role::NeedsIdentity {
    type And<R: KeyRole> = R::AndIdentity;
    type AndIdentity = Self;
}

impl KeyRole for role::KeyedByClient {
    type And<R: KeyRole> = Self;
    type AndIdentity = Self;
}

/// A key of any type.
pub(in crate::middleware) trait AnyKey: Send + Sync {
    fn role(&self) -> Role;
    fn write(&self, parts: &mut KeyParts<'_>);
    fn reads(&self) -> KeyReads;
    fn kept(&self, client: Option<&Client>, principal: Option<&Principal>) -> Option<[u64; 2]>;
    fn problem(&self) -> Option<String>;
    fn problem_of(&self, route: &RouteInfo) -> Option<String>;
}

impl dyn AnyKey {
    /// The key of a request, with this salt.
    pub(in crate::middleware) fn of(&self, salt: &Salt, head: &mut Head<'_>) -> Key {
        if let Some(mark) = self.kept(head.client(), head.principal()) {
            return salt.key(mark);
        }
        if self.reads() != KeyReads::Nothing {
            head.parts();
        }
        let mut writer = salt.writer();
        self.write(&mut KeyParts::of(&mut writer, head));
        writer.key()
    }

    /// The same for a request whose head was taken out of it.
    pub(super) fn of_parts(&self, salt: &Salt, req: &Parts) -> Key {
        if let Some(mark) = self.kept(req.client(), req.principal()) {
            return salt.key(mark);
        }
        let mut writer = salt.writer();
        self.write(&mut KeyParts::to(Sink::Hash(&mut writer), req));
        writer.key()
    }

    /// Says of a limit of this name what its key is about.
    pub(in crate::middleware) fn about(self: &Arc<Self>, name: &'static str, about: &mut About) {
        about.role(self.role());
        if let Some(problem) = self.problem() {
            about.problem(format!("`{name}::by`: {problem}"));
        }
        let key = Arc::clone(self);
        about.check(move |route| match key.problem_of(route) {
            Some(problem) => Err(format!("`{name}::by`: {problem}")),
            None => Ok(()),
        });
    }
}

impl<K: LimitKey> AnyKey for K {
    fn role(&self) -> Role {
        K::Role::ROLE
    }

    fn write(&self, parts: &mut KeyParts<'_>) {
        LimitKey::write(self, parts);
    }

    fn reads(&self) -> KeyReads {
        LimitKey::reads(self)
    }

    fn kept(&self, client: Option<&Client>, principal: Option<&Principal>) -> Option<[u64; 2]> {
        LimitKey::kept(self, client, principal)
    }

    fn problem(&self) -> Option<String> {
        LimitKey::problem(self)
    }

    fn problem_of(&self, route: &RouteInfo) -> Option<String> {
        LimitKey::problem_of(self, route)
    }
}

/// What a key is written to.
#[doc(hidden)]
#[derive(Debug)]
pub struct KeyParts<'a> {
    sink: Sink<'a>,
    /// The head of the request, for keys that [read](KeyReads) it.
    req: Option<&'a Parts>,
    client: Option<&'a Client>,
    principal: Option<&'a Principal>,
}

#[derive(Debug)]
enum Sink<'a> {
    Hash(&'a mut KeyWriter),
    #[cfg(feature = "redis")]
    Bytes(&'a mut Vec<u8>),
}

impl<'a> KeyParts<'a> {
    /// Writes for a request with this head.
    fn of(writer: &'a mut KeyWriter, head: &'a Head<'_>) -> Self {
        Self {
            sink: Sink::Hash(writer),
            req: head.taken(),
            client: head.client(),
            principal: head.principal(),
        }
    }

    fn to(sink: Sink<'a>, req: &'a Parts) -> Self {
        Self {
            sink,
            req: Some(req),
            client: req.client(),
            principal: req.principal(),
        }
    }

    /// Who the caller is.
    pub(crate) fn principal(&self) -> Option<&'a Principal> {
        self.principal
    }

    /// Writes bytes that are the same in every process.
    #[cfg(feature = "redis")]
    pub(super) fn bytes(bytes: &'a mut Vec<u8>, req: &'a Parts) -> Self {
        Self::to(Sink::Bytes(bytes), req)
    }

    pub(crate) fn add(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) => self.add_all(part.len(), [part]),
            None => match &mut self.sink {
                Sink::Hash(writer) => writer.absent(),
                #[cfg(feature = "redis")]
                Sink::Bytes(bytes) => bytes.extend(u64::MAX.to_le_bytes()),
            },
        }
    }

    /// Adds a part that is these texts, one behind the other.
    pub(crate) fn add_joined(&mut self, texts: &[&str]) {
        let length = texts.iter().map(|text| text.len()).sum();
        self.add_all(length, texts.iter().map(|text| text.as_bytes()));
    }

    fn add_all<'p>(&mut self, length: usize, pieces: impl IntoIterator<Item = &'p [u8]>) {
        match &mut self.sink {
            Sink::Hash(writer) => writer.part(length, pieces),
            #[cfg(feature = "redis")]
            Sink::Bytes(bytes) => {
                bytes.extend((length as u64).to_le_bytes());
                pieces.into_iter().for_each(|piece| bytes.extend(piece));
            }
        }
    }

    /// The address of the client, or a prefix of it.
    fn client(&mut self, bits: u8) {
        match self.client.and_then(|client| client.network(bits)) {
            None => self.add(None),
            Some(IpAddr::V4(ip)) => self.add(Some(&ip.octets())),
            Some(IpAddr::V6(ip)) => self.add(Some(&ip.octets())),
        }
    }
}

/// All requests are one: made by [`RateLimit::global`](super::RateLimit::global).
#[derive(Clone, Copy, Debug)]
pub struct Everyone(pub(in crate::middleware) ());

impl LimitKey for Everyone {
    type Role = role::Plain;

    fn write(&self, _: &mut KeyParts<'_>) {}

    fn reads(&self) -> KeyReads {
        KeyReads::Nothing
    }
}

impl LimitKey for ClientIp {
    type Role = role::Plain;

    fn write(&self, parts: &mut KeyParts<'_>) {
        parts.client(NETWORK);
    }

    fn kept(&self, client: Option<&Client>, _: Option<&Principal>) -> Option<[u64; 2]> {
        client?.fingerprint()
    }

    fn reads(&self) -> KeyReads {
        KeyReads::Nothing
    }
}

/// The network of the client; made by [`ClientIp::ipv6`].
#[derive(Clone, Copy, Debug)]
pub struct ClientNetwork {
    bits: u8,
}

impl ClientIp {
    /// As the key of a limit: IPv6 clients count by the first `bits` bits of their address, 64 by default, because a customer has at
    /// least a network of that size, and often one of 56 or 48 bits. IPv4 addresses count whole.
    ///
    /// Numbers outside of 1 to 128 are an error when the gateway starts.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{middleware::RateLimit, dsl::client_ip};
    ///
    /// let limit = RateLimit::per_second(10).by(client_ip().ipv6(56));
    /// # let _ = limit;
    /// ```
    pub fn ipv6(self, bits: u8) -> ClientNetwork {
        ClientNetwork { bits }
    }
}

impl LimitKey for ClientNetwork {
    type Role = role::Plain;

    fn write(&self, parts: &mut KeyParts<'_>) {
        parts.client(self.bits);
    }

    fn reads(&self) -> KeyReads {
        KeyReads::Nothing
    }

    fn problem(&self) -> Option<String> {
        let fits = (1..=128).contains(&self.bits);
        (!fits).then(|| {
            format!(
                "`.ipv6({})` is not the length of a prefix: write a number from 1 to 128, such as 64",
                self.bits
            )
        })
    }
}

impl<K: Send + Sync + 'static> LimitKey for RequestKey<K> {
    type Role = role::KeyedByClient;

    fn write(&self, parts: &mut KeyParts<'_>) {
        let meaning = parts.req.and_then(|req| self.meaning(req));
        parts.add(meaning.as_deref());
    }

    fn reads(&self) -> KeyReads {
        KeyReads::Head
    }

    fn problem(&self) -> Option<String> {
        RequestKey::problem(self).map(str::to_owned)
    }
}

/// A parameter of the path as the key of a limit; made by [`param`].
#[derive(Clone, Debug)]
pub struct Param(String);

/// The text of `{name}` in the path of the route, as the key of a limit.
///
/// A route without that name is an error when the gateway starts.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::middleware::{RateLimit, param};
///
/// // For routes with `{tenant}` in their path.
/// let limit = RateLimit::per_second(50).by(param("tenant"));
/// # let _ = limit;
/// ```
pub fn param(name: impl Into<String>) -> Param {
    Param(name.into())
}

impl LimitKey for Param {
    type Role = role::Plain;

    fn write(&self, parts: &mut KeyParts<'_>) {
        let param = parts.req.and_then(|req| req.param(&self.0));
        parts.add(param.map(str::as_bytes));
    }

    fn problem(&self) -> Option<String> {
        let wrong = self.0.is_empty() || self.0.contains(['{', '}', '/']);
        wrong.then(|| {
            let name = self.0.trim_matches(['{', '}', '*', '/']);
            let name = if name.is_empty() { "tenant" } else { name };
            format!(
                "{:?} is not the name of a parameter: write `param({name:?})` for `{{{name}}}`",
                self.0
            )
        })
    }

    fn problem_of(&self, route: &RouteInfo) -> Option<String> {
        let is_named = names(route.path).any(|name| name == self.0);
        let problem = LimitKey::problem(self).is_none() && !is_named;
        problem.then(|| format!("the path has no `{{{}}}`", self.0))
    }
}

/// The route as the key of a limit; made by [`route`].
#[derive(Clone, Copy, Debug)]
pub struct PerRoute(());

/// The route that takes the request, as the key of a limit: a layer around several routes limits each of them by itself.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{middleware::{RateLimit, route}, dsl::client_ip};
///
/// let limit = RateLimit::per_second(5).by((client_ip(), route()));
/// # let _ = limit;
/// ```
pub fn route() -> PerRoute {
    PerRoute(())
}

impl LimitKey for PerRoute {
    type Role = role::Plain;

    fn write(&self, parts: &mut KeyParts<'_>) {
        // Other gateways may have the same route in another place of their tables.
        let Some(route) = parts.req.and_then(RequestExt::route) else {
            return parts.add(None);
        };
        let exact = if route.exact { "exact" } else { "" };
        for text in [route.host, route.methods, exact, route.path, route.guard] {
            parts.add(Some(text.as_bytes()));
        }
    }
}

#[diagnostic::do_not_recommend]
impl<F, R, T> LimitKey for F
where
    F: Fn(&Parts) -> R + Send + Sync + 'static,
    R: KeyText<Text = T>,
    T: AsRef<[u8]>,
{
    type Role = role::Plain;

    fn write(&self, parts: &mut KeyParts<'_>) {
        let text = parts.req.and_then(|req| self(req).into_text());
        parts.add(text.as_ref().map(AsRef::as_ref));
    }
}

/// What a function returns that is the key of a limit: a text, or nothing for requests that share a bucket.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the text of a key",
    label = "the function of a key returns this",
    note = "a key is a `String`, a `Vec<u8>`, or an `Option` of one of these"
)]
pub trait KeyText {
    /// What the key is made of.
    #[doc(hidden)]
    type Text: AsRef<[u8]>;

    /// The text, if there is one.
    #[doc(hidden)]
    fn into_text(self) -> Option<Self::Text>;
}

impl KeyText for String {
    type Text = Self;

    fn into_text(self) -> Option<Self> {
        Some(self)
    }
}

impl KeyText for Vec<u8> {
    type Text = Self;

    fn into_text(self) -> Option<Self> {
        Some(self)
    }
}

impl<T: AsRef<[u8]>> KeyText for Option<T> {
    type Text = T;

    fn into_text(self) -> Self {
        self
    }
}

/// The role of two keys.
type Both<A, B> = <<A as LimitKey>::Role as KeyRole>::And<<B as LimitKey>::Role>;

macro_rules! tuples {
    ($($($name:ident)+ => $role:ty;)+) => {$(
        impl<$($name: LimitKey),+> LimitKey for ($($name,)+) {
            type Role = $role;

            fn write(&self, parts: &mut KeyParts<'_>) {
                #[expect(non_snake_case, reason = "each is called as its type")]
                let ($($name,)+) = self;
                $($name.write(parts);)+
            }

            fn reads(&self) -> KeyReads {
                #[expect(non_snake_case, reason = "each is called as its type")]
                let ($($name,)+) = self;
                [$($name.reads()),+].into_iter().fold(KeyReads::Nothing, KeyReads::max)
            }

            fn problem(&self) -> Option<String> {
                #[expect(non_snake_case, reason = "each is called as its type")]
                let ($($name,)+) = self;
                let problems = [$($name.problem()),+];
                let problems: Vec<String> = problems.into_iter().flatten().collect();
                (!problems.is_empty()).then(|| problems.join("; "))
            }

            fn problem_of(&self, route: &RouteInfo) -> Option<String> {
                #[expect(non_snake_case, reason = "each is called as its type")]
                let ($($name,)+) = self;
                [$($name.problem_of(route)),+].into_iter().flatten().next()
            }
        }
    )+};
}

tuples! {
    A B => Both<A, B>;
    A B C => <Both<A, B> as KeyRole>::And<C::Role>;
    A B C D => <<Both<A, B> as KeyRole>::And<C::Role> as KeyRole>::And<D::Role>;
}
