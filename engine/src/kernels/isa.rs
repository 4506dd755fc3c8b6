//! Instruction sets: names, detection, override.

use core::fmt;

/// An instruction set for which there are kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Portable Rust; the specification.
    Scalar,
    /// x86-64 with AVX2: Haswell (2013), Zen 1 and later.
    Avx2,
    /// AVX2 and 256-bit dot products: Alder Lake, Zen 5 and later.
    AvxVnni,
    /// 512-bit dot products: Cascade Lake, Ice Lake, Zen 4 and later.
    Avx512Vnni,
    /// 32-bit Arm from ARMv6 on, two products at a time: Raspberry Pi 1, Zero, 2, and later ones with a 32-bit system.
    ArmDsp,
    /// aarch64, i8 products added in pairs: Cortex-A53, A57, A72 (Raspberry Pi 3 and 4).
    NeonSadalp,
    /// aarch64 with dot products: Cortex-A76, A78AE (Raspberry Pi 5, Orin).
    NeonDot,
}

impl Isa {
    /// All of them.
    pub const ALL: [Isa; 7] =
        [Isa::Scalar, Isa::Avx2, Isa::AvxVnni, Isa::Avx512Vnni, Isa::ArmDsp, Isa::NeonSadalp, Isa::NeonDot];

    /// Name, as in `EDGE_OCR_ISA`.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avx-vnni",
            Isa::Avx512Vnni => "avx512-vnni",
            Isa::ArmDsp => "arm-dsp",
            Isa::NeonSadalp => "neon-sadalp",
            Isa::NeonDot => "neon-dot",
        }
    }

    /// The instruction set called `name`.
    ///
    /// # Errors
    /// [`IsaError::Unknown`].
    pub fn from_name(name: &str) -> Result<Isa, IsaError> {
        Isa::ALL.into_iter().find(|i| i.name() == name).ok_or_else(|| IsaError::Unknown(Name::new(name)))
    }

    /// Does this CPU have it? Without the feature `std` only what the build was compiled for counts.
    pub fn available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Isa::Avx2 => std::is_x86_feature_detected!("avx2"),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Isa::AvxVnni => std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("avxvnni"),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Isa::Avx512Vnni => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(all(target_arch = "x86_64", not(feature = "std")))]
            Isa::Avx2 => cfg!(target_feature = "avx2"),
            #[cfg(all(target_arch = "x86_64", not(feature = "std")))]
            Isa::AvxVnni => cfg!(all(target_feature = "avx2", target_feature = "avxvnni")),
            #[cfg(all(target_arch = "x86_64", not(feature = "std")))]
            Isa::Avx512Vnni => cfg!(all(
                target_feature = "avx2",
                target_feature = "avx512f",
                target_feature = "avx512bw",
                target_feature = "avx512vl",
                target_feature = "avx512vnni"
            )),
            // Hard floats on Linux begin with ARMv6.
            #[cfg(all(target_arch = "arm", target_os = "linux", target_abi = "eabihf"))]
            Isa::ArmDsp => true,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonSadalp => true,
            #[cfg(all(target_arch = "aarch64", feature = "std"))]
            Isa::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(all(target_arch = "aarch64", not(feature = "std")))]
            Isa::NeonDot => cfg!(target_feature = "dotprod"),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Best first.
const PREFERENCE: [Isa; 7] =
    [Isa::Avx512Vnni, Isa::AvxVnni, Isa::Avx2, Isa::NeonDot, Isa::NeonSadalp, Isa::ArmDsp, Isa::Scalar];

/// The override, what is preferred, or the best available.
pub(crate) fn choose(preferred: Option<Isa>) -> Result<Isa, IsaError> {
    #[cfg(feature = "std")]
    if let Some(name) = std::env::var_os("EDGE_OCR_ISA").filter(|name| !name.is_empty()) {
        let isa = Isa::from_name(&name.to_string_lossy())?;
        return if isa.available() { Ok(isa) } else { Err(IsaError::Unavailable(isa)) };
    }
    if let Some(isa) = preferred {
        return if isa.available() { Ok(isa) } else { Err(IsaError::Unavailable(isa)) };
    }
    Ok(PREFERENCE.into_iter().find(|i| i.available()).unwrap_or(Isa::Scalar))
}

/// The first bytes of a name, kept without a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; 24],
    len: u8,
}

impl Name {
    pub(crate) fn new(s: &str) -> Name {
        let mut bytes = [0; 24];
        let mut len = 0;
        for c in s.chars() {
            let n = c.len_utf8();
            if len + n > bytes.len() {
                break;
            }
            c.encode_utf8(&mut bytes[len..len + n]);
            len += n;
        }
        Name { bytes, len: len as u8 }
    }

    /// The name, cut to 24 bytes.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or("")
    }
}

/// An instruction set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsaError {
    /// No instruction set has this name.
    Unknown(Name),
    /// This CPU (or this build) lacks it.
    Unavailable(Isa),
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IsaError::Unknown(name) => {
                write!(f, "EDGE_OCR_ISA: no instruction set is called \"{}\"; known are", name.as_str())?;
                Isa::ALL.iter().try_for_each(|i| write!(f, " {i}"))
            }
            IsaError::Unavailable(isa) => write!(f, "EDGE_OCR_ISA: this CPU does not have {isa}"),
        }
    }
}

impl core::error::Error for IsaError {}
