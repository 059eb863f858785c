"""Networks built from minigrad's layers."""

from minigrad.models.mlp import MLP

__all__ = ["MLP"]
