//! Which sessions an address asks for, and the addresses of the pages of a list.

use bailiwick_datalog::{AgentName, ApplicationId};
use serde::Deserialize;
use url::form_urlencoded;

use super::failure::{Failure, Fault};
use crate::store::{Place, SessionFilter, Standing};

/// Most sessions on one page of a list.
const MOST: usize = 200;
/// As many as there are unless the address says otherwise.
const USUAL: usize = 50;

/// The query of an address, each part as sent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionQuery {
    state: Option<String>,
    agent: Option<String>,
    application: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) filter: SessionFilter,
    pub(super) after: Option<Place>,
    pub(super) most: usize,
}

impl SessionQuery {
    /// Reads the query. An empty part is one that is not there: forms send those.
    ///
    /// # Errors
    /// [`Fault::MalformedAddress`] for the first part that cannot be read.
    pub(super) fn read(self) -> Result<Wanted, Failure> {
        let standing = match given(self.state).as_deref() {
            None | Some("any") => Standing::Any,
            Some("live") => Standing::Live,
            Some("over") => Standing::Over,
            Some(_) => return Err(unreadable("`state` is `live`, `over` or `any`")),
        };
        let agent = given(self.agent).map(AgentName::parse).transpose();
        let application = given(self.application)
            .map(ApplicationId::parse)
            .transpose();
        let after = given(self.after).map(|text| {
            let place = Place::parse(&text);
            place.ok_or_else(|| unreadable("`after` is not what a list gave as `next`"))
        });
        let most = given(self.limit).map(|text| {
            let most = text.parse().ok().filter(|most| (1..=MOST).contains(most));
            most.ok_or_else(|| unreadable("`limit` is a number from 1 to 200"))
        });
        Ok(Wanted {
            filter: SessionFilter {
                standing,
                agent: agent.map_err(|_| unreadable("`agent` is not an agent's name"))?,
                application: application
                    .map_err(|_| unreadable("`application` is not an application's id"))?,
            },
            after: after.transpose()?,
            most: most.transpose()?.unwrap_or(USUAL),
        })
    }
}

/// The path and query of the page of these sessions, from `after` on.
pub(super) fn address(filter: &SessionFilter, after: Option<&Place>) -> String {
    let state = match filter.standing {
        Standing::Any => None,
        Standing::Live => Some("live".to_owned()),
        Standing::Over => Some("over".to_owned()),
    };
    let agent = filter.agent.as_ref().map(|agent| agent.as_str().to_owned());
    let application = filter.application.as_ref().map(|id| id.as_str().to_owned());
    let parts = [
        ("state", state),
        ("agent", agent),
        ("application", application),
        ("after", after.map(Place::to_text)),
    ];
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parts {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    match query.finish().as_str() {
        "" => "/sessions".to_owned(),
        query => format!("/sessions?{query}"),
    }
}

fn given(part: Option<String>) -> Option<String> {
    part.filter(|text| !text.is_empty())
}

fn unreadable(why: &str) -> Failure {
    Failure::new(Fault::MalformedAddress, why)
}
