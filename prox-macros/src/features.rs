//! The features of `prox`. Each that adds something to the language sets the feature of this crate with the same name.

/// Whether the feature is on. In tests all are, but for one that a test turns off.
pub(crate) fn is_on(feature: &str) -> bool {
    const ON: [(&str, bool); 8] = [
        ("auth", cfg!(feature = "auth")),
        ("cache", cfg!(feature = "cache")),
        ("compression", cfg!(feature = "compression")),
        ("http2", cfg!(feature = "http2")),
        ("jwt", cfg!(feature = "jwt")),
        ("redis", cfg!(feature = "redis")),
        ("tls", cfg!(feature = "tls")),
        ("validate", cfg!(feature = "validate")),
    ];
    #[cfg(test)]
    if OFF.with(std::cell::Cell::get) == Some(feature) {
        return false;
    }
    let known = ON.iter().find(|(name, _)| *name == feature);
    cfg!(test) || known.is_none_or(|(_, on)| *on)
}

/// How the feature is turned on.
pub(crate) fn help(feature: &str) -> String {
    format!(
        "write `prox = {{ .., features = [\"{feature}\"] }}` in Cargo.toml (`cargo add prox --features {feature}`)"
    )
}

#[cfg(test)]
thread_local! {
    static OFF: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Runs the test with the feature turned off.
#[cfg(test)]
pub(crate) fn without<T>(feature: &'static str, test: impl FnOnce() -> T) -> T {
    OFF.set(Some(feature));
    let result = test();
    OFF.set(None);
    result
}
