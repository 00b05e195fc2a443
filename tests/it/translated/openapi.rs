//! `tests/data/translated/openapi.json`: an API of 135 paths, each of which goes to the service of its tag. A path is exact, a
//! method that a path does not name is a `405`, and a value that its schema does not take is a `404`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Upstreams, send};

const SERVICES: [&str; 9] = [
    "system",
    "users",
    "projects",
    "webhooks",
    "artifacts",
    "scanners",
    "replication",
    "retention",
    "jobs",
];

#[expect(clippy::too_many_lines, reason = "one line for each path")]
fn gateway(upstreams: &Upstreams) -> prox::Result<prox::Gateway> {
    let system_at = upstreams.at("system");
    let users_at = upstreams.at("users");
    let projects_at = upstreams.at("projects");
    let webhooks_at = upstreams.at("webhooks");
    let artifacts_at = upstreams.at("artifacts");
    let scanners_at = upstreams.at("scanners");
    let replication_at = upstreams.at("replication");
    let retention_at = upstreams.at("retention");
    let jobs_at = upstreams.at("jobs");
    prox::gateway! {
        backend system = cluster(rr, [system_at]);
        backend users = cluster(rr, [users_at]);
        backend projects = cluster(rr, [projects_at]);
        backend webhooks = cluster(rr, [webhooks_at]);
        backend artifacts = cluster(rr, [artifacts_at]);
        backend scanners = cluster(rr, [scanners_at]);
        backend replication = cluster(rr, [replication_at]);
        backend retention = cluster(rr, [retention_at]);
        backend jobs = cluster(rr, [jobs_at]);

        host "registry.example.com" {
            "/api/v2.0" {
                // system
                GET exact "/health" => system,
                GET exact "/ping" => system,
                GET exact "/systeminfo" => system,
                GET exact "/systeminfo/volumes" => system,
                GET exact "/systeminfo/certificate" => system,
                GET | PUT exact "/configurations" => system,
                POST exact "/ldap/check" => system,
                GET exact "/ldap/users" => system,
                POST exact "/ldap/users/import" => system,
                GET exact "/ldap/groups" => system,
                POST exact "/email/check" => system,
                GET exact "/statistics" => system,
                GET exact "/internal/switch-quota" => system,
                GET | POST | PUT exact "/system/gc/schedule" => system,
                GET exact "/system/gc" => system,
                GET exact "/system/gc/{run_id: int}" => system,
                GET exact "/system/gc/{run_id: int}/log" => system,
                GET | POST | PUT exact "/system/purge/schedule" => system,
                GET exact "/system/purge" => system,
                GET exact "/system/purge/{run_id: int}" => system,
                GET exact "/system/purge/{run_id: int}/log" => system,
                GET | PUT exact "/system/allow-list" => system,
                GET | POST | PUT exact "/system/scan-all/schedule" => system,
                GET exact "/scans/all/metrics" => system,
                GET exact "/scans/schedule/metrics" => system,
                POST exact "/system/scan-all/stop" => system,
                GET exact "/system/oidc/ping" => system,
                // users
                GET | POST exact "/users" => users,
                GET exact "/users/current" => users,
                GET exact "/users/current/permissions" => users,
                GET exact "/users/search" => users,
                GET | PUT | DELETE exact "/users/{user_id: int}" => users,
                PUT exact "/users/{user_id: int}/password" => users,
                PUT exact "/users/{user_id: int}/sysadmin" => users,
                PUT exact "/users/{user_id: int}/cli-secret" => users,
                GET | POST exact "/usergroups" => users,
                GET exact "/usergroups/search" => users,
                GET | PUT | DELETE exact "/usergroups/{group_id: int}" => users,
                GET | POST exact "/robots" => users,
                GET | PUT | PATCH | DELETE exact "/robots/{robot_id: int}" => users,
                GET exact "/permissions" => users,
                // projects
                GET | HEAD | POST exact "/projects" => projects,
                GET | PUT | DELETE exact "/projects/{project: slug}" => projects,
                GET exact "/projects/{project: slug}/deletable" => projects,
                GET exact "/projects/{project: slug}/summary" => projects,
                GET | POST exact "/projects/{project: slug}/members" => projects,
                GET | PUT | DELETE exact "/projects/{project: slug}/members/{member_id: int}" => projects,
                GET | POST exact "/projects/{project: slug}/metadata" => projects,
                GET | PUT | DELETE exact "/projects/{project: slug}/metadata/{key: 'public' | 'auto_scan' | 'severity' | 'retention_id'}" => projects,
                GET exact "/projects/{project: slug}/logs" => projects,
                GET | PUT exact "/projects/{project: slug}/scanner" => projects,
                GET exact "/projects/{project: slug}/scanner/candidates" => projects,
                GET | POST exact "/projects/{project: slug}/labels" => projects,
                GET | PUT | DELETE exact "/projects/{project: slug}/labels/{label_id: int}" => projects,
                GET | POST exact "/projects/{project: slug}/robots" => projects,
                GET | PUT | DELETE exact "/projects/{project: slug}/robots/{robot_id: int}" => projects,
                GET | POST exact "/labels" => projects,
                GET | PUT | DELETE exact "/labels/{label_id: int}" => projects,
                GET exact "/quotas" => projects,
                GET | PUT exact "/quotas/{quota_id: int}" => projects,
                GET exact "/audit-logs" => projects,
                GET exact "/search" => projects,
                // webhooks
                GET | POST exact "/projects/{project: slug}/webhooks" => webhooks,
                GET exact "/projects/{project: slug}/webhooks/events" => webhooks,
                GET exact "/projects/{project: slug}/webhooks/last-trigger" => webhooks,
                GET | PUT | DELETE exact "/projects/{project: slug}/webhooks/{hook_id: int}" => webhooks,
                GET exact "/projects/{project: slug}/webhooks/{hook_id: int}/executions" => webhooks,
                GET exact "/projects/{project: slug}/webhooks/{hook_id: int}/executions/{execution_id: uuid}" => webhooks,
                GET exact "/projects/{project: slug}/webhooks/{hook_id: int}/executions/{execution_id: uuid}/tasks" => webhooks,
                GET exact "/projects/{project: slug}/webhooks/{hook_id: int}/executions/{execution_id: uuid}/tasks/{task_id: int}/log" => webhooks,
                // artifacts
                GET exact "/projects/{project: slug}/repositories" => artifacts,
                GET | PUT | DELETE exact "/projects/{project: slug}/repositories/{repository}" => artifacts,
                GET | POST exact "/projects/{project: slug}/repositories/{repository}/artifacts" => artifacts,
                GET | DELETE exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}" => artifacts,
                GET | POST exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/tags" => artifacts,
                DELETE exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/tags/{tag}" => artifacts,
                GET exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/accessories" => artifacts,
                GET exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/additions/vulnerabilities" => artifacts,
                GET exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/additions/{addition: 'build-history' | 'values.yaml' | 'readme.md' | 'dependencies'}" => artifacts,
                POST exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/labels" => artifacts,
                DELETE exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/labels/{label_id: int}" => artifacts,
                GET exact "/repositories" => artifacts,
                GET exact "/icons/{digest}" => artifacts,
                // scanners
                POST exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/scan" => scanners,
                POST exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/scan/stop" => scanners,
                GET exact "/projects/{project: slug}/repositories/{repository}/artifacts/{reference}/scan/{report_id: uuid}/log" => scanners,
                GET | POST exact "/scanners" => scanners,
                POST exact "/scanners/ping" => scanners,
                GET | PUT | PATCH | DELETE exact "/scanners/{scanner_id: uuid}" => scanners,
                GET exact "/scanners/{scanner_id: uuid}/metadata" => scanners,
                GET | POST exact "/export/cve" => scanners,
                GET exact "/export/cve/executions" => scanners,
                GET exact "/export/cve/execution/{execution_id: int}" => scanners,
                GET exact "/export/cve/download/{execution_id: int}" => scanners,
                GET exact "/security/summary" => scanners,
                GET exact "/security/vulnerabilities" => scanners,
                // replication
                GET | POST exact "/replication/policies" => replication,
                GET | PUT | DELETE exact "/replication/policies/{policy_id: int}" => replication,
                GET | POST exact "/replication/executions" => replication,
                GET | PUT exact "/replication/executions/{execution_id: int}" => replication,
                GET exact "/replication/executions/{execution_id: int}/tasks" => replication,
                GET exact "/replication/executions/{execution_id: int}/tasks/{task_id: int}/log" => replication,
                GET exact "/replication/adapters" => replication,
                GET exact "/replication/adapterinfos" => replication,
                GET | POST exact "/registries" => replication,
                POST exact "/registries/ping" => replication,
                GET | PUT | DELETE exact "/registries/{registry_id: int}" => replication,
                GET exact "/registries/{registry_id: int}/info" => replication,
                GET exact "/registries/{registry_id: int}/namespaces" => replication,
                GET | POST exact "/projects/{project: slug}/preheat/policies" => replication,
                GET | PUT | POST | DELETE exact "/projects/{project: slug}/preheat/policies/{policy}" => replication,
                GET exact "/projects/{project: slug}/preheat/policies/{policy}/executions" => replication,
                GET | PATCH exact "/projects/{project: slug}/preheat/policies/{policy}/executions/{execution_id: int}" => replication,
                GET exact "/projects/{project: slug}/preheat/policies/{policy}/executions/{execution_id: int}/tasks" => replication,
                GET | POST exact "/p2p/preheat/instances" => replication,
                POST exact "/p2p/preheat/ping" => replication,
                GET | PUT | DELETE exact "/p2p/preheat/instances/{instance}" => replication,
                GET exact "/p2p/preheat/providers" => replication,
                // retention
                GET exact "/retentions/metadatas" => retention,
                POST exact "/retentions" => retention,
                GET | PUT | DELETE exact "/retentions/{retention_id: int}" => retention,
                GET | POST exact "/retentions/{retention_id: int}/executions" => retention,
                PATCH exact "/retentions/{retention_id: int}/executions/{execution_id: int}" => retention,
                GET exact "/retentions/{retention_id: int}/executions/{execution_id: int}/tasks" => retention,
                GET exact "/retentions/{retention_id: int}/executions/{execution_id: int}/tasks/{task_id: int}" => retention,
                GET | POST exact "/projects/{project: slug}/immutable-rules" => retention,
                PUT | DELETE exact "/projects/{project: slug}/immutable-rules/{rule_id: int}" => retention,
                // jobs
                GET exact "/jobservice/pools" => jobs,
                GET exact "/jobservice/pools/{pool_id}/workers" => jobs,
                GET | PUT exact "/jobservice/jobs/{job_id: uuid}" => jobs,
                GET exact "/jobservice/jobs/{job_id: uuid}/log" => jobs,
                GET exact "/jobservice/queues" => jobs,
                PUT exact "/jobservice/queues/{job_type: 'GARBAGE_COLLECTION' | 'IMAGE_SCAN' | 'REPLICATION' | 'RETENTION'}" => jobs,
                GET exact "/schedules" => jobs,
                GET exact "/schedules/{job_type: 'all' | 'GARBAGE_COLLECTION' | 'IMAGE_SCAN'}/paused" => jobs,
            }
        }

        expect GET "https://registry.example.com/api/v2.0/users/current" => users;
        expect GET "https://registry.example.com/api/v2.0/users/7" => users;
        expect GET "https://registry.example.com/api/v2.0/users/ada" => 404;
        expect POST "https://registry.example.com/api/v2.0/health" => 405;
    }
}

#[derive(Deserialize)]
struct Description {
    servers: Vec<Server>,
    paths: BTreeMap<String, Path>,
}

#[derive(Deserialize)]
struct Server {
    url: String,
}

#[derive(Deserialize)]
struct Path {
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(flatten)]
    operations: BTreeMap<String, Operation>,
}

#[derive(Deserialize)]
struct Operation {
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    schema: Schema,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(rename = "type")]
    kind: String,
    format: Option<String>,
    pattern: Option<String>,
    #[serde(rename = "enum", default)]
    values: Vec<String>,
}

impl Schema {
    /// A value that it takes, and one that it does not, if there is one.
    fn values(&self) -> (&str, Option<&str>) {
        if let Some(first) = self.values.first() {
            return (first, Some("another"));
        }
        match (
            self.kind.as_str(),
            self.format.as_deref(),
            self.pattern.as_deref(),
        ) {
            ("integer", _, _) => ("42", Some("4x2")),
            (_, Some("uuid"), _) => ("0d1c2b3a-0000-4000-8000-00000000abcd", Some("0d1c2b3a")),
            (_, _, Some(_)) => ("my-project_1", Some("my.project")),
            _ => ("any%20thing", None),
        }
    }
}

impl Path {
    /// The path with a value for each parameter; with `wrong`, that parameter has a value that it does not take.
    fn filled(&self, path: &str, wrong: Option<&str>) -> Option<String> {
        let mut filled = path.to_owned();
        for parameter in &self.parameters {
            let (right, other) = parameter.schema.values();
            let value = if wrong == Some(parameter.name.as_str()) {
                other?
            } else {
                right
            };
            filled = filled.replace(&format!("{{{}}}", parameter.name), value);
        }
        Some(filled)
    }
}

fn description() -> Description {
    serde_json::from_str(include_str!("../../data/translated/openapi.json"))
        .expect("it is JSON of OpenAPI")
}

#[tokio::test]
async fn each_operation_goes_to_its_service_and_no_other_method_does() {
    let upstreams = Upstreams::start(&SERVICES).await;
    let served = prox_tests::gateway::Served::start(gateway(&upstreams)).await;
    let described = description();
    assert_eq!(described.paths.len(), 135);
    let base = &described.servers[0].url;
    let mut client = served.client().await;
    let mut wrong = BTreeSet::new();
    for (path, item) in &described.paths {
        let url = format!(
            "{base}{}",
            item.filled(path, None).expect("values that fit")
        );
        let line = |method: &str| {
            let place = url.find("/api").expect("the base has it");
            format!("{method} {}", &url[place..])
        };
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let named = item.operations.get(&method.to_lowercase());
            let operation = match method {
                "HEAD" => named.or_else(|| item.operations.get("get")),
                _ => named,
            };
            let seen = send(&mut client, method, &url, &["Content-Length: 0".to_owned()]).await;
            let right = match operation {
                // Without a body there is nothing to read.
                Some(_) if method == "HEAD" => seen.status == 200,
                Some(operation) => seen.upstream == Some((operation.tags[0].clone(), line(method))),
                None => seen.status == 405,
            };
            if !right {
                wrong.insert(format!(
                    "{method} {url}: {} {:?}",
                    seen.status, seen.upstream
                ));
            }
        }
        let below = send(
            &mut client,
            "GET",
            &format!("{url}/no-such-thing/below/it"),
            &[],
        )
        .await;
        if below.status != 404 {
            wrong.insert(format!(
                "GET {url}/no-such-thing/below/it: {}",
                below.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_value_that_its_schema_does_not_take_is_not_found() {
    let upstreams = Upstreams::start(&SERVICES).await;
    let served = prox_tests::gateway::Served::start(gateway(&upstreams)).await;
    let described = description();
    let base = &described.servers[0].url;
    let mut client = served.client().await;
    let mut asked = 0;
    for (path, item) in &described.paths {
        let Some(method) = item.operations.keys().next() else {
            continue;
        };
        for parameter in &item.parameters {
            let Some(filled) = item.filled(path, Some(&parameter.name)) else {
                continue;
            };
            asked += 1;
            let seen = send(
                &mut client,
                &method.to_uppercase(),
                &format!("{base}{filled}"),
                &["Content-Length: 0".to_owned()],
            )
            .await;
            assert_eq!(seen.status, 404, "{method} {filled}: {:?}", seen.upstream);
        }
    }
    assert!(asked > 90, "{asked}");
}
