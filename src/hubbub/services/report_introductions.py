"""The introduction of a report: news of its days, usual ranges, open incidents and waiting conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hubbub.control.alerts import Alerts
from hubbub.errors import BadQuestionError
from hubbub.metrics.definition import Unit
from hubbub.metrics.wording import COMMON, WORDINGS, Wording
from hubbub.model.question import Question
from hubbub.model.tenant import Tenant
from hubbub.model.window import Grain, local_midnight
from hubbub.news.answer import NewsAnswer, answer_of
from hubbub.news.direction import way_beyond
from hubbub.news.judge import held_back
from hubbub.news.news import News
from hubbub.news.number import NewsNumber
from hubbub.query.queries import Queries
from hubbub.reports.dates import BEFORE, long_days
from hubbub.reports.formatting import plain, shown
from hubbub.reports.introduction import Beside, Introduction, Need
from hubbub.reports.period import Period
from hubbub.reports.tables import ReportData

MOST_INCIDENTS = 5
WAITING = ("waiting_conversations", "oldest_waiting_ms")


@dataclass(frozen=True, slots=True)
class ReportIntroductions:
    """Writes the introductions of reports; `news_of` gives the news of a question's range."""

    queries: Queries
    incidents: Alerts
    news_of: Callable[[Tenant, Question], News]

    def of(self, tenant: Tenant, period: Period, data: ReportData) -> Introduction:
        """Return the introduction of a report's data; without news for a period longer than these cover."""
        news = self._news(tenant, period, data)
        wording = news.wording if news else COMMON
        return Introduction(
            plain(tenant.name or tenant.id), _when(period),
            [_sentence(point.sentence, point.in_words) for point in news.points] or [news.lead] if news else [],
            news.rest if news else "", (news.freshness.behind or "") if news else "",
            next((point.metric for point in news.points if point.dimension is None), "") if news else "",
            [*self._open_incidents(tenant, period), *self._waiting(tenant, period, WORDINGS[wording])],
            [_beside(number) for number in news.numbers if number.dimension is None] if news else [], wording,
        )  # fmt: skip

    def _news(self, tenant: Tenant, period: Period, data: ReportData) -> NewsAnswer | None:
        """Return the news of a period, with the usual ranges of its summary's numbers."""
        window = period.window(tenant)
        metrics = tuple(row["metric"] for table in data.sections if table.name == "summary" for row in table.rows)
        try:
            return answer_of(self.news_of(tenant, Question(metrics, window.start, window.end)), tenant)
        except BadQuestionError:
            return None

    def _open_incidents(self, tenant: Tenant, period: Period) -> Iterator[Need]:
        """Yield the incidents that began before the period's end and are open."""
        end = local_midnight(period.end, tenant.tz)
        for each in self.incidents.page(tenant.id, is_open=True, limit=MOST_INCIDENTS):
            if each.start < end:
                since = each.start.astimezone(tenant.tz)
                yield Need(
                    f"{plain(each.title)}: open since {since:%A} {since.day} {since:%B}.",
                    f"/t/{tenant.id}/incident?id={each.id}",
                )

    def _waiting(self, tenant: Tenant, period: Period, wording: Wording) -> Iterator[Need]:
        """Yield the number of conversations that waited for a reply at the end of the period, or now, if any."""
        window = period.window(tenant)
        with self.queries.at_once(tenant) as ask:
            (row,) = ask(Question(WAITING, window.start, window.end, Grain.TOTAL)).rows
        count, longest = (row.cells[name].value for name in WAITING)
        if count:
            verb = wording.text("conversation waits" if count == 1 else "conversations wait")
            yield Need(
                f"{count:,} {verb} for a reply, the longest for {shown(longest, Unit.MS)}.", f"/t/{tenant.id}/live"
            )


def _when(period: Period) -> str:
    before = BEFORE.get(period.whole.value, "as many days before")
    return f"{period.kind.capitalize()} report · {long_days(period.start, period.end)} · against {before}"


def _sentence(sentence: str, usual: str | None) -> str:
    return f"{sentence} {usual}." if usual else sentence


def _beside(number: NewsNumber) -> Beside:
    return Beside(number.metric, number.usual.low, number.usual.high, way_beyond(number), held_back(number.held))
