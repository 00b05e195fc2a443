//! The files of `deploy/`: each can be read by what reads it there, and each variable in it is one that a gateway has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

#[cfg(unix)]
use prox_tests::certs::Folder;
use serde::Deserialize as _;
use serde_norway::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn text(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a file of YAML.
fn yaml(name: &str) -> Vec<Value> {
    let text = text(name);
    let documents = serde_norway::Deserializer::from_str(&text).map(Value::deserialize);
    let documents: Result<Vec<Value>, _> = documents.collect();
    documents.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn toml(name: &str) -> toml::Table {
    text(name)
        .parse()
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> serde_json::Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Variables with their values.
type Env = BTreeMap<String, String>;

fn pair(name: &str, value: &Value) -> (String, String) {
    let value = match value {
        Value::String(text) => text.clone(),
        other => panic!("{name}: a value that is not a text: {other:?}"),
    };
    (name.to_owned(), value)
}

/// The value at a path of keys and places.
fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter()
        .fold(value, |value, key| match key.parse::<usize>() {
            Ok(place) => &value[place],
            Err(_) => &value[*key],
        })
}

/// `env:` of a container in Kubernetes.
fn of_container(container: &Value) -> Env {
    let list = container["env"].as_sequence().expect("a list");
    list.iter()
        .map(|one| pair(one["name"].as_str().expect("a name"), &one["value"]))
        .collect()
}

/// A mapping of names and values.
fn of_mapping(mapping: &Value) -> Env {
    let mapping = mapping.as_mapping().expect("a mapping");
    let pairs = mapping.iter();
    pairs
        .map(|(name, value)| pair(name.as_str().expect("a name"), value))
        .collect()
}

/// `ENV NAME=value` of a Dockerfile.
fn of_dockerfile(name: &str) -> Env {
    let text = text(name);
    let lines = text.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = lines.map(|line| line.split_once('=').expect("NAME=value"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `NAME=value` of a file of variables.
fn of_lines(text: &str) -> Env {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once('=').expect("NAME=value"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The values of a key of a unit of systemd.
fn of_unit<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines()
        .filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
}

/// The variables of each file.
fn all() -> BTreeMap<&'static str, Env> {
    let standalone = yaml("kubernetes/standalone.yaml");
    let of_kind = |kind: &str| {
        let found = standalone.iter().find(|one| one["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}"))
    };
    let pod = at(of_kind("Deployment"), &["spec", "template", "spec"]);
    let mut of_standalone = of_container(at(pod, &["containers", "0"]));
    of_standalone.extend(of_mapping(&of_kind("ConfigMap")["data"]));
    let sidecar = yaml("kubernetes/sidecar.yaml");
    let pod = at(&sidecar[0], &["spec", "template", "spec"]);
    let of_sidecar = of_container(at(pod, &["initContainers", "0"]));
    let run = yaml("cloudrun/service.yaml");
    let of_run = of_container(at(
        &run[0],
        &["spec", "template", "spec", "containers", "0"],
    ));
    let lambda = yaml("lambda/template.yaml");
    let variables = [
        "Resources",
        "Shop",
        "Properties",
        "Environment",
        "Variables",
    ];
    let of_lambda = of_mapping(at(&lambda[0], &variables));
    let native = yaml("lambda/native.yaml");
    let of_native = of_mapping(at(&native[0], &variables));
    let fly = toml("fly/fly.toml");
    let of_fly = fly["env"].as_table().expect("a table").iter();
    let of_fly = of_fly.map(|(name, value)| (name.clone(), value.as_str().expect("a text").into()));
    let ecs = json("ecs/task-definition.json");
    let container = &ecs["containerDefinitions"][0];
    let named = |key: &str, value: &str| -> Env {
        let list = container[key].as_array().expect("a list").iter();
        let of = |one: &serde_json::Value, key: &str| one[key].as_str().expect("a text").to_owned();
        list.map(|one| (of(one, "name"), of(one, value))).collect()
    };
    let mut of_ecs = named("environment", "value");
    of_ecs.extend(named("secrets", "valueFrom"));
    let unit = text("systemd/shop.service");
    let mut of_systemd = of_lines(&text("systemd/shop.env"));
    of_systemd.extend(of_unit(&unit, "Environment").flat_map(of_lines));
    let compose = yaml("compose.yaml");
    BTreeMap::from([
        ("Dockerfile", of_dockerfile("Dockerfile")),
        ("Dockerfile.scratch", of_dockerfile("Dockerfile.scratch")),
        ("lambda/Dockerfile", of_dockerfile("lambda/Dockerfile")),
        ("kubernetes/standalone.yaml", of_standalone),
        ("kubernetes/sidecar.yaml", of_sidecar),
        ("cloudrun/service.yaml", of_run),
        ("lambda/template.yaml", of_lambda),
        ("lambda/native.yaml", of_native),
        ("fly/fly.toml", of_fly.collect()),
        ("ecs/task-definition.json", of_ecs),
        ("systemd/shop.env", of_systemd),
        (
            "compose.yaml",
            of_mapping(at(&compose[0], &["services", "shop", "environment"])),
        ),
    ])
}

fn probe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cli_probe"));
    command.args(args).env_clear();
    command
}

/// The variables of a gateway with the backend `users`, and of its server.
fn known() -> BTreeSet<String> {
    let output = probe(&["env", "--dotenv"]).output().expect("the probe");
    let text = String::from_utf8(output.stdout).expect("a text");
    let mut names: BTreeSet<String> = of_lines(&text).into_keys().collect();
    assert!(names.contains("ADMIN_TOKEN"), "{names:?}");
    // A secret may be in a file.
    names.insert("ADMIN_TOKEN_FILE".into());
    names
}

#[test]
fn every_variable_is_one_that_a_gateway_has() {
    let known = known();
    for (file, env) in all() {
        assert!(!env.is_empty(), "{file}");
        for name in env.keys() {
            // Those of the adapter.
            let is_foreign = file.starts_with("lambda/") && name.starts_with("AWS_LWA_");
            assert!(known.contains(name) || is_foreign, "{file}: {name}");
        }
    }
}

#[test]
fn a_gateway_can_start_with_the_variables_of_each() {
    for (file, mut env) in all() {
        // The file of the secret is on the machine that runs it.
        env.remove("ADMIN_TOKEN_FILE");
        if env.contains_key("ADMIN_TOKEN") {
            env.insert("ADMIN_TOKEN".into(), "a-token".into());
        }
        env.entry("USERS_URL".into())
            .or_insert_with(|| "http://127.0.0.1:9".into());
        let output = probe(&["check"]).envs(&env).output().expect("the probe");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{file}: {error}");
    }
}

fn seconds(text: &str) -> Duration {
    let number = text.strip_suffix('s').expect("seconds");
    Duration::from_secs(number.parse().expect("a number"))
}

/// How long a gateway with these variables may take to end.
fn end(env: &Env) -> Duration {
    let of = |name: &str, default: u64| {
        let said = env.get(name).map(|text| seconds(text));
        said.unwrap_or(Duration::from_secs(default))
    };
    of("SHUTDOWN_DELAY", 0) + of("DRAIN_TIMEOUT", 10)
}

#[test]
fn every_platform_waits_until_the_drain_has_ended() {
    let all = all();
    let mut kills = BTreeMap::new();
    let grace = |name: &str| {
        let pod = yaml(name)
            .into_iter()
            .find(|one| one["kind"] == "Deployment")
            .expect("a deployment");
        let pod = at(&pod, &["spec", "template", "spec"]);
        pod["terminationGracePeriodSeconds"]
            .as_u64()
            .expect("a number")
    };
    kills.insert(
        "kubernetes/standalone.yaml",
        grace("kubernetes/standalone.yaml"),
    );
    kills.insert("kubernetes/sidecar.yaml", grace("kubernetes/sidecar.yaml"));
    // It is not in the file: Cloud Run always waits for so long.
    kills.insert("cloudrun/service.yaml", 10);
    let fly = toml("fly/fly.toml");
    let of_fly = seconds(fly["kill_timeout"].as_str().expect("a text"));
    kills.insert("fly/fly.toml", of_fly.as_secs());
    let ecs = json("ecs/task-definition.json");
    let of_ecs = ecs["containerDefinitions"][0]["stopTimeout"].as_u64();
    kills.insert("ecs/task-definition.json", of_ecs.expect("a number"));
    let unit = text("systemd/shop.service");
    let of_systemd = of_unit(&unit, "TimeoutStopSec").next().expect("a time");
    kills.insert("systemd/shop.env", of_systemd.parse().expect("a number"));
    let compose = yaml("compose.yaml");
    let of_compose = at(&compose[0], &["services", "shop", "stop_grace_period"]);
    kills.insert(
        "compose.yaml",
        seconds(of_compose.as_str().expect("a text")).as_secs(),
    );
    for (file, kill) in kills {
        let end = end(&all[file]);
        assert!(end < Duration::from_secs(kill), "{file}: {end:?}, {kill} s");
    }
}

#[test]
fn probes_ask_the_port_of_the_admin_listener_on_paths_that_it_has() {
    let standalone = yaml("kubernetes/standalone.yaml");
    let sidecar = yaml("kubernetes/sidecar.yaml");
    let deployment = standalone.iter().find(|one| one["kind"] == "Deployment");
    let pod = ["spec", "template", "spec"];
    let containers = [
        &at(deployment.expect("a deployment"), &pod)["containers"][0],
        &at(&sidecar[0], &pod)["initContainers"][0],
    ];
    for container in containers {
        let ports = container["ports"].as_sequence().expect("a list");
        let admin = ports
            .iter()
            .find(|port| port["name"] == "admin")
            .expect("a port");
        let port = admin["containerPort"].as_u64().expect("a number");
        assert_eq!(of_container(container)["ADMIN"], format!(":{port}"));
        for (probe, path) in [
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            assert_eq!(container[probe]["httpGet"]["path"], path);
            assert_eq!(container[probe]["httpGet"]["port"], "admin");
        }
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"]["drop"][0], "ALL");
    }
    assert_eq!(containers[1]["restartPolicy"], "Always", "it is a sidecar");
    let fly = toml("fly/fly.toml");
    assert_eq!(fly["checks"]["ready"]["path"].as_str(), Some("/readyz"));
    assert_eq!(fly["checks"]["ready"]["port"].as_integer(), Some(9901));
    let rules = yaml("kubernetes/kustomization.yaml");
    for resource in rules[0]["resources"].as_sequence().expect("a list") {
        let name = resource.as_str().expect("a name");
        assert!(folder().join("kubernetes").join(name).is_file(), "{name}");
    }
}

#[test]
fn the_unit_is_told_when_the_gateway_serves_and_which_process_does() {
    let unit = text("systemd/shop.service");
    let of = |key: &str| of_unit(&unit, key).next().map(str::to_owned);
    assert_eq!(of("Type").as_deref(), Some("notify"));
    // A process that takes over is not the main one when it says that it is.
    assert_eq!(of("NotifyAccess").as_deref(), Some("all"));
    let watchdog: u64 = of("WatchdogSec").expect("a time").parse().expect("seconds");
    assert!(watchdog >= 10, "a worker may be busy for a moment");
    let env = of_lines(&text("systemd/shop.env"));
    let folder = format!("/run/{}/", of("RuntimeDirectory").expect("a folder"));
    assert!(env["HANDOVER"].starts_with(&folder), "{env:?}");
}

#[test]
fn commands_in_images_and_units_are_those_of_the_binary() {
    let mut commands = Vec::new();
    for name in ["Dockerfile", "Dockerfile.scratch"] {
        let text = text(name);
        let line = text
            .lines()
            .find(|line| line.starts_with("HEALTHCHECK"))
            .expect("a check");
        let (_, list) = line.split_once(" CMD ").expect("a command");
        commands.push(serde_json::from_str::<Vec<String>>(list).expect("a list"));
    }
    let compose = yaml("compose.yaml");
    let check = at(&compose[0], &["services", "shop", "healthcheck", "test"]);
    let ecs = json("ecs/task-definition.json");
    let words = |value: serde_json::Value| -> Vec<String> {
        serde_json::from_value::<Vec<String>>(value).expect("a list")[1..].to_vec()
    };
    commands.push(words(serde_json::to_value(check).expect("a list")));
    commands.push(words(
        ecs["containerDefinitions"][0]["healthCheck"]["command"].clone(),
    ));
    let unit = text("systemd/shop.service");
    for key in ["ExecStart", "ExecStartPre", "ExecReload"] {
        let line = of_unit(&unit, key).next().expect("a command");
        commands.push(line.split(' ').map(str::to_owned).collect());
    }
    for command in commands {
        let args: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        // An unknown command has exit code 2.
        let output = probe(&args).output().expect("the probe");
        assert_eq!(output.status.code(), Some(1), "{command:?}");
    }
}

/// Writes a program of the shell.
#[cfg(unix)]
fn program(folder: &Folder, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.write(name, format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
}

#[cfg(unix)]
#[test]
fn the_workflow_of_a_pull_request_comments_on_what_fares_otherwise() {
    let [workflow] = <[Value; 1]>::try_from(yaml("github/routes.yaml")).expect("one document");
    assert_eq!(workflow["on"].as_str(), Some("pull_request"));
    assert_eq!(
        workflow["permissions"]["pull-requests"].as_str(),
        Some("write")
    );
    let steps = workflow["jobs"]["diff"]["steps"]
        .as_sequence()
        .expect("a list");
    let scripts: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .collect();
    let [base, compare, comment] = scripts[..] else {
        panic!("three steps run something: {scripts:?}");
    };

    let folder = Folder::new();
    let probe = env!("CARGO_BIN_EXE_cli_probe");
    program(
        &folder,
        "cargo",
        &format!("while [ \"$1\" != -- ]; do shift; done\nshift\nexec '{probe}' \"$@\""),
    );
    program(
        &folder,
        "gh",
        "printf '%s\\n' \"$@\" > \"$RUNNER_TEMP/asked\"",
    );
    let path = std::env::var("PATH").unwrap_or_default();
    let run = |script: &str| {
        let mut command = Command::new("bash");
        command.args(["-e", "-c", script]).env_clear();
        command.env("PATH", format!("{}:{path}", folder.path("").display()));
        command
            .env("RUNNER_TEMP", folder.path(""))
            .env("NUMBER", "7");
        command.output().expect("bash").status.code()
    };
    let read = |name: &str| fs::read_to_string(folder.path(name)).expect(name);

    assert_eq!(run(base), Some(0));
    assert_eq!(run(compare), Some(0));
    assert!(read("comment.md").contains("~~~~text\nno request fares otherwise\n"));
    let table = folder.path("routes.json");
    let other = read("routes.json").replace("\"path\":\"/told\"", "\"path\":\"/said\"");
    fs::write(&table, other).expect("a file");
    assert_eq!(run(compare), Some(0));
    let text = read("comment.md");
    assert!(text.contains("~~~~text\nlost    GET /said\n"), "{text}");
    assert!(text.ends_with("\n1 lost, 1 gained\n\n~~~~\n"), "{text}");
    assert_eq!(run(comment), Some(0));
    assert!(read("asked").starts_with("pr\ncomment\n7\n--edit-last\n"));

    fs::write(&table, "[").expect("a file");
    assert_eq!(run(compare), Some(2), "there is no comparison");
}
