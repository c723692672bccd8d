"""The doctor: checks of an installation for its operator."""

from __future__ import annotations

from hubbub.clock import Clock
from hubbub.control.control import Control
from hubbub.control.coverage import Coverage
from hubbub.control.doctor import Check, doctor
from hubbub.control.integrations import Integrations
from hubbub.model.page import Page
from hubbub.services.jobs import JobService
from hubbub.settings import Settings
from hubbub.storage.store import Store


class DoctorService:
    """Checks an installation."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        store: Store,
        control: Control,
        integrations: Integrations,
        ledger: Coverage,
        jobs: JobService,
    ) -> None:
        self._settings, self._clock, self._store, self._control = settings, clock, store, control
        self._integrations, self._ledger, self._jobs = integrations, ledger, jobs

    def checks(self) -> Page[Check]:
        """Run all checks; changes nothing."""
        now = self._clock()
        lost = [text for tenant in self._control.chosen(None) for text in self._ledger.lost(tenant.id, now)]
        return Page(
            doctor(
                self._store, self._settings, self._control, self._integrations, lost, self._jobs.unfinished, now.timestamp()
            )
        )  # fmt: skip
