//! Where the events of a server go: the variables `LOG` and `LOG_FORMAT`.

use super::ServerVariables;
use crate::{
    error::{Error, Result},
    observe::{
        lines::{self, Form},
        logs::{self, Filter},
    },
};

/// Has events written to stderr, unless the program has a subscriber of its own.
///
/// # Errors
///
/// What is wrong with the variables. Events are written all the same.
pub(super) fn begin(variables: &ServerVariables) -> Result {
    let form = form(variables);
    if let Ok(Some(form)) = form {
        lines::choose(form);
    }
    let filter = filter(variables);
    let is_ours = logs::install(filter.clone().unwrap_or_default());
    said(form.err(), filter.err().filter(|_| is_ours))
}

/// What is wrong with the variables, and the form of the lines of a server that installs nothing.
///
/// # Errors
///
/// What is wrong with `LOG_FORMAT`, and with `LOG` if nothing else reads it.
pub(super) fn check(variables: &ServerVariables) -> Result {
    let form = form(variables);
    if let Ok(Some(form)) = form {
        lines::choose(form);
    }
    let is_ours = !tracing::dispatcher::has_been_set();
    said(form.err(), filter(variables).err().filter(|_| is_ours))
}

fn said(form: Option<String>, filter: Option<String>) -> Result {
    let problems: Vec<String> = filter.into_iter().chain(form).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::config(problems.join("\n")))
    }
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
