//! `prox::cli`: what a gateway's binary says of the gateway, and how it ends.

use std::process::{Command, Output};

use prox_tests::certs::Folder;

fn probe(args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cli_probe"))
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the probe can be run")
}

/// What is written to stdout without an environment, and without the gateway being made.
fn told(args: &[&str]) -> String {
    let output = probe(args, &[]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {errors}");
    assert_eq!(errors, "", "{args:?}: it was made");
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_routes_are_listed_without_an_environment() {
    let table = told(&["routes"]);
    assert!(table.starts_with("HOST"), "{table}");
    assert_eq!(table.lines().count(), 1 + 4, "{table}");
    assert!(
        table.contains("/users/{id} if header(\"x-beta\").is(\"1\")"),
        "{table}"
    );

    let json = told(&["routes", "--json"]);
    assert!(
        json.contains(r#"{"hosts":["api.example.com","*.example.com"],"path":"/users/{id}","exact":false,"methods":["GET"],"guard":"header(\"x-beta\").is(\"1\")","target":"respond(200, \"beta\")","layers":[]"#),
        "{json}"
    );

    let diagram = told(&["routes", "--mermaid"]);
    assert!(diagram.starts_with("flowchart LR\n"), "{diagram}");
    assert!(diagram.contains(r#"["GET /users/{id}"]"#), "{diagram}");
}

/// A table of routes in a file.
struct TableFile(Folder);

impl TableFile {
    fn new(text: &str) -> Self {
        let folder = Folder::new();
        folder.write("routes.json", text);
        Self(folder)
    }

    fn diff(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let path = self.0.path("routes.json");
        let path = path.to_str().expect("a path");
        let output = probe(&[&["diff", path], more].concat(), &[]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (output.status.code(), out, err)
    }
}

#[test]
fn a_table_of_routes_is_compared_with_one_of_another_version() {
    let json = told(&["routes", "--json"]);
    assert!(
        json.contains(r#""accepts":{"all":[{"on":"header","name":"x-beta","is":"1"}]},"backend":null,"made":[]"#),
        "{json}"
    );
    assert!(
        json.contains(r#""backend":"users","made":["backend users = cluster(rr, [USERS_URL]).response_timeout(WAIT)"]"#),
        "{json}"
    );
    let same = TableFile::new(&json);
    let nothing = String::from("no request fares otherwise\n");
    assert_eq!(same.diff(&[]), (Some(0), nothing.clone(), String::new()));

    let other = json.replace(".response_timeout(WAIT)\"", "\"");
    let other = other.replace("\"path\":\"/told\"", "\"path\":\"/said\"");
    let other = TableFile::new(&other);
    let (code, told, errors) = other.diff(&[]);
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{told}");
    for part in [
        "lost    GET /said\n  was   /said => respond(200, tell(",
        "\n  now   no route: 404 or 405\n",
        "gained  GET /told\n  was   no route: 404 or 405\n",
        "treated GET https://any.example.com/users/7\n",
        "\n  now   backend users = cluster(rr, [USERS_URL]).response_timeout(WAIT)\n",
        "\n1 lost, 1 gained, 1 treated\n",
    ] {
        assert!(told.contains(part), "{part:?} is missing:\n{told}");
    }
    let (code, told, _) = other.diff(&["--only", "moved,unsure"]);
    assert_eq!((code, told), (Some(0), nothing));
    let (code, told, _) = other.diff(&["--json", "--only", "lost"]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("\"lost\":[\n    {\"witness\":{\"method\":\"GET\",\"url\":\"/said\""),
        "{told}"
    );
    assert!(told.contains("\"gained\":[]"), "{told}");
}

#[test]
fn a_table_that_cannot_be_compared_is_named_with_the_place() {
    let older = told(&["routes", "--json"]).replace("\"rank\"", "\"place\"");
    for (table, wanted) in [
        (
            "[\n{\"hosts\":",
            "json: line 2, column 10: expected a value",
        ),
        (
            &*older,
            "json: line 2: a route has no `rank`: the file is of another version",
        ),
    ] {
        let (code, told, errors) = TableFile::new(table).diff(&[]);
        assert_eq!((code, told.as_str()), (Some(2), ""));
        assert!(errors.contains(wanted), "{errors}");
    }
    let absent = probe(&["diff", "/nowhere/routes.json"], &[]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("/nowhere/routes.json: "));
}

#[test]
fn a_request_is_explained_in_the_order_in_which_routes_are_asked() {
    let explained = told(&[
        "explain",
        "GET",
        "https://API.example.com:443/x/../users/%37",
    ]);
    let lines: Vec<&str> = explained.lines().collect();
    assert_eq!(lines[0], "GET /users/7 on api.example.com", "{explained}");
    assert!(lines[1].contains("x-beta") && lines[1].ends_with("takes it if the guard accepts"));
    assert!(
        lines[2].contains("=> users") && lines[2].ends_with("takes it"),
        "{explained}"
    );
    assert!(told(&["explain", "POST", "/nowhere"]).contains("404"));
    assert!(told(&["explain", "GET", "/a%2Fb"]).contains("400"));
}

#[test]
fn a_request_is_explained_with_the_hosts_of_the_environment() {
    let table = told(&["routes"]);
    assert!(table.contains("{STAFF}"), "{table}");
    let of_default = ["https://admin.example.org/", "https://x.admin.test/"];
    for (variables, admin) in [
        (&[][..], of_default[0]),
        (&[("STAFF", "*.admin.test")], of_default[1]),
        // `check` says that it is malformed.
        (&[("STAFF", "https://admin.test")], ""),
    ] {
        for url in of_default {
            for more in [&[][..], &["-H", "x-any: 1"]] {
                let output = probe(&[&["explain", "GET", url], more].concat(), variables);
                let explained = text(&output.stdout);
                let found = explained.contains("respond(200, \"admin\")");
                assert_eq!(found, url == admin, "{variables:?} {explained}");
            }
        }
    }
}

#[test]
fn a_request_with_headers_and_an_address_has_its_guards_decided() {
    let url = "https://api.example.com/users/7";
    let beta = told(&["explain", "GET", url, "-H", "X-Beta: 1"]);
    let lines: Vec<&str> = beta.lines().collect();
    assert!(
        lines[1].contains("x-beta") && lines[1].ends_with("takes it"),
        "{beta}"
    );
    assert!(
        lines[2].ends_with("not asked, a more specific route takes it"),
        "{beta}"
    );
    for more in [["-H", "x-beta: 2"], ["--from", "10.0.0.1"]] {
        let other = told(&[&["explain", "GET", url], &more[..]].concat());
        let lines: Vec<&str> = other.lines().collect();
        assert!(lines[1].ends_with("its guard does not accept"), "{other}");
        assert!(
            lines[2].contains("=> users") && lines[2].ends_with("takes it"),
            "{other}"
        );
    }
    // A host among the headers counts for a path.
    let host = told(&[
        "explain",
        "GET",
        "/users/7",
        "-H",
        "host: api.example.com",
        "-H",
        "x-beta: 1",
    ]);
    assert!(
        host.starts_with("GET /users/7 on api.example.com\n"),
        "{host}"
    );
    let wrong = probe(&["explain", "GET", url, "-H", "beta"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
}

prox::gateway! {
    struct Explained;

    backend files = cluster(rr, ["http://127.0.0.1:1"]).encoded_slashes();
    backend others = cluster(rr, ["http://127.0.0.1:2"]);
    let log = prox::middleware::Recover::new();
    let recover = prox::middleware::Recover::new();

    with [log];
    "/files"  => files with [recover],
    "/others" => others,
    "/some"   => others.encoded_slashes(),
    "/query" if query("v").is("2") => files,
    "/from" if client_ip().within("10.0.0.0/8") => files,
    "/closure" if |_: &prox::Parts| true => files,
    "/beta" if header("x-beta").exists() => files,
    "/claimed" if header("x-real-ip").exists() => files,
    "/hop" if header("keep-alive").exists() => files,
}

#[test]
fn encoded_slashes_layers_and_clients_are_explained() {
    let explain = |url: &str| Explained::explain("GET", url);
    let files = explain("/files/a%2fb");
    assert_eq!(files.route().unwrap().path, "/files");
    assert!(
        files.to_string().contains("\n    through log, recover\n"),
        "{files}"
    );
    assert_eq!(explain("/some/a%2Fb").status(), None);
    let others = explain("/others/a%2Fb");
    assert_eq!(others.status().unwrap(), 400);
    assert!(
        others.to_string().contains("`.encoded_slashes()` lets it"),
        "{others}"
    );
    assert_eq!(explain("/nowhere%2F").status().unwrap(), 400);

    // The query is in the URL.
    assert_eq!(explain("/query?v=2").route().unwrap().path, "/query");
    assert_eq!(explain("/query?v=1").status().unwrap(), 404);

    let description = <Explained as prox::Describe>::describe().unwrap();
    let from = |ip: Option<&str>| {
        let ip = ip.map(|ip| ip.parse().unwrap());
        description.explain_with("GET", "/from", &http::HeaderMap::new(), ip)
    };
    assert!(from(Some("10.1.2.3")).route().is_some());
    assert_eq!(from(Some("192.0.2.1")).status().unwrap(), 404);
    assert_eq!(from(None).status().unwrap(), 404);
    // A URL that no request can have is refused, and no guard is asked.
    assert_eq!(explain("/query?v=2 x").status().unwrap(), 400);
    // Guards see what the gateway leaves of the headers.
    let with = |url: &str, names: &[(&'static str, &'static str)]| {
        let mut headers = http::HeaderMap::new();
        for (name, value) in names {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        let explained = description.explain_with("GET", url, &headers, None);
        explained.status().map(|status| status.as_u16())
    };
    assert_eq!(with("/beta", &[("x-beta", "1")]), None);
    assert_eq!(with("/claimed", &[("x-real-ip", "192.0.2.1")]), Some(404));
    assert_eq!(with("/hop", &[("keep-alive", "timeout=5")]), Some(404));
    let listed = [("x-beta", "1"), ("connection", "x-beta")];
    assert_eq!(with("/beta", &listed), Some(404));
    let lengths = [("content-length", "1"), ("content-length", "2")];
    assert_eq!(with("/query?v=2", &lengths), Some(400));
    let closure = description.explain_with("GET", "/closure", &http::HeaderMap::new(), None);
    assert!(
        closure
            .to_string()
            .contains("takes it if the guard accepts"),
        "{closure}"
    );
}

#[test]
fn the_version_is_that_of_the_package_and_of_prox() {
    let version = told(&["--version"]);
    let wanted = format!("prox-tests {} (prox ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&wanted), "{version}");
}

#[test]
fn the_variables_are_listed_for_people_and_for_files() {
    let table = told(&["env"]);
    let has = |name: &str, word: &str| {
        let mut lines = table.lines();
        lines.any(|line| line.starts_with(name) && line.contains(word))
    };
    assert!(has("USERS_URL ", "(required)"), "{table}");
    assert!(has("NAME ", "(optional)"), "{table}");
    assert!(has("HOST ", "unix:/run/prox.sock"), "{table}");
    assert!(has("TRUSTED_PROXIES ", "(optional)"), "{table}");
    let file = told(&["env", "--dotenv"]);
    let (own, of_traces) = file
        .split_once("\n# Turns traces off")
        .expect("all variables");
    assert_eq!(
        own,
        "# Where the users live.\n# Endpoint, required; needed by backend users\nUSERS_URL=\n\n\
         # Requests a second.\n# u32, default 100; needed by /told\nRATE=100\n\n\
         # Duration, default 5s; needed by backend users\nWAIT=5s\n\n\
         # Option<String>, optional; needed by /told\nNAME=\n\n\
         # Host, default \"admin.example.org\"; needed by host STAFF\nSTAFF=admin.example.org\n\n\
         # Listen on an IP address, localhost or unix:/run/prox.sock.\n\
         # String, default \"0.0.0.0\"; needed by the server\nHOST=0.0.0.0\n\n\
         # The port to listen on; 0 for one that is free.\n\
         # u16, default 8080; needed by the server\nPORT=8080\n\n\
         # Whom to believe about clients, such as 10.0.0.0/8,private.\n\
         # Option<String>, optional; needed by the server\nTRUSTED_PROXIES=\n\n\
         # Where operators ask, such as 127.0.0.1:9901, :9901 or unix:/run/admin.sock.\n\
         # Option<String>, optional; needed by the server\nADMIN=\n\n\
         # Opens all of the admin listener to its bearer; or ADMIN_TOKEN_FILE, the path of a file with it.\n\
         # Option<Secret>, optional; needed by the server\nADMIN_TOKEN=\n\n\
         # How long to serve on after SIGTERM, and to be not ready, before the drain begins.\n\
         # Duration, default 0s; needed by the server\nSHUTDOWN_DELAY=0s\n\n\
         # How long idle connections wait for their next request in the drain.\n\
         # Duration, default 5s; needed by the server\nDRAIN_IDLE=5s\n\n\
         # When the drain cuts off what is still under way.\n\
         # Duration, default 10s; needed by the server\nDRAIN_TIMEOUT=10s\n\n\
         # Where a new process takes the sockets from the running one, such as /run/shop.sock.\n\
         # Option<String>, optional; needed by the server\nHANDOVER=\n\n\
         # The least level of events: off, error, warn, info, debug or trace; also for each target, such as warn,prox=debug.\n\
         # String, default \"info\"; needed by the server\nLOG=info\n\n\
         # How lines are written: json, text, ecs or gcp; else text for a terminal and JSON for anything else.\n\
         # Option<String>, optional; needed by the server\nLOG_FORMAT=\n\n\
         # Whether responses are streamed as a function of AWS Lambda: on or off, which is the default.\n\
         # Option<String>, optional; needed by the server\nLAMBDA_STREAMING=\n"
    );
    assert_eq!(of_traces.matches("\nOTEL_").count(), 21, "{of_traces}");
    assert!(of_traces.ends_with("\nOTEL_BSP_MAX_EXPORT_BATCH_SIZE=\n"));
    let map = told(&["env", "--configmap"]);
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gateway\ndata:\n";
    assert!(map.starts_with(head), "{map}");
    assert!(map.contains("  \"RATE\": \"100\"\n"), "{map}");
    assert!(
        map.contains("\n  # ADMIN_TOKEN is a secret: put it into a Secret\n"),
        "{map}"
    );
    let manifest = told(&["env", "--k8s"]);
    assert!(manifest.starts_with("env:\n"), "{manifest}");
    assert!(
        manifest.contains("  - name: \"RATE\"\n    value: \"100\"\n"),
        "{manifest}"
    );
    assert!(
        manifest.contains("  - name: \"PORT\"\n    value: \"8080\"\n"),
        "{manifest}"
    );
    // What a collector is shown is a secret.
    let headers = [
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    ];
    for name in headers {
        assert!(map.contains(&format!("# {name} is a secret")), "{map}");
        let line = format!("  - name: \"{name}\"\n    valueFrom:\n");
        assert!(manifest.contains(&line), "{manifest}");
    }
}

#[test]
fn what_a_server_is_told_in_code_is_no_variable() {
    let output = probe(&["env"], &[("FIXED", "127.0.0.1:0")]);
    let table = text(&output.stdout);
    assert!(table.contains("USERS_URL"), "{table}");
    for name in ["HOST", "PORT", "TRUSTED_PROXIES"] {
        let is_listed = table.lines().any(|line| line.starts_with(name));
        assert!(!is_listed, "{table}");
    }
}

#[test]
fn a_file_of_variables_is_read_back_as_the_defaults() {
    let file = told(&["env", "--dotenv"]).replace("USERS_URL=", "USERS_URL=http://127.0.0.1:9");
    let variables: Vec<(&str, &str)> = file
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    assert_eq!(variables.len(), 5 + 12 + 21);
    let output = probe(&["check"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// A file of variables that is removed with the test.
struct EnvFile(std::path::PathBuf);

impl EnvFile {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("prox-{}-{name}.env", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file for the test");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a text")
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn variables_are_read_from_files_and_those_of_the_environment_count_more() {
    let filled = told(&["env", "--dotenv"]);
    let filled = filled.replace("USERS_URL=", "USERS_URL='http://127.0.0.1:9'");
    let whole = EnvFile::new("whole", &filled);
    let good = probe(&["--env-file", whole.path(), "check"], &[]);
    assert_eq!(good.status.code(), Some(0), "{}", text_of(&good));
    assert_eq!(text(&good.stderr), "made\n", "no warning");
    // A later file counts more than the one before it, and the environment more than both.
    let wrong = EnvFile::new("wrong", "RATE=ten # of them\n");
    let both = format!("--env-file={}", whole.path());
    let output = probe(&[&both, "--env-file", wrong.path(), "check"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("RATE is \"ten\""),
        "{}",
        text_of(&output)
    );
    let output = probe(
        &[&both, "--env-file", wrong.path(), "check"],
        &[("RATE", "10")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let nameless = probe(
        &["--env-file", whole.path(), "routes"],
        &[("NAMELESS", "1")],
    );
    assert_eq!(nameless.status.code(), Some(0), "{}", text_of(&nameless));
}

#[test]
fn what_is_wrong_with_a_file_of_variables_is_said_with_its_line() {
    let file = EnvFile::new(
        "malformed",
        "USERS_URL=http://127.0.0.1:9\nhunter2\nRATE='hunter2\n",
    );
    let output = probe(
        &["--env-file", "/does/not/exist", "--env-file", file.path()],
        &[],
    );
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    let path = file.path();
    for part in [
        "\"/does/not/exist\" of variables cannot be read",
        &format!("{path}:2: expected `NAME=value`"),
        &format!("{path}:3: missing `'`"),
    ] {
        assert!(error.contains(part), "{part:?} is missing:\n{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(probe(&["--env-file"], &[]).status.code(), Some(2));
}

#[test]
fn a_variable_of_a_file_that_nothing_reads_is_a_warning() {
    let file = EnvFile::new(
        "typo",
        "USERS_ULR=http://127.0.0.1:9\nPORT=0\nADMIN_TOKEN_FILE=/a\nPORT_FILE=/a\n",
    );
    for (set, warned) in [
        (&[][..], &["USERS_ULR", "PORT_FILE"][..]),
        (
            &[("FIXED", "127.0.0.1:0")],
            &["USERS_ULR", "PORT", "PORT_FILE"],
        ),
    ] {
        let output = probe(&["--env-file", file.path(), "check"], set);
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        let warnings: Vec<_> = error
            .lines()
            .filter_map(|line| line.strip_prefix("warning: "))
            .filter_map(|line| line.split_once(": this gateway does not read "))
            .map(|(_, name)| name)
            .collect();
        assert_eq!(warnings, warned, "{error}");
        let hint = "USERS_URL is not set, but USERS_ULR is (expected: Endpoint)";
        assert!(error.contains(hint), "{error}");
    }
}

fn text_of(output: &Output) -> String {
    text(&output.stderr) + &text(&output.stdout)
}

#[test]
fn a_check_says_all_that_is_wrong_and_serves_nothing() {
    let output = probe(&["check"], &[("RATE", "ten"), ("PORT", "http")]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    for part in ["USERS_URL is not set", "RATE", "PORT"] {
        assert!(error.contains(part), "{part:?} is missing:\n{error}");
    }
    let good = probe(&["check"], &[("USERS_URL", "http://127.0.0.1:9")]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert_eq!(text(&good.stdout), "the gateway can start\n");
}

#[test]
fn what_is_no_command_is_told_the_usage() {
    let output = probe(&["route"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("did you mean `routes`?"), "{error}");
    assert!(error.contains("explain METHOD URL"), "{error}");
    assert!(output.stdout.is_empty());
    assert!(told(&["--help"]).contains("serve until SIGTERM"));
    assert_eq!(probe(&["routes", "--yaml"], &[]).status.code(), Some(2));
    assert_eq!(probe(&["explain", "/a"], &[]).status.code(), Some(2));
}

#[test]
fn a_gateway_that_cannot_be_made_is_not_served() {
    for args in [&[][..], &["serve"]] {
        let output = probe(args, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("USERS_URL is not set"));
    }
}

#[test]
fn a_gateway_without_a_name_is_made_to_be_described() {
    let output = probe(&["routes"], &[("NAMELESS", "1")]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("USERS_URL is not set"), "{error}");
    assert!(error.contains("a gateway with a name"), "{error}");
    let output = probe(
        &["routes"],
        &[("NAMELESS", "1"), ("USERS_URL", "http://127.0.0.1:9")],
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("USERS_URL"));
}

#[test]
fn a_key_is_made_and_shown_once() {
    let output = probe(&["key", "acme"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let (line, shown) = (text(&output.stdout), text(&output.stderr));
    let key = shown
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next())
        .expect("a key");
    assert_eq!(key.len(), 43, "{shown}");
    assert_eq!(
        line,
        format!("acme sha256:{}\n", prox::middleware::KeyDigest::of(key))
    );
    for args in [&["key"][..], &["key", "a", "b"]] {
        assert_eq!(probe(args, &[]).status.code(), Some(2));
    }
    assert_eq!(probe(&["key", "a b"], &[]).status.code(), Some(1));
}
