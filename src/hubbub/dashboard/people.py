"""The person at a page: by session cookie, or shared link in the address; and protection against forged forms."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from hubbub.control.access import ROLES, SESSION_SECONDS, Access
from hubbub.dashboard.person import Person, Role
from hubbub.errors import BadRequestError, ForbiddenError, NotFoundError, TooLargeError, UnauthenticatedError

COOKIE = "hubbub_session"
MOST_FORM = 64 << 10
"""Most bytes of a form."""


def person_of(request: Request, access: Access) -> Person:
    """Return the person of a request's cookie. Raises UnauthenticatedError."""
    token = request.cookies.get(COOKIE, "")
    if not token:
        raise UnauthenticatedError("you are not signed in")
    session = access.session(token)
    role = Role(ROLES.index(session.role) + 1)
    return Person(role, session.tenant, session.label, session.digest, access.form_token(session.digest))


def guest_of(token: str, access: Access) -> Person:
    """Return the guest of a shared link: a viewer of its tenant, limited to its view. Raises NotFoundError."""
    link = access.shared(token)
    only = link.page if link.alone else ""
    return Person(Role.VIEWER, link.tenant, link.label, share=token, locked=link.view, only=only)


def may_see(person: Person, tenant: str) -> None:
    """Raise NotFoundError, as for an unknown tenant, unless the tenant is this person's."""
    if person.tenant not in (None, tenant):
        raise NotFoundError(f"there is no tenant {tenant[:80]!r}")


def with_session(response: Response, token: str, request: Request) -> Response:
    """Add the session cookie to a response: HttpOnly, SameSite, and Secure over TLS."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


async def read_form(request: Request) -> dict[str, str]:
    """Read a form's fields. Raises TooLargeError, BadRequestError, and ForbiddenError for a form on another site's page."""
    same_origin(request)
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadRequestError("this address accepts only forms")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM:
            raise TooLargeError(f"a form may have at most {MOST_FORM} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=200))
    except ValueError:
        raise BadRequestError("the body is not a form") from None


def same_origin(request: Request) -> None:
    """Raise ForbiddenError unless a form was posted from a page of this server."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = request.headers.get("host", "")
    if site not in (None, "same-origin", "none") or (origin is not None and urlsplit(origin).netloc != ours):
        raise ForbiddenError("this form was sent from another site: open this server's page, and send it there")


def signed(person: Person, form: dict[str, str], access: Access) -> None:
    """Raise ForbiddenError unless a form was on a page of this session."""
    if not person.session or not access.form_is_ours(person.session, form.pop("form", "")):
        raise ForbiddenError("this form is older than your session: open the page again")
