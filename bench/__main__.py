"""Ratios of minigrad's time to its peers', measured in one process: ``python -m bench [suite ...] [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
from pathlib import Path

import numpy as np

SUITES = (
    "mlp",
    "ops",
    "transforms",
    "optimizers",
    "second_order",
    "conv",
    "layers",
    "resnet",
    "scaling",
    "memory",
    "imports",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"which to run, of {', '.join(SUITES)} (default: all)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    args = parser.parse_args()
    unknown = [name for name in args.suite if name not in SUITES]
    if unknown:
        parser.error(f"unknown suite {', '.join(unknown)}; choose of {', '.join(SUITES)}")
    print(f"# {platform.processor() or platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"# {'suite':<9}{'measured':<56}{'peer':<14}{'ours':>10}{'theirs':>10}   ratio [quartiles]")
    rows = []
    for name in args.suite or SUITES:
        for row in importlib.import_module(f"bench.{name}").rows():
            print(row, flush=True)
            rows.append(row)
    missed = [row for row in rows if row.bar is not None and row.ratio > row.bar]
    print(f"# {len(rows)} rows, {len(missed)} above their bar")
    if args.json:
        args.json.write_text(json.dumps([row.as_dict() for row in rows], indent=1))


if __name__ == "__main__":
    main()
