"""The laws' laboratory with the answering service, and tenants by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any, cast

import pytest

from hubbub.control.control import Control
from hubbub.model.event import record_from
from hubbub.model.plain import plain
from hubbub.model.tenant import Tenant
from hubbub.services.answers import AnswerService
from hubbub.services.names import NameService
from hubbub.storage.names import Names
from tests.laws.conftest import Lab


class Desk(Lab):
    """Answers of tenants by name, as plain values."""

    def __init__(self, folder: Path) -> None:
        """Open a store in a folder."""
        super().__init__(folder)
        self.empty()
        self.answers = AnswerService(
            cast("Control", self), self.queries, cast("NameService", self)
        )  # it uses only `tenant` and `called`
        self._named: dict[str, Tenant] = {}

    def tenant(self, *args: Any, **options: Any) -> Tenant:
        """Return a tenant by its name, or make one as the laboratory does."""
        if args and args[0] in self._named:
            return self._named[args[0]]
        return super().tenant(*args, **options)

    def _plainly(self, name: str, *args: Any, **params: Any) -> Any:
        return plain(getattr(self.answers, name)(*args, **params))

    query = partialmethod(_plainly, "query")
    explain = partialmethod(_plainly, "explain")
    changes = partialmethod(_plainly, "changes")
    usual = partialmethod(_plainly, "usual")
    dashboard = partialmethod(_plainly, "dashboard")
    states = partialmethod(_plainly, "states")
    trends = partialmethod(_plainly, "trends")
    hotspots = partialmethod(_plainly, "hotspots")

    def called(self, tenant: Tenant, wanted: Mapping[str, Iterable[str]]) -> Names:
        """Return no names."""
        return {}

    def add(self, name: str, zone: str = "UTC") -> Tenant:
        """Make a tenant with a name."""
        self._named[name] = replace(super().tenant(zone), id=name)
        return self._named[name]

    def record(self, name: str, events: Iterable[Mapping[str, Any]]) -> None:
        """Store events given as mappings; none may be rejected."""
        items = [record_from(dict(event), number) for number, event in enumerate(events)]
        outcome = self.intake.accept(self._named[name], items, history=True)
        assert outcome.rejected == []


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Make a desk for one test."""
    made = Desk(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A laboratory for all examples of a module; each begins with `lab.empty()`."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    made.store.close()
