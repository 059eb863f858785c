"""What is optimized: a function, a sum of squares, a game; the vector of variables, and estimates of gradients."""
