"""Properties of every operation, driven by the op table."""

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops import NUMPY, TABLE
from minigrad.tensor import bare_index
from minigrad.testing import check_grads
from minigrad.transforms.autodiff import vjp
from tests import strict  # noqa: F401 - registers the strict backend
from tests.ops.table import CASES, drawn

ALL = sorted(CASES)
DIFFERENTIABLE = [name for name in ALL if CASES[name].order]
#: entered in the table, but no functions of arrays alone: tested with the transformations and the backends
ELSEWHERE = {"enter", "leave", "sum_level", "to"}


def test_every_operation_has_a_case():
    assert sorted(TABLE.keys() - ELSEWHERE) == ALL


def call(case, arrays, tail, keywords, f=None):
    """The operation on tensors; always a list of results."""
    f = f or TABLE[case.name]
    if case.name == "einsum":
        y = f(keywords["subscripts"], *arrays)
    elif case.name == "getitem":
        y = arrays[0][keywords["index"]]
    elif case.name == "cholesky":  # it reads only one triangle of the symmetric matrix that it is given
        y = f((arrays[0] + arrays[0].swapaxes(-1, -2)) / 2)
    elif case.name == "add_at":
        y = f(*arrays, *bare_index(keywords["index"], arrays[0]), shape=keywords["shape"])
    else:
        first = [list(arrays)] if case.sequence else arrays
        y = f(*first, *tail, **keywords)
    return list(y) if isinstance(y, (list, tuple)) else [y]


def reference(case, arrays, tail, keywords):
    first = [list(arrays)] if case.sequence else arrays
    y = case.reference(*first, *tail, **keywords)
    return list(y) if isinstance(y, (list, tuple)) else [y]


def host_tail(tail):
    """Integer arrays in the tail (labels, indices) live where the arguments live."""
    return tuple(mg.Tensor(x) if isinstance(x, np.ndarray) and x.dtype == np.int64 else x for x in tail)


def close(a, b, tolerance=1e-10):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


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
    batch = [np.stack([x, another(x)]) for x in xs]
    for shared in range(-1, len(xs) if len(xs) > 1 else 0):  # none, or one argument that all examples share
        axes = tuple(None if i == shared else 0 for i in range(len(xs)))
        given_ = [x if i == shared else b for i, (x, b) in enumerate(zip(xs, batch, strict=True))]
        loop = [
            derivative(*(mg.Tensor(x if axis is None else x[n]) for x, axis in zip(given_, axes, strict=True)))
            for n in (0, 1)
        ]
        for k, y in enumerate(mg.vmap(derivative, axes)(*given_)):
            close(y.numpy(), np.stack([example[k].numpy() for example in loop]), 1e-8)


def another(x):
    """Another example in the domain of the first: no entry is the same, and none changes places with its neighbor."""
    return 0.95 * x + 0.01


def takes_several(name):
    """Whether an operation can be differentiated by more than one argument: a composite may always."""
    rules = getattr(getattr(TABLE[name], "op", None), "rules", None)
    return not isinstance(rules, list) or sum(rule is not None for rule in rules) > 1


ONE_ARRAY = set(
    "copy softplus selu log_sigmoid hard_tanh threshold norm var std prod ravel moveaxis stack split tile repeat "
    "diagonal trace take take_along_axis slogdet".split()
)


@drawn([name for name in DIFFERENTIABLE if takes_several(name) and name not in ONE_ARRAY])
def test_the_gradient_by_a_shared_argument_is_a_sum_over_the_examples(case, arrays, tail, keywords):
    moving = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    for shared in moving if len(moving) > 1 else ():
        others = [i for i in moving if i != shared]
        batch = [np.stack([arrays[i], another(arrays[i])]) for i in others]

        def loss(x, *rest, shared=shared, others=others):
            """sum(y * y) of one example, whose argument ``shared`` is x."""
            full = [mg.Tensor(a) for a in arrays]
            for i, value in zip((shared, *others), (x, *rest), strict=True):
                full[i] = value
            return sum((y * y).sum() for y in call(case, full, host_tail(tail), keywords) if y.dtype.kind == "f")

        over_all = lambda x, loss=loss, batch=batch: mg.vmap(loss, (None, *[0] * len(batch)))(x, *batch).sum()
        loop = [mg.grad(loss)(arrays[shared], *(mg.Tensor(b[n]) for b in batch)).numpy() for n in (0, 1)]
        close(mg.grad(over_all)(arrays[shared]).numpy(), sum(loop), 1e-8)


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
