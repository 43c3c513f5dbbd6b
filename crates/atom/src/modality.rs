//! What an atom is used as.  It is a property of the reference, never of the atom's identity.

use std::fmt;
use std::str::FromStr;

/// What an atom is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modality {
    /// Payload of a tensor, whole or a chunk.
    Tensor,
    /// Text.
    Text,
    /// An image.
    Image,
    /// Sound.
    Audio,
    /// Source code or a node of it.
    Code,
    /// An embedding.
    Embedding,
    /// Bytes of a file that belong to no tensor: its structure, its gaps, or an opaque file.
    File,
}

impl Modality {
    /// Every modality, in the order in which they are listed to users.
    pub const ALL: [Self; 7] =
        [Self::Tensor, Self::Text, Self::Image, Self::Audio, Self::Code, Self::Embedding, Self::File];

    /// Returns the name that SQL users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tensor => "tensor",
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Code => "code",
            Self::Embedding => "embedding",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes a name in any case (`Tensor` is `tensor`).
impl FromStr for Modality {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|modality| modality.name().eq_ignore_ascii_case(text)).ok_or(())
    }
}
