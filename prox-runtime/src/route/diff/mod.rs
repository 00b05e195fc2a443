//! Which requests two tables of routes treat otherwise: not which lines differ.
//!
//! The patterns of both tables are walked at once, with the values that their guards tell apart, so each class of requests that
//! the tables can tell apart is asked for once. Requests with the same winner before and the same after are one change.

mod ask;
mod hosts;
mod json;
mod pattern;
mod row;
mod tables;
mod text;
mod walk;
mod witness;

use std::{collections::HashMap, fmt};

pub use self::witness::RouteWitness;
use self::{
    row::Row,
    tables::{Pair, Sure, Tables},
};
use super::Routes;

/// How requests fare otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// No route takes them any more: the answer is 404 or 405.
    Lost,
    /// A route takes them, and none did.
    Gained,
    /// They go to another target.
    Moved,
    /// They go to the same target through other layers, or what target and layers are made of is another.
    Treated,
    /// It depends on a guard that only a real request can ask, such as a closure, which is not the same in both tables; or guards
    /// tell more than 4096 classes of requests apart.
    Unsure,
}

/// What [`Routes::diff`] finds: the changes, ordered by kind. Prints as text for people.
#[derive(Clone, Debug)]
pub struct RouteDiff {
    changes: Vec<RouteChange>,
}

/// Requests that fare otherwise, all from one route to one other.
#[derive(Clone, Debug)]
pub struct RouteChange {
    kind: ChangeKind,
    witness: RouteWitness,
    was: Option<Row>,
    now: Option<Row>,
    count: usize,
}

/// Why two tables cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDiffError(String);

impl Routes {
    /// Says which requests fare otherwise than in the table that `routes --json` of another version of the gateway wrote: what
    /// `diff FILE` of its binary prints.
    ///
    /// Two routes treat a request alike if their targets have the same source text, and their layers, in order, and the `backend`
    /// and `let` lines that these name. A request that no route takes is treated like any other of those, with 404 or 405. Where a
    /// line stands, how a parameter is called, and code that is only named, such as a handler, do not count. The value of a
    /// variable in `host NAME { .. }` is not known: the variable stands for a host of its own. A `host` block without routes is not
    /// in a table, and of a mounted gateway with `host` blocks of its own, requests for these hosts may be compared as if the gateway
    /// around it had no other routes for them.
    ///
    /// # Errors
    ///
    /// If the text is malformed, or of another version of Prox; the error says where. If patterns overlap in too many ways.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{ChangeKind, Routes};
    ///
    /// # const ROWS: &[prox::RouteInfo] = &[];
    /// # const ROUTES: Routes = Routes::new(ROWS);
    /// let diff = ROUTES.diff(&ROUTES.to_json())?;
    /// assert!(diff.is_empty());
    /// assert!(diff.changes().iter().all(|change| change.kind() != ChangeKind::Lost));
    /// assert!(ROUTES.diff("{}").unwrap_err().to_string().starts_with("line 1: expected an array"));
    /// # Ok::<(), prox::RouteDiffError>(())
    /// ```
    pub fn diff(&self, json: &str) -> Result<RouteDiff, RouteDiffError> {
        let old = row::read(json).map_err(RouteDiffError)?;
        let new: Vec<Row> = self.iter().map(Row::from).collect();
        compare(&Tables::new([&old, &new]))
    }
}

fn compare(tables: &Tables<'_>) -> Result<RouteDiff, RouteDiffError> {
    let mut groups: HashMap<(ChangeKind, Pair), (RouteWitness, usize)> = HashMap::new();
    let done = tables.each(&mut |candidates| {
        candidates.each_difference(&mut |sure, pair, witness| {
            let kind = match sure {
                Sure::No => ChangeKind::Unsure,
                Sure::Yes => kind_of(tables, pair),
            };
            let group = groups.entry((kind, pair));
            let (known, count) = group.or_insert_with(|| (witness.clone(), 0));
            *count += 1;
            if witness.weight() < known.weight() {
                *known = witness;
            }
        });
    });
    done.map_err(|host| {
        RouteDiffError(format!(
            "the patterns of {host} overlap in too many ways to be compared"
        ))
    })?;
    let row = |table: usize, place: Option<usize>| {
        let rows = tables.rows.get(table)?;
        rows.get(place?).cloned()
    };
    let mut changes: Vec<RouteChange> = groups
        .into_iter()
        .map(|((kind, [was, now]), (witness, count))| RouteChange {
            kind,
            witness,
            was: row(0, was),
            now: row(1, now),
            count,
        })
        .collect();
    changes.sort_by_cached_key(|change| {
        let witness = &change.witness;
        (change.kind, witness.url.clone(), witness.to_string())
    });
    Ok(RouteDiff { changes })
}

fn kind_of(tables: &Tables<'_>, [was, now]: Pair) -> ChangeKind {
    let target = |table: usize, row: usize| {
        let row = tables.rows.get(table).and_then(|rows| rows.get(row));
        row.map(|row| &row.target)
    };
    match (was, now) {
        (Some(_), None) => ChangeKind::Lost,
        (None, _) => ChangeKind::Gained,
        (Some(was), Some(now)) if target(0, was) == target(1, now) => ChangeKind::Treated,
        _ => ChangeKind::Moved,
    }
}

impl ChangeKind {
    /// All kinds, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Lost,
        Self::Gained,
        Self::Moved,
        Self::Treated,
        Self::Unsure,
    ];

    /// The word for it, as `--only` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Gained => "gained",
            Self::Moved => "moved",
            Self::Treated => "treated",
            Self::Unsure => "unsure",
        }
    }
}

impl RouteDiff {
    /// The changes of these kinds alone.
    #[must_use]
    pub fn only(mut self, kinds: &[ChangeKind]) -> Self {
        self.changes.retain(|change| kinds.contains(&change.kind));
        self
    }

    /// Whether no request fares otherwise.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, ordered by kind.
    pub fn changes(&self) -> &[RouteChange] {
        &self.changes
    }
}

impl RouteChange {
    /// How the requests fare otherwise.
    pub fn kind(&self) -> ChangeKind {
        self.kind
    }

    /// The shortest of the requests.
    pub fn witness(&self) -> &RouteWitness {
        &self.witness
    }

    /// How many classes of requests there are: each is told apart from the others by the routes of one of the tables.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The file and the line of the route that took the requests, in the other table.
    pub fn was(&self) -> Option<(&str, u32)> {
        self.was.as_ref().map(|row| (row.file.as_str(), row.line))
    }

    /// The file and the line of the route that takes the requests, in this table.
    pub fn now(&self) -> Option<(&str, u32)> {
        self.now.as_ref().map(|row| (row.file.as_str(), row.line))
    }
}

impl fmt::Display for RouteDiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RouteDiffError {}

#[cfg(test)]
mod tests;
