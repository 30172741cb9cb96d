"""The watchdog of one node: a process of its own that fences the node when its leases can no longer be trusted.

It reads one byte per confirmed renewal from stdin. When none came for `fence` seconds (the node is stopped, starved
or cut off from the database) or the pipe closed without a goodbye (the node is dead), it freezes the node, runs
`worker.fence`, which removes the node's containers, and kills the node. In that order: where the node is the first
process of a container, its end is the end of the watchdog too. Standard library only, run by path with ``-I -S``: it
must stay small and start even when the node's own packages are what is broken.

    watchdog.py <node pid> <fence seconds> <command of the fence...>
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

BEAT, GOODBYE = b"b", b"g"
#: Seconds that the removal of the containers may take before the node is killed all the same.
FENCE_S = 60.0


def main(argv: list[str]) -> None:
    """Watch until the goodbye, or fence."""
    node_pid, fence_s, command = int(argv[0]), float(argv[1]), argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = time.monotonic() + fence_s
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([0], [], [], left)
        if not ready:
            continue
        data = os.read(0, 4096)
        if GOODBYE in data:
            return
        if not data:
            break
        deadline = time.monotonic() + fence_s
    signal_node(node_pid, signal.SIGSTOP)
    try:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, stdin=subprocess.DEVNULL, timeout=FENCE_S, check=False)
    finally:
        signal_node(node_pid, signal.SIGKILL)


def signal_node(node_pid: int, number: int) -> None:
    """Signal the node if it lives: once it is dead it is no longer our parent, and its number may be another's."""
    if os.getppid() == node_pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node_pid, number)


if __name__ == "__main__":
    main(sys.argv[1:])
