"""A user's program under mypy --strict. (.ci/ways_in asks pyright too, with minigrad installed.)"""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import minigrad as mg
from minigrad.arrays.backend import ArrayProtocol
from minigrad.models import gan, resnet
from minigrad.nn import activations, init
from minigrad.nn.activations import ActivationName
from minigrad.nn.init import InitializationName
from minigrad.readers.batched import Batched
from tests import host_only
from tests.typing import user_program

ROOT = Path(__file__).parents[2]


@host_only
def test_the_users_program_runs(tmp_path):
    pytest.importorskip("safetensors")
    user_program.tensors()
    user_program.transformations()
    user_program.types_of_transformations()
    user_program.training(tmp_path)
    user_program.solving()


@host_only
def test_mypy_finds_no_error_in_it():
    """After a first run mypy remembers, and takes a second."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    options = "--strict --config-file= --follow-imports=silent --cache-dir=.mypy_cache/user_program".split()
    environment = {k: v for k, v in os.environ.items() if k != "MYPYPATH"}
    said = subprocess.run([sys.executable, "-m", "mypy", *options, "tests/typing/user_program.py"], cwd=ROOT,
                          env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(("names", "table"), [
    (ActivationName, activations.BY_NAME), (InitializationName, init.BY_NAME), (resnet.NormName, resnet.NORMS),
    (gan.LossName, gan.LOSSES),
])  # fmt: skip
def test_literals_are_the_names_in_the_tables(names, table):
    assert list(get_args(names)) == list(table)


@pytest.mark.parametrize("x", [np.ones(2), mg.ones(2), Batched(np.ones((3, 2)), (0,))], ids=lambda x: type(x).__name__)
def test_every_kind_of_array_offers_what_the_protocol_asks(x):
    asked = {n for n in vars(ArrayProtocol) if not n.startswith("_") or n.startswith(("__array_", "__getitem"))}
    assert len(asked) > 10
    assert {n for n in asked if not hasattr(x, n)} == set()
    assert x.reshape((2, 1)).swapaxes(0, 1).astype("float32").copy()[0].sum(axis=0).shape == ()
