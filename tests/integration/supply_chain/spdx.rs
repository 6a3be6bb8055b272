//! Reads SPDX licence expressions as crates write them.

/// Whether the expression can be satisfied with licences that `allowed` takes.
///
/// `OR` needs one side, `AND` both; an exception (`WITH`) belongs to its
/// licence; the old `/` separator means `OR`. Anything unreadable is `false`.
pub(super) fn is_satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let answer = any_of(&mut words, allowed);
    answer == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut answer = all_of(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        answer |= all_of(words, allowed)?;
    }
    Some(answer)
}

fn all_of(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut answer = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        answer &= one(words, allowed)?;
    }
    Some(answer)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.next()? {
        "(" => {
            let answer = any_of(words, allowed)?;
            words.next_if_eq(&")").map(|_| answer)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        licence if words.next_if_eq(&"WITH").is_some() => {
            let exception = words.next()?;
            Some(allowed(&format!("{licence} WITH {exception}")))
        }
        licence => Some(allowed(licence)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_satisfied;

    fn mit_only(expression: &str) -> bool {
        is_satisfied(expression, &|licence| licence == "MIT")
    }

    #[test]
    fn one_side_of_or_is_enough() {
        assert!(mit_only("GPL-3.0 OR MIT"));
        assert!(mit_only("MIT/Apache-2.0"));
        assert!(!mit_only("GPL-3.0 OR Apache-2.0"));
    }

    #[test]
    fn both_sides_of_and_are_needed() {
        assert!(!mit_only("MIT AND Unicode-3.0"));
        assert!(!mit_only("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(mit_only("(MIT OR Apache-2.0) AND MIT"));
    }

    #[test]
    fn licence_with_an_exception_is_another_licence() {
        assert!(!mit_only("MIT WITH LLVM-exception"));
        assert!(mit_only("Apache-2.0 WITH LLVM-exception OR MIT"));
    }

    #[test]
    fn unreadable_expression_is_refused() {
        for expression in ["", "MIT OR", "MIT MIT", "(MIT", "MIT)", "OR MIT"] {
            assert!(!mit_only(expression), "{expression:?}");
        }
    }
}
