//! The variables of a gateway's binary: those of the gateway, and those of its server.

use crate::{
    route::{EnvInfo, Variables},
    server::{ALL, Listed},
};

/// Who needs a variable of the server.
const SERVER: &str = "the server";

/// A variable of the server as one of the gateway.
const fn info(listed: &Listed) -> EnvInfo {
    EnvInfo {
        name: listed.name,
        ty: listed.ty,
        default: listed.default,
        doc: listed.doc,
        needed_by: SERVER,
    }
}

/// The variables of the gateway, and those that its server `reads`, each name once; `listeners` are the variables of its listeners,
/// with the names of these.
///
/// What it returns is never freed: it is for a process that prints it and ends.
pub(super) fn with_the_servers(
    gateway: Variables,
    reads: impl Fn(&str) -> bool,
    listeners: Vec<(String, String)>,
) -> Variables {
    let mut all = gateway.to_vec();
    let of_listeners = listeners.into_iter().map(|(name, listener)| EnvInfo {
        name: name.leak(),
        ty: "Option<String>",
        default: None,
        doc: format!(
            "Where the listener {listener} listens, such as 127.0.0.1:9000, :9000 or unix:/run/prox.sock; else HOST and PORT."
        )
        .leak(),
        needed_by: SERVER,
    });
    let read = ALL.iter().map(info).filter(|variable| reads(variable.name));
    for variable in read.chain(of_listeners) {
        match all.iter_mut().find(|other| other.name == variable.name) {
            // One variable with one value.
            Some(own) if own.needed_by.is_empty() => own.needed_by = variable.needed_by,
            Some(own) => {
                let both = format!("{}, {}", own.needed_by, variable.needed_by);
                own.needed_by = both.leak();
            }
            None => all.push(variable),
        }
    }
    Variables::new(all.leak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_the_gateway_reads_too_is_listed_once() {
        let port = EnvInfo {
            needed_by: "/told",
            ..info(&ALL[1])
        };
        let own = Variables::new(Vec::leak(vec![port]));
        let all = with_the_servers(own, |name| matches!(name, "HOST" | "PORT"), Vec::new());
        let listed: Vec<_> = all
            .iter()
            .map(|variable| (variable.name, variable.needed_by))
            .collect();
        assert_eq!(
            listed,
            [("PORT", "/told, the server"), ("HOST", "the server")]
        );
    }

    #[test]
    fn what_the_server_does_not_read_is_not_listed() {
        let all = with_the_servers(
            Variables::new(&[]),
            |name| name == "TRUSTED_PROXIES",
            Vec::new(),
        );
        let listed: Vec<_> = all.iter().map(|variable| variable.name).collect();
        assert_eq!(listed, ["TRUSTED_PROXIES"]);
        assert!(all.to_string().contains("(optional)"), "{all}");
        assert!(all.to_dotenv().ends_with("\nTRUSTED_PROXIES=\n"));
    }

    #[test]
    fn the_defaults_are_values_in_files() {
        let all = with_the_servers(
            Variables::new(&[]),
            |_| true,
            vec![("INTERNAL_LISTEN".into(), "internal".into())],
        );
        assert!(all.to_dotenv().ends_with("\nINTERNAL_LISTEN=\n"));
        assert!(all.to_dotenv().contains("\nHOST=0.0.0.0\n"));
        assert!(all.to_dotenv().contains("\nPORT=8080\n"));
        assert!(all.to_kubernetes().contains("value: \"8080\""));
    }
}
