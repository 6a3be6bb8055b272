//! Ceilings: what one approver may grant at most, below what their role allows.
//!
//! The law of this module: **what is granted never exceeds the ceiling of whoever grants it**.
//! It is checked on what would be minted, inside the change that approves it.

use std::{fmt, time::Duration};

use bailiwick_datalog::{Access, ResourcePath, ToolName};
use serde::{Deserialize, Serialize};

use crate::{
    access_request::ToolScope,
    duration_text,
    narrowing::Granted,
    tool_pattern::{ToolPattern, any_matches},
};

/// What is not named is not limited; an empty list allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ceiling {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<Vec<ToolPattern>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Vec<Access>>,
    /// Each stands for itself and everything below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<Vec<ResourcePath>>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) longest_session: Option<u64>,
}

/// One thing that is beyond a ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// The tool is none of those that may be granted.
    Tool(ToolName),
    /// The tool's access level is none of those.
    Access {
        /// The tool.
        tool: ToolName,
        /// Its access.
        access: Access,
    },
    /// The resource is below none of those.
    Resource {
        /// The tool.
        tool: ToolName,
        /// The resource.
        resource: ResourcePath,
    },
    /// The session would be too long.
    Time {
        /// The longest that may be granted.
        longest: Duration,
    },
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(tool) => write!(f, "the tool `{tool}`"),
            Self::Access { tool, access } => write!(f, "`{access}` access of `{tool}`"),
            Self::Resource { tool, resource } => write!(f, "`{tool}` on `{resource}`"),
            Self::Time { longest } => {
                write!(f, "more than {}", duration_text::in_words(*longest))
            }
        }
    }
}

impl Ceiling {
    /// True when nothing is limited.
    pub(crate) fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// The longest session, if there is one.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.longest_session.map(Duration::from_secs)
    }

    /// Everything in a grant that is beyond the ceiling; nothing when it is within.
    pub(crate) fn beyond(&self, granted: &Granted) -> Vec<Beyond> {
        let mut beyond = Vec::new();
        for scope in &granted.tools {
            match self.tool_beyond(&scope.name, scope.access) {
                Some(one) => beyond.push(one),
                None => beyond.extend(self.resources_beyond(scope)),
            }
        }
        if let Some(longest) = self.longest()
            && granted.duration > longest
        {
            beyond.push(Beyond::Time { longest });
        }
        beyond
    }

    /// Whether a tool is beyond the ceiling on whatever resource.
    pub(crate) fn tool_beyond(&self, tool: &ToolName, access: Access) -> Option<Beyond> {
        if let Some(tools) = &self.tools
            && !any_matches(tools, tool)
        {
            return Some(Beyond::Tool(tool.clone()));
        }
        let levels = self.access.as_ref()?;
        let tool = tool.clone();
        (!levels.contains(&access)).then_some(Beyond::Access { tool, access })
    }

    /// Whether a resource may be granted as it is.
    pub(crate) fn covers(&self, resource: &ResourcePath) -> bool {
        let tops = self.resources.as_ref();
        tops.is_none_or(|tops| tops.iter().any(|top| resource.is_under(top)))
    }

    /// The parts of a resource that may be granted where the whole may not.
    pub(crate) fn parts_within(&self, resource: &ResourcePath) -> Vec<&ResourcePath> {
        let tops = self.resources.iter().flatten();
        tops.filter(|top| top.is_under(resource)).collect()
    }

    fn resources_beyond(&self, scope: &ToolScope) -> Vec<Beyond> {
        let outside = scope.resources.iter().filter(|path| !self.covers(path));
        outside
            .map(|resource| Beyond::Resource {
                tool: scope.name.clone(),
                resource: resource.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ResourcePath {
        ResourcePath::parse(text).unwrap()
    }

    fn granted(tool: &str, access: Access, resources: &[&str], seconds: u64) -> Granted {
        Granted {
            duration: Duration::from_secs(seconds),
            tools: vec![ToolScope {
                name: ToolName::parse(tool).unwrap(),
                access,
                resources: resources.iter().map(|text| path(text)).collect(),
                args: Vec::new(),
                closed_arguments: false,
                calls: Vec::new(),
            }],
        }
    }

    fn ceiling() -> Ceiling {
        Ceiling {
            tools: Some(vec!["files.*".parse().unwrap()]),
            access: Some(vec![Access::Read]),
            resources: Some(vec![path("files/reports")]),
            longest_session: Some(600),
        }
    }

    #[test]
    fn without_a_ceiling_nothing_is_beyond() {
        let all = granted("mail.send", Access::Destructive, &["mail"], 1_000_000);
        assert_eq!(Ceiling::default().beyond(&all), []);
        assert!(Ceiling::default().is_unlimited() && !ceiling().is_unlimited());
    }

    #[test]
    fn each_edge_is_within_and_one_step_further_is_beyond() {
        let edge = granted("files.read", Access::Read, &["files/reports"], 600);
        assert_eq!(ceiling().beyond(&edge), []);
        let name = |text| ToolName::parse(text).unwrap();
        for (grant, expected) in [
            (
                granted("mail.read", Access::Read, &["files/reports"], 600),
                Beyond::Tool(name("mail.read")),
            ),
            (
                granted("files.read", Access::Write, &["files/reports"], 600),
                Beyond::Access {
                    tool: name("files.read"),
                    access: Access::Write,
                },
            ),
            (
                granted("files.read", Access::Read, &["files"], 600),
                Beyond::Resource {
                    tool: name("files.read"),
                    resource: path("files"),
                },
            ),
            (
                granted("files.read", Access::Read, &["files/reports-2"], 600),
                Beyond::Resource {
                    tool: name("files.read"),
                    resource: path("files/reports-2"),
                },
            ),
            (
                granted("files.read", Access::Read, &["files/reports"], 601),
                Beyond::Time {
                    longest: Duration::from_secs(600),
                },
            ),
        ] {
            assert_eq!(ceiling().beyond(&grant), [expected]);
        }
    }

    #[test]
    fn empty_list_allows_nothing() {
        let grant = granted("files.read", Access::Read, &["files"], 1);
        for ceiling in [
            Ceiling {
                tools: Some(Vec::new()),
                ..Ceiling::default()
            },
            Ceiling {
                access: Some(Vec::new()),
                ..Ceiling::default()
            },
            Ceiling {
                resources: Some(Vec::new()),
                ..Ceiling::default()
            },
            Ceiling {
                longest_session: Some(0),
                ..Ceiling::default()
            },
        ] {
            assert_eq!(ceiling.beyond(&grant).len(), 1, "{ceiling:?}");
        }
    }

    #[test]
    fn stored_ceiling_is_read_back_and_an_unknown_member_is_refused() {
        let text = serde_json::to_string(&ceiling()).unwrap();
        assert_eq!(serde_json::from_str::<Ceiling>(&text).unwrap(), ceiling());
        assert!(serde_json::from_str::<Ceiling>(r#"{"tool":[]}"#).is_err());
    }
}
