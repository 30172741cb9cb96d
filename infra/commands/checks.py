"""The trials of `sisyphus doctor`. Each really does what the system does: writes, reads back, runs a container.

A trial never raises: whatever goes wrong becomes a `Check` with what to do about it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from importlib import import_module
from importlib.util import find_spec

from infra.broker import open_broker
from infra.commands.run_files import running_system
from infra.commands.units import size
from infra.errors import SisyphusError
from infra.health import Check, absent, bad, good
from infra.identity import new_id
from infra.listening import check_exposure, open_socket
from infra.object_store import ObjectStores
from infra.registry import resolve
from infra.runtime import RUNTIMES, Runtime
from infra.settings import Settings, unknown_settings
from infra.state_store import open_state_store
from infra.template_catalog import load_catalog
from schemas.failure import DocumentError
from schemas.paths import RESERVED_PREFIX, Remote, Scheme

#: Seconds that one trial may take.
_LIMIT_S = 60.0
#: Free bytes below which a data directory is too full to work with.
_LEAST_FREE = 1 << 30
#: Checks that a role brings itself: role -> (package it needs, ``def checks(settings) -> Iterable[Check]``).
ROLE_CHECKS: dict[str, tuple[str, str]] = {"voice": ("pipecat", "voice.doctor:checks")}

Trial = Callable[[Settings], Awaitable[Iterable[Check]]]


async def examine(settings: Settings) -> AsyncIterator[Check]:
    """Try every part, one after the other, so that trials do not disturb each other."""
    trials: list[tuple[str, Trial]] = [
        ("python", _python),
        ("settings", _settings),
        ("data directory", _data),
        ("database", _database),
        ("object store", _objects),
        ("broker", _broker),
        ("runtime", _runtimes),
        ("templates", _templates),
        ("port", _port),
        *((role, _role(role)) for role in ROLE_CHECKS),
    ]
    for name, trial in trials:
        for check in await _tried(name, trial, settings):
            yield check


async def _tried(name: str, trial: Trial, settings: Settings) -> Iterable[Check]:
    try:
        async with asyncio.timeout(_LIMIT_S):
            return await trial(settings)
    except TimeoutError:
        return [bad(name, f"no answer within {_LIMIT_S:.0f} s", "is what its URL names up and reachable?")]
    except SisyphusError as error:
        return [bad(name, str(error), f"check SISYPHUS_{_SETTING.get(name, name).upper()}")]
    except Exception as error:  # noqa: BLE001 - a doctor that falls ill helps nobody
        return [bad(name, f"{type(error).__name__}: {error}", "SISYPHUS_LOG_LEVEL=debug shows more")]


_SETTING = {"data directory": "data", "object store": "objects"}


async def _python(_settings: Settings) -> Iterable[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [good("python", f"{version} at {sys.executable}")]


async def _settings(_settings: Settings) -> Iterable[Check]:
    return [
        bad(
            "settings",
            f"there is no setting {name}",
            f"did you mean {near}?" if near else "remove it, or see docs/operations.md",
        )
        for name, near in unknown_settings().items()
    ]


async def _data(settings: Settings) -> Iterable[Check]:
    name, data = "data directory", settings.data

    def trial() -> int:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / f".doctor-{new_id()}"
        probe.write_bytes(b"x")
        os.replace(probe, probe)  # noqa: PTH105 - the rename that all atomic writes here rest on
        probe.unlink()
        return shutil.disk_usage(data).free

    try:
        free = await asyncio.to_thread(trial)
    except OSError as error:
        return [bad(name, f"{data}: {error.strerror}", "make it writable, or choose another with --data")]
    if free < _LEAST_FREE:
        return [bad(name, f"{data}: {size(free)} free", "free some disk space, or choose another with --data")]
    return [good(name, f"{data}, {size(free)} free")]


async def _database(settings: Settings) -> Iterable[Check]:
    store = await open_state_store(settings.database_url)
    try:
        nodes = await store.nodes()
    finally:
        await store.close()
    scheme = settings.database_url.partition(":")[0]
    alive = sum(node.seen_s < settings.lease.ttl_s for node in nodes)
    return [good("database", f"{scheme}, migrated; {alive} node{'' if alive == 1 else 's'} alive")]


async def _objects(settings: Settings) -> Iterable[Check]:
    stores = ObjectStores(settings)
    remote = Remote(Scheme.BUCKET, settings.default_bucket, f"{RESERVED_PREFIX}doctor-{new_id()}")
    settings.work_root.mkdir(parents=True, exist_ok=True)
    sent, back = (settings.work_root / f".doctor-{new_id()}" for _ in range(2))
    try:
        store = stores.at(remote)
        await asyncio.to_thread(sent.write_bytes, os.urandom(65_536))
        await store.store(sent, remote)
        await store.fetch(remote, back)
        is_same = await asyncio.to_thread(lambda: sent.read_bytes() == back.read_bytes())
        await store.delete([remote])
    finally:
        sent.unlink(missing_ok=True)
        back.unlink(missing_ok=True)
        await stores.close()
    where = settings.objects_url.partition("?")[0]
    if not is_same:
        return [bad("object store", f"{where} gave back other bytes than it got", "do not use this store")]
    return [good("object store", f"{where}, stored and fetched 64 KiB in {settings.default_bucket}:")]


async def _broker(settings: Settings) -> Iterable[Check]:
    broker = await open_broker(settings)
    if broker is None:
        return [absent("broker", "none is set; nodes claim from the database")]
    try:
        waiting = await broker.depth()
    finally:
        await broker.close()
    return [good("broker", f"{settings.broker.partition(':')[0]}, {waiting} waiting in its queue")]


async def _runtimes(settings: Settings) -> Iterable[Check]:
    urls = [settings.runtime] if settings.runtime else [f"{scheme}://" for scheme in RUNTIMES]
    tried = [await _runtime(url, settings) for url in urls]
    usable = [name for name, error in tried if not error]
    checks: list[Check] = []
    for name, error in tried:
        title = f"runtime {name}"
        if not error:
            used = ", is used" if name == usable[0] else ""
            checks.append(good(title, f"ran a trial container{used}"))
        elif usable:
            checks.append(absent(title, error))
        else:
            checks.append(bad(title, error, "tasks need one runtime: install Docker, or `apt install bubblewrap`"))
    return checks


async def _runtime(url: str, settings: Settings) -> tuple[str, str]:
    """The name of a runtime, and why it cannot be used ("" if it can)."""
    name = url.partition(":")[0]
    try:
        runtime: Runtime = resolve(RUNTIMES, url, "runtime")(url, settings)
        try:
            await runtime.probe()
        finally:
            await runtime.close()
    except (SisyphusError, ImportError) as error:
        return name, str(error)
    return name, ""


async def _templates(settings: Settings) -> Iterable[Check]:
    try:
        catalog = await asyncio.to_thread(load_catalog, *settings.templates)
    except DocumentError as error:
        return [bad("templates", f"{p.field}: {p.message}", "correct this file") for p in error.problems]
    return [good("templates", f"{len(catalog)} can be asked for")]


async def _port(settings: Settings) -> Iterable[Check]:
    if running := running_system(settings.data):
        return [good("port", f"a system is running at {running['url']} (process {running['pid']})")]
    check_exposure(settings)
    title = f"port {settings.port}"
    try:
        open_socket(settings.host, settings.port).close()
    except SisyphusError as error:
        return [bad(title, str(error), "stop what uses it, or give `sisyphus up` another --port")]
    return [good(title, f"free on {settings.host}")]


def _role(role: str) -> Trial:
    async def trial(settings: Settings) -> Iterable[Check]:
        package, target = ROLE_CHECKS[role]
        if find_spec(package) is None:
            return [absent(role, "is not installed", f"pip install 'sisyphus-cluster[{role}]'")]
        module, _, attribute = target.partition(":")
        checks: Callable[[Settings], Iterable[Check]] = getattr(import_module(module), attribute)
        return list(await asyncio.to_thread(checks, settings))

    return trial
