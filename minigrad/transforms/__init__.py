"""Transformations of functions: derivatives (autodiff), one example to many (vmap), and the trees both work on; trees
as vectors (flat), and the matrices of second derivatives that act on those (curvature).

Derivatives of one's own (custom), recomputed (rematerialization), or of solutions (implicit) rest on closures.py.
"""

from minigrad.transforms import curvature
from minigrad.transforms.autodiff import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.transforms.custom import custom_jvp, custom_vjp
from minigrad.transforms.flat import ravel_tree
from minigrad.transforms.rematerialization import checkpoint
from minigrad.transforms.vmap import vmap

__all__ = [
    "checkpoint",
    "curvature",
    "custom_jvp",
    "custom_vjp",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "ravel_tree",
    "value_and_grad",
    "vjp",
    "vmap",
]
