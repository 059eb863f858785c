"""How NumPy computes some operations faster than it says them: variants for its arrays, entered in the table here.

=================  ============================================================================================
unfolding          convolutions, as matrix products on windows that are never copied
shifts             pooling, as shifted views combined in cache
rows               batch normalization's sums and maps, and relu, on long rows
normalization      which normalizations go by long rows
products           matrix products, in the shapes that BLAS prefers
protocols          what NumPy's protocols do not carry, from each array library
threads            a few Python threads, which share out a kernel's pieces
blas, allocator    two libraries beneath NumPy, told how small networks use them
=================  ============================================================================================

Importing this package is what enters them; without it everything runs the plain way. Another implementation (numba,
CuPy's own kernels) is entered in the same way, by ``minigrad.core.table.variant``.
"""

from minigrad.kernels import long_rows, normalization, products, protocols, shifts, unfolding

__all__ = ["long_rows", "normalization", "products", "protocols", "shifts", "unfolding"]
