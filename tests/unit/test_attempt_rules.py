"""The pure rules of an attempt: progress lines, retries, failures, logs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import errors
from infra.runtime import Stream
from schemas.event import EventType
from schemas.failure import Cause, Failure
from schemas.legacy import parse_task
from schemas.state import TaskState
from worker import retry
from worker.failures import attempt_error, classify
from worker.log_tail import MAX_LINE_CHARS, LogSpool
from worker.progress import parse_line


@pytest.mark.parametrize(
    ("line", "percent", "message"),
    [
        ("::progress value=50::half way", 50.0, "half way"),
        ("::progress value=12.5,step=2::x", 12.5, "x"),
        ("  ::progress value=250::over", 100.0, "over"),
        ("::progress value=7::", 7.0, ""),
        ("::progress value=50::a::b", 50.0, "a::b"),
        ("::progress value=50::bell\x07", 50.0, "bell"),
    ],
)
def test_progress_line(line, percent, message):
    """A workflow command on stdout becomes a progress event."""
    event = parse_line(line)
    assert event is not None
    assert (event.type, event.data) == (EventType.PROGRESS, {"percent": percent, "message": message})


def test_progress_without_a_value_is_a_notice():
    """What cannot be read as a number is still worth saying."""
    event = parse_line("::progress value=lots::nearly")
    assert event is not None
    assert event.type is EventType.NOTICE


@pytest.mark.parametrize(
    "line", ["", "progress", "::error::x", ":: progress value=5::x", "say ::notice::x", "::notice::"]
)
def test_ordinary_line(line):
    """Only the exact form counts."""
    assert parse_line(line) is None


@given(st.text(max_size=200))
def test_no_line_breaks_the_parser(line):
    """Whatever a command prints, the parser answers."""
    event = parse_line("::progress " + line)
    assert event is None or event.type in {EventType.PROGRESS, EventType.NOTICE}


TASK = parse_task({"image": "a", "command": ["x"], "max_attempts": 3, "retry_exit_codes": [75]})


@pytest.mark.parametrize(
    ("cause", "code", "attempts", "state"),
    [
        (Cause.EXIT, 1, 0, TaskState.EXECUTOR_ERROR),
        (Cause.EXIT, 75, 0, TaskState.RETRY_WAIT),
        (Cause.EXIT, 75, 2, TaskState.EXECUTOR_ERROR),
        (Cause.OUT_OF_MEMORY, 137, 0, TaskState.EXECUTOR_ERROR),
        (Cause.TIMEOUT, None, 0, TaskState.EXECUTOR_ERROR),
        (Cause.OUTPUT_MISSING, None, 0, TaskState.EXECUTOR_ERROR),
        (Cause.INFRASTRUCTURE, None, 0, TaskState.RETRY_WAIT),
        (Cause.INFRASTRUCTURE, None, 2, TaskState.SYSTEM_ERROR),
        (Cause.IMAGE, None, 0, TaskState.SYSTEM_ERROR),
        (Cause.INPUT_MISSING, None, 0, TaskState.SYSTEM_ERROR),
        (Cause.INVALID, None, 0, TaskState.SYSTEM_ERROR),
        (Cause.CANCELED, None, 0, TaskState.CANCELED),
    ],
)
def test_retry_by_cause(cause, code, attempts, state):
    """The cause decides, within the document's attempts."""
    failure = Failure(cause=cause, message="m", exit_code=code)
    assert retry.decide(TASK, failure, attempts, 0.5).state is state


@given(st.integers(0, 40), st.floats(0, 1))
def test_delay_is_full_jitter_within_the_cap(attempts, chance):
    """The delay lies between nothing and the capped exponential."""
    task = TASK.model_copy(update={"max_attempts": 100})
    decision = retry.decide(task, Failure(cause=Cause.INFRASTRUCTURE, message="m"), attempts, chance)
    assert 0 <= decision.delay_s <= min(retry.CAP_S, 2**attempts)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (errors.ObjectMissingError("x"), Cause.INPUT_MISSING),
        (errors.ImageError("x"), Cause.IMAGE),
        (errors.StorageError("x"), Cause.INFRASTRUCTURE),
        (errors.StorageRefusedError("x"), Cause.INVALID),
        (errors.CommandNotFoundError("x"), Cause.EXIT),
        (errors.ContainerError("x"), Cause.INFRASTRUCTURE),
        (OSError("disk"), Cause.INFRASTRUCTURE),
        (ExceptionGroup("g", [errors.ObjectMissingError("x")]), Cause.INPUT_MISSING),
        (attempt_error(Cause.TIMEOUT, "late"), Cause.TIMEOUT),
    ],
)
def test_classify(error, cause):
    """Every exception has a cause, and the item at which it happened is kept."""
    failure = classify(error, "command:1")
    assert (failure.cause, failure.item) == (cause, "command:1")


def spool(tmp_path, limit=1000, secrets=()):
    commands = []
    return LogSpool(tmp_path / "log", limit, commands.append, secrets), commands


def test_the_reason_of_a_failure_is_what_was_complained_of(tmp_path):
    """A complaint may arrive before what was printed earlier, and one of another command is none of this one."""
    log, _ = spool(tmp_path)
    log.begin_command()
    log.feed(Stream.STDERR, b"ls: /nonexistent: No such file\n\n")
    log.feed(Stream.STDOUT, b"hello\n")
    assert log.last_line == "ls: /nonexistent: No such file"
    log.begin_command()
    assert log.last_line == ""
    log.feed(Stream.STDOUT, b"no records\n")
    assert log.last_line == "no records"


def kept(log):
    log.close()
    return log.path.read_text().splitlines()


def test_characters_and_lines_survive_the_edges_of_reads(tmp_path):
    """A character cut between two reads, and a line cut between two reads, come out whole."""
    log, commands = spool(tmp_path)
    for byte in "grüße\r\n::notice::ü\nzweite".encode():
        log.feed(Stream.STDOUT, bytes([byte]))
    log.feed(Stream.STDOUT, b"", final=True)
    assert kept(log) == ["grüße", "::notice::ü", "zweite"]
    assert commands == ["::notice::ü"]


def test_streams_do_not_mix_within_a_line(tmp_path):
    """Half a line of stderr does not land inside a line of stdout."""
    log, _ = spool(tmp_path)
    log.feed(Stream.STDOUT, b"out-")
    log.feed(Stream.STDERR, b"err\n")
    log.feed(Stream.STDOUT, b"put\n")
    assert kept(log) == ["err", "out-put"]


def test_secrets_are_blotted_out(tmp_path):
    """No secret reaches the log, the tail or a progress event."""
    log, commands = spool(tmp_path, secrets=["hunter22"])
    log.feed(Stream.STDOUT, b"::notice::token hun")
    log.feed(Stream.STDOUT, b"ter22\n")
    assert commands == ["::notice::token ***"]
    assert "hunter22" not in log.tail + "".join(kept(log))


def test_spool_is_bounded_and_says_so(tmp_path):
    """What does not fit is counted, not kept, the reader is told, and the tail is the real end."""
    log, _ = spool(tmp_path, limit=100)
    for n in range(100):
        log.feed(Stream.STDOUT, f"line {n}\n".encode())
    text = "\n".join(kept(log))
    assert "log limit reached" in text
    assert len(text) < 200
    assert log.dropped_bytes > 0
    assert log.tail.endswith("line 99")
    assert len(log.tail.splitlines()) == 100


def test_a_line_without_end_is_cut_into_pieces(tmp_path):
    """A command that never prints a newline cannot fill the memory."""
    log, _ = spool(tmp_path, limit=10**6)
    for _ in range(50):
        log.feed(Stream.STDOUT, b"x" * 1000)
    assert [len(x) for x in kept(log)] == [MAX_LINE_CHARS + 616, MAX_LINE_CHARS + 616]
