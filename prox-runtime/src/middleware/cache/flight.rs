//! Requests that wait for one that is under way: of those with one key, one asks the upstream.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{entry::Entry, key::Key, store::Stamp};
use crate::sync::lock;

/// How a request that others wait for has ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The response is stored.
    Stored(Arc<Entry>),
    /// The response cannot be stored, so each asks for itself.
    Passes,
    /// There was an error in the place of a response.
    Failed,
    /// The request was dropped. Another one asks.
    Gone,
}

type State = Option<End>;

/// The requests that are under way.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Key, Flight>>);

#[derive(Clone, Debug)]
struct Flight {
    stamp: Stamp,
    state: watch::Sender<State>,
}

/// The part of a request among those with its key.
#[derive(Debug)]
pub(crate) enum Part {
    /// It asks the upstream.
    Leads(Lead),
    /// It waits for another one.
    Waits(Wait),
}

impl Flights {
    /// Joins the requests of this key, unless they were asked before the resource changed.
    pub(crate) fn join(self: &Arc<Self>, key: &Key, stamp: Stamp) -> Part {
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(key).filter(|flight| flight.stamp == stamp) {
            return Part::Waits(Wait(flight.state.subscribe()));
        }
        Part::Leads(self.lead(&mut flights, key, stamp))
    }

    /// Leads if no request of this key is under way.
    pub(crate) fn alone(self: &Arc<Self>, key: &Key, stamp: Stamp) -> Option<Lead> {
        let mut flights = lock(&self.0);
        let free = !flights.contains_key(key);
        free.then(|| self.lead(&mut flights, key, stamp))
    }

    fn lead(self: &Arc<Self>, flights: &mut HashMap<Key, Flight>, key: &Key, stamp: Stamp) -> Lead {
        let state = watch::Sender::new(None);
        let flight = Flight {
            stamp,
            state: state.clone(),
        };
        flights.insert(key.clone(), flight);
        Lead {
            flights: Arc::clone(self),
            key: key.clone(),
            stamp,
            state,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

/// The request that asks.
#[derive(Debug)]
pub(crate) struct Lead {
    flights: Arc<Flights>,
    key: Key,
    stamp: Stamp,
    state: watch::Sender<State>,
}

impl Lead {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Tells those that wait.
    pub(crate) fn end(self, end: End) {
        self.state.send_replace(Some(end));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights.0);
        let own = flights.get(&self.key);
        if own.is_some_and(|own| own.state.same_channel(&self.state)) {
            flights.remove(&self.key);
        }
        drop(flights);
        self.state.send_if_modified(|state| {
            let dropped = state.is_none();
            if dropped {
                *state = Some(End::Gone);
            }
            dropped
        });
    }
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Wait(watch::Receiver<State>);

impl Wait {
    /// The end of the request that leads.
    pub(crate) async fn end(mut self) -> End {
        match self.0.wait_for(Option::is_some).await {
            Ok(state) => state.clone().unwrap_or(End::Gone),
            Err(_) => End::Gone,
        }
    }
}
