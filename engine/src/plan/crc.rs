//! CRC-32 as in Ethernet, PNG and zip (reflected 0xEDB88320), eight bytes at a time: a plan of some megabytes is
//! checked at every start.

const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut t = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let (mut c, mut bit) = (i as u32, 0);
        while bit < 8 {
            c = if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 };
            bit += 1;
        }
        t[0][i] = c;
        i += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut i = 0;
        while i < 256 {
            t[k][i] = (t[k - 1][i] >> 8) ^ t[0][(t[k - 1][i] & 0xff) as usize];
            i += 1;
        }
        k += 1;
    }
    t
}

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut c = !0u32;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for &[a0, a1, a2, a3, a4, a5, a6, a7] in chunks {
        let x = c ^ u32::from_le_bytes([a0, a1, a2, a3]);
        c = TABLES[7][(x & 0xff) as usize]
            ^ TABLES[6][(x >> 8 & 0xff) as usize]
            ^ TABLES[5][(x >> 16 & 0xff) as usize]
            ^ TABLES[4][(x >> 24) as usize]
            ^ TABLES[3][usize::from(a4)]
            ^ TABLES[2][usize::from(a5)]
            ^ TABLES[1][usize::from(a6)]
            ^ TABLES[0][usize::from(a7)];
    }
    !rest.iter().fold(c, |c, &b| (c >> 8) ^ TABLES[0][((c ^ u32::from(b)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_value() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(super::crc32(b""), 0);
    }
}
