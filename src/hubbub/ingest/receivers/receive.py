"""Receive deliveries: verify the bytes, read them as events, and store the events like those of every other source.

The sender of a forged body gets no explanation. The log gets a line without any of its content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from cachetools import TTLCache

from hubbub.control.integrations import Integration, Integrations
from hubbub.control.payloads import Payloads
from hubbub.errors import ForgedError, IntegrationPausedError, NotFoundError
from hubbub.facts.refresh import store_waiting
from hubbub.ingest.accept import Outcome
from hubbub.ingest.receivers.base import Change, Delivery, Gap, Options, Receiver, Reply, with_source
from hubbub.ingest.receivers.catalogue import receivers
from hubbub.ingest.receivers.stored import applied, receipts
from hubbub.ingest.receivers.texts import separate, store
from hubbub.model.event import EventFields, Item, Rejection, as_json, record_from
from hubbub.model.name import Name
from hubbub.model.tenant import Tenant
from hubbub.outgoing.http import Outgoing
from hubbub.storage.store import Store
from hubbub.telemetry import log

Accept = Callable[[str, list[Item], str], Outcome]
Label = Callable[[str, Sequence[Item]], object]
"""Labels messages that were just accepted, because their texts may not be stored."""
TakeNames = Callable[[str, Sequence[Name]], object]
NoteGaps = Callable[[Integration, Sequence[Gap]], object]
NoteNumber = Callable[[Integration, int, datetime], object]
"""Stores the number of a delivery and the time of its receipt."""
MOST_HEARD, HEARD_SECONDS = 50_000, 600.0
"""How many names are remembered as stored, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The result of a delivery: the `reply` to a challenge, or the outcome of its events."""

    reply: Reply | None = None
    outcome: Outcome = field(default_factory=Outcome)
    ignored: Mapping[str, int] = field(default_factory=dict)
    names: tuple[Name, ...] = ()

    def answer(self) -> dict[str, object]:
        """Return the public form: counts of events, the refused ones, and the ignored ones by name."""
        return {**self.outcome.answer(), "ignored": dict(self.ignored)}


class Receiving:
    """Receives deliveries for all integrations."""

    def __init__(
        self,
        integrations: Integrations,
        payloads: Payloads,
        store: Store,
        tenant_of: Callable[[str], Tenant],
        accept: Accept,
        take_names: TakeNames,
        note_gaps: NoteGaps,
        note_number: NoteNumber,
        label: Label,
        http: Outgoing,
    ) -> None:
        self._receivers = receivers(http)
        self._integrations, self._payloads, self._label = integrations, payloads, label
        self._store, self._tenant_of, self._accept, self._take_names = store, tenant_of, accept, take_names
        self._note_gaps, self._note_number = note_gaps, note_number
        self._heard: TTLCache[tuple[str, Name], None] = TTLCache(MOST_HEARD, HEARD_SECONDS)
        self._hearing = Lock()

    def find(self, provider: str, integration_id: str) -> Integration:
        """Return the integration of an address.

        Raises the same NotFoundError when it does not exist, belongs to another service, or only fetches.
        """
        integration = self._integrations.find(integration_id)
        if (
            integration is None
            or integration.provider != provider
            or provider not in self._receivers
            or not self._receivers[provider].setup.receives(integration.secret_names)
        ):
            raise NotFoundError
        return integration

    def take(self, integration: Integration, delivery: Delivery) -> Taken:
        """Verify, answer or store a delivery to an integration that `find` returned.

        Raises ForgedError, IntegrationPausedError, BadRequestError, and what storing raises.
        """
        receiver = self._receivers[integration.provider]
        secrets = self._integrations.secrets(integration)
        try:
            if delivery.method != "GET":
                receiver.verify(delivery, secrets)
            reply = receiver.challenge(delivery, secrets)
        except ForgedError as error:
            log.warning(
                "forged delivery", provider=integration.provider, integration=integration.id, tenant=integration.tenant,
                reason=error.details.get("reason", ""),
            )  # fmt: skip
            raise
        if reply is not None:
            return Taken(reply)
        if delivery.method == "GET":
            raise NotFoundError
        return self.take_trusted(integration, delivery)

    def take_trusted(self, integration: Integration, delivery: Delivery) -> Taken:
        """Store a delivery that was verified, or came over a connection that Hubbub opened.

        Raises IntegrationPausedError, BadRequestError, and what storing raises.
        """
        if integration.state == "paused":
            raise IntegrationPausedError
        return self._store_events(self._receivers[integration.provider], integration, delivery)

    def _store_events(self, receiver: Receiver, integration: Integration, delivery: Delivery) -> Taken:
        source, tenant = receiver.provider, integration.tenant
        received = receiver.read(delivery, self._options(integration))
        events: list[tuple[EventFields, int | None]] = [(with_source(source, event), None) for event in received.events]
        ignored = Counter(received.ignored)
        owner = self._tenant_of(tenant)
        for change in received.changes:
            changed = applied(self._store, owner.no, source, change)
            if changed is not None:
                events.append(({"source": source, **changed}, change.revision))
            elif not change.otherwise:
                ignored["change of an unknown message"] += 1
        for up_to in received.up_to:
            reached = [{"source": source, **event} for event in receipts(self._store, owner.no, source, up_to)]
            events += ((event, None) for event in reached)
            ignored[f"{up_to.type} without a stored message"] += not reached
        if received.says_nothing:
            ignored["a body without content"] += 1
        if ignored and receiver.setup.quiet:  # the answer cannot say so
            log.info("ignored", integration=integration.id, tenant=tenant, ignored=dict(ignored))
        separated = [separate(integration, event, revision) for event, revision in events]
        items = [_item(event, index, tenant) for index, (event, _) in enumerate(separated)]
        outcome = self._accept(tenant, items, integration.provider) if items else Outcome()
        if outcome.corrected and received.after_stand_in:
            self._change_again(owner, integration.provider, received.after_stand_in)
        if _labelled(integration):
            self._label(tenant, [_item(event, index, tenant) for index, (event, _) in enumerate(events)])
        self._hear(tenant, received.names)
        self._note_gaps(integration, received.gaps)
        if received.number is not None:
            self._note_number(integration, received.number, delivery.received_at)
        for gap in received.gaps:
            log.warning(
                "a service lost events", integration=integration.id, tenant=tenant, since=gap.from_.isoformat(),
                until=gap.to.isoformat(), reason=gap.reason,
            )  # fmt: skip
        refused = {one.index for one in outcome.rejected}
        for index, (_, text) in enumerate(separated):
            if text is not None and index not in refused:
                store(self._payloads, integration, text)
        return Taken(None, outcome, +ignored, tuple(received.names))

    def _change_again(self, owner: Tenant, source: str, changes: Sequence[Change]) -> None:
        """Apply changes to messages that were stored just now in place of their stand-ins."""
        store_waiting(self._store, owner.no)
        changed = [event for change in changes if (event := applied(self._store, owner.no, source, change)) is not None]
        items = [_item({"source": source, **event}, index, owner.id) for index, event in enumerate(changed)]
        if items:
            self._accept(owner.id, items, source)

    def _hear(self, tenant: str, names: Sequence[Name]) -> None:
        """Store names, each at most once in HEARD_SECONDS, because every message carries its sender's name."""
        with self._hearing:
            fresh = [name for name in names if (tenant, name) not in self._heard]
        if fresh:
            self._take_names(tenant, fresh)
            with self._hearing:
                self._heard.update(dict.fromkeys((tenant, name) for name in fresh))

    def _options(self, integration: Integration) -> Options:
        settings = integration.settings
        staff, own, bots = (frozenset(settings.get(name, ())) for name in ("staff_ids", "own_ids", "bot_ids"))
        return Options(
            integration.id, staff, own, bots, keep_text="keep_text_days" in settings or _labelled(integration),
            zone=settings.get("zone", "UTC"),
            settings=settings,
        )  # fmt: skip


def _labelled(integration: Integration) -> bool:
    """Say whether the integration's messages are labelled as they arrive."""
    return integration.settings.get("labels") == "yes"


def _item(event: EventFields, index: int, tenant: str) -> Item:
    """Return an event. An event without an id is refused, because every retry would count again."""
    if not event.get("id"):
        message = "'id' is required: without one a retry would count again"
        return Rejection(index=index, code="missing_field", field="id", message=message, raw=as_json(event))
    return record_from(event, index, tenant)
