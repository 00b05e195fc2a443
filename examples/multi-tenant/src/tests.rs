//! Keys and hosts, the field for upstreams, and the limit of each tenant.

use prox::testing::{Fake, Harness, Testable};

use super::{Tenants, TenantsBackends};

const ACME: &str = "http://acme.tenants.localhost/orders";
const PEAR: &str = "http://pear.tenants.localhost/orders";

fn tenants() -> Harness<TenantsBackends<Fake>> {
    let tenants = Tenants::test()
        .env("SHARED_URL", "http://10.0.0.1:8080")
        .env("ACME_URL", "http://10.0.0.2:8080")
        .start(Tenants::new);
    tenants.shared.reply_with("shared");
    tenants.acme.reply_with("acme");
    tenants
}

#[tokio::test(start_paused = true)]
async fn a_tenant_gets_to_its_backend_which_is_told_who_it_is() {
    let tenants = tenants();
    for (url, key, backend) in [(ACME, "acme-key", "acme"), (PEAR, "pear-key", "shared")] {
        let answer = tenants
            .get(url)
            .header("x-api-key", key)
            .header("x-tenant", "forged")
            .await;
        answer.is(200).from_backend(backend);
    }
    assert_eq!(
        tenants.shared.requests()[0].header("x-tenant"),
        Some("pear")
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_opens_no_other_host() {
    let tenants = tenants();
    tenants.get(PEAR).await.is(401);
    tenants.get(PEAR).header("x-api-key", "guess").await.is(401);
    tenants
        .get(PEAR)
        .header("x-api-key", "acme-key")
        .await
        .is(403);
    tenants
        .get(ACME)
        .header("x-api-key", "pear-key")
        .await
        .is(403);
    tenants.shared.was_never_asked();
    tenants.acme.was_never_asked();
}

#[tokio::test(start_paused = true)]
async fn each_tenant_has_a_limit_of_its_own() {
    let tenants = tenants();
    let ask = |url, key| tenants.get(url).header("x-api-key", key);
    for _ in 0..3 {
        ask(PEAR, "pear-key").await.is(200);
    }
    ask(PEAR, "pear-key").await.is(429);
    ask(ACME, "acme-key").await.is(200);
    // One request a second comes back.
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    ask(PEAR, "pear-key").await.is(200);
}
