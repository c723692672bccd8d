"""Commands that keep data safe and move it: backup, restore, export, import tenant, tenants delete, migrate-control,
migrate-store, rebind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hubbub.cli.ask import show_answer
from hubbub.cli.importing import group as importing
from hubbub.cli.manage import tenants
from hubbub.cli.options import Data, Json, TenantName

if TYPE_CHECKING:
    from hubbub.app import Engine
    from hubbub.progress import Progress

Name = Annotated[str, typer.Argument(help="The tenant.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application; some are part of `import` and `tenants`."""
    app.command()(backup)
    app.command()(restore)
    app.command()(export)
    app.command("migrate-control")(migrate_control)
    app.command("migrate-store")(migrate_store)
    app.command()(rebind)
    importing.command("tenant")(import_tenant)
    tenants.command("delete")(delete_tenant)
    tenants.command("undelete")(undelete_tenant)
    tenants.command("closed")(closed_tenants)


Answer = TypeVar("Answer")


def _long(label: str, data: Path | None, as_json: bool, work: Callable[[Engine, Progress], Answer]) -> Answer:
    """Show the progress of `work`, then print its result."""
    from hubbub.cli import show
    from hubbub.cli.backend import opened

    with opened(data) as engine, show.progress(label, None, quiet=as_json) as move:
        answer = work(engine, lambda note: move(None, note))
    show.emit(answer, as_json=as_json)
    return answer


def backup(
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Write a consistent copy of everything into a new folder, while servers run, with its encryption keys in DEST/keys.

    Keep DEST/keys elsewhere: with them, stored tokens and texts can be decrypted. 'hubbub restore' reads them with --keys.
    """
    from hubbub.cli import show

    answer = _long("backing up", data, as_json, lambda engine, note: engine.backups.make(target.absolute(), note))
    if answer.keys:
        show.say(f"{target}/keys decrypts the backup: keep it in another, safe place.")
    for note in answer.left_out:
        show.say(note)


def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder that 'hubbub backup' wrote.")],
    data: Data = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Folder of the backup's keys, if outside it.", show_default=False)
    ] = None,
    erased_since: Annotated[
        str | None,
        typer.Option(
            "--erased-since",
            help="Erasures after the backup: the data folder or control database in use, or the output of 'hubbub erasures "
            "--json'. They are erased again.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill an empty data folder from a backup, after checking every file, then repeat later erasures.

    Example: hubbub restore /backups/monday --data ./restored --erased-since ./hubbub-data
    """
    from hubbub.app import open_engine
    from hubbub.cli import show
    from hubbub.model.plain import plain
    from hubbub.services import backups
    from hubbub.settings import load
    from hubbub.telemetry import configure_logs

    folder = load(data).data
    with show.progress("restoring", None, quiet=as_json) as move:
        note: Callable[[str], None] = lambda text: move(None, text)  # noqa: E731
        restored = backups.restore(source, folder, note, keys)
        with open_engine(folder, store_url="", control_url="", jobs_url="") as engine:
            configure_logs(engine.settings.log_level)
            again = engine.erasures.again(restored.as_of, erased_since, note)
    answer = plain(restored) | plain(again)
    del answer["as_of"]  # a number for internal use
    show.emit(answer, as_json=as_json)
    if erased_since is None:
        show.say(
            "Contacts that were erased after this backup are back: name them with --erased-since, or erase them again."
        )
    for text in restored.left_out:
        show.say(text)


def export(
    tenant: TenantName,
    target: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Write all data of a tenant into a new folder, as JSON lines and Parquet, for 'hubbub import tenant' elsewhere."""
    _long("exporting", data, as_json, lambda engine, note: engine.transfer.export(tenant, target.absolute(), note))


def import_tenant(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A folder that 'hubbub export' wrote, or an unpacked download.")
    ],
    name: Annotated[str | None, typer.Option("--as", help="The tenant's new name.", show_default="its own")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create a tenant from an export: every number is the same, and repeated events are still duplicates.

    API keys, integrations and erasures are not imported: they belong to the other installation.
    """
    _long("importing", data, as_json, lambda engine, note: engine.transfer.take_in(source.absolute(), name, note))


def delete_tenant(
    tenant: Name,
    yes: Annotated[
        str | None,
        typer.Option("--yes", metavar="NAME", help="The name again, instead of the prompt.", show_default=False),
    ] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=0, max=365, help="Days until it is deleted; 0: at once.")
    ] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only count its rows.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Close a tenant: its keys are refused, and it is hidden. After the days of grace all its data are deleted.

    Until then 'hubbub tenants undelete' restores it. Backups and exports are not deleted.
    """
    if not dry_run and yes is None:
        yes = typer.prompt(f"Everything of {tenant} will be deleted. Type its name")
    _long(
        "deleting", data, as_json,
        lambda engine, note: engine.deletion.delete(tenant, yes, grace, dry_run=dry_run, progress=note),
    )  # fmt: skip


def undelete_tenant(tenant: Name, data: Data = None, as_json: Json = False) -> None:
    """Restore a closed tenant, with all its data."""
    show_answer(data, as_json, lambda engine: engine.deletion.undelete(tenant))


def closed_tenants(data: Data = None, as_json: Json = False) -> None:
    """List closed tenants, and when they are deleted."""
    show_answer(data, as_json, lambda engine: engine.deletion.closed())


def migrate_control(
    target: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="An empty database: postgresql://user@host/database or sqlite:////path/control.db."
        ),
    ],
    jobs: Annotated[
        str | None,
        typer.Option(
            "--jobs", help="The database of jobs.", show_default="URL itself; for SQLite, jobs.db beside its file"
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Copy control data and jobs into another database, and check that nothing differs. Stop servers and workers first.

    The old database does not change. DBOS's list of queues and versions is not copied: workers write it again.
    """
    from hubbub.cli import show
    from hubbub.services.control_carrying import carry
    from hubbub.settings import load, masked

    settings = load(data, control_url=None)
    jobs = jobs or (target if not target.startswith("sqlite") else f"{target.rpartition('/')[0]}/jobs.db")
    with show.progress("copying", None, quiet=as_json) as move:
        carried = carry(settings, target, jobs, lambda note: move(None, note))
    answer = {"rows": [{"table": count.table, "rows": count.rows} for count in carried]}
    show.emit(answer, as_json=as_json)
    show.say(f"Nothing differs. Now set HUBBUB_CONTROL_URL={masked(target)} and HUBBUB_JOBS_URL={masked(jobs)}.")


def migrate_store(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="An empty database, postgresql://user@host/database, or a new folder."),
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Copy events, facts, control data and jobs into another store, and check by tenant and month that nothing differs.

    Stop servers and workers first. The old store does not change; after an interruption, the same command continues.
    """
    from hubbub.cli import show
    from hubbub.services import store_migration
    from hubbub.settings import load, masked

    settings = load(data)
    with show.progress("copying", None, quiet=as_json) as move:
        months = store_migration.migrate_store(settings, target, lambda note: move(None, note))
    show.emit({"rows": [asdict(month) for month in months]}, as_json=as_json)
    where = f"HUBBUB_STORE_URL={masked(target)}" if "://" in target else f"HUBBUB_DATA={target} and no HUBBUB_STORE_URL"
    show.say(f"Nothing differs. Now set {where}.")


def rebind(
    yes: Annotated[bool, typer.Option("--yes", help="Bind them; without it only show what would be bound.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Bind a data folder, a control database and keys that do not belong together, when the right ones are lost for good.

    Data of tenants that are unknown to the control database stay in the folder, but cannot be read. With another key, API keys,
    tokens and stored texts are lost: create them again; events of erased contacts are accepted again.
    """
    from hubbub.cli import show
    from hubbub.services.binding import bind_again
    from hubbub.settings import load

    show.emit(bind_again(load(data), really=yes), as_json=as_json)
