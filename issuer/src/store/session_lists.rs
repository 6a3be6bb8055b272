//! Lists of sessions, page by page, each page found by an index and not by counting off.

use std::collections::HashMap;

use bailiwick_datalog::{AgentName, ApplicationId, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

use super::{
    Change, Store, StoreError, StoredSession, damaged, revocations::LISTED_AFTER_EXPIRY,
    seconds_to_db, sessions::Row, to_db,
};
use crate::{applications::LONGEST_SESSION, people::Sight};

/// Which sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionFilter {
    pub(crate) standing: Standing,
    pub(crate) agent: Option<AgentName>,
    pub(crate) application: Option<ApplicationId>,
}

/// Whether their time still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does, or it does not.
    #[default]
    Any,
    /// It does.
    Live,
    /// It is over, or somebody ended them.
    Over,
}

/// The place of a session in a list: lists are from the latest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    approved_at: i64,
    id: String,
}

impl Place {
    /// Reads what [`Place::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (approved_at, id) = text.split_once('.')?;
        let place = Self {
            approved_at: approved_at.parse().ok()?,
            id: id.to_owned(),
        };
        (place.to_text() == text && place.approved_at >= 0).then_some(place)
    }

    /// The form that addresses carry.
    pub(crate) fn to_text(&self) -> String {
        format!("{}.{}", self.approved_at, self.id)
    }
}

/// Some sessions of a list.
#[derive(Debug)]
pub(crate) struct SessionList {
    pub(crate) sessions: Vec<StoredSession>,
    /// The last one's place, if there are more behind it.
    pub(crate) next: Option<Place>,
}

impl Store {
    /// At most so many sessions of the applications seen, those behind `after`, latest first.
    pub(crate) async fn sessions(
        &self,
        sight: &Sight,
        filter: &SessionFilter,
        after: Option<&Place>,
        most: usize,
        now: Timestamp,
    ) -> Result<SessionList, StoreError> {
        let mut query = QueryBuilder::new("SELECT s.* FROM sessions s WHERE 1");
        let (everything, applications) = sight.bounds();
        if !everything {
            // The plus keeps the order of time the one that is walked.
            query
                .push(" AND +s.application_id IN (SELECT value FROM json_each(")
                .push_bind(applications)
                .push("))");
        }
        narrow(&mut query, filter, now);
        if let Some(place) = after {
            query
                .push(" AND (s.approved_at, s.id) < (")
                .push_bind(place.approved_at)
                .push(", ")
                .push_bind(place.id.clone())
                .push(")");
        }
        let one_more = i64::try_from(most.saturating_add(1)).map_err(damaged)?;
        query
            .push(" ORDER BY s.approved_at DESC, s.id DESC LIMIT ")
            .push_bind(one_more);
        let mut rows: Vec<Row> = query.build_query_as().fetch_all(&self.reader).await?;
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|row| Place {
            approved_at: row.approved_at,
            id: row.id.clone(),
        });
        Ok(SessionList {
            sessions: self.join_all(rows).await?,
            next,
        })
    }

    async fn join_all(&self, rows: Vec<Row>) -> Result<Vec<StoredSession>, StoreError> {
        let ids: Vec<&str> = rows.iter().map(|row| row.request_id.as_str()).collect();
        let requests = self.requests_with(&ids).await?.into_iter();
        let mut requests: HashMap<String, _> = requests.map(|r| (r.id.clone(), r)).collect();
        let mut sessions = Vec::with_capacity(rows.len());
        for row in rows {
            let request = requests.remove(&row.request_id);
            let request =
                request.ok_or_else(|| damaged(format!("session {} has no request", row.id)))?;
            sessions.push(row.join(request)?);
        }
        Ok(sessions)
    }
}

/// At most so many of the sessions that a filter leaves, by id alone: live are those too that a
/// verifier whose clock is behind still takes for live.
pub(crate) async fn ids_of(
    change: &mut Change,
    filter: &SessionFilter,
    most: i64,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let mut query = QueryBuilder::new("SELECT s.id FROM sessions s WHERE 1");
    let behind = now.unix().saturating_sub(LISTED_AFTER_EXPIRY.as_secs());
    narrow(&mut query, filter, Timestamp::from_unix(behind));
    query
        .push(" ORDER BY s.approved_at DESC, s.id DESC LIMIT ")
        .push_bind(most);
    let ids = query.build_query_scalar().fetch_all(&mut **change).await?;
    Ok(ids)
}

fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &SessionFilter, now: Timestamp) {
    if let Some(agent) = &filter.agent {
        query
            .push(" AND s.agent = ")
            .push_bind(agent.as_str().to_owned());
    }
    if let Some(application) = &filter.application {
        query
            .push(" AND s.application_id = ")
            .push_bind(application.as_str().to_owned());
    }
    match filter.standing {
        Standing::Any => {}
        Standing::Live => {
            query
                .push(" AND s.revoked_at IS NULL AND s.expires_at > ")
                .push_bind(to_db(now))
                // None is longer, so a walk from the latest on ends here.
                .push(" AND s.approved_at > ")
                .push_bind(to_db(now).saturating_sub(seconds_to_db(LONGEST_SESSION)));
        }
        Standing::Over => {
            query
                .push(" AND (s.revoked_at IS NOT NULL OR s.expires_at <= ")
                .push_bind(to_db(now))
                .push(")");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_written_and_in_no_other_way() {
        let place = Place {
            approved_at: 1_700_000_000,
            id: "ses_1".to_owned(),
        };
        assert_eq!(place.to_text(), "1700000000.ses_1");
        assert_eq!(Place::parse("1700000000.ses_1"), Some(place));
        for bad in [
            "", ".", "ses_1", "x.ses_1", "01.ses_1", "+1.ses_1", "-1.ses_1", " 1.s",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
