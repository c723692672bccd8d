"""Damaged bytes: cut, changed, repeated, reordered, or with odd bytes inserted. The same seed gives the same damage."""

from __future__ import annotations

from random import Random

ODD = (
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b'"',
    b"\\ud83d",
    b"\n",
    b"\r",
    b"[",
    b"}",
    b",",
    b"1e999",
    b"NaN",
    b"\xe2\x80\xa8",
    b"- ",
)


def mutated(body: bytes, seed: int) -> bytes:
    """Return a body after one to three damages."""
    chance = Random(seed)
    for _ in range(chance.randint(1, 3)):
        if not body:
            break
        start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
        how = chance.randrange(5)
        if how == 0:
            body = body[:end]
        elif how == 1:
            place = chance.randrange(len(body))
            body = body[:place] + bytes([body[place] ^ (1 << chance.randrange(8))]) + body[place + 1 :]
        elif how == 2:
            body = body[:end] + body[start:end] * chance.randint(1, 3) + body[end:]
        elif how == 3:
            body = body[start:end] + body[:start] + body[end:]
        else:
            body = body[:start] + chance.choice(ODD) + body[start:]
    return body
