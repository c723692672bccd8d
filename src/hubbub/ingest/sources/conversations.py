"""Which rows of files belong to one conversation, said by the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator

from hubbub.ingest.sources.mapping import ConversationRule
from hubbub.ingest.sources.rows import Row
from hubbub.ingest.sources.values import cell, plain


class Conversations:
    """Which rows belong together, learned in a first reading of all files. It adds these columns to a row:

    `conversation`, the id of the thread's first row; `opener`, who wrote that; `is_opener`, whether this row's
    author did; `answered`, who wrote the row that this one answers; and what the mapping carries from one row of
    the conversation to all, such as the brand that answers in it. A thread is found by going up `parent` to the
    farthest row there is (loops do no harm), or given by `group`, whose first row is the first by `order`. Where
    the top row answers something that is not in the files, all that answer the same share its id, and the opener is
    not known.
    """

    def __init__(self, rule: ConversationRule, rows: Iterator[Row]) -> None:
        """Read all rows once."""
        self._rule = rule
        self._parents: dict[str, str] = {}  # a row's nearest present or, failing that, farthest named ancestor
        named: dict[str, list[str]] = {}
        self._authors: dict[str, str] = {}
        seen: list[tuple[str, str, dict[str, str]]] = []
        for row in rows:
            key = plain(cell(row, rule.id))
            if not key or key in named:
                continue
            named[key] = self._named(row)
            self._authors[key] = plain(cell(row, rule.author)) if rule.author else ""
            carried = {n: plain(cell(row, c)) for n, (c, when) in rule.carry.items() if when.fits(row)}
            seen.append((key, plain(cell(row, rule.order)) if rule.order else "", carried))
        for key, parents in named.items():
            present = [p for p in parents if p in named and p != key]
            if present or parents:
                self._parents[key] = present[0] if present else parents[-1]
        self._root: dict[str, str] = {}
        self._opener: dict[str, str] = {}
        self._carried: dict[str, dict[str, str]] = {}
        for key, _, carried in sorted(seen, key=lambda entry: entry[1]):
            root = self._top(key)
            if rule.group or root == key:
                self._opener.setdefault(root, self._authors[key])
            mine = self._carried.setdefault(root, {})
            for name, content in carried.items():
                mine.setdefault(name, content)

    def _named(self, row: Row) -> list[str]:
        """Return the ancestors that a row names, the nearest first."""
        if self._rule.group:
            group = plain(cell(row, self._rule.group))
            return [group] if group else []
        return [plain(p) for column in self._rule.parents for p in reversed(plain(cell(row, column)).split())]

    def _top(self, key: str) -> str:
        if self._rule.group:
            return self._parents.get(key, key)
        path: dict[str, None] = {}
        at = key
        while at in self._parents and at not in self._root:
            if at in path:  # a loop: its smallest id stands for it, whichever row was met first
                at = min(list(path)[list(path).index(at) :])
                break
            path[at] = None
            at = self._parents[at]
        root = self._root.get(at, at)
        for step in path:
            self._root[step] = root
        return root

    def columns(self, row: Row) -> Row:
        """Return the columns that a row gains."""
        key = plain(cell(row, self._rule.id))
        root = self._top(key) if key else ""
        opener = self._opener.get(root, "")
        author = plain(cell(row, self._rule.author)) if self._rule.author else ""
        carried = self._carried.get(root, {})
        is_opener = "true" if opener and opener == author else "false"
        return {
            "conversation": root, "opener": opener, "is_opener": is_opener,
            "answered": "" if self._rule.group else self._authors.get(self._parents.get(key, ""), ""),
            **{name: carried.get(name, "") for name in self._rule.carry},
        }  # fmt: skip
