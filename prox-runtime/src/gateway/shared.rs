//! The variables that a gateway and its server both read.

use super::Gateway;
use crate::{
    error::Result,
    route::{EnvInfo, Variables},
    server::{ServerVariables, is_listed, is_optional, is_variable},
    vars::Env,
};

/// What the server of a gateway has to know of the variables.
pub(super) fn server_variables(gateway: &Result<Gateway>) -> ServerVariables {
    match gateway {
        Ok(gateway) => read_by_both(gateway.0.env.clone(), gateway.0.variables),
        Err(_) => ServerVariables::new(Env::current()),
    }
}

/// The same for a gateway that is not made.
pub(super) fn read_by_both(env: Env, of_the_gateway: Variables) -> ServerVariables {
    let mut variables = ServerVariables::new(env);
    for info in of_the_gateway.iter() {
        let is_read = is_listed(info.name) || is_variable(info.name);
        if let Some(value) = default(info).filter(|_| is_read) {
            variables.default(info.name, value);
        }
    }
    variables
}

/// What the gateway takes for a variable that is not set, if that is anything that the server does not take too.
fn default(info: &EnvInfo) -> Option<Result<String, String>> {
    let EnvInfo { name, ty, .. } = *info;
    let Some(source) = info.default else {
        // Nothing is what the server takes for this one too.
        let differs = info.is_optional() && !is_optional(name) && !is_variable(name);
        return differs.then(|| {
            Err(format!(
                "{name} is not set, and may be missing in the gateway, but its server needs a value: set it, or give `env {name}` a default"
            ))
        });
    };
    Some(info.plain_default().ok_or_else(|| {
        format!(
            "{name} is not set, and the default in the gateway, `{source}`, is not a literal, so its server cannot read it: \
             set it, or write `env {name}: {ty} = ..` with a literal or a string"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        name: &'static str,
        ty: &'static str,
        source: Option<&'static str>,
    ) -> Option<Result<String, String>> {
        default(&EnvInfo {
            name,
            ty,
            default: source,
            doc: "",
            needed_by: "",
        })
    }

    #[test]
    fn a_literal_is_the_default_of_the_server_too() {
        assert_eq!(of("PORT", "u16", Some("3000")), Some(Ok("3000".into())));
        assert_eq!(of("PORT", "u16", Some("3_000u16")), Some(Ok("3000".into())));
        assert_eq!(
            of("HOST", "IpAddr", Some("\"::1\"")),
            Some(Ok("::1".into()))
        );
        assert_eq!(
            of("PORT", "u16", None),
            None,
            "the gateway does not start without it"
        );
        assert_eq!(of("TRUSTED_PROXIES", "Option<String>", None), None);
    }

    #[test]
    fn what_the_server_cannot_read_is_an_error() {
        let error = of("PORT", "u16", Some("port()")).unwrap().unwrap_err();
        assert!(error.contains("`port()`, is not a literal"), "{error}");
        let error = of("PORT", "Option<u16>", None).unwrap().unwrap_err();
        assert!(error.contains("may be missing in the gateway"), "{error}");
    }
}
