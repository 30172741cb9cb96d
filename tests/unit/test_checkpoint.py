"""Archives of checkpoints: everything comes back as it was, and nothing is ever written outside the tree."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from worker.checkpoint import CorruptCheckpointError, _pack, _unpack


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    """Files, modes, links that lead out, hard links, empty directories and odd names survive."""
    tree, archive = tmp_path / "tree", tmp_path / "c.tar"
    (tree / "out" / "empty").mkdir(parents=True)
    (tree / "out" / "odd \n name ü").write_bytes(b"\x00\xff")
    (tree / "out" / "run.sh").write_text("true")
    (tree / "out" / "run.sh").chmod(0o755)
    os.link(tree / "out" / "run.sh", tree / "out" / "same.sh")
    (tree / "out" / "away").symlink_to("/etc")
    _pack(tree, archive)
    (tree / "out" / "newer").write_text("written after the checkpoint")
    _unpack(archive, tree)
    found = {str(p.relative_to(tree / "out")) for p in (tree / "out").rglob("*")}
    assert found == {"empty", "odd \n name ü", "run.sh", "same.sh", "away"}
    assert (tree / "out" / "odd \n name ü").read_bytes() == b"\x00\xff"
    assert (tree / "out" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (tree / "out" / "same.sh").samefile(tree / "out" / "run.sh")
    assert (tree / "out" / "away").readlink() == Path("/etc")


@pytest.mark.parametrize("members", [["/abs"], ["../up"], ["a/../../up"], ["link->..", "link/up"], ["hard=>../up"]])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, members: list[str]) -> None:
    """A tampered archive ends in an error, with nothing written beside the tree."""
    tree, archive = tmp_path / "sub" / "tree", tmp_path / "c.tar"
    tree.mkdir(parents=True)
    with tarfile.open(archive, "w") as tar:
        for text in members:
            name, _, target = text.replace("=>", "->").partition("->")
            info = tarfile.TarInfo(name)
            info.linkname = target
            info.type = tarfile.LNKTYPE if "=>" in text else tarfile.SYMTYPE if target else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO())
    with pytest.raises(CorruptCheckpointError):
        _unpack(archive, tree)
    assert [p.name for p in tmp_path.iterdir() if p.name != "c.tar"] == ["sub"]
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["tree"]
