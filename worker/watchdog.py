"""The watchdog of one node: a process of its own that fences the node when its leases can no longer be trusted.

It reads one byte per confirmed renewal from stdin. When none came for `fence` seconds (the node is stopped, starved
or cut off from the database) or the pipe closed without a goodbye (the node is dead), it kills the node and becomes
`worker.fence`, which removes the node's containers. Standard library only, run by path with ``-I -S``: it must stay
small and start even when the node's own packages are what is broken.

    watchdog.py <node pid> <fence seconds> <command of the fence...>
"""

import contextlib
import os
import select
import signal
import sys
import time

BEAT, GOODBYE = b"b", b"g"


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
    with contextlib.suppress(ProcessLookupError):
        os.kill(node_pid, signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606 - the command comes from the node that started this process


if __name__ == "__main__":
    main(sys.argv[1:])
