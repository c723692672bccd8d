"""`hubbub migrate-store`: a data folder's store into a ClickHouse, or back, with proof that both hold the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hubbub.cli.options import Json
from hubbub.errors import BadQuestionError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from hubbub.settings import Settings

CONTROL = "control.db"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("migrate-store")(migrate_store)


def migrate_store(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="The store that is in use: a data folder, or clickhouse://host:8123/database."
        ),
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="The empty one that takes its place: the other of the two.")
    ],
    as_json: Json = False,
) -> None:
    """Move events and numbers from a data folder into a ClickHouse, or back, and prove that nothing differs.

    Stop everything that writes first. FROM stays as it is. Interrupted, the same command goes on. Exits 1 on any difference.

    Example: hubbub migrate-store ./hubbub-data clickhouse://user:password@host:8123/hubbub
    """
    from hubbub.cli import show
    from hubbub.settings import masked
    from hubbub.store.migrate import migrate

    settings, back = _settings(source, target)
    with show.progress("moving", None, quiet=as_json) as move:
        moved = migrate(settings, back=back, step=lambda note: move(None, note))
    url = masked(settings.store_url)
    change = "take HUBBUB_STORE_URL (store_url) out of the settings" if back else f"set HUBBUB_STORE_URL={url}"
    answer = moved.answer() | {"next": change if moved.equal else None}
    if as_json:
        show.emit(answer, as_json=True)
    else:
        show.table(answer["events"], title="events")
        show.table([row for row in answer["tables"] if row["rows"] or row["moved"]], title="other tables")
    if not moved.equal:
        show.say("Both stores differ where 'same' says no. The new one cannot be used; run the same command again.")
        raise typer.Exit(1)
    show.say(f"Both stores hold the same. Now {change}, then start Hubbub again; {masked(source)} stays as it is.")


def _settings(source: str, target: str) -> tuple[Settings, bool]:
    """Return the settings of the installation, with the ClickHouse's URL, and whether the move goes back to its folder."""
    from hubbub.cli.backend import server_of
    from hubbub.settings import load

    back = "://" in source
    if back == ("://" in target):
        raise BadQuestionError(
            "one of FROM and TO is a data folder, the other a store's URL like clickhouse://user:password@host:8123/hubbub; "
            "to move a data folder, copy it"
        )
    url, folder = (source, Path(target)) if back else (target, Path(source))
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}")
    settings = load(folder, store_url=url)
    if not settings.control_url and not (folder / CONTROL).exists():
        raise NotFoundError(
            f"{folder} is not the data folder of an installation: there is no {CONTROL} in it, which says whose events are whose"
        )
    server = server_of(folder)
    if server is not None:
        server.close()
        raise ConflictError(
            f"a server runs on {folder} at {server.address}: stop it, and all others that write to the same store"
        )
    return settings, back
