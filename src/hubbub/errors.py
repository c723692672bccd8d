"""All errors that Hubbub raises, each with a stable code, an HTTP status, and whether a retry can help.

The default message is the first line of the docstring, so every error is documented. Messages say what happened, where, and what to
do. The command line turns an error into an exit code, the API into a problem document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class HubbubError(Exception):
    """Something went wrong inside Hubbub."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False

    def __init__(self, message: str | None = None, **details: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)


class BadRequestError(HubbubError):
    """The request cannot be read."""

    code = "bad_request"
    status = 400


class BadQuestionError(HubbubError):
    """The question names something the catalogue does not have, or asks for it in a way that has no answer."""

    code = "bad_question"
    status = 400


class BadInputError(HubbubError):
    """A given file or value cannot be used; the message names the file, line and field."""

    code = "bad_input"
    status = 400


class BadSettingError(HubbubError):
    """A setting has an invalid value."""

    code = "bad_setting"
    status = 500


class UnauthenticatedError(HubbubError):
    """No valid API key was given; send it as 'Authorization: Bearer <key>'."""

    code = "unauthenticated"
    status = 401


class ForgedError(HubbubError):
    """The service of this address did not sign this body: compare the integration's secrets with the service's."""

    code = "forged"
    status = 401


class ForbiddenError(HubbubError):
    """The API key lacks the scope for this."""

    code = "forbidden"
    status = 403


class NotFoundError(HubbubError):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class ConflictError(HubbubError):
    """A thing with this name exists already."""

    code = "conflict"
    status = 409


class WindowFrozenError(HubbubError):
    """The facts of this window were deleted, so its stored numbers stay as they are."""

    code = "window_frozen"
    status = 409


class RequestRunningError(HubbubError):
    """A request with this Idempotency-Key is being answered; ask again in a moment with the same key."""

    code = "request_running"
    status = 409


class KeyReusedError(HubbubError):
    """This Idempotency-Key was used for another request; use a new one for each request."""

    code = "idempotency_key_reused"
    status = 422


class RateLimitedError(HubbubError):
    """This API key sends too many requests; wait for the seconds in Retry-After.

    `retry_after`: seconds until the next request is allowed.
    """

    code = "rate_limited"
    status = 429
    retry = True

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class RequestTimeoutError(HubbubError):
    """The request took too long to arrive: send it again, with a smaller body or over a better connection."""

    code = "request_timeout"
    status = 408
    retry = True


class TooLargeError(HubbubError):
    """The request body is larger than allowed."""

    code = "too_large"
    status = 413


class StoreBusyError(HubbubError):
    """Another process is using the store: try again in a moment."""

    code = "store_busy"
    status = 503
    retry = True


class StoreUnavailableError(HubbubError):
    """The store does not answer at the moment."""

    code = "store_unavailable"
    status = 503
    retry = True


class StoreFullError(HubbubError):
    """The disk is nearly full: events are refused before the store can break; free space and send again."""

    code = "store_full"
    status = 507
    retry = True


class CollectionOffError(HubbubError):
    """Events are not collected: the setting 'collection.enabled' is off; keep them and send again."""

    code = "collection_off"
    status = 503
    retry = True


class IntegrationPausedError(HubbubError):
    """The integration is paused and accepts nothing: resume it, or let the service send again later."""

    code = "integration_paused"
    status = 503
    retry = True


class StoreDamagedError(HubbubError):
    """The store holds fewer events than were acknowledged; restore it from a backup before going on."""

    code = "store_damaged"
    status = 503


class StoreNewerError(HubbubError):
    """Another version of Hubbub changed the store's tables: stop this process, and start that version."""

    code = "store_newer"
    status = 503
    retry = True


class WrongInstallationError(HubbubError):
    """The data folder and the control database belong to different installations: bring back the matching one."""

    code = "wrong_installation"
    status = 503


class TenantsFailedError(HubbubError):
    """Some tenants failed, all others are done; the failed ones are tried again."""

    code = "tenants_failed"
    status = 500
    retry = True

    def __init__(self, message: str | None = None, *, result: Mapping[str, Any] | None = None) -> None:
        failed: Mapping[str, str] = (result or {}).get("errors", {})
        if failed and message is None:
            some = "; ".join(f"{tenant}: {text}" for tenant, text in list(failed.items())[:5])
            message = f"{len(failed)} tenants failed, all others are done: {some}"
        super().__init__(message, result=result)


class JobCancelledError(HubbubError):
    """The job was cancelled while it ran."""

    code = "job_cancelled"
    status = 409


class DatabaseUnavailableError(HubbubError):
    """A database does not answer: check that the server of 'store_url', 'control_url' or 'jobs_url' is running, and try again."""

    code = "database_unavailable"
    status = 503
    retry = True


REASONS = {
    "no_key": "the request has no key: send it as 'Authorization: Bearer <key>'",
    "unknown_key": "the key is unknown or incomplete: copy all of a key of this installation",
    "revoked_key": "the key was revoked: create another one",
    "expired_key": "the key has expired: create another one",
    "closed_tenant": "the key's tenant is to be deleted: an operator can bring it back with 'hubbub tenants undelete'",
    "missing_scope": "the key lacks the needed scope: create a key with it",
    "no_tenant": "an operator's key has no tenant: use a tenant's key",
    "unreadable": "the body is not a JSON object or array: send an event, an array of events, or NDJSON with its Content-Type",
    "unknown_encoding": "the body has an unknown encoding: send gzip or plain",
    "bad_gzip": "the body is not gzip as its header says, ends too early, or continues after its end",
    "too_many_events": "the batch has more events than the setting 'max_batch' allows: send smaller ones",
    "no_signature": "the signature is missing or unreadable: the sender is not the connected service",
    "bad_signature": "the signature does not match body and secret: compare the secret here with the one at the service",
    "old_signature": "the signature is too old or too new: check this machine's clock; or somebody sent an old body again",
    "sender_gone": "the sender closed the connection before the end of the body: check its timeout, and proxies in between",
}
"""`reason` in the details of some errors -> text for the delivery log; finer than the code, and never quotes the request."""

NOT_NOW = (StoreUnavailableError, StoreBusyError, StoreNewerError, DatabaseUnavailableError)
"""Errors of a store that is temporarily unavailable."""


class ServerUnreachableError(HubbubError):
    """The server did not answer."""

    code = "server_unreachable"
    status = 503
    retry = True


class UpstreamUnavailableError(HubbubError):
    """Another service did not answer properly; the same request may succeed later.

    `retry_after`: seconds to wait that the service asks for, or None.
    """

    code = "upstream_unavailable"
    status = 503
    retry = True

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class UpstreamRefusedError(HubbubError):
    """Another service refused the request, and will refuse it until a person acts.

    `reason`: what happened. `action`: what a person has to do. The message contains both.
    """

    code = "upstream_refused"
    status = 502

    def __init__(self, message: str | None = None, *, action: str = "", **details: object) -> None:
        super().__init__(f"{message}. {action}" if message and action else message, **details)
        self.reason = message or self.message
        self.action = action
