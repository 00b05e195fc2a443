//! Gateways that take nothing.

#![deny(warnings, dead_code)]

prox::gateway! { struct Nothing; }

fn main() -> prox::Result {
    let nothing = Nothing::new()?;
    assert!(nothing.routes().is_empty());
    let also = prox::gateway! {}?;
    assert!(also.routes().is_empty());
    Ok(())
}
