"""Answers to chapter 2's exercises: right ones in several styles, and plausible mistakes.

Each wrong answer comes with a piece of the message that the check must give.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from statistics import fmean, median, mode, pstdev, stdev

import numpy as np

from ch02_self_consistency import checks, pool_checks
from ch02_self_consistency.rules import samples_until_sure, vote_credit
from ch02_self_consistency.self_consistency import probability_ahead
from shared import LLM
from shared.evaluation.intervals import paired_difference, pass_at_k
from shared.evaluation.pool import is_right_answer, majority
from shared.grading.answers import normalize_answer
from shared.grading.voting import count_votes, winner

RIGHT: list[tuple[Callable, Callable]] = []
WRONG: list[tuple[Callable, Callable, str]] = []


def right(check: Callable) -> Callable:
    """The decorated function is a right answer to this check's exercise."""
    return lambda function: RIGHT.append((check, function)) or function


def wrong(check: Callable, message: str) -> Callable:
    """The decorated function is a wrong answer, to which the check must say this."""
    return lambda function: WRONG.append((check, function, message)) or function


def wrong_variants(check: Callable, variants: dict[str, tuple[Callable, str]]) -> None:
    """Add wrong answers that differ in one expression: name -> (function, message)."""
    for name, (function, message) in variants.items():
        function.__name__ = name
        WRONG.append((check, function, message))


# --- 1. leaders -----------------------------------------------------------------------------------

one = checks.check_leaders


@right(one)
def with_a_comprehension(votes):
    most = max(votes.values(), default=0)
    return [answer for answer, count in votes.items() if count == most]


@right(one)
def with_a_loop(votes):
    found, most = [], -1
    for answer, count in votes.items():
        if count > most:
            found, most = [], count
        if count == most:
            found.append(answer)
    return found


@right(one)
def by_sorting(votes):
    ranked = Counter(votes).most_common()
    return [answer for answer, count in ranked if count == ranked[0][1]]


@wrong(one, "Is a `return` missing")
def forgets_to_return(votes):
    most = max(votes.values(), default=0)
    [answer for answer, count in votes.items() if count == most]


@wrong(one, "return a list")
def returns_the_winner(votes):
    return winner(votes)


def with_a_running_maximum(votes):
    found, most = [], 0
    for answer, count in votes.items():
        if count >= most:
            found.append(answer)
            most = count
    return found


def changes_the_votes(votes):
    if not votes:
        return []
    first = max(votes, key=votes.get)
    found, most = [first], votes.pop(first)
    return found + [answer for answer, count in votes.items() if count == most]


wrong_variants(
    one,
    {
        "first_only": (
            lambda votes: [winner(votes)] if votes else [],
            "both have two votes",
        ),
        "last_only": (
            lambda votes: [max(reversed(votes), key=votes.get)] if votes else [],
            "both have two votes",
        ),
        "sorted_by_text": (lambda votes: sorted(with_a_loop(votes)), "keep the order"),
        "at_least_the_average": (
            lambda votes: [a for a in votes if votes[a] >= fmean(votes.values())],
            "not more than the average",
        ),
        "reversed_order": (lambda votes: with_a_loop(votes)[::-1], "keep the order"),
        "a_set": (lambda votes: set(with_a_loop(votes)), "return a list"),
        "the_dictionary": (
            lambda votes: {a: votes[a] for a in with_a_loop(votes)},
            "return a list",
        ),
        "the_counts": (
            lambda votes: [votes[a] for a in with_a_loop(votes)],
            "one answer has more votes",
        ),
        "crashes_without_votes": (
            lambda votes: (
                [a for a in votes if votes[a] == max(votes.values())] if max(votes.values()) else []
            ),
            "stopped with ValueError",
        ),
        "none_without_votes": (
            lambda votes: with_a_loop(votes) if votes else None,
            "returned None",
        ),
        "at_least_half": (
            lambda votes: [a for a in votes if votes[a] >= sum(votes.values()) / 2],
            "need not have half",
        ),
        "more_than_one_vote": (
            lambda votes: [a for a in votes if votes[a] == max(votes.values()) and votes[a] > 1],
            "only as many votes as any other",
        ),
        "never_reset": (with_a_running_maximum, "need not come first"),
        "top_two": (
            lambda votes: [a for a, _ in Counter(votes).most_common(2)],
            "one answer has more votes",
        ),
        "numbers": (
            lambda votes: [a for a in with_a_loop(votes) if a.isdigit()],
            "answers are names",
        ),
        "pops": (changes_the_votes, "changed its input"),
        "whole_votes": (
            lambda votes: [a for a in votes if votes[a] == int(max(votes.values()))],
            "need not be whole numbers",
        ),
    },
)


def rounds_weights(votes):
    whole = {answer: int(count) for answer, count in votes.items()}
    most = max(whole.values(), default=0)
    return [answer for answer, count in whole.items() if count == most]


def running_maximum_from_one(votes):
    found, most = [], 1
    for answer, count in votes.items():
        if count > most:
            found, most = [], count
        if count == most:
            found.append(answer)
    return found


wrong_variants(
    one,
    {
        "rounds_weights": (rounds_weights, "do not round"),
        "nearly_the_most": (
            lambda votes: [a for a in votes if votes[a] > max(votes.values()) - 0.5],
            "do not round",
        ),
        "running_maximum_from_one": (running_maximum_from_one, "below 1"),
        "empty_below_half": (
            lambda votes: [a for a in votes if votes[a] > sum(votes.values()) / 2],
            "need not have half",
        ),
        "pairs": (
            lambda votes: [(a, votes[a]) for a in with_a_loop(votes)],
            "one answer has more votes",
        ),
        "up_to_the_first_loser": (
            lambda votes: list(itertools.takewhile(lambda a: a in with_a_loop(votes), votes)),
            "need not come first",
        ),
        "within_a_tenth": (
            lambda votes: [a for a in votes if votes[a] >= 0.9 * max(votes.values())],
            "do not round",
        ),
        "two_at_most": (lambda votes: with_a_loop(votes)[:2], "three answers"),
        "sorted_as_numbers": (
            lambda votes: sorted(with_a_loop(votes), key=float),
            "keep the order",
        ),
        "all_if_one_is_tied": (
            lambda votes: (
                list(votes) if len(set(votes.values())) < len(votes) else with_a_loop(votes)
            ),
            "both have two votes",
        ),
        "more_than_average": (
            lambda votes: [a for a in votes if votes[a] > sum(votes.values()) / len(votes)],
            "only as many votes",
        ),
    },
)


# --- 2. vote_by_length ----------------------------------------------------------------------------

two = checks.check_vote_by_length


def by_length(
    samples, *, statistic=fmean, sign=-1, form=normalize_answer, tie_key=None, last=False
):
    """The right answer with the default options; the options make mistakes."""
    groups = defaultdict(list)
    for sample in samples:
        if sample.answer is not None:
            groups[form(sample.answer)].append(sample)
    if not groups:
        return None
    names = reversed(groups) if last else groups
    best = max(
        names,
        key=lambda name: (
            len(groups[name]),
            sign * statistic([sample.num_tokens for sample in groups[name]]),
        ),
    )
    return groups[best][0].answer


@right(two)
def with_groups(samples):
    return by_length(samples)


@right(two)
def with_count_votes(samples):
    votes = count_votes([sample.answer for sample in samples])
    leaders = with_a_loop(votes)

    def mean_length(answer):
        form = normalize_answer(answer)
        same = [s for s in samples if s.answer is not None and normalize_answer(s.answer) == form]
        return sum(s.num_tokens for s in same) / len(same)

    return min(leaders, key=mean_length) if leaders else None


@right(two)
def with_two_dictionaries(samples):
    counts, tokens, first = {}, {}, {}
    for s in samples:
        if s.answer is None:
            continue
        form = normalize_answer(s.answer)
        first.setdefault(form, s.answer)
        counts[form] = counts.get(form, 0) + 1
        tokens[form] = tokens.get(form, 0) + s.num_tokens
    best = None
    for form in counts:
        rank = (-counts[form], tokens[form] / counts[form])
        if best is None or rank < best[0]:
            best = (rank, first[form])
    return best and best[1]


def lengths_by_spelling(samples):
    votes = count_votes([sample.answer for sample in samples])
    lengths = {a: fmean(s.num_tokens for s in samples if s.answer == a) for a in votes}
    return max(votes, key=lambda a: (votes[a], -lengths[a]), default=None)


def counts_none(samples):
    counts = Counter(sample.answer for sample in samples)
    most = max(counts.values(), default=0)
    tied = [s for s in samples if counts[s.answer] == most]
    return tied[0].answer if tied else None


def most_frequent_spelling(samples):
    best = by_length(samples)
    spellings = [s.answer for s in samples if s.answer is not None]
    same = [a for a in spellings if normalize_answer(a) == normalize_answer(best)] if best else []
    return Counter(same).most_common(1)[0][0] if same else None


def a_small_penalty_per_token(samples):
    votes, first = defaultdict(float), {}
    for s in samples:
        if s.answer is not None:
            form = normalize_answer(s.answer)
            first.setdefault(form, s.answer)
            votes[form] += 1 - 0.001 * s.num_tokens
    return first[max(votes, key=votes.get)] if votes else None


def ignores_votes(samples):
    groups = defaultdict(list)
    for s in samples:
        if s.answer is not None:
            groups[s.answer].append(s.num_tokens)
    return min(groups, key=lambda a: fmean(groups[a]), default=None)


def first_of_all_samples(samples):
    ranked = sorted((s for s in samples if s.answer is not None), key=lambda s: s.num_tokens)
    return majority(ranked)


def crashes_when_empty(samples):
    return by_length(samples) or max([s.answer for s in samples if s.answer is not None])


def shortest_among_none(samples):
    votes = count_votes([sample.answer for sample in samples])
    most = max(votes.values(), default=0)
    tied = [a for a in votes if votes[a] == most]
    if len(tied) < 2:
        return winner(votes)
    return min(samples, key=lambda s: s.num_tokens).answer


def no_return_in_a_tie(samples):
    votes = count_votes([sample.answer for sample in samples])
    if len(with_a_loop(votes)) < 2:
        return winner(votes)
    by_length(samples)


wrong_variants(
    two,
    {
        "ties_to_the_first": (lambda samples: majority(samples), "samples of 4 are shorter"),
        "ties_to_the_longer": (
            lambda samples: by_length(samples, sign=1),
            "samples of 4 are shorter",
        ),
        "the_shortest_sample": (
            lambda samples: by_length(samples, statistic=min),
            "not the shortest",
        ),
        "the_longest_sample": (
            lambda samples: by_length(samples, statistic=max),
            "not the longest",
        ),
        "the_median_sample": (
            lambda samples: by_length(samples, statistic=median),
            "not medians",
        ),
        "the_spread": (
            lambda samples: by_length(samples, statistic=lambda n: max(n) - min(n)),
            "samples of 4 are shorter",
        ),
        "the_first_sample": (
            lambda samples: by_length(samples, statistic=lambda n: n[0]),
            "not the shortest",
        ),
        "equal_lengths_to_the_last": (
            lambda samples: by_length(samples, last=True),
            "the answer seen first wins",
        ),
        "spellings_apart": (
            lambda samples: by_length(samples, form=str),
            "Return its first spelling",
        ),
        "the_normal_form": (
            lambda samples: (found := by_length(samples)) and normalize_answer(found),
            "Return its first spelling",
        ),
        "lengths_by_spelling": (lengths_by_spelling, "counts all of its spellings"),
        "counts_none": (counts_none, "samples of 4 are shorter"),
        "none_votes": (
            lambda samples: (
                by_length(samples)
                if all(s.answer is not None for s in samples)
                else Counter(s.answer for s in samples).most_common(1)[0][0]
            ),
            "has no vote",
        ),
        "a_small_penalty_per_token": (a_small_penalty_per_token, "length must not matter"),
        "most_frequent_spelling": (most_frequent_spelling, "not the most frequent one"),
        "length_alone": (ignores_votes, "length must not matter"),
        "sorted_by_length": (first_of_all_samples, "compare mean lengths"),
        "crashes_when_empty": (crashes_when_empty, "stopped with ValueError"),
        "shortest_of_all": (shortest_among_none, "only the leaders take part"),
        "no_return_in_a_tie": (no_return_in_a_tie, "Is a `return` missing"),
    },
)


def shorter_of_two_leaders(samples):
    votes = count_votes([s.answer for s in samples])
    tied = with_a_loop(votes)[:2]
    lengths = {a: fmean(s.num_tokens for s in samples if s.answer == a) for a in tied}
    return min(lengths, key=lengths.get, default=None)


def running_average(samples):
    votes = count_votes([s.answer for s in samples])
    lengths = {}
    for s in samples:
        if s.answer is not None:
            form = normalize_answer(s.answer)
            lengths[form] = (lengths.get(form, s.num_tokens) + s.num_tokens) / 2
    key = lambda a: (votes[a], -lengths[normalize_answer(a)])  # noqa: E731
    return max(votes, key=key, default=None)


def tie_by_text(samples):
    votes = count_votes([s.answer for s in samples])
    lengths = {
        a: fmean(
            s.num_tokens
            for s in samples
            if s.answer is not None and normalize_answer(s.answer) == normalize_answer(a)
        )
        for a in votes
    }
    return max(votes, key=lambda a: (votes[a], -lengths[a], a), default=None)


def drops_ties_of_length(samples):
    groups = defaultdict(list)
    for s in samples:
        if s.answer is not None:
            groups[normalize_answer(s.answer)].append(s)
    ranked = {(len(g), -fmean(s.num_tokens for s in g)): g[0].answer for g in groups.values()}
    return ranked[max(ranked)] if ranked else None


wrong_variants(
    two,
    {
        "two_leaders_only": (shorter_of_two_leaders, "three answers are tied"),
        "whole_means": (
            lambda samples: by_length(samples, statistic=lambda n: sum(n) // len(n)),
            "without rounding",
        ),
        "running_average": (running_average, "add all lengths"),
        "commas_only": (
            lambda samples: by_length(samples, form=lambda a: a.replace(",", "")),
            "compare normal forms",
        ),
        "middle_of_the_range": (
            lambda samples: by_length(samples, statistic=lambda n: (min(n) + max(n)) / 2),
            "add all lengths",
        ),
        "right_ones_first": (
            lambda samples: by_length(
                [replace(s, num_tokens=s.num_tokens - s.is_right / 1000) for s in samples]
            ),
            "the answer seen first wins",
        ),
        "equal_lengths_by_text": (tie_by_text, "the answer seen first wins"),
        "equal_lengths_overwrite": (drops_ties_of_length, "the answer seen first wins"),
        "characters": (
            lambda samples: by_length(
                [replace(s, num_tokens=len(s.text)) for s in samples],
            ),
            "samples of 4 are shorter",
        ),
        "the_last_spelling": (
            lambda samples: (
                (found := by_length(samples))
                and [
                    s
                    for s in samples
                    if s.answer and normalize_answer(s.answer) == normalize_answer(found)
                ][-1].answer
            ),
            "Return its first spelling",
        ),
        "mean_over_all_none_as_zero": (
            lambda samples: by_length(
                samples, statistic=lambda n: sum(n) / len(samples) if len(n) < 3 else median(n)
            ),
            "not medians",
        ),
        "the_sample": (
            lambda samples: min(samples, key=lambda s: s.num_tokens, default=None),
            "return an answer",
        ),
    },
)


# --- 3. paired_interval ---------------------------------------------------------------------------

three = checks.check_paired_interval


def interval(a, b, *, spread=stdev, times=1.96, root=math.sqrt, mean=fmean):
    """The right answer with the default options; the options make mistakes."""
    differences = [x - y for x, y in zip(a, b)]
    middle = mean(differences)
    half = times * spread(differences) / root(len(differences))
    return middle, middle - half, middle + half


@right(three)
def with_statistics(a, b):
    return interval(a, b)


@right(three)
def with_arrays(a, b):
    differences = np.array(a, dtype=float) - np.array(b, dtype=float)
    half = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    return differences.mean(), differences.mean() - half, differences.mean() + half


@right(three)
def with_sums_and_the_exact_quantile(a, b):
    n, total, squares = len(a), 0.0, 0.0
    for x, y in zip(a, b):
        total += x - y
        squares += (x - y) ** 2
    variance = max(0.0, (squares - total * total / n) / (n - 1))
    half = 1.959964 * (variance / n) ** 0.5
    return [total / n, total / n - half, total / n + half]


def unpaired(a, b):
    half = 1.96 * math.sqrt((stdev(a) ** 2 + stdev(b) ** 2) / len(a))
    gain = fmean(a) - fmean(b)
    return gain, gain - half, gain + half


def added_half_widths(a, b):
    half = 1.96 * (stdev(a) + stdev(b)) / math.sqrt(len(a))
    gain = fmean(a) - fmean(b)
    return gain, gain - half, gain + half


def binomial(a, b):
    gain = fmean(a) - fmean(b)
    half = 1.96 * math.sqrt(abs(gain) * (1 - abs(gain)) / len(a))
    return gain, gain - half, gain + half


def only_where_they_differ(a, b):
    pairs = [(x, y) for x, y in zip(a, b) if x != y]
    if len(pairs) < 2:
        return 0.0, 0.0, 0.0
    return interval(*zip(*pairs))


def no_return_of_interval(a, b):
    interval(a, b)


def clipped(a, b):
    mean, low, high = interval(a, b)
    return mean, max(low, -1.0), min(high, 1.0)


wrong_variants(
    three,
    {
        "no_return_of_interval": (no_return_of_interval, "Is a `return` missing"),
        "unpaired": (unpaired, "different problems"),
        "added_half_widths": (added_half_widths, "the differences are"),
        "binomial": (binomial, "the differences are"),
        "b_minus_a": (lambda a, b: interval(b, a), "a minus b"),
        "absolute_differences": (
            lambda a, b: interval([abs(x - y) for x, y in zip(a, b)], [0] * len(a)),
            "a minus b",
        ),
        "population_spread": (lambda a, b: interval(a, b, spread=pstdev), "divide by n - 1"),
        "no_square_root": (lambda a, b: interval(a, b, root=lambda n: n), "not by n"),
        "no_division": (lambda a, b: interval(a, b, root=lambda n: 1), "square root of n"),
        "n_minus_1_again": (
            lambda a, b: interval(a, b, root=lambda n: math.sqrt(n - 1)),
            "not of n - 1",
        ),
        "two_errors": (lambda a, b: interval(a, b, times=2), "not 2"),
        "one_error": (lambda a, b: interval(a, b, times=1), "1.96 standard errors"),
        "ninety_percent": (lambda a, b: interval(a, b, times=1.645), "the differences are"),
        "one_spread": (
            lambda a, b: interval(a, b, times=1, root=lambda n: 1),
            "one standard deviation",
        ),
        "whole_width": (lambda a, b: interval(a, b, times=1.96 / 2), "the differences are"),
        "high_before_low": (
            lambda a, b: (interval(a, b)[0], interval(a, b)[2], interval(a, b)[1]),
            "low is the mean minus",
        ),
        "low_and_high": (lambda a, b: interval(a, b)[1:], "return three numbers"),
        "mean_and_half": (
            lambda a, b: (interval(a, b)[0], interval(a, b)[2] - interval(a, b)[0]),
            "return three numbers",
        ),
        "half_width_only": (
            lambda a, b: interval(a, b)[2] - interval(a, b)[0],
            "return three numbers",
        ),
        "of_a_alone": (lambda a, b: interval(a, [0] * len(a)), "a minus b"),
        "clipped": (clipped, "do not cut it"),
        "rounded": (lambda a, b: tuple(round(x, 2) for x in interval(a, b)), "are rounded"),
        "rounded_to_3": (lambda a, b: tuple(round(x, 3) for x in interval(a, b)), "are rounded"),
        "low_mean_high": (
            lambda a, b: tuple(sorted(interval(a, b))),
            "their order is (mean, low, high)",
        ),
        "as_text": (
            lambda a, b: tuple(f"{x:.3f}" for x in interval(a, b)),
            "finite number",
        ),
        "wins_minus_losses": (
            lambda a, b: interval([x > y for x, y in zip(a, b)], [y > x for x, y in zip(a, b)]),
            "a minus b",
        ),
        "only_where_they_differ": (only_where_they_differ, "over all problems"),
        "median_difference": (lambda a, b: interval(a, b, mean=median), "over all problems"),
        "bootstrap": (
            lambda a, b: tuple(
                float(x) for x in (np.mean(np.subtract(a, b)), *paired_difference(a, b)[1:])
            ),
            "of their standard errors",
        ),
    },
)


# --- 4. plug_in -----------------------------------------------------------------------------------

four = checks.check_plug_in


@right(four)
def as_a_formula(n, c, k):
    return 1 - (1 - c / n) ** k


@right(four)
def by_repeated_multiplication(n, c, k):
    all_fail = 1.0
    for _ in range(k):
        all_fail *= (n - c) / n
    return 1 - all_fail


@right(four)
def with_a_fraction(n, c, k):
    return float(1 - (1 - Fraction(c, n)) ** k)


@right(four)
def by_first_success(n, c, k):
    p = c / n
    return sum(p * (1 - p) ** i for i in range(k))


@wrong(four, "Is a `return` missing")
def computes_only(n, c, k):
    1 - (1 - c / n) ** k


wrong_variants(
    four,
    {
        "unbiased": (
            lambda n, c, k: pass_at_k(n, c, k) if k <= n else 1.0,
            "unbiased estimator",
        ),
        "all_wrong": (lambda n, c, k: (1 - c / n) ** k, "all k samples are wrong"),
        "all_right": (lambda n, c, k: (c / n) ** k, "all k samples are right"),
        "expected_number": (lambda n, c, k: k * c / n, "expected number"),
        "clipped_number": (lambda n, c, k: min(1.0, k * c / n), "expected number"),
        "exponent_n": (lambda n, c, k: 1 - (1 - c / n) ** n, "The exponent is k"),
        "floor_division": (lambda n, c, k: 1 - (1 - c // n) ** k, "both fail"),
        "not_all_right": (lambda n, c, k: 1 - (c / n) ** k, "not all k samples are right"),
        "share_of_k": (lambda n, c, k: 1 - (1 - c / k) ** k, "all of them can fail"),
        "swapped": (lambda n, c, k: 1 - (1 - k / n) ** c, "plug_in"),
        "one_less": (lambda n, c, k: 1 - (1 - c / n) ** (k - 1), "both fail"),
        "percent": (lambda n, c, k: 100 * (1 - (1 - c / n) ** k), "both fail"),
        "rounded": (lambda n, c, k: round(1 - (1 - c / n) ** k, 2), "this is rounded"),
        "rounded_to_4": (lambda n, c, k: round(1 - (1 - c / n) ** k, 4), "this is rounded"),
        "smoothed": (lambda n, c, k: 1 - (1 - (c + 1) / (n + 2)) ** k, "both fail"),
        "k_up_to_n": (lambda n, c, k: 1 - (1 - c / n) ** min(k, n), "The exponent is k"),
    },
)


wrong_variants(
    four,
    {
        "rounded_share": (lambda n, c, k: 1 - (1 - round(c / n, 2)) ** k, "do not round"),
        "sure_if_few_fail": (
            lambda n, c, k: 1.0 if n - c < k else 1 - (1 - c / n) ** k,
            "all of them can fail",
        ),
        "falls_from_draw_to_draw": (
            lambda n, c, k: 1 - math.prod(max(0, n - c - i) / (n - i) for i in range(min(k, n))),
            "unbiased estimator",
        ),
        "one_more": (lambda n, c, k: 1 - (1 - c / n) ** (k + 1), "both fail"),
        "exactly_one": (
            lambda n, c, k: k * (c / n) * (1 - c / n) ** (k - 1),
            "both fail",
        ),
        "whole_percent": (lambda n, c, k: round(100 * (1 - (1 - c / n) ** k)) / 100, "plug_in"),
        "zero_unless_majority": (
            lambda n, c, k: (1 - (1 - c / n) ** k) if 2 * c > n else c / n,
            "both fail",
        ),
        "halves": (lambda n, c, k: 1 - 0.5**k if c else 0.0, "both fail"),
    },
)


# --- 5. probability_ahead_dirichlet ---------------------------------------------------------------

five = checks.check_probability_ahead_dirichlet


def dirichlet(
    votes,
    draws,
    seed,
    *,
    prior=1,
    leader=winner,
    rng=None,
    rivals=None,
    divide=True,
    strict=True,
):
    """The right answer with the default options; the options make mistakes."""
    rng = random.Random(seed) if rng is None else rng
    name, wins = leader(votes), 0
    taking_part = rivals(votes) if rivals else votes
    for _ in range(draws):
        shares = {a: rng.gammavariate(count + prior, 1) for a, count in taking_part.items()}
        wins += max(shares, key=shares.get) == name
    return wins / draws if divide else wins


@right(five)
def with_gammas(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed)


@right(five)
def with_numpy(votes, draws=4000, seed=0):
    counts = list(votes.values())
    leader = counts.index(max(counts))
    shares = np.random.default_rng(seed).dirichlet([c + 1 for c in counts], size=draws)
    return float((shares.argmax(axis=1) == leader).mean())


@right(five)
def with_normalized_shares(votes, draws=4000, seed=0):
    rng, leader = random.Random(seed), max(votes, key=votes.get)
    wins = []
    for _ in range(draws):
        gammas = [rng.gammavariate(count + 1, 1) for count in votes.values()]
        shares = dict(zip(votes, [g / sum(gammas) for g in gammas]))
        wins.append(all(shares[leader] >= share for share in shares.values()))
    return sum(wins) / len(wins)


@wrong(five, "Is a `return` missing")
def only_simulates(votes, draws=4000, seed=0):
    dirichlet(votes, draws, seed)


@wrong(five, "global random numbers")
def seeds_the_global_generator(votes, draws=4000, seed=0):
    random.seed(seed)
    return dirichlet(votes, draws, seed, rng=random)


@wrong(five, "use seed")
def has_a_seed_of_its_own(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, 0)


@wrong(five, "use seed")
def has_no_seed(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, None)


@wrong(five, "exactly `draws` draws")
def ignores_draws(votes, draws=4000, seed=0):
    return dirichlet(votes, 4000, seed)


@wrong(five, "exactly `draws` draws")
def draws_one_more(votes, draws=4000, seed=0):
    return dirichlet(votes, draws + 1, seed)


@wrong(five, "all rivals take part")
def is_the_beta(votes, draws=4000, seed=0):
    return probability_ahead(votes)


@wrong(five, "all rivals take part")
def top_two_only(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed, rivals=lambda v: dict(Counter(v).most_common(2)))


@wrong(five, "looks like the count itself")
def without_the_prior(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed, prior=0)


@wrong(five, "most votes, not the first")
def first_is_the_leader(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed, leader=lambda v: next(iter(v)))


@wrong(five, "return a share")
def counts_wins(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed, divide=False)


@wrong(five, "follow the first leader only")
def any_leader_may_win(votes, draws=4000, seed=0):
    rng, most, wins = random.Random(seed), max(votes.values()), 0
    single = len(set(votes.values())) == 1
    for _ in range(draws):
        shares = {a: rng.gammavariate(count + 1, 1) for a, count in votes.items()}
        top = max(shares, key=shares.get)
        wins += top == winner(votes) if single else votes[top] == most
    return wins / draws


@wrong(five, "not independent")
def pairwise_product(votes, draws=4000, seed=0):
    leader = winner(votes)
    rivals = [a for a in votes if a != leader]
    return math.prod(probability_ahead({leader: votes[leader], a: votes[a]}) for a in rivals)


@wrong(five, "leader's share of the votes")
def leaders_share_of_votes(votes, draws=4000, seed=0):
    return max(votes.values()) / sum(votes.values())


@wrong(five, "looks like the count itself")
def above_one_half(votes, draws=4000, seed=0):
    rng, leader, wins = random.Random(seed), winner(votes), 0
    for _ in range(draws):
        shares = {a: rng.gammavariate(count, 1) for a, count in votes.items()}
        wins += shares[leader] > sum(shares.values()) / 2
    return wins / draws


@wrong(five, "not more than half")
def more_than_half(votes, draws=4000, seed=0):
    rng, leader, wins = random.Random(seed), winner(votes), 0
    for _ in range(draws):
        shares = {a: rng.gammavariate(count + 1, 1) for a, count in votes.items()}
        wins += shares[leader] > sum(shares.values()) / 2
    return wins / draws


@wrong(five, "two calls with seed=0")
def no_seed_at_zero(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed if seed else None)


@wrong(five, "do not round")
def rounds_votes(votes, draws=4000, seed=0):
    return dirichlet({a: int(count) for a, count in votes.items()}, draws, seed)


@wrong(five, "do not round")
def rounds_votes_up(votes, draws=4000, seed=0):
    return dirichlet({a: math.ceil(count) for a, count in votes.items()}, draws, seed)


@wrong(five, "multiple of 1/7")
def the_beta_for_two_answers(votes, draws=4000, seed=0):
    return probability_ahead(votes) if len(votes) == 2 else dirichlet(votes, draws, seed)


@wrong(five, "multiple of 1/1009")
def draws_a_thousand_at_most(votes, draws=4000, seed=0):
    return dirichlet(votes, min(draws, 1000), seed)


@wrong(five, "count + 0.5")
def half_a_vote_as_prior(votes, draws=4000, seed=0):
    return dirichlet(votes, draws, seed, prior=0.5)


@wrong(five, "average share")
def above_the_average(votes, draws=4000, seed=0):
    rng, leader, wins = random.Random(seed), winner(votes), 0
    for _ in range(draws):
        shares = {a: rng.gammavariate(count + 1, 1) for a, count in votes.items()}
        wins += shares[leader] > sum(shares.values()) / len(shares)
    return wins / draws if len(votes) > 1 else 1.0


@wrong(five, "the default seed is 0")
def random_by_default(votes, draws=4000, seed=None):
    return dirichlet(votes, draws, seed)


@wrong(five, "returned")
def uses_normals(votes, draws=4000, seed=0):
    rng, leader, wins = random.Random(seed), winner(votes), 0
    for _ in range(draws):
        shares = {a: rng.gauss(count + 1, 1) for a, count in votes.items()}
        wins += max(shares, key=shares.get) == leader
    return wins / draws


@wrong(five, "returned")
def draws_new_votes(votes, draws=4000, seed=0):
    rng, leader, wins = random.Random(seed), winner(votes), 0
    for _ in range(draws):
        again = Counter(
            rng.choices(list(votes), list(votes.values()), k=round(sum(votes.values())))
        )
        wins += winner(again) == leader
    return wins / draws


@wrong(five, "returned")
def one_draw_of_the_mean(votes, draws=4000, seed=0):
    rng, leader = random.Random(seed), winner(votes)
    means = {
        a: fmean(rng.gammavariate(count + 1, 1) for _ in range(draws)) for a, count in votes.items()
    }
    return float(max(means, key=means.get) == leader)


@wrong(five, "returned")
def scale_instead_of_shape(votes, draws=4000, seed=0):
    rng, leader, wins = random.Random(seed), winner(votes), 0
    for _ in range(draws):
        shares = {a: rng.gammavariate(1, count + 1) for a, count in votes.items()}
        wins += max(shares, key=shares.get) == leader
    return wins / draws


@wrong(five, "multiple of 1/7")
def rounds_the_result(votes, draws=4000, seed=0):
    return round(dirichlet(votes, draws, seed), 3)


@wrong(five, "not those of the answer that is the largest most often")
def wins_of_the_most_frequent_winner(votes, draws=4000, seed=0):
    rng, wins = random.Random(seed), Counter()
    for _ in range(draws):
        shares = {answer: rng.gammavariate(count + 1, 1) for answer, count in votes.items()}
        wins[max(shares, key=shares.get)] += 1
    return wins.most_common(1)[0][1] / draws


# --- 6. cheapest ----------------------------------------------------------------------------------

six = pool_checks.check_cheapest


def search(
    pool,
    thresholds,
    loss=1,
    *,
    batch=2,
    choose=lambda found: min(found, key=lambda each: (each[1], -each[0])),
    accept=lambda right, full, loss, pool: right >= full - loss,
    cut=True,
    full_of=majority,
    empty=None,
):
    """The right answer with the default options; the options make mistakes."""
    full = sum(is_right_answer(full_of(p.samples), p) for p in pool)
    found = []
    for threshold in thresholds:
        drawn = right_votes = 0
        for p in pool:
            answers = [s.answer for s in p.samples]
            count = samples_until_sure(answers, batch=batch, threshold=threshold)
            drawn += count
            right_votes += is_right_answer(majority(p.samples[:count] if cut else p.samples), p)
        if accept(right_votes, full, loss, pool):
            found.append((threshold, drawn))
    return choose(found) if found else empty


@right(six)
def with_a_list(pool, thresholds, loss=1):
    return search(pool, thresholds, loss)


@right(six)
def with_the_best_so_far(pool, thresholds, loss=1):
    full = sum(is_right_answer(majority(p.samples), p) for p in pool)
    best = None
    for threshold in sorted(thresholds, reverse=True):
        counts = [
            samples_until_sure([s.answer for s in p.samples], batch=2, threshold=threshold)
            for p in pool
        ]
        votes = [majority(p.samples[:count]) for p, count in zip(pool, counts)]
        lost = full - sum(is_right_answer(vote, p) for vote, p in zip(votes, pool))
        if lost <= loss and (best is None or sum(counts) < best[1]):
            best = (threshold, sum(counts))
    return best


def symmetric_loss(pool, thresholds, loss=1):
    found = []
    for threshold in thresholds:
        drawn = changed = 0
        for p in pool:
            count = samples_until_sure([s.answer for s in p.samples], batch=2, threshold=threshold)
            drawn += count
            before = is_right_answer(majority(p.samples), p)
            changed += before and not is_right_answer(majority(p.samples[:count]), p)
        if changed <= loss:
            found.append((threshold, drawn))
    return min(found, key=lambda each: (each[1], -each[0])) if found else None


def counts_tokens(pool, thresholds, loss=1):
    found = search(pool, thresholds, loss)
    return found and (found[0], found[1] * pool[0].samples[0].num_tokens)


def no_return_of_choice(pool, thresholds, loss=1):
    search(pool, thresholds, loss)


wrong_variants(
    six,
    {
        "forgets_to_return_the_choice": (no_return_of_choice, "Is a `return` missing"),
        "the_first_acceptable": (
            lambda pool, thresholds, loss=1: search(
                pool, thresholds, loss, choose=lambda found: found[0]
            ),
            "not only the first good",
        ),
        "the_last_acceptable": (
            lambda pool, thresholds, loss=1: search(
                pool, thresholds, loss, choose=lambda found: found[-1]
            ),
            "0.5 is cheaper",
        ),
        "the_lowest_acceptable": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss, choose=min),
            "safer choice",
        ),
        "ties_to_the_first": (
            lambda pool, thresholds, loss=1: search(
                pool, thresholds, loss, choose=lambda found: min(found, key=lambda e: e[1])
            ),
            "safer choice",
        ),
        "the_highest_acceptable": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss, choose=max),
            "allows one lost vote",
        ),
        "loss_ignored": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, 0),
            "allows one lost vote",
        ),
        "loss_always_one": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, 1),
            "stops too early",
        ),
        "below_loss": (
            lambda pool, thresholds, loss=1: search(
                pool,
                thresholds,
                loss,
                accept=lambda right, full, loss, pool: right > full - loss,
            ),
            "return",
        ),
        "one_too_many": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss + 1),
            "stops too early",
        ),
        "loss_as_a_share": (
            lambda pool, thresholds, loss=1: search(
                pool,
                thresholds,
                loss,
                accept=lambda right, full, loss, pool: right / len(pool) >= full / len(pool) - loss,
            ),
            "Three right votes are lost, but loss is 2",
        ),
        "against_all_problems": (
            lambda pool, thresholds, loss=1: search(
                pool,
                thresholds,
                loss,
                accept=lambda right, full, loss, pool: right >= len(pool) - loss,
            ),
            "one is lost, one is won",
        ),
        "batches_of_four": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss, batch=4),
            "batches of 2",
        ),
        "batches_of_one": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss, batch=1),
            "batches of 2",
        ),
        "votes_of_all_samples": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss, cut=False),
            "stops too early",
        ),
        "swapped_result": (
            lambda pool, thresholds, loss=1: (
                (found := search(pool, thresholds, loss)) and found[::-1]
            ),
            "The threshold comes first",
        ),
        "threshold_only": (
            lambda pool, thresholds, loss=1: (found := search(pool, thresholds, loss)) and found[0],
            "return (threshold, samples drawn)",
        ),
        "counts_tokens": (counts_tokens, "count the samples drawn"),
        "each_lost_vote_counts": (symmetric_loss, "one is lost, one is won"),
        "no_threshold_crashes": (
            lambda pool, thresholds, loss=1: min(
                [found for t in thresholds if (found := search(pool, [t], loss))],
                key=lambda each: (each[1], -each[0]),
            ),
            "no threshold is acceptable",
        ),
        "no_threshold_is_infinite": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, loss, empty=(None, math.inf)),
            "No threshold is acceptable",
        ),
        "falls_back_to_the_highest": (
            lambda pool, thresholds, loss=1: search(
                pool, thresholds, loss, empty=(max(thresholds, default=1), 6)
            ),
            "No threshold is acceptable",
        ),
        "one_too_few": (
            lambda pool, thresholds, loss=1: search(pool, thresholds, max(loss - 1, 0)),
            "allows one lost vote",
        ),
        "loss_of_zero_by_default": (
            lambda pool, thresholds, loss=0: search(pool, thresholds, loss),
            "loss should be 1",
        ),
    },
)


def full_vote_within(accept):
    def cheapest(pool, thresholds, loss=1):
        return search(pool, thresholds, loss, accept=accept)

    return cheapest


def drops_none_first(pool, thresholds, loss=1):
    answered = [replace(p, samples=[s for s in p.samples if s.answer is not None]) for p in pool]
    return search(answered, thresholds, loss)


def compares_with_gold(pool, thresholds, loss=1):
    def right(samples, p):
        return majority(samples) == p.gold

    full, found = sum(right(p.samples, p) for p in pool), []
    for threshold in thresholds:
        counts = [
            samples_until_sure([s.answer for s in p.samples], batch=2, threshold=threshold)
            for p in pool
        ]
        votes = sum(right(p.samples[:count], p) for p, count in zip(pool, counts))
        if votes >= full - loss:
            found.append((threshold, sum(counts)))
    return min(found, key=lambda each: (each[1], -each[0])) if found else None


def stops_at_the_first_bad_one(pool, thresholds, loss=1):
    best = None
    for threshold in sorted(thresholds, reverse=True):
        found = search(pool, [threshold], loss)
        if found is None:
            break
        if best is None or found[1] < best[1]:
            best = found
    return best


def any_right_sample(pool, thresholds, loss=1):
    full, found = sum(any(s.is_right for s in p.samples) for p in pool), []
    for threshold in thresholds:
        counts = [
            samples_until_sure([s.answer for s in p.samples], batch=2, threshold=threshold)
            for p in pool
        ]
        votes = sum(any(s.is_right for s in p.samples[:c]) for p, c in zip(pool, counts))
        if votes >= full - loss:
            found.append((threshold, sum(counts)))
    return min(found, key=lambda each: (each[1], -each[0])) if found else None


def with_an_early_vote(is_right, count_of=None):
    """The right answer with another early vote, or another number of samples drawn."""

    def cheapest(pool, thresholds, loss=1):
        full, found = sum(is_right_answer(majority(p.samples), p) for p in pool), []
        for threshold in thresholds:
            drawn = right = 0
            for p in pool:
                answers = [s.answer for s in p.samples]
                if count_of is None:
                    count = samples_until_sure(answers, batch=2, threshold=threshold)
                else:
                    count = count_of(answers, threshold)
                drawn += count
                right += is_right(p.samples[:count], p)
            if right >= full - loss:
                found.append((threshold, drawn))
        return min(found, key=lambda each: (each[1], -each[0])) if found else None

    return cheapest


def whole_batches(answers, threshold):
    """Its own stopping rule, which forgets the last sample of an odd number."""
    for count in range(2, len(answers), 2):
        if probability_ahead(count_votes(answers[:count])) >= threshold:
            return count
    return len(answers) // 2 * 2


def right_samples_counted(pool, thresholds, loss=1):
    def full_votes(right, full, loss, pool):
        return right >= sum(s.is_right for p in pool for s in p.samples) - loss

    return search(pool, thresholds, loss, accept=full_votes)


wrong_variants(
    six,
    {
        "wins_are_losses_too": (
            full_vote_within(lambda right, full, loss, pool: abs(full - right) <= loss),
            "is no loss",
        ),
        "no_more_than_full": (
            full_vote_within(lambda right, full, loss, pool: full - loss <= right <= full),
            "is no loss",
        ),
        "drops_none_first": (drops_none_first, "is drawn, too"),
        "compares_with_gold": (compares_with_gold, "use is_right_answer"),
        "stops_at_the_first_bad_one": (stops_at_the_first_bad_one, "look at every threshold"),
        "any_right_sample": (any_right_sample, "samples"),
        "any_right_sample_when_early": (
            with_an_early_vote(lambda samples, p: any(s.is_right for s in samples)),
            "not yet a right vote",
        ),
        "ties_count_half": (with_an_early_vote(vote_credit), "a tie, which goes to 4"),
        "the_last_sample_drawn": (
            with_an_early_vote(lambda samples, p: samples[-1].is_right),
            "a tie, which goes to 4",
        ),
        "mode_of_all_answers": (
            with_an_early_vote(
                lambda samples, p: is_right_answer(mode(s.answer for s in samples), p)
            ),
            "None and 4",
        ),
        "mode_of_spellings": (
            with_an_early_vote(
                lambda samples, p: is_right_answer(
                    mode([s.answer for s in samples if s.answer is not None] or [None]), p
                )
            ),
            "are one answer",
        ),
        "whole_batches_only": (
            with_an_early_vote(
                lambda samples, p: is_right_answer(majority(samples), p), whole_batches
            ),
            "the last batch has only one",
        ),
        "compares_shares": (
            lambda pool, thresholds, loss=1: search(
                pool,
                thresholds,
                loss,
                accept=lambda right, full, loss, pool: (
                    right / len(pool) >= full / len(pool) - loss / len(pool)
                ),
            ),
            "Compare whole numbers",
        ),
        "right_samples_counted": (right_samples_counted, "samples"),
        "nearly_as_cheap": (
            lambda pool, thresholds, loss=1: search(
                pool,
                thresholds,
                loss,
                choose=lambda found: max(
                    each for each in found if each[1] <= 1.1 * min(cost for _, cost in found)
                ),
            ),
            "only an exact tie",
        ),
        "last_answer_wins_ties": (
            lambda pool, thresholds, loss=1: search(
                pool, thresholds, loss, full_of=lambda samples: majority(samples[::-1])
            ),
            "samples",
        ),
        "mean_samples": (
            lambda pool, thresholds, loss=1: (
                (found := search(pool, thresholds, loss)) and (found[0], found[1] / len(pool))
            ),
            "count the samples drawn",
        ),
        "samples_saved": (
            lambda pool, thresholds, loss=1: (
                (found := search(pool, thresholds, loss))
                and (found[0], sum(len(p.samples) for p in pool) - found[1])
            ),
            "count the samples drawn",
        ),
        "a_list_of_all": (
            lambda pool, thresholds, loss=1: [search(pool, [t], loss) for t in thresholds],
            "return (threshold, samples drawn)",
        ),
        "stops_at_the_first_good_one": (
            lambda pool, thresholds, loss=1: next(
                (found for t in sorted(thresholds) if (found := search(pool, [t], loss))), None
            ),
            "safer choice",
        ),
        "loss_relative_to_full": (
            full_vote_within(lambda right, full, loss, pool: right >= full * (1 - loss / 10)),
            "0.5",
        ),
        "counts_each_order_once": (
            lambda pool, thresholds, loss=1: search(pool, sorted(set(thresholds))[:1], loss),
            "0.99",
        ),
    },
)


# --- 7. selective_accuracy ------------------------------------------------------------------------

seven = pool_checks.check_selective_accuracy


def share_of_leader(p):
    votes = count_votes([s.answer for s in p.samples])
    return max(votes.values(), default=0) / len(p.samples)


def selective(
    pool,
    coverage,
    *,
    agreement=share_of_leader,
    size=lambda share: max(1, round(share)),
    is_right=lambda p: is_right_answer(majority(p.samples), p),
    reverse=True,
    total=None,
):
    """The right answer with the default options; the options make mistakes."""
    ranked = sorted(pool, key=agreement, reverse=reverse)[: size(coverage * len(pool))]
    return sum(is_right(p) for p in ranked) / (total or len(ranked))


@right(seven)
def with_sorted(pool, coverage):
    return selective(pool, coverage)


@right(seven)
def with_indices(pool, coverage):
    forms = [[normalize_answer(s.answer) for s in p.samples if s.answer is not None] for p in pool]
    counts = [Counter(some).most_common(1) for some in forms]
    shares = [top[0][1] / len(p.samples) if top else 0 for top, p in zip(counts, pool)]
    order = np.argsort([-share for share in shares], kind="stable")
    chosen = order[: max(round(coverage * len(pool)), 1)]
    return float(np.mean([is_right_answer(majority(pool[i].samples), pool[i]) for i in chosen]))


def counter_of_all(p):
    return max(Counter(s.answer for s in p.samples).values()) / len(p.samples)


def of_those_who_answered(p):
    answers = [s.answer for s in p.samples if s.answer is not None]
    return max(Counter(answers).values()) / len(answers) if answers else 0


def no_return_of_accuracy(pool, coverage):
    selective(pool, coverage)


wrong_variants(
    seven,
    {
        "forgets_to_return_the_accuracy": (no_return_of_accuracy, "Is a `return` missing"),
        "share_of_right_samples": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: fmean(s.is_right for s in p.samples),
            ),
            "you return",
        ),
        "votes_for_the_right_answer": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: share_of_leader(p) * is_right_answer(majority(p.samples), p),
            ),
            "you return",
        ),
        "number_of_votes": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: max(
                    count_votes([s.answer for s in p.samples]).values(), default=0
                ),
            ),
            "agreement is a share",
        ),
        "number_of_answers": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: -len({s.answer for s in p.samples}),
            ),
            "you return",
        ),
        "least_certain": (
            lambda pool, coverage: selective(pool, coverage, reverse=False),
            "three equal answers",
        ),
        "counts_none": (
            lambda pool, coverage: selective(pool, coverage, agreement=counter_of_all),
            "a sample without an answer agrees with no other",
        ),
        "leaves_out_none": (
            lambda pool, coverage: selective(pool, coverage, agreement=of_those_who_answered),
            "a sample without an answer agrees with no other",
        ),
        "rounds_down": (
            lambda pool, coverage: selective(
                pool, coverage, size=lambda share: max(1, int(share + 1e-9))
            ),
            "so 2 are answered",
        ),
        "rounds_up": (
            lambda pool, coverage: selective(
                pool, coverage, size=lambda share: max(1, math.ceil(share - 1e-9))
            ),
            "rounds to 1",
        ),
        "may_answer_nothing": (
            lambda pool, coverage: selective(pool, coverage, size=round),
            "stopped with ZeroDivisionError",
        ),
        "nothing_is_zero": (
            lambda pool, coverage: (
                selective(pool, coverage, size=round) if round(coverage * len(pool)) else 0.0
            ),
            "at least one problem",
        ),
        "single_samples": (
            lambda pool, coverage: selective(
                pool, coverage, is_right=lambda p: fmean(s.is_right for s in p.samples)
            ),
            "two votes are right",
        ),
        "any_right_sample": (
            lambda pool, coverage: selective(
                pool, coverage, is_right=lambda p: any(s.is_right for s in p.samples)
            ),
            "two votes are right",
        ),
        "ignores_coverage": (lambda pool, coverage: selective(pool, 1.0), "three equal answers"),
        "divides_by_all": (
            lambda pool, coverage: selective(pool, coverage, total=len(pool)),
            "three equal answers",
        ),
        "number_right": (
            lambda pool, coverage: selective(pool, coverage, total=1),
            "two votes are right",
        ),
        "ties_by_right": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: (
                    share_of_leader(p),
                    is_right_answer(majority(p.samples), p),
                ),
            ),
            "comes first in the pool",
        ),
        "ties_to_the_last": (
            lambda pool, coverage: selective(pool[::-1], coverage),
            "comes first in the pool",
        ),
        "coverage_as_a_threshold": (
            lambda pool, coverage: fmean(
                [
                    is_right_answer(majority(p.samples), p)
                    for p in pool
                    if share_of_leader(p) >= coverage
                ]
                or [0]
            ),
            "all three are answered",
        ),
        "unsorted": (
            lambda pool, coverage: selective(pool, coverage, agreement=lambda p: 0),
            "three equal answers",
        ),
    },
)


def margin_over_runner_up(p):
    counts = sorted(count_votes([s.answer for s in p.samples]).values(), reverse=True)
    first, second = [*counts, 0, 0][:2]
    return (first - second) / len(p.samples)


def raw_counter(p):
    counts = Counter(s.answer for s in p.samples if s.answer is not None)
    return max(counts.values(), default=0) / len(p.samples)


wrong_variants(
    seven,
    {
        "the_margin": (
            lambda pool, coverage: selective(pool, coverage, agreement=margin_over_runner_up),
            "not its margin",
        ),
        "raw_spellings": (
            lambda pool, coverage: selective(pool, coverage, agreement=raw_counter),
            "use count_votes",
        ),
        "compares_with_the_gold_text": (
            lambda pool, coverage: selective(
                pool, coverage, is_right=lambda p: majority(p.samples) == p.gold
            ),
            "use is_right_answer",
        ),
        "half_a_point_for_a_tie": (
            lambda pool, coverage: selective(
                pool, coverage, is_right=lambda p: vote_credit(p.samples, p)
            ),
            "the one that was seen first",
        ),
        "larger_problems_first": (
            lambda pool, coverage: selective(
                pool, coverage, agreement=lambda p: (share_of_leader(p), len(p.samples))
            ),
            "the same share",
        ),
        "no_answer_is_one_vote": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: (
                    max(count_votes([s.answer for s in p.samples]).values(), default=1)
                    / len(p.samples)
                ),
            ),
            "nothing agrees in a problem without answers",
        ),
        "probability_as_agreement": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: probability_ahead(count_votes([s.answer for s in p.samples])),
            ),
            "agreement is a share",
        ),
        "first_sample": (
            lambda pool, coverage: selective(
                pool, coverage, is_right=lambda p: p.samples[0].is_right
            ),
            "the vote decides",
        ),
        "agrees_with_the_first_sample": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: fmean(s.answer == p.samples[0].answer for s in p.samples),
            ),
            "None is not an answer",
        ),
        "at_least_two_problems": (
            lambda pool, coverage: selective(pool, coverage, size=lambda x: max(2, round(x))),
            "the one with three equal answers",
        ),
        "leaves_out_empty_problems": (
            lambda pool, coverage: selective(
                [p for p in pool if any(s.answer for s in p.samples)], coverage
            ),
            "it counts as a problem",
        ),
        "pairs_that_agree": (
            lambda pool, coverage: selective(
                pool,
                coverage,
                agreement=lambda p: (
                    sum(c * c for c in count_votes([s.answer for s in p.samples]).values())
                    / len(p.samples) ** 2
                ),
            ),
            "how often two samples agree",
        ),
        "sorted_by_id": (
            lambda pool, coverage: fmean(
                is_right_answer(majority(p.samples), p)
                for _, _, p in sorted((-share_of_leader(p), str(p), p) for p in pool)[
                    : max(1, round(coverage * len(pool)))
                ]
            ),
            "comes first in the pool",
        ),
    },
)


# --- 8. trust -------------------------------------------------------------------------------------

eight = pool_checks.check_trust


@right(eight)
def agreement_then_probability(samples):
    votes = count_votes([s.answer for s in samples])
    top = winner(votes)
    logprobs = [s.measures["logprob"] for s in samples if s.answer == top]
    best = max(logprobs, default=-1000) if top is not None else -1000
    return max(votes.values(), default=0) / len(samples) + 0.01 * math.exp(best)


@right(eight)
def beta_of_the_leading_two(samples):
    return probability_ahead(count_votes([s.answer for s in samples]))


@right(eight)
def margin(samples):
    counts = [c for _, c in Counter(s.answer for s in samples if s.answer).most_common(2)]
    first, second = [*counts, 0, 0][:2]
    return (first - second) / len(samples)


@wrong(eight, "Is a `return` missing")
def forgets_it(samples):
    margin(samples)


@wrong(eight, "depends on `is_right`")
def share_right(samples):
    return fmean(s.is_right for s in samples)


@wrong(eight, "depends on `is_right`")
def leader_is_right(samples):
    top = majority(samples)
    return margin(samples) + any(s.is_right for s in samples if s.answer == top)


@wrong(eight, "must not be random")
def a_coin(samples):
    return random.random()


@wrong(eight, "sorts nothing")
def a_constant(samples):
    return 1.0


@wrong(eight, "stopped with ValueError")
def crashes_without_answers(samples):
    return max(Counter(s.answer for s in samples if s.answer).values()) / len(samples)


@wrong(eight, "stopped with StatisticsError")
def mean_of_nothing(samples):
    top = majority(samples)
    return fmean(s.measures["logprob"] for s in samples if top and s.answer == top)


@wrong(eight, "finite number")
def minus_infinity(samples):
    votes = count_votes([s.answer for s in samples])
    return math.log(max(votes.values())) if votes else -math.inf


@wrong(eight, "finite number")
def the_answer(samples):
    return majority(samples) or "none"


@wrong(eight, "deserves more trust")
def counts_missing_answers(samples):
    return max(Counter(s.answer for s in samples).values()) / len(samples)


@wrong(eight, "deserves more trust")
def upside_down(samples):
    return -margin(samples)


@wrong(eight, "changed its input")
def sorts_in_place(samples):
    samples.sort(key=lambda s: s.measures["logprob"])
    return samples[-1].measures["logprob"]


def leading(samples):
    top = winner(count_votes([s.answer for s in samples]))
    return [s for s in samples if s.answer is not None and s.answer == top]


def peeks_at_large_pools(samples):
    return margin(samples) + (len(samples) > 4 and fmean(s.is_right for s in samples))


def asks_the_model(samples):
    LLM.__new__(LLM).chat([{"role": "user", "content": "Which one?"}])
    return margin(samples)


wrong_variants(
    eight,
    {
        "improbable_winners": (
            lambda samples: -fmean([s.measures["logprob"] for s in leading(samples)] or [99]),
            "Is a sign wrong",
        ),
        "more_different_answers": (
            lambda samples: float(len({s.answer for s in samples if s.answer})),
            "Is a sign wrong",
        ),
        "longer_is_better": (
            lambda samples: fmean([s.num_tokens for s in leading(samples)] or [0]),
            "Is a sign wrong",
        ),
        "the_value_of_the_answer": (
            lambda samples: float(majority(samples) or -1),
            "Is a sign wrong",
        ),
        "minus_the_value_of_the_answer": (
            lambda samples: -float(majority(samples) or 999),
            "Is a sign wrong",
        ),
        "peeks_at_large_pools": (peeks_at_large_pools, "depends on `is_right`"),
        "asks_the_model": (asks_the_model, "no further model calls"),
        "number_of_samples": (lambda samples: float(len(samples)), "Is a sign wrong"),
        "of_the_first_sample": (
            lambda samples: float(samples[0].answer == samples[-1].answer),
            "deserves more trust",
        ),
        "spread_of_lengths": (
            lambda samples: float(max(s.num_tokens for s in samples)),
            "deserves more trust",
        ),
        "compares_with_four": (
            lambda samples: fmean(s.answer == "4" for s in samples),
            "Is a sign wrong",
        ),
        "a_list": (lambda samples: [margin(samples)], "finite number"),
    },
)


@right(eight)
def short_winners(samples):
    return margin(samples) - 1e-5 * fmean([s.num_tokens for s in leading(samples)] or [700])


@right(eight)
def few_answers(samples):
    different = {s.answer for s in samples if s.answer is not None}
    return -len(different) / len(samples) if different else -2.0
