//! The application pages: each with its limits, its tools and those who decide for it.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    App,
    address::Path,
    extract::{AdminForm, Overseer},
    failure::{Failure, Fault, PageFailure},
    fields::Fields,
    limits_form::{lines, read_rules, read_tools, span},
    pages::{self, ApplicationPage, ApplicationsPage, Frame},
    to_the_end,
    views::ApplicationView,
};
use crate::{
    applications::{Approvers, Staffed, Wanted},
    core::Unavailable,
};

/// `GET /applications`
pub(crate) async fn list(
    State(core): State<App>,
    overseer: Overseer,
) -> Result<Response, PageFailure> {
    let applications = core.staffed_applications().await?;
    let applications = applications.iter().map(ApplicationView::of).collect();
    let frame = Frame::of(&overseer, "applications");
    Ok(pages::render(&ApplicationsPage {
        frame,
        applications,
    })?
    .into_response())
}

/// `GET /applications/{id}`
pub(crate) async fn show(
    State(core): State<App>,
    Path(id): Path<String>,
    overseer: Overseer,
) -> Result<Response, PageFailure> {
    let staffed = core.staffed_application(&id).await?;
    let application = ApplicationView::of(&staffed);
    let candidates = candidates(&core, &staffed).await?;
    let frame = Frame::of(&overseer, "applications");
    Ok(pages::render(&ApplicationPage {
        frame,
        application,
        candidates,
    })?
    .into_response())
}

/// `POST /applications`
pub(crate) async fn add(
    State(core): State<App>,
    mut form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let back = |failure: Failure| failure.back_to("/applications");
    let id = form.fields.required("id")?;
    let name = form.fields.required("name")?;
    let by = form.actor();
    form.fields.finish()?;
    let wanted = Wanted {
        name: Some(name).filter(|name| !name.trim().is_empty()),
        ..Wanted::default()
    };
    let added = async move { core.add_application(&by, &id, wanted).await };
    let added = to_the_end(added).await.map_err(Failure::from);
    let id = added.map_err(back)?.application.id;
    Ok(Redirect::to(&format!("/applications/{id}")))
}

/// `POST /applications/{id}`
pub(crate) async fn set(
    State(core): State<App>,
    Path(id): Path<String>,
    mut form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let staffed = core.staffed_application(&id).await?;
    let page = format!("/applications/{}", staffed.application.id);
    let wanted = read_wanted(&mut form.fields).map_err(|failure| failure.back_to(&page))?;
    let by = form.actor();
    form.fields.finish()?;
    let set = async move { core.set_application(&by, &id, wanted).await };
    let set = to_the_end(set).await.map_err(Failure::from);
    set.map_err(|failure| failure.back_to(&page))?;
    Ok(Redirect::to(&page))
}

/// `POST /applications/{id}/remove`
pub(crate) async fn remove(
    State(core): State<App>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Redirect, PageFailure> {
    let by = form.actor();
    form.fields.finish()?;
    let removed = async move { core.remove_application(&by, &id).await };
    let removed = to_the_end(removed).await.map_err(Failure::from);
    removed.map_err(|failure| failure.back_to("/applications"))?;
    Ok(Redirect::to("/applications"))
}

fn read_wanted(fields: &mut Fields) -> Result<Wanted, Failure> {
    let depth = fields.required("max_depth")?;
    let depth = depth.trim().parse().map_err(|_| {
        let why = "How often a token may be handed on is a number.";
        Failure::new(Fault::InvalidApplication, why)
    })?;
    Ok(Wanted {
        name: Some(fields.required("name")?),
        default_duration: Some(span(&fields.required("default_duration")?)?),
        max_duration: Some(span(&fields.required("max_duration")?)?),
        max_depth: Some(depth),
        allowed_tools: Some(read_tools(&fields.required("tools")?)?),
        redirect_uris: Some(lines(&fields.required("redirect_uris")?)),
        rules: Some(read_rules(&fields.required("rules")?)?),
        approvers: Some(Approvers::Exactly(
            fields.all("approver").into_iter().collect(),
        )),
    })
}

/// Every approver, and whether they decide for the application.
async fn candidates(core: &App, staffed: &Staffed) -> Result<Vec<(String, bool)>, Failure> {
    let accounts = core.store.accounts().await.map_err(Unavailable::from)?;
    let approvers = accounts
        .into_iter()
        .filter(|account| account.roles.approver);
    let candidates = approvers.map(|account| {
        let assigned = staffed.approvers.contains(&account.user_name);
        (account.user_name.to_string(), assigned)
    });
    Ok(candidates.collect())
}
