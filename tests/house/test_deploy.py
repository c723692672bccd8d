"""Containers and units of `deploy/` fit Hubbub's commands and settings."""

from __future__ import annotations

import configparser
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from hubbub.app import open_engine
from hubbub.jobs.ledger import Ledger
from hubbub.settings import Settings
from tests.house.conftest import ROOT
from tests.served import served

DEPLOY = ROOT / "deploy"
UNITS = [DEPLOY / "hubbub.service", DEPLOY / "hubbub-worker.service"]
OTHERS = {
    "postgres": {"POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"},
    "redis": {"REDISCLI_AUTH"},
}
"""Variables of the other images of the cluster."""

COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OWN = {name: service for name, service in SERVICES.items() if "build" in service}
INSTRUCTIONS = [
    shlex.split(line)
    for line in (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def variables(model: type[BaseModel], prefix: str = "HUBBUB_") -> set[str]:
    """Return the environment variables of the settings."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        found.add(variable)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= variables(field.annotation, f"{variable}__")
    return found


def instruction(name: str) -> list[list[str]]:
    """Return the words of every instruction of the Containerfile with this name."""
    return [words[1:] for words in INSTRUCTIONS if words[0] == name]


def unit(path: Path) -> configparser.ConfigParser:
    """Return a unit's sections; of a repeated key the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


def locked(name: str) -> dict[str, list[str]]:
    """Return a lock's packages by name: version and hashes, without platform markers."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = re.split(r"\n(?=[A-Za-z0-9])", text)
    return {one.partition("==")[0]: [one.split()[0], *re.findall(r"--hash=\S+", one)] for one in parts}


@pytest.fixture(scope="module")
def healthy() -> Callable[[str], str]:
    """Return the containers' health check: it returns the problem of `serve` or `worker`, or an empty text."""
    check: Callable[[str], str] = runpy.run_path(str(DEPLOY / "healthy.py"))["main"]
    return check


def test_the_runtime_lock_is_the_part_of_the_lock_that_runs() -> None:
    """The runtime lock pins what pyproject needs to build and run, with the lock's versions and hashes, and no
    development package.

    The extra `labels` is left out: it would make the runtime three times as large.
    """
    runtime, everything = locked("requirements-runtime.lock"), locked("requirements.lock")
    assert {name: everything[name] for name in runtime} == runtime
    assert not re.search(r"://|--[a-gi-z]|^-", (ROOT / "requirements-runtime.lock").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = re.compile(r"[A-Za-z0-9._-]+")
    asked = project["project"]["optional-dependencies"]
    heavy = asked.pop("labels")
    assert not {name for one in heavy if (name := names.match(one)[0]) in runtime}  # type: ignore[index]
    extras = (d for extra in asked.values() for d in extra)
    for dependency in (*project["project"]["dependencies"], *extras):
        assert names.match(dependency)[0] in runtime, f"{dependency}: run 'make lock'"  # type: ignore[index]
    assert not {names.match(d)[0] for d in project["dependency-groups"]["dev"]} & set(runtime)  # type: ignore[index]


def test_every_name_in_the_environment_is_known() -> None:
    """Hubbub's services set known settings, other images their own variables, and .env has exactly the compose file's
    variables.
    """
    known = variables(Settings)
    for name, service in SERVICES.items():
        assert set(service["environment"]) <= (known if name in OWN else OTHERS[name]), name
    units = "\n".join(path.read_text(encoding="utf-8") for path in UNITS)
    for assigned in (*re.findall(r"^Environment=(\w+)=", units, re.MULTILINE), *image_environment()):
        assert assigned in known or assigned in ("PATH", "PYTHONDONTWRITEBYTECODE"), assigned
    example = re.findall(r"^(\w+)=", (DEPLOY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(example) == {"COMPOSE_PROFILES", *re.findall(r"\$\{(\w+)", COMPOSE)}
    assert {name for name in example if name.startswith("HUBBUB_")} <= known


def image_environment() -> list[str]:
    """Return the names that the Containerfile sets."""
    return [pair.partition("=")[0] for words in instruction("ENV") for pair in words]


def test_no_secret_has_a_default() -> None:
    """Each variable of the compose file must be set and says where; example and Containerfile hold no secret."""
    asked = re.findall(r"(?<!\$)\$\{?(\w+)([^}]*)", COMPOSE)
    assert asked and all(rest.startswith(":?set it in deploy/.env") for _, rest in asked)
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^\w+=(.+)$", example, re.MULTILINE) == ["single"]
    assert not [name for name in image_environment() if re.search("KEY|PASSWORD|SECRET|URL|TOKEN", name)]


def test_every_image_is_pinned_to_a_version() -> None:
    """Foreign images have at least a major and a minor version in their tag; ours has the project's version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    images = [words[0] for words in instruction("FROM")]
    images += [service["image"] for name, service in SERVICES.items() if name not in OWN]
    assert all(re.search(r":\d+\.\d+[\w.-]*$", image) for image in images), images
    assert {service["image"] for service in OWN.values()} == {f"hubbub:{version}"}
    assert f"-t hubbub:{version} " in (ROOT / "docs" / "howto" / "deploy.md").read_text(encoding="utf-8")


def test_services_have_health_checks_restart_policies_and_limits() -> None:
    """Every service has a profile, a health check, a restart policy and limits; its dependencies exist in its profile."""
    for name, service in SERVICES.items():
        assert service["profiles"] in (["single"], ["cluster"]), name
        assert service["healthcheck"]["test"] and service["restart"] == "unless-stopped", name
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
        assert "no-new-privileges:true" in service["security_opt"], name
        for other, how in service.get("depends_on", {}).items():
            assert SERVICES[other]["profiles"] == service["profiles"] and how == {"condition": "service_healthy"}
    for name, service in OWN.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert int(service["stop_grace_period"].removesuffix("s")) > 15, name


def test_no_database_is_reached_from_outside() -> None:
    """Only servers publish a port; databases are in a network without a way out."""
    internal = {name for name, network in yaml.safe_load(COMPOSE)["networks"].items() if network.get("internal")}
    for name, service in SERVICES.items():
        if name not in OWN:
            assert set(service["networks"]) <= internal, name
            assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["hubbub", "server"]


def test_files_that_the_image_copies_exist() -> None:
    """Copied files exist and are sent to the builder; the image runs as an unprivileged user and installs by hashes alone."""
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8")
    sent = set(re.findall(r"^!(\S+)", ignored, re.MULTILINE))
    copied = {source for words in instruction("COPY") if not words[0].startswith("--from") for source in words[:-1]}
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)
    assert "--require-hashes" in [word for words in instruction("RUN") for word in words]
    assert instruction("USER") == [["10001:10001"]] and instruction("VOLUME") == [["/var/lib/hubbub"]]
    assert instruction("STOPSIGNAL") == [["SIGTERM"]]


def test_commands_are_those_of_hubbub(reference: ModuleType) -> None:
    """Image, services and units run existing commands and the image's health check."""
    commands = {name for name, _ in reference.commands()}
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    told = {line.split(" ", 1)[0]: yaml.safe_load(line.split(" ", 1)[1]) for line in lines if line.endswith("]")}
    assert told["ENTRYPOINT"] == ["tini", "--", "hubbub"]
    asked = [told["CMD"], *(service["command"] for service in OWN.values() if "command" in service)]
    assert all(f"hubbub {' '.join(command)}" in commands for command in asked)
    for path, command in zip(UNITS, ("hubbub serve", "hubbub worker"), strict=True):
        assert unit(path)["Service"]["ExecStart"] == f"/opt/hubbub/bin/{command}"
    for name, service in OWN.items():
        runs = service.get("command", told["CMD"])
        assert service["healthcheck"]["test"] == ["CMD", "python", "/opt/hubbub/healthy.py", *runs], name


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_are_hardened_and_leave_time_to_end(path: Path, tmp_path: Path) -> None:
    """A unit restarts on failure, writes only to its state folder, and has more time to stop than Hubbub needs."""
    service = unit(path)["Service"]
    assert service["Restart"] == "on-failure" and service["User"] == "hubbub"
    assert service["ProtectSystem"] == "strict" and service["NoNewPrivileges"] == "yes"
    assert service["StateDirectory"] == "hubbub" and service["WorkingDirectory"] == "/var/lib/hubbub"
    assert 15 < int(service["TimeoutStopSec"]) <= 30
    if (analyze := shutil.which("systemd-analyze")) is None:
        return
    copy = tmp_path / path.name
    copy.write_text(
        path.read_text(encoding="utf-8").replace("/opt/hubbub/bin/hubbub", sys.executable), encoding="utf-8"
    )
    for command in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run([analyze, *command, str(copy)], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and str(copy) not in done.stderr, done.stdout + done.stderr


def test_a_server_is_healthy_while_it_answers(
    tmp_path: Path, healthy: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's health check is empty while one runs, and names the error afterwards."""
    monkeypatch.setenv("HUBBUB_DATA", str(tmp_path / "served"))
    with open_engine(tmp_path / "served", free_floor_mb=0) as engine, served(engine) as port:
        monkeypatch.setenv("HUBBUB_PORT", str(port))
        assert healthy("serve") == ""
    assert "ConnectionRefusedError" in healthy("serve")


def test_a_worker_is_healthy_with_a_recent_heartbeat(
    tmp_path: Path, healthy: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's health check needs a recent heartbeat of its own host: none, an old one or another host's fails."""
    monkeypatch.setenv("HUBBUB_DATA", str(tmp_path))
    ledger, now = Ledger(f"sqlite:///{tmp_path / 'jobs.db'}"), datetime.now(UTC)
    ledger.heartbeat("elsewhere-7-abc", now)
    assert "no heartbeat" in healthy("worker")
    with open_engine(tmp_path) as engine:
        running = engine.worker()
        running.start()
        assert healthy("worker") == ""
        mine = next(process for process in ledger.beats() if not process.startswith("elsewhere"))
        running.stop()
    ledger.heartbeat(mine, now - timedelta(minutes=5))
    assert "no heartbeat" in healthy("worker")
    ledger.close()
