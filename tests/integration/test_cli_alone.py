"""Commands without a running system: they queue, look, store and fetch, and say what is missing."""

import json
from pathlib import Path

import pytest

from tests.integration.cli_call import CommandLine

ROOT = Path(__file__).parents[2]
DOCUMENT = {"name": "echo", "image": "alpine:3", "commands": [{"command": ["echo", "hello"]}]}


@pytest.fixture
def sisyphus(tmp_path, monkeypatch, capsysbinary):
    """Runs one command line on a data directory of its own."""
    monkeypatch.chdir(ROOT)
    return CommandLine({"SISYPHUS_DATA": str(tmp_path / "data")}, monkeypatch, capsysbinary)


def submitted(sisyphus, document=DOCUMENT):
    """The id of a task that was just submitted."""
    done = sisyphus("submit", "-", "--json", stdin=json.dumps(document).encode())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["id"]


def test_a_task_is_queued_without_a_system(sisyphus, tmp_path):
    """`submit` stores the task durably and says that no node is there to run it."""
    file = tmp_path / "task.json"
    file.write_text(json.dumps({**DOCUMENT, "id": "first"}))
    done = sisyphus("submit", str(file))
    assert done.returncode == 0
    assert b"first" in done.stdout
    assert b"no node is running" in done.stderr
    assert b"sisyphus up" in done.stderr
    assert json.loads(sisyphus("status", "first", "--json").stdout)["state"] == "queued"
    assert b"known already" in sisyphus("submit", str(file)).stdout


def test_a_task_of_a_class_says_which_node_it_needs(sisyphus):
    """The class comes from the document, or else from the settings; what to start is named."""
    for document, settings in (({**DOCUMENT, "queue": "gpu"}, {}), (DOCUMENT, {"SISYPHUS_QUEUE": "gpu"})):
        done = sisyphus("submit", "-", stdin=json.dumps(document).encode(), **settings)
        assert done.returncode == 0
        task_id = done.stdout.split()[0].decode()
        assert json.loads(sisyphus("status", task_id, "--json").stdout)["queue"] == "gpu"
        assert b"queue gpu" in sisyphus("status", task_id).stdout
    assert b"no node of the class gpu is running" in sisyphus("submit", "-", stdin=stdin_of(queue="gpu")).stderr
    assert b"sisyphus worker --queue gpu" in sisyphus("submit", "-", stdin=stdin_of(queue="gpu")).stderr


def stdin_of(**changes):
    return json.dumps({**DOCUMENT, **changes}).encode()


def test_a_bad_document_lists_every_problem(sisyphus):
    """Exit code 2; each problem with its field and rule for people, and as JSON for programs."""
    bad = json.dumps({"image": "", "commands": [], "priority": 99}).encode()
    shown = sisyphus("submit", "-", stdin=bad)
    assert shown.returncode == 2
    assert all(field in shown.stderr for field in (b"image:", b"commands:", b"priority:"))
    told = sisyphus("submit", "-", "--json", stdin=bad)
    assert told.returncode == 2
    assert {p["field"] for p in json.loads(told.stdout)["problems"]} == {"image", "commands", "priority"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "/nowhere/task.json"], b"cannot be read"),
        (["status", "unknown"], b"there is no task 'unknown'"),
        (["watch", "unknown"], b"there is no task 'unknown'"),
        (["logs", "unknown"], b"there is no task 'unknown'"),
        (["cancel", ""], b"'' is no id of a task"),
        (["run", "unknown"], b"there is no template 'unknown'"),
        (["run", "count-wrds"], b"did you mean count-words?"),
        (["run", "count-words", "source"], b"not of the form key=value"),
        (["run", "count-words"], b"count-words needs source"),
        (["run", "count-words"], b"`sisyphus templates` shows what each template takes"),
        (["get", "nowhere", "x"], b"not a remote path"),
        (["get", "sisyphus:nothing", "x"], b"does not exist"),
        (["get", "sisyphus:nothing/", "x"], b"nothing below"),
        (["get", "sisyphus:nothing", "x"], b"`sisyphus ls` lists what there is"),
        (["put", "/nowhere", "sisyphus:x"], b"does not exist"),
        (["put", "schemas", "sisyphus:x"], b"end the remote in a slash"),
        (["put", "README.md", "sisyphus:.sisyphus/x"], b"belongs to the cluster"),
        (["put", "README.md", "https://example.com/x"], b"for reading only"),
        (["put", "README.md", "file:///tmp/x"], b"SISYPHUS_FILE_ROOTS"),
        (["ls", "nowhere"], b"error: 'nowhere' is not a remote path"),
        (["door", "--doors", ","], b"no door is named"),
        (["status", "--limit", "0"], b"--limit"),
        (["submit"], b"FILE|-"),
        (["up", "--host", "0.0.0.0"], b"SISYPHUS_TOKEN"),
        (["up", "--examples", "/nowhere"], b"no such directory"),
    ],
)
def test_a_mistake_is_one_clear_block(sisyphus, arguments, said):
    """Exit code 2, the sentence on stderr, nothing on stdout, no traceback."""
    done = sisyphus(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", b"standard input cannot be accepted: it is empty"),
        (b"{", b"standard input cannot be accepted: not JSON"),
        (b"[]", b"a JSON object, not a list"),
        (b'{"image": "a", "comands": []}', b"commands is required; is 'comands' meant to be it?"),
    ],
)
def test_a_document_that_is_none_is_explained(sisyphus, tmp_path, text, said):
    """What was read is named, with the rule that it breaks and where to see one that is right."""
    done = sisyphus("submit", "-", stdin=text)
    assert done.returncode == 2
    assert said in done.stderr
    assert b"sisyphus submit --help" in done.stderr
    (tmp_path / "task.json").write_bytes(text)
    assert str(tmp_path / "task.json").encode() in sisyphus("submit", str(tmp_path / "task.json")).stderr


def test_a_key_that_looks_like_another_is_pointed_out(sisyphus):
    """Unknown keys are kept and have no effect; one that is nearly a known key is probably mistyped."""
    document = {**DOCUMENT, "ouputs": {"sisyphus:x": "/out/x"}, "site": "Vienna"}
    done = sisyphus("submit", "-", stdin=json.dumps(document).encode())
    assert done.returncode == 0
    assert b"'ouputs' is not a key" in done.stderr
    assert b"'outputs' is one" in done.stderr
    assert b"site" not in done.stderr


def test_objects_are_reached_while_the_database_is_not(sisyphus):
    """`ls`, `put` and `get` need the object store alone."""
    gone = {"SISYPHUS_DATABASE": "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"}
    assert sisyphus("put", "-", "sisyphus:x", stdin=b"1", **gone).returncode == 0
    assert b"sisyphus:x" in sisyphus("ls", **gone).stdout
    assert sisyphus("get", "sisyphus:x", "-", **gone).stdout == b"1"


def test_only_who_submits_needs_the_broker(sisyphus):
    """Looking at tasks connects to no broker; submitting survives one that is not there, and says what follows."""
    gone = {"SISYPHUS_BROKER": "amqp://127.0.0.1:1/"}
    done = sisyphus("submit", "-", "--json", stdin=json.dumps(DOCUMENT).encode(), **gone)
    assert done.returncode == 0
    assert b"claimed from the store" in done.stderr
    assert b"AMQPConnectionError" not in done.stderr
    task = json.loads(done.stdout)["id"]
    for command in (["status"], ["status", task], ["cancel", task], ["watch", task], ["logs", task]):
        assert b"broker" not in sisyphus(*command, **gone).stderr


def test_a_wrong_setting_is_named(sisyphus):
    """The message holds the variable's name."""
    done = sisyphus("status", SISYPHUS_PORT="99999")
    assert done.returncode == 2
    assert b"SISYPHUS_PORT" in done.stderr


def test_an_unreachable_part_is_a_system_error(sisyphus, tmp_path):
    """A database that cannot be opened ends with 3 and a hint to the doctor."""
    (tmp_path / "data").write_text("a file, not a directory")
    done = sisyphus("status")
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def test_a_queued_task_is_canceled_and_its_watcher_sees_it(sisyphus):
    """`cancel` ends it at once; `watch` shows it and ends with 4, the code for canceled."""
    task = submitted(sisyphus)
    assert sisyphus("cancel", task, "--reason", "wrong input").returncode == 0
    watched = sisyphus("watch", task)
    assert watched.returncode == 4
    assert b"wrong input" in watched.stdout
    events = [json.loads(line) for line in sisyphus("watch", task, "--json").stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["to"] == "canceled"


def test_a_task_that_was_never_seen_can_be_canceled(sisyphus):
    """A cancel that overtakes its task is kept for it, and said so."""
    assert b"if it arrives" in sisyphus("cancel", "early").stdout
    task = submitted(sisyphus, {**DOCUMENT, "id": "early"})
    assert json.loads(sisyphus("status", task, "--json").stdout)["state"] == "canceled"


def test_the_list_of_tasks_is_readable_by_programs(sisyphus):
    """`status --json` is one document with tasks and nodes; --state and --limit narrow it."""
    first, second = submitted(sisyphus), submitted(sisyphus)
    sisyphus("cancel", first)
    whole = json.loads(sisyphus("status", "--json").stdout)
    assert [task["id"] for task in whole["tasks"]] == [second, first]
    assert whole["nodes"] == []
    some = json.loads(sisyphus("status", "--json", "--state", "queued").stdout)
    assert [task["id"] for task in some["tasks"]] == [second]


def test_objects_go_in_and_come_out_unchanged(sisyphus, tmp_path):
    """A file, a directory, standard input and standard output: the bytes are the same, names are kept."""
    content = bytes(range(256)) * 100
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a b.bin").write_bytes(content)
    (folder / "deep" / "ümlaut.txt").write_text("x")
    (folder / "outside").symlink_to("/etc/hostname")
    assert sisyphus("put", f"{folder}/", "sisyphus:in/").returncode == 0
    assert sisyphus("put", str(folder / "a b.bin"), "sisyphus:kept/").returncode == 0
    assert sisyphus("put", "-", "sisyphus:from-stdin", stdin=content).returncode == 0
    listed = [json.loads(line) for line in sisyphus("ls", "--json").stdout.splitlines()]
    names = ["sisyphus:from-stdin", "sisyphus:in/a b.bin", "sisyphus:in/deep/ümlaut.txt", "sisyphus:kept/a b.bin"]
    assert [x["remote"] for x in listed] == names
    assert listed[0]["size_bytes"] == len(content)
    out = tmp_path / "out"
    assert sisyphus("get", "sisyphus:in/", str(out)).returncode == 0
    assert (out / "a b.bin").read_bytes() == content
    assert (out / "deep" / "ümlaut.txt").read_text() == "x"
    assert sisyphus("get", "sisyphus:from-stdin", "-").stdout == content
    assert sisyphus("get", "sisyphus:kept/a b.bin", f"{tmp_path}/").returncode == 0
    assert (tmp_path / "a b.bin").read_bytes() == content


def test_buckets_are_listed(sisyphus):
    """A bucket by its name with a colon, a prefix by its beginning; other buckets are pointed out."""
    sisyphus("put", "-", "other:one", stdin=b"1")
    sisyphus("put", "-", "sisyphus:two", stdin=b"22")
    assert b"other buckets: other:" in sisyphus("ls").stdout
    assert b"other:one" in sisyphus("ls", "other:").stdout
    assert b"in 0 objects" in sisyphus("ls", "other:two").stdout


def test_templates_are_listed_with_what_they_need(sisyphus):
    """For people by name, parameter and example; for programs as JSON."""
    shown = sisyphus("templates", "count-words").stdout
    assert b"source=" in shown
    told = json.loads(sisyphus("templates", "--json").stdout)
    assert "count-words" in [template["name"] for template in told]


def test_the_doctor_tries_every_part(sisyphus):
    """Each part is named with its health; a database that is not there is a problem with a remedy and exit code 3."""
    told = json.loads(sisyphus("doctor", "--json").stdout)
    health = {check["name"]: check["health"] for check in told["checks"]}
    assert {name: health[name] for name in ("python", "data directory", "database", "object store", "templates")} == {
        "python": "ok",
        "data directory": "ok",
        "database": "ok",
        "object store": "ok",
        "templates": "ok",
    }
    ill = sisyphus("doctor", "--json", SISYPHUS_DATABASE="sqlite+aiosqlite:////proc/nowhere/x.db")
    assert ill.returncode == 3
    found = next(check for check in json.loads(ill.stdout)["checks"] if check["name"] == "database")
    assert found["health"] == "problem"
    assert found["remedy"]


def test_every_command_teaches_by_example(sisyphus):
    """Each command of this floor shows at least one command line that can be pasted."""
    for name in ("up", "submit", "run", "status", "watch", "logs", "cancel", "put", "get", "ls", "templates", "doctor"):
        shown = sisyphus(name, "--help")
        assert shown.returncode == 0, shown.stderr
        assert f"  sisyphus {name}".encode() in shown.stdout.partition(b"\nExamples:\n")[2], name
        assert b"--data" in shown.stdout
