"""Methods for equations and fixed points: Newton-Raphson, Broyden, Anderson, and plain iteration."""
