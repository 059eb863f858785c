"""Copies of the tree, and what pytest says of a mutant in one of them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutations import Mutant

MEMORY = 6 << 30  # bytes of data per process: a mutant that allocates without end should not stop the machine
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "shared")
LONG = 3600  # seconds: a time limit for tests of which it is not known how long they take here, beside other work
UNMUTATED = 1_000_000_000  # a time; mutants follow it


class Verdict(NamedTuple):
    """What became of a mutant: ``killer`` is a test or what else ended it, None where it survived."""

    killer: str | None
    seconds: float
    note: str = ""

    def __str__(self) -> str:
        return f"{f'killed by {self.killer}' if self.killer else 'SURVIVED'} ({self.seconds:.1f} s){self.note}"


class Tree:
    """A copy of the tree at ``root``, with at most one mutant in it at a time."""

    def __init__(self, root: Path, folder: Path, examples: int = 8) -> None:
        self.folder = folder
        shutil.copytree(root, folder, symlinks=True, ignore=LEFT_OUT)
        self.process: subprocess.Popen[str] | None = None
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONHASHSEED": "0",
            "MINIGRAD_EXAMPLES": str(examples),
            "OPENBLAS_NUM_THREADS": "1",
        }

    def check_imports(self, *packages: str) -> None:
        """That Python finds the packages here: an installed minigrad would make every mutant survive."""
        names = ", ".join(packages)
        code = f"import {names}; print(*(m.__file__ for m in ({names},)), sep='\\n')"
        found = self._python("-c", code, limit=120)[1].split()
        if len(found) != len(packages) or not all(Path(path).is_relative_to(self.folder) for path in found):
            raise SystemExit(f"in a copy of the tree, {names} come from elsewhere (are there links?):\n{found}")

    def pytest(self, *arguments: str, limit: float = LONG, whole: bool = False) -> Verdict:
        """Run tests until one fails; what took longer than ``limit`` seconds failed, too.

        Args:
            whole: properties try as many examples as in the suite itself, not the few that most mutants need.
        """
        start = time.monotonic()
        options = ("-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider")
        few = {"MINIGRAD_EXAMPLES": self.environment["MINIGRAD_EXAMPLES"]} if not whole else {}
        environment = {k: v for k, v in self.environment.items() if k != "MINIGRAD_EXAMPLES"} | few
        code, output = self._python("-m", "pytest", *options, *arguments, limit=limit, environment=environment)
        seconds = time.monotonic() - start
        if code in (0, 5):  # passed, or there was no such test
            return Verdict(None, seconds)
        if code is None:
            return Verdict(f"a hang: over {limit:.0f} s", seconds)
        if code < 0:
            return Verdict(f"a crash: {signal.Signals(-code).name}", seconds)
        failed = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", output, re.MULTILINE)
        last = (output.strip().splitlines() or [""])[-1]
        return Verdict(failed[1] if failed else f"pytest's exit with {code}: {last[:80]}", seconds)

    @contextmanager
    def mutated(self, mutant: Mutant, number: int) -> Iterator[None]:
        """The file is changed inside the block. Its time says so, for a .pyc is told stale by time and size alone."""
        path = self.folder / mutant.path
        text = path.read_bytes()
        try:
            path.write_bytes(mutant.applied(text))
            os.utime(path, (UNMUTATED + number, UNMUTATED + number))
            yield
        finally:
            path.write_bytes(text)
            os.utime(path, (UNMUTATED, UNMUTATED))

    def stop(self) -> None:
        """End pytest and the workers that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _python(
        self, *arguments: str, limit: float, environment: dict[str, str] | None = None
    ) -> tuple[int | None, str]:
        """(exit code, output); the code is None where the time was up."""
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environment or self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that one signal reaches all of it
        )
        with suppress(ImportError, AttributeError, OSError):  # Linux only
            import resource

            resource.prlimit(self.process.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        try:
            output = self.process.communicate(timeout=limit)[0]
            return self.process.returncode, output
        except subprocess.TimeoutExpired:
            self.stop()
            return None, self.process.communicate()[0]
        finally:
            self.process = None


def stages(tests: str, by_name: str, name: str, rest: str) -> Iterator[tuple[str, bool]]:
    """(pytest's arguments, whether the unmutated tree is known to pass them), the quickest first."""
    if by_name and name.strip("_").isidentifier():
        yield f"{by_name} -k {name.strip('_')}", True
    yield tests, True
    if rest:  # with all its examples, so those tests again, too
        workers = "-n 2" if importlib.util.find_spec("xdist") else ""
        yield f"{rest} {workers}", False


def judge(
    tree: Tree, mutant: Mutant, number: int, tests: str, by_name: str = "", rest: str = "", limit: float = LONG
) -> Verdict:
    """Try the mutant's tests, then the ``rest``; ``limit`` is for the former."""
    spent = 0.0
    for arguments, passes in stages(tests, by_name, mutant.name, rest):
        with tree.mutated(mutant, number):
            verdict = tree.pytest(*arguments.split(), limit=limit if passes else LONG, whole=not passes)
        spent += verdict.seconds
        if verdict.killer:
            if not passes and "::" in verdict.killer and (clean := tree.pytest(verdict.killer, whole=True)).killer:
                return Verdict(None, spent, f", but {clean.killer} fails without the mutant, too")
            return verdict._replace(seconds=spent)
    return Verdict(None, spent)
