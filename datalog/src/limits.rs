//! Counted bounds of the profile (rule 22). All inclusive: the number itself still passes.

/// Most blocks in a token, the authority block included.
pub const MAX_BLOCKS: usize = 17;
/// Most checks in one block, the fixed ones of the authority block included.
pub const MAX_CHECKS_PER_BLOCK: usize = 32;
/// Most grants in the authority block.
pub const MAX_GRANTS: usize = 256;
/// Most exact calls that a token may hold, each counted as often as it may be made.
pub const MAX_EXACT_CALLS: usize = 32;
/// Longest task text, in bytes.
pub const MAX_TASK_BYTES: usize = 4_096;
/// Delegation hops that a request gets unless it says otherwise.
pub const DEFAULT_MAX_DEPTH: u32 = 3;
/// Most text that the facts and checks of one block stand for, in bytes, each text counted as
/// often as it is used. A block lists a text once and names it again in five bytes: without this
/// bound, 16 KiB would unfold to more than 13 MiB. Honest blocks say less than their size.
pub const MAX_BLOCK_TEXT_BYTES: usize = 65_536;
/// Most comparisons that the conditions of a token may ask of one call: the values of a condition
/// times what they are compared with, a long text counted as several. Far above honest use, and
/// well under a millisecond.
pub const MAX_COMPARISONS: usize = 100_000;
/// Most top-level arguments in one call.
pub const MAX_ARGUMENTS: usize = 1_024;
