"""The tests. ``MINIGRAD_BACKEND=cupy`` runs them on a GPU, ``MINIGRAD_BACKEND=strict`` on a device array that only pretends."""

import pytest

from minigrad.arrays.backend import _current

host_only = pytest.mark.skipif(_current.get() != "numpy", reason="it is about NumPy's own arrays")
