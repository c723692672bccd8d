"""The addresses of all pages: a page, a widget of it, a widget's CSV, and its forms; signing in and out.

`/t/<tenant>/<page>` for signed-in people, `/s/<token>/<page>` for guests of a shared link, `/operate/<page>` for operators.
Handlers are plain functions: they run in threads, so a slow page delays no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse

from hubbub.app import Engine
from hubbub.dashboard import people, render
from hubbub.dashboard.ask import Ask, Form, Refused, begins, first_day, first_event, last_event
from hubbub.dashboard.base_path import at
from hubbub.dashboard.components import Done, Page, Shown, Widget
from hubbub.dashboard.names import labels, named, with_names
from hubbub.dashboard.navigation import navigation
from hubbub.dashboard.no_rows import counted, no_rows
from hubbub.dashboard.number_pages import FIRST, NUMBERS
from hubbub.dashboard.person import Person, Role
from hubbub.dashboard.registry import OPERATOR, TENANT
from hubbub.dashboard.to_do import to_do
from hubbub.dashboard.view import COMPARED, FILTERS, PRESETS, View, chooses_days, last_days, read_view
from hubbub.dashboard.widgets import beyond, lacking
from hubbub.errors import ForbiddenError, HubbubError, NotFoundError, UnauthenticatedError
from hubbub.model.tenant import Tenant
from hubbub.model.window import day_of
from hubbub.reports.as_csv import answer_table
from hubbub.telemetry import log

COUNTED = "messages"
"""The metric whose gaps a page of numbers names on top."""
NOT_COMPUTED = "This part could not be computed. The reason is in the server's log; the other parts are not affected."
routes = APIRouter(include_in_schema=False)


@dataclass
class House:
    """State of all pages: the engine, and the tenants known to have events."""

    engine: Engine
    refresh_seconds: float

    def __post_init__(self) -> None:
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def has_events(self, tenant: Tenant) -> bool:
        """Whether a tenant has any event."""
        if tenant.no not in self._known:
            if first_event(self.engine, tenant) is None:
                return False
            with self._lock:
                self._known.add(tenant.no)
        return True


def house_of(request: Request) -> House:
    """Return the shared state of the application's pages."""
    house: House = request.app.state.house
    return house


def guarded(handler: Callable[..., Response]) -> Callable[..., Response]:
    """Turn errors into pages; a person who is not signed in goes to the sign-in page and back."""

    @wraps(handler)
    def answered(request: Request, *args: Any, **kwargs: Any) -> Response:
        try:
            return handler(request, *args, **kwargs)
        except UnauthenticatedError as error:
            back = f"{request.url.path}?{request.url.query}" if request.method == "GET" else "/"
            if request.headers.get("hubbub-part"):
                return render.error_page(error)
            return RedirectResponse(
                at(f"/sign-in?next={quote(back, safe='')}"), 303, headers={"Cache-Control": "no-store"}
            )
        except HubbubError as error:
            return render.error_page(error)

    return answered


# --- person and tenant


def of_tenant(request: Request, tenant: str) -> tuple[Person, Tenant]:
    """Return the person, and the tenant if it is theirs. Raises UnauthenticatedError, NotFoundError."""
    engine = house_of(request).engine
    person = people.person_of(request, engine.access_store)
    people.may_see(person, tenant)
    return person, engine.control.tenant(tenant)


def _of_guest(request: Request) -> tuple[Person, Tenant]:
    engine = house_of(request).engine
    person = people.guest_of(request.path_params["token"], engine.access_store)
    return person, engine.control.tenant(str(person.tenant))


def _operator(request: Request) -> tuple[Person, None]:
    person = people.person_of(request, house_of(request).engine.access_store)
    if not person.may(Role.OPERATOR):
        raise NotFoundError("this page does not exist")
    return person, None


def _asked(request: Request, person: Person, tenant: Tenant | None, page: Page, refused: Refused | None = None) -> Ask:
    engine = house_of(request).engine
    now = engine.clock()
    params = parse_qsl(request.url.query, keep_blank_values=False, max_num_fields=200)
    if tenant is None:
        return Ask(engine, person, tenant, read_view(params, _NOBODY, now), page.name, now, refused)
    first = first_event(engine, tenant) if ("range", "all") in params else None
    view = read_view(params, tenant, now, oldest=first.date() if first else None)
    if person.locked:
        view = _held(view, read_view(parse_qsl(person.locked), tenant, now))
    follows = page.header and not person.locked and not chooses_days(params)
    ended = _ended(engine, tenant, view) if follows else None
    view = last_days(view, first_day(engine, tenant) or ended, ended) if ended and page.dated else view
    if page.header and page.dated and view.compared:
        view = replace(view, begins=begins(engine, tenant, view.first))
    ask = Ask(engine, person, tenant, view, page.name, now, refused)
    ask.ended = ended
    return ask


def _ended(engine: Engine, tenant: Tenant, view: View) -> date | None:
    """Return the last day with data if it lies before a view's days, else None."""
    last = last_event(engine, tenant)
    day = day_of(last.replace(tzinfo=UTC), tenant.tz) if last else None
    return day if day and day < view.first else None


_NOBODY = Tenant(0, "", "UTC")


def _held(view: View, locked: View) -> View:
    """Limit a view to a shared link: its days, and filters within those of the link."""
    held = frozenset(locked.where) | {"range"}
    where = dict(view.where)
    for name, values in locked.where.items():
        where[name] = tuple(value for value in where.get(name, ()) if value in values) or values
    return replace(
        locked,
        where=where,
        compare=view.compare,
        rest=view.rest,
        locked=held,
        bots=locked.bots,
        business=locked.business,
    )


def _page(pages: Mapping[str, Page], name: str, person: Person) -> Page:
    page = pages.get(name)
    if page is None or not person.may_open(page.name, page.role):
        raise NotFoundError("this page does not exist")
    return page


# --- pages


def _show(
    request: Request,
    person: Person,
    tenant: Tenant | None,
    page: Page,
    done: Done | None = None,
    refused: Refused | None = None,
) -> Response:
    """Show a page, also after a form: with its result, or with the refused form and the error."""
    ask = _asked(request, person, tenant, page, refused)
    if tenant is not None and page.header and not house_of(request).has_events(tenant):
        connected = [row.name for row in house_of(request).engine.integrations.of(tenant.id).rows]
        return render.page("first.html", **_frame(request, ask, page), tenant_id=tenant.id, connected=connected)
    # any widget may have the refused form; without scripts all are wanted
    lazy = refused is None and not ask.param("whole")
    worded = [_in_words(ask, widget) for widget in page.widgets if person.may(widget.role)]
    ask.named_gaps = ask.missing  # the page names its gaps on top
    unreported = ask.never(page.subject)
    widgets = () if unreported or (ask.ended and not page.dated) else worded  # the page says why
    parts = [(widget, "" if widget.lazy and lazy else _part(ask, widget)) for widget in widgets]
    if ask.refused is not None:  # no widget shows the form
        done = Done(ask.refused.error.message, failed=True)
    nothing = no_rows(ask) if tenant is not None and page.header and page.dated else None
    posted, status = bool(done or refused), refused.error.status if refused else 200
    return render.page(
        "page.html", status, **_frame(request, ask, page), parts=parts, done=done, posted=posted, nothing=nothing,
        unreported=unreported,
    )  # fmt: skip


def _frame(request: Request, ask: Ask, page: Page) -> dict[str, Any]:
    """Return the data of the page around the widgets."""
    person, house = ask.person, house_of(request)
    return {
        "ask": ask, "page": page, "person": person, "view": ask.view,
        "heading": page.called(ask) if page.called else ask.in_words(page.title),
        "tenant": ask.tenant if page.tenant else None,
        "tenants": list(house.engine.control.tenants().values())[:200] if person.tenant is None and person.session else [],
        "groups": navigation(ask, page), "to_do": to_do(ask),
        "presets": PRESETS, "compared": COMPARED, "filters": ask.filters, "roles": Role,
        "theme": request.cookies.get("theme", ""),
    }  # fmt: skip


def _in_words(ask: Ask, widget: Widget) -> Widget:
    """Return a widget with title and explanation in the tenant's words; its title says the fact of these days, where it has one."""
    fact = ""
    if widget.fact is not None:
        with suppress(Exception):  # what fails here fails in the widget too, which says so
            fact = widget.fact(ask)
    return replace(widget, title=fact or ask.in_words(widget.title), about=ask.in_words(widget.about))


def _part(ask: Ask, widget: Widget) -> str:
    """Return a widget, in the tenant's words, as HTML; its error stays inside it."""
    ask.next_part()
    try:
        return _drawn(ask, widget, widget.answer(ask))
    except HubbubError as error:
        return render.text("parts/error.html", message=error.message, widget=widget, ask=ask)
    except Exception as error:
        log.error("a widget failed", page=ask.page, widget=widget.name, error=type(error).__name__, exc_info=True)
        return render.text("parts/error.html", message=NOT_COMPUTED, widget=widget, ask=ask)


def _drawn(ask: Ask, widget: Widget, shown: Shown) -> str:
    if ask.kept_from:
        shown = beyond(shown, ask.kept_from)
    if gaps := ask.gaps if shown.empty else [text for text in ask.lost if text not in ask.named_gaps]:
        may = ask.person.session and ask.person.may(Role.ANALYST)
        shown = lacking(shown, gaps, ask.link("coverage") if may else "")
    part, table = "empty" if shown.empty else shown.part, named(ask, shown.table)
    return render.text(f"parts/{part}.html", ask=ask, widget=widget, shown=shown, table=table, **shown.data)


def _widget(request: Request, person: Person, tenant: Tenant | None, page: Page, name: str) -> Response:
    stem, _, ending = name.partition(".")
    widget = next((other for other in page.widgets if other.name == stem and person.may(other.role)), None)
    if widget is None or ending not in ("", "csv"):
        raise NotFoundError("this page has no such part")
    ask = _asked(request, person, tenant, page)
    if ending == "csv":
        return _csv(ask, widget)
    if page.header and any(not other.lazy for other in page.widgets):
        ask.query([COUNTED])
        ask.named_gaps = list(ask.missing)
    return Response(
        _part(ask, _in_words(ask, widget)), media_type="text/html; charset=utf-8", headers=dict(render.HEADERS)
    )


def _csv(ask: Ask, widget: Widget) -> Response:
    shown = widget.answer(ask)
    if (table := shown.table) is None:
        raise NotFoundError(ask.in_words(shown.empty) if shown.empty else "this part of the page has no table")
    whose = ask.tenant.id if ask.person.tenant is not None or ask.base.startswith(at("/t/")) else "hubbub"
    name = f"{whose}-{ask.page}-{widget.name}-{ask.view.first}.csv"
    headers = {**render.HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    text = answer_table(with_names(ask, table), mark=True, head=[column.name for column in table.columns])
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _act(request: Request, person: Person, tenant: Tenant | None, page: Page, action: str, form: Form) -> Response:
    engine, fields = house_of(request).engine, dict(form)
    people.signed(person, fields, engine.access_store)
    if action not in page.actions:
        raise NotFoundError("this page has no such action")
    if not person.may(page.acts):
        raise ForbiddenError(f"this needs the role {page.acts.name.lower()}; yours is {person.role.name.lower()}")
    ask = _asked(request, person, tenant, page)
    try:
        done = page.actions[action](ask, fields)
    except HubbubError as error:
        return _show(request, person, tenant, page, refused=Refused(action, fields, error))
    if done.secret.startswith("/"):  # the form was on our page: its origin is the public address
        done = replace(done, secret=request.headers.get("origin", str(request.base_url).rstrip("/")) + at(done.secret))
    log.info("a page's form was posted", page=page.name, action=action, by=person.label or person.role.name.lower())
    return _show(request, person, tenant, page, done) if not done.to else RedirectResponse(done.to, 303)


@routes.get("/t/{tenant}/arrived")
@guarded
def arrived(request: Request, tenant: str) -> Response:
    """Return whether a tenant has any event yet."""
    _, tenant_ = of_tenant(request, tenant)
    return JSONResponse({"arrived": house_of(request).has_events(tenant_)}, headers=dict(render.HEADERS))


@routes.get("/t/{tenant}/values/{dimension}")
@guarded
def values(request: Request, tenant: str, dimension: str) -> Response:
    """Return the values of a filter in the view's days, most frequent first."""
    person, tenant_ = of_tenant(request, tenant)
    metric = counted(dimension)
    if dimension not in FILTERS:
        raise NotFoundError("this filter does not exist")
    ask = _asked(request, person, tenant_, NUMBERS[FIRST])
    answer = ask.query([metric], by=[dimension])
    rows = sorted(answer.rows, key=lambda row: -(row.value(metric) or 0))[:200]
    known = labels(ask, dimension, [value for row in rows if (value := row.dim(dimension))])
    return JSONResponse({"values": list(known), "labels": list(known.values())}, headers=dict(render.HEADERS))


@routes.get("/s/{token}")
@guarded
def guest_home(request: Request, token: str) -> Response:
    """Redirect a guest of a shared link to its page."""
    link = house_of(request).engine.access_store.shared(token)
    return RedirectResponse(at(f"/s/{quote(token, safe='')}/{quote(link.page, safe='')}?{link.view}"), 303)


@dataclass(frozen=True)
class Area:
    """Pages under one kind of address; `who` returns person and tenant (None: the whole installation)."""

    path: str
    pages: Mapping[str, Page]
    who: Callable[[Request], tuple[Person, Tenant | None]]
    posts: bool = True


AREAS = (
    Area("/t/{tenant}", TENANT, lambda request: of_tenant(request, request.path_params["tenant"])),
    Area("/s/{token}", TENANT, _of_guest, posts=False),
    Area("/operate", OPERATOR, _operator),
)


def _open(area: Area) -> None:
    """Add the three routes of an area: page, widget (or its table as CSV), and form."""

    def page_of(request: Request) -> tuple[Request, Person, Tenant | None, Page]:
        person, tenant = area.who(request)
        return request, person, tenant, _page(area.pages, request.path_params["name"], person)

    def page(request: Request) -> Response:
        return _show(*page_of(request))

    def part(request: Request) -> Response:
        return _widget(*page_of(request), request.path_params["part"])

    async def post(request: Request) -> Response:
        act = guarded(lambda request, form: _act(*page_of(request), request.path_params["action"], form))
        return await _posted(request, act)

    routes.add_api_route(area.path + "/{name}", guarded(page), methods=["GET"])
    routes.add_api_route(area.path + "/{name}/{part}", guarded(part), methods=["GET"])
    if area.posts:
        routes.add_api_route(area.path + "/{name}/{action}", post, methods=["POST"])


for _area in AREAS:
    _open(_area)


async def _posted(request: Request, act: Callable[..., Response]) -> Response:
    try:
        form = await people.read_form(request)
    except HubbubError as error:
        return render.error_page(error)
    return await run_in_threadpool(act, request, form)


# --- signing in and out


@routes.get("/")
@guarded
def home(request: Request) -> Response:
    """Redirect to the first page of the person's tenant, or of the first tenant."""
    engine = house_of(request).engine
    person = people.person_of(request, engine.access_store)
    tenants = engine.control.tenants()
    wanted = person.tenant or next(iter(tenants), None)
    if wanted is None:
        return render.page("nobody.html")
    return RedirectResponse(at(f"/t/{wanted}/{FIRST}"), 303)


@routes.get("/sign-in")
@guarded
def sign_in_page(request: Request) -> Response:
    """Show how to sign in; with a link's token, a button that uses it up, so that link previews do not."""
    token, back = request.query_params.get("token", ""), request.query_params.get("next", "")
    return render.page("sign_in.html", token=token, back=_local(back))


@routes.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in with the token of a link."""

    @guarded
    def act(request: Request, form: Form) -> Response:
        engine = house_of(request).engine
        try:
            _, token = engine.access_store.enter(form.get("token", ""))
        except UnauthenticatedError as error:
            return render.page(
                "error.html", ForbiddenError.status, title="This link does not work", message=error.message
            )
        return people.with_session(RedirectResponse(at(_local(form.get("next", ""))), 303), token, request)

    return await _posted(request, act)


@routes.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""

    @guarded
    def act(request: Request, form: Form) -> Response:
        access = house_of(request).engine.access_store
        person = people.person_of(request, access)
        people.signed(person, dict(form), access)
        access.leave(person.session)
        gone = RedirectResponse(at("/sign-in"), 303)
        gone.delete_cookie(people.COOKIE, path="/")
        return gone

    return await _posted(request, act)


def _local(path: str) -> str:
    """Return a local address to go back to; for any other the first page."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path else "/"


@routes.get("/static/{name}")
@guarded
def static(request: Request, name: str) -> Response:
    """Return a static file."""
    response = render.static_response(name, request, house_of(request).engine.settings.data / "cache")
    if response is None:
        raise NotFoundError("this file does not exist")
    return response
