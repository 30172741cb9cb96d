"""What a sandbox sees: the host's ``/usr`` as the image, a private root, the mounts. Pure but for looking at the host.

Every internal path can exist, also below ``/usr``: there the directories on the way are rebuilt entry by entry.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import CommandNotFoundError
from infra.identity import new_id
from infra.runtime import ContainerSpec, Mount
from schemas.task import Resources

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What a command finds in its environment unless the document says otherwise.
DEFAULT_ENV: Mapping[str, str] = {"PATH": DEFAULT_PATH, "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108
#: Top-level names that belong to the image: symlinks into /usr, or directories on older distributions.
SYSTEM_NAMES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
#: Empty directories that programs expect.
EMPTY_DIRECTORIES = ("/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/var", "/var/lib", "/var/cache")
#: Parts of the host's /etc that /usr does not work without.
HOST_ETC = ("/etc/ld.so.cache", "/etc/alternatives")
SHM_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Features:
    """What the installed bwrap and this user may do."""

    user_namespace: bool = True
    size: bool = True  # --size, since 0.7
    disable_userns: bool = True  # since 0.8
    uid: int = 0
    gid: int = 0


def inner_ids() -> tuple[int, int]:
    """The uid and gid that commands see themselves as.

    One id is mapped to the node's own, so that what they write belongs to the node; where that is root, commands still
    see a plain user, so that programs which act differently as root (tar, package managers) do not.
    """
    return (os.getuid() or 1000, os.getgid() or 1000)


def write_etc(directory: Path, features: Features) -> None:
    """Write the small /etc that every sandbox of this node shows."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "passwd": f"sisyphus:x:{features.uid}:{features.gid}:sisyphus:/tmp:/bin/sh\n",
        "group": f"sisyphus:x:{features.gid}:\n",
        "hosts": "127.0.0.1 localhost sisyphus\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, text in files.items():
        path = directory / name
        if path.is_file() and path.read_text() == text:
            continue
        draft = directory / new_id(f".{name}.")  # its own: the first containers start at the same time
        draft.write_text(text)
        draft.replace(path)


def arguments(spec: ContainerSpec, features: Features, etc: Path) -> list[str]:
    """All options of bwrap for one container, without the command."""
    resources = spec.resources
    args = [*_isolation(resources, features), *_environment(spec.env)]
    args += [*_sized(resources.disk_mb << 20, features), "--tmpfs", "/"]
    args += _system(spec.mounts)
    # Read-only as a whole: a root node's commands own the files below /proc/sys, and core_pattern is the host's.
    args += ["--proc", "/proc", "--remount-ro", "/proc"]
    args += ["--dev", "/dev", "--perms", "1777", *_sized(SHM_BYTES, features), "--tmpfs", "/dev/shm"]  # noqa: S108
    args += ["--remount-ro", "/dev"]
    for path in EMPTY_DIRECTORIES:
        args += ["--dir", path]
    args += ["--perms", "1777", *_sized(resources.disk_mb << 20, features), "--tmpfs", "/tmp"]  # noqa: S108
    args += ["--symlink", "/tmp", "/var/tmp"]  # noqa: S108
    args += _etc(etc, resources)
    for mount in sorted(spec.mounts, key=lambda m: m.internal.count("/")):
        args += ["--ro-bind" if mount.read_only else "--bind", str(mount.local), mount.internal]
    if resources.read_only_root:
        args += ["--remount-ro", "/"]
    return [*args, "--chdir", spec.workdir or "/"]


def _isolation(resources: Resources, features: Features) -> list[str]:
    args = ["--unshare-all", "--die-with-parent", "--new-session", "--hostname", "sisyphus", "--cap-drop", "ALL"]
    if resources.network == "bridge":
        args.append("--share-net")
    if features.user_namespace:
        args += ["--unshare-user", "--uid", str(features.uid), "--gid", str(features.gid)]
        args += ["--disable-userns"] if features.disable_userns else []
    return args


def _environment(env: Mapping[str, str]) -> list[str]:
    args = ["--clearenv"]
    for name, value in {**DEFAULT_ENV, **env}.items():
        args += ["--setenv", name, value]
    return args


def _sized(size_bytes: int, features: Features) -> list[str]:
    return ["--size", str(size_bytes)] if features.size else []


def _system(mounts: Sequence[Mount]) -> list[str]:
    """The image: /usr, and what stands beside it at the top."""
    opened: set[str] = set()
    for mount in mounts:
        target = usr_path(mount.internal)
        if target.startswith("/usr/") and not os.path.lexists(target):
            opened.update(str(p) for p in Path(target).parents if p.is_dir() and p.is_relative_to("/usr"))
    args = _bind_tree("/usr", opened)
    for name in SYSTEM_NAMES:
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            args += ["--ro-bind", str(path), str(path)]
    return args


def _bind_tree(path: str, opened: set[str]) -> list[str]:
    """Bind a directory whole, or as a new directory with every entry bound, so that there is room for one more."""
    if path not in opened:
        return ["--ro-bind", path, path]
    args = ["--dir", path]
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_symlink():
                args += ["--symlink", str(Path(entry.path).readlink()), entry.path]
            else:
                args += _bind_tree(entry.path, opened)
    return args


def _etc(etc: Path, resources: Resources) -> list[str]:
    args: list[str] = []
    for name in ("passwd", "group", "hosts", "nsswitch.conf"):
        args += ["--ro-bind", str(etc / name), f"/etc/{name}"]
    for path in HOST_ETC:
        args += ["--ro-bind-try", path, path]
    if resources.network == "bridge":
        args += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    return args


def usr_path(path: str) -> str:
    """A path with /bin, /lib and so on written as what they point to."""
    first, _, rest = path.lstrip("/").partition("/")
    if first in SYSTEM_NAMES and Path("/", first).is_symlink():
        return f"{os.path.realpath(f'/{first}')}/{rest}".rstrip("/")
    return path


def image_has(path: str) -> bool:
    """Whether a sandbox without mounts has something at `path`."""
    path = usr_path(path.rstrip("/")) or "/"
    if path.startswith("/usr/") or path.split("/")[1] in SYSTEM_NAMES:
        return os.path.lexists(path)
    known = {"/", "/usr", "/proc", "/dev", "/dev/shm", "/tmp", "/var/tmp", "/etc/passwd", "/etc/group", "/etc/hosts"}  # noqa: S108
    return path in known or path in EMPTY_DIRECTORIES or path in HOST_ETC or path == "/etc/nsswitch.conf"


def check_program(spec: ContainerSpec) -> None:
    """See that the program exists before anything is started.

    What only the kernel can tell (a script whose interpreter is missing, a foreign executable) shows at the end.

    Raises:
        CommandNotFoundError: it does not exist in the sandbox, or is not executable.
    """
    program = spec.argv[0]
    if "/" in program:
        places = [os.path.normpath(Path(spec.workdir or "/", program))]
    else:
        directories = spec.env.get("PATH", DEFAULT_PATH).split(":")
        places = [os.path.normpath(Path(spec.workdir or "/", d, program)) for d in directories]
    reason = "does not exist"
    for place in places:
        local = _local(place, spec.mounts)
        if local is None:
            continue
        # A link inside a mount may mean a path inside the sandbox: only the sandbox can tell.
        if local.is_symlink() and str(local) != place:
            return
        if not local.is_file():
            continue
        if os.access(local, os.X_OK):
            return
        reason = f"is not executable ({place})"
    raise CommandNotFoundError(
        f"{program!r} {reason} in the sandbox, which shows this machine's /usr"
        f" (looked for {', '.join(places)}); install it on the node, give it as an input, or run on Docker"
    )


def _local(place: str, mounts: Sequence[Mount]) -> Path | None:
    """Where a path inside lies on the host; None if only the private root could hold it."""
    for mount in sorted(mounts, key=lambda m: -len(m.internal)):
        if place == mount.internal:
            return mount.local
        if place.startswith(mount.internal + "/"):
            return mount.local / place.removeprefix(mount.internal + "/")
    inside_usr = usr_path(place).startswith("/usr/") or place.split("/")[1] in SYSTEM_NAMES
    return Path(place) if inside_usr else None
