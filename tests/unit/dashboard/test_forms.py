"""A refused form comes back open and as typed, with the error beside it; passwords do not come back."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import cast

from hubbub.dashboard.ask import Ask, Refused
from hubbub.dashboard.forms import Act, Field, as_typed
from hubbub.errors import BadInputError
from tests.unit.dashboard.visiting import XSS, Visitor, plain

ON = "/operate/tenants"


def form_of(html: str, action: str) -> str:
    """Return the folded form of an action."""
    forms: list[str] = re.findall(r"<details.*?</details>", html, re.DOTALL)
    return next(one for one in forms if f"/{action}?" in one)


def test_a_refused_form_keeps_its_input(visitor: Visitor) -> None:
    """Texts, choices and ticks stay, escaped; the form shows the error once, and the wrong field has the focus."""
    html = visitor.act(f"{ON}/add", ON, status=400, new="beta", name=XSS, zone="Mars/Phobos").text
    form = form_of(html, "add")
    assert form.startswith('<details class="act" open>') and XSS not in html
    assert 'name="new" value="beta"' in form and 'value="&lt;img' in form
    assert re.findall(r'name="(\w+)"[^>]* autofocus aria-invalid="true" aria-describedby="refused"', html) == ["zone"]
    assert re.findall(r'role="alert"', html) == ['role="alert"'] and "Mars/Phobos" in plain(form)
    assert html.count('<details class="act" open>') == 1 and "data-here" in html
    typed = {"label": "till", "expires": "2027-01-01"}
    form = form_of(visitor.act(f"{ON}/add-key", ON, status=400, tenant="", **typed).text, "add-key")
    assert 'value="till"' in form and 'value="2027-01-01"' in form and "checked" not in form
    assert re.findall(r'name="([\w-]+)"[^>]* autofocus', form) == ["scope-ingest"]
    asked = {"label": "Ada", "role": "operator", "hours": "168"}
    form = form_of(
        visitor.act(f"{ON}/invite?tenant=acme", f"{ON}?tenant=acme", 400, tenant="acme", **asked).text, "invite"
    )
    assert 'value="Ada"' in form and '<option value="168" selected>' in form


def test_only_the_posted_form_opens(visitor: Visitor) -> None:
    """Of rows with the same form, only the posted one opens."""
    keys = [visitor.engine.keys.add(None, scopes=["admin"]).id for _ in range(3)]
    html = visitor.act(f"{ON}/rotate-key", ON, status=400, key=keys[1], tenant="", overlap="soon").text
    opened = re.findall(r'<details class="act" open>.*?</details>', html, re.DOTALL)
    assert len(opened) == 1 and keys[1] in opened[0] and "is not a number" in plain(opened[0])


def test_an_error_without_a_form_is_above_the_page(visitor: Visitor) -> None:
    """The error of a button, or of a form that is not on the page, stands at the top."""
    html = visitor.act(f"{ON}/revoke-key", ON, status=404, key="none", tenant="").text
    assert 'class="done not" role="alert"' in html and "there is no key" in plain(html)
    assert html.count('role="alert"') == 1 and "autofocus" not in html


def test_a_form_of_a_later_part_is_in_the_answer(visitor: Visitor) -> None:
    """A part that is loaded after its page is included in the answer to its own form."""
    on = "/operate/freshness?tenant=acme"
    html = visitor.http.get("/operate/freshness/facts?tenant=acme").text
    token = re.findall(r'name="form" value="([^"]+)"', html)[0]
    answer = visitor.http.post(
        on.replace("?", "/refold?"),
        data={"form": token, "tenant": "acme", "from": "2026-09-02", "to": "2026-09-01", "fact": ""},
        headers={"Origin": "http://testserver"},
    )
    form = form_of(answer.text, "refold")
    assert answer.status_code == 400 and 'name="from" value="2026-09-02"' in form and 'role="alert"' in form


def test_a_password_is_never_echoed() -> None:
    """A typed password is left out of the form that comes back."""
    act = Act("enter", "Enter", {"tenant": "a"}, (Field("name", "Name"), Field("word", "Password", "password")))
    typed = {"tenant": "a", "name": "Ada", "word": "canary"}
    ask = SimpleNamespace(refused=Refused("enter", typed, BadInputError("password: too short")))
    again = as_typed(cast(Ask, ask), act)
    assert [(one.value, one.fault) for one in again.fields] == [("Ada", False), ("", True)]
    assert again.error == "password: too short" and ask.refused is None


def test_fields_with_known_values_suggest_them(visitor: Visitor) -> None:
    """A rule's number is suggested from the catalogue with its title, a time zone from those that exist."""
    page = visitor.page("/t/acme/alerts")
    assert (
        re.search(r'name="metric"[^>]* list="known-metric"', page) and page.count('<datalist id="known-metric">') == 1
    )
    assert '<option value="first_response_ms.p50" label="First response, median">' in page
    page = visitor.page(ON)
    assert page.count('<datalist id="known-zone">') == 1 and '<option value="Europe/Rome">' in page
