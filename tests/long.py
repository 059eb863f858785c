"""Sweeps that take too long for every commit: ``python -m tests.long [name ...]``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WORKERS = "-n auto" if importlib.util.find_spec("xdist") else ""  # pytest-xdist, where it is installed


class Sweep(NamedTuple):
    """A command, which starts with NAME=value settings, goes on with a module and its arguments."""

    proves: str
    command: str


SWEEPS = {
    "ops": Sweep(
        "every operation's values, derivatives and batches agree with their references on 300 drawn inputs",
        f"MINIGRAD_EXAMPLES=300 pytest -q {WORKERS} tests/ops/test_properties.py",
    ),
    "transforms": Sweep(
        "so do the transforms, the engine and the tensor",
        f"MINIGRAD_EXAMPLES=300 pytest -q {WORKERS} tests/transforms/test_autodiff.py tests/core/test_graph.py "
        "tests/test_tensor.py",
    ),
    "mutants": Sweep("the tests notice nine of ten slips in the core", "tests.mutants --count 60"),
}


def parts(command: str) -> tuple[dict[str, str], str, list[str]]:
    """A command's settings, module and arguments."""
    words = command.split()
    settings = dict(word.split("=", 1) for word in words if word.split("=")[0].isupper())
    module, *arguments = words[len(settings) :]
    return settings, module, arguments


def run(command: str) -> int:
    """Run it in the repository's root; return its exit code."""
    settings, module, arguments = parts(command)
    line = [sys.executable, "-m", module, *arguments]
    return subprocess.run(line, cwd=ROOT, env={**os.environ, **settings}, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.long", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"which to run, of {', '.join(SWEEPS)} (default: all)")
    parser.add_argument("--list", action="store_true", help="print what each proves, and run nothing")
    args = parser.parse_args()
    if unknown := [name for name in args.name if name not in SWEEPS]:
        parser.error(f"unknown sweep {', '.join(unknown)}; choose of {', '.join(SWEEPS)}")
    failed = []
    for name in args.name or SWEEPS:
        sweep = SWEEPS[name]
        print(f"# {name}: {sweep.proves}\n#   {sweep.command}", flush=True)
        if not args.list:
            start = time.monotonic()
            failed += [name] if run(sweep.command) else []
            print(
                f"# {name}: {'FAILED' if name in failed else 'passed'} in {time.monotonic() - start:.0f} s", flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
