//! Lists of sessions: page by page, by agent and by application, and ending all of one kind.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Browser, World, details};

/// A live session of an agent in an application, for which the browser's person decides.
async fn session(world: &World, by: &mut Browser, client: &str, agent: &str) -> String {
    let details = details().to_string();
    let fields = [
        ("client_id", client),
        ("agent_name", agent),
        ("authorization_details", details.as_str()),
    ];
    let asked = world
        .post_form("/oauth/device_authorization", &fields)
        .await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let asked = asked.json();
    let session = by.approve(&asked).await;
    let polled = world.poll_as(client, &asked).await;
    assert_eq!(polled.status, 200, "{}", polled.body);
    session
}

async fn listed(world: &World, query: &str) -> Value {
    let operator = world.bearer("operator.token");
    let path = format!("/v1/sessions{query}");
    let reply = world.get_as(&path, &operator).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    reply.json()
}

fn ids(list: &Value) -> Vec<String> {
    let sessions = list["sessions"].as_array().unwrap().iter();
    sessions
        .map(|one| one["session"].as_str().unwrap().to_owned())
        .collect()
}

async fn end(world: &World, wanted: &Value) -> Value {
    let reply = world.operate("/v1/revocations", &wanted.to_string()).await;
    assert_eq!(reply.status, 200, "{wanted}: {}", reply.body);
    reply.json()
}

/// Two agents in the default application, one of them in another one as well.
async fn three_sessions() -> (World, Browser, [String; 3]) {
    let (world, mut ada) = World::with_approver().await;
    world.application("billing", &json!({})).await;
    world.assign("billing", "ada").await;
    let writer = session(&world, &mut ada, "bailiwick-cli", "writer").await;
    world.advance(1);
    let reader = session(&world, &mut ada, "bailiwick-cli", "reader").await;
    world.advance(1);
    let elsewhere = session(&world, &mut ada, "billing", "writer").await;
    (world, ada, [writer, reader, elsewhere])
}

#[tokio::test]
async fn every_session_is_on_one_page_of_a_list_and_on_one_only() {
    let (world, mut ada) = World::with_approver().await;
    let mut made = BTreeSet::new();
    for number in 0..5 {
        // Two at the same moment: the id tells them apart.
        world.advance(number % 2);
        made.insert(session(&world, &mut ada, "bailiwick-cli", "writer").await);
    }
    for (limit, pages) in [(1, 5), (2, 3), (4, 2), (5, 1), (6, 1)] {
        let (mut seen, mut query) = (Vec::new(), format!("?limit={limit}"));
        for page in 1..=pages {
            let list = listed(&world, &query).await;
            seen.extend(ids(&list));
            assert_eq!(list["next"].is_null(), page == pages, "{limit} {page}");
            let next = list["next"].as_str().unwrap_or_default();
            query = format!("?limit={limit}&after={next}");
        }
        assert_eq!(seen.len(), 5, "{limit}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made, "{limit}");
    }
}

#[tokio::test]
async fn the_page_shows_fifty_and_leads_to_the_rest() {
    let (world, mut ada) = World::with_approver().await;
    for _ in 0..50 {
        session(&world, &mut ada, "bailiwick-cli", "writer").await;
    }
    let count = |page: &str| page.matches("data-session=").count();
    let page = ada.get("/sessions").await.body;
    assert_eq!((count(&page), page.contains("rel=\"next\"")), (50, false));
    session(&world, &mut ada, "bailiwick-cli", "writer").await;
    let page = ada.get("/sessions").await;
    assert_eq!(count(&page.body), 50);
    let (_, next) = page.body.split_once("rel=\"next\" href=\"").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    assert_eq!(count(&ada.get(&next).await.body), 1, "{next}");
}

#[tokio::test]
async fn sessions_are_found_by_agent_application_and_standing() {
    let (world, mut ada, [writer, reader, elsewhere]) = three_sessions().await;
    end(&world, &json!({"session": reader})).await;
    for (query, found) in [
        ("", vec![&elsewhere, &reader, &writer]),
        (
            "?state=any&agent=&application=",
            vec![&elsewhere, &reader, &writer],
        ),
        ("?state=live", vec![&elsewhere, &writer]),
        ("?state=over", vec![&reader]),
        ("?agent=writer", vec![&elsewhere, &writer]),
        ("?agent=nobody", vec![]),
        ("?application=billing", vec![&elsewhere]),
        ("?application=default&agent=writer", vec![&writer]),
        ("?application=default&agent=writer&state=over", vec![]),
    ] {
        assert_eq!(
            ids(&listed(&world, query).await).iter().collect::<Vec<_>>(),
            found,
            "{query}"
        );
        let page = ada.get(&format!("/sessions{query}")).await.body;
        for session in [&writer, &reader, &elsewhere] {
            assert_eq!(
                page.contains(session.as_str()),
                found.contains(&session),
                "{query}"
            );
        }
    }
    world.advance(900);
    assert_eq!(ids(&listed(&world, "?state=live").await).len(), 0);
    assert_eq!(ids(&listed(&world, "?state=over").await).len(), 3);
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused() {
    let (world, mut ada) = World::with_approver().await;
    let operator = world.bearer("operator.token");
    for bad in [
        "state=gone",
        "limit=0",
        "limit=201",
        "limit=x",
        "after=x",
        "after=1",
        "after=-1.ses_0",
        "application=%00",
        "agent=%0a",
        "colour=red",
        "limit=1&limit=1",
    ] {
        let reply = world
            .get_as(&format!("/v1/sessions?{bad}"), &operator)
            .await;
        assert_eq!(reply.verdict(), (400, "malformed_address"), "{bad}");
        let reply = ada.get(&format!("/sessions?{bad}")).await;
        assert_eq!(reply.verdict(), (400, "malformed_address"), "{bad}");
    }
    assert_eq!(
        ids(&listed(&world, "?limit=200&after=9.ses_0").await).len(),
        0
    );
}

#[tokio::test]
async fn all_sessions_of_an_agent_or_an_application_end_at_once() {
    for (wanted, ended) in [
        (json!({"agent": "writer"}), [true, false, true]),
        (
            json!({"agent": "writer", "application": "billing"}),
            [false, false, true],
        ),
        (json!({"application": "default"}), [true, true, false]),
        (json!({"agent": "nobody"}), [false; 3]),
    ] {
        let (world, _ada, sessions) = three_sessions().await;
        let count = ended.iter().filter(|ended| **ended).count();
        let reply = end(&world, &wanted).await;
        assert_eq!(reply["sessions_revoked"], count, "{wanted}");
        assert_eq!(reply["seq"].is_null(), count == 0, "{wanted}");
        let live = ids(&listed(&world, "?state=live").await);
        for (session, ended) in sessions.iter().zip(ended) {
            assert_eq!(live.contains(session), !ended, "{wanted}");
        }
        let lines = world
            .record()
            .into_iter()
            .filter(|(event, _)| event == "sessions_revoked");
        let named: Vec<Value> = lines
            .map(|(_, fields)| fields["sessions"].clone())
            .collect();
        assert_eq!(named.len(), usize::from(count > 0), "{wanted}");
        assert_eq!(
            end(&world, &wanted).await["sessions_revoked"],
            0,
            "{wanted}"
        );
    }
}

#[tokio::test]
async fn what_is_to_end_is_said_in_one_way() {
    let (world, _) = World::with_approver().await;
    for bad in [
        json!({}),
        json!({"session": "ses_0", "agent": "writer"}),
        json!({"session": "ses_0", "application": "default"}),
        json!({"agent": ""}),
        json!({"everything": true}),
    ] {
        let reply = world.operate("/v1/revocations", &bad.to_string()).await;
        assert_eq!(reply.verdict(), (400, "malformed_json"), "{bad}");
    }
    let gateway = world.bearer("gateway.token");
    let all = json!({"application": "default"}).to_string();
    let reply = world.post_json("/v1/revocations", &gateway, &all).await;
    assert_eq!(reply.verdict(), (401, "bad_credentials"));
}

#[tokio::test]
async fn a_person_ends_all_sessions_where_they_decide_and_nowhere_else() {
    let (world, mut ada, [writer, reader, elsewhere]) = three_sessions().await;
    let mut stranger = world.approver("of-billing", &["billing"]).await;
    let fields = [("application", "default"), ("agent", "writer")];
    let reply = stranger.send("/sessions/revoke", &fields).await;
    assert_eq!(reply.verdict(), (403, "not_your_application"));
    assert_eq!(ids(&listed(&world, "?state=live").await).len(), 3);
    let reply = ada.send("/sessions/revoke", &fields).await;
    let back = "/sessions?agent=writer&application=default";
    assert_eq!(
        (reply.status.as_u16(), reply.location().as_str()),
        (303, back)
    );
    assert_eq!(
        ids(&listed(&world, "?state=live").await),
        [elsewhere.clone(), reader]
    );
    let reply = stranger
        .send("/sessions/revoke", &[("application", "billing")])
        .await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let over = ids(&listed(&world, "?state=over").await);
    assert_eq!(over, [elsewhere, writer]);
    for bad in [
        &[][..],
        &[("application", "default"), ("all", "1")],
        &[("agent", "writer"), ("agent", "reader")],
    ] {
        assert_eq!(
            ada.send("/sessions/revoke", bad).await.status,
            400,
            "{bad:?}"
        );
    }
}

/// The lines of the record that name sessions which ended together: by whom, where, and which.
fn ended_together(world: &World) -> Vec<[Value; 3]> {
    let lines = world.record().into_iter();
    let lines = lines.filter(|(event, _)| event == "sessions_revoked");
    lines
        .map(|(_, fields)| ["by", "application", "sessions"].map(|name| fields[name].clone()))
        .collect()
}

#[tokio::test]
async fn a_person_ends_an_agent_wherever_they_decide_and_nowhere_else() {
    let (world, mut ada, [writer, reader, elsewhere]) = three_sessions().await;
    world.application("research", &json!({})).await;
    let mut carol = world.approver("carol", &["research"]).await;
    world.advance(1);
    let unseen = session(&world, &mut carol, "research", "writer").await;
    let of_writer = [("agent", "writer")];
    let mut nowhere = world.person("nobodys", &["approver"]).await;
    let reply = nowhere.send("/sessions/revoke", &of_writer).await;
    assert_eq!(reply.verdict(), (403, "not_your_application"));
    let reply = ada.send("/sessions/revoke", &[("agent", "nobody")]).await;
    assert_eq!(reply.location(), "/sessions?agent=nobody");
    assert_eq!(ended_together(&world), Vec::<[Value; 3]>::new());

    let page = ada.get("/sessions?agent=writer").await.body;
    let (_, button) = page.split_once("id=\"revoke-all\">").unwrap();
    let says = "End every live session of <bdi>writer</bdi> in every application for which you \
        decide</button>";
    assert!(button.starts_with(says), "{button}");
    let reply = ada.send("/sessions/revoke", &of_writer).await;
    assert_eq!(reply.location(), "/sessions?agent=writer");
    let live = ids(&listed(&world, "?state=live").await);
    assert_eq!(live, [unseen.clone(), reader]);
    assert_eq!(
        ended_together(&world),
        [
            [json!("ada"), json!("billing"), json!([elsewhere])],
            [json!("ada"), json!("default"), json!([writer])],
        ]
    );

    let both = ["approver", "auditor"];
    let mut sees_all = world.person("sees-all", &both).await;
    world.assign("billing", "sees-all").await;
    let reply = sees_all.send("/sessions/revoke", &of_writer).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert!(ids(&listed(&world, "?state=live").await).contains(&unseen));
    assert_eq!(
        ended_together(&world).len(),
        2,
        "of what it only sees, none ends"
    );
}

#[tokio::test]
async fn the_page_has_a_button_that_says_what_it_ends_where_there_is_something_to_name() {
    let (world, mut ada, _) = three_sessions().await;
    let mut auditor = world.person("olga", &["auditor"]).await;
    for (query, says) in [
        ("", None),
        ("?state=live", None),
        (
            "?agent=writer&application=billing",
            Some(" of <bdi>writer</bdi> in <bdi>billing</bdi>"),
        ),
        ("?application=billing", Some(" in <bdi>billing</bdi>")),
        (
            "?agent=writer",
            Some(" of <bdi>writer</bdi> in every application for which you decide"),
        ),
    ] {
        let page = ada.get(&format!("/sessions{query}")).await.body;
        let button = page.split_once("id=\"revoke-all\">").map(|(_, rest)| rest);
        let button = button.map(|rest| rest.split_once("</button>").unwrap().0);
        let said = button.map(|text| text.strip_prefix("End every live session").unwrap());
        assert_eq!(said, says, "{query}");
        let page = auditor.get(&format!("/sessions{query}")).await.body;
        assert!(!page.contains("revoke-all"), "{query}");
    }
}

#[tokio::test]
async fn what_was_granted_stands_beside_what_was_used_and_what_was_refused() {
    let (world, mut ada, [writer, ..]) = three_sessions().await;
    let call = |tool: &str, access: &str, code: Option<&str>, delegates: &[&str], at: u32| {
        json!({
            "session": writer, "tool": tool, "access": access, "resources": ["files/reports/q3.md"],
            "delegates": delegates, "decision": if code.is_some() { "deny" } else { "allow" },
            "code": code, "at": format!("2026-01-31T12:00:{at:02}Z"),
        })
    };
    let calls = [
        call("files.read_file", "read", None, &[], 5),
        call("files.read_file", "read", None, &["sub-7"], 7),
        call(
            "files.read_file",
            "read",
            Some("caveat_failed"),
            &["sub-7"],
            8,
        ),
        call(
            "files.delete_file",
            "destructive",
            Some("tool_not_granted"),
            &[],
            9,
        ),
    ];
    let gateway = world.bearer("gateway.token");
    let body = json!({"calls": calls}).to_string();
    assert_eq!(
        world.post_json("/v1/audit", &gateway, &body).await.status,
        200
    );
    let page = ada.get(&format!("/sessions/{writer}")).await.body;
    for shown in [
        "used 2 times, last at 2026-01-31 12:00:07 UTC",
        "refused 1 time as <code>caveat_failed</code>",
        "<code class=\"literal\">files.delete_file</code> 1 time as <code>tool_not_granted</code>",
        "<bdi>sub-7</bdi>: 2 calls, last at 2026-01-31 12:00:08 UTC",
        "2 calls allowed, 2 refused",
    ] {
        assert!(page.contains(shown), "{shown}\n{page}");
    }
    let list = ada.get("/sessions").await.body;
    for shown in ["2 calls allowed, 2 refused", "through <bdi>sub-7</bdi>"] {
        assert!(list.contains(shown), "{shown}\n{list}");
    }
    let one = listed(&world, &format!("/{writer}")).await;
    assert_eq!(
        (&one["calls_allowed"], &one["calls_refused"]),
        (&json!(2), &json!(2))
    );
    let usage = one["usage"].as_array().unwrap();
    assert_eq!(usage.len(), 3);
    assert_eq!(
        (&usage[0]["code"], &usage[0]["calls"]),
        (&json!(null), &json!(2))
    );
    assert_eq!(usage[1]["code"], "tool_not_granted");
    let chain = &one["delegations"][0];
    assert_eq!(
        (&chain["delegates"], &chain["calls"]),
        (&json!(["sub-7"]), &json!(2))
    );
}

#[tokio::test]
async fn a_tool_that_was_never_called_says_so() {
    let (_world, mut ada, [writer, ..]) = three_sessions().await;
    let page = ada.get(&format!("/sessions/{writer}")).await.body;
    assert!(
        page.contains("never used") && !page.contains("id=\"beyond\""),
        "{page}"
    );
    assert!(page.contains("No call has been reported yet."), "{page}");
}

#[tokio::test]
async fn calls_of_tools_that_do_not_exist_hide_nothing_and_do_not_pile_up() {
    let (world, mut ada, [writer, ..]) = three_sessions().await;
    let gateway = world.bearer("gateway.token");
    let call = |tool: &str, code: Option<&str>| {
        json!({
            "session": writer, "tool": tool, "access": code.is_none().then_some("read"),
            "decision": if code.is_some() { "deny" } else { "allow" }, "code": code,
            "at": if code.is_some() { "2026-01-31T12:00:09Z" } else { "2026-01-31T12:00:05Z" },
        })
    };
    let report = async |calls: Vec<Value>| {
        let body = json!({"calls": calls}).to_string();
        let reply = world.post_json("/v1/audit", &gateway, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    report(vec![call("files.read_file", None)]).await;
    for batch in 0..3 {
        let invented = (0..1_000).map(|n| format!("x{}", batch * 1_000 + n));
        report(
            invented
                .map(|tool| call(&tool, Some("unknown_tool")))
                .collect(),
        )
        .await;
    }
    let page = ada.get(&format!("/sessions/{writer}")).await.body;
    assert!(
        page.contains("used 1 time, last at 2026-01-31 12:00:05 UTC"),
        "{page}"
    );
    let list = ada.get("/sessions").await.body;
    assert!(
        list.contains("<code class=\"literal\">files.read_file</code> allowed"),
        "{list}"
    );
    let one = listed(&world, &format!("/{writer}")).await;
    assert_eq!(
        (&one["calls_allowed"], &one["calls_refused"]),
        (&json!(1), &json!(3_000))
    );
    // Two thousand kinds are told apart; the rest is one more.
    let together = one["usage"]
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["tool"] == "");
    assert_eq!(together.unwrap()["calls"], json!(1_001));
}
