//! Revocation of each level of a chain, of its branches and of what only looks like it.

use crate::{
    case::Case,
    forge::{Draft, key},
    scene::{case, token},
};

const FIRST: &str = "delegate(\"sub-1\"); check if access(\"read\");";
const SECOND: &str = "check if tool(\"files.read_file\");";

fn ids(draft: &Draft) -> Vec<Vec<u8>> {
    let message = draft.sign();
    std::iter::once(&message.authority)
        .chain(&message.blocks)
        .map(|block| block.signature.clone())
        .collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let whole = || token(&[FIRST, SECOND]);
    let own = ids(&whole());
    let parent = || token(&[FIRST]);
    let sibling = ids(&token(&[FIRST, "delegate(\"sub-2\");"]));
    let twin = ids(&whole().salted("twin"));
    let failing = token(&[FIRST, "check if access(\"write\");"]);
    let expired = token(&[FIRST, "check if time($t), $t <= 2026-01-31T12:00:30Z;"]);
    let misshapen = token(&[FIRST, "check if true;"]);
    let handed = key("holder");
    let bound = {
        let thumbprint = super::holder::thumbprint(&handed);
        token(&[&format!("holder(\"{thumbprint}\");")])
    };
    let mut prefix_only = own[1].clone();
    prefix_only[63] ^= 1;
    let many: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 64]).collect();
    let mut with_own: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    with_own.insert(77, &own[1]);
    let others: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    vec![
        case(
            "revoked-authority",
            "revoked",
            &whole(),
            "The session's own block (rule 12).",
        )
        .revoked(&[&own[0]]),
        case(
            "revoked-first-block",
            "revoked",
            &whole(),
            "A block in the middle (rule 12).",
        )
        .revoked(&[&own[1]]),
        case(
            "revoked-last-block",
            "revoked",
            &whole(),
            "The last block (rule 12).",
        )
        .revoked(&[&own[2]]),
        case(
            "revoked-every-block",
            "revoked",
            &whole(),
            "All blocks at once (rule 12).",
        )
        .revoked(&[&own[0], &own[1], &own[2]]),
        case(
            "revoked-among-others",
            "revoked",
            &whole(),
            "One id among two hundred others (rule 12).",
        )
        .revoked(&with_own),
        case(
            "revoked-others-only",
            "allow",
            &whole(),
            "Two hundred ids of other blocks (rule 12).",
        )
        .revoked(&others),
        case(
            "revoked-child-spares-parent",
            "allow",
            &parent(),
            "Revoking a block leaves what came before it (rule 12).",
        )
        .revoked(&[&own[2]]),
        case(
            "revoked-parent-reaches-child",
            "revoked",
            &whole(),
            "Revoking a block reaches what came after it (rule 12).",
        )
        .revoked(&[&ids(&parent())[1]]),
        case(
            "revoked-sibling",
            "allow",
            &whole(),
            "Another branch of the same parent (rule 12).",
        )
        .revoked(&[&sibling[2]]),
        case(
            "revoked-authority-of-sibling",
            "revoked",
            &whole(),
            "The branches share their authority block (rule 12).",
        )
        .revoked(&[&sibling[0]]),
        case(
            "revoked-twin",
            "allow",
            &whole(),
            "The same words in another session's chain (rule 12).",
        )
        .revoked(&[&twin[1], &twin[2]]),
        case(
            "revoked-sealed",
            "revoked",
            &whole().seal(),
            "A seal changes no id (rules 10 and 12).",
        )
        .revoked(&[&own[1]]),
        case(
            "revoked-sealed-spared",
            "allow",
            &whole().seal(),
            "A sealed token nobody revoked (rules 10 and 12).",
        )
        .revoked(&[&sibling[2]]),
        case(
            "revoked-almost",
            "allow",
            &whole(),
            "An id that differs in its last bit (rule 12).",
        )
        .revoked(&[&prefix_only]),
        case(
            "revoked-holder-block",
            "revoked",
            &bound,
            "Revocation is told before the missing proof (rules 12 and 24).",
        )
        .revoked(&[&ids(&bound)[1]]),
        case(
            "revoked-and-failing",
            "revoked",
            &failing,
            "Revocation is told before a failed condition (rules 12 and 20).",
        )
        .revoked(&[&ids(&failing)[1]]),
        case(
            "revoked-and-expired",
            "expired",
            &expired,
            "What is over is not asked about (rules 4 and 12).",
        )
        .revoked(&[&ids(&expired)[1]]),
        case(
            "revoked-and-misshapen",
            "profile_violation",
            &misshapen,
            "A token outside the profile is not asked about (rules 12 and 15).",
        )
        .revoked(&[&ids(&misshapen)[1]]),
        case(
            "revoked-tool-not-granted",
            "revoked",
            &whole(),
            "Revocation is told before the missing grant (rules 12 and 20).",
        )
        .revoked(&[&own[0]])
        .tool("files.delete_file", "destructive"),
    ]
}
