//! Names and resources of the call: homoglyphs, characters nobody sees, traversal.

use crate::{
    case::Case,
    forge::Draft,
    scene::{authority_with, case, token},
};

pub(crate) fn cases() -> Vec<Case> {
    [tools(), resources(), caveats()].concat()
}

fn tools() -> Vec<Case> {
    let tool = |id: &str, name: &str, why: &str| {
        case(&format!("tool-{id}"), "tool_not_granted", &token(&[]), why).tool(name, "read")
    };
    vec![
        tool(
            "homoglyph",
            "files.re\u{430}d_file",
            "A Cyrillic letter in the name of a tool (rule 6).",
        ),
        tool(
            "zero-width-space",
            "files.read\u{200b}_file",
            "A character nobody sees (rule 6).",
        ),
        tool(
            "zero-width-joiner",
            "files.read_file\u{200d}",
            "A character nobody sees (rule 6).",
        ),
        tool(
            "soft-hyphen",
            "files.read\u{ad}_file",
            "A character nobody sees (rule 6).",
        ),
        tool(
            "bidi",
            "files.\u{202e}elif_daer",
            "Text that is shown the other way round (rule 6).",
        ),
        tool(
            "fullwidth",
            "\u{ff46}iles.read_file",
            "A letter of another width (rule 6).",
        ),
        tool(
            "upper-case",
            "Files.read_file",
            "Names are byte-exact (rule 6).",
        ),
        tool(
            "space-behind",
            "files.read_file ",
            "A space behind the name (rule 6).",
        ),
        tool(
            "line-break",
            "files.read_file\n",
            "A line break behind the name (rule 6).",
        ),
        tool(
            "nul",
            "files.read_file\0",
            "A name that ends early for programs written in C (rule 6).",
        ),
        tool("empty", "", "No name (rule 6)."),
        tool(
            "longest",
            &"t".repeat(64),
            "A name as long as names may be, which nobody granted (rule 6).",
        ),
        tool(
            "longer",
            &"t".repeat(65),
            "A name longer than names may be (rule 6).",
        ),
        tool(
            "prefix",
            "files.read",
            "The front of a granted name (rule 6).",
        ),
        tool(
            "longer-than-granted",
            "files.read_file2",
            "A granted name and more (rule 6).",
        ),
        tool(
            "like-datalog",
            "x\"),allow if true",
            "A name is never read as Datalog (rule 6).",
        ),
    ]
}

fn resources() -> Vec<Case> {
    let with = |id: &str, verdict: &str, resources: &[&str], why: &str| {
        case(&format!("resource-{id}"), verdict, &token(&[]), why).resources(resources)
    };
    let refused = |id: &str, path: &str, why: &str| with(id, "resource_not_granted", &[path], why);
    let cafe_composed = Draft::of(
        &authority_with("grant(\"g9\", \"files.read_file\", \"read\", [\"caf\u{e9}\"])"),
        &[],
    );
    let longest = format!("files/reports/{}", "a".repeat(4_096 - 14));
    let longer = format!("{longest}a");
    let many: Vec<String> = (0..64).map(|n| format!("files/reports/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let more: Vec<&str> = many.iter().copied().chain(["files/reports/64"]).collect();
    vec![
        refused(
            "dot-dot",
            "files/reports/../secret",
            "A segment that goes up (rule 8).",
        ),
        refused(
            "dot-dot-at-end",
            "files/reports/..",
            "A segment that goes up (rule 8).",
        ),
        refused(
            "dot-dot-back",
            "files/reports/../reports/q3.md",
            "A segment that goes up, though the way leads back (rule 8).",
        ),
        refused(
            "dot",
            "files/./reports/q3.md",
            "A segment that stays (rule 8).",
        ),
        refused(
            "double-slash",
            "files//reports/q3.md",
            "An empty segment (rule 8).",
        ),
        refused(
            "leading-slash",
            "/files/reports/q3.md",
            "An empty segment in front (rule 8).",
        ),
        refused(
            "trailing-slash",
            "files/reports/",
            "An empty segment behind (rule 8).",
        ),
        refused("empty", "", "An empty resource (rule 8)."),
        refused(
            "percent",
            "files/reports/%2e%2e/secret",
            "An encoded way up (rule 8).",
        ),
        refused(
            "percent-harmless",
            "files/reports/100%",
            "A percent sign that encodes nothing is refused all the same (rule 8).",
        ),
        refused(
            "backslash",
            "files/reports/..\\secret",
            "A separator of other systems (rule 8).",
        ),
        refused(
            "nul",
            "files/reports/q3.md\0.png",
            "A path that ends early for programs written in C (rule 8).",
        ),
        refused(
            "line-break",
            "files/reports/q3.md\n",
            "A control character (rule 8).",
        ),
        refused(
            "bidi",
            "files/reports/\u{202e}dm.3q",
            "A character that turns the text round (rule 8).",
        ),
        refused(
            "zero-width",
            "files/reports/q3\u{200b}.md",
            "A character nobody sees (rule 8).",
        ),
        refused(
            "byte-order-mark",
            "\u{feff}files/reports/q3.md",
            "A character nobody sees (rule 8).",
        ),
        refused(
            "delete-character",
            "files/reports/q3.md\u{7f}",
            "A control character (rule 8).",
        ),
        refused(
            "next-line-character",
            "files/reports/q3\u{85}.md",
            "A control character beyond ASCII (rule 8).",
        ),
        refused(
            "fullwidth-slash",
            "files\u{ff0f}reports/q3.md",
            "A character that looks like a slash is ordinary text, and so another place (rule 8).",
        ),
        refused(
            "homoglyph",
            "files/rep\u{43e}rts/q3.md",
            "A Cyrillic letter is another letter (rule 8).",
        ),
        refused(
            "upper-case",
            "files/Reports/q3.md",
            "Paths are byte-exact (rule 8).",
        ),
        refused(
            "space-in-front",
            " files/reports/q3.md",
            "A space is a character like any other (rule 8).",
        ),
        refused(
            "tilde",
            "~/reports/q3.md",
            "A tilde is not a way home (rule 8).",
        ),
        refused(
            "url",
            "file:///files/reports/q3.md",
            "A URL has an empty segment (rule 8).",
        ),
        refused("longer", &longer, "More than 4,096 bytes (rule 8)."),
        with("longest", "allow", &[&longest], "4,096 bytes (rule 8)."),
        with(
            "none",
            "resource_not_granted",
            &[],
            "A call names at least one resource (rule 7).",
        ),
        with(
            "two",
            "allow",
            &["files/reports/q3.md", "files/reports/q4.md"],
            "Each resource is under the grant (rule 7).",
        ),
        with(
            "one-outside",
            "resource_not_granted",
            &["files/reports/q3.md", "files/private/q3.md"],
            "Each resource has to be granted (rule 7).",
        ),
        with(
            "one-unreadable",
            "resource_not_granted",
            &["files/reports/q3.md", "files/reports/.."],
            "Each resource has to be readable (rules 7 and 8).",
        ),
        with(
            "twice",
            "allow",
            &["files/reports/q3.md", "files/reports/q3.md"],
            "The same resource twice (rule 7).",
        ),
        with(
            "most",
            "allow",
            &many,
            "Sixty-four resources of one call (rule 7).",
        ),
        with(
            "more-than-most",
            "limit_exceeded",
            &more,
            "Sixty-five resources of one call (rule 22).",
        ),
        with(
            "ordinary-characters",
            "allow",
            &["files/reports/a b & c (1) #2 ?x=1 ~$+=,;@!'ü.md"],
            "All other text is ordinary (rule 8).",
        ),
        with(
            "three-dots",
            "allow",
            &["files/reports/..."],
            "Three dots are a name (rule 8).",
        ),
        with(
            "dots-in-front",
            "allow",
            &["files/reports/..q3.md"],
            "Two dots in front of a name are a name (rule 8).",
        ),
        with(
            "emoji",
            "allow",
            &["files/reports/\u{1f4c8}.md"],
            "Letters and pictures beyond ASCII are ordinary (rule 8).",
        ),
        case(
            "resource-composed",
            "allow",
            &cafe_composed,
            "The granted bytes (rule 8).",
        )
        .resources(&["caf\u{e9}/menu"]),
        case(
            "resource-decomposed",
            "resource_not_granted",
            &cafe_composed,
            "The same word in other bytes: nothing is normalised into acceptance (rule 8).",
        )
        .resources(&["cafe\u{301}/menu"]),
    ]
}

fn caveats() -> Vec<Case> {
    vec![
        case(
            "caveat-tool-homoglyph",
            "caveat_failed",
            &token(&["check if tool(\"files.re\u{430}d_file\");"]),
            "A block narrowed to a name that only looks like the tool's (rule 17).",
        ),
        case(
            "caveat-tool-zero-width",
            "caveat_failed",
            &token(&["check if tool(\"files.read_file\u{200b}\");"]),
            "A block narrowed to a name that only looks like the tool's (rule 17).",
        ),
        case(
            "caveat-access-upper-case",
            "caveat_failed",
            &token(&["check if access(\"READ\");"]),
            "Access is named byte by byte (rule 17).",
        ),
        case(
            "caveat-resource-homoglyph",
            "caveat_failed",
            &token(&["check if resource($r), $r.starts_with([\"files\", \"rep\u{43e}rts\"]);"]),
            "A block narrowed to a place that only looks like the one of the call (rule 17).",
        ),
        case(
            "caveat-resource-with-slash",
            "caveat_failed",
            &token(&["check if resource($r), $r.starts_with([\"files/reports\"]);"]),
            "No segment of a call holds a slash (rule 17).",
        ),
        case(
            "caveat-resource-dot-dot",
            "caveat_failed",
            &token(&[
                "check if resource($r), $r.starts_with([\"files\", \"private\", \"..\", \"reports\"]);",
            ]),
            "Segments of a block are compared, not walked (rule 17).",
        ),
        case(
            "caveat-audience-homoglyph",
            "wrong_audience",
            &token(&["check if request_audience(\"http://127.0.0.1:8401/m\u{441}p\");"]),
            "A block narrowed to an audience that only looks like this one (rule 5).",
        ),
    ]
}
