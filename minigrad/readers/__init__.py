"""Readers: array types that speak NumPy's protocols, and so read every operation's forward and rules in their own way.

batched carries many examples, and gives ``vmap``; indexing and folding are its variants of the operations that it must
do differently. Importing this package enters those in the table.
"""

from minigrad.readers import folding, indexing

__all__ = ["folding", "indexing"]
