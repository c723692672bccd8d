"""Form bodies: `multipart/form-data`, as services send inbound mails with attachments, and urlencoded ones."""

from __future__ import annotations

from email import policy
from email.message import Message
from email.parser import BytesParser
from urllib.parse import parse_qsl

from hubbub.errors import BadRequestError
from hubbub.ingest.receivers.base import Delivery

MOST_FIELDS = 1_000


def form_of(delivery: Delivery) -> dict[str, str]:
    """Return a form's fields by name, the last of several; files are ignored. Raises BadRequestError for another body."""
    kind = delivery.headers.get("content-type", "")
    if kind.lower().startswith("application/x-www-form-urlencoded"):
        try:
            return dict(
                parse_qsl(delivery.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
            )
        except ValueError:
            raise BadRequestError("the form has too many fields", reason="unreadable") from None
    if kind.lower().startswith("multipart/form-data") and kind.isascii() and "\n" not in kind:
        return _fields_of(f"Content-Type: {kind}\r\n\r\n".encode() + delivery.body)
    raise BadRequestError("the body is not a form", reason="unreadable")


def _fields_of(message: bytes) -> dict[str, str]:
    form = BytesParser(policy=policy.compat32).parsebytes(message)
    parts = form.get_payload()
    if not isinstance(parts, list) or len(parts) > MOST_FIELDS:
        raise BadRequestError("the form has no separate parts, or too many", reason="unreadable")
    fields: dict[str, str] = {}
    for part in parts:
        if not isinstance(part, Message):
            continue
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and part.get_filename() is None and isinstance(content, bytes):
            fields[name] = content.decode("utf-8", "replace")
    return fields
