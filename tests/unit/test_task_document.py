"""Task documents: what is accepted in which forms, and what is rejected with which words."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.failure import DocumentError
from schemas.legacy import LEGACY_RESOURCES, MAX_DOCUMENT_BYTES, parse_json, parse_task
from schemas.paths import Capture
from schemas.todo import plan_items

MINIMAL = {"image": "alpine:3", "commands": [{"command": ["true"]}]}


def doc(**changes):
    return {**MINIMAL, **changes}


def problems(document):
    with pytest.raises(DocumentError) as caught:
        parse_json(document) if isinstance(document, bytes) else parse_task(document)
    return caught.value.problems


def one_command(**changes):
    return doc(commands=[{"command": ["cat"], **changes}])


BAD = [
    (b"", "json", ""),
    (b"{", "json", ""),
    (b"nonsense", "json", ""),
    (b'{"image": NaN}', "json", ""),
    (b"[" * 100_000, "json", ""),
    (b'{"image": "a", "name": "\\ud800"}', "unicode", ""),
    (b"x" * (MAX_DOCUMENT_BYTES + 1), "too_large", ""),
    (b"[]", "type", ""),
    (b"null", "type", ""),
    (b'"text"', "type", ""),
    ({}, "missing", "image"),
    ({"image": "a"}, "missing", "commands"),
    ({"commands": [{"command": ["x"]}]}, "missing", "image"),
    (doc(image=""), "string_too_short", "image"),
    (doc(image="-rm"), "string_pattern_mismatch", "image"),
    (doc(image="a b"), "string_pattern_mismatch", "image"),
    (doc(image=5), "string_type", "image"),
    (doc(commands=[]), "too_short", "commands"),
    (doc(commands=[{"command": []}]), "too_short", "commands[0].command"),
    (doc(commands=[{"command": "ls -l"}]), "tuple_type", "commands[0].command"),
    (doc(commands=[{"command": ["a", 5]}]), "string_type", "commands[0].command[1]"),
    (doc(commands=[{"command": ["a\0b"]}]), "nul", "commands[0].command[0]"),
    (doc(commands=[{"command": ["a"], "shell": True}]), "extra_forbidden", "commands[0].shell"),
    (doc(commands=[{"command": ["x"]}] * 65), "too_long", "commands"),
    (doc(command=["x"]), "command_twice", "command"),
    ({"image": "a", "command": "ls"}, "tuple_type", "commands[0].command"),
    (doc(inputs=5), "type", "inputs"),
    (doc(inputs=["a"]), "pair", "inputs[0]"),
    (doc(inputs=[["a:b"]]), "pair", "inputs[0]"),
    (doc(inputs={"nocolon": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"": "/in"}), "path_empty", "inputs[0].remote"),
    (doc(inputs={":key": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"b:": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"b:/abs": "/in"}), "remote_key", "inputs[0].remote"),
    (doc(inputs={"b:a//b": "/in"}), "remote_key", "inputs[0].remote"),
    (doc(inputs={"b:../x": "/in"}), "path_traversal", "inputs[0].remote"),
    (doc(inputs={"b:x/../y": "/in"}), "path_traversal", "inputs[0].remote"),
    (doc(inputs={"b:a\0b": "/in"}), "path_control_character", "inputs[0].remote"),
    (doc(inputs={"b:" + "k" * 1100: "/in"}), "path_too_long", "inputs[0].remote"),
    (doc(inputs={"b!d:k": "/in"}), "remote_bucket", "inputs[0].remote"),
    (doc(inputs={"ftp://h/x": "/in"}), "remote_scheme", "inputs[0].remote"),
    (doc(inputs={"file://rel": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"file:///a/../etc": "/in"}), "path_traversal", "inputs[0].remote"),
    (doc(inputs={"https://u:p@h/x": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"https://:p@h/x": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"https://h:x/": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"https://[::1/x": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"https:///x": "/in"}), "remote_form", "inputs[0].remote"),
    (doc(inputs={"https://h/x": "/in/"}), "input_directory", "inputs[0].internal"),
    (doc(inputs={"b:k": "relative"}), "internal_relative", "inputs[0].internal"),
    (doc(inputs={"b:k": "/a/../b"}), "path_traversal", "inputs[0].internal"),
    (doc(inputs={"b:k": "/"}), "internal_root", "inputs[0].internal"),
    (doc(inputs={"b:k": "/proc/self"}), "internal_reserved", "inputs[0].internal"),
    (doc(inputs={"b:k": "/a//b"}), "internal_form", "inputs[0].internal"),
    (doc(inputs={"b:k": 7}), "path_type", "inputs[0].internal"),
    (doc(inputs={"b:k": "/in", "b:l": "/in"}), "input_collision", "inputs[1].internal"),
    (doc(inputs={"b:k/": "/in/", "b:l": "/in/x"}), "input_nested", "inputs[1].internal"),
    (doc(inputs={"b:k/": "/in/"}, outputs={"b:r": "/in/x"}), "output_under_input", "outputs[0].internal"),
    (doc(outputs=[["b:r", "/a"], ["b:r", "/b"]]), "output_collision", "outputs[1].remote"),
    (doc(outputs={"b:r": "/a", "b:q": "/a"}), "output_collision", "outputs[1].internal"),
    (doc(outputs={"https://h/x": "/a"}), "output_scheme", "outputs[0].remote"),
    (doc(outputs={"b:.sisyphus/x": "/a"}), "output_reserved", "outputs[0].remote"),
    (doc(outputs={"b:.sisyphus": "/a"}), "output_reserved", "outputs[0].remote"),
    (doc(outputs={"b:dir/": ">"}), "output_capture", "outputs[0].remote"),
    (doc(volumes=["/v"], outputs={"b:r": "/v"}), "output_collision", "volumes[0]"),
    (one_command(stdout="/nowhere/x"), "stream_unmapped", "commands[0].stdout"),
    (one_command(stdin="/nowhere/x"), "stream_unmapped", "commands[0].stdin"),
    ({**one_command(stdout="/out/"), "outputs": {"b:o/": "/out/"}}, "stream_directory", "commands[0].stdout"),
    (doc(timeout=0), "greater_than", "timeout_s"),
    (doc(timeout_s="soon"), "float_parsing", "timeout_s"),
    (doc(timeout_s=1e9), "less_than_equal", "timeout_s"),
    (doc(priority=10), "less_than_equal", "priority"),
    (doc(max_attempts=0), "greater_than_equal", "max_attempts"),
    (doc(id="../x"), "value_error", "id"),
    (doc(id="a" * 200), "value_error", "id"),
    (doc(env={"a b": "x"}), "string_pattern_mismatch", "env.a b.[key]"),
    (doc(env={"A": "x\0"}), "nul", "env.A"),
    (doc(resources={"cpus": 0}), "greater_than", "resources.cpus"),
    (doc(resources={"network": "host"}), "string_pattern_mismatch", "resources.network"),
    (doc(resources={"gpus": 1}), "extra_forbidden", "resources.gpus"),
    (doc(tags={"k": 5}), "string_type", "tags.k"),
    (doc(name="n" * 300), "string_too_long", "name"),
    (doc(queue=""), "string_pattern_mismatch", "queue"),
    (doc(queue="a b"), "string_pattern_mismatch", "queue"),
    (doc(queue=["gpu"]), "string_type", "queue"),
]


@pytest.mark.parametrize(("document", "code", "field"), BAD)
def test_rejection_names_code_field_and_rule(document, code, field):
    """Every rejected document says which field broke which rule, in one sentence each."""
    found = problems(document)
    assert (code, field) in {(p.code, p.field) for p in found}
    assert all(p.message and "\n" not in p.message for p in found)


def test_one_mistake_is_one_problem():
    """A command given as a string is said once, in words for people, and not also as a list that is too short."""
    (problem,) = problems(doc(commands=[{"command": "echo hi"}]))
    assert problem.message == 'commands[0].command must be a list, as in ["wc", "-w", "/in/text"] (got \'echo hi\')'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=12), x, max_size=4),
    max_leaves=12,
)
FIELDS = ["id", "name", "image", "command", "commands", "inputs", "outputs", "timeout", "env", "tags", "volumes",
          "resources", "secrets", "priority", "queue", "stdout", "checkpoint", "retry_exit_codes"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6))
def test_fuzzed_documents_are_read_or_rejected(changes):
    """Whatever JSON comes in, it is a task or a list of problems; nothing else is ever raised."""
    try:
        task = parse_task({**MINIMAL, **changes})
    except DocumentError as error:
        assert error.problems
        assert all(p.code and p.message for p in error.problems)
    else:
        assert parse_json(task.model_dump_json()) == task


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_fuzzed_bytes_are_rejected(body):
    """Bytes that are no document are rejected with a reason."""
    try:
        parse_json(body)
    except DocumentError as error:
        assert error.problems[0].code


def test_original_forms():
    """The original's documents are accepted: command on top, pairs, captures, null timeout, missing ids, extra keys."""
    task = parse_task(
        {
            "image": "gcr.io/x/wcm-code:latest",
            "command": ["md5sum", "/run/colon:name"],
            "inputs": [["sisyphus:data/a:b/c", "/run/colon:name"]],
            "outputs": [["sisyphus:data/sum", ">"], ["sisyphus:data/log", ">>"], ["sisyphus:data/all", "/run/out/"]],
            "timeout": None,
            "rank": 7,
        }
    )
    assert task.name == "no-name"
    assert task.workflow == "no-workflow"
    assert task.timeout_s == 3600
    assert task.resources == LEGACY_RESOURCES
    assert task.inputs[0].remote.bucket == "sisyphus"
    assert task.inputs[0].remote.key == "data/a:b/c"
    assert [x.internal for x in task.outputs[:2]] == [Capture.STREAM, Capture.LOG]
    assert task.outputs[2].is_directory
    assert (task.model_extra or {})["rank"] == 7
    assert task.queue is None


@pytest.mark.parametrize(
    "url",
    [
        "https://h",
        "https://h/",
        "http://h:81/a/b.txt?x=1/2#part",
        "https://h?x=1/2",
        "https://h/dir/",
        "https://[::1]:81/x",
    ],
)
def test_an_http_input_is_one_file_whatever_its_url(url):
    """A path that ends in a slash is no directory, and a query is a part of the URL."""
    (item,) = parse_task(doc(inputs={url: "/in/x"})).inputs
    assert not item.is_directory
    assert str(item.remote) == {"https://h": "https://h/", "https://h?x=1/2": "https://h/?x=1/2"}.get(url, url)
    assert type(item.remote).parse(str(item.remote)) == item.remote


@pytest.mark.parametrize("spelling", [">", "STDOUT"])
def test_capture_spellings(spelling):
    """Both spellings of the merged stream are one thing."""
    task = parse_task(doc(outputs={"b:k": spelling}))
    assert task.outputs[0].internal is Capture.STREAM


def test_original_streams_of_the_readme():
    """Top-level stdout, stderr and stdin belong to the one command."""
    task = parse_task(
        {
            "image": "a",
            "command": ["cat"],
            "stdin": "/in/x",
            "stdout": "/out/y",
            "inputs": {"b:x": "/in/x"},
            "outputs": {"b:y": "/out/y"},
        }
    )
    assert str(task.commands[0].stdin) == "/in/x"
    assert str(task.commands[0].stdout) == "/out/y"


def test_wire_form_round_trip():
    """What goes out comes back equal, maps stay maps, and twice-used remotes become pairs."""
    task = parse_task(doc(inputs=[["b:k", "/a"], ["b:k", "/b"]], outputs={"b:r": "/o/r"}, extra={"deep": [1]}))
    wire = json.loads(task.model_dump_json())
    assert wire["inputs"] == [["b:k", "/a"], ["b:k", "/b"]]
    assert wire["outputs"] == {"b:r": "/o/r"}
    assert parse_task(wire) == task


def test_todo_list_of_a_task():
    """Each stage-in, each command and each stage-out is an item, in the order of execution."""
    task = parse_task(doc(inputs={"b:k": "/a"}, outputs={"b:r": "/o/r"}))
    assert [x.key for x in plan_items(task)] == ["stage_in:0", "command:0", "stage_out:0"]
