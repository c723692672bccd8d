"""Answers a tenant's questions at one moment: folds its latest events, then reads the store or the copy.

`answering.py` answers one question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime

from hubbub.clock import Clock
from hubbub.errors import BadQuestionError, StoreFullError, StoreUnavailableError
from hubbub.facts.moments import micros
from hubbub.facts.past import known_at
from hubbub.facts.refresh import refresh
from hubbub.metrics.catalogue import find
from hubbub.model.coverage import Gap
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.query.answering import Ask, TenantFacts
from hubbub.query.result import Answer
from hubbub.storage.store import Store
from hubbub.storage.transaction import Reading, Transaction

MANY = "SELECT 1 FROM event WHERE tenant = ? AND time >= ? AND time < ? LIMIT 1 OFFSET ?"
"""Whether a tenant has more than a number of events in a range; parameters: tenant, start and end (microseconds), number."""
AskAll = Callable[[Sequence[Question]], list[Answer]]
Gaps = Callable[[Tenant, datetime], Sequence[Gap]]
"""Returns the gaps of a tenant's sources, as known at a moment."""


def no_gaps(_tenant: Tenant, _now: datetime) -> Sequence[Gap]:
    """Return no gaps: for a store without sources."""
    return ()


class Queries:
    """Answers questions of one tenant at a time from the store's facts. Thread-safe."""

    def __init__(self, store: Store, clock: Clock, gaps: Gaps = no_gaps) -> None:
        self._store = store
        self._clock = clock
        self._gaps = gaps

    def now(self) -> datetime:
        """Return the current moment."""
        return self._clock()

    def answer(self, tenant: Tenant, question: Question) -> Answer:
        """Answer a question. Raises BadQuestionError for unknown names and ranges without an answer."""
        return self.together(tenant, [question])[0]

    def together(self, tenant: Tenant, questions: Sequence[Question]) -> list[Answer]:
        """Answer several questions with the same `as_of` at one moment. Raises what `answer` raises."""
        as_of = questions[0].as_of if questions else None
        try:
            with self._answering(tenant, as_of) as (ask_all, _, _):
                return ask_all(questions)
        except StoreUnavailableError:
            if self._store.copy is None or self._store.copy.away is None:
                raise
        with self.asking(tenant, as_of) as (ask, _, _):
            return [ask(question) for question in questions]

    @contextmanager
    def at_once(self, tenant: Tenant) -> Iterator[Ask]:
        """Provide a function that answers questions at one moment, where the next question depends on an answer."""
        with self.counting(tenant) as (ask, _, _):
            yield ask

    @contextmanager
    def counting(self, tenant: Tenant, as_of: datetime | None = None) -> Iterator[tuple[Ask, Transaction, datetime]]:
        """Provide a function that answers questions at one moment, the store's transaction, and that moment.

        Where the store has a copy and the first question is over many events, the copy answers, except what its SQL cannot
        express. With `as_of` (aware) everything is as known then. Raises BadQuestionError for a moment that is past retention, or
        in the future.
        """
        with self._answering(tenant, as_of) as (ask_all, reading, now):
            yield (lambda question: ask_all([question])[0]), reading, now

    @contextmanager
    def _answering(self, tenant: Tenant, as_of: datetime | None) -> Iterator[tuple[AskAll, Transaction, datetime]]:
        """Like `counting`, with a function that answers several questions together."""
        with self._facts(tenant, as_of) as (facts, reading), ExitStack() as stack:
            chosen: list[TenantFacts] = []

            def ask_all(questions: Sequence[Question]) -> list[Answer]:
                rest = [question for question in questions if not _correlated(question)]
                if rest and not chosen:
                    copied = stack.enter_context(self._copied(tenant, rest[0], reading)) if as_of is None else None
                    chosen.append(facts if copied is None else replace(facts, reading=copied))
                answers = iter(_together(chosen[0], rest) if rest else ())
                return [facts.answer(question) if _correlated(question) else next(answers) for question in questions]

            yield ask_all, reading, facts.now

    @contextmanager
    def _copied(self, tenant: Tenant, question: Question, reading: Transaction) -> Iterator[Reading | None]:
        """Provide the copy of a tenant's facts; None if there is none, or if the store answers the question faster."""
        copy, low, high = self._store.copy, micros(question.start), micros(question.end)
        if copy is None or (copy.fewest and reading.value(MANY, (tenant.no, low, high, copy.fewest - 1)) is None):
            yield None
            return
        with copy.read(tenant.no) as copied:
            yield copied

    @contextmanager
    def asking(self, tenant: Tenant, as_of: datetime | None = None) -> Iterator[tuple[Ask, Transaction, datetime]]:
        """Like `counting`, from the store alone, so that events can be read beside the numbers, at the same moment."""
        with self._facts(tenant, as_of) as (facts, reading):
            yield facts.answer, reading, facts.now

    @contextmanager
    def _facts(self, tenant: Tenant, as_of: datetime | None) -> Iterator[tuple[TenantFacts, Transaction]]:
        """Provide a tenant's facts with its latest events, or as known at `as_of`, and the transaction that reads them."""
        behind, now = self._refreshed(tenant), self._clock()
        if as_of is not None and as_of > now:
            raise BadQuestionError(f"'as_of' is in the future: it is {now:%Y-%m-%dT%H:%M:%SZ}")
        with self._store.facts.read() as reading:
            gaps = self._gaps(tenant, now)
            if as_of is None:
                yield TenantFacts(reading, tenant, now, gaps, behind), reading
                return
            with known_at(reading, tenant.no, micros(as_of)) as past:
                yield TenantFacts(past, tenant, as_of, gaps, behind), past

    @contextmanager
    def reading(self, tenant: Tenant) -> Iterator[tuple[Transaction, datetime]]:
        """Refresh a tenant, and provide a transaction with its facts of one moment, and that moment."""
        self._refreshed(tenant)
        now = self._clock()
        with self._store.facts.read() as reading:
            yield reading, now

    def _refreshed(self, tenant: Tenant) -> str | None:
        """Refresh a tenant. Where nothing can be written now, stored facts can still be read: return the reason."""
        try:
            refresh(self._store, tenant.no)
        except (StoreFullError, StoreUnavailableError) as error:
            return f"the latest events are not counted: {error.message}"
        return None


def _together(facts: TenantFacts, questions: Sequence[Question]) -> list[Answer]:
    facts.reading.begin_question()
    return facts.reading.together(lambda: [facts.answer(question) for question in questions])


def _correlated(question: Question) -> bool:
    return any(find(name).correlated for name in question.metrics)
