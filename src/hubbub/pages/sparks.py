"""Small drawings that come with the page itself, as SVG without a script: a sparkline, and the bar behind a name."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 120, 28


def sparkline(values: Sequence[float | int | None]) -> Markup:
    """Draw values in their order; where one is missing the line is broken. The numbers stand beside it as text."""
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    step, span = (WIDTH - 4) / max(len(values) - 1, 1), (high - low) or 1.0
    path, pen = [], "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        y = HEIGHT - 3 - (HEIGHT - 6) * (float(value) - low) / span if high > low else HEIGHT / 2
        path.append(f"{pen}{2 + number * step:.1f} {y:.1f}")
        pen = "L"
    drawn = f'<path d="{"".join(path)}"/>'
    return Markup(f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{drawn}</svg>')


def share_bar(share: float) -> Markup:
    """Draw a bar as wide as a share of 1 of its cell."""
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    return Markup(f'<svg class="bar" aria-hidden="true"><rect width="{width}" height="100%"/></svg>')
