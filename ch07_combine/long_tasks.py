"""Questions about long lists of orders, with answers that can be graded exactly.

    4: Mia from Oslo ordered 3 hammers.
    5: Tom from Rome ordered 7 pears.

    tasks = long_tasks(150, limit=10)               # 150 orders each
    query, context = split_task(tasks[0].question)

Five questions are asked about each list, one of each kind (`KINDS`): find one order, count orders,
add up quantities, compare cities, and count the orders of things of one category. Code alone can
answer the first four. The fifth also needs to know what is a tool and what is a fruit. Tasks on
the same list share what is hard about it; `limit` should be a multiple of five.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from shared import Problem

LENGTHS = (50, 150, 450)  # orders; with Qwen's tokenizer an order has about 13 tokens
SPLITS = ("dev", "test")
KINDS = ("find", "count", "add", "compare", "category")
NAMES = ("Ana", "Ben", "Eva", "Leo", "Mia", "Sam", "Tom", "Zoe")
CITIES = ("Oslo", "Rome", "Lima", "Cairo", "Delhi", "Paris")
GOODS = {
    "a tool": ("hammers", "saws", "drills", "wrenches"),
    "a fruit": ("apples", "pears", "plums", "lemons"),
    "a piece of clothing": ("shirts", "socks", "hats", "gloves"),
    "a musical instrument": ("guitars", "violins", "flutes", "drums"),
}
THINGS = tuple(thing for things in GOODS.values() for thing in things)


@dataclass(frozen=True)
class Order:
    """One line of a list."""

    number: int
    name: str
    city: str
    quantity: int
    thing: str

    @property
    def text(self) -> str:
        """The line."""
        return f"{self.number}: {self.name} from {self.city} ordered {self.quantity} {self.thing}."


def long_tasks(num_orders: int, limit: int, split: str = "test", seed: int = 0) -> list[Problem]:
    """The first `limit` tasks about lists of this many orders; a larger limit only adds to them.

    Raises ValueError for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"the splits of long tasks are {', '.join(SPLITS)}, not {split!r}")
    tasks: list[Problem] = []
    while len(tasks) < limit:
        number = len(tasks) // len(KINDS)
        rng = random.Random(f"long tasks/{num_orders}/{split}/{seed}/{number}")
        orders = draw_orders(rng, num_orders)
        context = "\n".join(order.text for order in orders)
        for kind in KINDS:
            query, answer = draw_query(rng, orders, kind)
            id = f"orders/{num_orders}/{split}/{seed}/{number}/{kind}"
            metadata = {"kind": kind, "num_orders": num_orders}
            tasks.append(Problem(f"{query}\n\n{context}", answer, id, "orders", metadata))
    return tasks[:limit]


def split_task(question: str) -> tuple[str, str]:
    """What is asked, and the long text that it is asked about. Raises ValueError without a text."""
    query, separator, context = question.partition("\n\n")
    if not separator:
        raise ValueError("a task is a question, an empty line and a long text")
    return query, context


def draw_orders(rng: random.Random, num_orders: int) -> list[Order]:
    """Orders in which one city has more than any other: the question that compares has one
    answer."""
    while True:
        numbers = sorted(rng.sample(range(1, 10 * num_orders), num_orders))
        orders = [
            Order(i, rng.choice(NAMES), rng.choice(CITIES), rng.randint(2, 9), rng.choice(THINGS))
            for i in numbers
        ]
        first, second, *_ = Counter(order.city for order in orders).most_common()
        if first[1] > second[1]:
            return orders


def draw_query(rng: random.Random, orders: list[Order], kind: str) -> tuple[str, str]:
    """A question of a kind about these orders, and its answer. Raises ValueError for an unknown
    kind."""
    order = rng.choice(orders)
    if kind == "find":
        return f"What was ordered in order {order.number}? Answer with one word.", order.thing
    if kind == "count":
        count = sum((each.name, each.city) == (order.name, order.city) for each in orders)
        return f"How many orders are by {order.name} from {order.city}?", str(count)
    if kind == "add":
        total = sum(each.quantity for each in orders if each.thing == order.thing)
        return f"How many {order.thing} were ordered in all orders together?", str(total)
    if kind == "compare":
        cities = Counter(each.city for each in orders)
        return "From which city are the most orders?", cities.most_common(1)[0][0]
    if kind == "category":
        category = next(name for name, things in GOODS.items() if order.thing in things)
        count = sum(each.thing in GOODS[category] for each in orders)
        return f"In how many orders is the thing that was ordered {category}?", str(count)
    raise ValueError(f"{kind!r} is none of the kinds {', '.join(KINDS)}")
