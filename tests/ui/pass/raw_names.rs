//! Names that are keywords of Rust.

#![deny(warnings, dead_code)]

prox::gateway! {
    pub struct r#Edge;

    env r#type: Option<String>;
    let r#fn = r#type.unwrap_or_default();
    backend r#match = "http://10.0.0.9:8080";

    "/match" => r#match.timeout(1s),
    "/loop" => split { 1 => r#match, 1 => respond(200, r#fn) },
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    assert_eq!(edge.backends().r#match.endpoints().len(), 1);
    Ok(())
}
