"""Methods that need curvature: Newton, Gauss-Newton, Levenberg-Marquardt, trust regions, L-BFGS."""
