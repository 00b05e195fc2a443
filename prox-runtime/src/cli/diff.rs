//! `diff FILE`: which requests fare otherwise than with the table of routes in a file.

use std::{fs, process::ExitCode};

use super::{args::Compare, print};
use crate::{error::Result, route::Routes};

/// The exit code: 0 if no request fares otherwise, 1 if some do, 2 if the tables cannot be compared.
pub(super) fn diff(routes: Routes, asked: &Compare) -> Result<ExitCode> {
    let path = &asked.path;
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let diff = text.and_then(|text| routes.diff(&text).map_err(|error| error.to_string()));
    let mut diff = match diff {
        Ok(diff) => diff,
        Err(problem) => {
            eprintln!("error: {path}: {problem}");
            return Ok(ExitCode::from(2));
        }
    };
    if let Some(kinds) = &asked.only {
        diff = diff.only(kinds);
    }
    if asked.json {
        print(&diff.to_json())?;
    } else {
        print(&diff.to_string())?;
    }
    Ok(ExitCode::from(u8::from(!diff.is_empty())))
}
