//! The arguments of a gateway's binary.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue};

use crate::{route::ChangeKind, words::nearest};

/// What a gateway's binary is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Serve,
    Check,
    Routes(RoutesForm),
    Explain(Explain),
    Diff(Compare),
    Env(EnvForm),
    /// Asks a gateway that runs how it is.
    Health(Question),
    /// Starts a process that takes over from the running one.
    Reload,
    /// Makes a key.
    #[cfg(feature = "auth")]
    Key(String),
    Help,
    Version,
}

/// What a gateway that runs is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether its workers answer.
    Live,
    /// Whether it should get requests.
    Ready,
}

/// The request that is to be explained.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Explain {
    pub(super) method: String,
    pub(super) url: String,
    /// The headers that it has; none if nothing is known of them.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) from: Option<IpAddr>,
    /// The name of the listener that it comes to.
    pub(super) on: Option<String>,
}

impl Explain {
    /// Whether more than the method and the URL is known.
    pub(super) fn is_whole(&self) -> bool {
        !self.headers.is_empty() || self.from.is_some()
    }
}

/// The table of routes that is compared with the gateway's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compare {
    /// The file that `routes --json` wrote.
    pub(super) path: String,
    pub(super) json: bool,
    /// The kinds of changes that count; none if all do.
    pub(super) only: Option<Vec<ChangeKind>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoutesForm {
    Table,
    Json,
    Mermaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EnvForm {
    Table,
    Dotenv,
    Kubernetes,
    ConfigMap,
}

const COMMANDS: &[&str] = &[
    "serve",
    "check",
    "routes",
    "explain",
    "diff",
    "env",
    "health",
    "reload",
    "help",
    #[cfg(feature = "auth")]
    "key",
];

/// The text of `help`, with lines for what features add.
macro_rules! usage {
    ($more:literal) => {
        concat!(
            "\
commands:
  serve                       serve until SIGTERM or Ctrl-C; also without a command
  check                       read the environment and the certificates, and make the gateway, without serving
  routes [--json | --mermaid] list the routes
  explain METHOD URL          say which route would take a request, and why, through which layers
    [-H 'name: value']..      with these headers
    [--from IP]               from this address
    [--on LISTENER]           at the listener of this name
  diff FILE                   say which requests fare otherwise than with the routes in FILE, which `routes --json` wrote
    [--json]                  as JSON
    [--only lost,moved]       only these: lost, gained, moved, treated, unsure
  env [--dotenv | --k8s | --configmap]  list the variables of the environment
  health [live | ready]       ask the gateway that runs here how it is: at ADMIN, or else by a connection to HOST and PORT
  reload                      start a new process that takes over from the running one, at HANDOVER
  --version                   print the version of the gateway's package, and of Prox
before a command:
  --env-file PATH             read variables from a file, NAME=value in each line; those of the environment count more
",
            $more
        )
    };
}

#[cfg(feature = "auth")]
pub(super) const USAGE: &str =
    usage!("  key NAME                    make a key for `ApiKeys::file`, and print it once\n");
#[cfg(not(feature = "auth"))]
pub(super) const USAGE: &str = usage!("");

impl Command {
    /// Takes the files of variables before the command.
    pub(super) fn env_files(mut args: &[String]) -> Result<(Vec<&str>, &[String]), String> {
        let mut files = Vec::new();
        while let Some((first, rest)) = args.split_first() {
            if let Some(path) = first.strip_prefix("--env-file=") {
                files.push(path);
                args = rest;
            } else if first == "--env-file" {
                let (path, rest) = rest
                    .split_first()
                    .ok_or("`--env-file` takes a path: --env-file gateway.env serve")?;
                files.push(path);
                args = rest;
            } else {
                break;
            }
        }
        Ok((files, args))
    }

    /// Reads the arguments behind the name of the binary; an error says what is wrong with them.
    pub(super) fn parse(args: &[String]) -> Result<Self, String> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let Some((command, rest)) = args.split_first() else {
            return Ok(Self::Serve);
        };
        if rest.iter().any(|arg| matches!(*arg, "-h" | "--help")) {
            return Ok(Self::Help);
        }
        match *command {
            "serve" => nothing("serve", rest).map(|()| Self::Serve),
            "check" => nothing("check", rest).map(|()| Self::Check),
            "reload" => nothing("reload", rest).map(|()| Self::Reload),
            "help" | "-h" | "--help" => Ok(Self::Help),
            "version" | "-V" | "--version" => nothing("--version", rest).map(|()| Self::Version),
            "routes" => {
                let forms = [
                    ("--json", RoutesForm::Json),
                    ("--mermaid", RoutesForm::Mermaid),
                ];
                form("routes", rest, &forms, RoutesForm::Table).map(Self::Routes)
            }
            "env" => {
                let forms = [
                    ("--dotenv", EnvForm::Dotenv),
                    ("--k8s", EnvForm::Kubernetes),
                    ("--configmap", EnvForm::ConfigMap),
                ];
                form("env", rest, &forms, EnvForm::Table).map(Self::Env)
            }
            "explain" => explain(rest),
            "diff" => diff(rest),
            "health" => {
                let forms = [("live", Question::Live), ("ready", Question::Ready)];
                form("health", rest, &forms, Question::Live).map(Self::Health)
            }
            #[cfg(feature = "auth")]
            "key" => match rest {
                [name] => Ok(Self::Key((*name).to_owned())),
                _ => Err(String::from("`key` takes a name: key acme")),
            },
            other => Err(unknown("command", other, COMMANDS)),
        }
    }
}

fn nothing(command: &str, rest: &[&str]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(arg) => Err(format!("`{command}` takes no argument, found `{arg}`")),
    }
}

fn form<F: Copy>(
    command: &str,
    rest: &[&str],
    forms: &[(&str, F)],
    default: F,
) -> Result<F, String> {
    match rest {
        [] => Ok(default),
        [flag] => {
            let found = forms.iter().find(|(name, _)| name == flag);
            found.map(|(_, form)| *form).ok_or_else(|| {
                let names: Vec<&str> = forms.iter().map(|(name, _)| *name).collect();
                unknown(&format!("argument of `{command}`"), flag, &names)
            })
        }
        [_, second, ..] => Err(format!(
            "`{command}` takes one argument, found `{second}` too"
        )),
    }
}

fn explain(rest: &[&str]) -> Result<Command, String> {
    let mut plain = Vec::new();
    let mut asked = Explain::default();
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        match *arg {
            "-H" | "--header" => {
                let field = rest.next().ok_or("`-H` takes a header: -H 'x-beta: 1'")?;
                asked.headers.push(header(field)?);
            }
            "--from" => {
                let ip = rest
                    .next()
                    .ok_or("`--from` takes an address: --from 10.0.0.1")?;
                let ip = ip
                    .parse()
                    .map_err(|_| format!("`{ip}` is not an IP address"))?;
                asked.from = Some(ip);
            }
            "--on" => {
                let name = rest
                    .next()
                    .ok_or("`--on` takes the name of a listener: --on internal")?;
                asked.on = Some((*name).to_owned());
            }
            flag if flag.starts_with('-') => {
                return Err(unknown(
                    "argument of `explain`",
                    flag,
                    &["-H", "--header", "--from", "--on"],
                ));
            }
            plain_arg => plain.push(plain_arg),
        }
    }
    let [method, url] = plain.as_slice() else {
        return Err(String::from(
            "`explain` takes a method and a URL: explain GET https://api.example.com/v1",
        ));
    };
    let upper = method.to_ascii_uppercase();
    if *method != upper {
        return Err(format!("methods are in upper case: explain {upper} {url}"));
    }
    Ok(Command::Explain(Explain {
        method: upper,
        url: (*url).to_owned(),
        ..asked
    }))
}

fn diff(rest: &[&str]) -> Result<Command, String> {
    let mut asked = Compare::default();
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        match *arg {
            "--json" => asked.json = true,
            "--only" => {
                let names = rest
                    .next()
                    .ok_or("`--only` takes kinds of changes: --only lost,moved")?;
                let kinds = names.split(',').map(kind).collect::<Result<_, _>>()?;
                asked.only = Some(kinds);
            }
            flag if flag.starts_with('-') => {
                return Err(unknown("argument of `diff`", flag, &["--json", "--only"]));
            }
            path if asked.path.is_empty() => path.clone_into(&mut asked.path),
            second => return Err(format!("`diff` takes one file, found `{second}` too")),
        }
    }
    if asked.path.is_empty() {
        return Err(String::from(
            "`diff` takes a file that `routes --json` wrote: diff routes.json",
        ));
    }
    Ok(Command::Diff(asked))
}

fn kind(name: &str) -> Result<ChangeKind, String> {
    let mut kinds = ChangeKind::ALL.into_iter();
    kinds.find(|kind| kind.name() == name).ok_or_else(|| {
        let names = ChangeKind::ALL.map(ChangeKind::name);
        unknown("kind of change", name, &names)
    })
}

/// `name: value`
fn header(field: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("`{field}` is not a header: write -H 'x-beta: 1'");
    let (name, value) = field.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse().map_err(|_| wrong())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("unknown {what}: `{word}`, did you mean `{name}`?"),
        None => format!("unknown {what}: `{word}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_variables_are_before_the_command() {
        for (line, files, rest) in [
            ("", &[][..], 0),
            ("check", &[], 1),
            ("--env-file a check", &["a"], 1),
            ("--env-file=a --env-file b", &["a", "b"], 0),
            ("--env-file --env-file routes --json", &["--env-file"], 2),
        ] {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let (found, left) = Command::env_files(&args).unwrap();
            assert_eq!((found.as_slice(), left.len()), (files, rest), "{line}");
        }
        let problem = Command::env_files(&["--env-file".to_owned()]).unwrap_err();
        assert_eq!(
            problem,
            "`--env-file` takes a path: --env-file gateway.env serve"
        );
    }

    fn parse(line: &str) -> Result<Command, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Command::parse(&args)
    }

    #[test]
    fn every_command_is_read() {
        let cases = [
            ("", Command::Serve),
            ("serve", Command::Serve),
            ("check", Command::Check),
            ("reload", Command::Reload),
            ("routes", Command::Routes(RoutesForm::Table)),
            ("routes --json", Command::Routes(RoutesForm::Json)),
            ("routes --mermaid", Command::Routes(RoutesForm::Mermaid)),
            ("env", Command::Env(EnvForm::Table)),
            ("env --dotenv", Command::Env(EnvForm::Dotenv)),
            ("env --k8s", Command::Env(EnvForm::Kubernetes)),
            ("env --configmap", Command::Env(EnvForm::ConfigMap)),
            ("--help", Command::Help),
            ("routes -h", Command::Help),
            (
                "explain GET /a",
                Command::Explain(Explain {
                    method: "GET".into(),
                    url: "/a".into(),
                    ..Explain::default()
                }),
            ),
            (
                "explain -H x-beta:1 GET --from 10.0.0.1 /a",
                Command::Explain(Explain {
                    method: "GET".into(),
                    url: "/a".into(),
                    headers: vec![(
                        HeaderName::from_static("x-beta"),
                        HeaderValue::from_static("1"),
                    )],
                    from: Some([10, 0, 0, 1].into()),
                    on: None,
                }),
            ),
            (
                "explain GET /a --on internal",
                Command::Explain(Explain {
                    method: "GET".into(),
                    url: "/a".into(),
                    on: Some("internal".into()),
                    ..Explain::default()
                }),
            ),
            (
                "diff routes.json",
                Command::Diff(Compare {
                    path: "routes.json".into(),
                    ..Compare::default()
                }),
            ),
            (
                "diff --only lost,moved a.json --json",
                Command::Diff(Compare {
                    path: "a.json".into(),
                    json: true,
                    only: Some(vec![ChangeKind::Lost, ChangeKind::Moved]),
                }),
            ),
            ("--version", Command::Version),
            ("health", Command::Health(Question::Live)),
            ("health live", Command::Health(Question::Live)),
            ("health ready", Command::Health(Question::Ready)),
        ];
        for (line, wanted) in cases {
            assert_eq!(parse(line), Ok(wanted), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_meant() {
        let cases = [
            ("route", "unknown command: `route`, did you mean `routes`?"),
            ("chekc", "unknown command: `chekc`"),
            ("chek", "unknown command: `chek`, did you mean `check`?"),
            ("frobnicate", "unknown command: `frobnicate`"),
            (
                "routes --jsn",
                "unknown argument of `routes`: `--jsn`, did you mean `--json`?",
            ),
            ("check now", "`check` takes no argument, found `now`"),
            ("relod", "unknown command: `relod`, did you mean `reload`?"),
            (
                "health redy",
                "unknown argument of `health`: `redy`, did you mean `ready`?",
            ),
            (
                "env --k8s --dotenv",
                "`env` takes one argument, found `--dotenv` too",
            ),
            (
                "explain get /a",
                "methods are in upper case: explain GET /a",
            ),
            (
                "explain GET /a -H beta",
                "`beta` is not a header: write -H 'x-beta: 1'",
            ),
            ("explain GET /a -H", "`-H` takes a header: -H 'x-beta: 1'"),
            (
                "explain GET /a --on",
                "`--on` takes the name of a listener: --on internal",
            ),
            ("explain GET /a --from here", "`here` is not an IP address"),
            (
                "explain GET /a --form 10.0.0.1",
                "unknown argument of `explain`: `--form`, did you mean `--from`?",
            ),
            (
                "diff",
                "`diff` takes a file that `routes --json` wrote: diff routes.json",
            ),
            ("diff a b", "`diff` takes one file, found `b` too"),
            (
                "diff a --only",
                "`--only` takes kinds of changes: --only lost,moved",
            ),
            (
                "diff a --only losst",
                "unknown kind of change: `losst`, did you mean `lost`?",
            ),
            (
                "diff a --jsn",
                "unknown argument of `diff`: `--jsn`, did you mean `--json`?",
            ),
            (
                "explain /a",
                "`explain` takes a method and a URL: explain GET https://api.example.com/v1",
            ),
        ];
        for (line, wanted) in cases {
            assert_eq!(parse(line).unwrap_err(), wanted, "{line}");
        }
    }
}
