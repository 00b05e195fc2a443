//! What a gateway tells an operator of itself, and what an operator may change.

use std::collections::BTreeSet;

use super::{Inner, measures::Measures};
use crate::{
    cluster::Cluster,
    inspect::{Backend, Change, Endpoint, Inspection, Operation, Value, Variable},
    route::EnvInfo,
    vars::Env,
};

impl Inner {
    pub(super) fn inspection(&self) -> Inspection {
        let variables = self.variables.iter();
        Inspection {
            table: self.measures.table().to_owned(),
            routes: self.routes.len(),
            backends: self.measures.clusters().iter().map(backend).collect(),
            variables: variables.map(|info| variable(info, &self.env)).collect(),
        }
    }
}

fn backend(cluster: &Cluster) -> Backend {
    Backend {
        name: cluster.name().to_owned(),
        is_required: cluster.is_required(),
        is_ready: cluster.has_ready_endpoint(),
        endpoints: cluster
            .endpoints_with_idle()
            .map(|(state, idle)| Endpoint {
                address: state.to_string(),
                condition: state.condition().name(),
                weight: state.weight(),
                priority: state.priority(),
                active: state.active(),
                waiting: state.waiting(),
                idle,
                last_error: state
                    .last_error()
                    .map(|error| (error.reason.clone(), error.time)),
            })
            .collect(),
    }
}

fn variable(info: &EnvInfo, env: &Env) -> Variable {
    let text = env.get(info.name).ok().flatten();
    let is_in_file = || info.is_secret() && env.names_file(info.name);
    let value = match (text, info.plain_default()) {
        (Some(text), _) => Value::shown(info.name, info.is_secret(), &text),
        (None, _) if is_in_file() => Value::Secret,
        (None, Some(default)) => match Value::shown(info.name, info.is_secret(), &default) {
            Value::Set(text) => Value::Default(text),
            hidden => hidden,
        },
        (None, None) => Value::Missing,
    };
    Variable {
        name: info.name.to_owned(),
        value,
    }
}

impl Measures {
    /// Does it to each backend of this name that has the endpoint.
    ///
    /// # Errors
    ///
    /// Which backends or endpoints there are.
    pub(super) fn operate(&self, operation: &Operation<'_>) -> Result<(), String> {
        let Operation {
            backend, endpoint, ..
        } = *operation;
        let named = self.clusters().iter().filter(|one| one.name() == backend);
        let done = named.map(|cluster| {
            let done = match operation.change {
                Change::Drain => cluster.drain(endpoint),
                Change::Undrain => cluster.undrain(endpoint),
                Change::Weight(weight) => cluster.set_weight(endpoint, weight),
            };
            done.map_err(|problem| problem.to_string())
        });
        done.reduce(|first, next| next.or(first))
            .unwrap_or_else(|| {
                let known: BTreeSet<&str> = self.clusters().iter().map(Cluster::name).collect();
                let known: Vec<&str> = known.into_iter().collect();
                Err(match known.as_slice() {
                    [] => String::from("the gateway has no backend"),
                    known => format!(
                        "no backend `{backend}`; the gateway has {}",
                        known.join(", ")
                    ),
                })
            })
    }
}
