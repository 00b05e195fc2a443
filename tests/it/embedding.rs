//! Prox inside of tower and axum, and they inside of it.

use axum::{Router, body::Body as AxumBody, extract::Path, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use prox_tests::{
    client::get as fetch,
    filler::{Digest, Filler},
    gateway::Served,
    origin::{Origin, Reply},
};
use tower::{Service, ServiceExt};

async fn text(
    response: http::Response<impl http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>>,
) -> String {
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a whole body")
        .to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_gateway_is_a_tower_service() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let mut gateway = prox::gateway! { "/" => url }.unwrap();
    let request = Request::get("/a?b")
        .header("host", "gateway.test")
        .body(String::from("body"))
        .unwrap();
    let response = ServiceExt::<Request<String>>::ready(&mut gateway)
        .await
        .unwrap()
        .call(request)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "ok");
    let seen = origin.last();
    assert_eq!((seen.target(), seen.body.text().as_str()), ("/a?b", "body"));
    assert!(seen.lacks("x-forwarded-for"), "nobody knows who sent it");
}

prox::gateway! {
    /// A gateway with a name.
    pub(crate) struct Edge { upstream: prox::Endpoint }

    backend users = cluster(rr, [upstream]);
    "/users" => users,
}

#[tokio::test]
async fn a_gateway_with_a_name_is_one_too() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let edge = Edge::new(origin.endpoint()).unwrap();
    assert_eq!(Edge::ROUTES.len(), 1);
    assert_eq!(edge.backends().users.endpoints().len(), 1);
    let request = Request::get("/users")
        .header("host", "x")
        .body(AxumBody::empty())
        .unwrap();
    let response = edge.oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "ok");
}

#[tokio::test]
async fn a_gateway_is_mounted_in_an_axum_router() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/api" => url, "/gone" => respond(410, "gone") }.unwrap();
    let router = Router::new()
        .route("/own", get(|| async { "from axum" }))
        .nest_service("/nested", gateway.clone())
        .fallback_service(gateway);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, router).into_future());
    assert_eq!(fetch(address, "/own").await.expect(200).text(), "from axum");
    assert_eq!(
        fetch(address, "/api/x?y=z").await.expect(200).text(),
        "/api/x?y=z"
    );
    assert_eq!(
        fetch(address, "/nested/api/x").await.expect(200).text(),
        "/api/x"
    );
    fetch(address, "/gone").await.expect(410);
    fetch(address, "/nowhere").await.expect(404);
    serving.abort();
}

#[tokio::test]
async fn an_axum_router_is_the_target_of_a_route() {
    let router = Router::new()
        .route(
            "/admin/users/{id}",
            get(|Path(id): Path<String>| async move { format!("user {id}") }),
        )
        .route(
            "/admin/echo",
            axum::routing::post(|body: String| async move { body }),
        );
    let gateway = Served::start(prox::gateway! {
        "/admin" => service(router),
        "/" => respond(200, "not axum"),
    })
    .await;
    let mut client = gateway.client().await;
    assert_eq!(
        client.get("/admin/users/7").await.expect(200).text(),
        "user 7"
    );
    assert_eq!(
        client.post("/admin/echo", "body").await.expect(200).text(),
        "body"
    );
    client.get("/admin/nowhere").await.expect(404);
    assert_eq!(client.get("/other").await.expect(200).text(), "not axum");
}

#[tokio::test]
async fn large_bodies_stream_through_axum() {
    const LENGTH: u64 = 8 * 1024 * 1024;
    let origin = Origin::start(Reply::filler(LENGTH, true)).await;
    let url = origin.endpoint();
    let inner = prox::gateway! { "/" => url }.unwrap();
    let router = Router::new().fallback_service(inner);
    let gateway = Served::start(prox::gateway! { "/" => service(router) }).await;
    let mut client = gateway.client().await;
    let upload: Vec<u8> = Filler::new(LENGTH).flatten().collect();
    client
        .send(prox_tests::client::head(
            "POST",
            "/",
            &format!("Content-Length: {LENGTH}\r\n"),
        ))
        .await;
    client.send(upload).await;
    assert_eq!(
        client.response("POST").await.expect(200).body.digest,
        Digest::of_filler(LENGTH)
    );
    assert_eq!(origin.last().body.digest, Digest::of_filler(LENGTH));
}

#[tokio::test]
async fn a_gateway_is_the_target_of_a_route_of_another() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let url = origin.endpoint();
    let inner = prox::gateway! { "/a" => url }.unwrap();
    let gateway = Served::start(prox::gateway! { "/" => service(inner) }).await;
    assert_eq!(gateway.get("/a/b").await.expect(200).text(), "/a/b");
    gateway.get("/c").await.expect(404);
}
