//! The pulse: a beat for each change of state, for whoever looks at an open page. It says that
//! something happened and nothing of what; who may see what is asked anew at each beat.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// Most pages of one account that wait for beats at once: each open tab is one.
const MAX_OF_ACCOUNT: usize = 8;
/// Most pages that do at all.
const MAX_LISTENERS: usize = 512;

/// What a listener hears.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beat {
    count: u64,
    /// The issuer is ending.
    last: bool,
}

/// Where changes of state are heard.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: watch::Sender<Beat>,
    listeners: Arc<Mutex<HashMap<String, usize>>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            beats: watch::Sender::new(Beat::default()),
            listeners: Arc::default(),
        }
    }
}

impl Pulse {
    /// Something changed.
    pub(crate) fn beat(&self) {
        self.beats
            .send_modify(|beat| beat.count = beat.count.wrapping_add(1));
    }

    /// Nothing more will.
    pub(crate) fn end(&self) {
        self.beats.send_modify(|beat| beat.last = true);
    }

    /// The beats themselves, for the issuer's own tasks.
    pub(crate) fn beats(&self) -> watch::Receiver<Beat> {
        self.beats.subscribe()
    }

    /// A place for one page of an account; `None` when there are enough.
    pub(crate) fn listen(&self, account: &str) -> Option<Listener> {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = listeners.values().sum();
        let own = listeners.get(account).copied().unwrap_or(0);
        if all >= MAX_LISTENERS || own >= MAX_OF_ACCOUNT {
            return None;
        }
        listeners.insert(account.to_owned(), own.saturating_add(1));
        Some(Listener {
            beats: self.beats.subscribe(),
            account: account.to_owned(),
            listeners: Arc::clone(&self.listeners),
        })
    }
}

/// One page that listens. Its place is free again once it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    beats: watch::Receiver<Beat>,
    account: String,
    listeners: Arc<Mutex<HashMap<String, usize>>>,
}

impl Listener {
    /// Waits for the next beat: `false` when there will be none.
    pub(crate) async fn heard(&mut self) -> bool {
        self.beats.changed().await.is_ok() && !self.is_over()
    }

    /// Whether the issuer is ending.
    pub(crate) fn is_over(&self) -> bool {
        self.beats.borrow().last
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = listeners
            .get(&self.account)
            .copied()
            .unwrap_or(0)
            .saturating_sub(1);
        if left == 0 {
            listeners.remove(&self.account);
        } else {
            listeners.insert(self.account.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beat_is_heard_once_and_the_last_one_ends() {
        let pulse = Pulse::default();
        let mut listener = pulse.listen("a").unwrap();
        pulse.beat();
        pulse.beat();
        assert!(listener.heard().await);
        pulse.end();
        assert!(!listener.heard().await);
        assert!(pulse.listen("a").unwrap().is_over());
    }

    #[test]
    fn eight_pages_of_an_account_listen_and_a_place_is_free_again() {
        let pulse = Pulse::default();
        let mut held: Vec<Listener> = (0..8).map(|_| pulse.listen("a").unwrap()).collect();
        assert!(pulse.listen("a").is_none());
        assert!(pulse.listen("b").is_some());
        held.pop();
        assert!(pulse.listen("a").is_some());
    }

    #[test]
    fn five_hundred_and_twelve_pages_listen_and_no_more() {
        let pulse = Pulse::default();
        let listen = |n: usize| pulse.listen(&(n / 8).to_string());
        let held: Vec<Option<Listener>> = (0..512).map(listen).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(pulse.listen("another").is_none());
    }
}
