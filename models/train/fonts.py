"""Fonts of the generator: fetched from Debian and npm, checked by SHA-256, and their characters as masks.

Every font here is under the SIL Open Font License 1.1 (b612 also under EPL and EDL). No font file is part of the
repository; only pictures drawn with them go into training.
"""
import functools
import hashlib
import os
import pathlib
import subprocess
import tarfile

from PIL import Image, ImageDraw, ImageFont

# Kind of package, name, version, file name of the archive, SHA-256, parts of the paths taken, what it is used for.
PACKAGES = (
    ("deb", "fonts-dseg", "0.46-1", "fonts-dseg_0.46-1_all.deb",
     "54e409786f6dad7833411c69bcdd433caf16283c470773b05a1bcd1d391c2567", ("/DSEG7C", "/DSEG7M"), "segment"),
    ("deb", "fonts-routed-gothic", "1.0.0+git20210723.e22ee83+dfsg-2",
     "fonts-routed-gothic_1.0.0+git20210723.e22ee83+dfsg-2_all.deb",
     "d3755460b594d45b7ef28b4c4043873b6521345b36cf7c46237ddfa941947516",
     ("routed-gothic.ttf", "gothic-narrow.ttf", "gothic-wide.ttf"), "wheel"),
    ("deb", "fonts-opendin", "1.0-4", "fonts-opendin_1.0-4_all.deb",
     "167c563edfbf0df0b9cf5935aec311fb3ed00b88c42a83f757283bb756410280", ("OSP-DIN.ttf",), "wheel"),
    ("deb", "fonts-b612", "1.008-3", "fonts-b612_1.008-3_all.deb",
     "d05ca6b14314b488e07d795168095da1166b28216df1f4edc2ea0109fd2ce525", ("Mono-Regular.otf", "Mono-Bold.otf"),
     "screen"),
    ("npm", "saira-condensed", "5.3.0", "fontsource-saira-condensed-5.3.0.tgz",
     "0c7d9f849443ea181a61f20c5c32e95a428afbd94a811969245c8aa9a8695de6",
     ("-latin-400-normal.woff", "-latin-500-normal.woff", "-latin-600-normal.woff"), "wheel"),
    ("npm", "roboto-condensed", "5.3.0", "fontsource-roboto-condensed-5.3.0.tgz",
     "03b2f8c75e4a4af7ae6180d0f3e9171a6dcbbcd5b1a02c48f5bcbd043a7a9868",
     ("-latin-300-normal.woff", "-latin-400-normal.woff", "-latin-500-normal.woff", "-latin-700-normal.woff"), "wheel"),
    ("npm", "barlow-condensed", "5.3.0", "fontsource-barlow-condensed-5.3.0.tgz",
     "759fcdd25df64b4ef41653808d849cdb9ba0a520999032ceb137ce035a17e2ea",
     ("-latin-400-normal.woff", "-latin-500-normal.woff", "-latin-600-normal.woff"), "wheel"),
    ("npm", "oswald", "5.3.0", "fontsource-oswald-5.3.0.tgz",
     "27bf46420288bb65bd186638cde54686aa8f9d5dc975b1d597dfe81a7dd472cb",
     ("-latin-300-normal.woff", "-latin-400-normal.woff"), "wheel"),
    ("npm", "antonio", "5.3.0", "fontsource-antonio-5.3.0.tgz",
     "a4bcfad9e90770faf0d4d2680361504033bb659e257375224449af9f8d5a0c6d",
     ("-latin-400-normal.woff", "-latin-600-normal.woff"), "wheel"),
    ("npm", "bebas-neue", "5.3.0", "fontsource-bebas-neue-5.3.0.tgz",
     "57928e0ee30b9e8a99033cdd5dc74ad06761007b4ad8fc32173e5d9072ba91fa", ("-latin-400-normal.woff",), "wheel"),
    ("npm", "doto", "5.3.0", "fontsource-doto-5.3.0.tgz",
     "f9e943c8f185ccfc15ea3afd792325fac5eb5ebb361beaf2d21c153ebabca19d",
     ("-latin-600-normal.woff", "-latin-800-normal.woff"), "screen"),
    ("npm", "vt323", "5.3.0", "fontsource-vt323-5.3.0.tgz",
     "aca9d83456bcebf445920008ac46e275206d48efd8360eb9cc4c6a04d45bcaf0", ("-latin-400-normal.woff",), "screen"),
    ("npm", "press-start-2p", "5.3.0", "fontsource-press-start-2p-5.3.0.tgz",
     "7aa0c201772e5099e713f99ce4117c56ebdda85cb4d95b81f22922c13f655e37", ("-latin-400-normal.woff",), "screen"),
)

HEIGHT = 64


def folder() -> pathlib.Path:
    """Where everything that is not part of the repository lies: `$EDGE_OCR_TRAIN`, else `./work`."""
    return pathlib.Path(os.environ.get("EDGE_OCR_TRAIN", "work"))


def fetch() -> None:
    """Downloads the packages, checks them, takes the fonts out."""
    target, archives = folder() / "fonts", folder() / "archives"
    target.mkdir(parents=True, exist_ok=True)
    archives.mkdir(parents=True, exist_ok=True)
    for kind, name, version, archive, want, parts, _ in PACKAGES:
        path = archives / archive
        if not path.is_file():
            command = (["apt-get", "download", f"{name}={version}"] if kind == "deb"
                       else ["npm", "pack", "--silent", f"@fontsource/{name}@{version}"])
            subprocess.run(command, cwd=archives, check=True, stdout=subprocess.DEVNULL)
        got = hashlib.sha256(path.read_bytes()).hexdigest()
        if got != want:
            raise SystemExit(f"fonts: {archive} has SHA-256 {got}, not {want}")
        if kind == "deb":
            pipe = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE)
            tar = tarfile.open(fileobj=pipe.stdout, mode="r|")
        else:
            tar = tarfile.open(path)
        for member in tar:
            font = member.isfile() and member.name[-4:] in (".ttf", ".otf", "woff")
            if font and any(p in member.name for p in parts):
                (target / pathlib.PurePosixPath(member.name).name).write_bytes(tar.extractfile(member).read())
    print(f"fonts: {len(list(target.iterdir()))} files in {target}")


@functools.cache
def files(use: str) -> tuple:
    """Paths of the fonts for `segment`, `wheel` or `screen`, in a fixed order."""
    found = []
    for path in sorted((folder() / "fonts").iterdir()):
        for *_, parts, of in PACKAGES:
            if of == use and any(("/" + path.name).find(p) >= 0 for p in parts):
                if any(s in path.name for s in stems(use)):
                    found.append(str(path))
                    break
    if not found:
        raise SystemExit(f"fonts: none for {use} in {folder() / 'fonts'}; run `python3 -m train fonts`")
    return tuple(found)


def stems(use: str) -> tuple:
    """What the file names of a use begin with or hold."""
    table = {"fonts-dseg": "DSEG7", "fonts-routed-gothic": "routed", "fonts-opendin": "OSP", "fonts-b612": "B612"}
    return tuple(table.get(p[1], p[1]) for p in PACKAGES if p[6] == use)


@functools.cache
def outlines(path: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, 200)


@functools.lru_cache(maxsize=8192)
def glyph(path: str, char: str, height: int = HEIGHT) -> Image.Image:
    """A character as a mask; `height` rows are the height of the font's digit 8, width is the ink's."""
    font = outlines(path)
    top, bottom = font.getbbox("8")[1::2]
    left, upper, right, lower = font.getbbox(char)
    image = Image.new("L", (max(1, right - left), max(bottom, lower) - min(top, upper)), 0)
    ImageDraw.Draw(image).text((-left, -min(top, upper)), char, font=font, fill=255)
    if char.isdigit():
        image = image.crop((0, top - min(top, upper), image.width, bottom - min(top, upper)))
    scale = height / (bottom - top)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.BOX)


@functools.lru_cache(maxsize=512)
def width(path: str) -> float:
    """Width of the widest digit over the digits' height."""
    return max(glyph(path, d).width for d in "0123456789") / HEIGHT
