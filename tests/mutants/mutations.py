"""Mutations: small slips that a test should notice, each a splice in a file's text at a node's position.

What stands around a splice stays as it is, so a mutant differs in one line, as after a slip of the fingers. (Where a
swapped operator binds more tightly than the old one, its neighbors regroup, as they would then.)
"""

from __future__ import annotations

import ast
import difflib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from tests.mutants.areas import SPEED_ONLY

Splice = tuple[int, int, str]  # from this byte to that one, this instead

OPERATORS: dict[type, tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.MatMult: ("@", "*"),
    ast.Pow: ("**", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
SYMMETRIC = {"max", "min", "maximum", "minimum", "gcd", "hypot", "add", "multiply"}  # of two arguments
TYPED = {"isinstance", "issubclass", "cast", "hasattr", "getattr"}  # swapped arguments fail at once, or never


class Source:
    """A file's text in bytes, as ``ast`` counts columns, and where nodes stand in it."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.starts = [0, *accumulate(map(len, text.splitlines(keepends=True)))]

    def start(self, node: Any) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: Any) -> int:
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: Any) -> str:
        return self.text[self.start(node) : self.end(node)].decode()

    def swap(self, left: Any, right: Any, operator: Any) -> Iterator[Splice]:
        """Another operator between two nodes, where there may also be parentheses and comments."""
        if type(operator) in OPERATORS:
            old, new = OPERATORS[type(operator)]
            gap = self.text[self.end(left) : self.start(right)].decode()
            gap = re.sub(r"#.*", lambda comment: " " * len(comment[0].encode()), gap)
            if old in gap:
                at = self.end(left) + gap.index(old)
                yield at, at + len(old), new


# ------------------------------------------------------------------------------------------------------- kinds
Kind = Callable[[Any, Source], Iterator[Splice]]
KINDS: dict[str, Kind] = {}


def kind(function: Kind) -> Kind:
    KINDS[function.__name__] = function
    return function


@kind
def arithmetic(node: Any, source: Source) -> Iterator[Splice]:
    """a + b -> a - b, x *= y -> x /= y"""
    if isinstance(node, ast.BinOp):
        yield from source.swap(node.left, node.right, node.op)
    elif isinstance(node, ast.AugAssign):
        yield from source.swap(node.target, node.value, node.op)


@kind
def comparison(node: Any, source: Source) -> Iterator[Splice]:
    """a < b -> a <= b, a is b -> a is not b"""
    if isinstance(node, ast.Compare):
        for (left, right), operator in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
            yield from source.swap(left, right, operator)


@kind
def boolean(node: Any, source: Source) -> Iterator[Splice]:
    """a and b -> a or b"""
    if isinstance(node, ast.BoolOp):
        for left, right in pairwise(node.values):
            yield from source.swap(left, right, node.op)


@kind
def constant(node: Any, source: Source) -> Iterator[Splice]:
    """3 -> 4, True -> False, 0.5 -> 0.5005; a float below 1e-4 is a tolerance, of which only the power matters"""
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        x = node.value
        if isinstance(x, bool):
            new = str(not x)
        elif isinstance(x, int):
            new = str(x + 1)
        else:
            new = f"{x * 1.001 if x >= 1e-4 else 1000 * x or 0.001:.6g}"
        yield source.start(node), source.end(node), new


@kind
def sign(node: Any, source: Source) -> Iterator[Splice]:
    """-x -> x, a * b -> -a * b"""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield source.start(node), source.start(node) + 1, ""
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.MatMult)):
        numeric = not isinstance(node.left, (ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.JoinedStr))
        if numeric:  # a product's first factor has its own turn
            yield source.start(node.left), source.start(node.left), "-"


@kind
def uncopied(node: Any, source: Source) -> Iterator[Splice]:
    """x.copy() -> x"""
    method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if method and node.func.attr == "copy" and not (node.args or node.keywords):
        yield source.text.rindex(b".", 0, source.end(node.func)), source.end(node), ""


@kind
def unchecked(node: Any, source: Source) -> Iterator[Splice]:
    """if x: raise ... -> if False: raise ..."""
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
        yield source.start(node.test), source.end(node.test), "False"


@kind
def condition(node: Any, source: Source) -> Iterator[Splice]:
    """if x -> if not (x), not x -> x"""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield source.start(node), source.start(node) + len("not "), ""
    elif isinstance(node, (ast.If, ast.IfExp)) and not mentions_speed(node.test):
        twice = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
        if not twice:
            yield source.start(node.test), source.end(node.test), f"not ({source.of(node.test)})"


@kind
def swapped(node: Any, source: Source) -> Iterator[Splice]:
    """f(a, b) -> f(b, a)"""
    if isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
        a, b = node.args
        starred = isinstance(a, ast.Starred) or isinstance(b, ast.Starred)
        if not starred and called(node) not in SYMMETRIC | TYPED and ast.dump(a) != ast.dump(b):
            between = source.text[source.end(a) : source.start(b)].decode()
            yield source.start(a), source.end(b), source.of(b) + between + source.of(a)


@kind
def unordered(node: Any, source: Source) -> Iterator[Splice]:
    """sorted(x) -> list(x), reversed(x) -> iter(x)"""
    if isinstance(node, ast.Call) and called(node) in ("sorted", "reversed"):
        plain = "list" if called(node) == "sorted" else "iter"
        yield source.start(node), source.end(node), f"{plain}({source.of(node.args[0])})"


def called(node: ast.Call) -> str:
    """The last name in what is called: "maximum" for np.maximum(a, b)."""
    return getattr(node.func, "attr", "") or getattr(node.func, "id", "")


# ------------------------------------------------------------------------------------------- what is left alone
def mentions_speed(node: ast.AST) -> bool:
    """Whether only speed depends on an expression."""
    names = {getattr(n, "id", None) or getattr(n, "attr", None) for n in ast.walk(node)}
    return not names.isdisjoint(SPEED_ONLY) or ast.unparse(node) in SPEED_ONLY


def defined(statement: Any) -> str:
    """The name that a statement defines, or ""."""
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return getattr(statement, "name", None) or getattr(targets[0], "id", "")


def left_alone(node: Any) -> bool:
    """Messages, how things print, type checkers' business, and what by design is only about speed."""
    if isinstance(node, (ast.Raise, ast.JoinedStr)) or (isinstance(node, ast.Call) and called(node) == "warn"):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, (ast.Compare, ast.BinOp)):
        return mentions_speed(node)
    if isinstance(node, ast.expr):
        return ast.unparse(node) in SPEED_ONLY
    if isinstance(node, ast.stmt):
        return defined(node) in {"__all__", "__slots__", "__repr__", "__str__", *SPEED_ONLY}
    return False


def nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """What may be mutated, in the text's order, with the name that its top-level statement defines."""
    for statement in tree.body:
        stack: list[Any] = [statement]
        while stack:
            node = stack.pop()
            if not left_alone(node):
                yield node, defined(statement)
                unused = (getattr(node, "annotation", None), getattr(node, "returns", None))
                stack += [n for n in reversed(list(ast.iter_child_nodes(node))) if n not in unused]


# ------------------------------------------------------------------------------------------------------ mutants
@dataclass(frozen=True)
class Mutant:
    """One splice in one file, made inside the top-level statement that defines ``name``."""

    path: str
    kind: str
    splice: Splice
    line: int
    name: str

    def applied(self, text: bytes) -> bytes:
        start, end, new = self.splice
        return text[:start] + new.encode() + text[end:]

    def diff(self, text: bytes) -> str:
        before, after = (t.decode().splitlines() for t in (text, self.applied(text)))
        return "\n".join(difflib.unified_diff(before, after, self.path, self.path, n=0, lineterm=""))

    def means_something(self, text: bytes) -> bool:
        """It parses, and not to the same program."""
        try:
            return ast.dump(ast.parse(self.applied(text))) != ast.dump(ast.parse(text))
        except SyntaxError:
            return False


def mutants_of(path: str, text: bytes) -> list[Mutant]:
    """Every mutant of a file, in its order."""
    source, found = Source(text), {}
    for node, name in nodes(ast.parse(text)):
        for label, splices in KINDS.items():
            for splice in splices(node, source):
                line = text.count(b"\n", 0, splice[0]) + 1
                found.setdefault(splice, Mutant(path, label, splice, line, name))
    return list(found.values())


def drawn(mutants: list[Mutant], texts: dict[str, bytes], rng: random.Random) -> Iterator[Mutant]:
    """The mutants in a random order, in which every kind has the same share for as long as it lasts.

    So the rare kinds, a forgotten copy or check, are not lost among hundreds of constants.
    """
    pools: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        pools.setdefault(mutant.kind, []).append(mutant)
    while pools:
        label = rng.choice(sorted(pools))
        mutant = pools[label].pop(rng.randrange(len(pools[label])))
        if not pools[label]:
            del pools[label]
        if mutant.means_something(texts[mutant.path]):
            yield mutant


def sample(
    candidates: dict[str, list[Mutant]], texts: dict[str, bytes], seed: int, count: int
) -> list[tuple[str, Mutant]]:
    """``count`` pairs (area, mutant), the areas in turn: half of the code is optim, but all of it stands on the engine.

    A larger count goes on where a smaller one ended, and no area's draw depends on the others.
    """
    streams = {area: drawn(mutants, texts, random.Random(f"{seed} {area}")) for area, mutants in candidates.items()}
    chosen: list[tuple[str, Mutant]] = []
    while streams and len(chosen) < count:
        for area in list(streams):
            mutant = next(streams[area], None)
            if mutant is None:
                del streams[area]
            elif len(chosen) < count:
                chosen.append((area, mutant))
    return chosen
