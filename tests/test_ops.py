"""Properties of every operation, driven by the op table."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops import NUMPY, TABLE
from minigrad.tensor import bare_index
from minigrad.testing import check_grads
from minigrad.transforms import vjp
from tests import strict  # noqa: F401 - registers the strict backend
from tests.op_table import CASES

ALL = sorted(CASES)
DIFFERENTIABLE = [name for name in ALL if CASES[name].order]


def test_every_operation_has_a_case():
    assert sorted(TABLE) == ALL


def call(case, arrays, tail, keywords, f=None):
    """The operation on ``arrays``, which may be tensors; always a list of results."""
    f = f or TABLE[case.name]
    if case.name == "einsum":
        y = f(keywords["subscripts"], *arrays)
    elif case.name == "getitem":
        y = (
            mg.Tensor(arrays[0])[keywords["index"]]
            if isinstance(arrays[0], np.ndarray)
            else arrays[0][keywords["index"]]
        )
    elif case.name == "cholesky":  # it reads only one triangle of the symmetric matrix that it is given
        y = f((arrays[0] + arrays[0].swapaxes(-1, -2)) / 2)
    elif case.name == "add_at":
        y = f(*arrays, index=bare_index(keywords["index"], arrays[0]), shape=keywords["shape"])
    else:
        y = f(list(arrays), *tail, **keywords) if case.sequence else f(*arrays, *tail, **keywords)
    return list(y) if isinstance(y, (list, tuple)) else [y]


def reference(case, arrays, tail, keywords):
    if case.name == "einsum":
        y = case.reference(*arrays, **keywords)
    else:
        y = (
            case.reference(list(arrays), *tail, **keywords)
            if case.sequence
            else case.reference(*arrays, *tail, **keywords)
        )
    return list(y) if isinstance(y, (list, tuple)) else [y]


def host_tail(tail):
    """Integer arrays in the tail (labels, indices) live where the arguments live."""
    return tuple(mg.Tensor(x) if isinstance(x, np.ndarray) and x.dtype == np.int64 else x for x in tail)


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def drawn(names):
    """Run a property for each operation, with arguments drawn by hypothesis."""

    def decorate(prop):
        @pytest.mark.parametrize("name", names)
        def test(name):
            case = CASES[name]

            @given(case.draw)
            def run(drawn):
                prop(case, *drawn)

            run()

        test.__name__, test.__doc__ = prop.__name__, prop.__doc__
        return test

    return decorate


@drawn(ALL)
def test_values(case, arrays, tail, keywords):
    """The operation, NumPy's function on tensors and the reference agree."""
    tensors = [mg.Tensor(x) for x in arrays]
    expected = reference(case, arrays, tail, keywords)
    got = call(case, tensors, host_tail(tail), keywords)
    assert len(got) == len(expected)
    for y, z in zip(got, expected, strict=True):
        assert isinstance(y, mg.Tensor)
        assert y.shape == np.shape(z)
        close(y.numpy(), z)
    if case.name == "einsum":
        return
    for function, ours in NUMPY.items():
        if ours is TABLE[case.name] and function.__name__ == case.name:
            for y, z in zip(call(case, tensors, host_tail(tail), keywords, function), got, strict=True):
                np.testing.assert_array_equal(y.numpy(), z.numpy())
    if hasattr(np.ndarray, case.name) and case.name not in ("where", "copy") and not case.sequence:
        for y, z in zip(
            call(case, tensors, host_tail(tail), keywords, getattr(mg.Tensor, case.name)), got, strict=True
        ):
            np.testing.assert_array_equal(y.numpy(), z.numpy())


@drawn(DIFFERENTIABLE)
def test_gradients_of_both_orders(case, arrays, tail, keywords):
    check_grads(lambda *xs: call(case, xs, host_tail(tail), keywords), *arrays, order=case.order, atol=1e-6)


def cotangents(outputs, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(y.shape).astype(y.dtype) for y in outputs]


def pulled(case, tensors, tail, keywords):
    """First and second derivatives, each contracted with fixed cotangents: lists of NumPy arrays."""
    for x in tensors:
        if x.dtype.kind == "f":
            x.requires_grad = True
    outputs = [y for y in call(case, tensors, tail, keywords) if y.requires_grad]
    wanted = [x for x in tensors if x.requires_grad]
    if not outputs:
        return [np.zeros_like(x.numpy()) for x in wanted], [np.zeros_like(x.numpy()) for x in wanted]
    seeds = [mg.Tensor(v).to(y.backend) for v, y in zip(cotangents(outputs), outputs, strict=True)]
    first = mg.gradients(outputs, wanted, seeds, create_graph=True)
    again = [g for g in first if g.requires_grad]
    second = mg.gradients([(g * g).sum() for g in again], wanted) if again else [mg.zeros_like(x) for x in wanted]
    return [g.numpy() for g in first], [g.numpy() for g in second]


@drawn(DIFFERENTIABLE)
def test_dtypes_are_kept(case, arrays, tail, keywords):
    if case.name == "astype":
        return
    results = {}
    for dtype in (np.float32, np.float64):
        tensors = [mg.Tensor(x.astype(dtype) if x.dtype.kind == "f" else x) for x in arrays]
        for y in call(case, tensors, host_tail(tail), keywords):
            assert y.dtype == dtype
        results[dtype], _ = pulled(case, tensors, host_tail(tail), keywords)
        assert all(g.dtype == dtype for g in results[dtype])
    for a, b in zip(results[np.float32], results[np.float64], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3)


@drawn(DIFFERENTIABLE)
def test_memory_layout_does_not_matter_and_inputs_are_left_alone(case, arrays, tail, keywords):
    plain = pulled(case, [mg.Tensor(x.copy()) for x in arrays], host_tail(tail), keywords)
    odd = []
    for x in arrays:
        strided = np.repeat(x.T, 2, axis=0)[::2].T if x.ndim else x.copy()  # Fortran order with gaps
        strided.flags.writeable = False
        odd.append(strided)
    with_layout = pulled(case, [mg.Tensor(x) for x in odd], host_tail(tail), keywords)
    for a, b in zip(plain[0] + plain[1], with_layout[0] + with_layout[1], strict=True):
        close(a, b, 1e-9)
    for x, y in zip(arrays, odd, strict=True):
        np.testing.assert_array_equal(x, y)


@drawn(ALL)
def test_strict_device(case, arrays, tail, keywords):
    """Nothing touches the host: values and both derivatives on a device that refuses implicit conversions."""
    expected = [mg.Tensor(y).numpy() for y in reference(case, arrays, tail, keywords)]
    with mg.use("strict"):
        on_device = tuple(mg.Tensor(x) if isinstance(x, np.ndarray) else x for x in tail)
        outputs = call(case, [mg.Tensor(x) for x in arrays], on_device, keywords)
        assert all(y.backend == "strict" for y in outputs)
        if case.order:
            got = pulled(case, [mg.Tensor(x) for x in arrays], on_device, keywords)
    for y, z in zip(outputs, expected, strict=True):
        close(y.numpy(), z)
    if case.order:
        host = pulled(case, [mg.Tensor(x) for x in arrays], host_tail(tail), keywords)
        for a, b in zip(got[0] + got[1], host[0] + host[1], strict=True):
            close(a, b)


def in_vmap(case, tail):
    """Operations whose meaning inside vmap is that of a loop, and whose index is the same for every example."""
    return case.per_example and not (case.name == "getitem" and tail)


@drawn(ALL)
def test_vmap_is_a_loop(case, arrays, tail, keywords):
    batch = [np.stack([x, x[..., ::-1] if x.ndim else x, np.roll(x, 1)]) for x in arrays]
    run = lambda *xs: tuple(call(case, xs, host_tail(tail), keywords))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loop = [run(*(mg.Tensor(x[n]) for x in batch)) for n in range(3)]
        except np.linalg.LinAlgError:  # reversed columns of a regular matrix may be singular
            return
    for k, y in enumerate(mg.vmap(run)(*batch)):
        close(y.numpy(), np.stack([example[k].numpy() for example in loop]))
    if len(arrays) > 1:  # the first argument shared by all examples
        shared = [run(mg.Tensor(arrays[0]), *(mg.Tensor(x[n]) for x in batch[1:])) for n in range(3)]
        got = mg.vmap(run, in_axes=(None,) + (0,) * (len(arrays) - 1))(arrays[0], *batch[1:])
        for k, y in enumerate(got):
            close(y.numpy(), np.stack([example[k].numpy() for example in shared]))


@drawn(DIFFERENTIABLE)
def test_vmap_of_the_derivatives_is_a_loop(case, arrays, tail, keywords):
    """Per-example first and second derivatives against a loop, nested batches included."""
    moving = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]

    def derivative(*xs):
        def f(*moved):
            full = [mg.Tensor(x) for x in arrays]
            for i, x in zip(moving, moved, strict=True):
                full[i] = x
            return [y for y in call(case, full, host_tail(tail), keywords) if y.dtype.kind == "f"]

        def first(*ys):
            out, pull = vjp(f, *ys)
            return pull([mg.Tensor(v) for v in cotangents(out)])

        g, pull = vjp(first, *xs)
        return (*g, *pull(tuple(mg.ones_like(x) for x in g)))

    xs = [arrays[i] for i in moving]
    batch = [np.stack([x, x]) for x in xs]
    expected = derivative(*(mg.Tensor(x) for x in xs))
    for y, z in zip(mg.vmap(derivative)(*batch), expected, strict=True):
        close(y.numpy(), np.stack([z.numpy()] * 2), 1e-8)


@given(st.data())
def test_vmap_over_the_index(data):
    """Each example may index with its own integers, into a shared or a batched array."""
    shape = data.draw(st.sampled_from([(4,), (3, 4), (2, 3, 4)]))
    x = np.arange(3 * np.prod(shape)).reshape(3, *shape).astype(float)
    axis = data.draw(st.integers(0, len(shape) - 1))
    i = np.array(
        data.draw(st.lists(st.lists(st.integers(0, shape[axis] - 1), min_size=2, max_size=2), min_size=3, max_size=3))
    )
    scalar = data.draw(st.booleans())
    i = i[:, 0] if scalar else i
    tail = data.draw(st.sampled_from([(), (Ellipsis,), (None,)])) if axis < len(shape) - 1 or not len(shape) > 1 else ()
    f = lambda a, k: mg.Tensor(a)[(*[slice(None)] * axis, k, *tail)]
    for in_axes, source in (((0, 0), x), ((None, 0), x[0])):
        value = mg.vmap(f, in_axes)(source, i)
        loop = [f(source[n] if in_axes[0] == 0 else source, i[n]) for n in range(3)]
        close(value.numpy(), np.stack([y.numpy() for y in loop]))
        g = mg.vmap(mg.grad(lambda a, k: (f(a, k) ** 2).sum()), in_axes)(source, i)
        loop = [
            mg.grad(lambda a, k=i[n]: (f(a, k) ** 2).sum())(source[n] if in_axes[0] == 0 else source) for n in range(3)
        ]
        close(g.numpy(), np.stack([y.numpy() for y in loop]))


# ------------------------------------------------------------------------------------- particular values
@pytest.mark.parametrize(
    "name",
    [
        "sigmoid",
        "log_sigmoid",
        "softplus",
        "gelu",
        "silu",
        "elu",
        "selu",
        "tanh",
        "erf",
        "leaky_relu",
        "relu",
        "hard_tanh",
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stable_for_large_arguments(name, dtype):
    x = mg.Tensor(np.array([-1e4, -100, -1.0, 0.0, 1.0, 100, 1e4], dtype), requires_grad=True)
    y = TABLE[name](x)
    g = mg.gradients(y.sum(), x, create_graph=True)
    h = mg.gradients(g.sum(), x) if g.requires_grad else g
    for z in (y, g, h):
        assert np.isfinite(z.numpy()).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_stable_softmax(name):
    x = mg.Tensor(np.array([[1000.0, 0, -1000], [-1e4, 1e4, 1e4]]), requires_grad=True)
    y = TABLE[name](x, axis=1)
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(mg.gradients(y.sum(), x).numpy()).all()


def test_logsumexp_of_nothing_is_minus_infinity():
    with np.errstate(divide="ignore"):
        assert mg.logsumexp(mg.Tensor([-np.inf, -np.inf])).item() == -np.inf


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0, 0.0]])
def test_prod_is_right_at_zeros(x):
    check_grads(lambda x: x.prod(), np.array(x), order=3, atol=1e-5)


def test_ties_share_the_gradient():
    x = mg.Tensor([1.0, 3.0, 3.0, 2.0], requires_grad=True)
    assert mg.gradients(x.max(), x).tolist() == [0, 0.5, 0.5, 0]
    assert mg.gradients(mg.maximum(x, x).sum(), x).tolist() == [1, 1, 1, 1]
    y = mg.Tensor([3.0, 3.0, 0.0, 2.0], requires_grad=True)
    assert mg.gradients(mg.minimum(x, y).sum(), [x, y])[0].tolist() == [1, 0.5, 0, 0.5]


def test_power_at_zero():
    x = mg.Tensor([0.0, 2.0], requires_grad=True)
    assert mg.gradients((x**0).sum(), x).tolist() == [0, 0]
    assert mg.gradients((x**1).sum(), x).tolist() == [1, 1]
    assert mg.gradients((x**2).sum(), x).tolist() == [0, 4]
    exponent = mg.Tensor([0.0, 1.0], requires_grad=True)
    assert mg.gradients((x**exponent).sum(), x).tolist() == [0, 1]
    assert mg.gradients((mg.Tensor([0.0, np.e]) ** mg.Tensor([2.0, 0.0], requires_grad=True)).sum(), x).tolist() == [
        0,
        0,
    ]


def test_second_derivatives_of_a_power_at_exponent_zero():
    check_grads(mg.power, np.array([0.3, 2.0]), np.array([0.0, 0.0]))


def test_norm_at_the_origin_has_gradient_zero():
    x = mg.zeros(3, requires_grad=True)
    assert mg.gradients(mg.norm(x), x).tolist() == [0, 0, 0]


def test_an_output_that_nobody_uses_is_no_harm():
    A = mg.Tensor(np.diag([2.0, 4.0]), requires_grad=True)
    _, logabsdet = mg.slogdet(A)
    np.testing.assert_allclose(mg.gradients(logabsdet, A).numpy(), np.diag([0.5, 0.25]))
    first, _ = mg.split(A, 2)
    assert mg.gradients(first.sum(), A).tolist() == [[1, 1], [0, 0]]


def test_getitem_adds_duplicates():
    x = mg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    assert mg.gradients(x[np.array([0, 0, 2])].sum(), x).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: np.sort(x), "numpy.sort has no derivative here"),
        (lambda x: np.fft.fft(x), "numpy.fft.fft has no derivative here"),
        (lambda x: np.hypot(x, x), "numpy.hypot has no derivative here"),
        (lambda x: np.add.reduce(x), "numpy.add.reduce is not supported"),
        (lambda x: np.exp(x, where=x > 0), r"numpy.exp with \['where'\]"),
        (lambda x: mg.exp(x, out=x), "exp: keyword arguments"),
        (lambda x: np.asarray(x), "say .numpy()"),
        (lambda x: np.sum(x, dtype=float), "dtype"),
    ],
)
def test_what_has_no_rule_is_named(function, message):
    with pytest.raises(TypeError, match=message):
        function(mg.Tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda a, b: a @ b, ValueError, r"matmul of \(2, 3\) and \(2, 3\).*did you mean a @ b.swapaxes"),
        (lambda a, b: mg.linear(a, b.T), ValueError, r"linear computes x @ W.T, so W is \(out, in\) = \(2, 3\)"),
        (lambda a, b: a + a.sum(axis=1), ValueError, r"add of \(2, 3\) and \(2,\).*add a trailing axis"),
        (lambda a, b: mg.concatenate([a, a.sum(axis=1)]), ValueError, "concatenate of"),
        (lambda a, b: a.reshape(4), ValueError, r"reshape of \(2, 3\)"),
        (lambda a, b: mg.split(a, 2, axis=1), ValueError, "does not divide into 2 equal sections"),
        (lambda a, b: mg.einsum("ij,jk->ik", a), ValueError, "names 2 operands"),
        (lambda a, b: mg.einsum("i->i", a), ValueError, "does not name every axis"),
        (lambda a, b: mg.tensordot(a, b, 1), ValueError, "differ in length"),
        (lambda a, b: mg.norm(a, ord="nuc", axis=(0, 1)), ValueError, "not supported"),
        (lambda a, b: mg.var(a, ddof=6), ValueError, "no degree of freedom"),
        (lambda a, b: np.pad(a, 1, mode="edge"), ValueError, "only 'constant'"),
        (lambda a, b: mg.gelu(a, approximate="no"), ValueError, "approximate must be"),
        (lambda a, b: a[5], IndexError, r"getitem of \(2, 3\)"),
        (lambda a, b: mg.cross_entropy(a[:0], np.zeros(0, int)), ValueError, "empty batch"),
        (lambda a, b: mg.cross_entropy(a, [0, 3]), ValueError, r"must lie in 0..2 for 3 classes, but range over 0..3"),
        (lambda a, b: mg.cross_entropy(a, [0, -1]), ValueError, r"range over -1..0"),
        (lambda a, b: mg.cross_entropy(a, [0.0, 1.0]), TypeError, "must be integers"),
        (lambda a, b: mg.cross_entropy(a, [0, 1, 2]), ValueError, r"need class indices of shape \(2,\)"),
        (lambda a, b: mg.cross_entropy(a, [0, 1], reduction="avg"), ValueError, "'mean', 'sum' or 'none'"),
        (lambda a, b: mg.binary_cross_entropy_with_logits(a, b[0]), ValueError, "they must agree"),
        (lambda a, b: mg.moveaxis(a, (0, 1), 0), ValueError, "cannot go to"),
        (lambda a, b: mg.take_along_axis(a, np.array([0]), 1), ValueError, "they must agree"),
    ],
)
def test_errors_teach(function, error, message):
    with pytest.raises(error, match=message):
        function(mg.ones(2, 3), mg.ones(2, 3))
