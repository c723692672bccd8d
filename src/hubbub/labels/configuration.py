"""A tenant's label sets, their labels, and the words and patterns of each. Read from YAML, stored as JSON.

A configuration is a value: each change makes its next version, and every label names its version. Sets that a tenant does not
name come from the starter (`starter.yaml`: tone, escalation, and the two topics that hotspots count).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from hubbub.errors import BadInputError, NotFoundError
from hubbub.labels.patterns import check_pattern
from hubbub.model.event import nearest
from hubbub.model.label import LabelSet
from hubbub.yaml_file import read_yaml

MOST_LABELS, MOST_WORDS, LONGEST_NAME, LONGEST_WORD = 200, 2000, 100, 200
_STARTER = Path(__file__).with_name("starter.yaml")
_NAME = re.compile(rf"[^\x00-\x1f\ud800-\udfff]{{1,{LONGEST_NAME}}}\Z")


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its rules: `words` (or phrases) as whole words in any case, `patterns` as regular expressions."""

    name: str
    words: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Daily budget (UTC) of an endpoint: calls, and money in the unit of the setting `ai.price_in`."""

    calls: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    money: Annotated[float, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """The labels of a tenant by set, in display order.

    `precision`: share of right answers that a classifier needs. `endpoint`: budget of the configured model for messages
    that no other labeller labels; None: not used.
    """

    sets: Mapping[LabelSet, tuple[Label, ...]] = field(default_factory=dict)
    precision: float = 0.9
    endpoint: Budget | None = None

    def names(self, label_set: LabelSet) -> list[str]:
        """Return the names of a set's labels."""
        return [label.name for label in self.sets.get(label_set, ())]

    def renamed(self, label_set: LabelSet, old: str, new: str) -> Configuration:
        """Return the configuration with a renamed label; an existing label of the new name gets its words and patterns too.

        Raises NotFoundError for an unknown label, BadInputError for a bad name.
        """
        labels = {label.name: label for label in self.sets.get(label_set, ())}
        moved = labels.get(old)
        if moved is None:
            raise NotFoundError(f"{label_set} has no label {old[:LONGEST_NAME]!r}{nearest(old, labels)}")
        target = labels.get(new)
        joined = replace(moved, name=_checked_name(label_set, new))
        if target is not None:
            both = (tuple(dict.fromkeys((*target.words, *moved.words))), (*target.patterns, *moved.patterns))
            joined = Label(new, *both)
        changed = [joined if name == (old if target is None else new) else label for name, label in labels.items()]
        others = tuple(label for label in changed if label.name != old)
        return replace(self, sets={**self.sets, label_set: others})

    def with_label(self, label_set: LabelSet, name: str, words: Sequence[str] = ()) -> Configuration:
        """Return the configuration with a new label; an existing one gets the further words. Raises BadInputError."""
        labels = {label.name: label for label in self.sets.get(label_set, ())}
        before = labels.get(name) or Label(_checked_name(label_set, name))
        after = replace(before, words=tuple(dict.fromkeys((*before.words, *map(_checked_word, words)))))
        return replace(self, sets={**self.sets, label_set: tuple((labels | {name: after}).values())})

    def document(self) -> dict[str, Any]:
        """Return the configuration as plain values for `read`."""
        return {
            **{
                label_set.value: {
                    label.name: {k: list(v) for k, v in (("words", label.words), ("patterns", label.patterns)) if v}
                    for label in labels
                }
                for label_set, labels in self.sets.items()
            },
            "precision": self.precision,
            **({"endpoint": msgspec.to_builtins(self.endpoint)} if self.endpoint is not None else {}),
        }


Words = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_WORD)]], msgspec.Meta(max_length=MOST_WORDS)
]


class _Rules(msgspec.Struct, forbid_unknown_fields=True):
    words: Words = []
    patterns: Words = []


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    topic: dict[str, _Rules | None] | None = None
    tone: dict[str, _Rules | None] | None = None
    intent: dict[str, _Rules | None] | None = None
    escalation: dict[str, _Rules | None] | None = None
    precision: Annotated[float, msgspec.Meta(ge=0.5, le=1)] = 0.9
    endpoint: Budget | None = None


def read(document: object, where: str = "labels") -> Configuration:
    """Read a configuration from plain values; missing sets are the starter's.

    Raises BadInputError naming `where` and the place in it.
    """
    return _read(document, where, starter().sets)


def _read(document: object, where: str, others: Mapping[LabelSet, tuple[Label, ...]]) -> Configuration:
    try:
        parsed = msgspec.convert(document, _Document)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise BadInputError(f"{where}: {error} (see docs/howto/labels.md)") from None
    sets = dict(others)
    for label_set in LabelSet:
        of_set = getattr(parsed, label_set.value)
        if of_set is None:
            continue
        if len(of_set) > MOST_LABELS:
            raise BadInputError(f"{where}: {label_set} has {len(of_set)} labels, {MOST_LABELS} are allowed")
        sets[label_set] = tuple(_label(where, label_set, name, rules or _Rules()) for name, rules in of_set.items())
    return Configuration(sets, parsed.precision, parsed.endpoint)


def read_file(path: Path) -> Configuration:
    """Return the configuration of a YAML file. Raises BadInputError naming file and place."""
    return read(_yaml(path), path.name)


def _yaml(path: Path) -> object:
    try:
        return read_yaml(path)
    except yaml.YAMLError as error:
        raise BadInputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: {error}") from None


@cache
def starter() -> Configuration:
    """Return the initial labels of every tenant, with rules only."""
    return _read(_yaml(_STARTER), _STARTER.name, {})


def set_named(name: str) -> LabelSet:
    """Return the label set of a name. Raises BadInputError."""
    try:
        return LabelSet(name)
    except ValueError:
        known = ", ".join(LabelSet)
        raise BadInputError(f"label set {name[:40]!r} is not one of {known}{nearest(name, list(LabelSet))}") from None


def _label(where: str, label_set: LabelSet, name: str, rules: _Rules) -> Label:
    for pattern in rules.patterns:
        check_pattern(pattern, f"{where}: {label_set}.{name[:40]}")
    return Label(_checked_name(label_set, name), tuple(rules.words), tuple(rules.patterns))


def _checked_name(label_set: LabelSet, name: str) -> str:
    if not _NAME.match(name) or name != name.strip():
        raise BadInputError(
            f"{label_set}: a label's name has 1 to {LONGEST_NAME} printable characters, not {name[:40]!r}"
        )
    return name


def _checked_word(word: str) -> str:
    if not 1 <= len(word.strip()) <= LONGEST_WORD:
        raise BadInputError(f"words: a word or phrase has 1 to {LONGEST_WORD} characters, not {word[:40]!r}")
    return word.strip()
