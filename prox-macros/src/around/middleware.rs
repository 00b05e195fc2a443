//! What `prox::middleware` has for `with [..]`.

use crate::features;

/// A type that makes a layer.
pub(crate) struct Middleware {
    pub(crate) name: &'static str,
    /// Whether it decides who may enter.
    pub(crate) decides: bool,
    /// The feature of `prox` that it needs; empty for none.
    feature: &'static str,
}

const fn other(name: &'static str) -> Middleware {
    Middleware {
        name,
        decides: false,
        feature: "",
    }
}

const fn decides(name: &'static str) -> Middleware {
    Middleware {
        name,
        decides: true,
        feature: "",
    }
}

impl Middleware {
    const fn with(self, feature: &'static str) -> Self {
        Self { feature, ..self }
    }

    /// The feature that it needs and that is off.
    pub(crate) fn lacks(&self) -> Option<&'static str> {
        let off = !self.feature.is_empty() && !features::is_on(self.feature);
        off.then_some(self.feature)
    }
}

/// Sorted by name. A test compares them with what the module exports.
pub(crate) const MIDDLEWARE: [Middleware; 27] = [
    other("AccessLog"),
    decides("ApiKeys").with("auth"),
    decides("Basic").with("auth"),
    other("BodyLimit"),
    other("Cache").with("cache"),
    decides("ClientCerts"),
    other("Compress").with("compression"),
    other("Cors"),
    other("Csrf"),
    other("ErrorPages"),
    other("Fallback"),
    decides("ForwardAuth"),
    other("Headers"),
    other("IdentityHeaders"),
    other("InFlight"),
    decides("Introspect").with("jwt"),
    decides("IpRules"),
    decides("Jwt").with("jwt"),
    other("Maintenance"),
    other("MapBody").with("validate"),
    other("OnFailure"),
    other("RateLimit"),
    other("Recover"),
    other("RequestId"),
    other("Require"),
    other("SecurityHeaders"),
    other("Validate").with("validate"),
];

/// Types of which the arguments of layers are made, and the features that they need.
pub(crate) const ARGUMENTS: [(&str, &str); 5] = [
    ("KeyFile", "auth"),
    ("Rate", ""),
    ("Redis", "redis"),
    ("Role", ""),
    ("WhenDown", "redis"),
];

/// The middleware of this name.
pub(crate) fn middleware(name: &str) -> Option<&'static Middleware> {
    MIDDLEWARE.iter().find(|known| known.name == name)
}

/// Whether the module has a type of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exported {
    /// It has.
    Here,
    /// It has with this feature, which is off.
    Lacks(&'static str),
    /// It has not.
    Unknown,
}

/// Whether the module has a type of this name.
pub(crate) fn exported(name: &str) -> Exported {
    let lacks = if let Some(known) = middleware(name) {
        known.lacks()
    } else if let Some((_, feature)) = ARGUMENTS.iter().find(|(known, _)| *known == name) {
        let off = !feature.is_empty() && !features::is_on(feature);
        off.then_some(*feature)
    } else {
        return Exported::Unknown;
    };
    lacks.map_or(Exported::Here, Exported::Lacks)
}

/// The types that a `*` brings with the features that are on.
pub(crate) fn names() -> Vec<&'static str> {
    let layers = MIDDLEWARE.iter().map(|known| known.name);
    let arguments = ARGUMENTS.iter().map(|(name, _)| *name);
    layers
        .chain(arguments)
        .filter(|name| exported(name) == Exported::Here)
        .collect()
}
