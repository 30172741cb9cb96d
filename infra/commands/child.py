"""A process of the embedded system: a `sisyphus` command that is asked to end when its parent has died.

``python -m infra.commands.child <parent's pid> COMMAND …``; without it, a killed `sisyphus up` would leave its nodes
and its door behind, and the next start would find the port taken.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from infra.cli import run

#: prctl(2): the signal that this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Tie this process to its parent, then run the command."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 0
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
