"""Conjugate gradients: the minimizer of a quadratic model from products with its Hessian, inside a ball or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.arrays.backend import Array

__all__ = ["conjugate_gradients"]


def conjugate_gradients(
    product: Callable[[Array], Array],
    g: Array,
    radius: float = np.inf,
    tolerance: float | None = None,
    max_products: int | None = None,
) -> tuple[Array, Array]:
    """d and r = g + H d, with abs(r) <= tolerance where d minimizes g'd + 1/2 d'Hd well enough (Steihaug 1983).

    The iterates grow in length, so where one would leave the ball, the minimizer along its path is on the boundary.
    Where a direction of negative curvature is met, the model falls along it for ever: to the boundary, if there is one;
    else what has been found so far is returned, or -g. So d is always a direction of descent.

    >>> H = np.array([[2.0, 0.0], [0.0, 8.0]])
    >>> conjugate_gradients(lambda v: H @ v, np.array([-2.0, -8.0]), tolerance=1e-12)[0]
    array([1., 1.])
    >>> conjugate_gradients(lambda v: H @ v, np.array([-2.0, 0.0]), radius=0.5)[0]
    array([0.5, 0. ])

    Args:
        product: v -> H v, H symmetric.
        radius: of the ball, infinite by default.
        tolerance: by default min(1/2, sqrt(abs(g))) abs(g), which makes Newton's method converge superlinearly (Nocedal
            & Wright, Alg. 7.1).
        max_products: 10 times the dimension by default.
    """
    norm = float(np.sqrt(g @ g))
    if tolerance is None:
        tolerance = min(0.5, norm**0.5) * norm
    d, r = np.zeros_like(g), g
    s, rr = -r, norm * norm
    for _ in range(max_products or 10 * g.size):
        if rr**0.5 <= tolerance:
            break
        Hs = product(s)
        curvature = float(s @ Hs)
        t = rr / curvature if curvature > 0 else np.inf
        if not np.isfinite(t) and radius == np.inf:
            return (d, r) if d.any() else (s, r + Hs)
        if not np.isfinite(t) or float(np.linalg.norm(d + t * s)) >= radius:
            dd, ds, ss = float(d @ d), float(d @ s), float(s @ s)
            t = (np.sqrt(ds * ds + ss * (radius**2 - dd)) - ds) / ss
            return d + t * s, r + t * Hs
        d = d + t * s
        r = r + t * Hs
        new = float(r @ r)
        s, rr = s * (new / rr) - r, new
    return d, r
