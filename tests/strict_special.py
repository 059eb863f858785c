"""The strict device's special functions, in a module of their own as CuPy's are."""

from tests.strict import special

erf = special.erf
