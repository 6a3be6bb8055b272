//! The built-in `files` provider: six tools over one sandbox directory.
//!
//! Owns the meaning of their arguments ([`operation`]), how they describe themselves
//! ([`definitions`]) and the directory itself ([`sandbox`]). Authorization is not decided here:
//! [`FilesProvider::execute`] takes a call that only a permit can have produced.

mod definitions;
mod error;
mod listing;
mod operation;
mod path;
mod provider;
mod sandbox;
mod search;

pub(crate) use self::{
    definitions::describe,
    operation::{FileOperation, FileTool},
    path::RESOURCE_ROOT,
    provider::FilesProvider,
};
