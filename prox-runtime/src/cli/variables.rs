//! The variables of a gateway's binary: those of the gateway, and those that say where it listens.

use crate::route::{EnvInfo, Variables};

/// What a server without an address of its own reads.
const OF_THE_SERVER: [EnvInfo; 2] = [
    EnvInfo {
        name: "HOST",
        ty: "IpAddr",
        default: Some("\"0.0.0.0\""),
        doc: "The address to listen on: an IP address, or localhost.",
        needed_by: "the server",
    },
    EnvInfo {
        name: "PORT",
        ty: "u16",
        default: Some("8080"),
        doc: "The port to listen on; 0 for one that is free.",
        needed_by: "the server",
    },
];

/// The variables of the gateway, and those of its server, each name once.
///
/// What it returns is never freed: it is for a process that prints it and ends.
pub(super) fn with_the_servers(gateway: Variables) -> Variables {
    let mut all = gateway.to_vec();
    for variable in OF_THE_SERVER {
        if !all.iter().any(|other| other.name == variable.name) {
            all.push(variable);
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
            ..OF_THE_SERVER[1]
        };
        let own = Variables::new(Vec::leak(vec![port]));
        let all = with_the_servers(own);
        let listed: Vec<_> = all
            .iter()
            .map(|variable| (variable.name, variable.needed_by))
            .collect();
        assert_eq!(listed, [("PORT", "/told"), ("HOST", "the server")]);
    }

    #[test]
    fn the_defaults_are_values_in_files() {
        let all = with_the_servers(Variables::new(&[]));
        assert!(all.to_dotenv().contains("\nHOST=0.0.0.0\n"));
        assert!(all.to_dotenv().contains("\nPORT=8080\n"));
        assert!(all.to_kubernetes().contains("value: \"8080\""));
    }
}
