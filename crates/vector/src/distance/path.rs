//! CPU paths: which instructions the sums are compiled for, and which of them this machine has.

use std::sync::OnceLock;

/// A set of instructions that distances are compiled for.  All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// What every CPU of the architecture has.
    Scalar,
    /// x86-64: AVX2, FMA and F16C.
    Avx2,
    /// x86-64: AVX-512 F, BW, DQ and VL, beside those of [`Path::Avx2`].
    Avx512,
    /// AArch64: part of the architecture.
    Neon,
}

impl Path {
    /// Every path, wider ones later.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Neon];

    /// Returns the fastest path of this CPU, which is asked once.
    pub fn best() -> Self {
        static BEST: OnceLock<Path> = OnceLock::new();
        *BEST.get_or_init(detect)
    }

    /// Returns the paths of this CPU, the fastest last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|path| path.is_here()).collect()
    }

    /// Returns the name that settings use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Returns the path of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|path| path.name() == name)
    }

    /// Returns this path where the CPU has it, else the best one below.
    #[inline]
    pub fn or_below(self) -> Self {
        match self {
            path if path.is_here() => path,
            Self::Avx512 if Self::Avx2.is_here() => Self::Avx2,
            _ => Self::Scalar,
        }
    }

    #[inline]
    fn is_here(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Avx2 => matches!(Self::best(), Self::Avx2 | Self::Avx512),
            Self::Avx512 | Self::Neon => Self::best() == self,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Path {
    use std::arch::is_x86_feature_detected as has;
    let narrow = has!("avx2") && has!("fma") && has!("f16c");
    let wide = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
    match (narrow, wide) {
        (true, true) => Path::Avx512,
        (true, false) => Path::Avx2,
        _ => Path::Scalar,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Path {
    if cfg!(target_arch = "aarch64") { Path::Neon } else { Path::Scalar }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn names_round_trip() {
        for path in Path::ALL {
            assert_eq!(Path::from_name(path.name()), Some(path));
        }
        assert_eq!(Path::from_name("sse2"), None);
    }

    #[test]
    fn a_path_falls_to_one_that_is_here() {
        let available = Path::available();
        assert_eq!((available.first(), available.last()), (Some(&Path::Scalar), Some(&Path::best())));
        for path in Path::ALL {
            assert!(available.contains(&path.or_below()));
            assert_eq!(path.or_below() == path, available.contains(&path));
        }
    }
}
