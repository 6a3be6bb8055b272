//! First approvals that count no more by the time of the second.

use serde_json::{Value, json};

use crate::{
    deciding::{approval, rules},
    harness::{Browser, World, authenticator::Authenticator},
    passkeys::{HERE, add, touched, touching},
};

const TWO: &str = "two-approvers access=write";
const TOUCH: &str = "passkey access=write";

/// An issuer where two approvers with passkeys decide together.
struct Two {
    world: World,
    ada: Browser,
    of_ada: Authenticator,
    bob: Browser,
    of_bob: Authenticator,
}

async fn two() -> Two {
    let (world, ada, of_ada) = touching().await;
    let mut bob = world.approver("bob", &["default"]).await;
    let mut of_bob = Authenticator::new(9, HERE);
    assert_eq!(add(&mut bob, &mut of_bob, "Key").await.location(), "/me");
    Two {
        world,
        ada,
        of_ada,
        bob,
        of_bob,
    }
}

impl Two {
    /// Ada approves first, with a touch or without.
    async fn first(&mut self, asked: &Value, touches: bool) {
        let mut form = approval(&mut self.ada, asked).await;
        if touches {
            form = touched(&mut self.ada, &form, &mut self.of_ada).await;
        }
        let reply = self.ada.submit(&form).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
    }

    /// Bob approves with a touch; whether that was the second approval, and what the record says.
    async fn then_bob(&mut self, asked: &Value) -> (bool, Value) {
        let form = approval(&mut self.bob, asked).await;
        let form = touched(&mut self.bob, &form, &mut self.of_bob).await;
        let reply = self.bob.submit(&form).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        let (event, fields) = self.world.record().pop().unwrap();
        let is_second = event == "request_approved";
        assert!(is_second || event == "request_approved_once", "{event}");
        (is_second, fields["void_first_approval_by"].clone())
    }
}

#[tokio::test]
async fn first_approval_without_a_touch_lapses_once_a_rule_demands_one() {
    let mut two = two().await;
    let elsewhere = "passkey access=destructive";
    // What is in force at the first approval, at the second, and whether the first touches.
    for (before, after, touches, stands) in [
        (&[TWO][..], &[TWO, TOUCH][..], false, false),
        (&[TWO, TOUCH], &[TWO, TOUCH], true, true),
        (&[TWO], &[TWO, elsewhere], false, true),
    ] {
        rules(&two.world, before).await;
        let asked = two.world.asked().await;
        two.first(&asked, touches).await;
        rules(&two.world, after).await;
        let page = approval(&mut two.bob, &asked).await.page;
        let shown = page.contains("ada has approved");
        assert_eq!(shown, stands, "{before:?} {after:?}: {page}");
        let form = approval(&mut two.bob, &asked).await;
        let form = if after.contains(&TOUCH) {
            touched(&mut two.bob, &form, &mut two.of_bob).await
        } else {
            form
        };
        assert_eq!(two.bob.submit(&form).await.status, 303);
        let (event, fields) = two.world.record().pop().unwrap();
        let polled = two.world.poll(&asked).await;
        if stands {
            assert_eq!(event, "request_approved", "{before:?} {after:?}");
            assert_eq!(fields["void_first_approval_by"], Value::Null);
            assert_eq!(polled.status, 200);
        } else {
            assert_eq!(event, "request_approved_once", "{before:?} {after:?}");
            assert_eq!(fields["void_first_approval_by"], "ada");
            assert_eq!(polled.oauth().1, "authorization_pending");
            // Now ada is the second, with a touch.
            two.first(&asked, true).await;
            two.world.advance(5);
            assert_eq!(two.world.poll(&asked).await.status, 200);
        }
    }
}

#[tokio::test]
async fn first_approval_lapses_with_the_passkey_that_confirmed_it() {
    let mut two = two().await;
    rules(&two.world, &[TWO, TOUCH]).await;
    for removed in [false, true] {
        let asked = two.world.asked().await;
        two.first(&asked, true).await;
        if removed {
            let relinked = two.world.operate("/v1/accounts/ada/link", "").await;
            let link = relinked.json()["set_up_link"].as_str().unwrap().to_owned();
            let link = link.strip_prefix(HERE).unwrap();
            let mut again = two.world.browser();
            let reply = again.accept(link, crate::harness::PASSWORD).await;
            assert_eq!(reply.status, 303, "{}", reply.body);
        }
        let (is_second, void) = two.then_bob(&asked).await;
        assert_eq!(is_second, !removed);
        let expected = if removed { json!("ada") } else { Value::Null };
        assert_eq!(void, expected);
    }
}
