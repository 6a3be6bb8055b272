//! A generator of policies from a small vocabulary, so that they often meet the generated calls.

use rand::{Rng, rngs::StdRng, seq::SliceRandom};

/// Facts of the token, the request and the clock, with the variables they bind.
const FACTS: [(&str, &[&str]); 30] = [
    ("tool($t)", &["t"]),
    ("tool(\"a\")", &[]),
    ("access($a)", &["a"]),
    ("access(\"read\")", &[]),
    ("resource($r)", &["r"]),
    ("resource($p)", &["p"]),
    ("resource([\"a\", \"b\"])", &[]),
    ("args($args)", &["args"]),
    ("args($args)", &["args"]),
    ("args($args)", &["args"]),
    ("depth($d)", &["d"]),
    ("depth(1)", &[]),
    ("max_depth($m)", &["m"]),
    ("time_of_day($min)", &["min"]),
    ("weekday($w)", &["w"]),
    ("application($app)", &["app"]),
    ("agent($app)", &["app"]),
    ("agent($g)", &["g"]),
    ("holder($h)", &["h"]),
    ("grant($i, $t, $a, $p)", &["i", "t", "a", "p"]),
    ("grant($i, \"a\", $x, $p)", &["i", "x", "p"]),
    ("grant($j, $y, \"read\", $q)", &["j", "y", "q"]),
    ("path_arg($n, $p)", &["n", "p"]),
    ("path_arg(\"n\", $q)", &["q"]),
    ("url_arg($n, $u)", &["n", "u"]),
    ("time($now)", &["now"]),
    ("expires_at($end)", &["end"]),
    ("c($p, $k)", &["p", "k"]),
    ("c($p, \"x\")", &["p"]),
    ("c($r, $k)", &["r", "k"]),
];

/// Facts that the policy defines, with the variables they bind.
const OWN_FACTS: [(&str, &[&str]); 8] = [
    ("n($d)", &["d"]),
    ("n($v)", &["v"]),
    ("mixed($v)", &["v"]),
    ("mixed($v)", &["v"]),
    ("s($s)", &["s"]),
    ("one($p)", &["p"]),
    ("two($k, $v)", &["k", "v"]),
    ("two($k, 1)", &["k"]),
];

/// Conditions, with the variables they read.
const CONDITIONS: [(&str, &[&str]); 60] = [
    ("$d < 2", &["d"]),
    ("$d <= $m", &["d", "m"]),
    ("$d + 1 > $v", &["d", "v"]),
    ("$v < 2", &["v"]),
    ("$v >= 1", &["v"]),
    ("$v == 1", &["v"]),
    ("$v != \"a\"", &["v"]),
    ("$v === 1", &["v"]),
    ("$v !== \"a\"", &["v"]),
    ("$v.type() == \"integer\"", &["v"]),
    ("$v.length() == 1", &["v"]),
    ("($v > 1).try_or(false)", &["v"]),
    ("($v > 1).try_or(true)", &["v"]),
    ("$d * 4611686018427387904 > 0", &["d"]),
    ("$d - 9223372036854775807 - 2 < 0", &["d"]),
    ("10 / $d > 3", &["d"]),
    ("$d & 1 == 1", &["d"]),
    ("$d | 1 == 1", &["d"]),
    ("$d ^ 3 > 1", &["d"]),
    ("$m * 2 - $d != 1", &["m", "d"]),
    ("$r.starts_with($p)", &["r", "p"]),
    ("$r.starts_with([\"a\"])", &["r"]),
    ("$r.ends_with([\"b\"])", &["r"]),
    ("$r == $p", &["r", "p"]),
    ("$p.length() == 1", &["p"]),
    ("$p.contains(\"a\")", &["p"]),
    ("$p.get(1) == \"b\"", &["p"]),
    ("$p.all($x1 -> $x1 != \"x\")", &["p"]),
    ("$p.any($x2 -> $x2 == $k)", &["p", "k"]),
    ("$args.get(\"n\") == 1", &["args"]),
    ("$args.get(\"n\") > 1", &["args"]),
    ("$args.get(\"n\") == $args.get(\"m\")", &["args"]),
    ("$args.contains(\"n\")", &["args"]),
    ("$args.contains($n)", &["args", "n"]),
    ("!$args.contains(\"n\") || $args.get(\"n\") < 3", &["args"]),
    ("$args.contains(\"n\") && $args.get(\"n\") === 2", &["args"]),
    (
        "$args.all($kv -> [\"n\", \"list\"].contains($kv.get(0)))",
        &["args"],
    ),
    ("$args.any($kv -> $kv.get(1) == 1)", &["args"]),
    ("$args.get(\"list\").contains(\"a\")", &["args"]),
    ("$args.get(\"list\").any($i1 -> $i1 == \"a\")", &["args"]),
    ("$args.get(\"list\").all($i2 -> $i2 < 2)", &["args"]),
    (
        "$args.get(\"list\").all($i3 -> $p.contains($i3))",
        &["args", "p"],
    ),
    ("$args.get(\"list\").length() < 2", &["args"]),
    ("$args.get(\"m\").get(\"a\") == 1", &["args"]),
    ("$args.get(\"n\").starts_with(\"a\")", &["args"]),
    ("$args == {\"n\": 1}", &["args"]),
    ("$u.get(\"host\").ends_with(\".example\")", &["u"]),
    ("$u.get(\"port\") == 443", &["u"]),
    ("$w == \"monday\" || $w == \"sunday\"", &["w"]),
    ("{\"saturday\", \"sunday\"}.contains($w)", &["w"]),
    ("$min >= 480 && $min < 1080", &["min"]),
    ("$t.matches(\"^a.*$\")", &["t"]),
    ("$t.contains(\"b\")", &["t"]),
    ("$k + \"y\" == \"xy\"", &["k"]),
    ("$now < $end", &["now", "end"]),
    ("$a == $x", &["a", "x"]),
    ("$s.contains($d)", &["s", "d"]),
    ("$s.union({3}).contains($v)", &["s", "v"]),
    ("$s.intersection({1, 2}).length() == 1", &["s"]),
    ("{1, 2}.any($e1 -> $e1 == $d)", &["d"]),
];

const GROUND: [&str; 12] = [
    "c([\"a\"], \"x\");",
    "c([\"a\", \"b\"], \"y\");",
    "c([\"b\"], \"x\");",
    "n(0);",
    "n(2);",
    "mixed(1);",
    "mixed(3);",
    "mixed(\"a\");",
    "mixed(null);",
    "mixed([1]);",
    "s({1, 2});",
    "s({\"a\"});",
];

pub(crate) fn policy(rng: &mut StdRng) -> String {
    let mut rules: Vec<String> = (0..rng.gen_range(1..5)).map(|_| rule(rng)).collect();
    for (name, derivations) in [
        ("one(", ["one($p) <- ", "one($p) <- c($p, \"x\"), "]),
        ("two(", ["two($k, $v) <- ", "two($k, 1) <- "]),
    ] {
        if rules.iter().any(|rule| rule.contains(name)) {
            for _ in 0..rng.gen_range(1..3) {
                let head = derivations.choose(rng).unwrap();
                rules.push(derivation(rng, head));
            }
        }
    }
    let text = rules.join("\n");
    let used = |fact: &&str| {
        fact.split('(')
            .next()
            .is_some_and(|name| text.contains(&format!("{name}(")))
    };
    let mut ground: Vec<&str> = GROUND
        .into_iter()
        .filter(used)
        .filter(|_| rng.gen_bool(0.7))
        .collect();
    ground.shuffle(rng);
    rules.extend(ground.into_iter().map(str::to_owned));
    rules.shuffle(rng);
    rules.join("\n")
}

fn rule(rng: &mut StdRng) -> String {
    let kinds = [
        "allow if",
        "deny if",
        "check if",
        "check all",
        "reject if",
        "allow if",
        "check if",
    ];
    let kind = kinds.choose(rng).unwrap();
    let more = rng.gen_bool(0.2) && *kind != "reject if";
    let alternatives: Vec<String> = (0..=usize::from(more))
        .map(|_| body(rng, &[], true))
        .collect();
    format!("{kind} {};", alternatives.join(" or "))
}

/// A rule that derives facts; its body binds what its head names.
fn derivation(rng: &mut StdRng, head: &str) -> String {
    let wanted: &[&str] = match head {
        _ if head.contains("c($p") => &[],
        _ if head.contains("$v") => &["n($v)", "c($q, $k)"],
        _ if head.starts_with("two") => &["c($q, $k)"],
        _ => &["grant($i, $t, $a, $p)"],
    };
    format!("{head}{};", body(rng, wanted, false))
}

fn body(rng: &mut StdRng, first: &[&str], with_derived: bool) -> String {
    let mut parts: Vec<String> = first.iter().map(|fact| (*fact).to_owned()).collect();
    let mut bound: Vec<&str> = Vec::new();
    if first.iter().any(|fact| fact.contains("$v")) {
        bound.extend(["v", "k", "q"]);
    }
    for _ in 0..rng.gen_range(1..4) {
        let (fact, variables) = match rng.gen_bool(0.25) {
            true => {
                let most = if with_derived { OWN_FACTS.len() } else { 5 };
                OWN_FACTS[rng.gen_range(0..most)]
            }
            false => FACTS[rng.gen_range(0..FACTS.len())],
        };
        parts.push(fact.to_owned());
        bound.extend(variables);
    }
    let fitting: Vec<&str> = CONDITIONS
        .iter()
        .filter(|(_, reads)| reads.iter().all(|read| bound.contains(read)))
        .map(|(condition, _)| *condition)
        .collect();
    if !fitting.is_empty() {
        for _ in 0..rng.gen_range(0..3) {
            parts.push(condition(rng, &fitting));
        }
    }
    parts.join(", ")
}

fn condition(rng: &mut StdRng, fitting: &[&str]) -> String {
    let one = fitting.choose(rng).unwrap();
    let other = fitting.choose(rng).unwrap();
    // A parameter may not stand twice in one scope, but does in two closures side by side.
    match rng.gen_range(0..8) {
        0 => format!("!({one})"),
        1 => format!("({one}) || ({other})"),
        2 => format!("({one}) && ({other})"),
        3 => format!("({one}) == ({other})"),
        _ => (*one).to_owned(),
    }
}
