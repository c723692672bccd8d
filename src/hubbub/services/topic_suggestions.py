"""Suggested topics: what unlabelled messages are about, found each week, for a person to accept or dismiss.

`LabelService` (labels.py) has it as `suggestions`. Only messages with a stored text are read. A topic is shown from a floor of
messages and people on; accepted, it is a label with rule words and examples; dismissed, it does not come back.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.topic_suggestions import Body, Mentioned, StoredTopic, TopicState, TopicSuggestions
from hubbub.errors import ConflictError, HubbubError, NotFoundError
from hubbub.facts.refresh import refresh
from hubbub.labels import extra, stored
from hubbub.labels.decision import Message
from hubbub.model.label import LabelSet
from hubbub.model.readable import readable
from hubbub.model.tenant import Tenant
from hubbub.query.outcomes import Outcome, outcomes
from hubbub.services.label_review import LabelReview
from hubbub.services.topic_suggestion_views import (
    AcceptedTopic,
    DismissedTopic,
    ExampleMessage,
    SuggestedTopic,
    SuggestionRun,
    SuggestionRuns,
    TopicSuggestionsView,
    TopicTurn,
)
from hubbub.storage.store import Store

if TYPE_CHECKING:
    from hubbub.labels.classifier import Floats
    from hubbub.labels.suggested import Suggested

MOST_READ = 5_000
"""The newest unlabelled messages that a run reads."""
FLOOR, FLOOR_OF_PEOPLE = 10, 3
"""Fewest messages and people of a topic that is shown."""
HISTORY = 50
Digest = Callable[[str, str, str], str]
Add = Callable[[str, str, str, str, Sequence[str]], object]


class TopicSuggestionService:
    """Suggested topics of all tenants. `add` adds a label with words, `review` labels examples."""

    def __init__(
        self, store: Store, control: Control, suggestions: TopicSuggestions, digest: Digest, clock: Clock, add: Add,
        review: LabelReview,
    ) -> None:  # fmt: skip
        self._store, self._control, self._clock, self._digest = store, control, clock, digest
        self._add, self._review = add, review
        self.stored = suggestions

    def run(self, tenant: str) -> SuggestionRun:
        """Look for topics among unlabelled messages; the same messages change nothing.

        Raises BadSettingError without the extra, ConflictError when another process did so meanwhile.
        """
        owner = self._control.tenant(tenant)
        extra.require()
        refresh(self._store, owner.no)
        messages = stored.unlabelled(self._store, owner.no, LabelSet.TOPIC, MOST_READ)
        before, digest = self.stored.last_run(owner.id), self._of(owner, messages)
        if changed := digest != before.digest:
            self._follow(owner, messages, digest)
        run = self.stored.last_run(owner.id)
        return SuggestionRun(owner.id, run.read, len(self._shown(owner.id)), changed)

    def run_all(self, tenants: Sequence[str]) -> SuggestionRuns:
        """Look for topics of tenants; a failing one stops no other. Without the extra none is processed."""
        if extra.lacking():
            return SuggestionRuns(0, {}, "the extra 'labels' is not installed")
        errors = {}
        for tenant in tenants:
            try:
                self.run(tenant)
            except HubbubError as error:
                errors[tenant] = error.message
        return SuggestionRuns(len(tenants) - len(errors), errors)

    def of(self, tenant: str) -> TopicSuggestionsView:
        """Return a tenant's undecided topics above the floor, by opportunity, and what became of others."""
        owner = self._control.tenant(tenant)
        run, shown = self.stored.last_run(owner.id), self._shown(owner.id)
        below = sum(topic.state is TopicState.OPEN for topic in self.stored.of(owner.id)) - len(shown)
        history = [
            TopicTurn(turn.number, turn.fate, turn.other, turn.made_by, turn.made_at)
            for turn in self.stored.turns(owner.id, HISTORY)
        ]
        rows = [self._view(owner, topic) for topic in ranked(shown)]
        return TopicSuggestionsView(owner.id, run.made_at, run.read, rows, below, history)

    def accept(
        self, tenant: str, number: int, label: str, words: Sequence[str] | None = None, by: str = ""
    ) -> AcceptedTopic:
        """Make a topic a label, with `words` as its rule (None: the suggested ones), and its examples labelled by the person.

        Raises NotFoundError, BadInputError for a name, ConflictError for a decided topic.
        """
        owner = self._control.tenant(tenant)
        topic = self._undecided(owner.id, number)
        rule = topic.body.rule if words is None else tuple(words)
        self._add(owner.id, LabelSet.TOPIC, label, by, rule)
        examples = self._messages(owner, topic)
        for message in examples:
            self._review.say(owner.id, LabelSet.TOPIC, message.key, label, by)
        self.stored.decide(owner.id, number, TopicState.ACCEPTED, label, by)
        return AcceptedTopic(owner.id, number, label, rule, len(examples))

    def dismiss(self, tenant: str, number: int, by: str = "") -> DismissedTopic:
        """Suggest a topic no more; messages of its kind are not suggested again. Raises NotFoundError, ConflictError."""
        owner = self._control.tenant(tenant)
        self._undecided(owner.id, number)
        self.stored.decide(owner.id, number, TopicState.DISMISSED, None, by)
        return DismissedTopic(owner.id, number)

    def _follow(self, tenant: Tenant, messages: Sequence[Message], digest: str) -> None:
        """Group messages from the centres of the run before, and store the run."""
        from hubbub.labels.suggested import suggested

        run, topics = self.stored.last_run(tenant.id), self.stored.of(tenant.id)
        known = {topic.number: _centre(topic.body.centre) for topic in topics}
        lasting = frozenset(topic.number for topic in topics if topic.state is not TopicState.OPEN)
        result = suggested(messages, known, lasting, run.last_number + 1)
        became = self._outcomes(tenant, [message for topic in result.topics for message in topic.messages])
        bodies = {topic.number: _body(topic, became) for topic in result.topics}
        turns = [(turn.number, turn.fate.value, turn.other) for turn in result.turns]
        self.stored.store(tenant.id, run, digest, result.read, bodies, turns)

    def _outcomes(self, tenant: Tenant, messages: Sequence[Message]) -> Mapping[str, Outcome]:
        ids = [message.conversation_id for message in messages if message.conversation_id is not None]
        with self._store.facts.read() as reading:
            return outcomes(reading, tenant, ids, self._clock())

    def _shown(self, tenant: str) -> list[StoredTopic]:
        return [topic for topic in self.stored.of(tenant) if topic.state is TopicState.OPEN and _above(topic.body)]

    def _undecided(self, tenant: str, number: int) -> StoredTopic:
        topic = next((topic for topic in self.stored.of(tenant) if topic.number == number), None)
        if topic is None or not (_above(topic.body) or topic.state is not TopicState.OPEN):
            raise NotFoundError("there is no such suggested topic; see 'hubbub labels suggestions'")
        if topic.state is not TopicState.OPEN:
            raise ConflictError(f"topic {number} is {topic.state} already")
        return topic

    def _messages(self, tenant: Tenant, topic: StoredTopic) -> list[Message]:
        return stored.of_keys(self._store, tenant.no, [example.key for example in topic.body.examples])

    def _view(self, tenant: Tenant, topic: StoredTopic) -> SuggestedTopic:
        body = topic.body
        return SuggestedTopic(
            topic.number, body.words, body.rule, body.messages, body.people, body.conversations, body.unresolved,
            body.handling_ms, opportunity(body), topic.made_at,
            [ExampleMessage(message.key, readable(message.text)) for message in self._messages(tenant, topic)],
        )  # fmt: skip

    def _of(self, tenant: Tenant, messages: Sequence[Message]) -> str:
        """Return a digest of messages and their texts, in any order."""
        lines = sorted(f"{message.key}\0{message.conversation_id}\0{message.text}" for message in messages)
        return self._digest(tenant.id, "suggested topics", "\0\0".join(lines))


def ranked(topics: Sequence[StoredTopic]) -> list[StoredTopic]:
    """Return topics by messages × unresolved × handling time; a factor that is not known is the mean of the others', else 1."""
    bodies = [topic.body for topic in topics]
    unresolved = [body.unresolved for body in bodies if body.unresolved is not None] or [1.0]
    handling = [body.handling_ms for body in bodies if body.handling_ms is not None] or [1.0]

    def worth(body: Body) -> float:
        share = mean(unresolved) if body.unresolved is None else body.unresolved
        return body.messages * share * (mean(handling) if body.handling_ms is None else body.handling_ms)

    return sorted(topics, key=lambda topic: (-worth(topic.body), -topic.body.messages, topic.number))


def opportunity(body: Body) -> float | None:
    """Return messages × unresolved × handling time in milliseconds; None where one is not known."""
    if body.unresolved is None or body.handling_ms is None:
        return None
    return body.messages * body.unresolved * body.handling_ms


def _above(body: Body) -> bool:
    return body.messages >= FLOOR and body.people >= FLOOR_OF_PEOPLE and bool(body.words)


def _body(topic: Suggested, became: Mapping[str, Outcome]) -> Body:
    from hubbub.labels.suggested import EXAMPLES, person_of

    conversations = {message.conversation_id for message in topic.messages if message.conversation_id is not None}
    known = [became[id_] for id_ in sorted(conversations) if id_ in became]
    handled = [outcome.handling_ms for outcome in known if outcome.handling_ms is not None]
    examples = tuple(Mentioned(message.key, message.contact_id) for message in topic.messages[:EXAMPLES])
    return Body(
        topic.words, topic.rule, examples, base64.b64encode(topic.centre.tobytes()).decode(), len(topic.messages),
        len({person_of(message) for message in topic.messages}), len(conversations),
        mean(outcome.unresolved for outcome in known) if known else None, mean(handled) if handled else None,
    )  # fmt: skip


def _centre(stored_centre: str) -> Floats:
    import numpy as np

    return np.frombuffer(base64.b64decode(stored_centre), dtype=np.float32)
