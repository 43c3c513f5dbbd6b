//! Element types, and the blocks that quantized tensors consist of.
//!
//! Sources: the `Dtype` enum of the safetensors crate 0.8 and the README beside it; the OCP Microscaling Formats (MX)
//! specification 1.0 for the types below a byte; `ggml_type` and the block structs of ggml for the rest.

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, non_camel_case_types, reason = "each name is the format's own name of the type")]
pub enum Dtype {
    BOOL,
    F4,
    F6_E2M3,
    F6_E3M2,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    F8_E8M0,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    C64,
    F64,
    I64,
    U64,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    IQ1_M,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
}

/// The smallest run of elements that fills whole bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Elements in it.
    pub elements: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

/// Why a number of elements has no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsized {
    /// They would take 2^61 bytes or more: their bits do not fit 64 bits.
    Overflow,
    /// The last block would not be full.
    PartialBlock,
}

impl Dtype {
    /// The types of safetensors: plain elements.
    pub const PLAIN: [Dtype; 22] = [
        Dtype::BOOL,
        Dtype::F4,
        Dtype::F6_E2M3,
        Dtype::F6_E3M2,
        Dtype::U8,
        Dtype::I8,
        Dtype::F8_E5M2,
        Dtype::F8_E4M3,
        Dtype::F8_E8M0,
        Dtype::F8_E4M3FNUZ,
        Dtype::F8_E5M2FNUZ,
        Dtype::I16,
        Dtype::U16,
        Dtype::F16,
        Dtype::BF16,
        Dtype::I32,
        Dtype::U32,
        Dtype::F32,
        Dtype::C64,
        Dtype::F64,
        Dtype::I64,
        Dtype::U64,
    ];

    /// The block types of ggml: each block holds quantized elements and their scales.
    pub const QUANTIZED: [Dtype; 27] = [
        Dtype::Q4_0,
        Dtype::Q4_1,
        Dtype::Q5_0,
        Dtype::Q5_1,
        Dtype::Q8_0,
        Dtype::Q8_1,
        Dtype::Q2_K,
        Dtype::Q3_K,
        Dtype::Q4_K,
        Dtype::Q5_K,
        Dtype::Q6_K,
        Dtype::Q8_K,
        Dtype::IQ2_XXS,
        Dtype::IQ2_XS,
        Dtype::IQ3_XXS,
        Dtype::IQ1_S,
        Dtype::IQ4_NL,
        Dtype::IQ3_S,
        Dtype::IQ2_S,
        Dtype::IQ4_XS,
        Dtype::IQ1_M,
        Dtype::TQ1_0,
        Dtype::TQ2_0,
        Dtype::MXFP4,
        Dtype::NVFP4,
        Dtype::Q1_0,
        Dtype::Q2_0,
    ];

    /// Returns the name that stands in a safetensors header, or that ggml gives the type.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::BOOL => "BOOL",
            Dtype::F4 => "F4",
            Dtype::F6_E2M3 => "F6_E2M3",
            Dtype::F6_E3M2 => "F6_E3M2",
            Dtype::U8 => "U8",
            Dtype::I8 => "I8",
            Dtype::F8_E5M2 => "F8_E5M2",
            Dtype::F8_E4M3 => "F8_E4M3",
            Dtype::F8_E8M0 => "F8_E8M0",
            Dtype::F8_E4M3FNUZ => "F8_E4M3FNUZ",
            Dtype::F8_E5M2FNUZ => "F8_E5M2FNUZ",
            Dtype::I16 => "I16",
            Dtype::U16 => "U16",
            Dtype::F16 => "F16",
            Dtype::BF16 => "BF16",
            Dtype::I32 => "I32",
            Dtype::U32 => "U32",
            Dtype::F32 => "F32",
            Dtype::C64 => "C64",
            Dtype::F64 => "F64",
            Dtype::I64 => "I64",
            Dtype::U64 => "U64",
            Dtype::Q4_0 => "Q4_0",
            Dtype::Q4_1 => "Q4_1",
            Dtype::Q5_0 => "Q5_0",
            Dtype::Q5_1 => "Q5_1",
            Dtype::Q8_0 => "Q8_0",
            Dtype::Q8_1 => "Q8_1",
            Dtype::Q2_K => "Q2_K",
            Dtype::Q3_K => "Q3_K",
            Dtype::Q4_K => "Q4_K",
            Dtype::Q5_K => "Q5_K",
            Dtype::Q6_K => "Q6_K",
            Dtype::Q8_K => "Q8_K",
            Dtype::IQ2_XXS => "IQ2_XXS",
            Dtype::IQ2_XS => "IQ2_XS",
            Dtype::IQ3_XXS => "IQ3_XXS",
            Dtype::IQ1_S => "IQ1_S",
            Dtype::IQ4_NL => "IQ4_NL",
            Dtype::IQ3_S => "IQ3_S",
            Dtype::IQ2_S => "IQ2_S",
            Dtype::IQ4_XS => "IQ4_XS",
            Dtype::IQ1_M => "IQ1_M",
            Dtype::TQ1_0 => "TQ1_0",
            Dtype::TQ2_0 => "TQ2_0",
            Dtype::MXFP4 => "MXFP4",
            Dtype::NVFP4 => "NVFP4",
            Dtype::Q1_0 => "Q1_0",
            Dtype::Q2_0 => "Q2_0",
        }
    }

    /// Returns the block of the type; most plain types are blocks of one element.
    pub fn block(self) -> Block {
        let (elements, bytes) = match self {
            Dtype::F4 => (2, 1),
            Dtype::F6_E2M3 | Dtype::F6_E3M2 => (4, 3),
            Dtype::BOOL | Dtype::U8 | Dtype::I8 => (1, 1),
            Dtype::F8_E5M2 | Dtype::F8_E4M3 | Dtype::F8_E8M0 | Dtype::F8_E4M3FNUZ | Dtype::F8_E5M2FNUZ => (1, 1),
            Dtype::I16 | Dtype::U16 | Dtype::F16 | Dtype::BF16 => (1, 2),
            Dtype::I32 | Dtype::U32 | Dtype::F32 => (1, 4),
            Dtype::C64 | Dtype::F64 | Dtype::I64 | Dtype::U64 => (1, 8),
            Dtype::Q4_0 => (32, 18),
            Dtype::Q4_1 => (32, 20),
            Dtype::Q5_0 => (32, 22),
            Dtype::Q5_1 => (32, 24),
            Dtype::Q8_0 => (32, 34),
            Dtype::Q8_1 => (32, 36),
            Dtype::Q2_K => (256, 84),
            Dtype::Q3_K => (256, 110),
            Dtype::Q4_K => (256, 144),
            Dtype::Q5_K => (256, 176),
            Dtype::Q6_K => (256, 210),
            Dtype::Q8_K => (256, 292),
            Dtype::IQ2_XXS => (256, 66),
            Dtype::IQ2_XS => (256, 74),
            Dtype::IQ3_XXS => (256, 98),
            Dtype::IQ1_S => (256, 50),
            Dtype::IQ4_NL => (32, 18),
            Dtype::IQ3_S => (256, 110),
            Dtype::IQ2_S => (256, 82),
            Dtype::IQ4_XS => (256, 136),
            Dtype::IQ1_M => (256, 56),
            Dtype::TQ1_0 => (256, 54),
            Dtype::TQ2_0 => (256, 66),
            Dtype::MXFP4 => (32, 17),
            Dtype::NVFP4 => (64, 36),
            Dtype::Q1_0 => (128, 18),
            Dtype::Q2_0 => (64, 18),
        };
        Block { elements, bytes }
    }

    /// Returns the bytes of so many elements.
    pub fn size(self, elements: u64) -> Result<u64, Unsized> {
        let block = self.block();
        let bytes = elements.checked_div(block.elements).and_then(|blocks| blocks.checked_mul(block.bytes));
        match bytes.filter(|bytes| bytes.checked_mul(8).is_some()) {
            None => Err(Unsized::Overflow),
            Some(_) if !elements.is_multiple_of(block.elements) => Err(Unsized::PartialBlock),
            Some(bytes) => Ok(bytes),
        }
    }

    /// Tells whether the type is one of ggml's block types.
    pub fn is_quantized(self) -> bool {
        Dtype::QUANTIZED.contains(&self)
    }

    /// Returns the type of that exact, case-sensitive name.
    pub fn from_name(name: &str) -> Option<Dtype> {
        Dtype::PLAIN.into_iter().chain(Dtype::QUANTIZED).find(|dtype| dtype.name() == name)
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Dtype, Unsized};

    #[test]
    fn every_name_leads_back_to_its_type() {
        for dtype in Dtype::PLAIN.into_iter().chain(Dtype::QUANTIZED) {
            assert_eq!(Dtype::from_name(dtype.name()), Some(dtype));
        }
        for unknown in ["", "f32", "F32 ", "FLOAT32", "F128", "F8", "Q4_2"] {
            assert_eq!(Dtype::from_name(unknown), None);
        }
    }

    #[test]
    fn names_and_widths_are_those_of_the_official_crate() {
        use safetensors::Dtype as Official;
        for dtype in Dtype::PLAIN {
            let official: Official = serde_json::from_value(dtype.name().into()).unwrap();
            assert_eq!(official.bitsize() as u64 * 4, dtype.size(4).unwrap() * 8, "{dtype}");
        }
    }

    #[test]
    fn sizes_are_whole_blocks_below_an_exabyte() {
        assert_eq!(Dtype::Q4_K.size(512), Ok(288));
        assert_eq!(Dtype::Q4_K.size(511), Err(Unsized::PartialBlock));
        assert_eq!(Dtype::F4.size(3), Err(Unsized::PartialBlock));
        assert_eq!(Dtype::F6_E2M3.size(8), Ok(6));
        assert_eq!(Dtype::U8.size(1 << 61), Err(Unsized::Overflow));
        assert_eq!(Dtype::U8.size((1 << 61) - 1), Ok((1 << 61) - 1));
        assert_eq!(Dtype::F64.size(u64::MAX), Err(Unsized::Overflow));
    }
}
