"""Checks of the application hosts: configuration, release and health, as the role found them there."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from consolidation.borders import Json
from consolidation.errors import ConfigurationError
from consolidation.preflight.findings import Finding, in_order, summary, text_table
from consolidation.preflight.kinds import found
from consolidation.services import config as service_config
from consolidation.services import release as service_release
from consolidation.services import yaml_edit
from consolidation.services.yaml_edit import Value

HTTP_OK = 200


@dataclass(frozen=True)
class Host:
    """An application host, as the role saw it."""

    name: str
    config: str
    """Path of the configuration file."""
    exists: bool
    writable: bool
    """The file, and the folder that the new file is put into."""
    content: bytes
    health_url: str
    health_status: int
    """-1: no answer."""
    restartable: bool
    """Whether the inventory says how."""


@dataclass(frozen=True)
class Release:
    """The release that a service is to run after the cutover."""

    directory: str
    ready: bool
    """Built already."""
    requirements: str | None
    """The text of its requirements file; None where there is none."""
    wheelhouse: bool
    linked: bool
    """Whether ``current`` is a link."""


def judge(given: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]], health_status: int) -> Json:
    """The findings about a host, from the module's options and from what its files and its service say."""
    path = given["config"]
    host = Host(
        name=given["host"],
        config=path,
        exists="content" in files[path],
        writable=files[path]["writable"] and files[str(PurePath(path).parent)]["writable"],
        content=b64decode(files[path].get("content", "")),
        health_url=given["health_url"],
        health_status=health_status,
        restartable=given["restartable"],
    )
    if given["entries"] is not None:
        findings = storage_service(host, given["entries"], called=given["called"])
    else:
        findings = service(host, _found_release(given, files), given["schema"])
    ordered = in_order(findings)
    return {
        "findings": [finding.as_result() for finding in ordered],
        "summary": summary(ordered),
        "table": text_table(host.name, ordered),
    }


def _found_release(given: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> Release:
    folder = given["next_release"]
    requirements = b64decode(files[f"{folder}/requirements.txt"].get("content", ""))
    return Release(
        directory=folder,
        ready=files[f"{folder}/.ready"]["exists"],
        # An empty file names nothing and is as good as none.
        requirements=requirements.decode(errors="replace") or None,
        wheelhouse=files[f"{folder}/wheelhouse"]["exists"],
        linked=bool(files[given["current_release"]]["link"]),
    )


def service(host: Host, release: Release, schema: str) -> Iterator[Finding]:
    """Findings about one host of a service that moves."""
    yield from _config(host, lambda: service_config.plan_cutover(host.config, host.content, schema))
    # A cutover that was cut off may have left the service down; the run that goes on brings it up.
    begun = service_config.goes_remote(host.content)
    yield from _health(host, "service.health.not_yet" if begun else "service.health.failing")
    yield from _restart(host)
    yield from _release(host.name, release)


def storage_service(host: Host, entries: Mapping[str, Mapping[str, Value]], *, called: bool) -> Iterator[Finding]:
    """Findings about one host of the Storage Service. ``called``: a service is to go through it to these databases."""
    yield from _config(host, lambda: service_config.plan_served(host.config, host.content, entries))
    if called:
        yield from _callers(host, entries)
    # It is not ready before its databases have their schemas. One that is down may be started by the runbook.
    answers = host.health_status > 0
    yield from _health(host, f"storage_service.health.{'not_ready' if answers else 'no_answer'}")
    yield from _restart(host)


def _release(host: str, release: Release) -> Iterator[Finding]:
    if not release.linked:
        what = f"{release.directory.partition('/releases/')[0]}/current is no link: the release cannot be switched"
        yield found("service.release.no_link", host, what, "ln -s releases/<the running release> current")
    if release.requirements is None:
        what = f"{release.directory}/requirements.txt is missing: what the release contains is unknown"
        yield found("service.release.missing", host, what, "deploy the release, or correct service_release_next")
        return
    for fault in service_release.faults(release.requirements):
        what = f"{release.directory}/requirements.txt {fault}"
        yield found("service.release.requirements", host, what, "deploy the release that uses the storage client")
    if not release.ready and not release.wheelhouse:
        what = f"{release.directory} is neither built (.ready) nor has it a wheelhouse to be built from"
        fix = f"pip wheel -r requirements.txt -w {release.directory}/wheelhouse"
        yield found("service.release.wheelhouse", host, what, fix)


def _config(host: Host, plan: Callable[[], object]) -> Iterator[Finding]:
    if not host.exists:
        what = f"{host.config} does not exist, or cannot be read"
        yield found("service.config.missing", host.name, what, "correct service_config, or the rights of the login")
        return
    if not host.writable:
        what = f"{host.config} or its folder cannot be written"
        fix = "let the login become a user who may (ansible_become)"
        yield found("service.config.not_writable", host.name, what, fix)
    try:
        plan()
    except ConfigurationError as error:
        yield found("service.config.unexpected", host.name, error.message, error.hint)


def _callers(host: Host, databases: Iterable[str]) -> Iterator[Finding]:
    """Databases that no caller may use: their services would be refused, and only the smoke test would find it out."""
    try:
        root = yaml_edit.read(host.content.decode(errors="replace"), host.config)
    except ConfigurationError:
        return  # _config has said so
    callers = yaml_edit.pairs(yaml_edit.find(root, ("services",)))
    used = {node.value for _, caller in callers if (node := yaml_edit.find(caller, ("database",))) is not None}
    for name in databases:
        if name not in used:
            what = f"{host.config}: no entry below services has database: {name}, its service would be refused"
            fix = "python -m storage_service.auth makes a token; its hash goes there, the token to the service's hosts"
            yield found("storage_service.caller.missing", host.name, what, fix)


def _health(host: Host, kind: str) -> Iterator[Finding]:
    if host.health_status != HTTP_OK:
        said = f"status {host.health_status}" if host.health_status > 0 else "no answer"
        fix = f"curl --include {host.health_url}   on {host.name}; the service's log says more"
        yield found(kind, host.name, f"{host.health_url}: {said}", fix)


def _restart(host: Host) -> Iterator[Finding]:
    if not host.restartable:
        what = "the inventory says neither service_unit nor service_commands: the service cannot be restarted"
        yield found("service.restart.unknown", host.name, what, "set service_unit: NAME.service")
