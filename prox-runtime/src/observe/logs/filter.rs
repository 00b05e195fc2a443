//! Which events are written: the variable `LOG`.

use tracing::{Metadata, level_filters::LevelFilter};

/// A level for all events, and levels for the events of some targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    all: LevelFilter,
    /// Longer targets first.
    targets: Vec<(String, LevelFilter)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::of(LevelFilter::INFO)
    }
}

impl Filter {
    /// The same level for every target.
    pub(crate) const fn of(all: LevelFilter) -> Self {
        Self {
            all,
            targets: Vec::new(),
        }
    }

    /// Reads levels with commas between them: `warn`, or `warn,prox=debug`. A level without a target is for all other targets.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut all = None;
        for part in text.split(',').map(str::trim) {
            let Some((target, level)) = part.split_once('=') else {
                if all.replace(level(part)?).is_some() {
                    return Err(format!(
                        "duplicate level `{part}`: a level without a target is for all targets"
                    ));
                }
                continue;
            };
            let target = target.trim();
            if target.is_empty() || !target.chars().all(is_of_a_target) {
                return Err(format!(
                    "`{target}` is not a target: expected a path such as `prox` or `shop::orders`"
                ));
            }
            if filter.targets.iter().any(|(known, _)| known == target) {
                return Err(format!("duplicate target `{target}`"));
            }
            filter
                .targets
                .push((target.to_owned(), self::level(level.trim())?));
        }
        filter.all = all.unwrap_or(filter.all);
        filter.sort();
        Ok(filter)
    }

    /// The same, but for this target.
    pub(crate) fn with(mut self, target: &str, level: LevelFilter) -> Self {
        self.targets.retain(|(known, _)| known != target);
        self.targets.push((target.to_owned(), level));
        self.sort();
        self
    }

    fn sort(&mut self) {
        self.targets
            .sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
    }

    pub(crate) fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let of_target = self
            .targets
            .iter()
            .find(|(target, _)| is_within(metadata.target(), target));
        *metadata.level() <= of_target.map_or(self.all, |(_, level)| *level)
    }

    /// The level beyond which nothing is taken, whatever its target.
    pub(crate) fn most(&self) -> LevelFilter {
        let targets = self.targets.iter().map(|(_, level)| *level);
        targets.fold(self.all, LevelFilter::max)
    }
}

fn is_of_a_target(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | ':' | '-' | '.')
}

/// Whether a target is this one, or a module of it.
fn is_within(target: &str, outer: &str) -> bool {
    target
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// # Errors
///
/// Which levels there are.
pub(crate) fn level(text: &str) -> Result<LevelFilter, String> {
    const LEVELS: [(&str, LevelFilter); 6] = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let known = LEVELS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, level)| level).ok_or_else(|| {
        format!("expected `off`, `error`, `warn`, `info`, `debug` or `trace`, found `{text}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_decides() {
        let filter = Filter::read("warn, shop=debug,shop::orders=off").unwrap();
        assert_eq!(filter.all, LevelFilter::WARN);
        assert_eq!(
            filter.targets,
            [
                ("shop::orders".to_owned(), LevelFilter::OFF),
                ("shop".to_owned(), LevelFilter::DEBUG)
            ]
        );
        assert_eq!(filter.most(), LevelFilter::DEBUG);
        assert!(is_within("shop::orders", "shop"));
        assert!(is_within("shop", "shop"));
        assert!(!is_within("shopping", "shop"));
    }

    #[test]
    fn without_a_level_of_its_own_a_target_has_the_default() {
        let filter = Filter::read("prox=trace").unwrap();
        assert_eq!(filter.all, LevelFilter::INFO);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, problem) in [
            (
                "inf",
                "expected `off`, `error`, `warn`, `info`, `debug` or `trace`, found `inf`",
            ),
            ("", "found ``"),
            ("info,", "found ``"),
            ("warn,info", "duplicate level `info`"),
            ("prox=", "found ``"),
            ("prox=warn,prox=info", "duplicate target `prox`"),
            ("=warn", "`` is not a target"),
            ("a b=warn", "`a b` is not a target"),
        ] {
            let found = Filter::read(text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }
}
