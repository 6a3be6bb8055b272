//! What the pages show of people and applications.

use super::{StateView, clock_time};
use crate::{
    applications::Staffed,
    duration_text,
    passkeys::Listed,
    people::{Ceiling, Roles},
    store::{Account, Delegation, Passkey},
    web::limits_form::{NO_ACCESS, NOTHING},
};

/// An account in the list or in full.
#[derive(Debug)]
pub(crate) struct AccountView {
    pub(crate) user_name: String,
    pub(crate) roles: Roles,
    /// The roles in words.
    pub(crate) roles_words: String,
    pub(crate) state: StateView,
    pub(crate) disabled: bool,
    pub(crate) created_at: String,
    /// How many browsers are signed in.
    pub(crate) browsers: i64,
    /// The applications it decides for.
    pub(crate) applications: Vec<String>,
    pub(crate) ceiling: CeilingView,
    /// The path of its page.
    pub(crate) path: String,
}

impl AccountView {
    pub(crate) fn of(account: &Account, browsers: i64, applications: Vec<String>) -> Self {
        let state = match (account.disabled_at, &account.password_hash) {
            (Some(_), _) => StateView {
                word: "disabled",
                class: "state-over",
            },
            (None, None) => StateView {
                word: "invited",
                class: "state-waiting",
            },
            (None, Some(_)) => StateView {
                word: "active",
                class: "state-live",
            },
        };
        Self {
            user_name: account.user_name.to_string(),
            roles: account.roles,
            roles_words: account.roles.words().join(", "),
            state,
            disabled: account.disabled_at.is_some(),
            created_at: clock_time(account.created_at),
            browsers,
            applications,
            ceiling: CeilingView::of(&account.ceiling),
            path: account_path(account.user_name.as_str()),
        }
    }
}

/// A ceiling as a form shows it: what is not limited is empty.
#[derive(Debug)]
pub(crate) struct CeilingView {
    pub(crate) is_unlimited: bool,
    pub(crate) tools: Vec<String>,
    pub(crate) access: Vec<&'static str>,
    pub(crate) resources: Vec<String>,
    pub(crate) longest: String,
}

impl CeilingView {
    fn of(ceiling: &Ceiling) -> Self {
        let access = ceiling.access.as_deref().map(|levels| {
            let levels: Vec<&'static str> = levels.iter().map(|level| level.as_str()).collect();
            if levels.is_empty() {
                vec![NO_ACCESS]
            } else {
                levels
            }
        });
        Self {
            is_unlimited: ceiling.is_unlimited(),
            tools: in_lines(ceiling.tools.as_deref()),
            access: access.unwrap_or_default(),
            resources: in_lines(ceiling.resources.as_deref()),
            longest: ceiling
                .longest()
                .map(duration_text::format)
                .unwrap_or_default(),
        }
    }

    /// Whether the box of an access level is ticked.
    pub(crate) fn has_access(&self, level: &str) -> bool {
        self.access.contains(&level)
    }
}

/// An application in the list or in full.
#[derive(Debug)]
pub(crate) struct ApplicationView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) default_duration: String,
    pub(crate) max_duration: String,
    pub(crate) max_depth: u32,
    /// Empty: every tool.
    pub(crate) tools: Vec<String>,
    pub(crate) rules: Vec<String>,
    pub(crate) client_id: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) approvers: Vec<String>,
}

impl ApplicationView {
    pub(crate) fn of(staffed: &Staffed) -> Self {
        let application = &staffed.application;
        Self {
            id: application.id.to_string(),
            name: application.name.clone(),
            default_duration: duration_text::format(application.default_duration),
            max_duration: duration_text::format(application.max_duration),
            max_depth: application.max_depth,
            tools: in_lines(application.allowed_tools.as_deref()),
            rules: application.rules.iter().map(ToString::to_string).collect(),
            client_id: staffed.client.id.clone(),
            redirect_uris: staffed.client.redirect_uris.clone(),
            approvers: staffed.approvers.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Somebody who stands in, as one of the two reads it.
#[derive(Debug)]
pub(crate) struct DelegationView {
    pub(crate) id: String,
    pub(crate) sentence: String,
    /// The reader gave it, and may end it; otherwise they are the one who stands in.
    pub(crate) given: bool,
    /// The one who is to stand in has not answered yet.
    pub(crate) unanswered: bool,
}

impl DelegationView {
    pub(crate) fn of(delegation: &Delegation, account: &Account) -> Self {
        let Delegation { from, to, .. } = delegation;
        let given = from == account.user_name.as_str();
        let (start, end) = (
            clock_time(delegation.starts_at),
            clock_time(delegation.ends_at),
        );
        let when = format!("from {start} until {end}");
        let sentence = match (given, delegation.accepted) {
            (true, true) => format!("{to} decides for you {when}."),
            (true, false) => format!("{to} is asked to decide for you {when}."),
            (false, true) => format!("You decide for {from} {when}."),
            (false, false) => format!("{from} asks you to decide for them {when}."),
        };
        Self {
            id: delegation.id.clone(),
            sentence,
            given,
            unanswered: !delegation.accepted,
        }
    }
}

/// The passkeys of an account, as those who manage accounts see them.
#[derive(Debug)]
pub(crate) struct PasskeysView {
    pub(crate) all: Vec<PasskeyView>,
    /// Until when a first one may be added.
    pub(crate) first_until: Option<String>,
}

impl PasskeysView {
    pub(crate) fn of(listed: &Listed) -> Self {
        Self {
            all: listed.passkeys.iter().map(PasskeyView::of).collect(),
            first_until: listed.first_until.map(clock_time),
        }
    }
}

/// A passkey on a page.
#[derive(Debug)]
pub(crate) struct PasskeyView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) added_at: String,
    pub(crate) last_used_at: Option<String>,
}

impl PasskeyView {
    pub(crate) fn of(passkey: &Passkey) -> Self {
        Self {
            id: passkey.id.clone(),
            name: passkey.name.clone(),
            added_at: clock_time(passkey.created_at),
            last_used_at: passkey.last_used_at.map(clock_time),
        }
    }
}

/// A list as a form shows it: no line where nothing is limited, one that says so where nothing is
/// allowed.
fn in_lines<T: ToString>(list: Option<&[T]>) -> Vec<String> {
    match list {
        None => Vec::new(),
        Some([]) => vec![NOTHING.to_owned()],
        Some(list) => list.iter().map(ToString::to_string).collect(),
    }
}

/// The path of an account's page: names hold `@` and `+`, which mean something in addresses.
pub(crate) fn account_path(user_name: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(user_name.as_bytes()).collect();
    format!("/accounts/{encoded}")
}
