"""The shipped templates on every runtime: the same documents, the same results, the same milestones."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.runtime import RUNTIMES, ContainerSpec, Mount, Runtime
from infra.template_catalog import load_catalog
from schemas.legacy import parse_task
from schemas.paths import Internal
from tests.conformance.runtime_kit import finish, usable_runtime

CATALOG = load_catalog()
DATA = Path(__file__).parents[2] / "examples" / "data"
REPORT = {"source": "sisyphus:reports/annual-report.txt"}


@pytest.fixture(params=sorted(RUNTIMES))
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runtime]:
    """Every runtime of the registry."""
    async with usable_runtime(request.param, tmp_path) as opened:
        yield opened


@dataclass
class Result:
    """What a template left behind."""

    code: int
    printed: str
    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


async def run_template(runtime: Runtime, root: Path, name: str, /, **values: object) -> Result:
    """Run the commands of a template one after the other, as an attempt does, until one fails."""
    task = parse_task(CATALOG.get(name).render(values, "task-1"))
    out, work = root / "out", root / "work"
    for writable in (out, work):
        writable.mkdir()
    mounts = [Mount(DATA / x.remote.key, x.internal.bare, read_only=True) for x in task.inputs]
    mounts += [Mount(out, "/out", read_only=False)]
    mounts += [Mount(work, volume.bare, read_only=False) for volume in task.volumes]
    assert all(isinstance(x.internal, Internal) and x.internal.parent == "/out" for x in task.outputs)
    printed = ""
    for command in task.commands:
        spec = ContainerSpec(task.image, command.command, mounts=mounts, resources=task.resources)
        done = await finish(await runtime.start(spec))
        printed += done.out.decode()
        if not done.status.is_success:
            return Result(done.status.code, printed + done.err.decode(), out)
    assert {x.internal.bare for x in task.outputs if isinstance(x.internal, Internal)} <= {
        f"/out/{path.name}" for path in out.iterdir()
    }
    return Result(0, printed, out)


ONE_LINE = [
    ("count-words", REPORT, "count.txt", "358\n"),
    ("checksum", REPORT, "start.txt", None),
    ("find-phrase", {**REPORT, "phrase": "growing season"}, "count.txt", "3 lines\n"),
    ("find-phrase", {**REPORT, "phrase": "-v'\"$(id); {{source}}"}, "count.txt", "no lines\n"),
    ("find-phrase", {**REPORT, "phrase": "growingseason"}, "count.txt", "3 lines\n"),
    # As it may be misheard.
    ("find-phrase", {**REPORT, "phrase": "Growing sees on"}, "count.txt", "no lines, but 3 with growing season\n"),
    ("summarize-table", {"table": "sisyphus:sales/january-sales.csv"}, "size.txt", "66 rows in 6 columns\n"),
    ("compress", REPORT, "size.txt", None),
    ("compress-folder", {"folder": "sisyphus:reports/"}, "size.txt", "3 files\n"),
    (
        "compare",
        {"first": "sisyphus:sales/january-sales.csv", "second": "sisyphus:sales/february-sales.csv"},
        "verdict.txt",
        "different: 66 lines only in the first, 49 only in the second\n",
    ),
    ("top-words", {**REPORT, "count": 3}, "first.txt", "the, 39 times\n"),
    ("slow-audit", {"source": "sisyphus:reports/quarterly-report.txt", "pause": 0}, "verdict.txt", "7 findings\n"),
    ("report-pipeline", REPORT, "summary.txt", "358 words, most often the\n"),
]


@pytest.mark.parametrize(
    ("name", "values", "file", "line"), ONE_LINE, ids=[f"{c[0]}{n}" for n, c in enumerate(ONE_LINE)]
)
async def test_template_gives_its_one_line_and_milestones(
    runtime: Runtime, tmp_path: Path, name: str, values: dict[str, object], file: str, line: str | None
) -> None:
    """Every template succeeds, reports progress, and leaves the line that is spoken, alike on every runtime."""
    result = await run_template(runtime, tmp_path, name, **values)
    assert result.code == 0, result.printed
    assert "::progress value=" in result.printed
    assert result.text(file).count("\n") == 1
    assert line is None or result.text(file) == line


def test_every_shipped_template_is_run_here() -> None:
    """A new template cannot be forgotten."""
    assert {case[0] for case in ONE_LINE} == set(CATALOG.templates)


async def test_table_summary_counts_quotes_and_empty_cells(runtime: Runtime, tmp_path: Path) -> None:
    """A comma in quotes parts no columns; empty cells are counted; only all-number columns have a mean."""
    result = await run_template(runtime, tmp_path, "summarize-table", table="sisyphus:sales/january-sales.csv")
    rows = {row.split(",")[0].strip('"'): row.split(",")[1:] for row in result.text("columns.csv").splitlines()}
    assert rows["product"] == ["66", "0", "", "", ""]
    assert rows["paid"][:2] == ["58", "8"]
    assert float(rows["bottles"][2]) <= float(rows["bottles"][4]) <= float(rows["bottles"][3])


async def test_compressed_results_hold_what_went_in(runtime: Runtime, tmp_path: Path) -> None:
    """The compressed copy and the archive unpack to the originals."""
    (tmp_path / "one").mkdir()
    (tmp_path / "all").mkdir()
    one = await run_template(runtime, tmp_path / "one", "compress", **REPORT)
    original = (DATA / "reports" / "annual-report.txt").read_bytes()
    assert gzip.decompress((one.folder / "compressed.gz").read_bytes()) == original
    whole = await run_template(runtime, tmp_path / "all", "compress-folder", folder="sisyphus:reports/")
    with tarfile.open(fileobj=io.BytesIO((whole.folder / "archive.tar.gz").read_bytes())) as archive:
        member = archive.extractfile("./annual-report.txt")
        assert member is not None
        assert member.read() == original


async def test_identical_files_are_called_identical(runtime: Runtime, tmp_path: Path) -> None:
    """Two objects with the same content differ in no line."""
    copy = DATA / "reports" / "annual-report.txt"
    script = CATALOG.get("compare").render({"first": "b:a", "second": "b:b"}, "t")["commands"][0]["command"]
    mounts = [Mount(copy, "/in/first", read_only=True), Mount(copy, "/in/second", read_only=True)]
    (tmp_path / "out").mkdir()
    mounts.append(Mount(tmp_path / "out", "/out", read_only=False))
    done = await finish(await runtime.start(ContainerSpec("alpine:3", script, mounts=mounts)))
    assert done.status.is_success, done.err
    assert (tmp_path / "out" / "verdict.txt").read_text() == "identical\n"
    assert (tmp_path / "out" / "differences.txt").read_text() == ""
