"""Every version of an operation computes what its plain version does: on the op table's cases, and on larger arrays."""

import itertools
import math

import numpy as np
import pytest
import scipy.special

import minigrad as mg
from minigrad.core.kernel import Kernel
from minigrad.ops import TABLE
from minigrad.ops.convolution import Geometry
from minigrad.ops.normalization import mean_and_variance
from tests.ops.table import CASES, drawn


def kernels(operation):
    """The operation's parts that have versions: (which, kernel), where ``which`` is as ``core.table.variant`` says it."""
    entry = operation.op
    rules = list(enumerate(entry.rules)) if isinstance(entry.rules, list) else []
    parts = [("forward", entry.forward), ("vjp", entry.vjp), *rules]
    return [(which, part) for which, part in parts if isinstance(part, Kernel)]


WITH_VERSIONS = sorted(name for name, f in TABLE.items() if hasattr(f, "op") and kernels(f))


def served(kernel, /, *arguments, **options):
    """The result, and whether a version served the call: the plain one, which stood by, was not called."""
    called = []

    def watched(*arguments, **options):
        called.append(True)
        return kernel.plain(*arguments, **options)

    same = Kernel(watched, kernel.sized)
    same.variants = kernel.variants
    return same(*arguments, **options), not called


def assert_close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    assert a.dtype == b.dtype


def summed(g, shape):
    """A cotangent with the shape of its argument, as the walk back makes it."""
    kept = (1,) * (g.ndim - len(shape)) + tuple(shape)
    g = g.sum(axis=tuple(i for i, (n, m) in enumerate(zip(g.shape, kept, strict=True)) if m < n), keepdims=True)
    return g.reshape(shape)


def compare(name, /, *inputs, g=None, **params):
    """Every part of the operation on NumPy arrays against the plain version. Returns the parts that a version served."""
    operation, fast = TABLE[name], set()
    for x in inputs:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    parts = kernels(operation)
    y = np.asarray(operation.op.forward(*inputs, **params))
    for which, kernel in parts:
        if which == "forward":
            got, by_version = served(kernel, *inputs, **params)
            assert_close(got, kernel.plain(*inputs, **params))
            if by_version:
                fast.add(which)
    y.flags.writeable = False
    g = np.asarray(np.random.default_rng(0).standard_normal(y.shape)) if g is None else g
    g.flags.writeable = False
    moving = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    for which, kernel in parts:
        if isinstance(which, int):
            got, by_version = served(kernel, g, y, *inputs, **params)
            assert_close(got, kernel.plain(g, y, *inputs, **params))
            if by_version:
                fast.add(which)
        elif which == "vjp":
            for n in range(1, len(moving) + 1):
                for asked in itertools.combinations(moving, n):
                    if compare_vjp(operation.op, kernel, g, y, inputs, asked, params):
                        fast.add(which)
    return fast


def compare_vjp(entry, kernel, g, y, inputs, asked, params):
    """The cotangents ``asked`` for, from the kernel and from the plain version or the rules; whether a version did it."""
    got, by_version = served(kernel, asked, g, y, *inputs, **params)
    if got is NotImplemented:
        return False
    expected = kernel.plain(asked, g, y, *inputs, **params)
    if expected is NotImplemented:
        expected = {i: entry.rules[i](g, y, *inputs, **params) for i in asked}
    for i in asked:
        assert_close(summed(got[i], inputs[i].shape), summed(expected[i], inputs[i].shape))
    return by_version


def test_the_operations_that_have_versions_are_found():
    assert {"relu", "conv", "conv_input", "conv_weight", "normalize", "window_max", "window_sum"} <= set(WITH_VERSIONS)
    assert dict(kernels(TABLE["relu"])).keys() == {"forward", 0}
    assert dict(kernels(TABLE["conv"])).keys() >= {"forward", "vjp"}


@drawn([name for name in WITH_VERSIONS if name in CASES])
def test_versions_agree_on_the_table(case, arrays, tail, keywords):
    keywords = dict(keywords)
    index = keywords.pop("index", ()) if case.name in ("getitem", "add_at") else ()
    index = tuple(np.asarray(i) if isinstance(i, list) else i for i in index)
    compare(case.name, *arrays, *tail, *index, **keywords)


# ------------------------------------------------------------------------------- larger: where the versions serve
LAYOUTS = {
    "rows": lambda x: x.reshape(-1, 512),
    "columns": lambda x: x.reshape(-1, 512).T,
    "images": lambda x: x.reshape(-1, 16, 16, 8),
    "channels last": lambda x: x.reshape(-1, 16, 16, 8).transpose(0, 3, 1, 2),
    "backwards": lambda x: x[::-1],
}


@pytest.mark.parametrize("numbers", [2**18, 2**20 + 2**18])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_relu(numbers, layout, rng):
    x, g = rng.standard_normal((2, numbers))
    x[::7], x[5] = 0.0, np.nan
    x, g = LAYOUTS[layout](x), LAYOUTS[layout](g)
    assert compare("relu", x, g=g) == {"forward"} | ({0} if numbers > 2**20 else set()) or layout == "backwards"


def test_relu_where_the_cotangent_lies_differently_or_with_gaps(rng):
    x, g = rng.standard_normal((2, 2**20))
    assert compare("relu", x.reshape(1024, 1024), g=g.reshape(1024, 1024).T) == {"forward"}
    assert compare("relu", x.reshape(1024, 1024)[:, ::2], g=g[: 2**19].reshape(1024, 512)) == set()
    assert compare("relu", x[:-1], g=g[:-1]) == set()  # an odd number of them has no long rows


@pytest.mark.parametrize("shape", [(66_000, 1), (16_500, 4), (9, 3, 50, 50), (5, 2, 7, 31, 33), (80, 16, 32, 32)])
@pytest.mark.parametrize("scaled", [(False, False), (True, False), (False, True), (True, True)])
def test_normalize_by_channel(shape, scaled, rng):
    x = 3 + rng.standard_normal(shape)
    aligned = (1, shape[1], *[1] * (len(shape) - 2))
    weight, bias = (rng.standard_normal(aligned) if given else None for given in scaled)
    axes = (0, *range(2, len(shape)))
    assert compare("normalize", x, weight, bias, axes=axes, eps=1e-5) == {"forward", "vjp"}


def test_moments(rng):
    x = rng.standard_normal((9, 3, 50, 50)).transpose(0, 1, 3, 2)
    for axes, fast in (((0, 2, 3), True), ((2, 3), False), ((0, 2), False)):
        got, by_version = served(mean_and_variance, x, axes)
        assert by_version == fast
        for a, b in zip(got, mean_and_variance.plain(x, axes), strict=True):
            assert_close(a, b)
    known = mean_and_variance(x, (0, 2, 3))
    assert "forward" in compare("normalize", x, None, None, axes=(0, 2, 3), eps=0.1, known=known)


GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1, 1, 1)),
    ((3, 3), (2, 2), (1, 1, 1, 1)),
    ((1, 1), (1, 1), (0, 0, 0, 0)),
    ((1, 1), (2, 3), (0, 0, 0, 0)),
    ((1, 1), (1, 1), (2, 0, 0, 1)),
    ((2, 5), (3, 1), (0, 1, 2, 3)),
    ((4, 2), (1, 3), (3, 3, 1, 0)),
    ((3, 2), (4, 5), (0, -1, 1, -2)),
    ((17, 19), (1, 1), (0, 0, 0, 0)),
]


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("channels", [3, 6])
def test_convolution(channels, kernel, stride, padding, rng):
    geometry = Geometry(stride, padding, (1, 1), 1)
    x, w = rng.standard_normal((4, channels, 17, 19)), rng.standard_normal((5, channels, *kernel))
    y = rng.standard_normal((4, 5, *geometry.output((17, 19), kernel)))
    assert compare("conv", x, w, g=y, geometry=geometry) == {"forward", "vjp"}
    assert compare("conv_input", y, w, shape=x.shape, geometry=geometry) == {"forward"}
    assert compare("conv_weight", x, y, kernel=kernel, geometry=geometry) == {"forward"}
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert compare("conv", last, w[::-1], g=y[:, :, ::-1], geometry=geometry) == {"forward", "vjp"}


@pytest.mark.parametrize("channels", [4, 8])
def test_convolution_on_several_threads(channels, rng):
    geometry = Geometry((1, 1), (1, 1, 1, 1), (1, 1), 1)
    x, w = rng.standard_normal((40, channels, 32, 32)), rng.standard_normal((8, channels, 3, 3))
    assert compare("conv", x, w, geometry=geometry) == {"forward", "vjp"}


def test_groups_and_dilations_go_the_plain_way(rng):
    x = rng.standard_normal((2, 4, 9, 9))
    none = (0, 0, 0, 0)
    assert compare("conv", x, rng.standard_normal((4, 2, 3, 3)), geometry=Geometry((1, 1), none, (1, 1), 2)) == set()
    assert compare("conv", x, rng.standard_normal((4, 4, 3, 3)), geometry=Geometry((1, 1), none, (2, 1), 1)) == set()


WINDOWS = [
    ((2, 2), (2, 2)),
    ((3, 3), (2, 2)),
    ((3, 3), (1, 1)),
    ((1, 1), (1, 1)),
    ((2, 3), (3, 2)),
    ((1, 2), (5, 4)),
    ((17, 19), (1, 1)),
    ((17, 1), (17, 1)),
]


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [((4, 3, 17, 19), *window) for window in WINDOWS] + [((34, 8, 34, 57), *window) for window in WINDOWS[:6]],
)
def test_pooling(shape, kernel, stride, rng):
    x = rng.standard_normal(shape)
    y = rng.standard_normal(
        (*shape[:2], *((n - k) // s + 1 for n, k, s in zip(shape[2:], kernel, stride, strict=True)))
    )
    scale = 1 / math.prod(kernel)
    assert compare("window_sum", x, kernel=kernel, stride=stride, scale=scale) == {"forward"}
    assert compare("window_spread", y, shape=x.shape, kernel=kernel, stride=stride, scale=scale) == {"forward"}
    ties = rng.integers(0, 3, shape).astype(float)
    ties[0, 0, 1, 1] = np.nan
    for image in (x, ties, ties.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)):
        assert compare("window_max", image, kernel=kernel, stride=stride) == {"forward", 0}


# ------------------------------------------------------------------------------------------------------------- erf
class Foreign(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a library that no backend knows, which has NumPy's ufuncs and nothing else."""

    def __init__(self, values):
        self.values = values

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        values = [x.values if isinstance(x, Foreign) else x for x in inputs]
        return Foreign(getattr(ufunc, method)(*values, **options))


def test_erf_by_definition():
    """Where no library has it, it is an integral by quadrature: right to 5e-15, and near 0 to digits of its value."""
    x = np.concatenate([np.linspace(-8, 8, 4001), [-np.inf, np.inf, -1e300, 1e300]])
    y = mg.erf(Foreign(x))
    assert isinstance(y, Foreign)
    np.testing.assert_allclose(y.values, scipy.special.erf(x), rtol=0, atol=5e-15)
    small = np.geomspace(1e-300, 1, 1001)
    np.testing.assert_allclose(mg.erf(Foreign(small)).values, scipy.special.erf(small), rtol=2e-15, atol=0)
    assert np.isnan(mg.erf(Foreign(np.array([np.nan]))).values).all()
    np.testing.assert_array_equal(mg.erf(Foreign(-x)).values, -y.values)  # odd, to the last digit


def test_erf_inside_vmap(rng):
    x = rng.standard_normal((3, 4))
    np.testing.assert_allclose(mg.vmap(mg.erf)(x).numpy(), scipy.special.erf(x), rtol=0, atol=5e-15)
