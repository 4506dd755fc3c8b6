"""Which numbers are drawn."""

LETTERS = "ABCDEFGHKLMNPRSTUVWabcdeghkmnoprstuvwy"
UNITS = ("kWh", "kW", "m3", "V", "A", "W", "kg", "g", "lb", "oz", "C", "F", "%", "bar", "MWh", "Hz", "Wh", "kVA",
         "mmHg", "ml", "L", "LITRES", "EUR", "mm", "h", "min", "ppm", "km/h", "psi", "cm", "GJ", "VAR")


def digits(rng, n: int) -> str:
    """`n` digits: mostly even, with many 1s, runs and leading zeros."""
    kind = rng.random()
    if kind < 0.72:
        return "".join(map(str, rng.integers(0, 10, n)))
    if kind < 0.80:
        return "".join(str(d) for d in rng.choice(10, n, p=[0.07, 0.37] + [0.07] * 8))
    if kind < 0.92:
        text = ""
        while len(text) < n:
            text += str(rng.integers(0, 10)) * int(rng.integers(1, 5))
        return text[:n]
    zeros = int(rng.integers(0, n + 1))
    return "0" * zeros + "".join(map(str, rng.integers(0, 10, n - zeros)))


def display(rng) -> str:
    """A number on a display: digits with a point, a minus, a colon now and then."""
    n = int(rng.choice(10, p=[0.04, 0.06, 0.13, 0.18, 0.18, 0.16, 0.12, 0.07, 0.04, 0.02])) + 1
    text = digits(rng, n)
    kind = rng.random()
    if kind < 0.62 and n > 1:
        at = int(rng.integers(1, n)) if rng.random() < 0.5 else n - int(rng.integers(1, min(4, n)))
        text = text[:at] + "." + text[at:]
    elif kind < 0.69 and n >= 3:
        text = text[:-2] + ":" + text[-2:]
        if n >= 5 and rng.random() < 0.5:
            text = text[:-5] + ":" + text[-5:]
    elif kind < 0.71:
        text += "."
    if rng.random() < 0.1:
        text = "-" + text
    if rng.random() < 0.04:
        at = int(rng.integers(0, len(text) + 1))
        text = text[:at] + "x" * int(rng.integers(1, 3)) + text[at:]
    return text


def words(rng) -> str:
    """Print with letters only."""
    if rng.random() < 0.5:
        return str(rng.choice(UNITS)).replace("3", "")
    return "".join(rng.choice(list(LETTERS), int(rng.integers(2, 8))))


def counter(rng) -> tuple:
    """Digits of a counter and how far its last wheel has gone to the next digit (0 to 1)."""
    n = int(rng.choice([4, 5, 6, 7, 8], p=[0.25, 0.3, 0.2, 0.15, 0.1]))
    text = digits(rng, n)
    if rng.random() < 0.15:
        nines = int(rng.integers(1, n))
        text = text[:n - nines] + "9" * nines
    part = 0.0 if rng.random() < 0.35 else float(rng.random())
    return text, part
