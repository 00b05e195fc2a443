//! The tables of a gateway and of all that is mounted in it as one, made while compiling.
//!
//! Texts are joined in two passes: the first finds how long they are together, the second writes them one behind the other, and
//! the rows then cut them off in the same order.

use super::{
    super::{
        info::{EnvInfo, RouteInfo},
        methods::Methods,
    },
    Mount, number,
};

/// How much a joint table needs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct MountedSize {
    /// How many rows.
    pub rows: usize,
    /// How many bytes of text.
    pub text: usize,
    /// How many names of layers, and lines that routes are made of.
    pub layers: usize,
}

/// A row of a mounted gateway, and the row that the gateway is mounted at.
#[derive(Clone, Copy)]
struct Joint<'a> {
    outer: &'a RouteInfo,
    inner: &'a RouteInfo,
}

impl Joint<'_> {
    /// The length of the path if it has to be written, which a root adds nothing to.
    const fn path(&self) -> usize {
        if is_root(self.outer.path) || is_root(self.inner.path) {
            0
        } else {
            self.outer.path.len() + self.inner.path.len()
        }
    }

    /// The length of who may enter, if it has to be written.
    const fn who(&self) -> usize {
        if self.outer.who.is_empty() || self.inner.who.is_empty() {
            0
        } else {
            self.outer.who.len() + BETWEEN.len() + self.inner.who.len()
        }
    }

    /// How many names of layers have to be written.
    const fn layers(&self) -> usize {
        if self.outer.layers.is_empty() || self.inner.layers.is_empty() {
            0
        } else {
            self.outer.layers.len() + self.inner.layers.len()
        }
    }

    /// How many lines that it is made of have to be written.
    const fn made(&self) -> usize {
        if self.outer.made.is_empty() || self.inner.made.is_empty() {
            0
        } else {
            self.outer.made.len() + self.inner.made.len()
        }
    }
}

const BETWEEN: &str = ", ";

/// A row of the joint table.
enum Row<'a> {
    Own(&'a RouteInfo),
    Mounted(Joint<'a>),
}

/// The rows of the joint table, in its order: those of a mounted gateway in the place of the row that it is mounted at.
struct Rows<'a> {
    own: &'a [RouteInfo],
    mounts: &'a [Mount],
    /// The next row of the gateway's own, the mount that is next, and the next row of that.
    row: usize,
    mount: usize,
    inner: usize,
}

impl<'a> Rows<'a> {
    const fn new(own: &'a [RouteInfo], mounts: &'a [Mount]) -> Self {
        Self {
            own,
            mounts,
            row: 0,
            mount: 0,
            inner: 0,
        }
    }

    const fn next(&mut self) -> Option<Row<'a>> {
        while self.row < self.own.len() {
            let outer = &self.own[self.row];
            // Mounts are in the order of their rows.
            if self.mount == self.mounts.len() || self.mounts[self.mount].row != number(self.row) {
                self.row += 1;
                return Some(Row::Own(outer));
            }
            let rows = self.mounts[self.mount].tables.routes.0;
            if self.inner < rows.len() {
                let inner = &rows[self.inner];
                self.inner += 1;
                return Some(Row::Mounted(Joint { outer, inner }));
            }
            self.row += 1;
            self.mount += 1;
            self.inner = 0;
        }
        None
    }

    /// The next row of a mounted gateway.
    const fn next_mounted(&mut self) -> Option<Joint<'a>> {
        while let Some(row) = self.next() {
            if let Row::Mounted(joint) = row {
                return Some(joint);
            }
        }
        None
    }
}

/// Writes `more` into the list from the place `at` on, and gives the place behind it.
pub(super) const fn put<T: Copy>(list: &mut [T], at: usize, more: &[T]) -> usize {
    let end = at + more.len();
    let (before, _) = list.split_at_mut(end);
    before.split_at_mut(at).1.copy_from_slice(more);
    end
}

/// How much the table of these rows and of the mounted gateways needs.
pub const fn mounted_size(own: &[RouteInfo], mounts: &[Mount]) -> MountedSize {
    let mut size = MountedSize {
        rows: 0,
        text: 0,
        layers: 0,
    };
    let mut rows = Rows::new(own, mounts);
    while let Some(row) = rows.next() {
        if let Row::Mounted(joint) = row {
            size.text += joint.path() + joint.who();
            size.layers += joint.layers() + joint.made();
        }
        size.rows += 1;
    }
    size
}

/// The texts that have to be written, one behind the other.
pub const fn mounted_text<const N: usize>(own: &[RouteInfo], mounts: &[Mount]) -> [u8; N] {
    let mut text = [0; N];
    let mut len = 0;
    let mut rows = Rows::new(own, mounts);
    while let Some(joint) = rows.next_mounted() {
        let Joint { outer, inner } = joint;
        if joint.path() > 0 {
            len = put(&mut text, len, outer.path.as_bytes());
            len = put(&mut text, len, inner.path.as_bytes());
        }
        if joint.who() > 0 {
            len = put(&mut text, len, outer.who.as_bytes());
            len = put(&mut text, len, BETWEEN.as_bytes());
            len = put(&mut text, len, inner.who.as_bytes());
        }
    }
    text
}

/// The text of these bytes.
pub const fn text_of(bytes: &'static [u8]) -> &'static str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("texts that are joined are a text"),
    }
}

/// The names of layers and the lines that routes are made of that have to be written, one list behind the other.
pub const fn mounted_layers<const N: usize>(
    own: &[RouteInfo],
    mounts: &[Mount],
) -> [&'static str; N] {
    let mut layers = [""; N];
    let mut len = 0;
    let mut rows = Rows::new(own, mounts);
    while let Some(joint) = rows.next_mounted() {
        if joint.layers() > 0 {
            len = put(&mut layers, len, joint.outer.layers);
            len = put(&mut layers, len, joint.inner.layers);
        }
        if joint.made() > 0 {
            len = put(&mut layers, len, joint.outer.made);
            len = put(&mut layers, len, joint.inner.made);
        }
    }
    layers
}

/// The table of these rows, with the rows of each mounted gateway in the place of the row that it is mounted at.
pub const fn mounted_rows<const N: usize>(
    own: &'static [RouteInfo],
    mounts: &[Mount],
    mut text: &'static str,
    mut layers: &'static [&'static str],
) -> [RouteInfo; N] {
    let mut all = [RouteInfo::NOTHING; N];
    let mut len = 0;
    let ranks = ranks(mounts);
    let mut rows = Rows::new(own, mounts);
    while let Some(row) = rows.next() {
        all[len] = match row {
            Row::Own(own) => {
                let mut next = *own;
                next.rank *= ranks;
                next
            }
            Row::Mounted(joint) => {
                let Joint { outer, inner } = joint;
                let mut next = *inner;
                (next.path, text) = match joint.path() {
                    0 if is_root(inner.path) => (outer.path, text),
                    0 => (inner.path, text),
                    length => text.split_at(length),
                };
                (next.who, text) = match joint.who() {
                    0 if inner.who.is_empty() => (outer.who, text),
                    0 => (inner.who, text),
                    length => text.split_at(length),
                };
                (next.layers, layers) = match joint.layers() {
                    0 if inner.layers.is_empty() => (outer.layers, layers),
                    0 => (inner.layers, layers),
                    length => layers.split_at(length),
                };
                (next.made, layers) = match joint.made() {
                    0 if inner.made.is_empty() => (outer.made, layers),
                    0 => (inner.made, layers),
                    length => layers.split_at(length),
                };
                next.rank += outer.rank * ranks;
                next.host = host(outer.host, inner.host);
                if next.listener.is_empty() {
                    next.listener = outer.listener;
                }
                next
            }
        };
        len += 1;
    }
    all
}

/// One more than the highest rank of a row of a mounted gateway: the rows of a mount lie between those of the gateway's own that
/// are asked before and after it.
const fn ranks(mounts: &[Mount]) -> u64 {
    let mut most = 0;
    let mut place = 0;
    while place < mounts.len() {
        let rows = mounts[place].tables.routes.0;
        let mut at = 0;
        while at < rows.len() {
            if rows[at].rank > most {
                most = rows[at].rank;
            }
            at += 1;
        }
        place += 1;
    }
    most + 1
}

/// The narrower of the hosts that a gateway is mounted for and of those that its block names.
const fn host(outer: &'static str, inner: &'static str) -> &'static str {
    if same(inner, "_") || (!same(outer, "_") && hosts_within(outer, inner)) {
        outer
    } else {
        inner
    }
}

/// How many variables there are, each name once.
pub const fn mounted_env_size(own: &[EnvInfo], mounts: &[Mount]) -> usize {
    joint_env::<0>(own, mounts).1
}

/// The variables of the gateway and of all that is mounted in it, each name once.
pub const fn mounted_env<const N: usize>(own: &[EnvInfo], mounts: &[Mount]) -> [EnvInfo; N] {
    joint_env::<N>(own, mounts).0
}

/// The variables, as many as fit, and how many there are.
const fn joint_env<const N: usize>(own: &[EnvInfo], mounts: &[Mount]) -> ([EnvInfo; N], usize) {
    let mut all = [EnvInfo::NOTHING; N];
    let mut count = 0;
    let mut list = 0;
    while list <= mounts.len() {
        let rows = variables(own, mounts, list);
        let mut at = 0;
        while at < rows.len() {
            if is_first(own, mounts, list, at) {
                if count < N {
                    all[count] = joint(own, mounts, rows[at]);
                }
                count += 1;
            }
            at += 1;
        }
        list += 1;
    }
    (all, count)
}

/// The variables of the gateway itself, and those of the mounts.
pub(super) const fn variables<'a>(
    own: &'a [EnvInfo],
    mounts: &'a [Mount],
    list: usize,
) -> &'a [EnvInfo] {
    if list == 0 {
        own
    } else {
        mounts[list - 1].tables.env.0
    }
}

/// Whether no row before this one has its name.
const fn is_first(own: &[EnvInfo], mounts: &[Mount], list: usize, at: usize) -> bool {
    let name = variables(own, mounts, list)[at].name;
    let mut before = 0;
    while before <= list {
        let rows = variables(own, mounts, before);
        let mut row = 0;
        while row < rows.len() && (before < list || row < at) {
            if same(rows[row].name, name) {
                return false;
            }
            row += 1;
        }
        before += 1;
    }
    true
}

/// The variable as the strictest of the gateways has it: one that cannot do without it makes it required.
const fn joint(own: &[EnvInfo], mounts: &[Mount], first: EnvInfo) -> EnvInfo {
    let mut all = first;
    let mut list = 0;
    while list <= mounts.len() {
        let rows = variables(own, mounts, list);
        let mut at = 0;
        while at < rows.len() {
            let row = rows[at];
            if same(row.name, first.name) {
                if row.default.is_none() && !row.is_optional() {
                    all.default = None;
                    all.ty = row.ty;
                }
                if all.doc.is_empty() {
                    all.doc = row.doc;
                }
                if all.needed_by.is_empty() {
                    all.needed_by = row.needed_by;
                }
            }
            at += 1;
        }
        list += 1;
    }
    all
}

/// How many methods beyond the nine the gateway and those that are mounted in it name.
///
/// # Panics
///
/// If there are more than a table has bits for.
#[track_caller]
pub const fn mounted_methods_size(own: &[&'static str], mounts: &[Mount]) -> usize {
    let count = joint_methods::<64>(own, mounts).1;
    assert!(
        count <= Methods::MOST_OWN,
        "a gateway and those that are mounted in it name at most 21 methods beyond the nine: leave the methods out where a route takes every method"
    );
    count
}

/// The methods beyond the nine that the gateway and those that are mounted in it name, each once.
pub const fn mounted_methods<const N: usize>(
    own: &[&'static str],
    mounts: &[Mount],
) -> [&'static str; N] {
    joint_methods(own, mounts).0
}

/// The methods, as many as fit, and how many there are.
const fn joint_methods<const N: usize>(
    own: &[&'static str],
    mounts: &[Mount],
) -> ([&'static str; N], usize) {
    let mut all = [""; N];
    let (mut count, mut list) = (0, 0);
    while list <= mounts.len() {
        let names = if list == 0 {
            own
        } else {
            mounts[list - 1].tables.table.own_methods()
        };
        let mut at = 0;
        while at < names.len() {
            let mut known = count >= N;
            let mut before = 0;
            while before < count {
                known |= same(all[before], names[at]);
                before += 1;
            }
            if !known {
                all[count] = names[at];
                count += 1;
            }
            at += 1;
        }
        list += 1;
    }
    (all, count)
}

const fn is_root(path: &str) -> bool {
    path.len() == 1
}

pub(super) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The parts of a text between a byte of ASCII.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    rest: Option<&'a str>,
    between: u8,
}

impl<'a> Parts<'a> {
    pub(super) const fn new(text: &'a str, between: u8) -> Self {
        Self {
            rest: Some(text),
            between,
        }
    }

    pub(super) const fn next(&mut self) -> Option<&'a str> {
        let Some(rest) = self.rest else {
            return None;
        };
        let bytes = rest.as_bytes();
        let mut at = 0;
        while at < bytes.len() && bytes[at] != self.between {
            at += 1;
        }
        if at == bytes.len() {
            self.rest = None;
            return Some(rest);
        }
        let (part, behind) = rest.split_at(at);
        self.rest = Some(behind.split_at(1).1);
        Some(part)
    }
}

/// Whether the hosts that `wide` stands for include those of `narrow`: a name, or `*.` and a suffix.
pub(super) const fn host_takes(wide: &str, narrow: &str) -> bool {
    if same(wide, narrow) {
        return true;
    }
    let (bytes, inner) = (wide.as_bytes(), narrow.as_bytes());
    if bytes.len() < 2 || bytes[0] != b'*' || inner.len() < bytes.len() {
        return false;
    }
    // From the dot on.
    let suffix = bytes.len() - 1;
    let mut at = 0;
    while at < suffix {
        if inner[inner.len() - suffix + at] != bytes[1 + at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether each of the hosts `narrow`, joined by `|`, is one of those that `wide` stands for.
pub(super) const fn hosts_within(narrow: &str, wide: &str) -> bool {
    let mut parts = Parts::new(narrow, b'|');
    while let Some(host) = parts.next() {
        let mut found = false;
        let mut others = Parts::new(wide, b'|');
        while let Some(other) = others.next() {
            found |= host_takes(other, host);
        }
        if !found {
            return false;
        }
    }
    true
}
