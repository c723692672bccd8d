"""Small inline SVG drawings without a script: sparklines and bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 120, 28


Range = tuple[float | None, float | None]


def sparkline(values: Sequence[float | int | None], open_at: int | None = None, usual: Sequence[Range] = ()) -> Markup:
    """Draw values in order; a missing one breaks the line, and one alone is a dot. The numbers are beside it as text.

    The line to the open window (`open_at`) is dotted with a hollow end. `usual`: the range behind each value, cut far beyond all
    values. Nothing is drawn of fewer than two values, nor where all values and ranges are 0.
    """
    known = [float(value) for value in values if value is not None]
    if len(known) < 2 or not (any(known) or any(high for _, high in usual)):
        return Markup("")
    low, high = _bounds(known, usual)
    step, span = (WIDTH - 8) / max(len(values) - 1, 1), (high - low) or 1.0

    def at(number: int, value: float) -> str:
        y = HEIGHT - 4 - (HEIGHT - 8) * (value - low) / span if high > low else HEIGHT / 2
        return f"{4 + number * step:.1f} {y:.1f}"

    solid, dotted, lone, pen = "", "", "", "M"
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
        if pen == "M" and all(side is None for side in values[number + 1 : number + 2]):
            lone += f"M{here}h0"
        solid, pen = f"{solid}{pen}{here}", "L"
    drawn = f'{_wash(usual, low, high, at)}<path d="{solid}"/>{dotted}'
    if lone:
        drawn += f'<path class="lone" d="{lone}"/>'
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    return Markup(f'<svg class="spark" {box} aria-hidden="true">{drawn}</svg>')


def _bounds(known: Sequence[float], usual: Sequence[Range]) -> tuple[float, float]:
    """Return the least and greatest drawn value: all values, and the usual range up to half as far beyond."""
    low, high = min(known), max(known)
    room = (high - low or abs(high) or 1.0) / 2
    lows, highs = [a for a, _ in usual if a is not None], [b for _, b in usual if b is not None]
    return max(min([low, *lows]), low - room), min(max([high, *highs]), high + room)


def _wash(usual: Sequence[Range], low: float, high: float, at: Callable[[int, float], str]) -> str:
    """Return the usual range as one area for each stretch where it is known."""
    pieces: list[list[tuple[int, float, float]]] = [[]]
    for number, (bottom, top) in enumerate(usual):
        if bottom is None or top is None:
            pieces.append([])
        else:
            pieces[-1].append((number, max(bottom, low), min(top, high)))
    drawn = ""
    for piece in pieces:
        if len(piece) > 1:
            edge = [at(number, max(top, low)) for number, _, top in piece]
            edge += [at(number, min(bottom, high)) for number, bottom, _ in reversed(piece)]
            drawn += f'<path class="usual" d="M{"L".join(edge)}Z"/>'
    return drawn


def middle_bar(share: float) -> Markup:
    """Draw a bar from the middle of its cell: to the right for more, to the left for less, up to ±1."""
    width = 50 * min(abs(share), 1.0)
    left = 50 if share > 0 else 50 - width
    return Markup(
        f'<svg class="from-middle" aria-hidden="true"><rect class="line" x="50%" width="1" height="100%"/>'
        f'<rect class="part" x="{left:.1f}%" width="{width:.1f}%" y="15%" height="70%"/></svg>'
    )


def share_bar(share: float) -> Markup:
    """Draw a bar over a share (0 to 1) of its cell's width."""
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    return Markup(f'<svg class="bar" aria-hidden="true"><rect width="{width}" height="100%"/></svg>')
