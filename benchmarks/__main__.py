"""Every benchmark as one JSON document: ``python -m benchmarks [name ...]``. Needs a quiet machine and minutes."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

#: In the order in which they run; each is a module that prints one JSON document.
NAMES = ["commands", "engine", "runtimes", "rest", "staging", "matching", "voice"]


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all, one after the other, and print their figures together."""
    figures: dict[str, object] = {
        "machine": {"cpu": platform.processor() or platform.machine(), "system": platform.platform()}
    }
    for name in names or NAMES:
        if not Path(__file__).with_name(f"{name}.py").exists():
            sys.exit(f"there is no benchmark {name!r}; known are {', '.join(NAMES)}")
        print(f"running {name} …", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True, check=False
        )
        figures[name] = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.returncode}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
