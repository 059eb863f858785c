"""Run the examples: each reproduces results of the course and says which numbers it found.

python -m examples                     list them
python -m examples NAME [...]          run some: a table, and a figure in runs/
python -m examples --check [--quick]   run all, a line per claim; exit status 1 if one fails
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path

import examples
from examples.claims import Claim, Report


def names() -> list[str]:
    """Every module here that reports."""
    return sorted(m.name for m in pkgutil.iter_modules(examples.__path__) if m.name not in ("__main__", "claims"))


def load(name: str):
    return importlib.import_module(f"examples.{name}")


def check(name: str, quick: bool) -> tuple[Report, float]:
    """The report of one example; one that raises has failed."""
    start = time.perf_counter()
    try:
        report = load(name).report(quick)
    except Exception as error:
        report = Report([Claim("-", f"{name} raised {type(error).__name__}: {error}", False, True, True)])
    return report, time.perf_counter() - start


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="*", help="which to run")
    parser.add_argument("--check", action="store_true", help="run all (or the named ones) and print a line per claim")
    parser.add_argument("--quick", action="store_true", help="shorter runs, where the claim allows it")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where figures go")
    args = parser.parse_args(argv)
    unknown = [name for name in args.name if name not in names()]
    if unknown:
        parser.error(f"no example {', '.join(unknown)}; choose of {', '.join(names())}")
    if not args.check and not args.name:
        for name in names():
            module = load(name)
            print(f"{name:<20}{module.__doc__.splitlines()[0]}  [{', '.join(module.ROWS)}]")
        return 0
    failed = 0
    start = time.perf_counter()
    for name in args.name or names():
        if not args.check:
            print(f"\n{load(name).__doc__.strip()}\n")
        report, seconds = check(name, args.quick)
        print(f"# {name}, {seconds:.1f} s")
        for claim in report.claims:
            print(claim)
            failed += not claim.ok
        if not args.check and report.figure is not None:
            args.out.mkdir(parents=True, exist_ok=True)
            path = args.out / f"{name}.png"
            report.figure().savefig(path, dpi=120)
            print(f"wrote {path}")
        sys.stdout.flush()
    print(f"# {failed} claims failed, {time.perf_counter() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
