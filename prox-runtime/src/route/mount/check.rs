//! What a mount makes unreachable or contradicts, found while compiling.
//!
//! Each panic is the error of the constant in which the macro calls this, at the place of the mount. The functions between are
//! `#[track_caller]`, so the compiler points at that place and not in here.

use super::{
    super::info::{EnvInfo, RouteInfo},
    Mount,
    merge::{Parts, host_takes, hosts_within, put, same, variables},
    mount_at,
};

/// Checks the mount of this number. `before` are the rows of the gateway's own that are asked before it, and `open` says that
/// `require auth` holds for it and that no layer stands around it.
///
/// # Panics
///
/// With what is wrong, which is an error of the compiler where this is called.
#[track_caller]
pub const fn check_mount(
    own: &[RouteInfo],
    env: &[EnvInfo],
    mounts: &[Mount],
    place: usize,
    before: &[u32],
    open: bool,
) {
    let mount = &mounts[place];
    let outer = &own[mount.row as usize];
    let rows = mount.tables.routes.0;
    let mut at = 0;
    while at < rows.len() {
        let inner = &rows[at];
        parameters(outer, inner);
        hosts(own, outer, rows, inner);
        if open && inner.layers.is_empty() {
            let mut text = Message::new();
            text.push("the mounted route ");
            text.row(outer.path, inner);
            text.push(" has no authentication layer, but `require auth` applies to it\n  help: add an authenticator to the mount: `with [auth]`, or to the mounted gateway");
            panic!("{}", text.text());
        }
        reached(own, mounts, before, outer, inner);
        at += 1;
    }
    defaults(env, mounts, place);
}

/// A parameter has one value.
#[track_caller]
const fn parameters(outer: &RouteInfo, inner: &RouteInfo) {
    let mut own = Parts::new(outer.path, b'/');
    while let Some(segment) = own.next() {
        if !is_param(segment) {
            continue;
        }
        let mut others = Parts::new(inner.path, b'/');
        while let Some(other) = others.next() {
            if is_param(other) && same(name(segment), name(other)) {
                let mut text = Message::new();
                text.push("duplicate parameter `");
                text.push(name(segment));
                text.push("` in the mounted route ");
                text.row(outer.path, inner);
                text.push("\n  help: rename it in the path of the mount");
                panic!("{}", text.text());
            }
        }
    }
}

/// A row for hosts that never get here cannot be reached.
#[track_caller]
const fn hosts(own: &[RouteInfo], outer: &RouteInfo, rows: &[RouteInfo], inner: &RouteInfo) {
    if from_variable(outer.host) || from_variable(inner.host) {
        return;
    }
    let every = same(outer.host, "_");
    let unreachable = if same(inner.host, "_") {
        // Each host of the mount has a block of its own in the mounted gateway.
        !every && all_named(outer.host, rows)
    } else if every {
        // The blocks of the outer gateway take these hosts.
        all_named(inner.host, own)
    } else {
        !meet(outer.host, inner.host)
    };
    if unreachable {
        let mut text = Message::new();
        text.push("the mounted route ");
        text.row(outer.path, inner);
        text.push(" can never be reached: it is for ");
        text.host(inner.host);
        text.push(", but the mount is for ");
        text.host(outer.host);
        text.push("\n  help: mount the gateway for this host, or remove the route from it");
        panic!("{}", text.text());
    }
}

/// Whether one of the hosts is the value of a variable, which is known when the gateway starts.
const fn from_variable(hosts: &str) -> bool {
    let hosts = hosts.as_bytes();
    let mut at = 0;
    while at < hosts.len() {
        if hosts[at] == b'{' {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether each of these hosts is one that a block of these rows names.
const fn all_named(hosts: &str, rows: &[RouteInfo]) -> bool {
    let mut parts = Parts::new(hosts, b'|');
    while let Some(host) = parts.next() {
        let (mut found, mut at) = (false, 0);
        while at < rows.len() {
            found |= !same(rows[at].host, "_") && hosts_within(host, rows[at].host);
            at += 1;
        }
        if !found {
            return false;
        }
    }
    true
}

/// Whether there is a host that both stand for.
const fn meet(a: &str, b: &str) -> bool {
    let mut parts = Parts::new(a, b'|');
    while let Some(one) = parts.next() {
        let mut others = Parts::new(b, b'|');
        while let Some(other) = others.next() {
            if host_takes(one, other) || host_takes(other, one) {
                return true;
            }
        }
    }
    false
}

/// A row whose methods are all taken by rows that are asked before it cannot be reached.
#[track_caller]
const fn reached(
    own: &[RouteInfo],
    mounts: &[Mount],
    before: &[u32],
    outer: &RouteInfo,
    inner: &RouteInfo,
) {
    let mut winner = None;
    let mut methods = Parts::new(inner.methods, b'|');
    while let Some(method) = methods.next() {
        match taker(own, mounts, before, outer, inner, method) {
            Some(found) => winner = Some(found),
            None => return,
        }
    }
    if let Some((prefix, row)) = winner {
        let mut text = Message::new();
        text.push("the mounted route ");
        text.row(outer.path, inner);
        text.push(" can never be reached: the more specific route ");
        text.row(prefix, row);
        text.push(" matches all of its requests\n  help: remove one of them");
        panic!("{}", text.text());
    }
}

/// The row that takes all requests of this method that the inner row could take, with the prefix that it is mounted at.
const fn taker<'a>(
    own: &'a [RouteInfo],
    mounts: &'a [Mount],
    before: &[u32],
    outer: &RouteInfo,
    inner: &RouteInfo,
    method: &str,
) -> Option<(&'a str, &'a RouteInfo)> {
    let mut at = 0;
    while at < before.len() {
        let row = &own[before[at] as usize];
        match mount_at(mounts, before[at]) {
            None => {
                if takes("/", row, outer.path, inner, method) {
                    return Some(("/", row));
                }
            }
            Some(place) => {
                let rows = mounts[place as usize].tables.routes.0;
                let mut number = 0;
                while number < rows.len() {
                    // One that names hosts leaves others to those behind it.
                    if !same(rows[number].host, "_") {
                        break;
                    }
                    number += 1;
                }
                let mut number = if number == rows.len() { 0 } else { rows.len() };
                while number < rows.len() {
                    if takes(row.path, &rows[number], outer.path, inner, method) {
                        return Some((row.path, &rows[number]));
                    }
                    number += 1;
                }
            }
        }
        at += 1;
    }
    None
}

const fn takes(
    prefix: &str,
    row: &RouteInfo,
    outer: &str,
    inner: &RouteInfo,
    method: &str,
) -> bool {
    if !row.guard.is_empty() {
        return false;
    }
    let mut named = same(row.methods, "*");
    let mut methods = Parts::new(row.methods, b'|');
    while let Some(other) = methods.next() {
        named |= same(other, method);
    }
    named
        && path_takes(
            Segments::new(prefix, row.path, row.exact),
            row.exact,
            Segments::new(outer, inner.path, inner.exact),
            inner.exact,
        )
}

/// Whether a pattern takes every path that the other takes, as far as the texts tell.
const fn path_takes(
    mut wide: Segments<'_>,
    wide_exact: bool,
    mut narrow: Segments<'_>,
    narrow_exact: bool,
) -> bool {
    loop {
        let (wide, narrow) = match (wide.next(), narrow.next()) {
            (None, None) => return !wide_exact || narrow_exact,
            (None, Some(_)) => return !wide_exact,
            (Some(_), None) => return false,
            (Some(wide), Some(narrow)) => (wide, narrow),
        };
        if is_rest(wide) {
            return !narrow.is_empty();
        }
        let takes = if is_rest(narrow) {
            false
        } else if is_param(wide) {
            let any = kind(wide).is_empty() && !narrow.is_empty();
            any || (is_param(narrow) && same(kind(wide), kind(narrow)))
        } else {
            same(wide, narrow)
        };
        if !takes {
            return false;
        }
    }
}

/// The segments of a path below a prefix. An exact `/` below a prefix is the prefix.
#[derive(Clone, Copy)]
struct Segments<'a> {
    prefix: Option<Parts<'a>>,
    path: Option<Parts<'a>>,
}

impl<'a> Segments<'a> {
    const fn new(prefix: &'a str, path: &'a str, exact: bool) -> Self {
        let root = path.len() <= 1;
        Self {
            prefix: segments(prefix, false),
            path: if root && prefix.len() > 1 {
                None
            } else {
                segments(path, exact)
            },
        }
    }

    const fn next(&mut self) -> Option<&'a str> {
        if let Some(prefix) = &mut self.prefix {
            if let Some(segment) = prefix.next() {
                return Some(segment);
            }
            self.prefix = None;
        }
        match &mut self.path {
            Some(path) => path.next(),
            None => None,
        }
    }
}

/// The segments behind the first slash; none for the root, unless it is exact, where an empty one stands for the slash.
const fn segments(path: &str, exact: bool) -> Option<Parts<'_>> {
    if path.len() <= 1 && !exact {
        return None;
    }
    Some(Parts::new(path.split_at(1).1, b'/'))
}

/// A variable that is not set has one default.
#[track_caller]
const fn defaults(env: &[EnvInfo], mounts: &[Mount], place: usize) {
    let rows = mounts[place].tables.env.0;
    let mut at = 0;
    while at < rows.len() {
        let mut list = 0;
        while list <= place {
            let others = variables(env, mounts, list);
            let mut other = 0;
            while other < others.len() {
                differ(&others[other], &rows[at]);
                other += 1;
            }
            list += 1;
        }
        at += 1;
    }
}

#[track_caller]
const fn differ(outer: &EnvInfo, inner: &EnvInfo) {
    if !same(outer.name, inner.name) {
        return;
    }
    let (own, other) = match (outer.default, inner.default) {
        (Some(own), Some(other)) if !same(own, other) => (own, other),
        (Some(own), None) if inner.is_optional() => (own, "nothing"),
        (None, Some(other)) if outer.is_optional() => ("nothing", other),
        _ => return,
    };
    let mut text = Message::new();
    text.push("the variable `");
    text.push(inner.name);
    text.push("` has two defaults: `");
    text.push(other);
    text.push("` in the mounted gateway, and `");
    text.push(own);
    text.push("` outside of it\n  help: write the same default, or rename one of the variables");
    panic!("{}", text.text());
}

const fn is_param(segment: &str) -> bool {
    !segment.is_empty() && segment.as_bytes()[0] == b'{'
}

const fn is_rest(segment: &str) -> bool {
    segment.len() > 1 && segment.as_bytes()[0] == b'{' && segment.as_bytes()[1] == b'*'
}

/// The name in `{name}`, `{*name}` and `{name: kind}`.
const fn name(segment: &str) -> &str {
    let bytes = segment.as_bytes();
    let start = if is_rest(segment) { 2 } else { 1 };
    let mut end = start;
    while end < bytes.len() && bytes[end] != b':' && bytes[end] != b'}' {
        end += 1;
    }
    segment.split_at(end).0.split_at(start).1
}

/// What follows the name of a parameter: nothing, or its kind.
const fn kind(segment: &str) -> &str {
    let bytes = segment.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b':' {
        at += 1;
    }
    segment.split_at(at).1
}

/// A text that is put together while compiling.
struct Message {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Message {
    const MOST: usize = 2_000;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::MOST],
            len: 0,
        }
    }

    /// Adds a text, as far as there is room for all of it.
    const fn push(&mut self, text: &str) {
        if self.len + text.len() > Self::MOST {
            return;
        }
        self.len = put(&mut self.bytes, self.len, text.as_bytes());
    }

    /// A row as it is listed, and where it is written.
    const fn row(&mut self, prefix: &str, row: &RouteInfo) {
        self.push("`");
        if !same(row.methods, "*") {
            self.push(row.methods);
            self.push(" ");
        }
        if row.exact {
            self.push("exact ");
        }
        if prefix.len() > 1 {
            self.push(prefix);
        }
        if prefix.len() <= 1 || row.path.len() > 1 {
            self.push(row.path);
        }
        if !row.guard.is_empty() {
            self.push(" if ");
            self.push(row.guard);
        }
        self.push("` (");
        self.push(row.file);
        self.push(":");
        self.number(row.line);
        self.push(")");
    }

    const fn host(&mut self, host: &str) {
        if same(host, "_") {
            self.push("every other host");
        } else {
            self.push("`");
            self.push(host);
            self.push("`");
        }
    }

    const fn number(&mut self, number: u32) {
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        if number > 9 {
            self.number(number / 10);
        }
        self.push(DIGITS[(number % 10) as usize]);
    }

    const fn text(&self) -> &str {
        match str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "a route of the mounted gateway conflicts with the routes around the mount",
        }
    }
}
