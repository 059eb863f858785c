"""Do the tests notice? Slips made on purpose in the library's core: ``python -m tests.mutants``."""
