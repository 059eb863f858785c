"""The mutation check itself (``python -m tests.mutants``): what it changes, what it leaves alone, whom it calls killed."""

import importlib.util
import random
from pathlib import Path

import pytest

from tests.long import SWEEPS, parts
from tests.mutants.areas import AREAS, NOT_MUTATED, SPEED_ONLY, files_of
from tests.mutants.mutations import KINDS, Mutant, drawn, mutants_of, sample
from tests.mutants.runner import Tree, judge

ROOT = Path(__file__).parents[1]

#: kind, a line, and every line that this kind makes of it
CHANGES = [
    ("arithmetic", "y = (a) + b", ["y = (a) - b"]),
    ("arithmetic", "y = a ** b @ c", ["y = a ** b * c", "y = a * b @ c"]),
    ("arithmetic", "y //= é % 2", ["y /= é % 2", "y //= é // 2"]),
    ("comparison", "y = a < b is not c", ["y = a <= b is not c", "y = a < b is c"]),
    ("comparison", "y = a not in b", ["y = a in b"]),
    ("comparison", "y = (a  # == b\n == b)", ["y = (a  # == b\n != b)"]),
    ("boolean", "y = a and b and c", ["y = a or b and c", "y = a and b or c"]),
    ("constant", "y = 3, True, 0.5, 1e-8", ["y = 4, True, 0.5, 1e-8", "y = 3, False, 0.5, 1e-8", "y = 3, True, 0.5005, 1e-8", "y = 3, True, 0.5, 1e-05"]),
    ("constant", "def f(a=0): pass", ["def f(a=1): pass"]),
    ("sign", "y = -(a + b)", ["y = (a + b)"]),
    ("sign", "y = a * b - c", ["y = -a * b - c"]),
    ("sign", "y = [a] * 2", []),
    ("uncopied", "y = (a * b).copy() + a.copy(order)", ["y = (a * b) + a.copy(order)"]),
    ("unchecked", "if a > b: raise E", ["if False: raise E"]),
    ("condition", "y = a if b else c", ["y = a if not (b) else c"]),
    ("condition", "if not a: pass", ["if a: pass"]),
    ("swapped", "y = f(a, b * c)", ["y = f(b * c, a)"]),
    ("swapped", "y = f(a, a), max(a, b), f(a, *b), f(a, k=b)", []),
    ("unordered", "y = sorted(a, key=f)", ["y = list(a)"]),
    ("unordered", "y = reversed(a)", ["y = iter(a)"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "line", "expected"), CHANGES)
def test_a_kind_makes_these_changes_and_no_others(kind, line, expected):
    text = line.encode()
    made = [m.applied(text).decode() for m in mutants_of("f.py", text) if m.kind == kind]
    assert sorted(made) == sorted(expected)
    assert all(m.means_something(text) for m in mutants_of("f.py", text))


def test_every_kind_has_an_example():
    assert {kind for kind, *_ in CHANGES} == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        '"""a + 1"""',
        'def f(a: "int" = None, *b: X[0]) -> A | B:\n    "1 + 1"',
        "class C:\n    n: Tuple[1]\n    __slots__ = a + b\n    def __repr__(self): return a + b",
        "__all__ = [1] + a",
        "if TYPE_CHECKING:\n    x = 1",
        "raise E(a + 1)",
        "warnings.warn(a + b, stacklevel=2)",
        'y = f"{a + 1}"',
        "BLOCK_BYTES = 1 << 20",
        "y = f(n // module.BLOCK_BYTES)",
        "if size >= WORTHWHILE: pass",
    ],
)
def test_left_alone(text):
    assert mutants_of("f.py", text.encode()) == []


def test_a_mutant_is_one_line_of_its_file():
    text = b"# first\nx = 1\n\n\ndef f(a):\n    return (\n        a\n        + 2\n    )\n"
    mutant = next(m for m in mutants_of("f.py", text) if m.kind == "arithmetic")
    assert mutant == Mutant("f.py", "arithmetic", (text.index(b"+"), text.index(b"+") + 1, "-"), 8, "f")
    assert mutant.diff(text).splitlines()[-2:] == ["-        + 2", "+        - 2"]


def test_sampling_is_reproducible_fair_and_goes_on():
    texts = {"a.py": b"y = a + b\n" * 20 + b"z = a.copy()\n", "b.py": b"y = 1\n" * 3}
    candidates = {path: mutants_of(path, text) for path, text in texts.items()}
    chosen = sample(candidates, texts, seed=1, count=12)
    assert chosen == sample(candidates, texts, seed=1, count=24)[:12]
    assert chosen != sample(candidates, texts, seed=2, count=12)
    assert [area for area, _ in chosen] == ["a.py", "b.py"] * 3 + ["a.py"] * 6  # b has no more than three
    assert "uncopied" in {m.kind for _, m in chosen}
    everything = list(drawn(candidates["a.py"], texts, random.Random(0)))
    assert set(everything) == set(candidates["a.py"])
    assert len(everything) == 21


def test_the_table_of_areas_is_true():
    for name, area in AREAS.items():
        assert files_of(area, ROOT), name
        assert all((ROOT / path).exists() for path in area.tests.split()), name
    core = "".join((ROOT / path).read_text() for area in AREAS.values() for path in files_of(area, ROOT))
    assert [name for name in SPEED_ONLY if name not in core] == []
    assert all((ROOT / path).exists() for path in NOT_MUTATED)


def test_a_mutant_that_matters_is_killed_and_one_that_does_not_survives(tmp_path):
    library = "def total(xs):\n    s = 0\n    for x in sorted(xs):\n        s += x\n    return s\n"
    root = tmp_path / "root"
    root.mkdir()
    (root / "toy.py").write_text(library)
    (root / "test_toy.py").write_text("from toy import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n")
    tree = Tree(root, tmp_path / "copy")
    tree.environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    tree.check_imports("toy")
    verdicts = {
        m.kind: judge(tree, m, number, "test_toy.py")
        for number, m in enumerate(mutants_of("toy.py", library.encode()), 1)
        if m.kind in ("arithmetic", "unordered")
    }
    assert verdicts["arithmetic"].killer == "test_toy.py::test_total"
    assert verdicts["unordered"].killer is None
    assert (tree.folder / "toy.py").read_text() == (root / "toy.py").read_text() == library


def test_a_hang_is_a_kill_and_leaves_no_process(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "test_toy.py").write_text("def test_forever():\n    while True:\n        pass\n")
    tree = Tree(root, tmp_path / "copy")
    assert "hang" in tree.pytest("test_toy.py", limit=0.3).killer
    assert tree.process is None


def test_a_foreign_minigrad_is_noticed(tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(SystemExit, match="come from elsewhere"):
        Tree(tmp_path / "root", tmp_path / "copy").check_imports("json")


def test_the_long_sweeps_name_what_exists():
    for name, sweep in SWEEPS.items():
        settings, module, arguments = parts(sweep.command)
        assert importlib.util.find_spec(module), name
        assert all(key.startswith("MINIGRAD_") for key in settings), name
        assert all((ROOT / word).exists() for word in arguments if word.endswith(".py")), name
