//! Blocks made to cost time or memory. Each is refused by its shape or its count, before anything
//! is evaluated; the large ones that are inside the profile are decided.

use biscuit_auth::format::schema::{self, op, term};

use crate::{
    case::Case,
    forge::Draft,
    scene::{case, token},
};
use serde_json::json;

pub(crate) fn cases() -> Vec<Case> {
    [joins(), nesting(), counts(), repeated(), large()].concat()
}

fn bomb(id: &str, verdict: &str, source: &str, why: &str) -> Case {
    case(&format!("bomb-{id}"), verdict, &token(&[source]), why)
}

fn joins() -> Vec<Case> {
    let facts: String = (0..60).map(|n| format!("f({n});")).collect();
    let chain: String = (0..60).map(|n| format!("edge({n}, {});", n + 1)).collect();
    vec![
        bomb(
            "cross-join",
            "profile_violation",
            &format!("{facts} check if f($a), f($b), f($c), f($d), $a + $b + $c + $d < 0;"),
            "Sixty facts joined four ways cost the library seconds; facts of a block are refused first (rule 15).",
        ),
        bomb(
            "cross-join-of-request",
            "profile_violation",
            &format!(
                "check if {}, $a0 == \"x\";",
                (0..200)
                    .map(|n| format!("tool($a{n})"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            "Two hundred predicates in one query (rule 17).",
        ),
        bomb(
            "cross-join-check-all",
            "profile_violation",
            &format!("{facts} check all f($a), f($b), f($c), $a + $b + $c < 1000;"),
            "`check all` has to look at every combination (rule 15).",
        ),
        bomb(
            "transitive-rules",
            "profile_violation",
            &format!(
                "{chain} path($a, $b) <- edge($a, $b); path($a, $c) <- path($a, $b), edge($b, $c);"
            ),
            "Rules that derive facts by the thousand (rule 15).",
        ),
        bomb(
            "endless-rule",
            "profile_violation",
            "n(0); n($x + 1) <- n($x);"
                .replace("n($x + 1) <- n($x);", "n($y) <- n($x), n($y);")
                .as_str(),
            "A rule that feeds itself (rule 15).",
        ),
        bomb(
            "facts",
            "profile_violation",
            &(0..900).map(|n| format!("f({n});")).collect::<String>(),
            "Nine hundred facts (rule 15).",
        ),
        bomb(
            "or-chain",
            "profile_violation",
            &format!(
                "check if {};",
                (0..300)
                    .map(|n| format!("tool(\"t{n}\")"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            ),
            "Three hundred queries in one check (rule 17).",
        ),
    ]
}

/// `value` inside `depth` lists.
fn nested_list(depth: usize) -> schema::Term {
    let inner = schema::Term {
        content: Some(term::Content::Integer(1)),
    };
    (0..depth).fold(inner, |inner, _| schema::Term {
        content: Some(term::Content::Array(schema::Array { array: vec![inner] })),
    })
}

fn nested_closure(depth: usize, params: &[u32]) -> schema::Op {
    let value = schema::Op {
        content: Some(op::Content::Value(schema::Term {
            content: Some(term::Content::Bool(true)),
        })),
    };
    (0..depth).fold(value, |inner, _| schema::Op {
        content: Some(op::Content::Closure(schema::OpClosure {
            params: params.to_vec(),
            ops: vec![inner],
        })),
    })
}

fn nesting() -> Vec<Case> {
    let expiry = || token(&["check if time($t), $t <= 2030-01-01T00:00:00Z;"]);
    let version_6 = |block: &mut schema::Block| block.version = Some(6);
    let with_term = |depth: usize| {
        expiry().edit(1, |block| {
            version_6(block);
            block.checks[0].queries[0].expressions[0].ops[1].content =
                Some(op::Content::Value(nested_list(depth)));
        })
    };
    let with_closure = |depth: usize, params: &[u32]| {
        expiry().edit(1, |block| {
            version_6(block);
            block.checks[0].queries[0].expressions[0].ops[1] = nested_closure(depth, params);
        })
    };
    let fact_of_lists = |depth: usize| {
        token(&["delegate(\"x\");"]).edit(1, |block| {
            version_6(block);
            block.facts[0].predicate.terms[0] = nested_list(depth);
        })
    };
    let regex = |pattern: &str| format!("check if tool($t), $t.matches(\"{pattern}\");");
    vec![
        bomb(
            "regex-backtracking",
            "profile_violation",
            &regex("(a+)+$"),
            "A pattern that costs some engines time without end (rule 17).",
        ),
        bomb(
            "regex-counted",
            "profile_violation",
            &regex("((((a{99}){99}){99}){99})"),
            "A pattern that costs memory when it is compiled (rule 17).",
        ),
        bomb(
            "regex-long",
            "profile_violation",
            &regex(&"(a|b)*".repeat(1_500)),
            "A pattern of 9,000 characters (rule 17).",
        ),
        case(
            "bomb-nested-list",
            "profile_violation",
            &with_term(20),
            "Lists twenty deep (rule 17).",
        ),
        case(
            "bomb-nested-list-too-deep",
            "malformed_token",
            &with_term(200),
            "Lists two hundred deep, which no reader has to follow (rule 21).",
        ),
        case(
            "bomb-nested-list-in-fact",
            "profile_violation",
            &fact_of_lists(20),
            "Lists in place of a delegate's name (rule 15).",
        ),
        case(
            "bomb-nested-list-deep-in-fact",
            "malformed_token",
            &fact_of_lists(500),
            "Lists five hundred deep (rule 21).",
        ),
        case(
            "bomb-nested-closure",
            "profile_violation",
            &with_closure(20, &[]),
            "Closures twenty deep (rule 17).",
        ),
        case(
            "bomb-nested-closure-with-parameter",
            "profile_violation",
            &with_closure(20, &[9]),
            "Closures twenty deep, each with a parameter (rule 17).",
        ),
        case(
            "bomb-nested-closure-too-deep",
            "malformed_token",
            &with_closure(300, &[]),
            "Closures three hundred deep (rule 21).",
        ),
        case(
            "bomb-closure-with-many-parameters",
            "profile_violation",
            &with_closure(1, &(0..28).cycle().take(2_000).collect::<Vec<u32>>()),
            "A closure with two thousand parameters (rule 17).",
        ),
        bomb(
            "nested-quantifiers",
            "profile_violation",
            "check if args($a), $a.get(\"n\").all($x -> $a.get(\"n\").all($y -> $a.get(\"n\").all($z -> $x == $z)));",
            "Each element against each against each (rule 17).",
        ),
        bomb(
            "negations",
            "profile_violation",
            &format!("check if tool($t), {}[\"x\"].contains($t);", "!".repeat(40)),
            "Forty negations (rule 17).",
        ),
        bomb(
            "arithmetic",
            "profile_violation",
            &format!("check if time($t), {} < 0;", vec!["1"; 40].join(" + ")),
            "Sums about nothing (rule 17).",
        ),
    ]
}

fn counts() -> Vec<Case> {
    let checks = |count: usize| "check if access(\"read\");".repeat(count);
    let empty_checks = |count: usize| {
        token(&[""]).edit(1, |block| {
            let head = schema::Predicate {
                name: 27,
                terms: Vec::new(),
            };
            let query = schema::Rule {
                head,
                body: Vec::new(),
                expressions: Vec::new(),
                scope: Vec::new(),
            };
            block.checks = vec![
                schema::Check {
                    queries: vec![query],
                    kind: None
                };
                count
            ];
        })
    };
    let list: Vec<usize> = (0..1_000).collect();
    let values = |count: usize| {
        list.iter()
            .take(count)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let subset = |count: usize| {
        format!(
            "check if args($a), $a.get(\"n\").all($x -> [{}].contains($x));",
            values(count)
        )
    };
    let arguments = |count: usize| {
        (0..count)
            .map(|n| (format!("a{n}"), json!(n)))
            .collect::<serde_json::Map<_, _>>()
    };
    let closed = "check if args($a), $a.all($kv -> [\"a0\"].contains($kv.get(0)));";
    vec![
        bomb("most-checks", "allow", &checks(32), "Thirty-two checks in a block (rule 22)."),
        bomb("more-than-most-checks", "limit_exceeded", &checks(33), "Thirty-three checks in a block (rule 22)."),
        case("bomb-empty-checks", "limit_exceeded", &empty_checks(900), "Nine hundred checks about nothing are counted before they are read (rule 22)."),
        case("bomb-comparisons", "limit_exceeded", &token(&[&subset(1_000)]), "A list of 1,000 against an argument of 101 elements asks for more than 100,000 comparisons (rule 22).").args(json!({"n": vec![0; 101]})),
        case("bomb-comparisons-at-most", "allow", &token(&[&subset(1_000)]), "A list of 1,000 against an argument of 100 elements (rule 22).").args(json!({"n": vec![0; 100]})),
        case("bomb-comparisons-in-sum", "limit_exceeded", &token(&[&subset(500).repeat(2)]), "Two checks of half the bound each, and a little more (rule 22).").args(json!({"n": vec![0; 101]})),
        case("bomb-arguments", "limit_exceeded", &token(&[]), "1,025 arguments (rule 22).").args(json!(arguments(1_025))),
        case("bomb-arguments-at-most", "allow", &token(&[]), "1,024 arguments, of which nothing is asked (rule 18).").args(json!(arguments(1_024))),
        case("bomb-arguments-closed", "caveat_failed", &token(&[closed]), "1,024 arguments where one is listed (rule 17).").args(json!(arguments(1_024))),
    ]
}

/// Texts that are written once and meant often.
fn repeated() -> Vec<Case> {
    // 31 names of 2,048 bytes, one that fills up, and the tool that is called: 65,536 bytes.
    let tools = |fill: usize| {
        let long = format!("\"{}\",", "n".repeat(2_048)).repeat(31);
        let last = "m".repeat(fill);
        format!("check if tool($t), [{long}\"{last}\", \"files.read_file\"].contains($t);")
    };
    let fill = 65_536 - 31 * 2_048 - "files.read_file".len();
    // A path of 4,095 bytes counts as 64 comparisons.
    let path = format!("$r.starts_with([\"{}\"])", "n".repeat(4_095));
    let under = |count: usize| {
        let paths = format!("{path} || ").repeat(count);
        format!("check if resource($r), {paths}$r.starts_with([\"files\"]);")
    };
    let blocks = |more: usize| token(&[under(12).as_str(), under(12 + more).as_str()]);
    let resources: Vec<String> = (0..64).map(|n| format!("files/reports/{n}")).collect();
    let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
    let exact = format!("\"{}\"", "n".repeat(639));
    let subset = format!(
        "check if args($a), $a.get(\"n\").any($x -> [{}].contains($x));",
        [exact.as_str(); 100].join(", ")
    );
    let items = |count: usize| {
        let mut items = vec![json!(0); count];
        items.push(json!("n".repeat(639)));
        json!({ "n": items })
    };
    vec![
        bomb(
            "repeated-name-at-most",
            "allow",
            &tools(fill),
            "A name of 2,048 bytes, written once and listed 31 times: 65,536 bytes of text with the rest (rule 22).",
        ),
        bomb(
            "repeated-name",
            "limit_exceeded",
            &tools(fill + 1),
            "One byte of text more (rule 22).",
        ),
        case(
            "bomb-comparisons-of-resources-at-most",
            "allow",
            &blocks(0),
            "Long paths in both blocks against 64 resources: 98,432 comparisons (rule 22).",
        )
        .resources(&resources),
        case(
            "bomb-comparisons-of-resources",
            "limit_exceeded",
            &blocks(1),
            "One long path more: 102,528 comparisons (rule 22).",
        )
        .resources(&resources),
        case(
            "bomb-comparisons-of-long-texts-at-most",
            "allow",
            &token(&[&subset]),
            "A hundred texts of 639 bytes against an argument of 100 elements: 10,000 pairs that count as 100,000 comparisons (rule 22).",
        )
        .args(items(99)),
        case(
            "bomb-comparisons-of-long-texts",
            "limit_exceeded",
            &token(&[&subset]),
            "One element more in the argument (rule 22).",
        )
        .args(items(100)),
    ]
}

fn large() -> Vec<Case> {
    let prefixes = |last: &str| {
        let mut all: Vec<String> = (0..40)
            .map(|n| format!("$r.starts_with([\"p{n}\"])"))
            .collect();
        all.push(format!("$r.starts_with([\"{last}\"])"));
        format!("check if resource($r), {};", all.join(" || "))
    };
    let names = |count: usize| {
        (0..count)
            .map(|n| format!("\"tool.number_{n}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let symbols = |count: usize| {
        token(&["check if access(\"read\");"]).edit(1, |block| {
            block
                .symbols
                .extend((0..count).map(|n| format!("symbol-{n}")));
        })
    };
    let deep_argument = (0..50).fold(json!("x"), |inner, _| json!([inner]));
    vec![
        bomb(
            "many-prefixes",
            "allow",
            &prefixes("files"),
            "Forty-one alternatives, of which the last holds (rule 17).",
        ),
        bomb(
            "many-prefixes-fail",
            "caveat_failed",
            &prefixes("file"),
            "Forty-one alternatives, of which none holds (rule 20).",
        ),
        bomb(
            "many-tools",
            "allow",
            &format!(
                "check if tool($t), [{}, \"files.read_file\"].contains($t);",
                names(400)
            ),
            "Four hundred tools and the one that is called (rule 17).",
        ),
        bomb(
            "many-tools-fail",
            "caveat_failed",
            &format!("check if tool($t), [{}].contains($t);", names(400)),
            "Four hundred tools, not the one that is called (rule 20).",
        ),
        case(
            "bomb-many-symbols",
            "allow",
            &symbols(900),
            "Nine hundred symbols that nothing uses (rule 13).",
        ),
        case(
            "bomb-deep-argument",
            "allow",
            &token(&["check if args($a), $a.contains(\"n\");"]),
            "An argument fifty lists deep is there (rule 17).",
        )
        .args(json!({ "n": deep_argument })),
        case(
            "bomb-deep-argument-compared",
            "caveat_failed",
            &token(&["check if args($a), $a.get(\"n\") == \"x\";"]),
            "An argument fifty lists deep is not the text inside (rule 18).",
        )
        .args(json!({ "n": deep_argument })),
        case(
            "bomb-long-argument",
            "allow",
            &token(&["check if args($a), $a.get(\"n\").ends_with(\"b\");"]),
            "An argument of 20,000 characters (rule 17).",
        )
        .args(json!({ "n": format!("{}b", "a".repeat(20_000)) })),
        case(
            "bomb-full-chain",
            "allow",
            &Draft::of(
                &crate::scene::authority_replacing("max_depth(", "max_depth(16)"),
                &["check if access(\"read\");".repeat(20).as_str(); 16],
            ),
            "Sixteen blocks of twenty checks (rule 22).",
        ),
    ]
}
