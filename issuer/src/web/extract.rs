//! Who is asking: typed proof that cookie, role, origin and form token were checked.

use std::marker::PhantomData;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};

use super::{
    App,
    cookies::{Cookie, FormToken},
    failure::{Failure, Fault, PageFailure},
    fields::Fields,
    local_path::LocalPath,
};
use crate::{
    config::Site,
    people::{Actor, Before, Role},
    secret::Secret,
    store::Account,
};

/// The form field that carries the token.
const TOKEN_FIELD: &str = "csrf";

/// Which roles a page or a form is for.
pub(crate) trait Needs: Send + Sync {
    /// One of these is enough; empty means that every account may.
    const ANY_OF: &'static [Role];
}

/// Declares who a page or a form is for, by the name of a type.
macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),*];)+) => {
        $($(#[$doc])*
        pub(crate) struct $name;

        impl Needs for $name {
            const ANY_OF: &'static [Role] = &[$(Role::$role),*];
        })+
    };
}

needs! {
    /// Every account, whatever its role.
    Anybody = [];
    /// Those who decide.
    Deciding = [Approver];
    /// Those who may look at requests and sessions.
    Reading = [Approver, Auditor];
    /// Those who manage accounts and applications.
    Managing = [Admin];
    /// Those who may look at accounts and applications.
    Overseeing = [Admin, Auditor];
}

/// A signed-in browser looking at a page it may see.
pub(crate) struct Looking<N> {
    pub(crate) account: Account,
    pub(crate) form_token: FormToken,
    needs: PhantomData<N>,
}

/// A signed-in browser that sent one of our forms and may do so.
pub(crate) struct Sending<N> {
    pub(crate) account: Account,
    pub(crate) cookie: Secret,
    pub(crate) headers: HeaderMap,
    pub(crate) fields: Fields,
    needs: PhantomData<N>,
}

/// Anybody signed in, looking at a page.
pub(crate) type SignedIn = Looking<Anybody>;
/// Anybody signed in, sending a form.
pub(crate) type SignedInForm = Sending<Anybody>;
/// An approver looking at a page on which something is decided.
pub(crate) type Approver = Looking<Deciding>;
/// An approver's form.
pub(crate) type ApproverForm = Sending<Deciding>;
/// An approver or an auditor looking at requests and sessions.
pub(crate) type Reader = Looking<Reading>;
/// An admin's form.
pub(crate) type AdminForm = Sending<Managing>;
/// An admin or an auditor looking at accounts and applications.
pub(crate) type Overseer = Looking<Overseeing>;

impl<N> Sending<N> {
    /// The sender's name, for the record.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Person(self.account.user_name.clone())
    }
}

/// A browser before sign-in, looking at a form.
pub(crate) struct Visitor {
    pub(crate) cookie: Secret,
    pub(crate) form_token: FormToken,
    pub(crate) signed_in: bool,
    planted: Option<HeaderValue>,
}

/// A browser before sign-in that sent one of our forms.
pub(crate) struct VisitorForm {
    pub(crate) fields: Fields,
    /// What the browser had before it signs in.
    pub(crate) before: Before,
    /// For showing the form again.
    pub(crate) form_token: FormToken,
    pub(crate) cookie: Secret,
}

/// Why a page is not shown: nobody is signed in, or the store does not answer.
pub(crate) enum NotSignedIn {
    /// Off to the sign-in page and back.
    Redirect(LocalPath),
    /// Out of order.
    Failure(Failure),
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        match self {
            Self::Redirect(next) => {
                Redirect::to(&format!("/sign-in?next={}", next.encoded())).into_response()
            }
            Self::Failure(failure) => PageFailure(failure).into_response(),
        }
    }
}

impl<N: Needs> FromRequestParts<App> for Looking<N> {
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, core: &App) -> Result<Self, NotSignedIn> {
        let site = &core.settings.site;
        if let Some(cookie) = Cookie::Session.read(site, &parts.headers) {
            let browser = core.browser(&cookie).await;
            let browser = browser.map_err(|cause| NotSignedIn::Failure(cause.into()))?;
            if let Some(account) = browser {
                check_role::<N>(&account).map_err(NotSignedIn::Failure)?;
                return Ok(Self {
                    account,
                    form_token: FormToken::of(&cookie),
                    needs: PhantomData,
                });
            }
        }
        let wanted = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let next = LocalPath::parse(wanted).unwrap_or_else(LocalPath::start);
        Err(NotSignedIn::Redirect(next))
    }
}

impl<N: Needs> FromRequest<App> for Sending<N> {
    type Rejection = PageFailure;

    async fn from_request(request: Request, core: &App) -> Result<Self, PageFailure> {
        let site = &core.settings.site;
        check_origin(site, request.headers())?;
        let cookie = Cookie::Session
            .read(site, request.headers())
            .ok_or_else(sign_in_needed)?;
        let account = core.browser(&cookie).await?.ok_or_else(sign_in_needed)?;
        let headers = request.headers().clone();
        let mut fields = Fields::read(request).await?;
        check_token(&FormToken::of(&cookie), &mut fields)?;
        check_role::<N>(&account)?;
        Ok(Self {
            account,
            cookie,
            headers,
            fields,
            needs: PhantomData,
        })
    }
}

/// Checked on every request against the account as it is now: a role that was taken is gone at
/// once.
fn check_role<N: Needs>(account: &Account) -> Result<(), Failure> {
    if N::ANY_OF.is_empty() || account.roles.any_of(N::ANY_OF) {
        return Ok(());
    }
    let words: Vec<&str> = N::ANY_OF.iter().map(|role| role.as_str()).collect();
    let why = format!(
        "This is for accounts with the role {}. An admin can give it to you.",
        words.join(" or ")
    );
    Err(Failure::new(Fault::RoleNeeded, why).back_to("/"))
}

impl FromRequestParts<App> for Visitor {
    type Rejection = PageFailure;

    async fn from_request_parts(parts: &mut Parts, core: &App) -> Result<Self, PageFailure> {
        let site = &core.settings.site;
        let signed_in = match Cookie::Session.read(site, &parts.headers) {
            Some(cookie) => core.browser(&cookie).await?.is_some(),
            None => false,
        };
        if let Some(cookie) = Cookie::Visitor.read(site, &parts.headers) {
            return Ok(Self {
                form_token: FormToken::of(&cookie),
                cookie,
                signed_in,
                planted: None,
            });
        }
        let cookie = Secret::generate(&core.entropy);
        let planted = Some(Cookie::Visitor.plant(site, &cookie, None));
        Ok(Self {
            form_token: FormToken::of(&cookie),
            cookie,
            signed_in,
            planted,
        })
    }
}

impl Visitor {
    /// The page, with the visitor's cookie where it is new.
    pub(crate) fn show(self, page: impl IntoResponse) -> Response {
        match self.planted {
            Some(cookie) => (AppendHeaders([(header::SET_COOKIE, cookie)]), page).into_response(),
            None => page.into_response(),
        }
    }
}

impl FromRequest<App> for VisitorForm {
    type Rejection = PageFailure;

    async fn from_request(request: Request, core: &App) -> Result<Self, PageFailure> {
        let site = &core.settings.site;
        check_origin(site, request.headers())?;
        let before = before(site, request.headers());
        let visitor = Cookie::Visitor
            .read(site, request.headers())
            .ok_or_else(form_expired)?;
        let mut fields = Fields::read(request).await?;
        let form_token = FormToken::of(&visitor);
        check_token(&form_token, &mut fields)?;
        Ok(Self {
            fields,
            before,
            form_token,
            cookie: visitor,
        })
    }
}

/// What a browser has before it signs in.
pub(crate) fn before(site: &Site, headers: &HeaderMap) -> Before {
    let digest = |cookie: Cookie| cookie.read(site, headers).map(|cookie| cookie.digest());
    Before {
        session: digest(Cookie::Session),
        began: digest(Cookie::Began),
    }
}

/// A form must say that it was sent from a page of this very origin. Every browser sends
/// `Origin` with a POST; a request without it did not come from a form of ours.
fn check_origin(site: &Site, headers: &HeaderMap) -> Result<(), Failure> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let same = origins
        .next()
        .is_some_and(|origin| origin.as_bytes() == site.origin().as_bytes());
    if same && origins.next().is_none() {
        return Ok(());
    }
    let why = format!("Open {} and send the form from there.", site.origin());
    Err(Failure::new(Fault::WrongOrigin, why))
}

fn check_token(token: &FormToken, fields: &mut Fields) -> Result<(), Failure> {
    let sent = fields.optional(TOKEN_FIELD)?;
    if sent.is_some_and(|sent| token.matches(&sent)) {
        Ok(())
    } else {
        Err(form_expired())
    }
}

fn form_expired() -> Failure {
    Failure::new(
        Fault::FormExpired,
        "The form belongs to an earlier visit. Open the page again and repeat what you did.",
    )
}

pub(crate) fn sign_in_needed() -> Failure {
    Failure::new(
        Fault::SignInNeeded,
        "You are not signed in, or were signed out because the time was up. Nothing was changed.",
    )
}
