//! Caveats in plain words, for agents, approvers and auditors.

use super::{ArgumentConstraint, ArgumentRule, Caveat, HostRule, Scalar, UrlRule};
use crate::{authority::ProfileError, words::visible};

/// How many entries of a list a refusal names.
const MOST_NAMED: usize = 20;

impl Caveat {
    /// As [`Caveat::in_words`], naming the first twenty of a longer list: for refusals, which must
    /// not cost what a hostile list can hold.
    pub fn in_brief(&self) -> String {
        match self.shortened() {
            None => self.in_words(),
            Some((short, left)) => format!("{} (and {left} more)", short.in_words()),
        }
    }

    /// The caveat with the head of its list, and how many entries that leaves out, if it does.
    fn shortened(&self) -> Option<(Self, usize)> {
        fn head<T: Clone>(all: &[T]) -> Option<(Vec<T>, usize)> {
            let (named, left) = all.split_at_checked(MOST_NAMED)?;
            (!left.is_empty()).then(|| (named.to_vec(), left.len()))
        }
        let argument = |constraint: &ArgumentConstraint, rule| {
            Self::Argument(ArgumentConstraint {
                name: constraint.name.clone(),
                rule,
                optional: constraint.optional,
            })
        };
        match self {
            Self::Tools(names) => head(names).map(|(head, left)| (Self::Tools(head), left)),
            Self::Access(words) => head(words).map(|(head, left)| (Self::Access(head), left)),
            Self::ClosedWorld(names) => {
                head(names).map(|(head, left)| (Self::ClosedWorld(head), left))
            }
            Self::ResourceUnder(paths) => {
                head(paths).map(|(head, left)| (Self::ResourceUnder(head), left))
            }
            Self::Argument(constraint) => {
                let (values, rule): (_, fn(Vec<Scalar>) -> ArgumentRule) = match &constraint.rule {
                    ArgumentRule::OneOf(values) => (values, ArgumentRule::OneOf),
                    ArgumentRule::Subset(values) => (values, ArgumentRule::Subset),
                    ArgumentRule::AnyOf(values) => (values, ArgumentRule::AnyOf),
                    ArgumentRule::AllOf(values) => (values, ArgumentRule::AllOf),
                    _ => return None,
                };
                head(values).map(|(head, left)| (argument(constraint, rule(head)), left))
            }
            Self::Expiry { .. } | Self::Depth(_) | Self::Audience(_) | Self::ExactCalls(_) => None,
        }
    }

    /// The caveat as the end of "the call …", such as "must be on a resource under `files/a`".
    /// Text from the token is shown with control and format characters escaped.
    pub fn in_words(&self) -> String {
        match self {
            Self::Expiry {
                at,
                inclusive: true,
            } => format!("must be made no later than {at}"),
            Self::Expiry {
                at,
                inclusive: false,
            } => format!("must be made before {at}"),
            Self::Tools(names) => {
                format!("must be of {}", list("the tool", "one of the tools", names))
            }
            Self::Access(words) => {
                format!(
                    "must have {}",
                    list("the access", "one of the accesses", words)
                )
            }
            Self::ResourceUnder(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.join("/")).collect();
                format!("must be on a resource under {}", quoted(&paths, "or"))
            }
            Self::Depth(most) => format!("must come through at most {most} delegations"),
            Self::Audience(audience) => format!("must be for `{}`", visible(audience)),
            Self::Argument(constraint) => constraint.in_words(),
            Self::ClosedWorld(names) if names.is_empty() => "must have no argument".to_owned(),
            Self::ClosedWorld(names) => {
                format!("must have no argument other than {}", quoted(names, "and"))
            }
            Self::ExactCalls(calls) if calls.len() == 1 => {
                "must be the one call that was approved with its arguments, made once".to_owned()
            }
            Self::ExactCalls(calls) => format!(
                "must be one of the {} calls that were approved with their arguments, each made \
                 once",
                calls.len()
            ),
        }
    }

    /// A caveat with no form in the profile can be built by hand; it is refused before writing.
    pub(crate) fn check_form(&self) -> Result<(), ProfileError> {
        let formless = |what: &str| Err(ProfileError::CaveatWithoutForm(what.to_owned()));
        match self {
            Self::ResourceUnder(paths) if paths.is_empty() => formless("a resource under nothing"),
            Self::ExactCalls(calls) if calls.is_empty() => formless("a list of no exact calls"),
            Self::Argument(ArgumentConstraint { rule, optional, .. }) => match rule {
                ArgumentRule::Range {
                    min: None,
                    max: None,
                } => formless("a range without bounds"),
                ArgumentRule::Url(rule) if *rule == UrlRule::default() => {
                    formless("a URL rule without parts")
                }
                ArgumentRule::Url(UrlRule {
                    host: Some(HostRule::Under(suffix)),
                    ..
                }) if !suffix.starts_with('.') => {
                    formless("a host suffix that does not start with a dot")
                }
                ArgumentRule::Present
                | ArgumentRule::Absent
                | ArgumentRule::PathUnder(_)
                | ArgumentRule::Url(_)
                    if *optional =>
                {
                    formless("an optional present, absent, path or URL rule")
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl ArgumentConstraint {
    /// The constraint as the end of "the call …".
    pub fn in_words(&self) -> String {
        let name = visible(&self.name);
        let given = if self.optional { ", if given," } else { "" };
        let must = |what: String| format!("must have an argument `{name}` that{given} {what}");
        match &self.rule {
            ArgumentRule::Exact(value) => must(format!("is {}", value.in_words())),
            ArgumentRule::OneOf(values) => must(format!("is {}", scalars(values))),
            ArgumentRule::Range {
                min: Some(min),
                max: Some(max),
            } => must(format!("is an integer from {min} to {max}")),
            ArgumentRule::Range {
                min: Some(min),
                max: None,
            } => must(format!("is an integer of at least {min}")),
            ArgumentRule::Range {
                min: None,
                max: Some(max),
            } => must(format!("is an integer of at most {max}")),
            ArgumentRule::Range {
                min: None,
                max: None,
            } => must("is an integer".to_owned()),
            ArgumentRule::Prefix(text) => must(format!("starts with `{}`", visible(text))),
            ArgumentRule::Suffix(text) => must(format!("ends with `{}`", visible(text))),
            ArgumentRule::Subset(values) => must(format!("lists only {}", scalars(values))),
            ArgumentRule::AnyOf(values) => {
                must(format!("lists at least one of {}", scalars(values)))
            }
            ArgumentRule::AllOf(values) => must(format!("lists all of {}", scalars(values))),
            ArgumentRule::MaxLength(most) => must(format!("lists at most {most} items")),
            ArgumentRule::Present => format!("must have an argument `{name}`"),
            ArgumentRule::Absent => format!("must not have an argument `{name}`"),
            ArgumentRule::PathUnder(path) => {
                must(format!("is a path under `{}`", visible(&path.join("/"))))
            }
            ArgumentRule::Url(rule) => must(format!("is a URL with {}", rule.in_words())),
        }
    }
}

impl UrlRule {
    fn in_words(&self) -> String {
        let host = self.host.as_ref().map(|host| match host {
            HostRule::Exact(host) => format!("host `{}`", visible(host)),
            HostRule::Under(suffix) => format!("a host that ends with `{}`", visible(suffix)),
        });
        let parts = [
            self.scheme
                .as_ref()
                .map(|scheme| format!("scheme `{}`", visible(scheme))),
            host,
            self.port.map(|port| format!("port {port}")),
            self.path_prefix
                .as_ref()
                .map(|path| format!("a path that starts with `{}`", visible(path))),
        ];
        parts
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" and ")
    }
}

impl Scalar {
    fn in_words(&self) -> String {
        match self {
            Self::String(text) => format!("`{}`", visible(text)),
            Self::Integer(integer) => integer.to_string(),
            Self::Boolean(boolean) => boolean.to_string(),
        }
    }
}

fn scalars(values: &[Scalar]) -> String {
    joined(values.iter().map(Scalar::in_words), "or")
}

fn list(singular: &str, plural: &str, words: &[String]) -> String {
    match words {
        [word] => format!("{singular} `{}`", visible(word)),
        words => format!("{plural} {}", quoted(words, "or")),
    }
}

fn quoted(texts: &[String], last: &str) -> String {
    joined(
        texts.iter().map(|text| format!("`{}`", visible(text))),
        last,
    )
}

fn joined(texts: impl Iterator<Item = String>, last: &str) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_twenty_of_a_list_and_counts_the_rest() {
        let names = |count| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
        let scalars = |count| (0..count).map(Scalar::Integer).collect::<Vec<_>>();
        let argument = |rule| {
            Caveat::Argument(ArgumentConstraint {
                name: "a".to_owned(),
                rule,
                optional: true,
            })
        };
        let of: [&dyn Fn(u8) -> Caveat; 8] = [
            &|count| Caveat::Tools(names(count)),
            &|count| Caveat::Access(names(count)),
            &|count| Caveat::ClosedWorld(names(count)),
            &|count| Caveat::ResourceUnder(names(count).into_iter().map(|n| vec![n]).collect()),
            &|count| argument(ArgumentRule::OneOf(scalars(count.into()))),
            &|count| argument(ArgumentRule::Subset(scalars(count.into()))),
            &|count| argument(ArgumentRule::AnyOf(scalars(count.into()))),
            &|count| argument(ArgumentRule::AllOf(scalars(count.into()))),
        ];
        for of in of {
            assert_eq!(of(20).in_brief(), of(20).in_words());
            let words = format!("{} (and 1 more)", of(20).in_words());
            assert_eq!(of(21).in_brief(), words);
        }
        assert_eq!(Caveat::Depth(3).in_brief(), Caveat::Depth(3).in_words());
    }
}
