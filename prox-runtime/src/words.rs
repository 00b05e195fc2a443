//! Which of the known words was meant.

/// The known word that a misspelled word is nearest to, if it is near.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|name| (distance(word, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// How many letters have to be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, to) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(from != *to))
                .min(left + 1)
                .min(*slot + 1);
            diagonal = std::mem::replace(slot, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_near_within_a_third_of_its_letters() {
        let known = ["USERS_URL", "RATE", "PORT"];
        for (word, near) in [
            ("USERS_ULR", Some("USERS_URL")),
            ("USER_URL", Some("USERS_URL")),
            ("RATES", Some("RATE")),
            ("ROUTE", None),
            ("", None),
            ("HOST", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }
}
