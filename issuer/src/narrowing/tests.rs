use bailiwick_datalog::{Access, AgentName, ApplicationId, ArgumentConstraint, Audience};
use proptest::prelude::*;

use super::*;

fn path(text: &str) -> ResourcePath {
    ResourcePath::parse(text).unwrap()
}

fn tool(name: &str, resources: &[&str]) -> RequestedTool {
    RequestedTool {
        scope: ToolScope {
            name: ToolName::parse(name).unwrap(),
            access: Access::Read,
            resources: resources.iter().map(|r| path(r)).collect(),
            args: Vec::new(),
            closed_arguments: false,
            calls: Vec::new(),
        },
        title: name.to_owned(),
        description: String::new(),
        definition_digest: String::new(),
    }
}

fn request() -> AccessRequest {
    AccessRequest {
        application: ApplicationId::parse("default").unwrap(),
        agent: AgentName::parse("agent").unwrap(),
        task: "task".to_owned(),
        audience: Audience::parse("http://127.0.0.1/mcp").unwrap(),
        duration: Duration::from_secs(900),
        holder: None,
        requester: None,
        selection: Selection::Asked,
        held: None,
        tools: vec![
            tool("files.read_file", &["files/a", "files/b"]),
            tool("files.search", &["files"]),
        ],
    }
}

fn key(text: &str) -> ResourceKey {
    ResourceKey::parse(text).unwrap()
}

/// Everything ticked, nothing edited.
fn everything() -> Choice {
    Choice {
        tools: request().tool_names(),
        resources: [
            key("files.read_file#0"),
            key("files.read_file#1"),
            key("files.search#0"),
        ]
        .into(),
        paths: [
            (key("files.read_file#0"), "files/a".to_owned()),
            (key("files.read_file#1"), "files/b".to_owned()),
            (key("files.search#0"), "files".to_owned()),
        ]
        .into(),
        duration: "15m".to_owned(),
        ..Choice::default()
    }
}

fn calls_of(tool: &str, numbers: &[i64]) -> Vec<ExactCall> {
    let tool = ToolName::parse(tool).unwrap();
    let arguments = numbers.iter().map(|n| {
        let object = serde_json::json!({ "n": n });
        object.as_object().unwrap().clone()
    });
    arguments
        .map(|arguments| ExactCall::new(&tool, arguments).unwrap())
        .collect()
}

fn limits_of(lines: &[&str]) -> Vec<ArgumentConstraint> {
    let parse = |line: &&str| ArgumentConstraint::parse_cli(line).unwrap();
    lines.iter().map(parse).collect()
}

/// What is granted of the first tool, which was asked for with these limits, closed or not.
fn limited(
    asked: &[&str],
    closed: bool,
    written: &str,
    close: bool,
) -> Result<ToolScope, NarrowingError> {
    let mut request = request();
    request.tools[0].scope.args = limits_of(asked);
    request.tools[0].scope.closed_arguments = closed;
    let tool = "files.read_file".to_owned();
    let choice = Choice {
        limits: [(tool.clone(), written.to_owned())].into(),
        closed: close.then_some(tool).into_iter().collect(),
        ..everything()
    };
    let granted = narrow(&request, &choice)?;
    assert!(granted.is_within(&request));
    Ok(granted.tools[0].clone())
}

#[test]
fn limits_are_added_and_none_is_taken_off() {
    for (asked, written, expected) in [
        (&[][..], "", &[][..]),
        (&[], " n=5 \r\n\r\nm=a|b\n", &["m=a|b", "n=5"]),
        (&["n=1..9"], "n=3..12", &["n=1..9", "n=3..12"]),
        (&["n=1..9"], "n=1..9", &["n=1..9"]),
        (
            &["n=1..9"],
            "m?=x*\nn={\"exact\":4}",
            &["m?=x*", "n=1..9", "n={\"exact\":4}"],
        ),
    ] {
        let granted = limited(asked, false, written, false).unwrap();
        assert_eq!(granted.args, limits_of(expected), "{written}");
        assert!(!granted.closed_arguments);
        assert!(
            limited(asked, false, written, true)
                .unwrap()
                .closed_arguments
        );
    }
}

#[test]
fn a_limit_does_not_open_what_was_closed() {
    let granted = limited(&["n=1..9"], true, "n=4", false).unwrap();
    assert_eq!(granted.args, limits_of(&["n=1..9", "n=4"]));
    assert!(granted.closed_arguments);
    let opened = limited(&["n=1..9"], true, "m=4", false);
    assert!(
        matches!(opened, Err(NarrowingError::ArgumentClosed { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_line_that_is_no_limit_is_refused_with_the_line() {
    for bad in [
        "n",
        "=5",
        "n={",
        "n={\"exact\":1,\"prefix\":\"a\"}",
        "n={\"under\":\"../x\"}",
    ] {
        let refused = limited(&[], false, &format!("m=1\n{bad}"), false);
        match refused {
            Err(NarrowingError::NotALimit { line, .. }) => assert_eq!(line, bad),
            other => panic!("{bad}: {other:?}"),
        }
    }
}

#[test]
fn limits_beyond_the_request_are_seen_by_the_law() {
    let asked = ToolScope {
        args: limits_of(&["n=1..9"]),
        closed_arguments: true,
        ..request().tools[0].scope.clone()
    };
    let scope = |args: &[&str], closed_arguments| ToolScope {
        args: limits_of(args),
        closed_arguments,
        ..asked.clone()
    };
    for (args, closed, within) in [
        (&["n=1..9"][..], true, true),
        (&["n=1..9", "n=2"], true, true),
        (&["n=1..9"], false, false),
        (&[], true, false),
        (&["n=1..10"], true, false),
        // The list of what may be given would be longer.
        (&["m=1", "n=1..9"], true, false),
    ] {
        assert_eq!(
            is_within(&scope(args, closed), &asked),
            within,
            "{args:?} {closed}"
        );
    }
    let open = scope(&[], false);
    assert!(is_within(&scope(&["m=1"], true), &open));
}

#[test]
fn limits_that_were_added_are_written_as_they_are_read() {
    let asked = request().tools[0].scope.clone();
    let lines = ["m?=x*", "n={\"url\":{\"host\":\"h.example\"}}", "n=1..9"];
    let granted = limited(&[], false, &lines.join("\n"), false).unwrap();
    let written = added_limits(&granted, &asked);
    let again = limited(&[], false, &written.join("\n"), false).unwrap();
    assert_eq!(again, granted);
    assert_eq!(written.len(), 3);
}

/// The request with exact calls of one tool, one of them twice.
fn with_calls() -> AccessRequest {
    let mut request = request();
    request.tools[0].scope.args = limits_of(&["m=1..9", "n=a*"]);
    request.tools[0].scope.closed_arguments = true;
    request.tools[1].scope.calls = calls_of("files.search", &[1, 2, 1]);
    request
}

#[test]
fn exact_calls_are_kept_or_removed_and_never_changed() {
    let choose = |ticked: &[&str]| {
        let calls = ticked.iter().map(|text| key(text)).collect();
        narrow(
            &with_calls(),
            &Choice {
                calls,
                ..everything()
            },
        )
    };
    let kept = |ticked: &[&str]| {
        let granted = choose(ticked).unwrap();
        assert!(granted.is_within(&with_calls()));
        let tools = granted.tools.into_iter();
        let calls = tools.filter(|tool| tool.name.as_str() == "files.search");
        calls.map(|tool| tool.calls).collect::<Vec<_>>()
    };
    let expected = |numbers: &[i64]| vec![calls_of("files.search", numbers)];
    let all = ["files.search#0", "files.search#1", "files.search#2"];
    assert_eq!(kept(&all), expected(&[1, 2, 1]));
    assert_eq!(
        kept(&["files.search#0", "files.search#2"]),
        expected(&[1, 1])
    );
    assert_eq!(kept(&["files.search#1"]), expected(&[2]));
    // A tool without its calls would be granted for any.
    assert!(kept(&[]).is_empty());
    for stray in ["files.search#3", "files.read_file#0", "files.delete_file#0"] {
        assert!(
            matches!(choose(&[stray]), Err(NarrowingError::CallNotRequested(_))),
            "{stray}"
        );
    }
}

#[test]
fn calls_beyond_the_request_are_seen_by_the_law() {
    let granted = |numbers: &[i64]| {
        let asked: Vec<ToolScope> = with_calls().tools.into_iter().map(|t| t.scope).collect();
        let mut granted = Granted {
            duration: Duration::from_secs(900),
            tools: asked,
        };
        granted.tools[1].calls = calls_of("files.search", numbers);
        granted
    };
    for (numbers, within) in [
        (&[1, 2, 1][..], true),
        (&[1, 1, 2], true),
        (&[1], true),
        (&[], false),
        (&[1, 1, 1], false),
        (&[2, 2], false),
        (&[3], false),
    ] {
        assert_eq!(
            granted(numbers).is_within(&with_calls()),
            within,
            "{numbers:?}"
        );
    }
    let mut any_call = with_calls();
    any_call.tools[1].scope.calls.clear();
    assert!(
        !granted(&[1]).is_within(&any_call),
        "what was asked for is any call"
    );
    assert!(granted(&[1]).is_within_grant(&granted(&[1, 2])));
    assert!(!granted(&[1, 2]).is_within_grant(&granted(&[1])));
}

#[test]
fn unchanged_choice_grants_what_was_asked_for() {
    let granted = narrow(&request(), &everything()).unwrap();
    let asked: Vec<ToolScope> = request().tools.into_iter().map(|t| t.scope).collect();
    assert_eq!(
        granted,
        Granted {
            duration: Duration::from_secs(900),
            tools: asked
        }
    );
}

#[test]
fn unticked_tool_is_not_granted() {
    let mut choice = everything();
    choice.tools.remove("files.search");
    assert_eq!(
        narrow(&request(), &choice).unwrap().scope(),
        "tool:files.read_file"
    );
}

#[test]
fn unticked_resource_is_not_granted_whatever_its_path_field_says() {
    let mut choice = everything();
    choice.resources.remove(&key("files.read_file#0"));
    choice
        .paths
        .insert(key("files.read_file#0"), "elsewhere".to_owned());
    assert_eq!(
        narrow(&request(), &choice).unwrap().tools[0].resources,
        [path("files/b")]
    );
}

#[test]
fn tool_with_every_resource_unticked_is_not_granted() {
    let mut choice = everything();
    choice.resources.remove(&key("files.search#0"));
    assert_eq!(
        narrow(&request(), &choice).unwrap().scope(),
        "tool:files.read_file"
    );
}

#[test]
fn resource_is_narrowed_to_a_path_under_it() {
    let mut choice = everything();
    choice
        .paths
        .insert(key("files.search#0"), "files/reports/q3".to_owned());
    assert_eq!(
        narrow(&request(), &choice).unwrap().tools[1].resources,
        [path("files/reports/q3")]
    );
}

#[test]
fn path_outside_the_requested_one_is_refused() {
    for outside in ["files", "files/ab", "other"] {
        let mut choice = everything();
        choice
            .paths
            .insert(key("files.read_file#0"), outside.to_owned());
        assert_eq!(
            narrow(&request(), &choice),
            Err(NarrowingError::ResourceWidened {
                tool: ToolName::parse("files.read_file").unwrap(),
                requested: path("files/a"),
                wanted: path(outside),
            })
        );
    }
}

#[test]
fn path_with_two_readings_is_refused() {
    for bad in [
        "files/a/../../etc",
        "files/a/%2e%2e",
        "files/a/\0",
        "files/a/",
        "files/a\\b",
        "",
    ] {
        let mut choice = everything();
        choice
            .paths
            .insert(key("files.read_file#0"), bad.to_owned());
        assert!(
            matches!(
                narrow(&request(), &choice),
                Err(NarrowingError::NotAPath { .. })
            ),
            "{bad:?}"
        );
    }
}

#[test]
fn time_may_be_shortened_and_not_lengthened() {
    let with = |text: &str| {
        narrow(
            &request(),
            &Choice {
                duration: text.to_owned(),
                ..everything()
            },
        )
    };
    assert_eq!(with("10m").unwrap().duration, Duration::from_secs(600));
    assert_eq!(with("900s").unwrap().duration, Duration::from_secs(900));
    assert!(matches!(
        with("901s"),
        Err(NarrowingError::DurationWidened { .. })
    ));
    assert_eq!(with("0s"), Err(NarrowingError::NoTime));
    assert!(matches!(with("soon"), Err(NarrowingError::NotADuration(_))));
}

#[test]
fn tool_or_resource_that_was_not_asked_for_is_refused() {
    let mut choice = everything();
    choice.tools.insert("files.delete_file".to_owned());
    assert!(matches!(
        narrow(&request(), &choice),
        Err(NarrowingError::ToolNotRequested(_))
    ));
    for stray in ["files.read_file#2", "files.delete_file#0"] {
        let mut choice = everything();
        choice.resources.insert(key(stray));
        assert!(matches!(
            narrow(&request(), &choice),
            Err(NarrowingError::ResourceNotRequested(_))
        ));
        let mut choice = everything();
        choice.paths.insert(key(stray), "files".to_owned());
        assert!(matches!(
            narrow(&request(), &choice),
            Err(NarrowingError::ResourceNotRequested(_))
        ));
    }
}

#[test]
fn nothing_left_is_refused() {
    let no_tools = Choice {
        tools: BTreeSet::new(),
        ..everything()
    };
    assert_eq!(narrow(&request(), &no_tools), Err(NarrowingError::Nothing));
    let no_resources = Choice {
        resources: BTreeSet::new(),
        ..everything()
    };
    assert_eq!(
        narrow(&request(), &no_resources),
        Err(NarrowingError::Nothing)
    );
}

#[test]
fn resource_key_has_one_spelling() {
    assert!(ResourceKey::parse("a#1").is_some());
    for bad in ["a", "a#", "#", "a#01", "a#+1", "a#-1", "a#1 "] {
        assert_eq!(ResourceKey::parse(bad), None, "{bad}");
    }
}

#[test]
fn grant_beyond_the_request_is_seen_by_the_law() {
    let granted = narrow(&request(), &everything()).unwrap();
    assert!(granted.is_within(&request()));
    let mut longer = granted.clone();
    longer.duration = Duration::from_secs(901);
    assert!(!longer.is_within(&request()));
    let mut stronger = granted.clone();
    stronger.tools[0].access = Access::Write;
    assert!(!stronger.is_within(&request()));
    let mut wider = granted.clone();
    wider.tools[0].resources.push(path("files"));
    assert!(!wider.is_within(&request()));
    let mut twice = granted.clone();
    twice.tools.push(twice.tools[0].clone());
    assert!(!twice.is_within(&request()));
    let mut empty = granted;
    empty.tools.clear();
    assert!(!empty.is_within(&request()));
}

fn any_tool() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("files.read_file".to_owned()),
        Just("files.search".to_owned()),
        Just("files.delete_file".to_owned()),
        "[a-z.#\u{202e}]{0,8}",
    ]
}

fn any_key() -> impl Strategy<Value = ResourceKey> {
    (any_tool(), 0_usize..4).prop_map(|(tool, index)| ResourceKey { tool, index })
}

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("files".to_owned()),
        "files/[ab]{1,2}(/[ab.]{1,3}){0,2}",
        "[a-b/.%\\\\]{0,10}",
    ]
}

fn any_choice() -> impl Strategy<Value = Choice> {
    let tools = proptest::collection::btree_set(any_tool(), 0..4);
    let resources = proptest::collection::btree_set(any_key(), 0..5);
    let paths = proptest::collection::btree_map(any_key(), any_path(), 0..5);
    let duration = prop_oneof!["[0-9]{1,4}[hms]", "[0-9hms ]{0,6}"];
    let calls = proptest::collection::btree_set(any_key(), 0..4);
    let limits = proptest::collection::btree_map(any_tool(), any_limits(), 0..3);
    let closed = proptest::collection::btree_set(any_tool(), 0..3);
    (tools, resources, paths, calls, limits, closed, duration).prop_map(
        |(tools, resources, paths, calls, limits, closed, duration)| Choice {
            tools,
            resources,
            calls,
            limits,
            closed,
            paths,
            duration,
        },
    )
}

fn any_limits() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[nm]\\??=[0-9]{1,3}",
        "[nmx]=[ab]{0,2}\\*?",
        Just("n={\"under\":\"a\"}".to_owned()),
        "[a-z={}?*.|\u{202e}]{0,8}",
    ];
    proptest::collection::vec(line, 0..3).prop_map(|lines| lines.join("\n"))
}

/// Choices a person could make with the form as shown, with some path edits.
fn likely_choice() -> impl Strategy<Value = Choice> {
    let keys = ["files.read_file#0", "files.read_file#1", "files.search#0"].map(key);
    let tools = ["files.read_file", "files.search"].map(str::to_owned);
    (
        proptest::sample::subsequence(tools.to_vec(), 0..=2),
        proptest::sample::subsequence(keys.to_vec(), 0..=3),
        proptest::collection::btree_map(proptest::sample::select(keys.to_vec()), any_path(), 0..3),
        proptest::sample::subsequence(vec![0_usize, 1, 2], 0..=3),
        proptest::collection::btree_map(
            proptest::sample::select(tools.to_vec()),
            any_limits(),
            0..3,
        ),
        proptest::sample::subsequence(tools.to_vec(), 0..=2),
        (0_u32..1_200).prop_map(|seconds| format!("{seconds}s")),
    )
        .prop_map(
            |(tools, resources, paths, calls, limits, closed, duration)| Choice {
                limits,
                closed: closed.into_iter().collect(),
                calls: calls
                    .into_iter()
                    .map(|index| key(&format!("files.search#{index}")))
                    .collect(),
                tools: tools.into_iter().collect(),
                resources: resources.into_iter().collect(),
                paths,
                duration,
            },
        )
}

proptest! {
    #[test]
    fn no_choice_grants_more_than_was_asked_for(choice in prop_oneof![any_choice(), likely_choice()]) {
        if let Ok(granted) = narrow(&with_calls(), &choice) {
            prop_assert!(granted.is_within(&with_calls()));
            for tool in &granted.tools {
                prop_assert!(choice.tools.contains(tool.name.as_str()));
            }
        }
    }
}

#[test]
fn nothing_is_legal_where_all_was_only_offered() {
    let offered = AccessRequest {
        selection: Selection::Offered,
        ..request()
    };
    let nothing = Choice {
        duration: "15m".to_owned(),
        ..Choice::default()
    };
    let granted = narrow(&offered, &nothing).unwrap();
    assert_eq!(granted.tools, []);
    assert!(granted.is_within(&offered));
    assert!(!granted.is_within(&request()));
    assert_eq!(narrow(&request(), &nothing), Err(NarrowingError::Nothing));
    assert_eq!(granted.scope(), "");
}
