//! What decides whether a built engine may be used.

use super::marker::SCHEMA;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything that decides whether a built engine may be used. TensorRT refuses an engine of another version; what it
/// does with one of other weights, another GPU or another driver is not defined.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The network, byte for byte as it is handed to ONNX Runtime.
    pub onnx: &'a [u8],
    /// The precision that is allowed: `fp16` or `fp32`.
    pub precision: &'a str,
    /// Least, usual and largest shapes of the inputs, in ONNX Runtime's notation.
    pub profile: &'a str,
    /// TensorRT's builder optimisation level; none for its default.
    pub builder_level: Option<u8>,
    /// The most memory that the builder may take, bytes; none for its default.
    pub workspace_bytes: Option<u64>,
    /// Version of ONNX Runtime.
    pub onnxruntime: &'a str,
    /// Version of TensorRT: the `Display` of a [`TensorRt`](super::super::device::TensorRt).
    pub tensorrt: &'a str,
    /// The GPU, see [`Device::gpu`](super::super::device::Device::gpu).
    pub gpu: &'a str,
    /// Its driver, see [`Device::driver`](super::super::device::Device::driver).
    pub driver: &'a str,
}

impl Key<'_> {
    /// SHA-256 of all fields, 64 lower-case hexadecimal digits.
    pub fn digest(&self) -> String {
        self.facts().digest()
    }

    /// What is stored of it.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            onnx_sha256: hex(Sha256::digest(self.onnx)),
            onnx_bytes: self.onnx.len() as u64,
            precision: self.precision.into(),
            profile: self.profile.into(),
            builder_level: self.builder_level,
            workspace_bytes: self.workspace_bytes,
            onnxruntime: self.onnxruntime.into(),
            tensorrt: self.tensorrt.into(),
            gpu: self.gpu.into(),
            driver: self.driver.into(),
        }
    }
}

/// A [`Key`] as it is stored, readable for people: the network by its checksum and length, the rest as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    onnx_sha256: String,
    onnx_bytes: u64,
    precision: String,
    profile: String,
    builder_level: Option<u8>,
    workspace_bytes: Option<u64>,
    onnxruntime: String,
    tensorrt: String,
    gpu: String,
    driver: String,
}

impl Facts {
    /// See [`Key::digest`].
    pub(super) fn digest(&self) -> String {
        // Without `..`, so that a new field does not compile until it is hashed.
        let Facts {
            onnx_sha256,
            onnx_bytes,
            precision,
            profile,
            builder_level,
            workspace_bytes,
            onnxruntime,
            tensorrt,
            gpu,
            driver,
        } = self;
        let mut hash = Sha256::new();
        // The length before each field keeps two keys apart whose fields are the same when joined.
        let mut add = |field: &[u8]| {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        };
        // Programs with different schemas do not share a folder, so neither replaces the engines of the other.
        add(&SCHEMA.to_le_bytes());
        add(onnx_sha256.as_bytes());
        add(&onnx_bytes.to_le_bytes());
        // An absent number is an empty field.
        add(builder_level.map(u8::to_le_bytes).as_ref().map_or(&[], |bytes| bytes.as_slice()));
        add(workspace_bytes.map(u64::to_le_bytes).as_ref().map_or(&[], |bytes| bytes.as_slice()));
        for field in [precision, profile, onnxruntime, tensorrt, gpu, driver] {
            add(field.as_bytes());
        }
        hex(hash.finalize())
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key<'static> {
        Key {
            onnx: b"network",
            precision: "fp16",
            profile: "pixels:1x48x320x3|pixels:1x48x320x3|pixels:8x48x960x3",
            builder_level: Some(3),
            workspace_bytes: Some(1 << 30),
            onnxruntime: "1.23.0",
            tensorrt: "10.3.0 (1 bytes)",
            gpu: "Orin sm_87",
            driver: "R36.4.3",
        }
    }

    #[test]
    fn every_field_changes_the_digest() {
        let keys = [
            key(),
            Key { onnx: b"networl", ..key() },
            Key { precision: "fp32", ..key() },
            Key { profile: "", ..key() },
            Key { builder_level: Some(0), ..key() },
            Key { builder_level: None, ..key() },
            Key { workspace_bytes: Some(0), ..key() },
            Key { workspace_bytes: None, ..key() },
            Key { onnxruntime: "1.23.1", ..key() },
            Key { tensorrt: "10.3.0 (2 bytes)", ..key() },
            Key { gpu: "Xavier sm_72", ..key() },
            Key { driver: "R36.4.4", ..key() },
        ];
        let digests: std::collections::BTreeSet<String> = keys.iter().map(Key::digest).collect();
        assert_eq!(digests.len(), keys.len());
        assert!(digests.iter().all(|d| d.len() == 64 && d.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(key().digest(), key().digest());
    }

    #[test]
    fn joined_fields_do_not_collide() {
        let moved = Key { gpu: "Orin sm_8", driver: "7R36.4.3", ..key() };
        assert_eq!([key().gpu, key().driver].concat(), [moved.gpu, moved.driver].concat());
        assert_ne!(key().digest(), moved.digest());
    }

    proptest! {
        #[test]
        fn digests_are_equal_only_for_equal_keys(a in fields(), b in fields()) {
            let [first, second] = [&a, &b].map(|(onnx, level, bytes, [precision, profile, gpu, driver])| Key {
                onnx,
                precision,
                profile,
                builder_level: *level,
                workspace_bytes: *bytes,
                gpu,
                driver,
                ..key()
            });
            prop_assert_eq!(first.digest() == second.digest(), a == b);
        }
    }

    type Fields = (Vec<u8>, Option<u8>, Option<u64>, [String; 4]);

    /// Of so few values that equal ones, and equal ones when joined, are frequent.
    fn fields() -> impl Strategy<Value = Fields> {
        let text = || "[ab]{0,2}";
        let onnx = proptest::collection::vec(0..2u8, 0..2);
        (onnx, proptest::option::of(0..2u8), proptest::option::of(0..2u64), [text(), text(), text(), text()])
    }
}
