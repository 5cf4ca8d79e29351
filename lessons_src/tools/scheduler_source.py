"""Where a step begins: the statements of a function, read from its source."""

import ast
import dis
import inspect
import textwrap
from functools import cache
from types import CodeType
from typing import NamedTuple

# They do nothing that another thread could see, and each Python marks them anew
NO_STEP = (ast.Try, ast.TryStar, ast.Pass, ast.Break, ast.Continue)
NAMING = (ast.Global, ast.Nonlocal)
HEADS = (ast.For, ast.While, ast.If, ast.With, ast.Match)
# They call nothing of ours, and keep nothing
BUILTINS = {"abs", "bool", "int", "len", "max", "min", "range", "repr", "sorted", "str"}
STAYS_OPEN = (ast.For, ast.With, ast.Return)


class Unreadable(Exception):
    """The source of a function is not to be had."""


class Statement(NamedTuple):
    """One statement: what a thread does in one step.

    Parameters
    ----------
    line
        Number of its first line in the file.
    text
        Its first line, without the indentation.
    hides
        Whether it may keep a value that no variable shows while it is interrupted,
        as `total = bank.a + read(bank)` keeps `bank.a`.
    mixes
        Whether it may do so if a property or an operator is written in Python, as
        `bank.a + bank.balance` then does.
    stays_open
        Whether it keeps that value for longer than one step, as a loop does.
    leaves
        Whether it is a `with`, which is passed a second time at its end.
    is_head
        Whether other statements stand in it: then it is passed again and again.
    """

    line: int
    text: str
    hides: bool
    mixes: bool
    stays_open: bool
    leaves: bool
    is_head: bool


@cache
def statements(code: CodeType) -> dict[int, Statement]:
    """Return the statement that each line of `code` belongs to.

    A line without one, such as `try:` or `else:`, is no step.

    Raises
    ------
    Unreadable
        When there is no source, as for what `exec` made.
    """
    try:
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError) as error:
        raise Unreadable(f"the source of {code.co_name} is not to be had") from error
    found: dict[int, Statement] = {}
    for node in _body(tree.body[0]):
        text = lines[node.lineno - 1].strip()
        kinds = (isinstance(node, kind) for kind in (STAYS_OPEN, ast.With, HEADS))
        statement = Statement(
            node.lineno + first - 1, text, _hides(node), _mixes(node), *kinds
        )
        for number in range(node.lineno, _last_line(node) + 1):
            found.setdefault(number + first - 1, statement)
    return found


def outer_stores(code: CodeType) -> list[str]:
    """Return the names outside of the function that `code` gives a new value.

    >>> def count():
    ...     global total
    ...     total = 1
    >>> outer_stores(count.__code__)
    ['total']
    """
    return [
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
        or (
            instruction.opname in ("STORE_DEREF", "DELETE_DEREF")
            and instruction.argval in code.co_freevars
        )
    ]


def global_loads(code: CodeType) -> list[str]:
    """Return the names of the globals that `code` reads, and no attribute's name.

    >>> def look():
    ...     return account.balance
    >>> global_loads(look.__code__)
    ['account']
    """
    instructions = dis.get_instructions(code)
    return [each.argval for each in instructions if each.opname == "LOAD_GLOBAL"]


def _body(function: ast.AST) -> list[ast.stmt]:
    """List the steps of `function`, without those of functions inside it."""
    found = []
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.stmt) and not _is_idle(node):
            found.append(node)
        inner = isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)
        if inner and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            found += _body(node)
    return found


def _is_idle(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.While):
        return isinstance(node.test, ast.Constant)
    return isinstance(node, (*NO_STEP, *NAMING))


def _last_line(node: ast.stmt) -> int:
    """Return the last line of a simple statement, or of the head of another one."""
    inner = getattr(node, "body", None) or getattr(node, "cases", None)
    if not inner:
        return node.end_lineno
    first = getattr(inner[0], "lineno", None) or inner[0].pattern.lineno
    return max(node.lineno, first - 1)


def _hides(node: ast.stmt) -> bool:
    if isinstance(node, ast.For):
        return not _is_constant(node.iter)
    if isinstance(node, ast.With):
        return any(_calls(item.context_expr) for item in node.items)
    if isinstance(node, ast.Return):
        return not (node.value is None or isinstance(node.value, ast.Constant))
    if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign):
        return _calls(node.value) and not _is_plain_call(node.value)
    head = getattr(node, "test", None) or getattr(node, "subject", None) or node
    return _calls(head)


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        is_range = isinstance(node.func, ast.Name) and node.func.id == "range"
        return is_range and all(map(_is_constant, node.args))
    if isinstance(node, ast.Tuple | ast.List):
        return all(map(_is_constant, node.elts))
    return isinstance(node, ast.Constant)


def _is_plain_call(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    values = [node.func, *node.args, *(word.value for word in node.keywords)]
    return not any(map(_calls, values))


def _mixes(node: ast.stmt) -> bool:
    """Tell whether the statement reads several attributes or entries itself."""
    if isinstance(node, ast.Expr | ast.Assign) and _is_plain_call(node.value):
        return False
    head = getattr(node, "test", None) or getattr(node, "subject", None) or node
    reads = [
        each
        for each in ast.walk(head)
        if isinstance(each, ast.Attribute | ast.Subscript)
        and isinstance(each.ctx, ast.Load)
    ]
    return not isinstance(node, ast.For | ast.With) and len(reads) > 1


def _calls(node: ast.AST | None) -> bool:
    return node is not None and any(map(_is_call, ast.walk(node)))


def _is_call(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return not (isinstance(node.func, ast.Name) and node.func.id in BUILTINS)
    return isinstance(node, ast.Await | ast.Yield | ast.YieldFrom)
