//! `atoms embed`: embeddings in, and what they are like.

mod load;
mod ls;
mod rm;
mod stats;

use super::Context;
use crate::args::{EmbedAction, EmbedArgs};
use crate::failure::Result;

pub fn run(context: &Context, args: &EmbedArgs) -> Result<()> {
    match &args.action {
        EmbedAction::Load(args) => load::run(context, args),
        EmbedAction::Stats(args) => stats::run(context, args),
        EmbedAction::Ls => ls::run(context),
        EmbedAction::Rm(args) => rm::run(context, args),
    }
}
