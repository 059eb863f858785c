"""Shared settings: deterministic runs, and no test may leave a global setting changed."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: tiny matrices, and tests may run in parallel

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import minigrad as mg
from minigrad.arrays import backend
from minigrad.core import modes

settings.register_profile(
    "minigrad",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=int(os.environ.get("MINIGRAD_EXAMPLES", "25")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
settings.load_profile("minigrad")


@pytest.fixture(autouse=True)
def unchanged_settings():
    """Every test starts from one seed, and must restore the modes it changes."""
    mg.manual_seed(0)
    before = (modes.current_mode(), backend.current().name, mg.get_default_dtype(), np.geterr())
    yield
    after = (modes.current_mode(), backend.current().name, mg.get_default_dtype(), np.geterr())
    assert after == before, "the test left a global setting changed"


@pytest.fixture
def float64():
    """Python floats become float64 in this test."""
    before = mg.get_default_dtype()
    mg.set_default_dtype("float64")
    yield
    mg.set_default_dtype(before)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
