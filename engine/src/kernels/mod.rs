//! Inner loops, one table of function pointers per instruction set.
//!
//! [`Isa::Scalar`] is the specification; every other table gives the same bits.
//!
//! Sums of integer products (`gemm`, `depthwise`) and what feeds them (`panel`) are written for each instruction set,
//! in the folders `x86/`, `arm/` and `arm32/`. All the rest is written once, in `generic/`, on the sixteen lanes of
//! `lanes::Lanes`, whose implementation for arrays, `scalar/lanes.rs`, is the specification.
//!
//! Floats are f32 everywhere. Half precision was rejected: float islands are 8.5 % of the recogniser's
//! instructions on a Cortex-A76, of which it could save half, and its sums could not be bit-equal to the
//! specification's.
//!
//! # To add a kernel
//!
//! 1. Its arguments in `args/`, pointers and counts, with what must be readable or writable there.
//! 2. The kernel in `generic/`: `#[inline(always)] pub unsafe fn name<L: Lanes>(a: &NameArgs)`. No closure may stand
//!    around operations of `L`: closures are compiled without the CPU features of the kernel. Nothing may depend on
//!    what an instruction set finds convenient: no fused multiplication and addition, and sums in one stated order.
//! 3. A field of [`Kernels`], and the same line in `instantiate_all!`, in `table!` and in `scalar/mod.rs`.
//! 4. An operator that checks the arguments and calls it, with its test: `docs/engine.md`, "Adding an operator".
//!
//! # To add an instruction set
//!
//! 1. In `isa.rs`: a variant of [`Isa`], its place in [`Isa::ALL`] and (best first) in `PREFERENCE`, its name, and in
//!    [`Isa::available`] every CPU feature that its functions enable.
//! 2. A folder beside its relatives with `gemm.rs` and `depthwise.rs` (or its relatives' `depthwise`), and `lanes.rs`
//!    when it has registers of its own; [`args::GemmArgs`] and [`args::DepthwiseArgs`] say what goes in and out.
//!    Weights come in the one layout of [`crate::pack`]; a panel's elements may be bytes or i16, less 128 or not, as
//!    the table says.
//! 3. `table!` in the folder's `mod.rs`, and its arm in [`Kernels::for_isa`].
//! 4. Nothing for tests: they run whatever [`Isa::ALL`] holds and the CPU has. Scratch must stay within
//!    `ops::depthwise_scratch_any` and the element sizes in `ops/conv.rs`, because plans hold the largest of all.

pub mod args;
#[cfg(target_arch = "aarch64")]
pub(crate) mod arm;
#[cfg(all(target_arch = "arm", target_os = "linux", target_abi = "eabihf"))]
pub(crate) mod arm32;
pub(crate) mod generic;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod grouped;
pub(crate) mod isa;
pub(crate) mod lanes;
pub(crate) mod math;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use args::*;
pub use isa::{Isa, IsaError, Name};

/// Output pixels that a convolution works on at a time.
pub(crate) const GROUP: usize = 96;

/// The kernels of one instruction set.
///
/// Only this crate builds tables, and only for instruction sets that the CPU has, so the pointers may be called as
/// long as the arguments describe valid memory.
#[derive(Debug)]
pub struct Kernels {
    pub(crate) isa: Isa,
    /// Bytes of a panel element.
    pub(crate) panel_elem: usize,
    /// Accumulators hold the sum over (a - 128) * w.
    pub(crate) signed: bool,
    /// Most blocks of 16 channels that `gemm` takes at a time.
    pub(crate) blocks: usize,
    pub(crate) panel: unsafe fn(&PanelArgs),
    pub(crate) gemm: unsafe fn(&GemmArgs),
    pub(crate) epilogue: unsafe fn(&EpilogueArgs),
    pub(crate) depthwise: unsafe fn(&DepthwiseArgs),
    /// Bytes of scratch that `depthwise` needs.
    pub(crate) depthwise_scratch: fn(&Window) -> usize,
    pub(crate) requant: unsafe fn(&RequantArgs),
    pub(crate) add: unsafe fn(&BinaryArgs),
    pub(crate) mul: unsafe fn(&BinaryArgs),
    pub(crate) channel_scale: unsafe fn(&ScaleArgs),
    pub(crate) dequantise: unsafe fn(&ConvertArgs),
    pub(crate) quantise: unsafe fn(&ConvertArgs),
    pub(crate) max_pool: unsafe fn(&PoolArgs),
    pub(crate) avg_pool: unsafe fn(&PoolArgs),
    pub(crate) global_sum: unsafe fn(&SumArgs),
    pub(crate) map_f32: unsafe fn(&MapF32Args),
    pub(crate) matmul: unsafe fn(&MatmulArgs),
    pub(crate) layer_norm: unsafe fn(&NormArgs),
    pub(crate) softmax: unsafe fn(&NormArgs),
    pub(crate) depthwise_f32: unsafe fn(&DepthwiseF32Args),
    pub(crate) attention: unsafe fn(&AttentionArgs),
    pub(crate) quantise_token: unsafe fn(&TokenArgs),
    pub(crate) logits: unsafe fn(&LogitsArgs),
}

impl Kernels {
    /// The table of `isa`.
    ///
    /// # Errors
    /// [`IsaError::Unavailable`] when this CPU or build lacks it.
    pub fn for_isa(isa: Isa) -> Result<&'static Kernels, IsaError> {
        if !isa.available() {
            return Err(IsaError::Unavailable(isa));
        }
        match isa {
            Isa::Scalar => Ok(&scalar::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Ok(&x86::AVX2),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => Ok(&x86::AVX_VNNI),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Ok(&x86::AVX512_VNNI),
            #[cfg(all(target_arch = "arm", target_os = "linux", target_abi = "eabihf"))]
            Isa::ArmDsp => Ok(&arm32::DSP),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonSadalp => Ok(&arm::SADALP),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => Ok(&arm::DOT),
            #[allow(unreachable_patterns)]
            _ => Err(IsaError::Unavailable(isa)),
        }
    }

    /// The best table for this CPU, or the one named in the environment variable `EDGE_OCR_ISA` (with feature `std`).
    ///
    /// # Errors
    /// [`IsaError`] when the variable names an instruction set that is unknown or that this CPU lacks.
    pub fn detect() -> Result<&'static Kernels, IsaError> {
        Kernels::for_isa(isa::choose(None)?)
    }

    /// As [`Kernels::detect`], but `isa` takes the place of the best: for programs that were built for one board.
    ///
    /// # Errors
    /// As [`Kernels::detect`], and [`IsaError::Unavailable`] when this CPU lacks `isa`.
    pub fn preferring(isa: Isa) -> Result<&'static Kernels, IsaError> {
        Kernels::for_isa(isa::choose(Some(isa))?)
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }
}

/// All generic kernels for one `Lanes`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! instantiate_all {
    ($lanes:ty, $feature:literal) => {
        $crate::kernels::instantiate_each! { $lanes, $feature:
            epilogue::epilogue(EpilogueArgs), elementwise::requant(RequantArgs), elementwise::add(BinaryArgs),
            elementwise::mul(BinaryArgs), elementwise::channel_scale(ScaleArgs), elementwise::dequantise(ConvertArgs),
            elementwise::quantise(ConvertArgs), pool::max_pool(PoolArgs), pool::avg_pool(PoolArgs),
            pool::global_sum(SumArgs), float::map_f32(MapF32Args), float::matmul(MatmulArgs),
            float::layer_norm(NormArgs), float::softmax(NormArgs), float::depthwise_f32(DepthwiseF32Args),
            attention::attention(AttentionArgs), ctc::quantise_token(TokenArgs), ctc::logits(LogitsArgs),
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! instantiate_each {
    ($lanes:ty, $feature:literal: $($module:ident::$name:ident($args:ident)),* $(,)?) => {$(
        /// # Safety
        /// The contract of [`crate::kernels::args`] for these arguments.
        #[doc = concat!("See `generic::", stringify!($module), "::", stringify!($name), "`.")]
        #[target_feature(enable = $feature)]
        pub unsafe fn $name(a: &$crate::kernels::args::$args) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::generic::$module::$name::<$lanes>(a) }
        }
    )*};
}
/// A table: what differs between the instruction sets of an architecture, and for the rest the modules `lanes` and
/// `depthwise` that stand beside the call.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! table {
    ($isa:expr, $elem:expr, $signed:expr, $blocks:expr, $panel:expr, $gemm:expr) => {
        Kernels {
            isa: $isa,
            panel_elem: $elem,
            signed: $signed,
            blocks: $blocks,
            panel: $panel,
            gemm: $gemm,
            epilogue: lanes::epilogue,
            depthwise: depthwise::depthwise,
            depthwise_scratch: depthwise::scratch,
            requant: lanes::requant,
            add: lanes::add,
            mul: lanes::mul,
            channel_scale: lanes::channel_scale,
            dequantise: lanes::dequantise,
            quantise: lanes::quantise,
            max_pool: lanes::max_pool,
            avg_pool: lanes::avg_pool,
            global_sum: lanes::global_sum,
            map_f32: lanes::map_f32,
            matmul: lanes::matmul,
            layer_norm: lanes::layer_norm,
            softmax: lanes::softmax,
            depthwise_f32: lanes::depthwise_f32,
            attention: lanes::attention,
            quantise_token: lanes::quantise_token,
            logits: lanes::logits,
        }
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use {instantiate_all, instantiate_each, table};
