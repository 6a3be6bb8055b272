//! Rules: what an application demands beyond one approver's word.
//!
//! A rule is one line: what is demanded, then for what. `two-approvers access=destructive
//! resource=files/hr` demands a second approver for destructive access to anything in, above or
//! below `files/hr`; `exact-calls tool=files.delete_file` demands that the tool is granted for exact
//! calls alone, each with its arguments on the page; `passkey access=write` demands that whoever
//! approves touches a passkey. Conditions of one kind are alternatives; of different kinds, all must
//! hold.

use std::{fmt, str::FromStr};

use bailiwick_datalog::{Access, ResourcePath, ToolName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    access_request::ToolScope,
    text::visible_line,
    tool_pattern::{ToolPattern, any_matches},
};

/// Most rules of one application.
pub(crate) const MAX_RULES: usize = 64;
/// Most conditions of one rule.
const MAX_CONDITIONS: usize = 32;

/// What a rule demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Two persons approve.
    TwoApprovers,
    /// It is granted for exact calls only.
    ExactCalls,
    /// Whoever approves touches a passkey for this very approval.
    Passkey,
}

impl Demand {
    const ALL: [Self; 3] = [Self::TwoApprovers, Self::ExactCalls, Self::Passkey];

    fn word(self) -> &'static str {
        match self {
            Self::TwoApprovers => "two-approvers",
            Self::ExactCalls => "exact-calls",
            Self::Passkey => "passkey",
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Rule {
    demand: Demand,
    tools: Vec<ToolPattern>,
    access: Vec<Access>,
    resources: Vec<ResourcePath>,
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{line}` is no rule: {why}; a rule reads like `two-approvers access=destructive` or `two-approvers tool=mail.* resource=mail/board`"
)]
pub(crate) struct RuleError {
    line: String,
    why: String,
}

/// What a grant demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demands {
    pub(crate) two_approvers: bool,
    /// Tools that are to be granted for exact calls only, and are for any.
    pub(crate) exact_calls: Vec<ToolName>,
    pub(crate) passkey: bool,
}

impl Demands {
    /// What the rules demand for these tools on these resources.
    pub(crate) fn of(rules: &[Rule], scopes: &[ToolScope]) -> Self {
        let demanded = |demand: Demand| {
            let mut such = rules.iter().filter(|rule| rule.demand == demand);
            such.any(|rule| scopes.iter().any(|scope| rule.applies(scope)))
        };
        let any_call = scopes.iter().filter(|scope| scope.calls.is_empty());
        let unbound = any_call.filter(|scope| {
            let mut such = rules
                .iter()
                .filter(|rule| rule.demand == Demand::ExactCalls);
            such.any(|rule| rule.applies(scope))
        });
        Self {
            two_approvers: demanded(Demand::TwoApprovers),
            exact_calls: unbound.map(|scope| scope.name.clone()).collect(),
            passkey: demanded(Demand::Passkey),
        }
    }
}

impl Rule {
    /// True where a tool on one of its resources meets every condition. A resource meets one
    /// that it lies in, and one that lies in it: granting the whole grants the part.
    fn applies(&self, scope: &ToolScope) -> bool {
        let tool = self.tools.is_empty() || any_matches(&self.tools, &scope.name);
        let access = self.access.is_empty() || self.access.contains(&scope.access);
        let touches = |named: &ResourcePath| {
            let mut granted = scope.resources.iter();
            granted.any(|path| path.is_under(named) || named.is_under(path))
        };
        let resource = self.resources.is_empty() || self.resources.iter().any(touches);
        tool && access && resource
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(line: &str) -> Result<Self, RuleError> {
        let refuse = |why: String| RuleError {
            line: visible_line(line),
            why: visible_line(&why),
        };
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let demand = Demand::ALL
            .into_iter()
            .find(|demand| demand.word() == first);
        let mut rule = Self {
            demand: demand.ok_or_else(|| refuse(format!("`{first}` demands nothing known")))?,
            tools: Vec::new(),
            access: Vec::new(),
            resources: Vec::new(),
        };
        let mut count = 0_usize;
        for word in words {
            count = count.saturating_add(1);
            let condition = word.split_once('=');
            let (kind, value) = condition.ok_or_else(|| refuse(format!("`{word}` has no `=`")))?;
            rule.add(kind, value).map_err(refuse)?;
        }
        match count {
            0 => Err(refuse("it says not for what".to_owned())),
            n if n > MAX_CONDITIONS => {
                Err(refuse(format!("more than {MAX_CONDITIONS} conditions")))
            }
            _ => Ok(rule),
        }
    }
}

impl Rule {
    fn add(&mut self, kind: &str, value: &str) -> Result<(), String> {
        match kind {
            "tool" => self.tools.push(value.parse().map_err(text)?),
            "access" => self.access.push(value.parse().map_err(text)?),
            "resource" => self
                .resources
                .push(ResourcePath::parse(value).map_err(text)?),
            _ => return Err(format!("`{kind}` is none of tool, access and resource")),
        }
        Ok(())
    }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.demand.word())?;
        for tool in &self.tools {
            write!(f, " tool={tool}")?;
        }
        for access in &self.access {
            write!(f, " access={access}")?;
        }
        for resource in &self.resources {
            write!(f, " resource={resource}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_request::ExactCall;

    fn rule(line: &str) -> Rule {
        let rule: Rule = line.parse().unwrap();
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        rule
    }

    fn scope(tool: &str, access: Access, resource: &str) -> ToolScope {
        ToolScope {
            name: ToolName::parse(tool).unwrap(),
            access,
            resources: vec![ResourcePath::parse(resource).unwrap()],
            args: Vec::new(),
            closed_arguments: false,
            calls: Vec::new(),
        }
    }

    #[test]
    fn every_kind_of_condition_has_to_hold_and_one_of_each_is_enough() {
        let rule =
            rule("two-approvers tool=files.* access=write access=destructive resource=files/hr");
        let applies = |tool, access, path| rule.applies(&scope(tool, access, path));
        assert!(applies("files.delete", Access::Destructive, "files/hr"));
        assert!(applies("files.write", Access::Write, "files/hr/2026"));
        assert!(!applies("mail.delete", Access::Destructive, "files/hr"));
        assert!(!applies("files.read", Access::Read, "files/hr"));
        assert!(!applies("files.delete", Access::Destructive, "files/hr-2"));
    }

    #[test]
    fn granting_the_whole_grants_the_part_a_rule_is_about() {
        let rule = rule("two-approvers resource=files/hr/salaries");
        assert!(rule.applies(&scope("files.read", Access::Read, "files")));
        assert!(!rule.applies(&scope("files.read", Access::Read, "files/notes")));
    }

    #[test]
    fn demands_are_those_of_the_rules_that_apply() {
        let rules = [
            rule("two-approvers access=destructive"),
            rule("two-approvers tool=mail.send"),
            rule("passkey access=write"),
        ];
        let of = |access| Demands::of(&rules, &[scope("files.x", access, "files")]);
        assert_eq!(of(Access::Read), Demands::default());
        assert!(of(Access::Destructive).two_approvers);
        assert!(!of(Access::Write).two_approvers);
        assert!(of(Access::Write).passkey && !of(Access::Destructive).passkey);
    }

    #[test]
    fn exact_calls_are_demanded_where_any_call_would_be_granted() {
        let rules = [rule("exact-calls access=destructive resource=files/hr")];
        let of = |scope: &ToolScope| Demands::of(&rules, std::slice::from_ref(scope)).exact_calls;
        let any = scope("files.delete", Access::Destructive, "files/hr");
        assert_eq!(of(&any), std::slice::from_ref(&any.name));
        let call = ExactCall::new(&any.name, serde_json::Map::new()).unwrap();
        let exact = ToolScope {
            calls: vec![call],
            ..any
        };
        assert_eq!(of(&exact), []);
        assert_eq!(
            of(&scope("files.delete", Access::Destructive, "files/x")),
            []
        );
        assert_eq!(of(&scope("files.read", Access::Read, "files/hr")), []);
    }

    #[test]
    fn line_that_is_no_rule_is_refused() {
        let many = |count: usize| format!("two-approvers{}", " access=read".repeat(count));
        assert!(many(MAX_CONDITIONS).parse::<Rule>().is_ok());
        for bad in [
            "",
            "two-approvers",
            "three-approvers access=read",
            "two-approvers access",
            "two-approvers access=all",
            "two-approvers tool=*",
            "two-approvers resource=../x",
            "two-approvers agent=x",
            &many(MAX_CONDITIONS + 1),
        ] {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }
}
