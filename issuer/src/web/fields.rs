//! Form bodies: every field is asked for by name, none may be left over.

use axum::{
    RequestExt as _,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use thiserror::Error;

use super::failure::{Failure, Fault};

const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form as sent, until each is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

/// Why a form does not have the fields it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FieldError {
    /// A field that should be there once is there twice.
    #[error("`{0}` is given more than once")]
    Repeated(String),
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field nobody asked for.
    #[error("`{0}` is not a field of this form")]
    Unknown(String),
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::new(
            Fault::MalformedForm,
            super::failure::sentence(&error.to_string()),
        )
    }
}

impl Fields {
    /// Reads a body of form type.
    ///
    /// # Errors
    /// [`Failure`] for another type or a body over the limit.
    pub(crate) async fn read(request: Request) -> Result<Self, Failure> {
        if !has_type(request.headers(), FORM_TYPE) {
            let why = format!("The body must be of type `{FORM_TYPE}`.");
            return Err(Failure::new(Fault::UnsupportedMediaType, why));
        }
        let body = read_body(request).await?;
        // Never fails on any bytes; broken UTF-8 becomes U+FFFD, which no field accepts as
        // part of a name, path or code.
        Ok(Self(
            url::form_urlencoded::parse(&body).into_owned().collect(),
        ))
    }

    /// Reads the query of an address.
    pub(crate) fn of_query(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Takes a field that may be there once.
    pub(crate) fn optional(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        let mut values = self.all(name);
        if values.len() > 1 {
            return Err(FieldError::Repeated(name.to_owned()));
        }
        Ok(values.pop())
    }

    /// Takes a field that must be there once.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<String, FieldError> {
        self.optional(name)?.ok_or(FieldError::Missing(name))
    }

    /// Whether there is a field of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// Takes all fields of a name.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(field, _)| field == name);
        self.0 = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes all fields whose name starts with `prefix`, without it.
    pub(crate) fn prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(name, _)| name.starts_with(prefix));
        self.0 = left;
        let taken: Vec<(String, String)> = taken;
        taken
            .into_iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value)))
            .collect()
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), FieldError> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(FieldError::Unknown(crate::text::visible_line(&name))),
            None => Ok(()),
        }
    }
}

/// True when the one `Content-Type` is that type, whatever its parameters.
pub(crate) fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let only = types.next().and_then(|value| value.to_str().ok());
    let essence = only.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted)) && types.next().is_none()
}

/// Reads a body within the limit of its route.
///
/// # Errors
/// [`Failure`] when it is larger, or breaks off.
pub(crate) async fn read_body(request: Request) -> Result<Bytes, Failure> {
    request.extract::<Bytes, _>().await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Failure::new(
                Fault::BodyTooLarge,
                "The body is larger than this address takes.",
            )
        } else {
            Failure::new(Fault::MalformedForm, "The body could not be read.")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    #[test]
    fn field_given_once_is_taken_and_twice_is_refused() {
        assert_eq!(fields("a=1&b=2").required("a"), Ok("1".to_owned()));
        assert_eq!(
            fields("a=1&a=1").optional("a"),
            Err(FieldError::Repeated("a".to_owned()))
        );
        assert_eq!(fields("b=2").required("a"), Err(FieldError::Missing("a")));
    }

    #[test]
    fn field_left_over_is_refused() {
        let mut form = fields("a=1&path.x=2&path.y=3&z=4");
        assert_eq!(form.optional("a"), Ok(Some("1".to_owned())));
        assert_eq!(form.prefixed("path.").len(), 2);
        assert_eq!(
            form.clone().finish(),
            Err(FieldError::Unknown("z".to_owned()))
        );
        assert_eq!(form.all("z"), ["4"]);
        assert_eq!(form.finish(), Ok(()));
    }
}
