"""Curvature of a loss as a function of many parameters: symmetric (p, p) matrices that are only ever multiplied by.

* the Hessian H of a scalar function;
* Gauss-Newton G = J^T H_L J, with J the Jacobian of a model's outputs and H_L the Hessian of the loss by them: H
  without the curvature of the model itself, and positive semidefinite wherever the loss is convex (Schraudolph 2002);
* the Fisher information F = mean over examples of J^T C J, with C the covariance of d log p(y | outputs) / d outputs
  for y drawn from the model's own prediction (Amari 1998): G, where the loss is that of an exponential family;
* the empirical Fisher, the mean of g g^T over the per-example gradients g of a loss at the data's own labels. It is no
  approximation of the others (Kunstner, Balles & Hennig 2019).

Each is a SciPy ``LinearOperator`` (CuPy's on a device), so ``scipy.sparse.linalg`` serves: ``eigsh(hessian(f, x),
k=3)``. Products are exact, and cost a few gradients each; several at a time (``A @ V`` for a matrix V) go through as
one batch. They are those at the point as it was: what is written to x afterwards changes nothing.

A product is an array, a constant to every derivative taken outside; where curvature is to be differentiated, use
:func:`minigrad.hessian` and :func:`minigrad.hvp`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.arrays.backend import Array, backend_of, unwrapped
from minigrad.core.errors import GraphError
from minigrad.core.modes import enable_grad
from minigrad.creation import ones_like
from minigrad.tensor import Tensor
from minigrad.transforms.autodiff import chunk_that_fits, unit_vectors
from minigrad.transforms.flat import ravel_tree
from minigrad.transforms.linearization import Linearization
from minigrad.transforms.recording import pull
from minigrad.transforms.tree import flatten

__all__ = ["Curvature", "empirical_fisher", "fisher", "gauss_newton", "hessian"]

Product = Callable[[Array], Array]


class Curvature:
    """A symmetric matrix that is a ``LinearOperator``: products with one vector or many, and the matrix itself.

    It is put before SciPy's class, or CuPy's, which has the operators: ``A @ v``, ``A + B``, ``2 * A``, ``A.T``.

    Args:
        product: v -> A v for v of shape (p,), and for each row of a (q, p) matrix; arrays on the parameters' backend.
        like: an array of the vectors' dtype, on their backend.
        chunk: how many products to make at a time for the matrix.
    """

    if TYPE_CHECKING:  # what LinearOperator adds
        shape: tuple[int, int]
        dtype: np.dtype[Any]
        T: Curvature

        def matvec(self, v: Array, /) -> Array: ...
        def matmat(self, V: Array, /) -> Array: ...
        def __matmul__(self, v: Any, /) -> Any: ...

    def __init__(self, product: Product, p: int, like: Array, chunk: int) -> None:
        self.product, self._like, self._chunk = product, like, chunk
        super().__init__(like.dtype, (p, p))  # type: ignore[call-arg]

    def _matvec(self, v: Array) -> Array:
        if v.dtype.kind == "c":  # the matrix is real
            return self._matvec(v.real) + 1j * self._matvec(v.imag)
        return self.product(self._cast(v.reshape(-1)))

    def _matmat(self, V: Array) -> Array:
        if V.dtype.kind == "c":
            return self._matmat(V.real) + 1j * self._matmat(V.imag)
        rows, k = self._cast(V.T), V.shape[1]
        if not rows.size:
            return rows.T
        return np.concatenate([self.product(rows[i : i + self._chunk]) for i in range(0, k, self._chunk)]).T

    def _cast(self, v: Array) -> Array:
        return v.astype(self._like.dtype, order="C")

    def _adjoint(self) -> Any:
        return self

    _transpose = _adjoint

    def dense(self) -> Array:
        """The matrix, (p, p), from batches of products; symmetric to the last digit."""
        p = self.shape[0]
        A = self._matmat(unit_vectors(0, p, p, self._like))
        return (A + A.T) / 2


@cache
def _operator(library: str) -> Any:
    return type("Curvature", (Curvature, import_module(library).LinearOperator), {"__doc__": Curvature.__doc__})


def _curvature(product: Product, variables: Sequence[Tensor], sources: Sequence[Tensor]) -> Curvature:
    p, dtype = sum(x.size for x in variables), np.result_type(*[x.dtype for x in variables])
    like = np.zeros_like(unwrapped(variables[0]), dtype=dtype, shape=())
    library = "cupyx.scipy.sparse.linalg" if backend_of(like).name == "cupy" else "scipy.sparse.linalg"
    return _operator(library)(product, p, like, chunk_that_fits(sources, p))


def _record(name: str, fun: Callable[[Any], Any], x: Any) -> tuple[list[Tensor], Tensor]:
    """Fresh variables that hold ``x``, and what ``fun`` makes of them; a Module is called with them as its own."""
    vector, unravel = ravel_tree(x)
    leaves, rebuild = flatten(unravel(vector.detach()))
    variables = []
    for leaf in leaves:
        leaf = leaf.detach()
        if leaf.dtype.kind != "f":
            raise TypeError(
                f"curvature.{name} differentiates by floating-point numbers, not {leaf.dtype}; cast with "
                ".astype('float32'), or let the function close over what is constant"
            )
        leaf.tracked = True
        variables.append(leaf)
    if not variables:
        raise ValueError(f"curvature.{name}: {type(x).__name__} holds no parameters (that require gradients)")
    with enable_grad():
        if hasattr(x, "named_parameters"):
            with x.holding(rebuild(variables)):
                y = fun(x)
        else:
            y = fun(rebuild(variables))
    if not isinstance(y, Tensor):
        raise GraphError(
            f"curvature.{name}: the function must return a tensor, not a {type(y).__name__}: .numpy() and .item() "
            "leave the graph, and a derivative would not see what is behind them"
        )
    return variables, y


def _gradient(name: str, y: Tensor, variables: Sequence[Tensor]) -> list[Tensor]:
    if y.shape != ():
        raise GraphError(
            f"curvature.{name} needs a scalar loss, but this one has shape {y.shape}. Reduce it with .mean() or .sum()"
        )
    with enable_grad():
        return pull([(y, ones_like(y))] if y.tracked else [], variables, True, True)


def hessian(fun: Callable[[Any], Any], x: Any) -> Curvature:
    """H_ij = d^2 f / dx_i dx_j of the scalar function ``fun`` at ``x``, all of whose entries form one vector.

    >>> import minigrad as mg
    >>> H = hessian(lambda x: (x[0] ** 2 * x[1]), np.array([1.0, 2.0]))
    >>> H @ np.array([1.0, 0.0])
    array([4., 2.])
    >>> H.dense()
    array([[4., 2.],
           [2., 0.]])

    Args:
        fun: of x's structure, returns a scalar tensor; given a Module, of the Module: ``lambda net: loss(net(X), Y)``.
        x: tensors or arrays in lists, tuples and dicts, or a Module, whose parameters that require gradients count.

    Returns:
        a LinearOperator, with ``dense()`` besides. A product costs about two gradients.

    Raises:
        GraphError: the function returns no scalar tensor.
        TypeError: integers to differentiate by.
        ValueError: no parameters.
    """
    variables, y = _record("hessian", fun, x)
    H = Linearization(variables, _gradient("hessian", y, variables))
    return _curvature(H.vjp, variables, H.outputs)


def gauss_newton(predict: Callable[[Any], Any], loss: Callable[[Any], Any], x: Any) -> Curvature:
    """G = J^T H_L J, with J = d predict / dx and H_L the Hessian of ``loss`` at the prediction.

    >>> import minigrad as mg
    >>> G = gauss_newton(lambda x: mg.exp(x), lambda z: (z * z).sum() / 2, np.array([0.0, 1.0]))
    >>> bool(np.allclose(G.dense(), np.diag(np.exp([0.0, 2.0]))))
    True

    Args:
        predict: of x's structure (or the Module), returns the outputs, a tensor of any shape.
        loss: of the outputs, returns a scalar: ``lambda z: F.cross_entropy(z, labels)``.
        x: as for :func:`hessian`.

    Raises:
        GraphError, TypeError, ValueError: as :func:`hessian`.
    """
    variables, z = _record("gauss_newton", predict, x)
    J = Linearization(variables, [z])
    (output,), y = _record("gauss_newton", loss, z.detach())
    H = Linearization([output], _gradient("gauss_newton", y, [output]))
    return _curvature(lambda v: J.vjp(H.vjp(J.jvp(v))), variables, [z])


def fisher(predict: Callable[[Any], Any], x: Any, likelihood: str = "categorical") -> Curvature:
    """F = mean over examples of J^T C J, C the covariance of d log p(y | z) / dz over y drawn from p(. | z) itself.

    >>> import minigrad as mg
    >>> inputs = mg.Tensor(np.array([[1.0], [2.0]]))
    >>> F = fisher(lambda w: inputs @ w, np.zeros((1, 2)), "categorical")
    >>> F.dense()  # mean of x^2 (diag(p) - p p^T), with p = (1/2, 1/2)
    array([[ 0.625, -0.625],
           [-0.625,  0.625]])

    Args:
        predict: of x's structure (or the Module), returns z: one row per example.
        likelihood: what z means: "categorical" (logits along the last axis: C = diag(p) - p p^T), "bernoulli" (logits,
            each of its own: C = diag(p (1 - p))) or "gaussian" (means, with variance 1: C = I).

    Raises:
        ValueError: another likelihood, or predictions without an axis of examples.
        GraphError, TypeError, ValueError: as :func:`hessian`.
    """
    known = {"categorical": _categorical, "bernoulli": _bernoulli, "gaussian": lambda z: lambda u: u}
    if likelihood not in known:
        raise ValueError(f"curvature.fisher: likelihood must be one of {', '.join(known)}, not {likelihood!r}")
    variables, z = _record("fisher", predict, x)
    if z.ndim < 1 + (likelihood == "categorical"):
        wanted = "(examples, classes)" if likelihood == "categorical" else "(examples, ...)"
        raise ValueError(f"curvature.fisher: {likelihood} predictions have the shape {wanted}, not {z.shape}")
    J, covariance = Linearization(variables, [z]), known[likelihood](z.array)
    shape, n = z.shape, len(z)
    product = lambda v: J.vjp(covariance(J.jvp(v).reshape((*v.shape[:-1], *shape))).reshape((*v.shape[:-1], -1)) / n)
    return _curvature(product, variables, [z])


def _categorical(z: Array) -> Product:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return lambda u: p * u - p * (p * u).sum(axis=-1, keepdims=True)


def _bernoulli(z: Array) -> Product:
    e = np.exp(-np.abs(z))  # p (1 - p) without cancellation, where p is all but 1
    return lambda u: e / (1 + e) ** 2 * u


def empirical_fisher(losses: Callable[[Any], Any], x: Any) -> Curvature:
    """The mean of g g^T over the gradients g of each example's loss.

    >>> F = empirical_fisher(lambda x: x * x, np.array([1.0, 3.0]))  # two losses, of gradients (2, 0) and (0, 6)
    >>> F.dense()
    array([[ 2.,  0.],
           [ 0., 18.]])

    Args:
        losses: of x's structure (or the Module), returns a vector with a loss per example:
            ``lambda net: F.cross_entropy(net(X), Y, reduction="none")``.

    Raises:
        GraphError: it returns no vector.
        TypeError, ValueError: as :func:`hessian`.
    """
    variables, y = _record("empirical_fisher", losses, x)
    if y.ndim != 1:
        raise GraphError(
            f"curvature.empirical_fisher needs a vector with a loss per example, but this has shape {y.shape}: "
            'compute the loss with reduction="none"'
        )
    J = Linearization(variables, [y])
    return _curvature(lambda v: J.vjp(J.jvp(v) / len(y)), variables, [y])
