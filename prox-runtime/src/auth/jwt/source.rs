//! Where the keys are.

use std::{sync::Arc, time::Duration};

use super::{
    fetched::{Fetching, Newer},
    key::Key,
};
use crate::{auth::watched::Source, middleware::About};

/// Keys that are here, or are fetched.
#[derive(Clone)]
pub(super) enum Keys {
    Here(Source<Vec<Key>>),
    Fetched(Arc<Fetching>),
}

impl Keys {
    /// The keys.
    ///
    /// # Errors
    ///
    /// When there are none now: how long a client should wait.
    pub(super) async fn get(&self) -> Result<Arc<Vec<Key>>, Duration> {
        match self {
            Self::Here(source) => Ok(source.get()),
            Self::Fetched(fetching) => fetching.keys().await,
        }
    }

    /// The keys, if nothing has to be waited for.
    pub(super) fn at_hand(&self) -> Option<Arc<Vec<Key>>> {
        match self {
            Self::Here(source) => Some(source.get()),
            Self::Fetched(fetching) => fetching.at_hand(),
        }
    }

    /// Looks for other keys than these.
    pub(super) async fn newer(&self, than: &Arc<Vec<Key>>) -> Newer {
        match self {
            Self::Here(_) => Newer::None,
            Self::Fetched(fetching) => fetching.newer(than).await,
        }
    }

    /// Changes how they are fetched; `false` if they are not.
    pub(super) fn change(&mut self, change: impl FnOnce(&Fetching) -> Arc<Fetching>) -> bool {
        match self {
            Self::Here(_) => false,
            Self::Fetched(fetching) => {
                *fetching = change(fetching);
                true
            }
        }
    }

    pub(super) fn follow(&self, about: &mut About) {
        match self {
            Self::Here(source) => source.follow(about),
            Self::Fetched(fetching) => fetching.follow(about),
        }
    }
}
