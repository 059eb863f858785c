"""The engine: the graph of a computation, the walk back through it, and the table of operations it is made of.

Read in this order: graph (what an operation is, and how it is recorded), backward (the chain rule), table (how an
operation is entered), kernel (how an array type brings its own variant), modes, errors, formulas (the derivatives as
text).
"""
