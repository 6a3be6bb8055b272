//! What waits for approvers: a fair share of the list for each application and each agent.

use bailiwick_datalog::Timestamp;
use sqlx::FromRow;

use super::{Store, StoreError, StoredRequest, damaged, requests::Row, to_db};
use crate::{
    fatigue::{AgentKey, PROMPTS_AN_HOUR},
    people::Sight,
};

/// Most requests of one application that are listed.
const MAX_OF_APPLICATION: i64 = 100;
/// Most requests that are listed at all.
const MAX_LISTED: i64 = 500;

/// A request that waits, with its place among those of the same agent and application.
#[derive(Clone, Debug)]
pub(crate) struct WaitingRequest {
    pub(crate) request: StoredRequest,
    pub(crate) agent: Option<AgentKey>,
    /// How many of this agent wait.
    pub(crate) of_agent: i64,
    /// How many of this application wait.
    pub(crate) of_application: i64,
}

#[derive(FromRow)]
struct WaitingRow {
    #[sqlx(flatten)]
    request: Row,
    agent: Option<Vec<u8>>,
    of_agent: i64,
    of_application: i64,
}

impl TryFrom<WaitingRow> for WaitingRequest {
    type Error = StoreError;

    fn try_from(row: WaitingRow) -> Result<Self, StoreError> {
        let read =
            |key: Vec<u8>| AgentKey::stored(&key).ok_or_else(|| damaged("the agent of a request"));
        Ok(Self {
            request: row.request.try_into()?,
            agent: row.agent.map(read).transpose()?,
            of_agent: row.of_agent,
            of_application: row.of_application,
        })
    }
}

impl Store {
    /// Requests that wait for an approver at `now`, of the applications seen; with `only`, of that
    /// agent. Those that came through a browser are decided there, and listed once they need a
    /// second person.
    ///
    /// Where there are too many for one page, each agent has its oldest requests on it before any
    /// has more, and so has each application: whoever asks very often takes no place from others.
    /// The oldest come first.
    pub(crate) async fn waiting_requests(
        &self,
        sight: &Sight,
        only: Option<AgentKey>,
        now: Timestamp,
    ) -> Result<Vec<WaitingRequest>, StoreError> {
        let (everything, applications) = sight.bounds();
        let of_agent = if only.is_some() {
            MAX_OF_APPLICATION
        } else {
            PROMPTS_AN_HOUR
        };
        let rows: Vec<WaitingRow> = sqlx::query_as(
            "WITH waiting AS (
                 SELECT r.*, p.agent,
                     count(*) OVER of_agent AS of_agent,
                     row_number() OVER (of_agent ORDER BY r.created_at, r.id) AS place_of_agent,
                     count(*) OVER (PARTITION BY r.application_id) AS of_application
                 FROM access_requests r LEFT JOIN prompts p ON p.request_id = r.id
                 WHERE r.state = 'pending' AND r.expires_at > ?1
                     AND (?2 OR r.application_id IN (SELECT value FROM json_each(?3)))
                     AND (?4 IS NULL OR p.agent = ?4)
                     AND (r.id NOT IN (SELECT request_id FROM authorization_requests)
                         OR r.id IN (SELECT request_id FROM first_approvals))
                 WINDOW of_agent AS (PARTITION BY r.application_id, p.agent)
             ), placed AS (
                 SELECT *, row_number() OVER (PARTITION BY application_id
                     ORDER BY place_of_agent, created_at, id) AS place
                 FROM waiting WHERE place_of_agent <= ?5
             ), listed AS (
                 SELECT * FROM placed WHERE place <= ?6 ORDER BY place, created_at, id LIMIT ?7
             )
             SELECT * FROM listed ORDER BY created_at, id",
        )
        .bind(to_db(now))
        .bind(everything)
        .bind(applications)
        .bind(only.as_ref().map(AgentKey::as_slice))
        .bind(of_agent)
        .bind(MAX_OF_APPLICATION)
        .bind(MAX_LISTED)
        .fetch_all(&self.reader)
        .await?;
        let requests = rows.into_iter().map(WaitingRequest::try_from);
        // One that cannot be read does not hide the others.
        let readable = requests.filter_map(|request| {
            request
                .inspect_err(|error| tracing::error!(%error, "a waiting request cannot be read"))
                .ok()
        });
        Ok(readable.collect())
    }
}
