//! The MCP server behind the gate: describes tools and executes what was permitted.
//!
//! It decides nothing. Every request that gets here carries the gate's [`Admitted`]; one that
//! does not is refused. A decision is on the record before its effect happens, and before it the use
//! of an exact call is on the ledger.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bailiwick_datalog::{Access, Effective, Timestamp};
use bailiwick_verifier::{Clock, VerifiedToken};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
        CustomResult, Implementation, JsonObject, ListToolsResult, MetaObject,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool as McpTool, ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    call::{AuthorizedCall, PermittedCall, PreparedCall, ToolFailure, Uncounted},
    catalogue::{Catalogue, Tool},
    decision::{Decided, Denial, Refused},
    files::FilesProvider,
    gate::Admitted,
    ledger::Ledger,
    record::Recorder,
    surface::Surface,
};

/// The code of an exact call whose use cannot be recorded.
pub(crate) const LEDGER_UNAVAILABLE: &str = "ledger_unavailable";
/// Where a missing right is explained in a tool result.
const DENIAL_KEY: &str = "bailiwick/denial";
/// Where any other failure of a tool is explained in its result.
const ERROR_KEY: &str = "bailiwick/error";
/// Where a listed tool says whether this token may call it.
const PERMISSION_KEY: &str = "bailiwick/permission";

const INSTRUCTIONS: &str = "Every tool is listed, but a call passes only if the token in use \
    grants it: see `_meta[\"bailiwick/permission\"]` of each tool. A refused call says why in \
    `_meta[\"bailiwick/denial\"]` and holds the request for access that would have allowed it.";

/// Everything that requests share.
pub(crate) struct Server {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) files: FilesProvider,
    pub(crate) ledger: Ledger,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) surface: Arc<Surface>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The handler of one request.
#[derive(Clone)]
pub(crate) struct Handler(pub(crate) Arc<Server>);

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(
                Implementation::new("bailiwick", env!("CARGO_PKG_VERSION")).with_title("Bailiwick"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|request| request.cursor.is_some()) {
            // The list has one page, so no cursor was ever given out.
            return Err(ErrorData::invalid_params("the cursor is not known", None));
        }
        let admitted = admitted(&context)?;
        let effective = Effective::of(admitted.caller.chain());
        let granted = granted(&effective);
        let tools = self
            .0
            .catalogue
            .iter()
            .map(|tool| listed(tool, &granted))
            .collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        _request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let admitted = admitted(&context)?;
        let decided = admitted
            .call
            .as_ref()
            .and_then(|slot| slot.take())
            .ok_or_else(unadmitted)?;
        let server = Arc::clone(&self.0);
        // On a task of its own: a client that goes away stops neither the effect half-way nor
        // the record of its outcome.
        tokio::spawn(async move { server.carry_out(&admitted.caller, decided).await })
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a call ended without a result");
                Err(ErrorData::internal_error(
                    "the call ended without a result",
                    None,
                ))
            })
            .map(CallToolResponse::from)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // The gate lets known methods through only, so the parameters did not fit the method.
        let message = format!("the parameters do not fit `{}`", request.method);
        Err(ErrorData::invalid_params(
            message,
            Some(json!({ "code": "malformed_request" })),
        ))
    }
}

impl Server {
    async fn carry_out(
        &self,
        caller: &VerifiedToken,
        decided: Decided,
    ) -> Result<CallToolResult, ErrorData> {
        match decided {
            Decided::Authorized(call, at) => Ok(self.make(caller, *call, at).await),
            Decided::Denied(refused, denial) => {
                Ok(self.refuse(caller, &refused, denied(&denial)).await)
            }
            Decided::BadArguments(refused, error) => {
                let failure = ToolFailure {
                    code: "invalid_arguments",
                    message: error.to_string(),
                };
                Ok(self.refuse(caller, &refused, failed(&failure)).await)
            }
            Decided::UnknownTool(refused) => {
                if self.recorder.refused(caller, &refused).await.is_err() {
                    return Ok(failed(&unrecorded()));
                }
                Err(ErrorData::invalid_params(
                    format!("there is no tool `{}`; see tools/list", refused.tool),
                    Some(json!({ "code": refused.code, "tool": refused.tool })),
                ))
            }
        }
    }

    /// Counts the call, where it has to be counted, puts it on the record, and makes it.
    async fn make(
        &self,
        caller: &VerifiedToken,
        call: AuthorizedCall,
        at: Timestamp,
    ) -> CallToolResult {
        match call.count(&self.ledger, at).await {
            Ok(call) => {
                if self.recorder.allowed(caller, &call, at).await.is_err() {
                    let spent = call.permit().recorded_use().is_some();
                    return failed(&if spent {
                        unrecorded_use()
                    } else {
                        unrecorded()
                    });
                }
                self.execute(caller, call).await
            }
            Err(uncounted) => match *uncounted {
                Uncounted::Denied(why, prepared) => {
                    let call = prepared.call();
                    let denial = Denial::missing_right(&why, call, caller, &self.surface);
                    let code = why.code();
                    self.refuse_call(caller, &prepared, code, at, denied(&denial))
                        .await
                }
                Uncounted::NotRecorded(prepared) => {
                    let failure = ToolFailure {
                        code: LEDGER_UNAVAILABLE,
                        message:
                            "the call was approved to be made once, and it cannot be recorded \
                                  that it was; nothing was done, try again later"
                                .to_owned(),
                    };
                    self.refuse_call(caller, &prepared, failure.code, at, failed(&failure))
                        .await
                }
            },
        }
    }

    async fn refuse_call(
        &self,
        caller: &VerifiedToken,
        call: &PreparedCall,
        code: &'static str,
        at: Timestamp,
        answer: CallToolResult,
    ) -> CallToolResult {
        let refused = Refused::of_call(call, code, at);
        self.refuse(caller, &refused, answer).await
    }

    async fn execute(&self, caller: &VerifiedToken, call: PermittedCall) -> CallToolResult {
        let summary = self.recorder.summary(caller, &call);
        let result = self.files.execute(call).await;
        let code = result.as_ref().err().map(|failure| failure.code);
        // The effect has happened; all that is left is to say that its outcome is not recorded.
        if self
            .recorder
            .outcome(summary, code, self.clock.now().utc)
            .await
            .is_err()
        {
            tracing::error!("the outcome of a call could not be recorded");
        }
        match result {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(failure) => failed(&failure),
        }
    }

    async fn refuse(
        &self,
        caller: &VerifiedToken,
        refused: &Refused,
        answer: CallToolResult,
    ) -> CallToolResult {
        match self.recorder.refused(caller, refused).await {
            Ok(()) => answer,
            Err(_) => failed(&unrecorded()),
        }
    }
}

fn admitted(context: &RequestContext<RoleServer>) -> Result<Admitted, ErrorData> {
    context
        .extensions
        .get::<http::request::Parts>()
        .and_then(|parts| parts.extensions.get::<Admitted>())
        .cloned()
        .ok_or_else(unadmitted)
}

fn unadmitted() -> ErrorData {
    ErrorData::internal_error("the request did not come through the gate", None)
}

fn unrecorded() -> ToolFailure {
    ToolFailure {
        code: "audit_unavailable",
        message: "the decision could not be recorded, so nothing was done; try again".to_owned(),
    }
}

fn unrecorded_use() -> ToolFailure {
    ToolFailure {
        code: "audit_unavailable",
        message:
            "the decision could not be recorded, so nothing was done; the one use of the call \
                  is spent all the same, and it has to be approved again"
                .to_owned(),
    }
}

fn denied(denial: &Denial) -> CallToolResult {
    let text = format!("refused ({}): {}", denial.code, denial.explanation);
    explained(text, DENIAL_KEY, denial.to_json())
}

fn failed(failure: &ToolFailure) -> CallToolResult {
    let explanation = json!({ "code": failure.code, "message": failure.message });
    explained(failure.message.clone(), ERROR_KEY, explanation)
}

fn explained(text: String, key: &str, explanation: Value) -> CallToolResult {
    let mut meta = JsonObject::new();
    meta.insert(key.to_owned(), explanation);
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    result.meta = Some(MetaObject(meta));
    result
}

fn listed(tool: &Tool, granted: &Granted<'_>) -> McpTool {
    let annotations = ToolAnnotations::with_title(tool.title)
        .read_only(tool.access == Access::Read)
        .destructive(tool.annotations.destructive)
        .idempotent(tool.annotations.idempotent)
        .open_world(false);
    let mut meta = JsonObject::new();
    meta.insert(PERMISSION_KEY.to_owned(), permission(tool, granted));
    let mut listed = McpTool::new(
        tool.name.to_string(),
        tool.description,
        Arc::new(tool.input_schema.clone()),
    )
    .with_annotations(annotations);
    listed.title = Some(tool.title.to_owned());
    listed.meta = Some(MetaObject(meta));
    listed
}

/// The resources that a token is good for, by tool and access.
type Granted<'a> = HashMap<(&'a str, Access), BTreeSet<String>>;

fn granted(effective: &Effective) -> Granted<'_> {
    let mut granted = Granted::new();
    for grant in &effective.grants {
        let resources = granted.entry((&grant.tool, grant.access)).or_default();
        resources.insert(grant.path.to_string());
    }
    granted
}

/// Whether a token may call a tool at all, and on what. A hint: each call is decided anew, and
/// limits on arguments can refuse one.
fn permission(tool: &Tool, granted: &Granted<'_>) -> Value {
    let none = BTreeSet::new();
    let resources = granted
        .get(&(tool.name.as_str(), tool.access))
        .unwrap_or(&none);
    json!({
        "callable": !resources.is_empty(),
        "access": tool.access,
        "resources": resources,
    })
}
