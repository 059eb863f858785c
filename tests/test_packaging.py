"""The library's shape: rooms and the imports between them, names, and what it says of itself."""

import ast
import configparser
import doctest
import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import minigrad
from minigrad.core.table import TABLE
from tests import host_only

ROOT = Path(__file__).parents[1]
FOLDERS = {"minigrad": ROOT / "minigrad", "minigrad.models": ROOT / "models", "minigrad.optim": ROOT / "optim"}
LINKS = {ROOT / "minigrad" / "models", ROOT / "minigrad" / "optim"}

#: rooms and files, ground floor first: imports run one way, also those inside functions and for type checkers only
FLOORS = (
    "arrays core ops operators tensor creation kernels readers transforms testing nn serialization data viz optim models train"
).split()
#: but for one: annotations say what operations return, a class that the engine is handed by ``outputs_are``
ABOVE = ("minigrad.core.graph", "minigrad.tensor")


@cache
def modules():
    """Every module's file, by the name under which it is imported."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            if not LINKS & set(path.parents):
                parts = path.relative_to(folder).with_suffix("").parts
                found[".".join([package, *(p for p in parts if p != "__init__")])] = path
    return found


def imports(name):
    """The modules of this library that ``name`` imports, anywhere in its file, but for ``ABOVE``."""
    return [used for used in every_import(name) if (name, used) != ABOVE]


def every_import(name):
    known = modules()
    for node in ast.walk(ast.parse(known[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known or node.module in known:
                    yield whole if whole in known else node.module


def test_every_module_stands_on_a_floor():
    top = {name.split(".")[1] for name in modules() if "." in name}
    assert top == set(FLOORS)


@pytest.mark.parametrize("name", [name for name in modules() if "." in name])
def test_imports_run_one_way(name):
    floor = FLOORS.index(name.split(".")[1])
    for used in imports(name):
        assert used != "minigrad", f"{name} imports the package that imports it"
        assert FLOORS.index(used.split(".")[1]) <= floor, f"{name} imports {used}"


def test_no_circles():
    """Within a floor too: a file can be read when those it imports have been."""
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a circle of imports: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for used in imports(name):
            if not (used != name and name.startswith(used + ".")):  # a package's face, which its files may not need
                visit(used)
        path.pop()
        done.add(name)

    for name in modules():
        visit(name)


@pytest.mark.parametrize("folder", sorted({path.parent for path in modules().values()}), ids=str)
def test_a_folder_can_be_taken_in_at_a_glance(folder):
    files = [path.name for path in folder.glob("*.py")]
    assert len(files) <= 13, files
    long = {path.name: n for path in folder.glob("*.py") if (n := len(path.read_text().splitlines())) > 400}
    assert not long


def test_the_table_says_nothing_of_the_arrays_it_is_read_by():
    """No operation asks what kind of array it has: readers and kernels bring their own versions."""
    for name, path in modules().items():
        if name.startswith("minigrad.ops"):
            source = path.read_text()
            assert "ndarray" not in source, name
            assert "Batched" not in source, name
            assert "isinstance(x" not in source, name
            assert not {"backend_of", "find_backend"} & set(re.findall(r"\w+", source)), name


def test_public_operations_are_exported():
    internal = "add_at getitem norm2 logabsdet detsign contract identity to enter leave sum_level sum_rows".split()
    internal += "softmax_cross_entropy sigmoid_cross_entropy".split()
    internal += "conv conv_input conv_weight normalize window_max window_sum window_spread".split()  # in nn.functional
    assert {name for name in TABLE if not hasattr(minigrad, name)} == set(internal)


def is_public(name, value, module):
    return name[0] != "_" and inspect.isroutine(value) | inspect.isclass(value) and value.__module__ == module.__name__


@pytest.mark.parametrize(
    "name", [name for name, path in modules().items() if len(ast.parse(path.read_text()).body) > 1]
)
def test_all_names_what_others_may_take(name):
    """Every function and class without an underscore, and whatever else is public; for readers and type checkers."""
    module = importlib.import_module(name)
    named = set(module.__all__)
    assert {n for n in named if n[0] == "_" or not hasattr(module, n)} == set()
    assert len(named) == len(module.__all__)
    assert {n for n, value in vars(module).items() if is_public(n, value, module)} <= named


@pytest.mark.parametrize("name", list(modules()))
def test_modules_take_from_others_only_what_is_public_there(name):
    known = modules()
    for node in ast.walk(ast.parse(known[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in known:
            offered = getattr(importlib.import_module(node.module), "__all__", ())
            taken = {a.name for a in node.names if a.name[0] != "_" and f"{node.module}.{a.name}" not in known}
            assert not offered or taken <= set(offered), f"{name} takes {taken - set(offered)} from {node.module}"


def undocumented(name):
    """Public functions, classes, and methods of a module that have no docstring."""
    module = importlib.import_module(name)
    if not module.__doc__:
        yield name
    for attribute, value in vars(module).items():
        if attribute.startswith("_") or not callable(value) or getattr(value, "__module__", None) != name:
            continue
        if not inspect.getdoc(value):
            yield f"{name}.{attribute}"
        for method, function in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(function, "fget", function)
            if (
                not method.startswith("_")
                and inspect.isfunction(function)
                and not inspect.getdoc(getattr(value, method))
            ):
                yield f"{name}.{attribute}.{method}"


def test_everything_public_is_documented():
    assert [missing for name in modules() for missing in undocumented(name)] == []


def test_packages_in_setup_cfg_are_all_of_them():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert set(config["options"]["packages"].split()) == {
        name for name, path in modules().items() if path.name == "__init__.py"
    }


@host_only
@pytest.mark.parametrize("name", [name for name, path in modules().items() if ">>> " in path.read_text()])
def test_docstring_examples(name):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert attempted > 0 or "doctest: +SKIP" in modules()[name].read_text()


def test_files_named_in_the_documents_exist():
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        named = set(re.findall(r"\]\(([\w/.]+)\)", text)) | set(
            re.findall(r"`((?:minigrad|optim|models|tests)/[\w/]+\.py)`", text)
        )
        assert {name for name in named if not (ROOT / name).exists()} == set()


def code_lines(path):
    """Lines that are code: neither blank, nor comment, docstring, ``__all__``, nor an overload for type checkers."""
    source = path.read_text()
    lines = {n for n, line in enumerate(source.splitlines(), 1) if line.strip() and not line.strip().startswith("#")}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        decorators = [ast.unparse(d) for d in getattr(node, "decorator_list", ())]
        if "overload" in decorators or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"):
            lines -= set(range(node.lineno - len(decorators), node.end_lineno + 1))
    return len(lines)


def test_the_core_is_readable_in_one_sitting():
    """All that a derivative goes through, but for the formulas themselves."""
    rooms = ("arrays", "core", "readers", "tensor", "operators")
    transforms = {f"minigrad.transforms.{name}" for name in ("autodiff", "recording", "vmap", "tree")}
    sizes = {
        name: code_lines(path)
        for name, path in modules().items()
        if name in transforms or (name.split(".")[1:2] and name.split(".")[1] in rooms)
    }
    assert sum(sizes.values()) < 1850, sizes


@host_only
@pytest.mark.parametrize("example", [1, 2, 3, 4])
def test_the_readme_prints_what_it_says(example, capsys):
    code = (ROOT / "README.md").read_text().split("```python\n")[example].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    expected = [line.split("# ")[1] for line in code.splitlines() if line.startswith("print")]
    assert capsys.readouterr().out.splitlines() == expected
