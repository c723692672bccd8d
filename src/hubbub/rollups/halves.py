"""Work on all tenants together; when that fails on ever smaller halves, until who makes it fail stands alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hubbub.errors import NOT_NOW
from hubbub.model.tenant import Tenant


def by_halves(tenants: Sequence[Tenant], act: Callable[[Sequence[Tenant]], None]) -> Iterator[tuple[Tenant, str]]:
    """Do `act` for all tenants at once; yields each tenant for which it fails even alone, with the error's first line.

    `act` must leave nothing behind when it raises: it is done again for each half. What it raises because a store or
    database does not answer is raised on.
    """
    try:
        act(tenants)
    except NOT_NOW:
        raise  # nobody's fault, and it would be the same for each
    except Exception as error:
        if len(tenants) > 1:
            half = len(tenants) // 2
            yield from by_halves(tenants[:half], act)
            yield from by_halves(tenants[half:], act)
            return
        yield tenants[0], str(error).splitlines()[0][:500] if str(error) else type(error).__name__
