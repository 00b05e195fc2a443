//! Where the events of a server go: the variables `LOG` and `LOG_FORMAT`.

use super::{ServerVariables, admin::Running, good, listener::Line};
use crate::{
    error::Result,
    handler::Dispatch,
    observe::{
        lines::{self, Form},
        logs::{self, Filter},
        outputs,
    },
};

/// Has events written to stderr, unless the program has a subscriber of its own.
///
/// # Errors
///
/// What is wrong with the variables. Events are written all the same.
pub(super) fn begin(variables: &ServerVariables) -> Result {
    read(variables, logs::install)
}

/// Takes the form of lines, for a server that installs nothing.
///
/// # Errors
///
/// What is wrong with `LOG_FORMAT`, and with `LOG` if nothing else reads it.
pub(super) fn check(variables: &ServerVariables) -> Result {
    read(variables, |_| !tracing::dispatcher::has_been_set())
}

/// `is_ours` is given the filter, and says whether that is what decides about events.
fn read(variables: &ServerVariables, is_ours: impl FnOnce(Filter) -> bool) -> Result {
    let form = form(variables);
    if let Ok(Some(form)) = form {
        lines::choose(form);
    }
    let filter = filter(variables);
    let is_ours = is_ours(filter.clone().unwrap_or_default());
    said(form.err(), filter.err().filter(|_| is_ours))
}

/// Tells where a server listens.
pub(super) fn tell_start<G: Dispatch>(lines: &[Line], gateway: &G, admin: Option<&Running>) {
    let places: Vec<String> = lines.iter().map(Line::to_string).collect();
    tracing::info!(
        target: "prox",
        on = places.join(" and "),
        admin = admin.map(|admin| tracing::field::display(admin.place())),
        gateway = gateway.summary(),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
}

/// Tells that a server has ended, and waits until the logs are written: the program may end with the server.
pub(super) async fn end() {
    tracing::info!(target: "prox", "ended");
    outputs::flush().await;
}

fn said(form: Option<String>, filter: Option<String>) -> Result {
    let problems: Vec<String> = filter.into_iter().chain(form).collect();
    good(&problems)
}

/// The value of a variable. A file of variables has those that are not set as empty ones.
fn set(variables: &ServerVariables, name: &str) -> Result<Option<String>, String> {
    let text = variables.text(name)?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn filter(variables: &ServerVariables) -> Result<Filter, String> {
    match set(variables, "LOG")? {
        Some(text) => Filter::read(&text).map_err(|problem| format!("LOG: {problem}")),
        None => Ok(Filter::default()),
    }
}

fn form(variables: &ServerVariables) -> Result<Option<Form>, String> {
    let text = set(variables, "LOG_FORMAT")?;
    let form = text.map(|text| Form::read(&text));
    let form = form.transpose();
    form.map_err(|problem| format!("LOG_FORMAT: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vars::Env;

    #[test]
    fn what_is_empty_is_not_set() {
        let variables = ServerVariables::new(Env::from([("LOG", ""), ("LOG_FORMAT", "")]));
        assert_eq!(form(&variables), Ok(None));
        assert_eq!(filter(&variables), Ok(Filter::default()));
    }

    #[test]
    fn both_variables_are_told_at_once() {
        let variables = ServerVariables::new(Env::from([("LOG", "loud"), ("LOG_FORMAT", "xml")]));
        let problems = said(form(&variables).err(), filter(&variables).err());
        assert_eq!(
            problems.unwrap_err().to_string(),
            "LOG: expected `off`, `error`, `warn`, `info`, `debug` or `trace`, found `loud`\n\
             LOG_FORMAT: expected `json`, `text`, `ecs` or `gcp`, found `xml`"
        );
    }
}
