"""The seam: which version of a computation an array gets."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.core.kernel import Kernel
from minigrad.core.table import op, primitive, variant
from tests import host_only

pytestmark = host_only


class Labelled(np.lib.mixins.NDArrayOperatorsMixin):
    """An array type of somebody else's, which speaks NumPy's protocols."""

    def __init__(self, array):
        self.array = array

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return Labelled(ufunc(*(x.array if isinstance(x, Labelled) else x for x in inputs), **kwargs))


def named(kernel):
    """A kernel whose versions say who they are."""
    kernel.variant(np.ndarray)(lambda *xs, **options: "numpy")
    kernel.variant(Labelled, mixed=True)(lambda *xs, **options: "labelled")
    return kernel


def test_the_types_of_all_arrays_choose():
    kernel = named(Kernel(lambda *xs, **options: "plain"))
    a, b = np.ones(2), Labelled(np.ones(2))
    assert kernel(a) == kernel(a, a) == kernel(a, None, 3, (1, 2), "same") == "numpy"
    assert kernel(b) == kernel(a, b) == kernel(b, a, None) == "labelled"
    assert kernel(1.0) == kernel(None) == kernel() == "plain"
    assert kernel(mg.ones(2)) == kernel(a, mg.ones(2)) == "plain"
    assert kernel(np.float64(1)) == "plain"
    assert kernel(a.view(type("Subclass", (np.ndarray,), {}))) == "plain"  # it may behave in any way
    assert kernel(a, option=b) == "numpy"


def test_the_latest_version_is_tried_first_and_may_decline():
    kernel = named(Kernel(lambda x: "plain"))
    assert kernel(np.ones(2)) == "numpy"
    kernel.variant(np.ndarray, min_size=5)(lambda x: "large" if x[0] else NotImplemented)
    assert [kernel(x) for x in (np.ones(4), np.ones(5), np.zeros(5))] == ["numpy", "large", "numpy"]
    kernel.variants = ()
    kernel.variant(np.ndarray)(lambda x: NotImplemented)
    assert kernel(np.ones(2)) == "plain"


def test_min_size_is_that_of_one_argument():
    kernel = Kernel(lambda *xs: "plain")
    kernel.variant(np.ndarray, min_size=2)(lambda *xs: "large")
    assert [kernel(np.ones(2), 3.0), kernel(np.ones(1)), kernel([0], np.ones(5), 1)] == ["large", "plain", "plain"]


def test_a_variant_entered_meanwhile_is_not_forgotten():
    """Another thread may be finding out what serves, and file it when the new variant has been entered."""
    kernel = Kernel(lambda x: "plain")

    class Meddling(type):
        def __getattr__(cls, name):  # asked whether it is an array, in the middle of the search
            kernel.variant(np.ndarray)(lambda x: "numpy")
            raise AttributeError(name)

    kernel(np.ones(2), *[Meddling("Odd", (), {})()] * 0)
    kernel._that_serve((np.ndarray, Meddling("Odd", (), {})))
    assert kernel(np.ones(2)) == "numpy"


def test_errors_of_a_version_are_raised():
    kernel = Kernel(lambda x: "plain")

    @kernel.variant(np.ndarray)
    def broken(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kernel(np.ones(2))


def test_versions_of_a_forward_of_a_rule_and_of_all_rules():
    @op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
    def times(a, b):
        """a b."""
        return a * b

    try:
        slopes = lambda: [g.tolist() for g in mg.gradients(times(x, z).sum(), [x, z])]
        x, z = (mg.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 5.0]))
        assert slopes() == [[3, 5], [1, 2]]
        variant(times, np.ndarray, of=0)(lambda g, y, a, b: 10 * g * b)
        assert slopes() == [[30, 50], [1, 2]]
        variant(times, np.ndarray, of="vjp", min_size=2)(
            lambda asked, g, y, a, b: [7 * g * b, 9 * g * a] if len(asked) == 2 else NotImplemented
        )
        assert slopes() == [[21, 35], [9, 18]]
        assert mg.gradients(times(x, z.detach()).sum(), x).tolist() == [30, 50]
        g = mg.gradients(times(x, z).sum(), x, create_graph=True)  # tensors read the rules
        assert g.tolist() == [3, 5]
        variant(times, np.ndarray)(lambda a, b: -a * b)
        assert times(x, z).tolist() == [-3, -10]
        assert primitive(times).forward.plain(x.array, z.array).tolist() == [3, 10]
    finally:
        mg.core.table.TABLE.pop("times")


@pytest.mark.parametrize("of", [0, 1, 7])
def test_a_variant_of_a_rule_that_is_not_there_is_refused(of):
    with pytest.raises(TypeError, match=f"has no rule {of}"):
        variant(mg.greater, np.ndarray, of=of)
    with pytest.raises(TypeError, match="where has no rule 0"):
        variant(mg.where, np.ndarray, of=0)
    with pytest.raises(TypeError, match=f"concatenate has no rule {of}"):
        variant(mg.concatenate, np.ndarray, of=of)


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="there is an operation tanh already, in minigrad.ops.elementwise"):

        @op(lambda g, y, x: g)
        def tanh(x):
            """Another."""
            return x


def test_rules_that_are_computed_together_may_stand_alone():
    pair = mg.Op("pair", lambda a, b: a * b, vjp=lambda asked, g, y, a, b: (g * b, g * a))
    x, z = mg.tensor(3.0, requires_grad=True), mg.tensor(5.0, requires_grad=True)
    assert [g.item() for g in mg.gradients(pair(x, z), [x, z])] == [5, 3]
    declines = mg.Op("declines", lambda a: a * 1, vjp=lambda asked, g, y, a: NotImplemented)
    with pytest.raises(TypeError, match="declines: vjp returned NotImplemented, and there are no rules"):
        declines(x).backward()
