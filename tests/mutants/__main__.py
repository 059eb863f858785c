"""Make seeded random mutants of the library's core, and see whether the tests notice.

Each is one slip in a temporary copy of the tree. The tests of its area run first (areas.py), then, on what survives,
the rest of the suite. A survivor is a hole in the tests, or means the same as the original: its diff tells.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.areas import AREAS, REST, files_of
from tests.mutants.mutations import Mutant, mutants_of, sample
from tests.mutants.runner import Tree, Verdict, judge

ROOT = Path(__file__).parents[2]
PACKAGES = ("minigrad", "minigrad.models", "minigrad.optim")
Chosen = dict[int, tuple[str, Mutant]]  # number -> area, mutant


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="how many mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: %(default)s)")
    parser.add_argument("--floor", type=float, default=0.9, help="the share to be killed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants at a time (default: %(default)s)")
    parser.add_argument(
        "--examples",
        type=int,
        default=8,
        help="MINIGRAD_EXAMPLES of the mapped tests (default: %(default)s); the rest of the suite has its own number",
    )
    parser.add_argument("--only", metavar="PATH", help="mutate this file only, or the files in this folder")
    parser.add_argument("--list", metavar="K", type=int, nargs="+", help="run only the mutants of these numbers")
    parser.add_argument("--mapped", action="store_true", help="run the tests of a mutant's area, and not the rest")
    parser.add_argument("--show", action="store_true", help="print the mutants, and run nothing")
    return parser.parse_args()


def choose(args: argparse.Namespace, texts: dict[str, bytes]) -> Chosen:
    """The numbered mutants that were asked for; ``texts`` is filled with the files that they are in."""
    candidates = {}
    for name, area in AREAS.items():
        files = [path for path in files_of(area, ROOT) if not args.only or Path(path).is_relative_to(args.only)]
        texts.update({path: (ROOT / path).read_bytes() for path in files})
        candidates[name] = [mutant for path in files for mutant in mutants_of(path, texts[path])]
        if not candidates[name] and not args.only:
            raise SystemExit(f"nothing to mutate in {area.files}: does areas.py know where the files are?")
    print("# candidates:", ", ".join(f"{area} {len(found)}" for area, found in candidates.items()), flush=True)
    count = max([args.count, *(args.list or ())])
    numbered = dict(enumerate(sample(candidates, texts, args.seed, count), 1))
    return {k: numbered[k] for k in args.list if k in numbered} if args.list else numbered


def clean(trees: SimpleQueue[Tree], areas: list[str]) -> dict[str, float]:
    """How long each area's tests take without a mutant; stops where they fail, for then they would kill everything."""

    def measure(area: str) -> Verdict:
        tree = trees.get()
        verdict = tree.pytest(*AREAS[area].tests.split())
        trees.put(tree)
        return verdict

    with ThreadPoolExecutor(trees.qsize()) as pool:
        verdicts = dict(zip(areas, pool.map(measure, areas), strict=True))
    for area, verdict in verdicts.items():
        if verdict.killer:
            raise SystemExit(f"the tests of {area} fail without a mutant: {verdict.killer}")
    return {area: verdict.seconds for area, verdict in verdicts.items()}


def run(chosen: Chosen, args: argparse.Namespace) -> dict[int, Verdict]:
    """A verdict for each mutant, printed as it is reached."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(args.jobs) as pool:
        copies = [Tree(ROOT, Path(folder, str(i)), args.examples) for i in range(args.jobs)]
        trees: SimpleQueue[Tree] = SimpleQueue()
        for tree in copies:
            tree.check_imports(*PACKAGES)
            trees.put(tree)
        seconds = clean(trees, sorted({area for area, _ in chosen.values()}))
        print("# without a mutant:", ", ".join(f"{area} {s:.0f} s" for area, s in seconds.items()), flush=True)

        def verdict(number: int) -> Verdict:
            name, mutant = chosen[number]
            area, tree = AREAS[name], trees.get()
            limit = max(120, 10 * seconds[name])  # a machine may be busier now
            result = judge(tree, mutant, number, area.tests, area.by_name, "" if args.mapped else REST, limit)
            trees.put(tree)
            print(f"{title(number, mutant)}  {result}", flush=True)
            return result

        try:
            return dict(zip(chosen, pool.map(verdict, chosen), strict=True))
        finally:  # an interrupt ends the running tests, and with them the waiting threads
            pool.shutdown(wait=False, cancel_futures=True)
            for tree in copies:
                tree.stop()


def title(number: int, mutant: Mutant) -> str:
    return f"{number:>3} {f'{mutant.path}:{mutant.line}':<32} {mutant.kind:<10}"


def report(chosen: Chosen, verdicts: dict[int, Verdict], texts: dict[str, bytes]) -> float:
    """Print who survived and a table; return the share that was killed."""
    survivors = [k for k, verdict in verdicts.items() if not verdict.killer]
    for k in survivors:
        mutant = chosen[k][1]
        print(f"\n{title(k, mutant)}  {verdicts[k]}\n{mutant.diff(texts[mutant.path])}")
    print("\n# area        killed")
    for area in AREAS:
        own = [k for k in chosen if chosen[k][0] == area]
        if own:
            print(f"# {area:<12}{len(set(own) - set(survivors)):>3} of {len(own)}")
    share = 1 - len(survivors) / len(verdicts)
    average = sum(verdict.seconds for verdict in verdicts.values()) / len(verdicts)
    print(f"# {'all':<12}{len(verdicts) - len(survivors):>3} of {len(verdicts)}: {share:.0%}, {average:.1f} s each")
    return share


def main() -> int:
    args, texts, start = parse(), {}, time.monotonic()
    chosen = choose(args, texts)
    if not chosen:
        raise SystemExit("there is no such mutant")
    if args.show:
        for k, (_, mutant) in chosen.items():
            print(f"{title(k, mutant)}\n{mutant.diff(texts[mutant.path])}\n")
        return 0
    share = report(chosen, run(chosen, args), texts)
    print(f"# {time.monotonic() - start:.0f} s in all; the floor is {args.floor:.0%}")
    return 0 if share >= args.floor else 1


if __name__ == "__main__":
    sys.exit(main())
