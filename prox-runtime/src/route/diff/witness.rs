//! A request that a route takes, and one for each route of a table.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use super::{
    super::{RouteInfo, Routes},
    row::Row,
    tables::{Candidates, Tables},
};
use crate::coding::quoted;

/// A request that stands for others: for those that a route takes, or for those that two tables treat otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteWitness {
    /// Its method.
    pub method: String,
    /// Its URL; a path alone is for a host that no route names.
    pub url: String,
    /// Its headers that guards look at.
    pub headers: Vec<(String, String)>,
    /// The address that it comes from; `None` where it does not matter.
    pub client: Option<IpAddr>,
    /// The name of the listener that it comes to; empty for any that has no routes of its own.
    pub listener: String,
    /// The source texts of guards that have to accept it, and that only a real request can ask.
    pub guards: Vec<String>,
}

impl RouteWitness {
    pub(super) fn to_json(&self) -> String {
        let headers = self.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
            .collect();
        let guards: Vec<String> = self.guards.iter().map(|guard| quoted(guard)).collect();
        let client = self.client.map(|client| quoted(&client.to_string()));
        let listener = (!self.listener.is_empty()).then(|| quoted(&self.listener));
        let null = || String::from("null");
        format!(
            "{{\"method\":{},\"url\":{},\"headers\":{{{}}},\"client\":{},\"listener\":{},\"guards\":[{}]}}",
            quoted(&self.method),
            quoted(&self.url),
            headers.join(","),
            client.unwrap_or_else(null),
            listener.unwrap_or_else(null),
            guards.join(",")
        )
    }

    /// How much a reader has to read.
    pub(super) fn weight(&self) -> (usize, usize) {
        let more = self.headers.len() + self.guards.len() + usize::from(self.client.is_some());
        (more, self.url.len() + self.listener.len())
    }
}

/// As the arguments of `explain`: `GET https://api.example.com/ -H 'x-beta: 1' --from 10.0.0.1 --on internal`, and the guards.
impl fmt::Display for RouteWitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            write!(f, " -H '{name}: {value}'")?;
        }
        if let Some(client) = self.client {
            write!(f, " --from {client}")?;
        }
        if !self.listener.is_empty() {
            write!(f, " --on {}", self.listener)?;
        }
        for guard in &self.guards {
            write!(f, ", if `{guard}` accepts it")?;
        }
        Ok(())
    }
}

impl Routes {
    /// Each route with a request that it takes, in the order of the source. A route that takes no request which can be told from the
    /// table has none, and is left out.
    ///
    /// So a test can ask something of every route: here, that each route without an authenticator is on a list.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::Routes;
    ///
    /// fn open_routes(routes: Routes) -> Vec<String> {
    ///     let all = routes.witnesses().into_iter();
    ///     let open = all.filter(|(route, _)| route.who.is_empty());
    ///     open.map(|(_, request)| request.to_string()).collect()
    /// }
    /// assert!(open_routes(Routes::new(&[])).is_empty());
    /// ```
    pub fn witnesses(&self) -> Vec<(&'static RouteInfo, RouteWitness)> {
        let rows: Vec<Row> = self.iter().map(Row::from).collect();
        let mut found: BTreeMap<usize, RouteWitness> = BTreeMap::new();
        let tables = Tables::new([&rows, &[]]);
        // Patterns that overlap in too many ways do not compile.
        let _ = tables.each(&mut |candidates: Candidates<'_>| {
            candidates.each_winner(&mut |row, witness| {
                let known = found.entry(row);
                let known = known.or_insert_with(|| witness.clone());
                if witness.weight() < known.weight() {
                    *known = witness;
                }
            });
        });
        let found = found.into_iter();
        let rows = self.0;
        found
            .filter_map(|(row, witness)| Some((rows.get(row)?, witness)))
            .collect()
    }
}
