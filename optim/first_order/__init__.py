"""Methods that need a gradient, an estimate of one, or a direction like one; and the parameters as one flat vector."""
