//! Gateways that are mounted below a path of another gateway, and the walk through the tables of both.
//!
//! Each gateway keeps the table that its macro wrote. A mounted gateway is a candidate of the outer table; the walk goes on in
//! its own table, with the path behind the prefix. Rows are numbered through: the rows of a mounted gateway take the place of the
//! row that it is mounted at. Tables without mounts are walked as if this module was not there.

mod check;
mod merge;

use std::borrow::Cow;

use http::Method;

pub use self::{
    check::check_mount,
    merge::{
        MountedSize, mounted_env, mounted_env_size, mounted_layers, mounted_methods,
        mounted_methods_size, mounted_rows, mounted_size, mounted_text, text_of,
    },
};
use super::{
    hosts::Hosts,
    info::{Routes, Variables},
    methods::Methods,
    table::{Candidate, Table, candidates},
};

/// Marks a candidate that is a mounted gateway; the other bits are the number of the mount.
const MOUNTED: u32 = 1 << 31;

/// A gateway with a name, which other gateways can mount. The macro writes it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a gateway with a name",
    label = "only a gateway with a `struct` line can be mounted",
    note = "write `pub struct Orders;` at the start of its `prox::gateway!`; mount any other tower service with `service(..)`"
)]
pub trait NamedGateway {
    /// What is known of it before it is made.
    const TABLES: Tables;
}

/// The tables of a gateway with a name.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    table: &'static Table,
    routes: Routes,
    env: Variables,
}

impl Tables {
    /// These tables, which belong together.
    pub const fn new(table: &'static Table, routes: Routes, env: Variables) -> Self {
        Self { table, routes, env }
    }
}

/// A gateway at a row of the gateway that mounts it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    /// The number of the row among those that the outer gateway writes.
    row: u32,
    /// How many segments its prefix has.
    segments: u32,
    /// The number of its first row in the table of all routes.
    first: u32,
    tables: Tables,
}

impl Mount {
    /// A gateway at this row, whose path has so many segments.
    pub const fn new(row: u32, segments: u32, tables: Tables) -> Self {
        Self {
            row,
            segments,
            first: 0,
            tables,
        }
    }

    /// Its table.
    pub(super) fn table(&self) -> &'static Table {
        self.tables.table
    }

    /// How many rows it has.
    const fn rows(&self) -> u32 {
        number(self.tables.routes.0.len())
    }
}

/// A count of rows, which are far fewer than the numbers that there are.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a table has no such length"
)]
const fn number(count: usize) -> u32 {
    count as u32
}

/// The mounts of a gateway, in the order of their rows, numbered through.
pub const fn mounts<const N: usize>(mut mounts: [Mount; N]) -> [Mount; N] {
    let (mut at, mut rows) = (0, 0);
    while at < N {
        // Each mount before this one has given its own row away.
        mounts[at].first = mounts[at].row + rows - number(at);
        rows += mounts[at].rows();
        at += 1;
    }
    mounts
}

/// [Candidates](candidates) of a table with mounts: routes by their numbers in the table of all routes, and mounts.
pub const fn mounted_candidates<const N: usize>(flat: &[u32], mounts: &[Mount]) -> [Candidate; N] {
    let mut list = candidates::<N>(flat);
    let mut at = 0;
    while at < N {
        list[at].route = match mount_at(mounts, list[at].route) {
            Some(number) => MOUNTED | number,
            None => numbered(mounts, list[at].route),
        };
        at += 1;
    }
    list
}

/// The number of the mount at a row of the gateway's own.
const fn mount_at(mounts: &[Mount], row: u32) -> Option<u32> {
    let mut at = 0;
    while at < mounts.len() {
        if mounts[at].row == row {
            return Some(number(at));
        }
        at += 1;
    }
    None
}

/// The number in the table of all routes that a row of the gateway's own has.
const fn numbered(mounts: &[Mount], row: u32) -> u32 {
    let mut place = row;
    let mut at = 0;
    while at < mounts.len() && mounts[at].row < row {
        place = place + mounts[at].rows() - 1;
        at += 1;
    }
    place
}

/// Where a table is asked: for a host and a path, or for what is behind the prefix of a mount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The hosts of the tables that have others than they were written with.
    hosts: Option<&'a Hosts>,
    /// The name of the listener that the request came to.
    listener: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    /// Whether the path is the slash behind the prefix of a mount, which an `exact "/"` does not take.
    slash: bool,
}

impl<'a> Place<'a> {
    pub(crate) fn new(host: &'a str, path: &'a str) -> Self {
        Self {
            hosts: None,
            listener: None,
            host,
            path,
            slash: false,
        }
    }

    /// The same where tables have these hosts.
    pub(crate) fn among(self, hosts: Option<&'a Hosts>) -> Self {
        Self { hosts, ..self }
    }

    /// The same for a request that came to the listener of this name.
    pub(crate) fn on(self, listener: Option<&'a str>) -> Self {
        Self { listener, ..self }
    }

    /// What is behind so many segments of the path. The prefix itself is the root of a mounted gateway.
    fn behind(self, segments: u32) -> Self {
        if segments == 0 {
            return self;
        }
        let slashes = self.path.match_indices('/').map(|(at, _)| at);
        let rest = slashes
            .skip(segments as usize)
            .find_map(|at| self.path.get(at..));
        Self {
            path: rest.unwrap_or("/"),
            slash: rest == Some("/"),
            ..self
        }
    }
}

/// What takes a request as far as no guard has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    By(u32),
    Nothing,
    /// It depends on more than the method and the path.
    Depends,
}

/// The candidates of a table and of all that is mounted in it.
pub(crate) struct Candidates<'a> {
    pub(crate) list: Cow<'a, [Candidate]>,
    /// The innermost mount at the path, the most specific first.
    pub(crate) mount: Option<usize>,
}

/// Those of a table without mounts.
impl<'a> From<&'a [Candidate]> for Candidates<'a> {
    fn from(list: &'a [Candidate]) -> Self {
        Self {
            list: Cow::Borrowed(list),
            mount: None,
        }
    }
}

impl Table {
    /// This table, and those of all gateways that are mounted in it.
    pub(crate) fn with_mounted_tables(&'static self) -> Vec<&'static Self> {
        let mounted = self.mounts().iter().map(Mount::table);
        let within = mounted.flat_map(Self::with_mounted_tables);
        std::iter::once(self).chain(within).collect()
    }

    /// Whether gateways are mounted in it.
    #[inline]
    pub(crate) fn has_mounts(&self) -> bool {
        !self.mounts().is_empty()
    }

    /// The number in the table of all routes that a row of the gateway's own has.
    pub(crate) fn numbered(&self, row: usize) -> usize {
        if self.mounts().is_empty() {
            return row;
        }
        numbered(self.mounts(), number(row)) as usize
    }

    /// The mount at a row of the gateway's own: its number among all mounts, those within mounts included, and its rows.
    pub(crate) fn mounted_at(&self, row: usize) -> Option<(usize, std::ops::Range<usize>)> {
        let place = mount_at(self.mounts(), number(row))?;
        let mount = self.mounts().get(place as usize)?;
        let first = mount.first as usize;
        let rows = first..first + mount.rows() as usize;
        Some((self.mounts_before(place as usize), rows))
    }

    /// How many mounts there are, those within mounts included.
    pub(crate) fn mount_count(&self) -> usize {
        self.mounts_before(usize::MAX)
    }

    fn mounts_before(&self, place: usize) -> usize {
        let mounts = self.mounts().iter().take(place);
        mounts
            .map(|mount| 1 + mount.tables.table.mount_count())
            .sum()
    }

    /// The gateway that mounts a row, with the number that the row has there; none for a row of the gateway's own, whose number
    /// among these stands beside it.
    pub(super) fn owner(&self, row: u32) -> (Option<&'static Table>, u32) {
        let mut own = row;
        for mount in self.mounts() {
            if row < mount.first {
                break;
            }
            if row < mount.first + mount.rows() {
                return (Some(mount.tables.table), row - mount.first);
            }
            own = own + 1 - mount.rows();
        }
        (None, own)
    }

    /// The candidates for a place, as [`find`](Self::find) gives them.
    #[inline]
    pub(crate) fn at(&self, place: Place<'_>) -> &'static [Candidate] {
        match place.hosts {
            hosts if place.slash => self.find_slash(hosts, place.host),
            Some(hosts) => self.find_among(hosts, place.host, place.path),
            None => self.find(place.host, place.path),
        }
    }

    fn mount_of(&self, candidate: Candidate) -> Option<(usize, &'static Mount)> {
        if candidate.route & MOUNTED == 0 {
            return None;
        }
        let place = (candidate.route & !MOUNTED) as usize;
        Some((place, self.mounts().get(place)?))
    }

    /// The route that takes a request, if none of these candidates and of those in mounts before it has a guard to be asked.
    pub(crate) fn taken(
        &self,
        candidates: &[Candidate],
        place: Place<'_>,
        method: &Method,
    ) -> Taken {
        for candidate in candidates {
            let Some((_, mount)) = self.mount_of(*candidate) else {
                let takes = !candidate.guarded && candidate.methods.contains(self.method(method));
                return if takes {
                    Taken::By(candidate.route)
                } else {
                    Taken::Depends
                };
            };
            let (table, place) = (mount.tables.table, place.behind(mount.segments));
            if table.of_listener(place.listener).is_some() {
                return Taken::Depends;
            }
            match table.taken(table.at(place), place, method) {
                Taken::By(route) => return Taken::By(mount.first + route),
                Taken::Depends => return Taken::Depends,
                Taken::Nothing => {}
            }
        }
        Taken::Nothing
    }

    /// These candidates with those of mounted gateways in their places.
    pub(crate) fn with_mounted<'a>(
        &self,
        candidates: &'a [Candidate],
        place: Place<'_>,
    ) -> Candidates<'a> {
        if !self.has_mounts() {
            return candidates.into();
        }
        let mut list = Vec::new();
        let mut mount = None;
        self.collect(candidates, place, 0, &mut list, &mut mount);
        Candidates {
            list: Cow::Owned(list),
            mount,
        }
    }

    /// Whether the last of the candidates takes whatever comes.
    fn collect(
        &self,
        candidates: &[Candidate],
        place: Place<'_>,
        number: usize,
        list: &mut Vec<Candidate>,
        innermost: &mut Option<usize>,
    ) -> bool {
        for candidate in candidates {
            let Some((at, mount)) = self.mount_of(*candidate) else {
                list.push(*candidate);
                if !candidate.guarded && candidate.methods == Methods::ALL {
                    return true;
                }
                continue;
            };
            let start = list.len();
            let number = number + self.mounts_before(at);
            let (table, place) = (mount.tables.table, place.behind(mount.segments));
            // The routes for the listener alone are asked first.
            let own = table.of_listener(place.listener);
            let first = own.map_or(&[][..], |(_, own)| own.at(place));
            let mut ends = table.collect(first, place, number + 1, list, innermost);
            if !ends {
                ends = table.collect(table.at(place), place, number + 1, list, innermost);
            }
            for candidate in list.iter_mut().skip(start) {
                candidate.route += mount.first;
                let methods = candidate.methods;
                candidate.methods = methods.renamed(table.own_methods(), self.own_methods());
            }
            innermost.get_or_insert(number);
            if ends {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
