"""The library's shape: layers of imports, names, and what it says of itself."""

import ast
import configparser
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import minigrad
from minigrad.ops import TABLE
from tests import host_only

ROOT = Path(__file__).parents[1]
FOLDERS = {"minigrad": ROOT / "minigrad", "minigrad.models": ROOT / "models", "minigrad.optim": ROOT / "optim"}


def modules():
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield path, ".".join([package, *(p for p in parts if p != "__init__")])


#: imports run one way, ground floor first
FLOORS = (
    "backend memory random arrays errors engine batched gather parallel convolution sweeps ops operators tensor creation tree vmap transforms testing "
    "nn checkpoint data viz optim train"
).split()


@pytest.mark.parametrize(("path", "name"), list(modules()), ids=lambda x: x if isinstance(x, str) else "")
def test_imports_run_one_way(path, name):
    floor = name.split(".")[1] if "." in name else None
    if floor not in FLOORS:
        return
    tree = ast.parse(path.read_text())
    top_level = [n for n in tree.body if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("minigrad")]
    for node in top_level:
        names = [node.module] if node.module != "minigrad" else [f"minigrad.{alias.name}" for alias in node.names]
        for imported in names:
            below = imported.split(".")[1]
            assert below == floor or FLOORS.index(below) < FLOORS.index(floor), f"{name} imports {imported}"


def test_public_operations_are_exported():
    internal = {"add_at", "getitem", "norm2", "logabsdet", "detsign", "bce_with_logits"}
    internal |= {
        "conv",
        "conv_input",
        "conv_weight",
        "normalize",
        "window_max",
        "window_sum",
        "window_spread",
    }  # reached by nn.functional
    assert {name for name in TABLE if not hasattr(minigrad, name)} == internal


def test_every_public_function_is_documented():
    missing = []
    for _, name in modules():
        module = importlib.import_module(name)
        assert module.__doc__, name
        for attribute, value in vars(module).items():
            if (
                not attribute.startswith("_")
                and callable(value)
                and getattr(value, "__module__", None) == name
                and not value.__doc__
            ):
                missing.append(f"{name}.{attribute}")
    allowed = (
        "minigrad.nn.init.",
        "minigrad.batched.",
        "minigrad.ops.",
        "minigrad.engine.stale",
        "minigrad.transforms.",
    )
    assert [m for m in missing if not m.startswith(allowed)] == []


def test_packages_in_setup_cfg_are_all_of_them():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    declared = set(config["options"]["packages"].split())
    found = {name for package, folder in FOLDERS.items() for name in (package, *(
        m.name for m in pkgutil.walk_packages([str(folder)], package + ".") if m.ispkg))}  # fmt: skip
    assert declared == found


@host_only
@pytest.mark.parametrize(
    "name", ["minigrad", "minigrad.optim.schedules", "minigrad.optim.solve", "minigrad.data.loader"]
)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def code_lines(path):
    """Lines that are code: neither blank, nor comment, nor docstring."""
    source = path.read_text()
    lines = {n for n, line in enumerate(source.splitlines(), 1) if line.strip() and not line.strip().startswith("#")}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_the_core_is_readable_in_one_sitting():
    core = ["backend", "engine", "tensor", "batched", "transforms"]
    sizes = {name: code_lines(ROOT / "minigrad" / f"{name}.py") for name in core}
    assert sum(sizes.values()) < 900, sizes


@host_only
@pytest.mark.parametrize("example", [1, 2, 3, 4])
def test_the_readme_prints_what_it_says(example, capsys):
    code = (ROOT / "README.md").read_text().split("```python\n")[example].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    expected = [line.split("# ")[1] for line in code.splitlines() if line.startswith("print")]
    assert capsys.readouterr().out.splitlines() == expected
