"""Calls the configured model for labels, within a tenant's daily budget, and stores its answers by digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hubbub.clock import Clock
from hubbub.control.label_answers import LabelAnswers
from hubbub.errors import UpstreamRefusedError, UpstreamUnavailableError
from hubbub.labels.configuration import Budget, Configuration
from hubbub.labels.endpoint import PROMPT_VERSION, EndpointGuesser
from hubbub.labels.labelling import Guesser
from hubbub.model.label import LabelSet
from hubbub.outgoing.completions import Endpoint, complete
from hubbub.outgoing.http import Outgoing
from hubbub.settings import Ai
from hubbub.telemetry import log

Digest = Callable[[str, str, str], str]
"""Returns a keyed digest of a tenant, a kind and a text."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Stored answers of a tenant about one set with these labels."""

    store: LabelAnswers
    tenant: str
    about: str
    digest: Digest

    def known(self, texts: Sequence[str]) -> Mapping[str, str | None]:
        """Return the stored labels of texts."""
        by_digest = {self._of(text): text for text in texts}
        labels = self.store.known(self.tenant, list(by_digest))
        return {by_digest[digest]: label for digest, label in labels.items()}

    def keep(self, answers: Mapping[str, str | None]) -> None:
        """Store the labels of texts."""
        self.store.put(self.tenant, {self._of(text): label for text, label in answers.items()})

    def _of(self, text: str) -> str:
        return self.digest(self.tenant, f"endpoint {self.about}", text)


class LabelEndpoint:
    """The model of the settings, for all tenants with a budget."""

    def __init__(self, ai: Ai, http: Outgoing, answers: LabelAnswers, digest: Digest, clock: Clock) -> None:
        self._ai, self._http, self._answers, self._digest, self._clock = ai, http, answers, digest, clock

    def guessers(self, tenant: str, own: Configuration, *, asks: bool) -> dict[LabelSet, Guesser]:
        """Return the guessers that call the model, by set; empty without a budget, or without an endpoint in the settings.

        Without `asks` they know only stored answers.
        """
        budget = own.endpoint
        if budget is None or not (self._ai.url and self._ai.model):
            return {}

        def ask(messages: Sequence[dict[str, str]]) -> str | None:
            return self._ask(tenant, budget, messages) if asks else None

        guessers: dict[LabelSet, Guesser] = {}
        for label_set in own.sets:
            names = own.names(label_set)
            if names and label_set is not LabelSet.ESCALATION:
                about = json.dumps([PROMPT_VERSION, self._ai.model, label_set, names])
                kept = Kept(self._answers, tenant, hashlib.sha256(about.encode()).hexdigest(), self._digest)
                guessers[label_set] = EndpointGuesser(self._ai.model, label_set, names, ask, kept)
        return guessers

    def _ask(self, tenant: str, budget: Budget, messages: Sequence[dict[str, str]]) -> str | None:
        """Call the model; None when today's budget is used up or the model does not answer."""
        today = self._clock().date()
        spent = self._answers.spent(tenant, today)
        money = (spent.tokens_in * self._ai.price_in + spent.tokens_out * self._ai.price_out) / 1e6
        if budget.money is not None and money >= budget.money:
            return None
        if not self._answers.claim(tenant, today, budget.calls):
            return None
        endpoint = Endpoint(self._ai.url, self._ai.key.get_secret_value(), self._ai.model, self._ai.timeout)
        try:
            completion = complete(self._http, endpoint, messages)
        except (
            UpstreamUnavailableError,
            UpstreamRefusedError,
        ) as error:  # the remaining messages stay unlabelled until the next run
            log.warning("labels were not requested", tenant=tenant, reason=error.message)
            return None
        self._answers.note(tenant, today, completion.tokens_in, completion.tokens_out)
        return completion.text
