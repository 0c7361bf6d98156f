"""The Jinja environment for chat templates: what transformers offers them, within limits.

A template comes with the model's files, so it is somebody else's program. The sandbox keeps it from
reaching Python's internals. On top of that, a template may use only so much processor time and
build only so long a text: an endless loop, a text that doubles without end or `'a' * 10**10` is an
error. This stops accidents and simple bombs, not every program that somebody could think of.
"""

import functools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import make_attrgetter
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_SECONDS = 1.0  # of this thread's processor time; Qwen3's template needs about 0.0001
MAX_LENGTH = 1 << 25  # characters of a text, items of a list: 8 million tokens or so
MAX_NUMBER = 100_000  # the widest padding or longest repetition that may be asked for
HUGE_WIDTH = re.compile(r"\d{6}|\*")  # in a format such as '%9d'

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


class TemplateRefusal(jinja2.TemplateError):
    """What a template's own `raise_exception` raises."""


@functools.lru_cache(maxsize=32)
def compile_template(source: str) -> jinja2.Template:
    """A template ready to be rendered. Raises ValueError, with the line, for invalid Jinja."""
    try:
        return ENVIRONMENT.from_string(Limiter().visit(ENVIRONMENT.parse(source)))
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from error
    except (jinja2.TemplateError, SyntaxError, RecursionError, ArithmeticError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def render_template(
    template: jinja2.Template, variables: dict[str, Any], seconds: float = MAX_SECONDS
) -> str:
    """The text a template makes. Raises TemplateRefusal, or ValueError for what fails in it."""
    token = _deadline.set(time.thread_time() + seconds)
    try:
        pieces: list[str] = []
        length = 0
        for piece in template.generate(**variables):
            length += len(piece)
            check_limits(length)
            pieces.append(piece)
        return "".join(pieces)
    except TemplateRefusal:
        raise
    except Exception as error:  # a template is a program and can fail as any program can
        raise ValueError(f"{type(error).__name__}: {error}") from error
    finally:
        _deadline.reset(token)


# --- Limits ---------------------------------------------------------------------------------------


def check_limits(length: int) -> None:
    """Raise SecurityError once the time is spent, or for a text or list of too great a length."""
    if time.thread_time() > _deadline.get():
        raise SecurityError("the template runs for too long")
    if length > MAX_LENGTH:
        raise SecurityError(f"the template makes a text of more than {MAX_LENGTH} characters")


def length_of(value: object) -> int:
    return len(value) if isinstance(value, Sized) else 0


def counted(items: Iterable) -> Iterator:
    """The items of a `for` loop, as long as there is time."""
    for item in items:
        check_limits(0)
        yield item


def joined(parts: Iterable, separator: str = "") -> str:
    """The operator `~`, and what all joining comes down to."""
    texts = [str(part) for part in parts]
    check_limits(sum(map(len, texts)) + len(texts) * len(separator))
    return separator.join(texts)


@pass_environment
def join(
    environment: jinja2.Environment,
    items: Iterable,
    separator: str = "",
    attribute: str | int | None = None,
) -> str:
    """The filter `join`."""
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), items)
    return joined(items, str(separator))


def replaced(text: str, old: str, new: str, count: int = -1) -> str:
    """The filter and the method `replace`."""
    text, old, new = str(text), str(old), str(new)
    check_limits(len(text) + text.count(old) * len(new))
    return text.replace(old, new, -1 if count is None else count)


def formatted(text: str, *args: Any, **kwargs: Any) -> str:
    """The filter `format`, and the operator `%` on a text."""
    check_format(text)
    return str(text) % (kwargs or args)


def check_format(text: str) -> None:
    if HUGE_WIDTH.search(text):
        raise SecurityError(f"the template formats with a width of its own choice: {text[:60]!r}")


def bounded(function: Callable) -> Callable:
    """A filter that takes no huge width or count, and returns nothing huge."""

    @functools.wraps(function)  # this also copies the marks by which Jinja passes its context
    def checked(*args: Any, **kwargs: Any) -> Any:
        check_numbers(args[1:], kwargs)
        result = function(*args, **kwargs)
        check_limits(length_of(result))
        return result

    return checked


def check_numbers(args: Iterable, kwargs: dict[str, Any]) -> None:
    for value in [*args, *kwargs.values()]:
        if isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise SecurityError(f"the template asks for {value}, more than {MAX_NUMBER}")


class Limiter(NodeTransformer):
    """Sends loops and `~`, which the sandbox does not see, through `counted` and `joined`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "joined", [], [], None, None, lineno=node.lineno)


# --- The environment ------------------------------------------------------------------------------


class Generation(Extension):
    """The tag around what an assistant wrote: `{% generation %}...{% endgeneration %}`."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja as chat templates know it from transformers, within the limits above."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
        )
        own = {"tojson": to_json, "replace": replaced, "format": formatted, "join": join}
        own |= {"counted": counted, "joined": joined}  # for Limiter
        self.filters = {name: bounded(f) for name, f in (self.filters | own).items()}
        self.globals |= {"raise_exception": refuse, "strftime_now": strftime_now}
        del self.globals["lipsum"]

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*" and isinstance(left, Sized) != isinstance(right, Sized):
            text, count = (left, right) if isinstance(left, Sized) else (right, left)
            check_limits(len(text) * count if isinstance(count, int) else 0)
        elif operator == "**":
            raise SecurityError("the operator ** is not available here")
        elif operator == "%" and isinstance(left, str):
            check_format(left)
        result = super().call_binop(context, operator, left, right)
        check_limits(length_of(result))
        return result

    def wrap_str_format(self, value: Any) -> Callable | None:
        if function := super().wrap_str_format(value):
            check_format(value.__self__)
        return function

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        check_numbers(args, kwargs)
        name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
        if name == "replace" and isinstance(owner, str):
            return replaced(owner, *args)
        if name == "join" and isinstance(owner, str):
            return joined(*args, separator=owner)
        result = super().call(context, function, *args, **kwargs)
        check_limits(length_of(result))
        return result


def to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options) -> str:
    """JSON without Jinja's escapes for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def refuse(message: str) -> NoReturn:
    raise TemplateRefusal(message)


def strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


ENVIRONMENT = Sandbox()
