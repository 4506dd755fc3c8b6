//! Formats that are not read, recognised by their first bytes, so that the error names the format and how to convert
//! it.

use ::image::ImageFormat;

/// A format that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// With its article.
    pub name: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

const CONVERT: &str = "convert it to PNG or JPEG";
const DRAW: &str = "draw it as PNG, for example with rsvg-convert";
const PAGES: &str = "draw its pages as PNG, for example with pdftoppm -r 300 -png";
const POSTSCRIPT: &str = "draw its pages as PNG, for example with gs -sDEVICE=png16m -r300";
const HEIF: &str = "convert it to JPEG, for example with heif-convert";
const JPEG_2000: &str = "convert it to PNG, for example with opj_decompress";
const JPEG_XL: &str = "convert it to PNG, for example with djxl";
const RAW: &str = "develop it to JPEG or TIFF with a program for raw images";
const VIDEO: &str = "take images out of it, for example with ffmpeg";
const UNPACK: &str = "unpack it first";

/// First bytes, name and remedy.
const SIGNATURES: [(&[u8], &str, &str); 34] = [
    (b"%PDF-", "a PDF document", PAGES),
    (b"%!PS", "a PostScript document", POSTSCRIPT),
    (b"\xC5\xD0\xD3\xC6", "an EPS drawing", POSTSCRIPT),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000 image", JPEG_2000),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000 image", JPEG_2000),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "a JPEG XL image", JPEG_XL),
    (b"\xFF\x0A", "a JPEG XL image", JPEG_XL),
    (b"II\xBC\x01", "a JPEG XR image", CONVERT),
    (b"\xFF\xD8\xFF\xF7", "a JPEG-LS image", CONVERT),
    (b"\x97JB2\r\n\x1A\n", "a JBIG2 image", CONVERT),
    (b"II+\0", "a BigTIFF image", "convert it to an ordinary TIFF, for example with tiffcp"),
    (b"MM\0+", "a BigTIFF image", "convert it to an ordinary TIFF, for example with tiffcp"),
    (b"IIU\0", "a raw image of a camera", RAW),
    (b"IIRO", "a raw image of a camera", RAW),
    (b"IIRS", "a raw image of a camera", RAW),
    (b"MMOR", "a raw image of a camera", RAW),
    (b"FUJIFILMCCD-RAW", "a raw image of a camera", RAW),
    (b"8BPS", "a Photoshop image", CONVERT),
    (b"gimp xcf", "a GIMP image", CONVERT),
    (b"AT&TFORM", "a DjVu document", "draw its pages as TIFF, for example with ddjvu"),
    (b"\0\0\x01\0", "an icon (ICO)", CONVERT),
    (b"\0\0\x02\0", "a cursor (CUR)", CONVERT),
    (b"v/1\x01", "an OpenEXR image", CONVERT),
    (b"#?RADIANCE", "a Radiance HDR image", CONVERT),
    (b"DDS ", "a DDS image", CONVERT),
    (b"qoif", "a QOI image", CONVERT),
    (b"farbfeld", "a farbfeld image", CONVERT),
    (b"BPG\xFB", "a BPG image", CONVERT),
    (b"FLIF", "a FLIF image", CONVERT),
    (b"\xD7\xCD\xC6\x9A", "a Windows metafile (WMF)", CONVERT),
    (b"\x1A\x45\xDF\xA3", "a Matroska or WebM video", VIDEO),
    (b"PK\x03\x04", "a ZIP archive or an office document", UNPACK),
    (b"\x1F\x8B\x08", "a gzip archive", UNPACK),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an office document", CONVERT),
];

/// What the file is, if it is of a known format that is not read.
pub(crate) fn foreign(file: &[u8]) -> Option<Foreign> {
    let of = |name, remedy| Some(Foreign { name, remedy });
    if let Some((_, name, remedy)) = SIGNATURES.iter().find(|(signature, ..)| file.starts_with(signature)) {
        return of(name, remedy);
    }
    if file.get(4..8) == Some(b"ftyp".as_slice()) {
        return Some(media(file));
    }
    match (file.first_chunk(), file.get(8..12)) {
        (Some(b"RIFF"), Some(b"AVI ")) => return of("an AVI video", VIDEO),
        (Some(b"II*\0"), Some(b"CR\x02\0")) => return of("a raw image of a camera", RAW),
        (Some(b"\x01\0\0\0"), _) if file.get(40..44) == Some(b" EMF".as_slice()) => {
            return of("a Windows metafile (EMF)", CONVERT);
        }
        _ => {}
    }
    // Of the formats that are read, none is text.
    if ::image::guess_format(file).is_ok_and(|format| format != ImageFormat::Pnm) {
        return None;
    }
    // A signature may follow a byte order mark, an XML declaration, or, in PDFs, whatever a mail program put in front.
    let start = file.get(..1024).unwrap_or(file);
    let has = |word: &[u8]| start.windows(word.len()).any(|part| part == word);
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    if text.first() == Some(&b'<') && (has(b"<svg") || has(b"<!DOCTYPE svg")) {
        return of("an SVG drawing", DRAW);
    }
    if has(b"%PDF-1") || has(b"%PDF-2") {
        return of("a PDF document", PAGES);
    }
    None
}

/// A file of ISO base media boxes, by its brands: the first one, then those that it is compatible with.
fn media(file: &[u8]) -> Foreign {
    const AVIF: Foreign = Foreign { name: "an AVIF image", remedy: "convert it to PNG, for example with avifdec" };
    const HEIC: Foreign = Foreign { name: "a HEIC image", remedy: HEIF };
    const RAW_IMAGE: Foreign = Foreign { name: "a raw image of a camera", remedy: RAW };
    const MEDIA: Foreign = Foreign { name: "a video (MP4 or of that family)", remedy: VIDEO };
    let length = file.first_chunk().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
    let brands = file.get(8..length.min(file.len()).min(256)).unwrap_or_default().as_chunks::<4>().0;
    let known = brands.iter().find_map(|brand| match brand {
        b"avif" | b"avis" => Some(AVIF),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" => Some(HEIC),
        b"crx " => Some(RAW_IMAGE),
        _ => None,
    });
    // An image, but of no codec that is known here.
    let other = || brands.iter().any(|brand| matches!(brand, b"mif1" | b"mif2" | b"msf1" | b"miaf")).then_some(HEIC);
    known.or_else(other).unwrap_or(MEDIA)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(file: &[u8]) -> &'static str {
        foreign(file).map_or("", |foreign| foreign.name)
    }

    #[test]
    fn foreign_formats_are_named_by_content() {
        for (file, what) in [
            (&b"%PDF-1.7\n%\xE2\xE3"[..], "PDF"),
            (b"\r\n\r\nContent-Type: x\n\n%PDF-1.4\n", "PDF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1Cftypmif1\0\0\0\0mif1heicmiaf", "HEIC"),
            (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiafMA1B", "AVIF"),
            (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"\0\0\0\x14ftypisom\0\0\0\0mp41", "video"),
            (b"\0\0\0\x0CjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
            (b"\xFF\x4F\xFF\x51\0\x2F", "JPEG 2000"),
            (b"\xFF\x0A\xFA\x1F", "JPEG XL"),
            (b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"\xEF\xBB\xBF<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>", "SVG"),
            (b"II+\0\x08\0\0\0", "BigTIFF"),
            (b"II*\0\x10\0\0\0CR\x02\0", "raw"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"RIFF\x10\0\0\0AVI LIST", "AVI"),
            (b"PK\x03\x04\x14\0", "ZIP"),
        ] {
            assert!(
                name(file).contains(what),
                "{:?} is not {what} but {:?}",
                file.escape_ascii().to_string(),
                name(file)
            );
        }
    }

    #[test]
    fn foreign_leaves_readable_formats_alone() {
        for file in [
            &b"\x89PNG\r\n\x1a\n"[..],
            b"\xFF\xD8\xFF\xE0",
            b"GIF89a",
            b"BM",
            b"II*\0\x08\0\0\0",
            b"MM\0*\0\0\0\x08",
            b"RIFF\x10\0\0\0WEBPVP8 ",
            b"P5\n1 1\n255\n",
            b"P7\n",
            b"<html><body>",
            b"hello",
            b"",
        ] {
            assert_eq!(name(file), "", "{}", file.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn foreign_never_panics(
            which in 0..SIGNATURES.len() + 2,
            cut in 0..20_usize,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let ftyp = [&b"\0\0\0\x18ftyp"[..], b"RIFF\0\0\0\0AVI "];
            let start = SIGNATURES.get(which).map_or_else(|| ftyp[which - SIGNATURES.len()], |(start, ..)| start);
            let file = [&start[..cut.min(start.len())], &rest].concat();
            foreign(&file);
        }
    }
}
