"""Seven-segment characters as polygons.

Segments are named a to g as usual: a top, b upper right, c lower right, d bottom, e lower left, f upper left, g middle.
A cell is 1 high and `width` wide; y grows downwards.
"""
import dataclasses
import math

DIGITS = {
    "0": ("abcdef",), "1": ("bc",), "2": ("abdeg",), "3": ("abcdg",), "4": ("bcfg",), "5": ("acdfg",),
    "6": ("acdefg", "cdefg"), "7": ("abc", "abcf"), "8": ("abcdefg",), "9": ("abcdfg", "abcfg"), "-": ("g",),
}
# What is lit and is no digit; nothing here may look like a digit of some display.
OTHERS = ("adefg", "eg", "def", "bcefg", "abefg", "abcefg", "adef", "aefg", "bcdef", "bcdeg", "ceg", "defg", "cefg",
          "abfg", "cdeg", "deg", "adg", "ad", "ab", "ag")


@dataclasses.dataclass
class Style:
    """Shape of the segments of one display."""
    width: float
    thickness: float
    gap: float
    ends: str            # "flush", "mitred", "square", "round"
    slant: float         # tangent of the angle
    six: int = 0         # which form of 6, 7, 9
    seven: int = 0
    nine: int = 0
    left_one: bool = False

    @classmethod
    def draw(cls, rng, led: bool) -> "Style":
        degrees = rng.uniform(6, 11) if rng.random() < 0.65 else rng.choice([0.0, rng.uniform(0, 12)])
        width = rng.uniform(0.42, 0.65)
        low, high = (0.1, 0.19) if led else (0.07, 0.18)
        return cls(width=width, thickness=min(rng.uniform(low, high), width / 2.9), gap=rng.uniform(0.0, 0.035),
                   ends=str(rng.choice(["flush", "mitred", "square", "round"], p=[0.5, 0.25, 0.15, 0.1])),
                   slant=math.tan(math.radians(float(degrees))), six=int(rng.random() < 0.15),
                   seven=int(rng.random() < 0.25), nine=int(rng.random() < 0.15), left_one=bool(rng.random() < 0.04))

    def lit(self, char: str) -> str:
        """Segments of a digit or of `-` on this display."""
        forms = DIGITS[char]
        if char == "1" and self.left_one:
            return "ef"
        return forms[{"6": self.six, "7": self.seven, "9": self.nine}.get(char, 0)]


def polygons(style: Style) -> dict:
    """Segment to polygon, slanted about the middle of the cell."""
    shapes = {"flush": flush, "mitred": mitred, "square": square, "round": rounded}[style.ends](style)
    return {k: [(x + (0.5 - y) * style.slant, y) for x, y in v] for k, v in shapes.items()}


def flush(s: Style) -> dict:
    """Trapezia that fill the outline of the cell."""
    w, t, g = s.width, s.thickness, s.gap
    m0, m1, h = 0.5 - t / 2, 0.5 + t / 2, 0.5
    return {
        "a": [(g, 0), (w - g, 0), (w - t - g, t), (t + g, t)],
        "d": [(g, 1), (w - g, 1), (w - t - g, 1 - t), (t + g, 1 - t)],
        "f": [(0, g), (t, t + g), (t, m0 - g), (t / 2, h - g), (0, h - g - t * 0.3)],
        "e": [(0, 1 - g), (t, 1 - t - g), (t, m1 + g), (t / 2, h + g), (0, h + g + t * 0.3)],
        "b": [(w, g), (w - t, t + g), (w - t, m0 - g), (w - t / 2, h - g), (w, h - g - t * 0.3)],
        "c": [(w, 1 - g), (w - t, 1 - t - g), (w - t, m1 + g), (w - t / 2, h + g), (w, h + g + t * 0.3)],
        "g": [(t / 2 + g, h), (t + g, m0), (w - t - g, m0), (w - t / 2 - g, h), (w - t - g, m1), (t + g, m1)],
    }


def bars(s: Style, bar) -> dict:
    """Segments along the middle lines of the cell; `bar(x0, y0, x1, y1, t)` shapes one."""
    w, t, g = s.width, s.thickness, s.gap + 0.01
    left, right, top, foot = t / 2, w - t / 2, t / 2, 1 - t / 2
    across, down = (lambda y: bar(left + g, y, right - g, y, t)), (lambda x, y0, y1: bar(x, y0 + g, x, y1 - g, t))
    return {"a": across(top), "g": across(0.5), "d": across(foot), "f": down(left, top, 0.5),
            "b": down(right, top, 0.5), "e": down(left, 0.5, foot), "c": down(right, 0.5, foot)}


def mitred(s: Style) -> dict:
    def bar(x0, y0, x1, y1, t):
        h = t / 2
        if y0 == y1:
            return [(x0, y0), (x0 + h, y0 - h), (x1 - h, y0 - h), (x1, y0), (x1 - h, y0 + h), (x0 + h, y0 + h)]
        return [(x0, y0), (x0 + h, y0 + h), (x0 + h, y1 - h), (x0, y1), (x0 - h, y1 - h), (x0 - h, y0 + h)]
    return bars(s, bar)


def square(s: Style) -> dict:
    def bar(x0, y0, x1, y1, t):
        h = t / 2
        if y0 == y1:
            return [(x0 + h, y0 - h), (x1 - h, y0 - h), (x1 - h, y0 + h), (x0 + h, y0 + h)]
        return [(x0 - h, y0), (x0 + h, y0), (x0 + h, y1), (x0 - h, y1)]
    return bars(s, bar)


def rounded(s: Style) -> dict:
    def bar(x0, y0, x1, y1, t):
        r = t / 2
        along = math.atan2(y1 - y0, x1 - x0)
        dx, dy = math.cos(along), math.sin(along)
        ax, ay, bx, by = x0 + r * dx * 0.6, y0 + r * dy * 0.6, x1 - r * dx * 0.6, y1 - r * dy * 0.6
        arc = [math.pi * (0.5 + i / 6) for i in range(7)]
        first = [(ax + r * math.cos(along + a), ay + r * math.sin(along + a)) for a in arc]
        return first + [(bx - r * math.cos(along + a), by - r * math.sin(along + a)) for a in arc]
    return bars(s, bar)
