"""`sisyphus up` and the commands against it: real processes, real sandboxes, one data directory."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import need
from tests.integration.cli_call import CommandLine

ROOT = Path(__file__).parents[2]
START_S = 60


def environment(data):
    """Only the settings of the test, so that a developer's own do not matter."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("SISYPHUS_")}
    return variables | {"SISYPHUS_DATA": str(data), "SISYPHUS_RUNTIME": "bwrap://", "COLUMNS": "120"}


def command(*arguments):
    return [sys.executable, "-m", "infra.cli", *arguments]


def until(condition, what, limit_s=START_S):
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.05)
    return found


@contextmanager
def running(data, *arguments):
    """An embedded system that is up; killed with all its children at the end."""
    log = data / "up.log"
    with log.open("wb") as out:
        start = command("up", "--port", "0", "--no-voice", *arguments)
        process = subprocess.Popen(start, env=environment(data), cwd=ROOT, stdout=out, stderr=out)
    try:
        found = data / "run" / "up.json"
        until(lambda: found.exists() or process.poll() is not None, "start")
        assert process.poll() is None, log.read_text()
        yield process, json.loads(found.read_text())["url"]
    finally:
        family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """One system for the tests that leave it as they found it: a data directory and its URL."""
    data = tmp_path_factory.mktemp("system")
    probe = subprocess.run(
        command("doctor", "--json"), env=environment(data), cwd=ROOT, capture_output=True, check=False
    )
    checks = {check["name"]: check for check in json.loads(probe.stdout)["checks"]}
    need(checks["runtime bwrap"]["health"] == "ok", f"bubblewrap: {checks['runtime bwrap']['detail']}")
    folder = tmp_path_factory.mktemp("examples")
    (folder / "reports").mkdir()
    (folder / "reports" / "annual.txt").write_text("one two three\n")
    with running(data, "--nodes", "1", "--examples", str(folder)) as (_, url):
        yield data, url


@pytest.fixture
def sisyphus(system, monkeypatch, capsysbinary):
    """Runs one command line against the system."""
    run = CommandLine({"SISYPHUS_DATA": str(system[0])}, monkeypatch, capsysbinary)
    return lambda *arguments, stdin=None: run(*arguments, stdin=json.dumps(stdin).encode() if stdin else b"")


def shell(script, **more):
    """A task document that runs a shell script."""
    return {
        "name": "script",
        "image": "alpine:3",
        "commands": [{"title": "work", "command": ["sh", "-ec", script]}],
        **more,
    }


@pytest.mark.parametrize(("script", "code", "state"), [("true", 0, b"complete"), ("exit 7", 1, b"executor_error")])
def test_the_exit_code_tells_how_the_task_ended(sisyphus, script, code, state):
    """`submit --wait` ends with 0 for complete and 1 when the task's own command failed, and says which."""
    done = sisyphus("submit", "-", "--wait", stdin=shell(script))
    assert done.returncode == code, done.stderr
    assert state in done.stdout


def test_a_missing_input_is_not_the_commands_fault(sisyphus):
    """A task whose input does not exist ends with 3, naming the object."""
    document = shell("true", inputs={"sisyphus:no/such": "/in/x"}, max_attempts=1)
    done = sisyphus("submit", "-", "--wait", stdin=document)
    assert done.returncode == 3
    assert b"sisyphus:no/such" in done.stdout


def test_a_template_runs_to_its_result(sisyphus):
    """Example data is in the store, the template counts it, and the result is on the last line."""
    done = sisyphus("run", "count-words", "source=sisyphus:reports/annual.txt", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["state"] == "complete"
    assert "3" in told["result"]
    assert {item["state"] for item in told["todos"]} == {"completed"}
    assert sisyphus("get", told["outputs"][0]["remote"], "-").stdout.startswith(b"3")


def test_milestones_and_steps_are_lines_where_there_is_no_terminal(sisyphus):
    """Plain lines, in order: the state, each milestone, each completed step."""
    script = "echo '::progress value=50::half way'; echo '::progress value=100::all of it'"
    lines = sisyphus("submit", "-", "--wait", stdin=shell(script)).stdout.decode()
    assert re.search(r"running.*50 % half way.*100 % all of it.*complete", lines, re.DOTALL)
    assert "completed: work" in lines


def test_a_log_can_be_followed_live(sisyphus, system):
    """`logs -f` shows a line while the task still runs, and ends with it."""
    script = "echo first; while [ ! -e /tmp/never ]; do sleep 0.1; done"
    task = json.loads(sisyphus("submit", "-", "--json", stdin=shell(script)).stdout)["id"]
    follow = subprocess.Popen(
        command("logs", task, "-f"),
        env=environment(system[0]),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert follow.stdout is not None
    assert follow.stdout.readline() == b"first\n"
    assert json.loads(sisyphus("status", task, "--json").stdout)["state"] == "running"
    sisyphus("cancel", task)
    follow.communicate(timeout=30)
    assert follow.returncode == 0


def test_a_watcher_may_leave(sisyphus, system):
    """Ctrl-C ends the watching with 130 and says how to go on; the task goes on and ends as if nobody had looked."""
    task = json.loads(sisyphus("submit", "-", "--json", stdin=shell("echo started; sleep 8")).stdout)["id"]
    watch = subprocess.Popen(
        command("watch", task), env=environment(system[0]), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert watch.stdout is not None
    while b"running" not in watch.stdout.readline():
        pass
    watch.send_signal(signal.SIGINT)
    _, said = watch.communicate(timeout=30)
    assert watch.returncode == 130
    assert f"sisyphus watch {task}".encode() in said
    assert b"Traceback" not in said
    assert sisyphus("watch", task).returncode == 0


def test_who_waits_for_json_hears_that_nobody_is_there(tmp_path):
    """A program that waits reads JSON on stdout; on stderr people learn why it waits. Ctrl-C ends it with 130."""
    wait = subprocess.Popen(
        command("submit", "-", "--wait", "--json"),
        env=environment(tmp_path),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert wait.stdin is not None
    assert wait.stderr is not None
    wait.stdin.write(json.dumps(shell("true")).encode())
    wait.stdin.close()
    assert b"no node is running" in wait.stderr.readline()
    wait.send_signal(signal.SIGINT)
    assert wait.wait(timeout=30) == 130
    assert wait.stderr.read() == b""


def test_a_canceled_task_ends_its_watcher_with_four(sisyphus, system):
    """The one who waits learns that somebody else stopped it."""
    wait = subprocess.Popen(
        command("submit", "-", "--wait"),
        env=environment(system[0]),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert wait.stdin is not None
    wait.stdin.write(json.dumps(shell("sleep 60", id="to-cancel")).encode())
    wait.stdin.close()
    until(lambda: b'"running"' in sisyphus("status", "to-cancel", "--json").stdout, "running")
    assert sisyphus("cancel", "to-cancel", "--reason", "not needed").returncode == 0
    assert wait.wait(timeout=30) == 4
    assert b"not needed" in sisyphus("status", "to-cancel").stdout


def test_the_door_serves_the_same_tasks(sisyphus, system):
    """What the command line submitted is found over HTTP, and the door is healthy."""
    task = json.loads(sisyphus("submit", "-", "--wait", "--json", stdin=shell("true")).stdout)["id"]
    with urllib.request.urlopen(f"{system[1]}/v1/tasks/{task}") as answer:
        assert json.load(answer)["state"] == "complete"
    with urllib.request.urlopen(f"{system[1]}/healthz") as answer:
        assert answer.status == 200


def test_a_second_system_is_kept_out(sisyphus, system):
    """One data directory has one system; the message names its process."""
    done = sisyphus("up", "--port", "0")
    pid = json.loads((system[0] / "run" / "up.json").read_text())["pid"]
    assert done.returncode == 2
    assert str(pid).encode() in done.stderr
    taken = subprocess.run(
        command("up", "--port", system[1].rpartition(":")[2], "--data", str(system[0] / "other")),
        env=environment(system[0]),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert taken.returncode == 2
    assert b"cannot listen" in taken.stderr


def children(pid):
    """The children of a system: command -> process."""
    return {child.cmdline()[5]: child for child in psutil.Process(pid).children()}


def test_a_crashed_child_comes_back(tmp_path):
    """A killed door and a killed node are started again, and the door's address never refuses anybody."""
    with running(tmp_path, "--nodes", "1") as (process, url):
        before = children(process.pid)
        for child in before.values():
            child.kill()
        with urllib.request.urlopen(f"{url}/healthz", timeout=START_S) as answer:
            assert answer.status == 200
        after = until(lambda: len(found := children(process.pid)) == 2 and found, "both children again")
        assert {child.pid for child in after.values()}.isdisjoint(child.pid for child in before.values())


def test_the_first_signal_drains_and_the_second_stops(tmp_path):
    """After the first a running task goes on; the second ends the system at once, and the task is queued again."""
    with running(tmp_path, "--nodes", "1") as (process, _):
        subprocess.run(
            command("submit", "-"),
            input=json.dumps(shell("sleep 100", id="long")).encode(),
            env=environment(tmp_path),
            check=True,
        )

        def state():
            told = subprocess.run(command("status", "long", "--json"), env=environment(tmp_path), capture_output=True)
            return json.loads(told.stdout)["state"]

        until(lambda: state() == "running", "running")
        process.send_signal(signal.SIGTERM)
        until(lambda: b'"draining"' in (tmp_path / "up.log").read_bytes(), "the node drains")
        assert state() == "running"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=START_S) == 0
        assert state() == "queued"
        assert not (tmp_path / "run" / "up.json").exists()


def test_children_do_not_outlive_a_killed_system(tmp_path):
    """kill -9 of `sisyphus up` ends its nodes and its door, so that the next start finds the way free."""
    with running(tmp_path, "--nodes", "1") as (process, _):
        family = psutil.Process(process.pid).children()
        assert len(family) == 2
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=START_S)
        assert not alive
    with running(tmp_path, "--nodes", "1"):
        pass


def test_a_node_whose_terminal_was_closed_still_drains(tmp_path):
    """Whoever reads its log may leave, as when a connection breaks: a node works on, and ends when it is asked to."""
    node = subprocess.Popen(command("worker"), env=environment(tmp_path), cwd=ROOT, stderr=subprocess.PIPE)
    assert node.stderr is not None
    try:
        while b"node_ready" not in (line := node.stderr.readline()):
            assert line, "the node ended"
        node.stderr.close()
        done = subprocess.run(
            command("submit", "-", "--wait", "--json"),
            input=json.dumps(shell("true")).encode(),
            env=environment(tmp_path),
            cwd=ROOT,
            capture_output=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        node.terminate()
        assert node.wait(timeout=START_S) == 0
    finally:
        node.kill()
        node.wait()


def test_a_part_that_cannot_start_ends_the_system(tmp_path):
    """Without a runtime `up` ends with 3 and its log holds the reason."""
    variables = environment(tmp_path) | {"SISYPHUS_RUNTIME": "docker://unix:///nowhere.sock"}
    done = subprocess.run(
        command("up", "--port", "0", "--no-voice"),
        env=variables,
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert b"sisyphus doctor" in done.stderr
