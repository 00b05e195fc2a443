//! The label `error_type`, as a number.

use std::fmt;

use super::status::{Status, class};
use crate::error::Failure;

/// Statuses come behind this number, failures before it.
const STATUSES: u16 = 1000;

/// What went wrong, as OpenTelemetry's `error.type` has it: the name of a failure, or a status of 500 or more; nothing for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ErrorType(u16);

impl ErrorType {
    /// Of a response with this status, which this failure was the reason for, or which this failure cut.
    pub(crate) fn of(status: u16, failure: Option<Failure>) -> Self {
        match failure {
            Some(failure) => Self(failure as u16 + 1),
            None if status >= 500 => Self::of_status(status),
            None => Self(0),
        }
    }

    #[cold]
    fn of_status(status: u16) -> Self {
        Self(STATUSES + class(status))
    }

    /// The number that [`numbered`](Self::numbered) takes.
    pub(super) fn number(self) -> u16 {
        self.0
    }

    pub(super) fn numbered(number: u16) -> Self {
        Self(number)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = usize::from(self.0).checked_sub(1);
        match failure.and_then(|place| Failure::ALL.get(place)) {
            Some(failure) => f.write_str(failure.name()),
            None => Status(self.0.saturating_sub(STATUSES)).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_name_and_no_status_looks_like_one() {
        for failure in Failure::ALL {
            let kind = ErrorType::of(502, Some(failure));
            assert_eq!(kind.to_string(), failure.name());
        }
        assert!(Failure::ALL.len() < usize::from(STATUSES));
        assert_eq!(ErrorType::of(503, None).to_string(), "503");
        assert_eq!(ErrorType::of(599, None).to_string(), "5xx");
        assert!(ErrorType::of(404, None).is_none());
    }
}
