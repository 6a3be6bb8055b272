//! What a decision costs, counted before it is made (profile rule 22).
//!
//! A *step* is the comparison of two short values; of long texts, one step for every
//! [`BYTES_PER_STEP`] bytes. The count is an upper bound: it takes every comparison as made and
//! every text as equal up to its last byte.

use super::{Refused, caveats, weight};
use crate::{
    call::{ArgumentValue, Call, MAX_RESOURCES},
    caveat::{ArgumentConstraint, ArgumentRule, Caveat, HostRule, Scalar, UrlRule},
    chain::Chain,
    limits::{MAX_ARGUMENTS, MAX_COMPARISONS},
};

/// Two values of this many bytes are compared about as fast as two integers.
const BYTES_PER_STEP: usize = 64;
/// Looking up an argument compares its name with so many others, of [`MAX_ARGUMENTS`] in order.
const LOOK_UP: usize = 11;

/// How many steps a chain asks for, as far as it is known without a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Costs {
    /// Whatever the call.
    once: usize,
    /// For each resource.
    resource: usize,
    /// For each argument: names in all closed worlds.
    argument: usize,
    /// Conditions on a list: the argument, and the steps for each of its items.
    lists: Vec<(String, usize)>,
}

impl Costs {
    pub(super) fn of(chain: &Chain) -> Self {
        let limits = chain.authority().limits.iter().map(|limit| &limit.caveat);
        limits
            .chain(caveats(chain).map(|(_, caveat)| caveat))
            .fold(Self::default(), Self::plus)
    }

    fn plus(mut self, caveat: &Caveat) -> Self {
        let once = match caveat {
            Caveat::Expiry { .. } | Caveat::Depth(_) => 1,
            Caveat::Audience(audience) => text_steps(audience),
            Caveat::Tools(names) | Caveat::Access(names) => texts_steps(names),
            // A digest is shorter than what one step compares.
            Caveat::ExactCalls(calls) => calls.len(),
            Caveat::ResourceUnder(paths) => {
                let steps = sum(paths.iter().map(|path| texts_steps(path)));
                self.resource = self.resource.saturating_add(steps);
                0
            }
            Caveat::ClosedWorld(names) => {
                self.argument = self.argument.saturating_add(texts_steps(names));
                0
            }
            Caveat::Argument(ArgumentConstraint { name, rule, .. }) => {
                if let Some(values) = list(rule) {
                    let steps = sum(values.iter().map(scalar_steps));
                    self.lists.push((name.clone(), steps));
                }
                let long = name.len().checked_div(BYTES_PER_STEP).unwrap_or(0);
                rule_steps(rule).saturating_add(long.saturating_mul(LOOK_UP))
            }
        };
        self.once = self.once.saturating_add(once);
        self
    }

    pub(super) fn weight(&self) -> usize {
        let lists = self.lists.iter().map(|(name, _)| weight::text(name));
        sum(lists)
    }

    /// Steps that a decision on `call` may take.
    fn steps(&self, call: &Call) -> usize {
        let lists = self
            .lists
            .iter()
            .map(|(name, steps)| match call.arguments.get(name) {
                Some(ArgumentValue::Array(items)) => steps.saturating_mul(items.len()),
                _ => *steps,
            });
        sum(lists.chain([
            self.once,
            self.resource.saturating_mul(call.resources.len()),
            self.argument.saturating_mul(call.arguments.len()),
        ]))
    }

    /// Refuses a call that asks for too much, before anything is compared.
    pub(super) fn check(&self, call: &Call) -> Result<(), Refused<'static>> {
        let bound = |what, count, limit| match count > limit {
            true => Err(Refused::LimitExceeded { what, count, limit }),
            false => Ok(()),
        };
        bound("resources of one call", call.resources.len(), MAX_RESOURCES)?;
        bound("arguments of one call", call.arguments.len(), MAX_ARGUMENTS)?;
        bound("comparisons", self.steps(call), MAX_COMPARISONS)
    }
}

/// The values that each item of a list argument is compared with.
fn list(rule: &ArgumentRule) -> Option<&[Scalar]> {
    match rule {
        ArgumentRule::Subset(values)
        | ArgumentRule::AnyOf(values)
        | ArgumentRule::AllOf(values) => Some(values),
        _ => None,
    }
}

/// Steps that a rule takes whatever the argument; none for the rules on lists.
fn rule_steps(rule: &ArgumentRule) -> usize {
    match rule {
        ArgumentRule::Subset(_) | ArgumentRule::AnyOf(_) | ArgumentRule::AllOf(_) => 0,
        ArgumentRule::Range { .. }
        | ArgumentRule::MaxLength(_)
        | ArgumentRule::Present
        | ArgumentRule::Absent => 1,
        ArgumentRule::Exact(value) => scalar_steps(value),
        ArgumentRule::OneOf(values) => sum(values.iter().map(scalar_steps)),
        ArgumentRule::Prefix(affix) | ArgumentRule::Suffix(affix) => text_steps(affix),
        ArgumentRule::PathUnder(path) => texts_steps(path),
        ArgumentRule::Url(rule) => url_steps(rule),
    }
}

fn url_steps(rule: &UrlRule) -> usize {
    let host = rule.host.as_ref().map(|host| match host {
        HostRule::Exact(host) | HostRule::Under(host) => host,
    });
    let parts = [rule.scheme.as_ref(), host, rule.path_prefix.as_ref()];
    let parts = parts.into_iter().flatten().map(|part| text_steps(part));
    sum(parts.chain([1]))
}

fn scalar_steps(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::String(text) => text_steps(text),
        Scalar::Integer(_) | Scalar::Boolean(_) => 1,
    }
}

/// At least one, for a list that is empty is looked at all the same.
fn texts_steps(texts: &[String]) -> usize {
    sum(texts.iter().map(|text| text_steps(text))).max(1)
}

fn text_steps(text: &str) -> usize {
    let long = text.len().checked_div(BYTES_PER_STEP).unwrap_or(0);
    long.saturating_add(1)
}

fn sum(steps: impl Iterator<Item = usize>) -> usize {
    steps.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{
        name::{Access, ToolName},
        resource::ResourcePath,
    };

    fn call(resources: &[&str], args: Value) -> Call {
        let args = args.as_object().cloned().unwrap_or_default();
        let paths = resources
            .iter()
            .map(|text| ResourcePath::parse(text).unwrap());
        let tool = ToolName::parse("files.read_file").unwrap();
        Call::new(tool, Access::Read, paths.collect(), &args)
    }

    fn on(name: &str, rule: ArgumentRule) -> Caveat {
        Caveat::Argument(ArgumentConstraint {
            name: name.to_owned(),
            rule,
            optional: false,
        })
    }

    fn steps(caveat: &Caveat, call: &Call) -> usize {
        Costs::default().plus(caveat).steps(call)
    }

    fn long(bytes: usize) -> String {
        "a".repeat(bytes)
    }

    #[test]
    fn texts_are_charged_by_their_length() {
        for (bytes, expected) in [(0, 1), (63, 1), (64, 2), (127, 2), (128, 3)] {
            assert_eq!(text_steps(&long(bytes)), expected, "{bytes}");
        }
        let url = UrlRule {
            host: Some(HostRule::Under(long(64))),
            ..UrlRule::default()
        };
        let call = call(&["a"], json!({}));
        for (rule, expected) in [
            (ArgumentRule::Exact(Scalar::String(long(64))), 2),
            (ArgumentRule::Exact(Scalar::Integer(7)), 1),
            (
                ArgumentRule::OneOf(vec![Scalar::String(long(64)), 1.into()]),
                3,
            ),
            (ArgumentRule::Prefix(long(128)), 3),
            (ArgumentRule::Suffix(long(128)), 3),
            (ArgumentRule::PathUnder(vec![long(1), long(64)]), 3),
            (ArgumentRule::Url(url), 3),
            (ArgumentRule::Present, 1),
            (ArgumentRule::MaxLength(3), 1),
        ] {
            assert_eq!(steps(&on("n", rule.clone()), &call), expected, "{rule:?}");
        }
        let long_name = on(&long(64), ArgumentRule::Present);
        assert_eq!(steps(&long_name, &call), 1 + LOOK_UP);
        for (caveat, expected) in [
            (Caveat::Tools(vec![long(1), long(64)]), 3),
            (Caveat::Access(vec![long(64)]), 2),
            (Caveat::Audience(long(64)), 2),
            (Caveat::Depth(3), 1),
        ] {
            assert_eq!(steps(&caveat, &call), expected, "{caveat:?}");
        }
    }

    #[test]
    fn values_are_charged_for_all_that_they_are_compared_with() {
        let values = || vec![Scalar::String(long(64)), Scalar::Integer(1)];
        let three = call(&["a", "b"], json!({"n": [1, 2, 3], "m": 1}));
        let none = call(&["a"], json!({"m": 1}));
        for rule in [
            ArgumentRule::Subset(values()),
            ArgumentRule::AnyOf(values()),
            ArgumentRule::AllOf(values()),
        ] {
            assert_eq!(steps(&on("n", rule.clone()), &three), 9, "{rule:?}");
            assert_eq!(steps(&on("n", rule.clone()), &none), 3, "{rule:?}");
        }
        let closed = Caveat::ClosedWorld(vec!["m".to_owned(), long(64)]);
        assert_eq!((steps(&closed, &three), steps(&closed, &none)), (6, 3));
        let under = Caveat::ResourceUnder(vec![vec![long(64), long(1)], vec![long(1)]]);
        assert_eq!((steps(&under, &three), steps(&under, &none)), (8, 4));
    }

    #[test]
    fn most_comparisons_pass_and_one_more_is_refused() {
        let value = vec![Scalar::Integer(1); 1_000];
        let costs = Costs::default().plus(&on("n", ArgumentRule::Subset(value)));
        let allowed = call(&["a"], json!({"n": vec![1; MAX_COMPARISONS / 1_000]}));
        assert_eq!(costs.check(&allowed), Ok(()));
        let costs = costs.plus(&Caveat::Depth(3));
        assert_eq!(
            costs.check(&allowed),
            Err(Refused::LimitExceeded {
                what: "comparisons",
                count: MAX_COMPARISONS + 1,
                limit: MAX_COMPARISONS
            })
        );
    }

    /// Bytes compared if every pair of equal length differs in its last byte, and pairs compared.
    fn work<'a>(left: &[&'a str], right: &[&'a str]) -> usize {
        let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
        let cost = |(l, r): (&&str, &&str)| match l.len() == r.len() {
            true => 1 + l.len() / BYTES_PER_STEP,
            false => 1,
        };
        pairs.map(cost).sum()
    }

    fn borrowed(texts: &[String]) -> Vec<&str> {
        texts.iter().map(String::as_str).collect()
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        let word = prop_oneof![
            "[ab]{1,3}",
            (1..4_usize).prop_map(|n| long(n * BYTES_PER_STEP))
        ];
        proptest::collection::vec(word, 1..12)
    }

    proptest! {
        #[test]
        fn no_condition_compares_more_than_it_is_charged_for(values in words(), items in words()) {
            let (left, right) = (borrowed(&values), borrowed(&items));
            let most = work(&left, &right);
            let scalars = || left.iter().map(|text| Scalar::from(*text)).collect();
            let list = call(&["a"], json!({"n": items}));
            let rules = [
                ArgumentRule::Subset(scalars()),
                ArgumentRule::AnyOf(scalars()),
                ArgumentRule::AllOf(scalars()),
            ];
            for rule in rules {
                prop_assert!(steps(&on("n", rule), &list) >= most);
            }
            let paths = left.iter().map(|text| vec![(*text).to_owned()]);
            let under = Caveat::ResourceUnder(paths.collect());
            let on_resources = call(&right, Value::Null);
            prop_assert!(steps(&under, &on_resources) >= most);
            let named: Map<String, Value> = items.iter().map(|i| (i.clone(), json!(1))).collect();
            let names: Vec<&str> = named.keys().map(String::as_str).collect();
            let most = work(&left, &names);
            let closed = Caveat::ClosedWorld(values.clone());
            let named = call(&["a"], Value::Object(named.clone()));
            prop_assert!(steps(&closed, &named) >= most);
        }
    }
}
