"""Small drawings that come with the page itself, as SVG without a script: a sparkline, and the bar behind a name."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 120, 28


def sparkline(values: Sequence[float | int | None], open_at: int | None = None) -> Markup:
    """Draw values in their order; where one is missing the line is broken. The numbers stand beside it as text.

    The way to the one that is not over yet (`open_at`) is dotted, and its end hollow.
    """
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    step, span = (WIDTH - 8) / max(len(values) - 1, 1), (high - low) or 1.0

    def at(number: int, value: float) -> str:
        y = HEIGHT - 4 - (HEIGHT - 8) * (value - low) / span if high > low else HEIGHT / 2
        return f"{4 + number * step:.1f} {y:.1f}"

    solid, dotted, pen = "", "", "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        here = at(number, float(value))
        if number == open_at:
            before = values[number - 1] if number else None
            way = f"M{at(number - 1, float(before))}L{here}" if before is not None else ""
            dotted = (
                f'<path class="open" d="{way}"/><path class="end" d="M{here}h0"/><path class="hole" d="M{here}h0"/>'
            )
            break
        solid, pen = f"{solid}{pen}{here}", "L"
    drawn = f'<path d="{solid}"/>{dotted}'
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    return Markup(f'<svg class="spark" {box} aria-hidden="true">{drawn}</svg>')


def share_bar(share: float) -> Markup:
    """Draw a bar as wide as a share of 1 of its cell."""
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    return Markup(f'<svg class="bar" aria-hidden="true"><rect width="{width}" height="100%"/></svg>')
