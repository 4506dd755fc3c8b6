"""The log of a training as an SVG picture."""
import math
import pathlib

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")


def write(rows: list, path: pathlib.Path, title: str, width: int = 760, height: int = 360) -> None:
    """Loss (logarithmic, left) and all figures between 0 and 1 (right) over the steps."""
    left, right, top, foot = 60, 170, 30, 40
    w, h = width - left - right, height - top - foot
    last = max(r["step"] for r in rows) or 1
    losses = [(r["step"], max(1e-4, r["loss"])) for r in rows]
    low, high = (math.log10(f(v for _, v in losses)) for f in (min, max))
    high = max(high, low + 0.1)
    figures = [k for k in dict.fromkeys(k for r in rows for k in r) if k not in ("step", "cpu_s", "rate", "loss")]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="#fff"/><text x="{left}" y="18">{title}</text>',
           f'<rect x="{left}" y="{top}" width="{w}" height="{h}" fill="none" stroke="#999"/>']
    for i in range(6):
        y = top + h - h * i / 5
        out.append(f'<text x="{left + w + 6}" y="{y + 4:.0f}">{i / 5:.1f}</text>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">'
                   f'{10 ** (low + (high - low) * i / 5):.3g}</text>')
    out.append(f'<text x="{left + w / 2:.0f}" y="{height - 10}" text-anchor="middle">steps (to {last})</text>')
    series = [("loss", [(s, (math.log10(v) - low) / (high - low)) for s, v in losses])]
    series += [(k, [(r["step"], min(1.0, max(0.0, r[k]))) for r in rows if k in r]) for k in figures]
    for i, (name, points) in enumerate(series):
        colour = "#000" if i == 0 else COLOURS[(i - 1) % len(COLOURS)]
        line = " ".join(f"{left + w * s / last:.1f},{top + h - h * v:.1f}" for s, v in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        out.append(f'<text x="{left + w + 40}" y="{top + 12 + 16 * i}" fill="{colour}">{name}</text>')
    path.write_text("\n".join(out) + "\n</svg>\n", encoding="utf-8")
