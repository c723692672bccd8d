"""Group rows of files into conversations, by references between the rows."""

from __future__ import annotations

from collections.abc import Iterator

from hubbub.ingest.sources.mapping import ConversationRule
from hubbub.ingest.sources.rows import Row
from hubbub.ingest.sources.values import cell, plain


class Conversations:
    """The conversations of rows, from a first pass over all files. It adds these columns to a row:

    `conversation`, the id of the thread's first row; `opener`, its author; `is_opener`, whether this row has the same author;
    `answered`, the author of the row that this one replies to; and columns that the mapping carries from one row to the whole
    conversation, such as the brand that replies in it. A thread is found by following `parent` to the farthest row (loops are
    harmless), or given by `group`, whose first row is the first by `order`. When the top row replies to something outside the
    files, all replies to that share its id, and the opener is unknown.
    """

    def __init__(self, rule: ConversationRule, rows: Iterator[Row]) -> None:
        """Read all rows once."""
        self._rule = rule
        self._parents: dict[str, str] = {}  # a row's nearest present ancestor, else its farthest named one
        parents_of: dict[str, list[str]] = {}
        self._authors: dict[str, str] = {}
        entries: list[tuple[str, str, dict[str, str]]] = []
        for row in rows:
            key = plain(cell(row, rule.id))
            if not key or key in parents_of:
                continue
            parents_of[key] = self._ancestors(row)
            self._authors[key] = plain(cell(row, rule.author)) if rule.author else ""
            carried = {n: plain(cell(row, c)) for n, (c, when) in rule.carry.items() if when.fits(row)}
            entries.append((key, plain(cell(row, rule.order)) if rule.order else "", carried))
        for key, parents in parents_of.items():
            present = [p for p in parents if p in parents_of and p != key]
            if present or parents:
                self._parents[key] = present[0] if present else parents[-1]
        self._root: dict[str, str] = {}
        self._opener: dict[str, str] = {}
        self._carried: dict[str, dict[str, str]] = {}
        for key, _, carried in sorted(entries, key=lambda entry: entry[1]):
            root = self._top(key)
            if rule.group or root == key:
                self._opener.setdefault(root, self._authors[key])
            columns = self._carried.setdefault(root, {})
            for name, content in carried.items():
                columns.setdefault(name, content)

    def _ancestors(self, row: Row) -> list[str]:
        """Return the ancestors of a row, nearest first."""
        if self._rule.group:
            group = plain(cell(row, self._rule.group))
            return [group] if group else []
        return [plain(p) for column in self._rule.parents for p in reversed(plain(cell(row, column)).split())]

    def _top(self, key: str) -> str:
        if self._rule.group:
            return self._parents.get(key, key)
        path: dict[str, None] = {}
        current = key
        while current in self._parents and current not in self._root:
            if current in path:  # a loop: its smallest id is the root, whichever row came first
                current = min(list(path)[list(path).index(current) :])
                break
            path[current] = None
            current = self._parents[current]
        root = self._root.get(current, current)
        for step in path:
            self._root[step] = root
        return root

    def columns(self, row: Row) -> Row:
        """Return the added columns of a row."""
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
