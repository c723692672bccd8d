"""The OpenAPI document against the application: schemathesis sends described and undescribed requests to every route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from hubbub.app import Engine
from hubbub.control.control import SCOPES
from tests.extent import REQUESTS
from tests.unit.api.conftest import NOW, Face, event, serving
from tests.unit.api.undescribed import undescribed

LEAST_ANSWERED = {"operator": 18, "tenant": 30}
"""The least number of routes with a successful answer: a server that refuses everything would conform too."""
QUESTION = {"from": "2026-08-01", "to": "2026-08-02", "metric": "messages", "grain": "day"}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/query": {"metrics": ["messages", "response_ms.p50"], "from": "2026-08-01", "to": "2026-08-03"},
    "/v1/snapshots": {"kind": "daily", "date": "2026-08-01"},
    "/v1/jobs/{queue}": {"payload": {"tenant": "acme", "integration_id": "x", "date": "2026-08-01"}},
    "/v1/schedules/{name}/trigger": {"date": "2026-08-01"},
    "/v1/schedules/{name}/backfill": {"from": "2026-08-01", "to": "2026-08-02"},
    "/v1/integrations": {"provider": "facebook_page", "settings": {"page_id": "7"}, "secret": "s"},
    "/v1/integrations/{integration_id}/secret": {"secret": "s"},
    "/v1/tenants": {"tenant": "made-here", "zone": "Asia/Kathmandu", "retention": {"raw": None}},
    "/v1/tenants/{tenant}": {"name": "Acme"},
    "/v1/keys": {"scopes": ["read"], "label": "made here", "tenant": "acme"},
    "/v1/keys/{key}/rotate": {"overlap": 0},
}
"""Bodies that make sense, which no document can describe: half of the requests have them."""


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """Serve an engine with some events, without limits per key."""
    with serving(tmp_path_factory.mktemp("schema") / "data", limits={"reads": 0, "ingests": 0}) as made:
        made.engine.record(
            "acme", [event("1"), event("2", 11), event("3", 12, type="satisfaction.rating_received", value=5)]
        )
        made.engine.record("acme", [{**event("4"), "time": NOW.isoformat()}])
        made.engine.refresh()
        export(made.engine)
        yield made


@cache
def export(engine: Engine) -> str:
    """Start one export, which no route removes, and return its id."""
    return str(engine.transfer.start("acme").id)


def thing(engine: Engine, name: str) -> str:
    """Return an existing id for a parameter of a path; ids that a request can use up are new each time."""
    match name:
        case "key":
            return str(engine.keys.add("acme").id)
        case "integration_id":
            return str(engine.integrations.add("acme", "facebook_page", "secret", "", {"page_id": "7"}).id)
        case "job":
            payload = {"integration_id": "x", "date": "2026-08-01"}
            return str(engine.jobs.start("analytics-ingest", payload, "acme").id)
        case "export":
            return export(engine)
        case "report":
            return str(
                engine.reports.make("acme", "daily", "2026-08-01", sections=["top_intents"], formats=["json"]).id
            )
        case "alert":
            rule = {"name": "Many", "kind": "threshold", "metric": "messages", "limit": 5}
            return str(engine.alerts.add("acme", rule).id)
    return {
        "tenant": "acme",
        "queue": "analytics-ingest",
        "name": "daily-snapshots",
        "code": "not_found",
        "provider": "slack",
        "call": "track",
    }.get(name, f"no-such-{name}")  # ids of things that no route makes have their own tests


def sensible(case: Any, engine: Engine) -> None:
    """Put existing ids, dates, metrics and bodies into a request."""
    case.path_parameters = {name: thing(engine, name) for name in case.path_parameters or {}}
    wanted = {parameter.name for parameter in case.operation.query}
    case.query = {name: value for name, value in QUESTION.items() if name in wanted}
    if case.operation.path in BODIES and case.method in ("POST", "PATCH"):
        case.body = BODIES[case.operation.path]


@pytest.mark.parametrize("who", ["operator", "tenant"])
def test_the_application_is_as_described(face: Face, who: str) -> None:
    """No request, described or not, gets a 500, or a status, media type, body or field that its route does not describe."""
    key = face.operator if who == "operator" else face.engine.keys.add("acme", SCOPES).key
    document = schemathesis.openapi.from_asgi("/openapi.json", face.http.app)
    faults: dict[str, str] = {}
    told: Counter[tuple[str, int]] = Counter()
    for found in document.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

        @settings(
            max_examples=REQUESTS,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(modes), sense=st.booleans())
        def ask(case: Any, sense: bool) -> None:
            unlike = case.meta.components.get(ParameterLocation.HEADER)
            mended = sense or (unlike is not None and unlike.mode.is_negative)  # the key is one of the headers too
            if sense:
                sensible(case, face.engine)
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
            excluded = [positive_data_acceptance, ignored_auth, *([negative_data_rejection] if mended else [])]
            answer = case.call_and_validate(excluded_checks=excluded)
            told[case.operation.label, answer.status_code] += 1
            if answer.status_code < 300 and answer.headers.get("content-type", [""])[0] == "application/json":
                described = case.operation.definition.raw["responses"][str(answer.status_code)]
                beside = list(
                    undescribed(answer.json(), described["content"]["application/json"]["schema"], document.raw_schema)
                )
                assert not beside, f"fields that nothing describes: {beside}"

        try:
            ask()
        except (Exception, FailureGroup) as error:
            faults[operation.label] = "\n".join(str(one) for one in getattr(error, "exceptions", [error]))
    assert not faults, "\n\n".join(f"{label}: {fault}" for label, fault in faults.items())
    fine = {label for label, status in told if status < 300}
    assert len(fine) >= LEAST_ANSWERED[who], f"only {sorted(fine)} were ever answered"
