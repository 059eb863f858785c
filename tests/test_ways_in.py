"""What is there after an import, and from which folder; what the links are for. Installing is left to .ci/ways_in."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import minigrad
from tests import host_only

ROOT = Path(__file__).parents[1]
LATER = {"models", "optim", "testing", "train", "viz"}
HOMES = """
import sys
sys.path[:0] = sys.argv[1:]
import minigrad, minigrad.optim, minigrad.models
print(*(m.__file__ for m in (minigrad, minigrad.optim, minigrad.models, sys.modules["minigrad.optim.solvers"])))
"""


def python(code, *arguments):
    """The words that a fresh Python prints, which neither this folder nor the environment tells where minigrad is."""
    return subprocess.run([sys.executable, "-I", "-c", code, *map(str, arguments)], check=True, capture_output=True,
                          text=True).stdout.split()  # fmt: skip


@pytest.fixture
def copy(tmp_path):
    """Makes copies of the checkout's packages, without the links or with them."""

    def make(name, links):
        root = tmp_path / name
        for package in ("minigrad", "models", "optim"):
            shutil.copytree(ROOT / package, root / package, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        for package in ("models", "optim"):
            link = root / "minigrad" / package
            link.unlink()
            if links:
                link.symlink_to(f"../{package}", target_is_directory=True)
            else:
                link.write_text(f"../{package}")  # what git makes of a link where there are none
        return root

    return make


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_checkout_needs_no_installation(copy, links):
    root = copy("checkout", links)
    assert all(Path(home).is_relative_to(root) for home in python(HOMES, root))


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_two_checkouts_never_mix(copy, links):
    here, installed = copy("here", links), copy("installed", True)
    assert all(Path(home).is_relative_to(here) for home in python(HOMES, here, installed))


@pytest.mark.parametrize("name", ["models", "optim"])
def test_the_links_point_beside(name):
    link = ROOT / "minigrad" / name
    assert link.resolve() == ROOT / name if link.is_symlink() else link.read_text() == f"../{name}"


@host_only
def test_a_bare_import_gives_the_rest_on_demand():
    names = sorted(LATER)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import minigrad as mg\n"
    loaded = "print(*(n for n in sys.argv[2:] if 'minigrad.' + n in sys.modules))"
    assert python(code + loaded, ROOT, *names) == []  # import minigrad stays fast
    got = python(code + "print(*(getattr(mg, n).__name__ for n in sys.argv[2:]))", ROOT, *names)
    assert got == [f"minigrad.{name}" for name in names]


def test_dir_lists_what_comes_later():
    assert set(dir(minigrad)) >= LATER | {"tensor", "nn", "data"}


def test_an_unknown_name_is_an_attribute_error_that_knows_the_others():
    with pytest.raises(AttributeError, match="'minigrad' has no attribute 'optin'") as caught:
        minigrad.optin  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("optin", minigrad)  # so Python asks: did you mean 'optim'?


def test_all_is_what_the_face_imports():
    """A type checker takes what is not in ``__all__`` for private."""
    public = {n for n, v in vars(minigrad).items() if n[0] != "_" and not isinstance(v, ModuleType)} - {"TYPE_CHECKING"}
    assert set(minigrad.__all__) == public | {"curvature", "data", "nn"}


def test_type_checkers_see_what_comes_later():
    tree = ast.parse((ROOT / "minigrad" / "__init__.py").read_text())
    shown = [node for branch in tree.body if isinstance(branch, ast.If) for node in branch.body]
    names = {a.asname for node in shown if isinstance(node, ast.ImportFrom) for a in node.names}
    assert names == LATER == set(minigrad._LATER)
