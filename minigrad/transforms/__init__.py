"""Transformations of functions: derivatives (autodiff), one example to many (vmap), and the trees both work on."""

from minigrad.transforms.autodiff import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.transforms.vmap import vmap

__all__ = ["grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp", "vmap"]
