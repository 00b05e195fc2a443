//! The order of layers at start, for layers whose types say nothing. It reads the table of the types.

use super::{Role, rules};

/// Who has been let in up to a place of a chain. A layer can only raise it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// The row of a role: what it asks of its place, and what it does.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column of the table"
)]
pub(super) struct Needs {
    pub(super) says_who: bool,
    pub(super) keyed: bool,
    pub(super) preflights: bool,
    pub(super) public: bool,
    pub(super) turns_away: bool,
    /// The lowest entry behind it.
    pub(super) entry: Entry,
    pub(super) asks: bool,
    pub(super) caches: bool,
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
                "no authenticator before this layer: add an authenticator before it"
            }
            Self::AnybodyChooses => {
                "a client can avoid this limit by sending a different value with each request: add an authenticator before it"
            }
            Self::PreflightTurnedAway => {
                "the layers before this one reject preflights, which carry no credentials: write it before them"
            }
            Self::CacheBefore => {
                "a cache before this layer would answer callers that it rejects: write it before the cache"
            }
            Self::PublicBehind => {
                "`public` has no effect after a layer that rejects callers: remove it, or the layers before it"
            }
        }
    }
}

impl State {
    /// The state behind one more layer, and what is wrong with its place.
    pub(crate) fn step(self, role: Role) -> (Self, Option<Fault>) {
        let known = self.entry == Entry::Known;
        let row = rules::row(role);
        let fault = if row.says_who && !self.asked {
            Some(Fault::NobodySaysWho)
        } else if row.keyed && !known {
            Some(Fault::AnybodyChooses)
        } else if row.preflights && known {
            Some(Fault::PreflightTurnedAway)
        } else if row.public && known {
            Some(Fault::PublicBehind)
        } else if row.turns_away && self.cached {
            Some(Fault::CacheBefore)
        } else {
            None
        };
        let next = Self {
            entry: self.entry.max(row.entry),
            asked: self.asked || row.asks,
            cached: self.cached || row.caches,
        };
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
