//! Weighted draws in constant time: the alias method of Walker and Vose.

use crate::cluster::rng::Rng;

/// Draws positions in proportion to their weights, with one random number each, however many there are.
#[derive(Debug, Default)]
pub(super) struct Alias {
    length: usize,
    /// For each position, how much of its column is its own (of 2³²), and whose the rest is; empty when all are equal.
    columns: Box<[(u32, u32)]>,
}

impl Alias {
    pub(super) fn new(weights: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        let length = weights.len();
        let mut rest = weights.clone();
        let first = rest.next();
        if rest.all(|weight| Some(weight) == first) {
            return Self {
                length,
                columns: Box::default(),
            };
        }
        // Each weight is scaled so that a column holds `total`; so all of it stays exact, in whole numbers.
        let total: u128 = weights.clone().map(u128::from).sum();
        let mut scaled: Vec<u128> = weights
            .map(|weight| u128::from(weight) * length as u128)
            .collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..length).partition(|&index| scaled[index] < total);
        let mut columns: Box<[(u32, u32)]> =
            (0..length).map(|index| (u32::MAX, narrow(index))).collect();
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            let own = (scaled[low] << 32) / total.max(1);
            columns[low] = (u32::try_from(own).unwrap_or(u32::MAX), narrow(high));
            scaled[high] -= total - scaled[low];
            if scaled[high] < total {
                large.pop();
                small.push(high);
            }
        }
        Self { length, columns }
    }

    /// A position; 0 when there are none.
    pub(super) fn draw(&self, rng: &Rng) -> usize {
        let bits = rng.next();
        // The high half of the bits chooses the column, the low half the part of it.
        let column = usize::try_from(((bits >> 32) * self.length as u64) >> 32).unwrap_or(0);
        match self.columns.get(column) {
            Some(&(own, other)) if bits & u64::from(u32::MAX) >= u64::from(own) => other as usize,
            _ => column,
        }
    }
}

/// Positions are far below 2³²: each stands for an endpoint in memory.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::rng::Rng;

    proptest! {
        #[test]
        fn the_columns_add_up_to_the_weights(
            weights in prop::collection::vec(0_u64..=u64::from(u32::MAX) * 1_000, 1..50),
        ) {
            let total: u128 = weights.iter().copied().map(u128::from).sum();
            prop_assume!(total > 0);
            let alias = Alias::new(weights.iter().copied());
            prop_assume!(!alias.columns.is_empty());
            let mut parts = vec![0_u128; weights.len()];
            for (column, &(own, other)) in alias.columns.iter().enumerate() {
                if other as usize == column {
                    parts[column] += 1 << 32;
                } else {
                    parts[column] += u128::from(own);
                    parts[other as usize] += (1 << 32) - u128::from(own);
                }
            }
            for (&weight, &part) in weights.iter().zip(&parts) {
                let expected = u128::from(weight) * ((weights.len() as u128) << 32) / total;
                prop_assert!(part.abs_diff(expected) <= weights.len() as u128 + 1);
            }
        }
    }

    #[test]
    fn equal_weights_need_no_columns() {
        assert!(Alias::new([5, 5, 5].into_iter()).columns.is_empty());
        assert_eq!(Alias::new([].into_iter()).draw(&Rng::seeded(1)), 0);
        let rng = Rng::seeded(1);
        let alias = Alias::new([7, 7].into_iter());
        let ones = (0..10_000).filter(|_| alias.draw(&rng) == 1).count();
        assert!(ones.abs_diff(5_000) < 200, "{ones}");
    }
}
