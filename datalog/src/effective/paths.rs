//! Sets of resources that later blocks leave, as the paths that they lie under.
//!
//! Blocks are written by strangers, and each may list hundreds of paths: sets are kept sorted and
//! without a path that another one holds, so that meeting one more costs a binary search for each
//! path of it and not a comparison of each with each.

use crate::{caveat::Caveat, resource::ResourcePath};

/// Resources under any of some paths. INVARIANT: sorted, and no path is under another.
pub(super) struct Paths<'a>(Vec<&'a [String]>);

/// What a set of paths leaves of one path.
pub(super) enum Left<'a, 'b> {
    /// All of it.
    Whole,
    /// What is under these, all of them deeper; nothing if there are none.
    Under(&'b [&'a [String]]),
}

impl<'a> Paths<'a> {
    /// Every resource.
    fn all() -> Self {
        Self(vec![&[]])
    }

    /// What every condition on resources among these leaves.
    pub(super) fn left_by<'c: 'a>(caveats: impl IntoIterator<Item = &'c Caveat>) -> Self {
        let lists = caveats.into_iter().filter_map(|caveat| match caveat {
            Caveat::ResourceUnder(paths) => Some(Self::under_any(paths)),
            _ => None,
        });
        lists.fold(Self::all(), |left, list| left.meet(&list))
    }

    /// What is under any of a list. A path that is no resource's has none under it.
    fn under_any(list: &'a [Vec<String>]) -> Self {
        let real = |path: &&[String]| {
            path.is_empty() || ResourcePath::from_segments(path.iter().map(String::as_str)).is_ok()
        };
        let mut paths: Vec<&[String]> = list.iter().map(Vec::as_slice).filter(real).collect();
        paths.sort_unstable();
        // A path sorts right before what is under it, so only the last one kept can hold the next.
        paths.dedup_by(|path, kept| path.starts_with(kept));
        Self(paths)
    }

    /// What is in both.
    fn meet(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        for path in &other.0 {
            match self.of(path) {
                Left::Whole => both.push(*path),
                Left::Under(deeper) => both.extend_from_slice(deeper),
            }
        }
        Self(both)
    }

    /// What is left of what is under `path`.
    pub(super) fn of(&self, path: &[String]) -> Left<'a, '_> {
        // Of the paths up to this one only the last can hold it: any other would hold that too.
        let after = self.0.partition_point(|own| *own <= path);
        let (before, after) = self.0.split_at_checked(after).unwrap_or((&self.0, &[]));
        if before.last().is_some_and(|own| path.starts_with(own)) {
            return Left::Whole;
        }
        let deeper = after.partition_point(|own| own.starts_with(path));
        Left::Under(after.get(..deeper).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[ab.]", 0..4)
    }

    fn lists() -> impl Strategy<Value = Vec<Caveat>> {
        let list = prop::collection::vec(path(), 0..5).prop_map(Caveat::ResourceUnder);
        prop::collection::vec(list, 0..4)
    }

    fn every_resource() -> Vec<Vec<String>> {
        let longer = |paths: &[Vec<String>]| -> Vec<Vec<String>> {
            let more = |path: &Vec<String>| {
                ["a", "b"].map(|last| [path.as_slice(), &[last.to_owned()]].concat())
            };
            paths.iter().flat_map(more).collect()
        };
        let one = longer(&[Vec::new()]);
        let (two, three) = (longer(&one), longer(&longer(&one)));
        let four = longer(&three);
        [one, two, three, four].concat()
    }

    proptest! {
        #[test]
        fn a_resource_is_left_if_it_is_under_the_path_and_under_one_of_every_list(
            path in path(),
            caveats in lists(),
        ) {
            let paths = Paths::left_by(&caveats);
            let left = paths.of(&path);
            for resource in every_resource() {
                let by_lists = caveats.iter().all(|caveat| match caveat {
                    Caveat::ResourceUnder(list) => list.iter().any(|top| resource.starts_with(top)),
                    _ => true,
                });
                let said = resource.starts_with(&path) && match left {
                    Left::Whole => true,
                    Left::Under(deeper) => deeper.iter().any(|top| resource.starts_with(top)),
                };
                prop_assert_eq!(said, by_lists && resource.starts_with(&path), "{:?}", resource);
            }
        }

        #[test]
        fn what_is_left_is_sorted_deeper_and_said_once(path in path(), caveats in lists()) {
            let paths = Paths::left_by(&caveats);
            if let Left::Under(deeper) = paths.of(&path) {
                for (index, one) in deeper.iter().enumerate() {
                    prop_assert!(one.len() > path.len() && one.starts_with(&path));
                    let rest = deeper.get(index + 1..).unwrap_or_default();
                    prop_assert!(rest.iter().all(|two| one < two && !two.starts_with(one)));
                }
            }
        }
    }
}
