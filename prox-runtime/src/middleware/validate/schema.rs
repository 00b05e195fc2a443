//! JSON Schema.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::json::{Place, Wrong, read};

/// The most places that a response names.
const MOST: usize = 16;

pub(super) struct Schema(Validator);

impl Schema {
    /// Reads a schema.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let schema: Value = read(text.as_bytes()).map_err(|wrong| match wrong.place {
            Place::Line(line, column) => format!(
                "the schema is not JSON without duplicate names (line {line}, column {column})"
            ),
            Place::Pointer(..) => "the schema is malformed".into(),
        })?;
        let options = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex());
        let validator = options.build(&schema).map_err(|error| {
            format!(
                "the schema is malformed at {:?}: {error}",
                error.instance_path().as_str()
            )
        })?;
        Ok(Self(validator))
    }

    /// Whether a text is valid.
    pub(super) fn check(&self, text: &[u8]) -> Result<(), Vec<Wrong>> {
        let value: Value = read(text).map_err(|wrong| vec![wrong])?;
        let errors = self.0.iter_errors(&value).take(MOST);
        let wrong: Vec<_> = errors
            .map(|error| {
                let keyword = error.schema_path().as_str();
                let keyword = keyword
                    .rsplit('/')
                    .find(|part| part.parse::<usize>().is_err());
                Wrong {
                    what: "schema",
                    place: Place::Pointer(
                        error.instance_path().as_str().to_owned(),
                        keyword.unwrap_or_default().to_owned(),
                    ),
                }
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}
