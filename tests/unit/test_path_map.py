"""Where the files of an attempt lie."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schemas.legacy import parse_task
from schemas.paths import Internal
from worker import path_map

ROOT = Path("/work/t/1")


def planned(in_image=(), **document):
    task = parse_task({"image": "alpine", "command": ["true"], **document})
    return path_map.plan(task, ROOT, in_image)


def shown(paths):
    return {(str(m.local.relative_to(ROOT)), m.internal, m.read_only) for m in paths.mounts}


def test_input_keeps_bucket_and_key():
    """The bucket is part of the local path, so two buckets with one key never collide."""
    paths = planned(inputs={"a:k/x.txt": "/in/a", "b:k/x.txt": "/in/b"})
    assert shown(paths) == {("in/0/a/k/x.txt", "/in/a", True), ("in/1/b/k/x.txt", "/in/b", True)}


def test_file_output_is_written_through_its_directory():
    """A program may rename and create exclusively beside its output."""
    paths = planned(outputs={"b:r": "/out/deep/count.txt"})
    assert shown(paths) == {("rw/0", "/out/deep", False)}
    assert paths.outputs[0].local == ROOT / "rw/0/count.txt"
    assert not paths.outputs[0].alone


def test_file_output_in_an_image_directory_is_mounted_alone():
    """Mounting a directory over one of the image would hide what the image has there."""
    paths = planned(["/etc"], outputs={"b:r": "/etc/motd", "b:q": "/top"})
    assert shown(paths) == {("rw/file0/motd", "/etc/motd", False), ("rw/file1/top", "/top", False)}
    assert all(x.alone for x in paths.outputs)


def test_nested_outputs_share_the_outer_mount():
    """An output inside another output's directory is a part of it, not a mount of its own."""
    paths = planned(outputs={"b:all/": "/out/", "b:one": "/out/sub/one.txt", "b:sub/": "/out/sub/"})
    assert shown(paths) == {("rw/0", "/out", False)}
    assert paths.outputs[1].local == ROOT / "rw/0/sub/one.txt"


def test_input_inside_an_output_directory_is_mounted_on_top():
    """Mounts come outermost first, so that the input is visible inside the writable directory."""
    paths = planned(inputs={"b:k": "/data/in.txt"}, outputs={"b:r": "/data/out.txt"})
    assert [m.internal for m in paths.mounts] == ["/data", "/data/in.txt"]
    assert paths.local(Internal.parse("/data/in.txt")).name == "k"
    assert paths.local(Internal.parse("/data/out.txt")) == ROOT / "rw/0/out.txt"


def test_captures_are_no_mounts():
    """`>` and `>>` are files of the node, not of the container."""
    paths = planned(outputs={"b:r": ">", "b:l": ">>"})
    assert not paths.mounts
    assert [x.local.name for x in paths.outputs] == ["capture", "capture.log"]


def test_component_too_long_for_a_file_system():
    """A key that no file system can hold is kept under a short name."""
    paths = planned(inputs={"b:" + "x" * 300: "/in/x"})
    assert paths.inputs[0].local == ROOT / "in/0/data"


segment = st.text("abc.-_ é", min_size=1, max_size=6).filter(lambda s: s.strip(".") and s == s.strip())
internal = st.lists(segment, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(internal, max_size=6, unique=True), st.lists(internal, max_size=4, unique=True))
def test_everything_stays_below_the_root(outputs, volumes):
    """Whatever the document says, every local path lies inside the attempt's root and no two mounts coincide."""
    try:
        task = parse_task(
            {
                "image": "a",
                "commands": [{"command": ["x"]}],
                "outputs": {f"b:{n}": p for n, p in enumerate(outputs)},
                "volumes": volumes,
            }
        )
    except ValueError:
        return
    paths = path_map.plan(task, ROOT, [])
    locals_ = [m.local for m in paths.mounts] + [x.local for x in paths.outputs]
    assert all(p.is_relative_to(ROOT / "rw") and ".." not in p.parts for p in locals_)
    assert len({m.internal for m in paths.mounts}) == len(paths.mounts)
    for placed in paths.outputs:
        assert isinstance(placed.output.internal, Internal)
        assert paths.local(placed.output.internal) == placed.local


def test_no_remote_leads_out_of_the_inputs_own_directory():
    """An address on the web may hold any path; the local file stays below the attempt's root."""
    task = parse_task({"image": "i", "command": ["x"], "inputs": {"https://host/../../../../etc/x": "/in/x"}})
    (placed,) = path_map.plan(task, Path("/root/t/1"), []).inputs
    assert ".." not in placed.local.parts
