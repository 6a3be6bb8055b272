//! The clients of an application that somebody here answers for: listed, registered, removed.

use axum::{extract::State, response::Response};
use serde_json::Value;

use super::{
    App,
    address::Path,
    clients::proof,
    cookies::FormToken,
    extract::{AdminForm, Overseer},
    failure::{Failure, Fault, PageFailure, sentence},
    fields::Fields,
    limits_form::lines,
    pages::{self, ClientsPage, Frame},
    to_the_end,
};
use crate::{
    applications::Staffed,
    core::{Core, Unavailable},
    oauth::{
        client::Client,
        enrol::{EnrolError, Enrolled, Enrolment},
        redirect::RedirectUri,
    },
};

/// A client in the list.
#[derive(Debug)]
pub(crate) struct ClientLine {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) proof: &'static str,
    pub(crate) redirects: Vec<String>,
}

impl ClientLine {
    fn of(client: Client) -> Self {
        let redirects = client.redirects.iter().map(RedirectUri::as_str);
        Self {
            redirects: redirects.map(str::to_owned).collect(),
            proof: proof(&client.credentials),
            id: client.id,
            name: client.name,
        }
    }
}

/// `GET /applications/{id}/clients`
pub(crate) async fn list(
    State(core): State<App>,
    Path(id): Path<String>,
    overseer: Overseer,
) -> Result<Response, PageFailure> {
    let staffed = core.staffed_application(&id).await?;
    let frame = Frame::of(&overseer, "applications");
    Ok(show(&core, &staffed, frame, None).await?)
}

/// `POST /applications/{id}/clients`: answers with the secret, which no other page shows.
pub(crate) async fn add(
    State(core): State<App>,
    Path(id): Path<String>,
    mut form: AdminForm,
) -> Result<Response, PageFailure> {
    let staffed = core.staffed_application(&id).await?;
    let back = |failure: Failure| failure.back_to(&page_of(&staffed));
    let application = staffed.application.id.to_string();
    let enrolment = read(application, &mut form.fields).map_err(back)?;
    let by = form.actor();
    std::mem::take(&mut form.fields).finish()?;
    let issuer = App::clone(&core);
    let enrolled = to_the_end(async move { issuer.enrol(&by, &enrolment).await });
    let enrolled = enrolled.await.map_err(refused).map_err(back)?;
    let token = FormToken::of(&form.cookie);
    let frame = Frame::after(&form, &token, "applications");
    Ok(show(&core, &staffed, frame, Some(&enrolled)).await?)
}

/// `POST /applications/{id}/clients/{client}/remove`
pub(crate) async fn remove(
    State(core): State<App>,
    Path((id, client)): Path<(String, String)>,
    form: AdminForm,
) -> Result<axum::response::Redirect, PageFailure> {
    let staffed = core.staffed_application(&id).await?;
    let page = page_of(&staffed);
    let by = form.actor();
    form.fields.finish()?;
    let listed = clients(&core, &staffed).await?;
    let known = listed.iter().any(|one| one.id == client);
    let removed = async move { core.remove_client(&by, &client).await };
    if !known || !to_the_end(removed).await? {
        let why = "The application has no such client any more.";
        return Err(Failure::new(Fault::ClientNotFound, why)
            .back_to(&page)
            .into());
    }
    Ok(axum::response::Redirect::to(&page))
}

fn refused(error: EnrolError) -> Failure {
    match error {
        EnrolError::Unavailable(cause) => cause.into(),
        EnrolError::UnknownApplication(_) | EnrolError::Field { .. } => {
            Failure::new(Fault::InvalidClient, sentence(&error.to_string()))
        }
    }
}

fn page_of(staffed: &Staffed) -> String {
    format!("/applications/{}/clients", staffed.application.id)
}

async fn show(
    core: &Core,
    staffed: &Staffed,
    frame: Frame<'_>,
    enrolled: Option<&Enrolled>,
) -> Result<Response, Failure> {
    let enrolled = enrolled.map(|client| {
        let secret = client
            .secret
            .as_ref()
            .map(|secret| secret.expose().to_owned());
        (client.client_id.clone(), secret)
    });
    pages::render(&ClientsPage {
        frame,
        application: staffed.application.id.to_string(),
        name: staffed.application.name.clone(),
        clients: clients(core, staffed).await?,
        enrolled,
    })
}

/// Those that were registered for the application; the one that came with it is not among them.
async fn clients(core: &Core, staffed: &Staffed) -> Result<Vec<ClientLine>, Failure> {
    let all = core.store.registered_clients().await;
    let all = all.map_err(Unavailable::from)?.into_iter();
    let own = all.filter(|client| {
        client.application.id == staffed.application.id && client.id != staffed.client.id
    });
    Ok(own.map(ClientLine::of).collect())
}

fn read(application: String, fields: &mut Fields) -> Result<Enrolment, Failure> {
    let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let jwks = given(fields.required("jwks")?);
    let jwks: Option<Value> = jwks
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|_| {
            let why = "The public keys are not a JWK set.";
            Failure::new(Fault::InvalidClient, why)
        })?;
    Ok(Enrolment {
        application,
        name: fields.required("name")?,
        redirect_uris: lines(&fields.required("redirect_uris")?),
        auth_method: fields.required("auth_method")?,
        jwks,
        spiffe_id: given(fields.required("spiffe_id")?),
    })
}
