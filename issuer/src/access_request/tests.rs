use super::*;
use crate::{
    catalogue::CatalogueSnapshot,
    oauth::client::{AuthMethod, ClientKind, Identity},
};

const AUDIENCE: &str = "http://127.0.0.1/mcp";

fn application() -> Application {
    Application {
        id: ApplicationId::parse("default").unwrap(),
        name: "Default".to_owned(),
        default_duration: Duration::from_secs(900),
        max_duration: Duration::from_secs(28_800),
        max_depth: 3,
        allowed_tools: None,
        rules: Vec::new(),
    }
}

fn requester() -> Requester {
    Requester {
        client_id: "client".to_owned(),
        name: "Client".to_owned(),
        kind: ClientKind::Dynamic,
        identity: Identity::Claimed,
        returns_to: Some("127.0.0.1".to_owned()),
    }
}

fn audience() -> Audience {
    Audience::parse(AUDIENCE).unwrap()
}

fn read(details: &Value) -> AccessRequest {
    let tool = |name: &str, access: &str| json!({"name": name, "title": name, "access": access, "definition_digest": "sha256/0"});
    let catalogue = json!({"audience": AUDIENCE,
        "tools": [tool("files.read_file", "read"), tool("files.write_file", "write")]});
    let catalogue =
        CatalogueSnapshot::parse(catalogue.to_string().as_bytes(), &audience()).unwrap();
    let text = details.to_string();
    let details = Details::parse(text.as_bytes(), &application(), &audience()).unwrap();
    let application = application();
    let asker = Asker {
        application: &application,
        requester: requester(),
        agent: AgentName::parse("agent").unwrap(),
        holder: None,
    };
    AccessRequest::new(asker, audience(), details, &catalogue, None).unwrap()
}

fn details() -> Value {
    json!([{"type": "mcp_tools", "task": "t", "duration": 60, "tools": [
        {"name": "files.read_file", "resources": ["files/a", "files/b"]},
        {"name": "files.write_file", "access": "write", "resources": ["files/c"],
         "args": {"z": {"prefix": "p", "optional": true}, "a": {"one_of": ["x", 1, true]}},
         "closed_arguments": true},
    ]}])
}

#[test]
fn stored_request_is_read_back_as_it_was() {
    let request = read(&details());
    let (text, digest) = request.to_stored().unwrap();
    assert_eq!(AccessRequest::from_stored(&text, digest).unwrap(), request);
    assert_eq!(
        AccessRequest::from_stored(&text, digest)
            .unwrap()
            .to_stored()
            .unwrap(),
        (text, digest)
    );
}

#[test]
fn changed_text_does_not_match_its_digest() {
    let (text, digest) = read(&details()).to_stored().unwrap();
    let changed = text.replace("files/c", "files");
    assert_ne!(changed, text);
    assert!(AccessRequest::from_stored(&changed, digest).is_err());
}

#[test]
fn order_of_members_does_not_change_the_digest_and_any_content_does() {
    let digest = |details: &Value| read(details).to_stored().unwrap().1;
    let before = digest(&details());
    let mut reordered = details();
    let tools = reordered[0]
        .as_object_mut()
        .unwrap()
        .remove("tools")
        .unwrap();
    reordered[0]
        .as_object_mut()
        .unwrap()
        .insert("tools".to_owned(), tools);
    reordered[0]["tools"][1]["args"] =
        json!({"a": {"one_of": ["x", 1, true]}, "z": {"optional": true, "prefix": "p"}});
    assert_eq!(digest(&reordered), before);
    for (pointer, value) in [
        ("/0/task", json!("u")),
        ("/0/duration", json!(61)),
        ("/0/tools/0/resources/1", json!("files/d")),
        ("/0/tools/1/args/z/prefix", json!("q")),
        ("/0/tools/1/closed_arguments", json!(false)),
    ] {
        let mut other = details();
        *other.pointer_mut(pointer).unwrap() = value;
        assert_ne!(digest(&other), before, "{pointer}");
    }
}

#[test]
fn granted_details_are_read_back_as_they_were() {
    let request = read(&details());
    let scopes: Vec<ToolScope> = request
        .tools
        .iter()
        .map(|tool| tool.scope.clone())
        .collect();
    let text = request.authorization_details().to_string();
    assert_eq!(
        read_granted(&text).unwrap(),
        (Duration::from_secs(60), scopes)
    );
}

#[test]
fn digest_has_one_text_form() {
    let digest = RequestDigest::of("x");
    assert_eq!(RequestDigest::parse(&digest.to_hex()), Some(digest));
    for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65)] {
        assert_eq!(RequestDigest::parse(bad), None, "{bad}");
    }
}

#[test]
fn whatever_the_page_shows_of_the_client_is_in_the_digest() {
    let request = read(&details());
    let digest = |change: &dyn Fn(&mut AccessRequest)| {
        let mut request = request.clone();
        change(&mut request);
        let (text, digest) = request.to_stored().unwrap();
        assert_eq!(AccessRequest::from_stored(&text, digest).unwrap(), request);
        digest.to_hex()
    };
    let requester = |change: fn(&mut Requester)| {
        digest(&move |request| change(request.requester.as_mut().unwrap()))
    };
    let scope = request.tools[0].scope.clone();
    let digests = [
        digest(&|_| ()),
        digest(&|request| request.requester = None),
        digest(&|request| request.selection = Selection::Offered),
        digest(&|request| {
            request.held = Some(Held {
                session: "ses_1".to_owned(),
                tools: vec![scope.clone()],
            });
        }),
        requester(|r| r.client_id = "other".to_owned()),
        requester(|r| r.name = "Other".to_owned()),
        requester(|r| r.kind = ClientKind::Registered),
        requester(|r| r.returns_to = None),
        requester(|r| {
            r.identity = Identity::Proved {
                method: AuthMethod::SecretBasic,
                subject: "client".to_owned(),
            };
        }),
    ];
    let distinct: BTreeSet<&String> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn union_with_what_is_held_drops_no_limit_of_either() {
    let scope = |resource: &str, limits: Value| {
        let mut details = details();
        details[0]["tools"][1]["resources"] = json!([resource]);
        let tool = details[0]["tools"][1].as_object_mut().unwrap();
        tool.remove("args");
        tool.remove("closed_arguments");
        tool.extend(limits.as_object().unwrap().clone());
        read(&details).tools.remove(1)
    };
    let (none, limited) = (json!({}), json!({"args": {"a": {"max": 10}}}));
    for (held, asked, joined) in [
        (&none, &none, true),
        (&limited, &limited, true),
        // The new limit holds for all of it.
        (&none, &limited, true),
        // What was held under a limit would be free of it.
        (&limited, &none, false),
        (&limited, &json!({"args": {"a": {"max": 20}}}), false),
    ] {
        let held_scope = scope("files/held", held.clone()).scope;
        let session = Held {
            session: "ses_1".to_owned(),
            tools: vec![held_scope],
        };
        let mut tools = vec![scope("files/asked", asked.clone())];
        let catalogue = json!({"audience": AUDIENCE, "tools": []}).to_string();
        let catalogue = CatalogueSnapshot::parse(catalogue.as_bytes(), &audience()).unwrap();
        session.join(&mut tools, &application(), &catalogue);
        let paths: Vec<String> = tools[0]
            .scope
            .resources
            .iter()
            .map(ToString::to_string)
            .collect();
        let both = ["files/asked", "files/held"];
        assert_eq!(paths, both[..if joined { 2 } else { 1 }], "{held} {asked}");
    }
}
