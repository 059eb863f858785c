"""Tensor: construction, conversion, protocols, and NumPy's behaviour."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from tests import host_only


def test_dtypes_of_new_tensors():
    assert mg.tensor(1.5).dtype == np.float32
    assert mg.tensor([1, 2]).dtype == np.int64
    assert mg.tensor([True]).dtype == np.bool_
    assert mg.tensor(np.ones(2)).dtype == np.float64
    assert mg.tensor(np.ones(2), dtype="float32").dtype == np.float32
    assert mg.zeros(2).dtype == mg.randn(2).dtype == mg.linspace(0, 1).dtype == np.float32
    assert mg.arange(3).dtype == np.int64
    assert mg.arange(0, 1, 0.5).dtype == np.float32


def test_default_dtype(float64):
    assert mg.tensor(1.5).dtype == mg.zeros(2).dtype == np.float64
    with pytest.raises(TypeError, match="real floating-point"):
        mg.set_default_dtype(int)


@pytest.mark.parametrize("data", ["text", [[1], [2, 3]], [1j], None, object()])
def test_what_is_no_array_of_real_numbers(data):
    with pytest.raises((TypeError, ValueError)):
        mg.tensor(data)


@host_only
def test_other_libraries_arrays_are_read():
    class Foreign:
        dtype, shape = "its own float", (2,)

        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0])

    assert mg.tensor(Foreign()).tolist() == [1, 2]
    assert type(mg.Tensor(Foreign()).array) is np.ndarray


def test_a_list_of_tensors_is_not_cut_from_the_graph():
    with pytest.raises(TypeError, match="minigrad.stack"):
        mg.tensor([mg.tensor(1.0), mg.tensor(2.0)])


@pytest.mark.parametrize("data", [1, [1, 2], [True]])
def test_integers_cannot_require_gradients(data):
    with pytest.raises(TypeError, match="a derivative needs real numbers.*astype"):
        mg.tensor(data, requires_grad=True)
    with pytest.raises(TypeError, match="cannot require gradients"):
        mg.tensor(data).requires_grad_()


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + 1,
        lambda x: 2 * x,
        lambda x: 1.5 - x,
        lambda x: x / 3,
        lambda x: x**2,
        lambda x: x.mean(),
        lambda x: mg.relu(x),
        lambda x: mg.where(x > 0, x, 0.0),
        lambda x: x.clip(0.1, 0.9),
    ],
)
def test_python_numbers_never_widen(operation):
    assert operation(mg.ones(3)).dtype == np.float32


@host_only
@given(
    st.sampled_from(["float32", "float64", "int64", "int32", "bool"]),
    st.sampled_from(["float32", "float64", "int64", "int8"]),
)
def test_promotion_is_numpys(a, b):
    x, y = np.ones(2, a), np.ones(2, b)
    assert (mg.Tensor(x) + mg.Tensor(y)).dtype == (x + y).dtype
    assert (mg.Tensor(x) * y).dtype == (x * y).dtype


@host_only
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=3), elements=st.integers(-3, 3)))
def test_operators_agree_with_numpy(x):
    t = mg.Tensor(x)
    for ours, theirs in [(t + x, x + x), (x + t, x + x), (2 - t, 2 - x), (x * t, x * x), (t / 4, x / 4), (1 / (t + 5), 1 / (x + 5)),
                         (t**2, x**2), (2.0**t, 2.0**x), (-t, -x), (+t, x), (abs(t), abs(x)), (round(t), np.round(x)), (t % 2, x % 2), (7 % (t + 5), 7 % (x + 5)), (t // 2, x // 2), (7 // (t + 5), 7 // (x + 5)), (t < x, x < x), (t >= 0, x >= 0),
                         (t == x, x == x), (t != 1, x != 1), ((t > 0) & (t < 2), (x > 0) & (x < 2)), (~(t > 0) | (t > 1), ~(x > 0) | (x > 1))]:  # fmt: skip
        assert isinstance(ours, mg.Tensor)
        np.testing.assert_array_equal(ours.numpy(), theirs)


@host_only
def test_numpy_functions_and_methods_keep_the_graph():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for y in (
        np.exp(x),
        np.sum(x),
        np.linalg.norm(x),
        np.concatenate([x, np.ones(2)]),
        np.where([True, False], x, 0),
        np.ones(2) * x,
        np.outer(x, x),
    ):
        assert y.requires_grad
    assert np.shape(x) == (2,)
    assert np.ndim(x) == 1
    assert np.size(x) == 2
    assert np.zeros_like(x).tolist() == [0, 0]


def test_length_iteration_and_truth():
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    a, b = x
    assert (b - a).tolist() == [2, 2]
    assert bool(mg.tensor(1.0))
    assert not mg.tensor([0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(TypeError, match="0-d"):
        len(mg.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(mg.tensor(1.0))


def test_numbers_out_of_tensors():
    assert mg.tensor(2.5).item() == float(mg.tensor([2.5])) == 2.5
    assert int(mg.tensor(3)) == 3
    assert [10, 20, 30][mg.tensor(1)] == 20
    assert f"{mg.tensor(2.5):.2f}" == "2.50"
    with pytest.raises(TypeError, match="only an integer tensor"):
        [1][mg.tensor(0.0)]
    with pytest.raises(ValueError, match="not one number"):
        mg.tensor([1.0, 2.0]).item()


@host_only
def test_numpy_view_is_read_only():
    x = mg.tensor([1.0, 2.0])
    view = x.numpy()
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 5
    x.assign_([3.0, 4.0])
    assert view.tolist() == [3, 4], "a view, not a copy"


@host_only
def test_tensor_copies_and_the_class_shares():
    array = np.zeros(2)
    copied, shared = mg.tensor(array), mg.Tensor(array)
    array[0] = 1
    assert copied.tolist() == [0, 0]
    assert shared.tolist() == [1, 0]


def test_detach_shares_the_numbers():
    x = mg.tensor([1.0], requires_grad=True)
    d = (x * 1).detach()
    assert not d.requires_grad
    assert d.is_leaf
    assert x.detach().data is x.data


def test_only_leaves_can_stop_requiring_gradients():
    y = mg.tensor(1.0, requires_grad=True) * 2
    with pytest.raises(mg.GraphError, match="detach"):
        y.requires_grad = False


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(duplicate):
    x = mg.nn.Parameter([1.0, 2.0])
    y = duplicate(x)
    assert type(y) is mg.nn.Parameter
    assert y.requires_grad
    y.assign_([5.0, 6.0])
    assert x.tolist() == [1, 2]
    with pytest.raises(mg.GraphError, match="only leaves"):
        duplicate(x * 2)


@host_only
def test_dlpack_both_ways():
    x = mg.tensor([1.0, 2.0])
    np.testing.assert_array_equal(np.from_dlpack(x), [1, 2])
    array = np.arange(3.0)
    y = mg.from_dlpack(array)
    array[0] = 7
    assert y.tolist() == [7, 1, 2], "shares memory"
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(x.requires_grad_())


def test_assign_checks_the_shape():
    with pytest.raises(ValueError, match=r"shape \(2,\) cannot take a value of shape \(3,\)"):
        mg.zeros(2).assign_(np.ones(3))


@host_only
def test_repr():
    assert repr(mg.tensor([1.0, 2.5])) == "Tensor([1. , 2.5])"
    assert repr(mg.tensor([1.0], requires_grad=True)) == "Tensor([1.], requires_grad=True)"
    assert repr(mg.tensor([1.0], requires_grad=True) * 2) == "Tensor([2.], from multiply)"
    assert repr(mg.tensor(np.ones(1))) == "Tensor([1.], dtype=float64)"
    assert repr(mg.tensor([1])) == "Tensor([1])"
    assert len(repr(mg.zeros(1000))) < 200


@host_only
def test_attributes_and_shape_methods():
    x = mg.tensor(np.arange(24.0).reshape(2, 3, 4))
    assert (x.shape, x.ndim, x.size, x.nbytes, x.backend) == ((2, 3, 4), 3, 24, 192, "numpy")
    assert x.T.shape == (4, 3, 2)
    assert x.mT.shape == (2, 4, 3)
    assert x.flatten(1).shape == (2, 12)
    assert x.flatten().shape == (24,)
    assert x.flatten(0, 1).shape == (6, 4)
    assert mg.tensor(1.0).flatten().shape == (1,)
    assert x.transpose(2, 0, 1).shape == x.transpose((2, 0, 1)).shape == (4, 2, 3)
    assert x.reshape(4, -1).shape == x.reshape((4, 6)).shape == (4, 6)


def test_hash_is_identity_and_equality_element_wise():
    x, y = mg.tensor([1.0]), mg.tensor([1.0])
    assert len({x, y}) == 2
    assert (x == y).all()


def test_creation_functions():
    assert mg.eye(2, 3).shape == (2, 3)
    assert mg.full((2,), 7.0).tolist() == [7, 7]
    assert mg.zeros((2, 3)).shape == mg.ones(2, 3).shape == mg.rand(2, 3).shape == (2, 3)
    mg.manual_seed(3)
    a = mg.randn(4)
    mg.manual_seed(3)
    assert a.tolist() == mg.randn(4).tolist()


def test_bools_combine_bools_only():
    with pytest.raises(TypeError, match="combine bools"):
        mg.tensor([1.0]) & mg.tensor([2.0])
