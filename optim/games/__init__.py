"""Minimax games: min over x, max over y of f(x, y).

A player follows its own gradient; the two together follow the field F = (df/dx, -df/dy). A first-order method consumes
a field, so each (SGD, Adam, ...) plays as it is. What is new is how the field is used: gradient descent-ascent spirals
outward where the game is bilinear, and looking ahead or back mends it (notes, section 9.4).
"""

from minigrad.optim.games.best_response import BestResponse
from minigrad.optim.games.consensus import ConsensusGD
from minigrad.optim.games.descent_ascent import GDA
from minigrad.optim.games.extragradient import ExtraGradient
from minigrad.optim.games.game import Game
from minigrad.optim.games.optimistic import OptimisticAdam, OptimisticGDA

__all__ = ["GDA", "BestResponse", "ConsensusGD", "ExtraGradient", "Game", "OptimisticAdam", "OptimisticGDA"]
