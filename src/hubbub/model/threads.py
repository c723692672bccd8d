"""How a tenant's questions and silent conversations count: settings that answers read, so that a change folds nothing again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from hubbub.errors import BadInputError
from hubbub.model.plain import JsonObject

CHECK_MARKS = ("ballot_box_with_check", "heavy_check_mark", "white_check_mark", "\u2611", "\u2705", "\u2714")
"""Reactions that answer a question unless a tenant names others: check marks by their names in Slack, and as characters."""
MOST_CHANNELS, LONGEST_CHANNEL = 50, 512
MOST_SIGNS, LONGEST_SIGN = 20, 64
MOST_DAYS = 36_500


@dataclass(frozen=True)
class Threads:
    """A tenant's settings of threads. Raises BadInputError for a value that is not allowed."""

    help_channels: tuple[str, ...] = ()
    """Ids of channels in which every message of a person that opens a thread is a question."""
    answer_signs: tuple[str, ...] = CHECK_MARKS
    """Reactions of others that answer a question, by their names."""
    silence_days: int = 0
    """Days without a message after which a conversation counts as closed; 0: never."""

    def __post_init__(self) -> None:
        _check("help_channels", self.help_channels, MOST_CHANNELS, LONGEST_CHANNEL)
        _check("answer_signs", self.answer_signs, MOST_SIGNS, LONGEST_SIGN)
        if not 0 <= self.silence_days <= MOST_DAYS:
            raise BadInputError(
                f"silence_days: {self.silence_days} is not a number of days from 0 (never) to {MOST_DAYS}"
            )


def changed(before: Threads, change: JsonObject) -> Threads:
    """Return settings with some of them changed, given as plain values. Raises BadInputError."""
    if unknown := set(change) - {field.name for field in fields(Threads)}:
        raise BadInputError(f"threads: there is no setting {min(unknown)[:40]!r}")
    values = dict(change)
    if "help_channels" in values:
        values["help_channels"] = _ordered(values["help_channels"])
    if "answer_signs" in values:
        values["answer_signs"] = _ordered(map(_plain, values["answer_signs"]))
    return replace(before, **values)


def _ordered(names: Sequence[str] | map[str]) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in names}))


def _plain(sign: str) -> str:
    """Return a reaction's name without its colons, a skin tone, and the character that selects its coloured form."""
    return sign.strip().strip(":").partition("::")[0].removesuffix("\ufe0f")


def _check(setting: str, names: Sequence[str], most: int, longest: int) -> None:
    if len(names) > most or not all(
        len(name) <= longest and name.split() == [name] and "," not in name for name in names
    ):
        raise BadInputError(f"{setting}: at most {most} names of 1 to {longest} characters, without spaces and commas")
