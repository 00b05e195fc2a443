//! What `prox::middleware` has for `with [..]`.

/// A type that makes a layer.
pub(crate) struct Middleware {
    pub(crate) name: &'static str,
    /// Whether it decides who may enter.
    pub(crate) decides: bool,
}

const fn other(name: &'static str) -> Middleware {
    Middleware {
        name,
        decides: false,
    }
}

const fn decides(name: &'static str) -> Middleware {
    Middleware {
        name,
        decides: true,
    }
}

/// Sorted by name. A test compares them with what the module exports.
pub(crate) const MIDDLEWARE: [Middleware; 27] = [
    other("AccessLog"),
    decides("ApiKeys"),
    decides("Basic"),
    other("BodyLimit"),
    other("Cache"),
    decides("ClientCerts"),
    other("Compress"),
    other("Cors"),
    other("Csrf"),
    other("ErrorPages"),
    other("Fallback"),
    decides("ForwardAuth"),
    other("Headers"),
    other("IdentityHeaders"),
    other("InFlight"),
    decides("Introspect"),
    decides("IpRules"),
    decides("Jwt"),
    other("Maintenance"),
    other("MapBody"),
    other("OnFailure"),
    other("RateLimit"),
    other("Recover"),
    other("RequestId"),
    other("Require"),
    other("SecurityHeaders"),
    other("Validate"),
];

/// The middleware of this name.
pub(crate) fn middleware(name: &str) -> Option<&'static Middleware> {
    MIDDLEWARE.iter().find(|known| known.name == name)
}
