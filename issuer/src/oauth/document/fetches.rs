//! How many documents are fetched at once, and how often where it fails.
//!
//! Whoever names an address has the issuer fetch from there. So there are few places, and who finds
//! none is told at once; people who are signed in have places of their own, which programs cannot
//! fill, and so have clients that finish what was approved. What fails rests by itself and not with its whole host, of which others may have good
//! documents; a host where very much fails rests for those that were never read.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use url::Url;

use super::{DocumentError, DocumentSource};
use crate::oauth::client::{ClientError, Lookup};

/// Fetches at once for people who are signed in, and as many for programs.
const PLACES: usize = 4;
/// What is counted together.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// Failures of one document within [`WINDOW`] before it rests.
const MAX_FAILURES: u32 = 5;
/// Failures of documents of one host within [`WINDOW`] before those never read rest.
const MAX_HOST_FAILURES: u32 = 50;
/// Most documents, and as many hosts, whose failures are remembered: past it the oldest is
/// forgotten, which gives it another try and nothing else.
const MAX_REMEMBERED: usize = 4_096;

/// The way to documents.
pub(crate) struct Fetches {
    source: Arc<dyn DocumentSource>,
    people: Semaphore,
    programs: Semaphore,
    /// For documents that were read before, of clients at the token endpoint.
    finishing: Semaphore,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    documents: Tally,
    /// Those that people met and those that programs did: what anybody can bring about must not
    /// keep people from a host.
    hosts_of_people: Tally,
    hosts_of_programs: Tally,
}

impl Fetches {
    pub(crate) fn new(source: Arc<dyn DocumentSource>) -> Self {
        Self {
            source,
            people: Semaphore::new(PLACES),
            programs: Semaphore::new(PLACES),
            finishing: Semaphore::new(PLACES),
            failures: Mutex::default(),
        }
    }

    /// Fetches a document and reads it. `known` is one that was read before.
    ///
    /// # Errors
    /// [`ClientError::Resting`], [`ClientError::Busy`], [`ClientError::Document`].
    pub(super) async fn read<T>(
        &self,
        url: &Url,
        lookup: Lookup,
        known: bool,
        now: Duration,
        read: impl FnOnce(&[u8]) -> Result<T, DocumentError>,
    ) -> Result<T, ClientError> {
        let places = match lookup {
            Lookup::Person => &self.people,
            Lookup::Finishing if known => &self.finishing,
            Lookup::Asking | Lookup::Finishing => &self.programs,
        };
        let _place = places.try_acquire().map_err(|_| ClientError::Busy)?;
        let (document, host) = (digest(url.as_str()), digest(url.host_str().unwrap_or("")));
        if let Some(retry_after) = self.failures().rest(document, host, lookup, known, now) {
            return Err(ClientError::Resting { retry_after });
        }
        let fetched = self.source.fetch(url).await;
        let done = fetched.and_then(|bytes| read(&bytes));
        match &done {
            Ok(_) => self.failures().documents.forget(document),
            Err(_) => self.failures().count(document, host, lookup, now),
        }
        done.map_err(ClientError::Document)
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    /// How long a document has to rest still, if it has.
    fn rest(
        &self,
        document: Key,
        host: Key,
        lookup: Lookup,
        known: bool,
        now: Duration,
    ) -> Option<Duration> {
        let own = self.documents.rest(document, MAX_FAILURES, now);
        let hosts = match lookup {
            Lookup::Person => &self.hosts_of_people,
            Lookup::Asking | Lookup::Finishing => &self.hosts_of_programs,
        };
        let all = hosts.rest(host, MAX_HOST_FAILURES, now);
        own.max(all.filter(|_| !known))
    }

    fn count(&mut self, document: Key, host: Key, lookup: Lookup, now: Duration) {
        self.documents.count(document, now);
        let hosts = match lookup {
            Lookup::Person => &mut self.hosts_of_people,
            Lookup::Asking | Lookup::Finishing => &mut self.hosts_of_programs,
        };
        hosts.count(host, now);
    }
}

/// Names as digests: what strangers send does not decide how much memory it takes.
type Key = [u8; 32];

/// Counts by name, each within a window that begins with its first.
#[derive(Default)]
struct Tally(HashMap<Key, Count>);

#[derive(Clone, Copy)]
struct Count {
    number: u32,
    ends: Duration,
}

impl Tally {
    fn rest(&self, key: Key, most: u32, now: Duration) -> Option<Duration> {
        let count = self.0.get(&key).filter(|count| now < count.ends)?;
        (count.number >= most).then(|| count.ends.saturating_sub(now))
    }

    fn count(&mut self, key: Key, now: Duration) {
        let fresh = Count {
            number: 0,
            ends: now.saturating_add(WINDOW),
        };
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(&key) {
            self.0.retain(|_, count| now < count.ends);
            let oldest = self.0.iter().min_by_key(|(_, count)| count.ends);
            if let Some(oldest) = oldest.map(|(key, _)| *key)
                && self.0.len() >= MAX_REMEMBERED
            {
                self.0.remove(&oldest);
            }
        }
        let count = self.0.entry(key).or_insert(fresh);
        if now >= count.ends {
            *count = fresh;
        }
        count.number = count.number.saturating_add(1);
    }

    fn forget(&mut self, key: Key) {
        self.0.remove(&key);
    }
}

fn digest(name: &str) -> Key {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Waker},
    };

    use tokio::sync::Notify;

    use super::{super::DocumentFuture, *};

    const START: Duration = Duration::from_secs(1_000);

    /// A web that answers when it is told to, and whose paths with `bad` in them are not there.
    #[derive(Default)]
    struct Web {
        slow: bool,
        go: Notify,
    }

    impl DocumentSource for Web {
        fn fetch<'a>(&'a self, url: &'a Url) -> DocumentFuture<'a> {
            Box::pin(async move {
                if self.slow {
                    self.go.notified().await;
                }
                match url.path().contains("bad") {
                    true => Err(DocumentError::NotADocument),
                    false => Ok(Vec::new()),
                }
            })
        }
    }

    fn waits(work: Pin<&mut impl Future>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        work.poll(&mut context).is_pending()
    }

    async fn read(
        fetches: &Fetches,
        address: &str,
        known: bool,
        now: Duration,
    ) -> Result<(), ClientError> {
        let url = Url::parse(address).unwrap();
        let done = fetches.read(&url, Lookup::Person, known, now, |_| Ok(()));
        done.await
    }

    #[tokio::test]
    async fn document_rests_after_five_failures_and_others_of_its_host_do_not() {
        let fetches = Fetches::new(Arc::new(Web::default()));
        for _ in 0..5 {
            let failed = read(&fetches, "https://a.example/bad", true, START).await;
            assert!(matches!(failed, Err(ClientError::Document(_))));
        }
        let later = START + Duration::from_secs(1);
        let rests = read(&fetches, "https://a.example/bad", true, later).await;
        let left = WINDOW - Duration::from_secs(1);
        assert!(matches!(rests, Err(ClientError::Resting { retry_after }) if retry_after == left));
        assert!(
            read(&fetches, "https://a.example/good", false, later)
                .await
                .is_ok()
        );
        let again = read(&fetches, "https://a.example/bad", true, START + WINDOW).await;
        assert!(matches!(again, Err(ClientError::Document(_))));
    }

    #[tokio::test]
    async fn document_that_is_read_again_starts_anew() {
        let fetches = Fetches::new(Arc::new(Web::default()));
        let url = Url::parse("https://a.example/x").unwrap();
        for _ in 0..4 {
            let wrong = |_: &[u8]| Err::<(), _>(DocumentError::NotADocument);
            let failed = fetches
                .read(&url, Lookup::Person, false, START, wrong)
                .await;
            assert!(matches!(failed, Err(ClientError::Document(_))));
        }
        assert!(read(&fetches, url.as_str(), false, START).await.is_ok());
        let key = digest(url.as_str());
        assert_eq!(fetches.failures().documents.rest(key, 1, START), None);
    }

    #[tokio::test]
    async fn what_programs_bring_about_keeps_no_person_from_a_host() {
        let fetches = Fetches::new(Arc::new(Web::default()));
        let fetch = async |address: &str, lookup| {
            let url = Url::parse(address).unwrap();
            fetches.read(&url, lookup, false, START, |_| Ok(())).await
        };
        for number in 0..50 {
            let address = format!("https://a.example/bad/{number}");
            assert!(fetch(&address, Lookup::Asking).await.is_err());
        }
        let good = "https://a.example/good";
        let rests = fetch(good, Lookup::Asking).await;
        assert!(matches!(rests, Err(ClientError::Resting { .. })));
        assert!(fetch(good, Lookup::Person).await.is_ok());
    }

    #[tokio::test]
    async fn host_rests_after_fifty_failures_for_documents_never_read() {
        let fetches = Fetches::new(Arc::new(Web::default()));
        for number in 0..50 {
            assert!(
                read(&fetches, "https://a.example/good", false, START)
                    .await
                    .is_ok()
            );
            let address = format!("https://a.example/bad/{number}");
            let failed = read(&fetches, &address, false, START).await;
            assert!(matches!(failed, Err(ClientError::Document(_))), "{number}");
        }
        let rests = read(&fetches, "https://a.example/good", false, START).await;
        assert!(matches!(rests, Err(ClientError::Resting { .. })));
        assert!(
            read(&fetches, "https://a.example/good", true, START)
                .await
                .is_ok()
        );
        assert!(
            read(&fetches, "https://b.example/good", false, START)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn four_are_fetched_at_once_and_a_fifth_is_refused_without_waiting() {
        let web = Arc::new(Web {
            slow: true,
            ..Web::default()
        });
        let fetches = Fetches::new(Arc::<Web>::clone(&web));
        let url = Url::parse("https://a.example/x").unwrap();
        let fetch = |lookup| fetches.read(&url, lookup, false, START, |_| Ok(()));
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(fetch(Lookup::Asking))).collect();
        for one in &mut waiting {
            assert!(waits(one.as_mut()));
        }
        for lookup in [Lookup::Asking, Lookup::Finishing] {
            assert!(matches!(fetch(lookup).await, Err(ClientError::Busy)));
        }
        let mut person = Box::pin(fetch(Lookup::Person));
        assert!(waits(person.as_mut()), "people have their own");
        let finishing = fetches.read(&url, Lookup::Finishing, true, START, |_| Ok(()));
        let mut finishing = Box::pin(finishing);
        assert!(waits(finishing.as_mut()), "so have known clients");
        drop((person, finishing));
        for one in waiting {
            web.go.notify_one();
            assert!(one.await.is_ok());
        }
        web.go.notify_one();
        assert!(
            fetch(Lookup::Asking).await.is_ok(),
            "the place is free again"
        );
    }

    #[test]
    fn flood_of_names_is_bounded_and_drives_out_the_oldest() {
        let mut tally = Tally::default();
        for number in 0..=MAX_REMEMBERED {
            let age = Duration::from_millis(u64::try_from(number).unwrap());
            tally.count(digest(&number.to_string()), START + age);
        }
        assert_eq!(tally.0.len(), MAX_REMEMBERED);
        let late = START + Duration::from_secs(10);
        assert_eq!(tally.rest(digest("0"), 1, late), None);
        assert!(tally.rest(digest("1"), 1, late).is_some());
        assert!(
            tally
                .rest(digest(&MAX_REMEMBERED.to_string()), 1, late)
                .is_some()
        );
    }
}
