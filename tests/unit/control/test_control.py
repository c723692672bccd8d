"""Control data: names of tenants are valid, and only the holder of a key's text can use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.control.control import SCOPES, Control
from hubbub.control.database import Database
from hubbub.errors import (
    BadInputError,
    ConflictError,
    DatabaseUnavailableError,
    NotFoundError,
    UnauthenticatedError,
)
from hubbub.model.tenant import Retention


def open_(folder: Path) -> Control:
    """Control data in a folder."""
    return Control(Database(f"sqlite:///{folder / 'control.db'}"), folder)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Control data with a tenant."""
    opened = open_(tmp_path)
    opened.add_tenant("acme", "America/New_York", "Acme Inc.")
    yield opened
    opened.database.close()


# --- tenants


def test_a_tenant_is_read_back_unchanged(control: Control, tmp_path: Path) -> None:
    """A new tenant's name, zone and retention are stored; another opening of the same file returns the same."""
    made = control.add_tenant("beta", "Asia/Kathmandu", "Beta", Retention(raw=7, hour=None))
    other = open_(tmp_path)
    assert other.tenant("beta") == control.tenant("beta") == made
    assert (made.zone, made.retention.raw, made.retention.hour) == ("Asia/Kathmandu", 7, None)
    assert list(other.tenants()) == ["acme", "beta"]
    other.database.close()


def test_numbers_of_tenants_begin_at_one(control: Control) -> None:
    """Tenants are numbered from 1: number 0 is for everyone."""
    assert control.tenant("acme").no == 1


def test_bad_names_and_zones_make_no_tenant(control: Control) -> None:
    """A bad name, a bad zone and a name that is taken are refused, and nothing is made."""
    with pytest.raises(BadInputError):
        control.add_tenant("Acme Two")
    with pytest.raises(BadInputError):
        control.add_tenant("two", "Mars/Olympus")
    with pytest.raises(ConflictError):
        control.add_tenant("acme")
    assert list(control.tenants()) == ["acme"]


def test_only_given_fields_of_a_tenant_change(control: Control) -> None:
    """Only the given fields of zone, name and retention change; a bad zone changes nothing."""
    control.change_tenant("acme", zone="UTC")
    assert (control.tenant("acme").zone, control.tenant("acme").name) == ("UTC", "Acme Inc.")
    control.change_tenant("acme", name="Acme")
    control.change_tenant("acme", retention=Retention(raw=9))
    assert (control.tenant("acme").name, control.tenant("acme").retention.raw) == ("Acme", 9)
    with pytest.raises(BadInputError):
        control.change_tenant("acme", zone="Nowhere")
    assert control.change_tenant("acme").zone == "UTC"


def test_an_unknown_tenant_is_not_found(control: Control) -> None:
    """Reading, changing or making a key for an unknown tenant raises `NotFoundError` with its name."""
    for wrong in (
        lambda: control.tenant("nobody"),
        lambda: control.change_tenant("nobody", zone="UTC"),
        lambda: control.add_key("nobody", ["read"]),
    ):
        with pytest.raises(NotFoundError, match="nobody"):
            wrong()


# --- keys


def test_a_key_leads_to_its_tenant_label_and_scopes(control: Control) -> None:
    """A key's text leads to its tenant, label and scopes, and the scopes have a fixed order."""
    key, text = control.add_key("acme", ["read", "ingest"], "the shop")
    found = control.authenticate(text)
    assert text.startswith(f"hub_live_{key.id}_")
    assert (found.tenant, found.scopes, found.label) == ("acme", ("ingest", "read"), "the shop")


def test_keys_have_256_bits_and_are_never_the_same(control: Control) -> None:
    """The secret of a key is 32 random bytes in 43 characters, and each key has another."""
    secrets = {control.add_key("acme", ["read"])[1].split("_", 3)[3] for _ in range(20)}
    assert len(secrets) == 20
    assert {len(s) for s in secrets} == {43}


def test_no_file_holds_a_usable_key(control: Control, tmp_path: Path) -> None:
    """No file in the folder holds the secret, only a keyed hash; with another pepper the key is refused."""
    _, text = control.add_key("acme", ["read"])
    control.database.close()
    secret = text.split("_", 3)[3].encode()
    files = [p for p in tmp_path.iterdir() if p.is_file()]
    assert {"control.db", "pepper"} <= {p.name for p in files}
    assert not any(secret in p.read_bytes() for p in files)
    (tmp_path / "pepper").write_text("00" * 32)
    other = open_(tmp_path)
    with pytest.raises(UnauthenticatedError):
        other.authenticate(text)
    other.database.close()


def test_the_pepper_is_readable_by_its_owner_alone(control: Control, tmp_path: Path) -> None:
    """Only the pepper's owner may read its file, and another opening leaves it unchanged."""
    pepper = (tmp_path / "pepper").read_text()
    assert (tmp_path / "pepper").stat().st_mode & 0o077 == 0
    open_(tmp_path).database.close()
    assert (tmp_path / "pepper").read_text() == pepper


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "root"]])
def test_unknown_scopes_make_no_key(control: Control, scopes: list[str]) -> None:
    """A key needs at least one scope, and only known ones."""
    with pytest.raises(BadInputError, match="scopes"):
        control.add_key("acme", scopes)
    assert control.keys() == []


def test_only_an_admin_key_may_name_no_tenant(control: Control) -> None:
    """A key without a tenant is an operator's, and needs the scope admin."""
    with pytest.raises(BadInputError, match="admin"):
        control.add_key(None, ["read"])
    _, text = control.add_key(None, SCOPES)
    assert control.authenticate(text).tenant is None


def test_wrong_secrets_and_shapes_are_refused_alike(control: Control) -> None:
    """A wrong secret, an unknown id and a malformed key get the same error."""
    key, text = control.add_key("acme", ["read"])
    head, secret = f"hub_live_{key.id}_", text.split("_", 3)[3]
    wrong = [
        head + "x" * 43, head, head + secret[:-1], f"hub_live_000000000000_{secret}", f"hub_test_{key.id}_{secret}",
        "", "hub_live_", secret, f"{text} ", text.upper(), "' OR 1=1 --",
    ]  # fmt: skip
    messages = set()
    for attempt in wrong:
        with pytest.raises(UnauthenticatedError) as caught:
            control.authenticate(attempt)
        messages.add(caught.value.message)
    assert len(messages) == 1
    assert control.authenticate(text).id == key.id


def test_an_expired_key_is_refused(control: Control) -> None:
    """A key is accepted until it expires, and refused afterwards."""
    now = datetime.now(UTC)
    _, past = control.add_key("acme", ["read"], expires_at=now - timedelta(minutes=1))
    _, future = control.add_key("acme", ["read"], expires_at=now + timedelta(days=1))
    with pytest.raises(UnauthenticatedError):
        control.authenticate(past)
    assert control.authenticate(future).tenant == "acme"


def test_a_revoked_key_is_refused_and_its_neighbour_is_not(control: Control) -> None:
    """Revoking ends one key at once; an unknown key cannot be revoked."""
    key, text = control.add_key("acme", ["read"])
    _, other = control.add_key("acme", ["read"])
    assert control.revoke_key(key.id).revoked_at is not None
    with pytest.raises(UnauthenticatedError):
        control.authenticate(text)
    assert control.authenticate(other).tenant == "acme"
    with pytest.raises(NotFoundError):
        control.revoke_key("000000000000")


def test_keys_are_listed_by_tenant_without_secrets(control: Control) -> None:
    """A list by tenant has that tenant's keys only, and no list holds a secret."""
    control.add_tenant("beta")
    mine, text = control.add_key("acme", ["read"])
    control.add_key("beta", ["read"])
    assert [k.id for k in control.keys("acme")] == [mine.id]
    assert len(control.keys()) == 2
    assert text.split("_", 3)[3] not in repr(control.keys())


# --- several processes


def test_another_process_follows_what_this_one_changes(control: Control, tmp_path: Path) -> None:
    """Another process sees a changed zone and a new tenant at once; without a change it reads nothing again."""
    other = open_(tmp_path)
    assert other.tenant("acme").zone == "America/New_York"
    control.change_tenant("acme", zone="Asia/Kolkata")
    assert other.tenant("acme").zone == "Asia/Kolkata"
    before, known = other.changes, other.tenants()
    other.follow()
    assert other.changes == before
    assert other.tenants() is known
    control.add_tenant("beta")
    assert other.tenant("beta").id == "beta"  # an unknown tenant is looked up
    other.database.close()


def test_known_fields_of_a_tenant_hold_while_the_database_is_away(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is unavailable a tenant keeps its known fields; missed changes are read once it answers."""
    other = open_(tmp_path)
    zone = other.tenant("acme").zone
    control.change_tenant("acme", zone="Asia/Kolkata")
    with monkeypatch.context() as patch:

        def away() -> None:
            raise DatabaseUnavailableError

        patch.setattr(other, "follow", away)
        assert other.tenant("acme").zone == zone
    assert other.tenant("acme").zone == "Asia/Kolkata"
    other.database.close()


CHANGES: dict[str, Callable[[Control, str], object]] = {
    "add": lambda control, name: control.add_tenant(name),
    "rename": lambda control, name: control.change_tenant(name, name="other"),
    "close": lambda control, name: control.close_tenant(name, datetime(2030, 1, 1, tzinfo=UTC)),
    "reopen": lambda control, name: control.reopen_tenant(name),
    "ask": lambda control, name: control.tenants(),
    "follow": lambda control, name: control.follow(),
}


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(list(CHANGES)), st.sampled_from(["a", "b", "c"])), max_size=12
    )
)
@settings(max_examples=60, deadline=None)
def test_processes_follow_each_others_tenants(steps: list[tuple[int, str, str]]) -> None:
    """Two processes change tenants in any order: after `follow` each has what is stored, in the same order."""
    with TemporaryDirectory() as folder:
        both = [open_(Path(folder)) for _ in range(2)]
        for which, change, name in steps:
            with suppress(ConflictError, NotFoundError):
                CHANGES[change](both[which], name)
        both.append(open_(Path(folder)))
        stored = list(both[-1].tenants().items())
        for control in both:
            control.follow()
            assert list(control.tenants().items()) == stored
            control.database.close()


def test_the_first_use_of_a_key_brings_its_tenants_current_zone(control: Control, tmp_path: Path) -> None:
    """A key's first use in another process brings its tenant's current zone there, so no event is read in an old zone."""
    other = open_(tmp_path)
    assert other.tenant("acme").zone == "America/New_York"
    control.change_tenant("acme", zone="Asia/Kolkata")
    _, text = control.add_key("acme", ["ingest"])
    assert other.authenticate(text).tenant == "acme"
    assert other.tenant("acme").zone == "Asia/Kolkata"
    other.database.close()


def test_processes_with_the_same_secret_key_accept_each_others_keys(tmp_path: Path) -> None:
    """Processes without a common folder share keys through the secret key; another secret key, or none, accepts none of them."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"

    def process(name: str, secret: str) -> Control:
        (tmp_path / name).mkdir(exist_ok=True)
        return Control(Database(url), tmp_path / name, secret)

    one, other, stranger, alone = (
        process(name, secret)
        for name, secret in (("one", "5c" * 32), ("other", "5C" * 32), ("stranger", "5d" * 32), ("alone", ""))
    )
    one.add_tenant("acme")
    _, text = one.add_key("acme", ["read"])
    assert other.authenticate(text).tenant == "acme"
    for wrong in (stranger, alone):
        with pytest.raises(UnauthenticatedError):
            wrong.authenticate(text)
    assert not (tmp_path / "one" / "pepper").exists()
    _, kept = alone.add_key("acme", ["read"])
    assert process("alone", "5c" * 32).authenticate(kept).tenant == "acme"  # the folder's own pepper stays in use
    for opened in (one, other, stranger, alone):
        opened.database.close()
