//! What the errors of the domain are at this edge.

use super::{Failure, Fault, sentence};
use crate::{
    applications::ApplicationError,
    approval::DecisionError,
    narrowing::NarrowingError,
    passkeys::PasskeyError,
    people::{
        AccountError, DelegationError, SetupError, SignInError, identity::IdentityError,
        provider::ProviderError,
    },
    revocation_feed::RevokeError,
};

impl From<DecisionError> for Failure {
    fn from(error: DecisionError) -> Self {
        let fault = match &error {
            DecisionError::NotFound => Fault::RequestNotFound,
            DecisionError::AlreadyApproved => Fault::AlreadyApproved,
            DecisionError::AlreadyDenied => Fault::AlreadyDenied,
            DecisionError::Expired => Fault::RequestExpired,
            DecisionError::NotWhatWasShown => Fault::RequestChanged,
            DecisionError::NotYours | DecisionError::OtherAuthority => Fault::NotYourApplication,
            DecisionError::ToolNotAllowed(_) => Fault::ToolNotAllowed,
            DecisionError::BeyondCeiling(_) => Fault::BeyondCeiling,
            DecisionError::SelfApproval | DecisionError::MaybeSelf => Fault::SelfApproval,
            DecisionError::HeldOver => Fault::HeldOver,
            DecisionError::PasskeyNeeded => Fault::PasskeyNeeded,
            DecisionError::Passkey(_) => Fault::PasskeyRefused,
            DecisionError::SamePerson => Fault::SamePerson,
            DecisionError::WiderThanFirst => Fault::ApprovalWidened,
            DecisionError::NeedsExactCalls(_) => Fault::ExactCallsDemanded,
            DecisionError::Narrowing(narrowing) => match narrowing {
                NarrowingError::Nothing => Fault::ApprovalEmpty,
                NarrowingError::ToolNotRequested(_)
                | NarrowingError::ResourceNotRequested(_)
                | NarrowingError::CallNotRequested(_)
                | NarrowingError::ResourceWidened { .. }
                | NarrowingError::DurationWidened { .. } => Fault::ApprovalWidened,
                NarrowingError::NotAPath { .. } => Fault::InvalidResource,
                NarrowingError::NotALimit { .. } | NarrowingError::ArgumentClosed { .. } => {
                    Fault::InvalidLimit
                }
                NarrowingError::NotADuration(_) | NarrowingError::NoTime => Fault::InvalidDuration,
            },
            DecisionError::TooLarge(_) => Fault::ApprovalTooLarge,
            DecisionError::TooManyWords { .. } => Fault::TextTooLong,
            DecisionError::Unavailable(_) => Fault::Unavailable,
        };
        match error {
            DecisionError::Unavailable(cause) => cause.into(),
            DecisionError::Passkey(cause) => cause.into(),
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<PasskeyError> for Failure {
    fn from(error: PasskeyError) -> Self {
        let fault = match &error {
            PasskeyError::NoName => Fault::PasskeysUnavailable,
            PasskeyError::Malformed => Fault::MalformedForm,
            PasskeyError::NoChallenge
            | PasskeyError::Unknown
            | PasskeyError::OtherAccount
            | PasskeyError::Refused(_)
            | PasskeyError::Copied
            | PasskeyError::ProviderAccount => Fault::PasskeyRefused,
            PasskeyError::Taken | PasskeyError::Name | PasskeyError::TooMany => {
                Fault::InvalidPasskey
            }
            PasskeyError::Wait(_) => Fault::TooManyAttempts,
            PasskeyError::NotFresh => Fault::FreshSignInNeeded,
            PasskeyError::NotAllowed => Fault::PasskeyNotAllowed,
            PasskeyError::TouchNeeded => Fault::PasskeyNeeded,
            PasskeyError::HasOne => Fault::PasskeyExists,
            PasskeyError::NotFound => Fault::PasskeyNotFound,
            PasskeyError::Account(_) | PasskeyError::Unavailable(_) => Fault::Unavailable,
        };
        match error {
            PasskeyError::Unavailable(cause) => cause.into(),
            PasskeyError::Account(cause) => cause.into(),
            PasskeyError::Wait(wait) => {
                Self::new(fault, sentence(&error.to_string())).after(wait.retry_after)
            }
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let fault = match &error {
            SetupError::LinkUsed => Fault::SetupLinkUsed,
            SetupError::InvitationUsed => Fault::InvitationUsed,
            SetupError::UserName(_) | SetupError::Password(_) | SetupError::PasswordsDiffer => {
                Fault::AccountRefused
            }
            SetupError::Unavailable(_) => Fault::Unavailable,
        };
        match error {
            SetupError::Unavailable(cause) => cause.into(),
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let fault = match &error {
            AccountError::NotFound(_) => Fault::AccountNotFound,
            AccountError::UserName(_) | AccountError::Workload => Fault::AccountRefused,
            AccountError::Taken(_) => Fault::AccountExists,
            AccountError::Role(_) | AccountError::NoRole => Fault::InvalidRole,
            AccountError::LastAdmin(_) => Fault::LastAdmin,
            AccountError::Disabled(_) => Fault::AccountDisabled,
            AccountError::Own => Fault::OwnAccount,
            AccountError::Unavailable(_) => Fault::Unavailable,
        };
        match error {
            AccountError::Unavailable(cause) => cause.into(),
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<DelegationError> for Failure {
    fn from(error: DelegationError) -> Self {
        let fault = match &error {
            DelegationError::NotFound => Fault::DelegationNotFound,
            DelegationError::NotAnApprover(_)
            | DelegationError::Self_
            | DelegationError::Period
            | DelegationError::TooManyGiven
            | DelegationError::TooManyAccepted
            | DelegationError::Account(_)
            | DelegationError::Unavailable(_) => Fault::InvalidDelegation,
        };
        match error {
            DelegationError::Account(cause) => cause.into(),
            DelegationError::Unavailable(cause) => cause.into(),
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Unavailable(cause) => cause.into(),
            RevokeError::NotYours => {
                Self::new(Fault::NotYourApplication, sentence(&error.to_string()))
            }
        }
    }
}

impl From<ApplicationError> for Failure {
    fn from(error: ApplicationError) -> Self {
        let fault = match &error {
            ApplicationError::NotFound(_) => Fault::ApplicationNotFound,
            ApplicationError::Taken(_) => Fault::ApplicationExists,
            ApplicationError::NotAnApprover(_) => Fault::InvalidRole,
            ApplicationError::Id
            | ApplicationError::Name(_)
            | ApplicationError::Branding
            | ApplicationError::Durations
            | ApplicationError::Depth
            | ApplicationError::TooManyTools
            | ApplicationError::Redirect(_)
            | ApplicationError::TooManyRedirects
            | ApplicationError::TooManyRules => Fault::InvalidApplication,
            ApplicationError::Unavailable(_) => Fault::Unavailable,
        };
        match error {
            ApplicationError::Unavailable(cause) => cause.into(),
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let fault = match &error {
            IdentityError::NoProvider => Fault::NoIdentityProvider,
            IdentityError::NoAttempt => Fault::SignInNotBegun,
            IdentityError::LongWay => Fault::MalformedAddress,
            IdentityError::Provider(ProviderError::Unusable(_)) => Fault::ProviderUnavailable,
            IdentityError::OtherProvider
            | IdentityError::Refused
            | IdentityError::Provider(ProviderError::Code(_) | ProviderError::NotBelieved(_)) => {
                Fault::IdentityRefused
            }
            IdentityError::NoAuthTime | IdentityError::NotAnew => Fault::IdentityNotFresh,
            IdentityError::NoName
            | IdentityError::Taken(_)
            | IdentityError::NoRole
            | IdentityError::LastAdmin(_)
            | IdentityError::Disabled => Fault::NotAdmitted,
            IdentityError::Unavailable(_) => Fault::Unavailable,
        };
        match error {
            IdentityError::Unavailable(cause) => cause.into(),
            other => Self::new(fault, sentence(&other.to_string())),
        }
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            SignInError::Wrong => Self::new(Fault::SignInFailed, detail),
            SignInError::TooMany(wait) => {
                Self::new(Fault::TooManyAttempts, detail).after(wait.retry_after)
            }
            SignInError::Unavailable(cause) => cause.into(),
        }
    }
}
