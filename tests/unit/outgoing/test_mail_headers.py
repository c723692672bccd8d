"""Mail headers as bytes for the server."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hubbub.outgoing.mail import Mail, message_of

HOST = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=60)
ID = st.text("abcdef0123456789_.", min_size=1, max_size=120)


@given(host=HOST, id_=ID, subject=st.text(max_size=200))
def test_addresses_and_ids_stay_whole_however_long(host: str, id_: str, subject: str) -> None:
    """List-Unsubscribe (RFC 8058) and Message-ID stay unencoded in one line, however long.

    Other headers have no line above 78 characters, and no header occurs twice.
    """
    address = f"<https://{host}.example/unsubscribe/{id_}>"
    mail = Mail(
        id_, "a@b.example", subject, "text", datetime(2026, 12, 1, tzinfo=UTC), headers={"List-Unsubscribe": address}
    )
    lines = message_of(mail, f"hubbub@{host}.example").as_bytes().split(b"\n\n")[0].decode().split("\n")
    assert f"List-Unsubscribe: {address}" in lines
    assert f"Message-ID: <{id_}@{host}.example>" in lines
    names = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert len(names) == len(set(names))
    assert all(len(line) <= 78 for line in lines if line.startswith(("Subject", "To", "Date", " ")))
