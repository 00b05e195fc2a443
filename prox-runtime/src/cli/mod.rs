//! The arguments that any gateway's binary can have: serve, check, and say what is known of the gateway.

mod args;
mod diff;
mod env_file;
mod health;
mod variables;

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
};

use self::{
    args::{Command, EnvForm, Explain, RoutesForm, USAGE},
    env_file::EnvFile,
};
use crate::{
    error::{Error, Result},
    gateway::{Describe, Description, Gateway},
    route::Variables,
    server::Server,
    vars::Env,
};

/// The whole `main` of a gateway's binary, with arguments: as [`run`](crate::run()), and a few that tell of the gateway.
///
/// | arguments | what it does |
/// |---|---|
/// | none, or `serve` | serves, as [`Server::run`] does |
/// | `check` | reads the environment and the certificates, and makes the gateway, without serving; under `require auth` it lists the routes that anybody may enter |
/// | `routes [--json \| --mermaid]` | lists the routes, as [`Routes`](crate::Routes) does |
/// | `explain METHOD URL` | says which route would take a request, and why, and its layers; `-H 'name: value'` and `--from IP` let it decide guards, `--on LISTENER` says where the request comes in |
/// | `diff FILE` | says which requests fare otherwise than with the routes in a file that `routes --json` wrote, as [`Routes::diff`](crate::Routes::diff) does; `--json` is for machines, `--only lost,moved` leaves other kinds of changes out |
/// | `env [--dotenv \| --k8s \| --configmap]` | lists the variables, as [`Variables`](crate::Variables) does, with those of the server |
/// | `health [live \| ready]` | asks the gateway that runs on this machine how it is, at its [admin listener](crate::Admin) or else by a connection to where clients connect; within 1 s |
/// | `reload` | starts a new process of this program that takes over from the running one at `HANDOVER`, and waits until it serves, for 60 s at most; needs the feature `handover` |
/// | `--version` | prints the version of the gateway's package, and of Prox |
/// | `key NAME` | makes a key for `ApiKeys::file`, with the feature `auth`; the key on stderr, its line for the file on stdout |
///
/// Before a command, `--env-file PATH` names a file of variables: `NAME=value` in each line, with `#` before a comment, and quotes
/// around a value that has spaces at its ends or a `#`. Nothing is substituted. A variable of the environment counts more than that of
/// a file, and a later file more than one before it. The variables are those of the gateway and of its server: the environment of the
/// process is not changed. A warning names each variable of a file that neither of them reads.
///
/// `make` is called by `serve` and `check` only, so the others need neither the environment nor what the gateway is made
/// from. That is for gateways with a name; one without a name has to be made before anything can be said of it.
///
/// The exit code is 0, 1 when the gateway cannot start, with the error on stderr, or 2 for unknown arguments. Of `diff` it is 0 if
/// no request fares otherwise, 1 if some do, and 2 if the file cannot be compared.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Describe, cli};
///
/// fn main_of<G: Describe>(make: fn() -> G) -> std::process::ExitCode {
///     cli(make)
/// }
/// ```
pub fn cli<G: Describe>(make: impl FnOnce() -> G) -> ExitCode {
    cli_with(make, |server| server)
}

/// As [`cli`], with a server of one's own limits: `cli_with(Shop::new, |server| server.workers(2))`.
pub fn cli_with<G: Describe>(
    make: impl FnOnce() -> G,
    server: impl FnOnce(Server<Gateway>) -> Server<Gateway>,
) -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let parsed = Command::env_files(&args)
        .and_then(|(files, rest)| Command::parse(rest).map(|command| (files, command)));
    let (files, command) = match parsed {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprint!("error: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = read(&files).and_then(|files| {
        let variables = files.iter().flat_map(EnvFile::variables);
        let env = Env::current().otherwise(variables);
        env.within(|| done(&command, &files, make, server))
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the files of variables. What is wrong with any of them is one error.
fn read(paths: &[&str]) -> Result<Vec<EnvFile>> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match EnvFile::read(path) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(Error::config(problems.join("\n")))
    }
}

fn done<G: Describe>(
    command: &Command,
    files: &[EnvFile],
    make: impl FnOnce() -> G,
    server: impl FnOnce(Server<Gateway>) -> Server<Gateway>,
) -> Result<ExitCode> {
    let done = match command {
        Command::Diff(asked) => {
            return description(make)
                .and_then(|description| diff::diff(description.routes(), asked));
        }
        Command::Serve => serving(files, make, server).run(),
        Command::Check => serving(files, make, server)
            .checked()
            .and_then(|gateway| print(&checked(&gateway))),
        Command::Help => print(USAGE),
        Command::Version => print(&version(G::describe().as_ref())),
        #[cfg(feature = "auth")]
        Command::Key(name) => key(name),
        Command::Env(form) => description(make).and_then(|description| {
            // What is said in the code is not read from the environment.
            let server = server(unmade(Some(description)));
            warn_of_unknown(files, description.variables(), &server);
            let reads = |name: &str| server.reads(name);
            let own = server.of_listeners();
            let own = own
                .map(|(variable, name)| (variable, name.to_owned()))
                .collect();
            let variables = variables::with_the_servers(description.variables(), reads, own);
            print(&listed(*form, variables))
        }),
        Command::Health(question) => {
            let unmade = unmade(G::describe());
            let reached = server(unmade).reached();
            reached.and_then(|reached| print(&health::ask(reached, *question)?))
        }
        Command::Reload => {
            let unmade = unmade(G::describe());
            let files: Vec<&str> = files.iter().map(EnvFile::path).collect();
            server(unmade).reload(&files).and_then(|said| print(&said))
        }
        Command::Routes(_) | Command::Explain(_) => {
            let description = description(make);
            description.and_then(|description| print(&told(command, description)?))
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The server of the gateway.
fn serving<G: Describe>(
    files: &[EnvFile],
    make: impl FnOnce() -> G,
    server: impl FnOnce(Server<Gateway>) -> Server<Gateway>,
) -> Server<Gateway> {
    let gateway = make().into_gateway();
    let description = gateway.as_ref().ok().map(Gateway::description);
    let server = server(Server::new(gateway));
    if let Some(description) = G::describe().or(description) {
        warn_of_unknown(files, description.variables(), &server);
    }
    server
}

/// Warns of the variables of files that neither the gateway nor its server reads.
fn warn_of_unknown(files: &[EnvFile], variables: Variables, server: &Server<Gateway>) {
    let secrets = variables.iter().filter(|variable| variable.is_secret());
    let secrets: Vec<&str> = secrets
        .map(|secret| secret.name)
        .chain(["ADMIN_TOKEN"])
        .collect();
    let is_known = |name: &str| {
        let file_of = name.strip_suffix("_FILE");
        let name = file_of
            .filter(|name| secrets.contains(name))
            .unwrap_or(name);
        variables.iter().any(|known| known.name == name)
            || server.reads(name)
            || server.of_listeners().any(|(variable, _)| variable == name)
    };
    for warning in files.iter().flat_map(|file| file.unknown(is_known)) {
        eprintln!("warning: {warning}");
    }
}

/// A server of a gateway that is not made, for what is said of the server alone.
fn unmade(description: Option<Description>) -> Server<Gateway> {
    let gateway = Err(Error::config("only its server is asked for"));
    Server::unmade(
        gateway,
        description.map(|description| description.variables()),
    )
}

/// Makes a key. The key stands on stderr, so that stdout can be appended to the file of keys.
#[cfg(feature = "auth")]
fn key(name: &str) -> Result {
    let (key, line) = crate::auth::new_key(name).map_err(Error::config)?;
    eprintln!("the key, which is not shown again: {key}\nits line for the file:");
    print(&format!("{line}\n"))
}

/// What `check` says of a gateway that can start: where anybody may enter, if it requires anything of callers at all.
fn checked(gateway: &Gateway) -> String {
    let mut text = String::from("the gateway can start\n");
    if gateway.requires_auth() {
        let mut public = gateway.public_routes().peekable();
        if public.peek().is_none() {
            text.push_str("no route is public\n");
        } else {
            text.push_str("anybody may enter:\n");
        }
        for route in public {
            // Writing into a string cannot fail.
            let _ = match route.place().as_str() {
                "_" => writeln!(text, "  {route}"),
                place => writeln!(text, "  {place}: {route}"),
            };
        }
    }
    text
}

/// The tables of the gateway, which is made for them only if it must be.
fn description<G: Describe>(make: impl FnOnce() -> G) -> Result<Description> {
    match G::describe() {
        Some(description) => Ok(description),
        None => match make().into_gateway() {
            Ok(gateway) => Ok(gateway.description()),
            Err(error) => Err(Error::config(format!(
                "{error:?}\nhelp: a gateway with a name, such as `struct Shop;`, is described without being made"
            ))),
        },
    }
}

fn told(command: &Command, mut description: Description) -> Result<String> {
    let routes = description.routes();
    if let Command::Explain(Explain { on: Some(name), .. }) = command {
        description = description.on(name).ok_or_else(|| {
            let known: Vec<&str> = description.listeners().collect();
            Error::config(match known.as_slice() {
                [] => format!("no `on \"{name}\"` in this gateway: it has the same routes on every listener, so leave `--on` out"),
                known => format!(
                    "no `on \"{name}\"` in this gateway: it has {}; for any other listener leave `--on` out",
                    known.join(", ")
                ),
            })
        })?;
    }
    Ok(match command {
        Command::Routes(RoutesForm::Json) => routes.to_json(),
        Command::Routes(RoutesForm::Mermaid) => routes.to_mermaid(),
        Command::Explain(asked) => {
            let headers = asked.headers.iter().cloned().collect();
            let whole = asked.is_whole().then_some((&headers, asked.from));
            let hosts = description.hosts();
            description
                .explain_among(hosts.as_ref(), &asked.method, &asked.url, whole)
                .to_string()
        }
        // Wide columns are for people; what another program reads is whole.
        _ if io::stdout().is_terminal() => format!("{routes:.60}"),
        _ => routes.to_string(),
    })
}

fn version(description: Option<&Description>) -> String {
    let prox = env!("CARGO_PKG_VERSION");
    match description.and_then(Description::version) {
        Some((name, version)) => format!("{name} {version} (prox {prox})\n"),
        None => format!("prox {prox}\n"),
    }
}

fn listed(form: EnvForm, variables: Variables) -> String {
    match form {
        EnvForm::Dotenv => variables.to_dotenv(),
        EnvForm::Kubernetes => variables.to_kubernetes(),
        EnvForm::ConfigMap => variables.to_configmap(),
        EnvForm::Table => variables.to_string(),
    }
}

/// Writes to stdout; a reader that has left, such as `head`, is no error.
fn print(text: &str) -> Result {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("stdout cannot be written", error))
        }
        _ => Ok(()),
    }
}
