//! The order of layers at start, for layers whose types say nothing. It is the same table as that of the types.

use super::Role;

/// Who has been let in up to a place of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Anybody, since no layer says anything of it.
    #[default]
    Open,
    /// Anybody, on purpose.
    Public,
    /// Callers that are not known, but not all of them.
    Admitted,
    /// Callers that are known.
    Known,
}

impl Entry {
    /// Whether a layer says who may enter.
    pub(crate) fn is_covered(self) -> bool {
        self != Self::Open
    }
}

/// What the layers up to a place of a chain have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) entry: Entry,
    /// Whether a layer has asked who the caller is.
    asked: bool,
    cached: bool,
}

/// What is wrong with the place of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NobodySaysWho,
    AnybodyChooses,
    PreflightTurnedAway,
    CacheBefore,
    PublicBehind,
}

impl Fault {
    /// The text, as the compiler says it for the types.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::NobodySaysWho => {
                "nothing before this layer says who the caller is: write an authenticator before it"
            }
            Self::AnybodyChooses => {
                "anyone can send another value with each request, and so has no limit: write an authenticator before it"
            }
            Self::PreflightTurnedAway => {
                "a preflight carries no credentials, so the layers before this one turn it away: write it before them"
            }
            Self::CacheBefore => {
                "a cache before this layer would answer those whom it turns away: write it before the cache"
            }
            Self::PublicBehind => {
                "`public` cannot let in who was turned away before: remove it, or the layers before it"
            }
        }
    }
}

impl State {
    /// The state behind one more layer, and what is wrong with its place.
    pub(crate) fn step(self, role: Role) -> (Self, Option<Fault>) {
        let known = self.entry == Entry::Known;
        let needs_identity = matches!(role, Role::NeedsIdentity | Role::Requires);
        let turns_away = matches!(
            role,
            Role::Authenticates | Role::Admits | Role::Requires | Role::Caches
        );
        let fault = match role {
            _ if needs_identity && !self.asked => Some(Fault::NobodySaysWho),
            Role::KeyedByClient if !known => Some(Fault::AnybodyChooses),
            Role::Preflights if known => Some(Fault::PreflightTurnedAway),
            Role::Public if known => Some(Fault::PublicBehind),
            _ if turns_away && self.cached => Some(Fault::CacheBefore),
            _ => None,
        };
        let mut next = self;
        match role {
            Role::Authenticates | Role::Requires => {
                next.entry = Entry::Known;
                next.asked = true;
            }
            Role::Identifies => next.asked = true,
            Role::Admits if !known => next.entry = Entry::Admitted,
            Role::Public if self.entry == Entry::Open => next.entry = Entry::Public,
            Role::Caches => next.cached = true,
            _ => {}
        }
        (next, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(roles: &[Role]) -> (State, Vec<Fault>) {
        let mut faults = Vec::new();
        let state = roles.iter().fold(State::default(), |state, role| {
            let (next, fault) = state.step(*role);
            faults.extend(fault);
            next
        });
        (state, faults)
    }

    #[test]
    fn the_table_holds() {
        use Role::{
            Admits, Authenticates, Caches, Identifies, KeyedByClient, NeedsIdentity, Plain,
            Preflights, Public, Requires,
        };
        let cases: &[(&[Role], Entry, &[Fault])] = &[
            (&[Plain], Entry::Open, &[]),
            (&[Authenticates, Plain], Entry::Known, &[]),
            (&[Public, Authenticates], Entry::Known, &[]),
            (&[Public, Admits], Entry::Admitted, &[]),
            (&[Admits, Public], Entry::Admitted, &[]),
            (&[Authenticates, Admits], Entry::Known, &[]),
            (
                &[Authenticates, Public],
                Entry::Known,
                &[Fault::PublicBehind],
            ),
            (&[Preflights, Authenticates], Entry::Known, &[]),
            (&[Admits, Preflights], Entry::Admitted, &[]),
            (
                &[Authenticates, Preflights],
                Entry::Known,
                &[Fault::PreflightTurnedAway],
            ),
            (&[NeedsIdentity], Entry::Open, &[Fault::NobodySaysWho]),
            (
                &[Public, NeedsIdentity],
                Entry::Public,
                &[Fault::NobodySaysWho],
            ),
            (&[Admits, Requires], Entry::Known, &[Fault::NobodySaysWho]),
            (&[Identifies], Entry::Open, &[]),
            (&[Identifies, NeedsIdentity], Entry::Open, &[]),
            (&[Identifies, Requires], Entry::Known, &[]),
            (&[Identifies, Preflights], Entry::Open, &[]),
            (&[KeyedByClient], Entry::Open, &[Fault::AnybodyChooses]),
            (
                &[Identifies, KeyedByClient],
                Entry::Open,
                &[Fault::AnybodyChooses],
            ),
            (&[Authenticates, KeyedByClient], Entry::Known, &[]),
            (
                &[Caches, Authenticates],
                Entry::Known,
                &[Fault::CacheBefore],
            ),
            (&[Caches, Admits], Entry::Admitted, &[Fault::CacheBefore]),
            (&[Caches, Caches], Entry::Open, &[Fault::CacheBefore]),
            (&[Caches, Public], Entry::Public, &[]),
            (&[Authenticates, Caches], Entry::Known, &[]),
            (
                &[Authenticates, Caches, Requires],
                Entry::Known,
                &[Fault::CacheBefore],
            ),
        ];
        for (roles, entry, faults) in cases {
            let (state, found) = after(roles);
            assert_eq!(
                (state.entry, found.as_slice()),
                (*entry, *faults),
                "{roles:?}"
            );
        }
    }
}
