//! The tables of a gateway and of all that is mounted in it as one, made while compiling.
//!
//! Texts are joined in two passes: the first finds how long they are together, the second writes them one behind the other, and
//! the rows then cut them off in the same order.

use super::{
    super::{
        info::{EnvInfo, RouteInfo},
        methods::Methods,
    },
    Mount, mount_at, number,
};

/// How much a joint table needs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct MountedSize {
    /// How many rows.
    pub rows: usize,
    /// How many bytes of text.
    pub text: usize,
    /// How many names of layers.
    pub layers: usize,
}

/// What a row of a mounted gateway has in the place of its own texts.
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
}

const BETWEEN: &str = ", ";

/// The mount at a row of the gateway's own.
const fn mount_of(mounts: &[Mount], row: usize) -> Option<&Mount> {
    match mount_at(mounts, number(row)) {
        Some(place) => Some(&mounts[place as usize]),
        None => None,
    }
}

/// How much the table of these rows and of the mounted gateways needs.
pub const fn mounted_size(own: &[RouteInfo], mounts: &[Mount]) -> MountedSize {
    let mut size = MountedSize {
        rows: 0,
        text: 0,
        layers: 0,
    };
    let mut row = 0;
    while row < own.len() {
        if let Some(mount) = mount_of(mounts, row) {
            let rows = mount.tables.routes.0;
            let mut at = 0;
            while at < rows.len() {
                let joint = Joint {
                    outer: &own[row],
                    inner: &rows[at],
                };
                size.text += joint.path() + joint.who();
                size.layers += joint.layers();
                at += 1;
            }
            size.rows += rows.len();
        } else {
            size.rows += 1;
        }
        row += 1;
    }
    size
}

/// The texts that have to be written, one behind the other.
pub const fn mounted_text<const N: usize>(own: &[RouteInfo], mounts: &[Mount]) -> [u8; N] {
    let mut text = Text {
        bytes: [0; N],
        len: 0,
    };
    let mut row = 0;
    while row < own.len() {
        if let Some(mount) = mount_of(mounts, row) {
            let rows = mount.tables.routes.0;
            let mut at = 0;
            while at < rows.len() {
                let (outer, inner) = (&own[row], &rows[at]);
                let joint = Joint { outer, inner };
                if joint.path() > 0 {
                    text.push(outer.path);
                    text.push(inner.path);
                }
                if joint.who() > 0 {
                    text.push(outer.who);
                    text.push(BETWEEN);
                    text.push(inner.who);
                }
                at += 1;
            }
        }
        row += 1;
    }
    text.bytes
}

struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const fn push(&mut self, text: &str) {
        let end = self.len + text.len();
        self.bytes
            .split_at_mut(end)
            .0
            .split_at_mut(self.len)
            .1
            .copy_from_slice(text.as_bytes());
        self.len = end;
    }
}

/// The text of these bytes.
pub const fn text_of(bytes: &'static [u8]) -> &'static str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("texts that are joined are a text"),
    }
}

/// The names of layers that have to be written, one list behind the other.
pub const fn mounted_layers<const N: usize>(
    own: &[RouteInfo],
    mounts: &[Mount],
) -> [&'static str; N] {
    let mut layers = [""; N];
    let (mut len, mut row) = (0, 0);
    while row < own.len() {
        if let Some(mount) = mount_of(mounts, row) {
            let rows = mount.tables.routes.0;
            let mut at = 0;
            while at < rows.len() {
                let (outer, inner) = (&own[row], &rows[at]);
                if (Joint { outer, inner }).layers() > 0 {
                    let lists = [outer.layers, inner.layers];
                    let mut list = 0;
                    while list < lists.len() {
                        let end = len + lists[list].len();
                        layers
                            .split_at_mut(end)
                            .0
                            .split_at_mut(len)
                            .1
                            .copy_from_slice(lists[list]);
                        len = end;
                        list += 1;
                    }
                }
                at += 1;
            }
        }
        row += 1;
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
    let (mut len, mut row) = (0, 0);
    while row < own.len() {
        if let Some(mount) = mount_of(mounts, row) {
            let rows = mount.tables.routes.0;
            let mut at = 0;
            while at < rows.len() {
                let (outer, inner) = (&own[row], &rows[at]);
                let joint = Joint { outer, inner };
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
                next.host = host(outer.host, inner.host);
                if next.listener.is_empty() {
                    next.listener = outer.listener;
                }
                all[len] = next;
                len += 1;
                at += 1;
            }
        } else {
            all[len] = own[row];
            len += 1;
        }
        row += 1;
    }
    all
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
const fn variables<'a>(own: &'a [EnvInfo], mounts: &'a [Mount], list: usize) -> &'a [EnvInfo] {
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
                if row.default.is_none() && !is_optional(row.ty) {
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

pub(super) const fn is_optional(ty: &str) -> bool {
    // As `EnvInfo::is_optional` has it.
    let (ty, word) = (ty.as_bytes(), b"Option<");
    let mut start = 0;
    while start + word.len() <= ty.len() {
        let before = start == 0 || ty[start - 1] == b':';
        let mut at = 0;
        while at < word.len() && ty[start + at] == word[at] {
            at += 1;
        }
        if before && at == word.len() {
            return true;
        }
        start += 1;
    }
    false
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
