//! Starting: state on disk becomes a [`Core`].

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bailiwick_verifier::{keys::MintKey, signed::PublicKeyHex, trust::KeySetDocument};
use thiserror::Error;

use crate::{
    audit::{AuditLog, AuditLogError},
    catalogue::{Catalogue, CatalogueError, CatalogueSource, HttpCatalogue},
    config::{ConfigError, IssuerConfig, Site},
    core::{Core, Settings, SetupLink},
    entropy::Entropy,
    keys::{self, IssuerKeys, KeyError, MINT_KEY_ID},
    mint::Mint,
    notify::{NotifyError, Places},
    oauth::{
        document::{Fetches, HttpDocuments},
        self_registered::Registrations,
        spiffe::SpiffeTrust,
    },
    passkeys::RelyingParty,
    passwords::Passwords,
    people::{
        identity::Identities,
        provider::{IdentityProvider, Provider},
    },
    pulse::Pulse,
    refusals::{Lately, Refusals},
    sealing::Sealer,
    secret::Secret,
    store::{Store, StoreError},
    throttle::{SharedThrottle, Throttle},
};

const OPERATOR_TOKEN: &str = "operator.token";
const GATEWAY_TOKEN: &str = "gateway.token";
/// In the issuer's own directory.
const CLIENTS_KEY: &str = "clients.key";

/// Why the issuer does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A directory or file cannot be made or read.
    #[error("`{path}` cannot be made or read")]
    Io {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A key or token file is missing, exposed or damaged.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The audit file cannot be continued.
    #[error(transparent)]
    Audit(#[from] AuditLogError),
    /// The client for the gateway's catalogue cannot be set up.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The database cannot be opened or brought up to date.
    #[error("the issuer's database cannot be opened")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The identity provider cannot be set up.
    #[error("the identity provider cannot be set up: {0}")]
    IdentityProvider(String),
    /// A place that approvers are told at cannot be used.
    #[error(transparent)]
    Notify(#[from] NotifyError),
    /// The keys do not make a key set or a mint.
    #[error("the issuer's keys cannot be used: {0}")]
    Unusable(String),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

pub(crate) async fn open(config: IssuerConfig) -> Result<Core, OpenError> {
    let site = config.site()?;
    let state = config.data_dir.join("issuer");
    for dir in [&config.data_dir, &state] {
        private_dir(dir)?;
    }
    let database = state.join("issuer.sqlite");
    let first_start = !database.exists();
    let keys = IssuerKeys::open(&state.join("keys"), first_start, &config.entropy)?;
    let operator = secret_file(&config.data_dir.join(OPERATOR_TOKEN), &config.entropy)?.digest();
    let gateway = secret_file(&config.data_dir.join(GATEWAY_TOKEN), &config.entropy)?.digest();
    let clients_key = secret_file(&state.join(CLIENTS_KEY), &config.entropy)?;
    if first_start {
        // Made here and not by SQLite, so that it and its companions are private from birth.
        keys::write_private(&database, b"").map_err(io_error(&database))?;
    }
    let store = Store::open(&database).await?;
    let audit = AuditLog::open(&config.data_dir.join("audit"))?;
    let document = key_set(&keys, &site, &store).await?;
    let key_set_json = document
        .sign(&keys.anchor)
        .map_err(|e| OpenError::Unusable(e.to_string()))?
        .to_json();
    let known = Arc::new(document.key_set().clone());
    let mint = Mint::new(&keys.mint, known, config.audience.clone())
        .map_err(|e| OpenError::Unusable(e.to_string()))?;
    let rehearsal = Mint::for_rehearsal(&config.entropy, config.audience.clone())
        .map_err(|e| OpenError::Unusable(e.to_string()))?;
    let passwords = Passwords::new(config.entropy.clone())
        .await
        .map_err(|e| OpenError::Unusable(e.to_string()))?;
    let source: Arc<dyn CatalogueSource> = match config.catalogue {
        Some(source) => source,
        None => Arc::new(HttpCatalogue::new(&config.gateway_url)?),
    };
    let documents = config
        .documents
        .unwrap_or_else(|| Arc::new(HttpDocuments::default()));
    let identities = config
        .identity_provider
        .map(|provider| identities(provider, &site, &config.entropy));
    let setup_link = setup_link(&store, &config.clock, &config.entropy).await?;
    Ok(Core {
        catalogue: Catalogue::new(source, config.audience.clone(), Arc::clone(&config.clock)),
        passkeys: RelyingParty::of(&site),
        refusals: Refusals::default(),
        unvouched: Lately::default(),
        places: Places::new(config.notify)?,
        pulse: Pulse::default(),
        settings: Settings {
            site,
            audience: config.audience,
            request_lifetime: config.request_lifetime,
            poll_interval: config.poll_interval,
            quiet_after_denial: config.quiet_after_denial,
            browser_idle: config.browser_idle,
            browser_absolute: config.browser_absolute,
        },
        clock: config.clock,
        entropy: config.entropy,
        store,
        audit,
        keys,
        key_set: key_set_json,
        registrations: Registrations::new(clients_key),
        documents: Fetches::new(documents),
        spiffe: config.spiffe.map(SpiffeTrust::new),
        mint,
        rehearsal,
        passwords,
        sign_in_attempts: Throttle::default(),
        passkey_attempts: Throttle::forgetting(),
        code_attempts: Throttle::default(),
        all_code_attempts: SharedThrottle::default(),
        operator,
        gateway,
        setup_link: SetupLink::new(setup_link),
        identities: identities.transpose()?,
    })
}

/// The way to the identity provider, and what its groups may do here.
fn identities(
    config: IdentityProvider,
    site: &Site,
    entropy: &Entropy,
) -> Result<Identities, OpenError> {
    let unusable = |why: String| OpenError::IdentityProvider(why);
    let redirect = site.url("/sign-in/identity/return");
    let provider = Provider::new(config, redirect).map_err(|e| unusable(e.to_string()))?;
    let sealer = Sealer::new(entropy).map_err(|e| unusable(e.to_string()))?;
    Identities::new(provider, sealer).map_err(|e| unusable(e.to_string()))
}

/// The published keys. The number goes up when the content changes, so that verifiers never
/// see two contents under one number.
async fn key_set(
    keys: &IssuerKeys,
    site: &Site,
    store: &Store,
) -> Result<KeySetDocument, OpenError> {
    let build = |seq| {
        let mint = MintKey::active(MINT_KEY_ID, PublicKeyHex::from(&keys.mint));
        let revocation = PublicKeyHex::from(&keys.revocation);
        KeySetDocument::new(seq, site.origin(), vec![mint], vec![revocation])
            .map_err(|e| OpenError::Unusable(e.to_string()))
    };
    let unnumbered =
        serde_json::to_string(&build(0)?).map_err(|e| OpenError::Unusable(e.to_string()))?;
    build(store.key_set_seq(&unnumbered).await?)
}

/// A fresh link while there is no approver; links of earlier starts stop working.
async fn setup_link(
    store: &Store,
    clock: &Arc<dyn bailiwick_verifier::Clock>,
    entropy: &Entropy,
) -> Result<Option<Secret>, OpenError> {
    if store.has_account().await? {
        return Ok(None);
    }
    let link = Secret::generate(entropy);
    store
        .replace_setup_link(&link.digest(), clock.now().utc)
        .await?;
    Ok(Some(link))
}

fn private_dir(dir: &Path) -> Result<(), OpenError> {
    if !dir.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io_error(dir))?;
    }
    let mut permissions = fs::metadata(dir).map_err(io_error(dir))?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o700);
        fs::set_permissions(dir, permissions).map_err(io_error(dir))?;
    }
    Ok(())
}

/// Reads a secret from its file, or makes both.
fn secret_file(path: &Path, entropy: &Entropy) -> Result<Secret, OpenError> {
    if !path.exists() {
        let text = format!("{}\n", Secret::generate(entropy).expose());
        keys::write_private(path, text.as_bytes()).map_err(io_error(path))?;
    }
    let text = keys::read_private(path)?;
    let secret = text.trim();
    if secret.len() < 32 {
        return Err(KeyError::Malformed(path.to_owned()).into());
    }
    Ok(Secret::received(secret))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}
