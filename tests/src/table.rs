//! Tables of cases in `tests/data`.

use serde::de::DeserializeOwned;

/// Reads a table.
pub fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The bytes that a text of a table stands for: each of its characters is one byte, so `\u00ff` is the byte 255.
pub fn bytes(text: &str) -> Vec<u8> {
    let byte = |char| u8::try_from(u32::from(char)).expect("characters of a table are below 256");
    text.chars().map(byte).collect()
}
