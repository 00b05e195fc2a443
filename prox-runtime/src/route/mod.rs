//! Which route takes a request: what the generated tree calls, and the constant table of routes.
//!
//! The macro writes data; the walking is done here, by one small function for every gateway.

mod accepts;
mod diff;
mod explain;
mod export;
mod guard;
mod host;
mod hosts;
mod info;
mod kind;
mod manifest;
mod matched;
mod methods;
mod mount;
mod preflight;
mod read_guard;
mod segment;
mod table;

pub(crate) use self::explain::Known;
pub(crate) use self::hosts::Hosts;
pub(crate) use self::mount::{Candidates, Place, Taken};
pub(crate) use self::preflight::{Answerable, OwnMethods, asked_method};
pub use self::{
    diff::{ChangeKind, RouteChange, RouteDiff, RouteDiffError, RouteWitness},
    explain::{Considered, Explanation, Verdict},
    guard::{ClientIp, Cookie, Guard, GuardFn, RequestKey, client_ip, cookie, header, query},
    host::{Host, HostError},
    hosts::HostNames,
    info::{EnvInfo, RouteInfo, Routes, Variables, on_listeners, routes},
    kind::{class, is_int, is_slug, is_uuid},
    matched::{Matched, RequestExt},
    methods::Methods,
    mount::{
        Mount, MountedSize, NamedGateway, Tables, check_mount, mounted_candidates, mounted_env,
        mounted_env_size, mounted_layers, mounted_methods, mounted_methods_size, mounted_rows,
        mounted_size, mounted_text, mounts, text_of,
    },
    segment::{Segments, Step, key},
    table::{Candidate, Edge, Matcher, Node, Table, Tree, candidates, edges, nodes},
};
pub(crate) use crate::forward::pattern::names;
