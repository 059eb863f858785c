"""What is mutated, which tests answer for it, and what is left alone. This is the file to adapt when files move."""

from pathlib import Path
from typing import NamedTuple


class Area(NamedTuple):
    """A part of the library and the tests that should notice a slip in it, fast ones first."""

    files: str  # globs
    tests: str  # pytest's arguments
    by_name: str = ""  # tests here are named for what they test: those of the mutated name run first


AREAS = {
    "engine": Area(
        "minigrad/core/**/*.py",
        "tests/core tests/transforms/test_autodiff.py tests/test_tensor.py",
    ),
    "readers": Area(
        "minigrad/readers/**/*.py",
        "tests/transforms/test_autodiff.py tests/core tests/test_tensor.py tests/test_testing.py "
        "tests/ops/test_properties.py",
    ),
    "transforms": Area(
        "minigrad/transforms/**/*.py",
        "tests/transforms tests/core tests/test_tensor.py tests/test_testing.py",
    ),
    "ops": Area(
        "minigrad/ops/**/*.py",
        "tests/test_tensor.py tests/nn/test_layers.py tests/nn/test_pooling.py tests/nn/test_normalization.py "
        "tests/nn/test_convolution.py tests/ops",
        by_name="tests/ops",
    ),
    "kernels": Area(
        "minigrad/kernels/**/*.py",
        "tests/nn/test_pooling.py tests/nn/test_normalization.py tests/nn/test_convolution.py tests/kernels",
    ),
    "optim": Area(
        "optim/**/*.py",
        "tests/optim/test_schedules.py tests/optim/test_second_order.py tests/optim/test_first_order.py "
        "tests/optim/test_least_squares.py tests/optim/test_games.py tests/optim/test_descent.py "
        "tests/optim/test_updates.py tests/optim/test_equations.py tests/optim/test_results.py "
        "tests/optim/test_transformed.py tests/optim/test_methods.py",
    ),
    "train": Area(
        "minigrad/train/**/*.py",
        "tests/train",
    ),
}

#: Files of the areas that are not mutated, and why.
NOT_MUTATED = {
    "minigrad/core/formulas.py": "it only documents: no number depends on it",
    "minigrad/core/errors.py": "it writes messages, whose words its tests do not pin down",
}

#: Where a mutant that its area's tests missed is tried next. The examples are experiments: that one of them ends
#: elsewhere proves no test. They take half of the suite's time, too.
REST = "tests --ignore=tests/examples --ignore=tests/test_mutants.py"

#: Names, and expressions as ``ast.unparse`` writes them, on which by design only speed depends, and why: their
#: definitions, and what is compared or calculated with them, are not mutated.
SPEED_ONLY = {
    "BLOCK_BYTES": "how much a block of images unfolds to",
    "SMALL": "how thin products are cut, and whether a matrix with few columns gets a QR factorization",
    "THIN": "whether rows or whole planes are unfolded",
    "WIDE": "how long the rows are into which a sweep reshapes",
    "PIECE": "how much a sweep does at a time",
    "MANY": "from how many rows on they are summed in blocks: rounding aside, the sum is the same",
    "LARGE": "from which size sweeps replace a few NumPy calls",
    "WORTHWHILE": "from which size threads help",
    "THREADS": "how many threads share the work",
    "CACHE_BYTES": "how many rows of a Jacobian are pulled back at a time",
    "chunk_that_fits": "the same",
    "BLOCK": "how many entries an optimizer updates at a time, and how many rows a block of a sum has",
    "DENSE": "whether a Gauss-Newton step factorizes or iterates: both solve the same system",
    "FORMED": "from how many unknowns the verdict on a root makes do without a Jacobian",
    "ACCURACY": "how exactly a linear model is minimized before the next one",
    "EXACT": "whether a trust-region step factorizes or iterates",
    "x.T.copy()": "how a matrix lies in memory",
    "KEEP": "how much freed memory is kept for the next array",
    "LARGEST": "which blocks are kept",
    "k < 64": "whether the rows of a sweep are long enough",
    "1 << 17": "from which size relu is a sweep",
    "1 << 20": "from which size its rule is",
}


def files_of(area: Area, root: Path) -> list[str]:
    """The area's files below ``root`` that are mutated, in a fixed order."""
    found = {p.relative_to(root).as_posix() for pattern in area.files.split() for p in root.glob(pattern)}
    return sorted(found - NOT_MUTATED.keys())
