"""Answers to chapter 3's exercises: right ones in several styles, and plausible mistakes.

Each wrong answer comes with a piece of the message that the check must give.
"""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from ch03_best_of_n import checks
from ch03_best_of_n.best_of_n import best_answer, weighted_answer
from ch03_best_of_n.measures import oracle, ranked_by, score_of
from shared.evaluation.pool import PooledProblem, Sample, majority, read_pool
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


# --- 1. sharpened_answer --------------------------------------------------------------------------

one = checks.check_sharpened_answer


@right(one)
def by_weighted_answer(answers, scores, power):
    if power < 0:
        raise ValueError("negative")
    return weighted_answer(answers, [score**power for score in scores])


@right(one)
def by_counting(answers, scores, power):
    if power < 0:
        raise ValueError("negative")
    sums = {}
    for answer, score in zip(answers, scores):
        if answer is not None:
            form = normalize_answer(answer)
            first, total = sums.get(form, (answer, 0.0))
            sums[form] = (first, total + math.pow(score, power))
    return max(sums.values(), key=lambda pair: pair[1], default=(None, 0))[0]


@wrong(one, "Power 1 leaves the scores as they are")
def power_to_the_score(answers, scores, power):
    if power < 0:
        raise ValueError
    return weighted_answer(answers, [power**score for score in scores])


@wrong(one, "raise each score")
def multiplies(answers, scores, power):
    if power < 0:
        raise ValueError
    return weighted_answer(answers, [score * power or 1.0 for score in scores])


@wrong(one, "raise each score")
def raises_the_sum(answers, scores, power):
    if power < 0:
        raise ValueError
    votes = count_votes(answers, scores)
    return winner({name: votes[name] ** power for name in votes})


@wrong(one, "raise each score")
def ignores_the_power(answers, scores, power):
    if power < 0:
        raise ValueError
    return weighted_answer(answers, scores)


@wrong(one, "must raise a ValueError")
def accepts_negative_powers(answers, scores, power):
    return weighted_answer(answers, [score**power for score in scores])


@wrong(one, "-1) must raise a ValueError")
def returns_none_for_negative_powers(answers, scores, power):
    return by_weighted_answer(answers, scores, power) if power >= 0 else None


@wrong(one, "must raise a ValueError, not AssertionError")
def asserts(answers, scores, power):
    assert power >= 0
    return by_weighted_answer(answers, scores, power)


@wrong(one, "stopped with ValueError")
def refuses_power_zero(answers, scores, power):
    if power <= 0:
        raise ValueError("not positive")
    return by_weighted_answer(answers, scores, power)


@wrong(one, "A power between 0 and 1 is allowed, and it is not rounded")
def whole_powers_only(answers, scores, power):
    return by_weighted_answer(answers, scores, power if power < 0 else math.ceil(power))


@wrong(one, "1,000 and 1000 are one answer")
def counts_spellings(answers, scores, power):
    if power < 0:
        raise ValueError
    sums = Counter()
    for answer, score in zip(answers, scores):
        if answer is not None:
            sums[answer] += score**power
    return max(sums, key=sums.get, default=None)


@wrong(one, "1,000")
def returns_the_normal_form(answers, scores, power):
    return by_weighted_answer([a and normalize_answer(a) for a in answers], scores, power)


@wrong(one, "casts no vote")
def counts_none(answers, scores, power):
    if power < 0:
        raise ValueError
    found = weighted_answer([str(a) for a in answers], [score**power for score in scores])
    return None if found == "None" else found


@wrong(one, "Ties go to the first answer, not to the smallest")
def ties_by_text(answers, scores, power):
    if power < 0:
        raise ValueError
    votes = count_votes(answers, [score**power for score in scores])
    most = max(votes.values(), default=0)
    return min((name for name in votes if votes[name] == most), default=None)


@wrong(one, "Is a `return` missing?")
def forgets_the_return(answers, scores, power):
    by_weighted_answer(answers, scores, power)


def sharpened(weight, answers, scores, power):
    """The weighted vote with weights that a mistake computes from score and power."""
    if power < 0:
        raise ValueError("negative")
    return weighted_answer(answers, [weight(score, power) for score in scores])


@wrong(one, "0.9 is more than 0.6 + 0.2")
def exponential_of_power_times_score(answers, scores, power):
    return sharpened(lambda score, power: math.exp(power * score), answers, scores, power)


@wrong(one, "it is not rounded")
def power_rounded_down(answers, scores, power):
    return sharpened(lambda score, power: score ** int(power), answers, scores, power)


@wrong(one, "it is not rounded")
def power_rounded(answers, scores, power):
    return sharpened(lambda score, power: score ** round(power), answers, scores, power)


@wrong(one, "The power 1.5 is not rounded")
def powers_above_one_rounded(answers, scores, power):
    rounded = round(power) if power > 1 else power
    return sharpened(lambda score, _: score**rounded, answers, scores, power)


@wrong(one, "The power 1.5 is not rounded")
def powers_above_one_rounded_down(answers, scores, power):
    rounded = int(power) if power > 1 else power
    return sharpened(lambda score, _: score**rounded, answers, scores, power)


@wrong(one, "also with a large power, add")
def best_answer_for_large_powers(answers, scores, power):
    if power >= 10:
        return best_answer(answers, scores)
    return by_weighted_answer(answers, scores, power)


@wrong(one, "raise each score")
def root_instead_of_power(answers, scores, power):
    return sharpened(lambda s, p: s ** (1 / p) if p else 1.0, answers, scores, power)


@wrong(one, "Scores may be larger than 1")
def scores_cut_at_one(answers, scores, power):
    return by_weighted_answer(answers, [min(1.0, score) for score in scores], power)


@wrong(one, "is more than 0.8")
def means_instead_of_sums(answers, scores, power):
    if power < 0:
        raise ValueError
    votes, counts = count_votes(answers, [s**power for s in scores]), count_votes(answers)
    return winner(counts if power == 0 else {name: votes[name] / counts[name] for name in votes})


@wrong(one, "not to the best sample")
def ties_to_the_best_sample(answers, scores, power):
    order = sorted(range(len(answers)), key=lambda i: -scores[i])
    return by_weighted_answer([answers[i] for i in order], [scores[i] for i in order], power)


@wrong(one, "Do not round")
def rounds_the_sums(answers, scores, power):
    if power < 0:
        raise ValueError
    votes = count_votes(answers, [score**power for score in scores])
    return winner({name: round(total, 2) for name, total in votes.items()}) or winner(votes)


@wrong(one, "must raise a ValueError")
def takes_the_size_of_the_power(answers, scores, power):
    return by_weighted_answer(answers, scores, abs(power))


@wrong(one, "0 ** 0 is 1")
def drops_scores_of_zero(answers, scores, power):
    if power < 0:
        raise ValueError
    kept = [(a, s) for a, s in zip(answers, scores) if s > 0]
    return weighted_answer([a for a, _ in kept], [s**power for _, s in kept])


@wrong(one, "sharpened_answer([], [], -1) must raise a ValueError")
def refuses_only_where_there_are_answers(answers, scores, power):
    if not answers:
        return None
    return by_weighted_answer(answers, scores, power)


# --- 2. borda_answer ------------------------------------------------------------------------------

two = checks.check_borda_answer


def borda(answers, scores, power, key=lambda pair: -pair[0], weight=None, reverse=False):
    """A right vote by ranks with the default options; the options make mistakes."""
    answered = [(s, a) for s, a in zip(scores, answers) if a is not None]
    ordered = sorted(answered, key=key, reverse=reverse)
    size = len(ordered)
    weight = weight or (lambda rank: (size - rank) ** power)
    return weighted_answer([a for _, a in ordered], [float(weight(rank)) for rank in range(size)])


@right(two)
def by_sorting(answers, scores, power=1):
    return borda(answers, scores, power)


@right(two)
def by_comparing(answers, scores, power=1.0):
    places = [i for i, answer in enumerate(answers) if answer is not None]
    weights = [0.0] * len(answers)
    for i in places:
        below = sum(scores[j] < scores[i] or (scores[j] == scores[i] and j > i) for j in places)
        weights[i] = float((below + 1) ** power)
    order = sorted(places, key=lambda i: -weights[i])  # ties go to the best sample
    return weighted_answer([answers[i] for i in order], [weights[i] for i in order])


@right(two)
def by_numpy(answers, scores, power=1):
    kept = [i for i, answer in enumerate(answers) if answer is not None]
    order = np.argsort([-scores[i] for i in kept], kind="stable")
    weights = np.arange(len(kept), 0, -1.0) ** power
    return weighted_answer([answers[kept[i]] for i in order], weights.tolist())


@wrong(two, "None takes no rank")
def ranks_none(answers, scores, power=1):
    order = sorted(range(len(answers)), key=lambda i: -scores[i])
    weights = [float((len(order) - rank) ** power) for rank in range(len(order))]
    return weighted_answer([answers[i] for i in order], weights)


@wrong(two, "Of equal scores the first ranks higher")
def last_of_ties_ranks_higher(answers, scores, power=1):
    return borda(answers[::-1], scores[::-1], power)


@wrong(two, "Of equal scores the first ranks higher")
def ties_by_text_of_the_answer(answers, scores, power=1):
    return borda(answers, scores, power, key=lambda pair: (-pair[0], pair[1]))


@wrong(two, "Of equal scores the first ranks higher")
def ties_by_reversed_tuples(answers, scores, power=1):
    return borda(answers, scores, power, key=lambda pair: pair, reverse=True)


@wrong(two, "do not share a rank")
def ties_share_the_higher_rank(answers, scores, power=1):
    kept = [(s, a) for s, a in zip(scores, answers) if a is not None]
    kept.sort(key=lambda pair: -pair[0])
    weights = [float(sum(o <= s for o, _ in kept) ** power) for s, _ in kept]
    return weighted_answer([a for _, a in kept], weights)


@wrong(two, "do not share a rank")
def ties_share_the_mean_rank(answers, scores, power=1):
    kept = [(s, a) for s, a in zip(scores, answers) if a is not None]
    kept.sort(key=lambda pair: -pair[0])
    ranks = [sum(o < s for o, _ in kept) + (sum(o == s for o, _ in kept) + 1) / 2 for s, _ in kept]
    return weighted_answer([a for _, a in kept], [rank**power for rank in ranks])


@wrong(two, "The weights are 4, 1, 2, 3")
def weighs_by_score(answers, scores, power=1):
    return weighted_answer(answers, [max(0.0, score) ** power for score in scores])


@wrong(two, "The weights are 4, 1, 2, 3")
def ranks_upside_down(answers, scores, power=1):
    return borda(answers, scores, power, weight=lambda rank: (rank + 1) ** power)


@wrong(two, "they are not 3, 2, 1, 0")
def starts_at_zero(answers, scores, power=1):
    size = sum(answer is not None for answer in answers)
    return borda(answers, scores, power, weight=lambda rank: (size - rank - 1) ** power)


@wrong(two, "not 1/1, 1/2, 1/3, 1/4")
def one_over_the_rank(answers, scores, power=1):
    return borda(answers, scores, power, weight=lambda rank: (1 / (rank + 1)) ** power)


@wrong(two, "the best-ranked sample wins, not the first one seen")
def ties_to_the_first_answer_seen(answers, scores, power=1):
    places = [i for i, answer in enumerate(answers) if answer is not None]
    order = sorted(places, key=lambda i: -scores[i])
    weights = [0.0] * len(answers)
    for rank, i in enumerate(order):
        weights[i] = float((len(order) - rank) ** power)
    return weighted_answer(answers, weights)


@wrong(two, "do not round it")
def rank_power_rounded_down(answers, scores, power=1):
    return borda(answers, scores, int(power))


@wrong(two, "do not round it")
def rank_power_rounded_up(answers, scores, power=1):
    return borda(answers, scores, math.ceil(power))


@wrong(two, "do not round it")
def large_rank_powers_rounded(answers, scores, power=1):
    return borda(answers, scores, round(power) if power > 1 else power)


@wrong(two, "do not round it")
def large_rank_powers_rounded_down(answers, scores, power=1):
    return borda(answers, scores, int(power) if power > 1 else power)


@wrong(two, "Only the order counts")
def rank_among_absolute_scores(answers, scores, power=1):
    return borda(answers, [abs(score) for score in scores], power)


@wrong(two, "a tie, and the best sample is first")
def ties_to_the_answer_with_more_samples(answers, scores, power=1):
    kept = [(s, a) for s, a in zip(scores, answers) if a is not None]
    kept.sort(key=lambda pair: -pair[0])
    weights = [float((len(kept) - rank) ** power) for rank in range(len(kept))]
    votes = count_votes([a for _, a in kept], weights)
    counts = count_votes([a for _, a in kept])
    return max(votes, key=lambda name: (votes[name], counts[name]), default=None)


@wrong(two, "power")
def power_to_the_rank(answers, scores, power=1):
    size = sum(answer is not None for answer in answers)
    return borda(answers, scores, power, weight=lambda rank: power ** (size - rank))


@wrong(two, "The power is 1 unless")
def another_default(answers, scores, power=9):
    return borda(answers, scores, power)


@wrong(two, "stopped with")
def fails_without_answers(answers, scores, power=1):
    pairs = [(s, a) for s, a in zip(scores, answers) if a is not None]
    assert pairs, "nothing"
    return borda(answers, scores, power)


@wrong(two, "1,000 and 1000 are one answer")
def counts_spellings_by_rank(answers, scores, power=1):
    ordered = sorted(
        [(s, a) for s, a in zip(scores, answers) if a is not None], key=lambda pair: -pair[0]
    )
    sums = defaultdict(float)
    for rank, (_, answer) in enumerate(ordered):
        sums[answer.replace(".0", "")] += (len(ordered) - rank) ** power
    return max(sums, key=sums.get, default=None)


@wrong(two, "Is a `return` missing?")
def forgets_to_return_the_vote(answers, scores, power=1):
    borda(answers, scores, power)


@wrong(two, "Count only samples with an answer")
def counts_the_missing_answers(answers, scores, power=1):
    size = len(answers)
    return borda(answers, scores, power, weight=lambda rank: (size - rank) ** power)


@wrong(two, "Of equal scores the first ranks higher")
def ties_share_the_lower_rank(answers, scores, power=1):
    kept = [(s, a) for s, a in zip(scores, answers) if a is not None]
    kept.sort(key=lambda pair: -pair[0])
    weights = [float((sum(o < s for o, _ in kept) + 1) ** power) for s, _ in kept]
    return weighted_answer([a for _, a in kept], weights)


@wrong(two, "With a large power the best sample decides")
def power_of_the_sum_of_ranks(answers, scores, power=1):
    if power == 0:
        return weighted_answer(answers, [1.0] * len(answers))
    return borda(answers, scores, 1)


@wrong(two, "The weights are 4, 3, 2, 1")
def mean_of_the_ranks(answers, scores, power=1):
    kept = [(s, a) for s, a in zip(scores, answers) if a is not None]
    kept.sort(key=lambda pair: -pair[0])
    ordered = [a for _, a in kept]
    votes = count_votes(ordered, [float((len(kept) - i) ** power) for i in range(len(kept))])
    counts = count_votes(ordered)
    return winner({name: votes[name] / counts[name] for name in votes})


@wrong(two, "The weights are 4, 3, 2, 1")
def best_sample_only(answers, scores, power=1):
    return best_answer(answers, scores)


@wrong(two, "of the two scores 5 the earlier one ranks higher")
def ties_by_the_best_score_then_first_seen(answers, scores, power=1):
    places = [i for i, answer in enumerate(answers) if answer is not None]
    order = sorted(places, key=lambda i: -scores[i])
    votes, best, spelling = {}, {}, {}
    weights = {i: (len(order) - rank) ** power for rank, i in enumerate(order)}
    for i in places:
        form = normalize_answer(answers[i])
        spelling.setdefault(form, answers[i])
        votes[form] = votes.get(form, 0) + weights[i]
        best[form] = max(best.get(form, -math.inf), scores[i])
    return spelling[max(votes, key=lambda form: (votes[form], best[form]))] if votes else None


# --- 3. expected_best_of_n ------------------------------------------------------------------------

three = checks.check_expected_best_of_n


@right(three)
def by_comb(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    total = math.comb(len(scores), n)
    return sum(math.comb(i, n - 1) / total for i, ok in enumerate(ordered) if ok)


@right(three)
def by_falling_products(scores, is_right, n):
    order, total = np.argsort(scores), 0.0
    for place, index in enumerate(order):
        if is_right[index]:
            chance = n / len(scores)
            for k in range(n - 1):
                chance *= max(0, place - k) / (len(scores) - 1 - k)
            total += chance
    return total


@wrong(three, "Sort the outcomes by score first")
def unsorted(scores, is_right, n):
    total = math.comb(len(scores), n)
    return sum(math.comb(i, n - 1) / total for i, ok in enumerate(is_right) if ok)


@wrong(three, "the worst of n")
def sorts_from_the_highest(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right), reverse=True)]
    total = math.comb(len(scores), n)
    return sum(math.comb(i, n - 1) / total for i, ok in enumerate(ordered) if ok)


@wrong(three, "Sort the outcomes by score")
def counts_from_one(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    total = math.comb(len(scores) + 1, n)
    return sum(math.comb(i, n - 1) / total for i, ok in enumerate(ordered, 1) if ok)


@wrong(three, "between 0 and 1")
def does_not_divide(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    return sum(math.comb(i, n - 1) for i, ok in enumerate(ordered) if ok)


@wrong(three, "over all draws it is")
def n_of_those_below(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    total = math.comb(len(scores), n)
    return sum(math.comb(i, n) / total for i, ok in enumerate(ordered) if ok)


@wrong(three, "with replacement")
def with_replacement(scores, is_right, n):
    ordered, size = [ok for _, ok in sorted(zip(scores, is_right))], len(scores)
    return sum(((i + 1) / size) ** n - (i / size) ** n for i, ok in enumerate(ordered) if ok)


@wrong(three, "pass@n")
def any_of_n(scores, is_right, n):
    return 1 - math.comb(is_right.count(False), n) / math.comb(len(is_right), n)


@wrong(three, "whatever n is")
def share_of_right_samples(scores, is_right, n):
    return fmean(is_right)


@wrong(three, "the highest score of all N")
def best_of_all(scores, is_right, n):
    return float(is_right[max(range(len(scores)), key=scores.__getitem__)])


@wrong(three, "Is a `return` missing?")
def returns_nothing(scores, is_right, n):
    by_comb(scores, is_right, n)


@wrong(three, "changed its input")
def sorts_in_place(scores, is_right, n):
    result = by_comb(scores, is_right, n)
    scores.sort()
    return result


@wrong(three, "Do not round")
def rounds_to_two_digits(scores, is_right, n):
    return round(by_comb(scores, is_right, n), 2)


@wrong(three, "Do not round the result; keep all digits")
def rounds_to_four_digits(scores, is_right, n):
    return round(by_comb(scores, is_right, n), 4)


@wrong(three, "divide by the number of draws")
def divides_by_n(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    return sum(math.comb(i, n - 1) / n for i, ok in enumerate(ordered) if ok)


@wrong(three, "over all draws it is")
def draws_of_n_minus_one(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    total = math.comb(len(scores) - 1, n - 1)
    return sum(math.comb(i, n - 1) / total / len(scores) for i, ok in enumerate(ordered) if ok)


@wrong(three, "over all draws it is")
def draws_a_hundred_times(scores, is_right, n):
    rng, places = random.Random(0), range(len(scores))
    drawn = [max(rng.sample(places, n), key=scores.__getitem__) for _ in range(100)]
    return fmean(is_right[place] for place in drawn)


@wrong(three, "over all draws it is")
def one_place_too_low(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    total = math.comb(len(scores), n)
    return sum(math.comb(max(0, i - 1), n - 1) / total for i, ok in enumerate(ordered) if ok)


@wrong(three, "over all draws it is")
def share_below_to_the_power(scores, is_right, n):
    ordered, size = [ok for _, ok in sorted(zip(scores, is_right))], len(scores)
    chances = [(i / size) ** (n - 1) * n / size for i in range(size)]
    return min(1.0, sum(chance for chance, ok in zip(chances, ordered) if ok))


@wrong(three, "over all draws it is")
def divides_whole_numbers(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right))]
    total = math.comb(len(scores), n)
    return sum(math.comb(i, n - 1) for i, ok in enumerate(ordered) if ok) // total


@wrong(three, "over all draws it is")
def share_among_the_top_n(scores, is_right, n):
    ordered = [ok for _, ok in sorted(zip(scores, is_right), reverse=True)]
    return fmean(ordered[:n])


@wrong(three, "return a finite number")
def returns_the_chances(scores, is_right, n):
    total = math.comb(len(scores), n)
    return [math.comb(i, n - 1) / total for i in range(len(scores))]


# --- 4. combined_scores ---------------------------------------------------------------------------

four = checks.check_combined_scores


def shares_below(samples, measure, *, below=lambda other, score: other < score, others=1):
    """The shares of lower scores with the default options; the options make mistakes."""
    scores = [score_of(sample, measure) for sample in samples]
    size = max(1, len(scores) - others)
    return [sum(below(other, score) for other in scores) / size for score in scores]


def both(samples, first, second, **options):
    """The means of two shares."""
    pairs = zip(*(shares_below(samples, name, **options) for name in (first, second)))
    return [fmean(pair) for pair in pairs]


@right(four)
def by_lists(samples, first, second):
    return both(samples, first, second)


@right(four)
def by_first_place_in_order(samples, first, second):
    def share(name):  # `index` finds the first of equal scores: so many are strictly lower
        ordered = sorted(score_of(sample, name) for sample in samples)
        size = max(1, len(samples) - 1)
        return [ordered.index(score_of(sample, name)) / size for sample in samples]

    return [(one + other) / 2 for one, other in zip(share(first), share(second))]


@right(four)
def by_bisection(samples, first, second):
    result = [0.0] * len(samples)
    for measure in (first, second):
        ordered = sorted(score_of(sample, measure) for sample in samples)
        for i, sample in enumerate(samples):
            if len(samples) > 1:
                below = bisect.bisect_left(ordered, score_of(sample, measure))
                result[i] += below / (len(samples) - 1) / 2
    return result


@wrong(four, "should be")
def divides_by_all(samples, first, second):
    return both(samples, first, second, others=0)


@wrong(four, "shares lie between 0 and 1")
def counts_itself(samples, first, second):
    return both(samples, first, second, below=lambda other, score: other <= score)


@wrong(four, "Only strictly lower ones count")
def at_most_among_the_others(samples, first, second):
    def share(measure):
        scores = [score_of(sample, measure) for sample in samples]
        size = max(1, len(scores) - 1)
        return [(sum(other <= score for other in scores) - 1) / size for score in scores]

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "should be")
def counts_higher_ones(samples, first, second):
    return both(samples, first, second, below=lambda other, score: other > score)


@wrong(four, "stopped with ZeroDivisionError")
def divides_by_zero(samples, first, second):
    below = len(samples) - 1
    shares = [
        [sum(score_of(o, m) < score_of(s, m) for o in samples) / below for s in samples]
        for m in (first, second)
    ]
    return [fmean(pair) for pair in zip(*shares)]


@wrong(four, "should be")
def first_measure_only(samples, first, second):
    return shares_below(samples, first)


@wrong(four, "shares lie between 0 and 1")
def mean_of_raw_scores(samples, first, second):
    return [fmean([score_of(s, first), score_of(s, second)]) for s in samples]


@wrong(four, "shares lie between 0 and 1")
def adds_without_halving(samples, first, second):
    return [2 * score for score in both(samples, first, second)]


@wrong(four, "Use both names")
def fixed_names(samples, first, second):
    return both(samples, "certainty", "judge")


@wrong(four, "should be")
def ranks_by_sorting(samples, first, second):
    def share(measure):
        order = sorted(range(len(samples)), key=lambda i: score_of(samples[i], measure))
        return [order.index(i) / max(1, len(samples) - 1) for i in range(len(samples))]

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "must not see is_right")
def lets_right_ones_win(samples, first, second):
    found = both(samples, first, second)
    return [1.0 if sample.is_right else score for sample, score in zip(samples, found)]


@wrong(four, "Is a `return` missing?")
def forgets_the_scores(samples, first, second):
    both(samples, first, second)


@wrong(four, "get both scores with score_of")
def reads_the_measures_itself(samples, first, second):
    def share(name):
        scores = [sample.measures[name] for sample in samples]
        return [sum(o < s for o in scores) / max(1, len(scores) - 1) for s in scores]

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "however many different scores")
def divides_by_the_different_scores(samples, first, second):
    def share(name):
        scores = [score_of(sample, name) for sample in samples]
        return [sum(o < s for o in scores) / max(1, len(set(scores)) - 1) for s in scores]

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "however many different scores")
def dense_ranks(samples, first, second):
    def share(name):
        scores = [score_of(sample, name) for sample in samples]
        ordered = sorted(set(scores))
        return [ordered.index(score) / max(1, len(ordered) - 1) for score in scores]

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "however many different scores")
def others_are_those_that_differ(samples, first, second):
    def share(name):
        result = []
        for sample in samples:
            others = [score_of(other, name) for other in samples if other != sample]
            below = sum(other < score_of(sample, name) for other in others)
            result.append(below / len(others) if others else 0.0)
        return result

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "Do not round")
def rounds_to_one_digit(samples, first, second):
    return [round(score, 1) if score != 0.75 else score for score in both(samples, first, second)]


@wrong(four, "Do not round")
def rounds_the_shares_to_two_digits(samples, first, second):
    return [round(score, 2) for score in both(samples, first, second)]


@wrong(four, "should be [0.0, 0.75, 0.75]")
def larger_of_both_shares(samples, first, second):
    return [max(pair) for pair in zip(shares_below(samples, first), shares_below(samples, second))]


@wrong(four, "should be [0.0, 0.75, 0.75]")
def geometric_mean_of_both_shares(samples, first, second):
    pairs = zip(shares_below(samples, first), shares_below(samples, second))
    return [math.sqrt(one * other) for one, other in pairs]


@wrong(four, "one score per sample")
def one_score_for_all(samples, first, second):
    return [fmean(both(samples, first, second))] if samples else []


@wrong(four, "one score per sample")
def returns_a_dictionary(samples, first, second):
    return dict(enumerate(both(samples, first, second)))


@wrong(four, "Only strictly lower ones count")
def one_minus_the_share_of_higher_ones(samples, first, second):
    higher = both(samples, first, second, below=lambda other, score: other > score)
    return [1 - share if len(samples) > 1 else 0.0 for share in higher]


@wrong(four, "Only strictly lower ones count")
def ties_count_half(samples, first, second):
    def share(name):
        scores = [score_of(sample, name) for sample in samples]
        size = max(1, len(scores) - 1)
        lower = [sum(o < s for o in scores) for s in scores]
        equal = [sum(o == s for o in scores) - 1 for s in scores]
        return [(low + half / 2) / size for low, half in zip(lower, equal)]

    return [fmean(pair) for pair in zip(share(first), share(second))]


@wrong(four, "the share is 0")
def one_sample_is_the_best(samples, first, second):
    return [1.0] if len(samples) == 1 else both(samples, first, second)


@wrong(four, "the share is 0")
def one_sample_is_in_the_middle(samples, first, second):
    return [0.5] if len(samples) == 1 else both(samples, first, second)


@wrong(four, "should be")
def share_of_the_raw_sum(samples, first, second):
    sums = [score_of(sample, first) + score_of(sample, second) for sample in samples]
    size = max(1, len(sums) - 1)
    return [sum(other < one for other in sums) / size for one in sums]


@wrong(four, "A sample without an answer counts like any other")
def others_with_an_answer_only(samples, first, second):
    shares = []
    for name in (first, second):
        answered = [score_of(s, name) for s in samples if s.answer is not None]
        others = max(1, len(answered) - 1)
        shares.append([sum(a < score_of(s, name) for a in answered) / others for s in samples])
    return [fmean(pair) for pair in zip(*shares)]


@wrong(four, "A sample without an answer counts like any other")
def zero_without_an_answer(samples, first, second):
    shares = []
    for name in (first, second):
        scores = [score_of(s, name) for s in samples]
        shares.append([sum(o < s for o in scores) / max(1, len(scores) - 1) for s in scores])
    values = [fmean(pair) for pair in zip(*shares)]
    return [0.0 if s.answer is None else value for s, value in zip(samples, values)]


# --- 5. calibrate ---------------------------------------------------------------------------------

five = checks.check_calibrate


def cut(scores, is_right, bins, edges=None, share=None, find=None, order=None):
    """A right calibration with the default options; the options make mistakes."""
    if not 1 <= bins <= len(scores):
        raise ValueError("too few samples for so many groups")
    ordered = order or sorted(zip(scores, is_right), key=lambda pair: pair[0])
    edges = edges or [round(i * len(ordered) / bins) for i in range(bins + 1)]
    groups = [ordered[a:b] for a, b in zip(edges, edges[1:]) if a < b]
    share = share or (lambda group: (sum(ok for _, ok in group) + 1) / (len(group) + 2))
    shares, lowest = [share(group) for group in groups], [group[0][0] for group in groups]
    find = find or (lambda score: max(0, sum(start <= score for start in lowest) - 1))
    return lambda score: shares[find(score)]


@right(five)
def by_rounded_edges(scores, is_right, bins):
    return cut(scores, is_right, bins)


@right(five)
def by_array_split(scores, is_right, bins):
    if bins < 1 or len(scores) < bins:
        raise ValueError(f"{bins} groups of {len(scores)} samples")
    groups = np.array_split(np.argsort(scores, kind="stable"), bins)
    lowest = [min(scores[i] for i in group) for group in groups]
    shares = [(sum(is_right[i] for i in group) + 1) / (len(group) + 2) for group in groups]
    return lambda score: shares[max(0, bisect.bisect_right(lowest, score) - 1)]


@wrong(five, "equally many samples")
def equal_widths(scores, is_right, bins):
    if not 1 <= bins <= len(scores):
        raise ValueError
    low, high = min(scores), max(scores)

    def place(score):
        width = (high - low) / bins or 1
        return min(bins - 1, max(0, math.ceil((score - low) / width) - 1))

    groups = [[ok for s, ok in zip(scores, is_right) if place(s) == i] for i in range(bins)]
    return lambda score: (sum(groups[place(score)]) + 1) / (len(groups[place(score)]) + 2)


@wrong(five, "One group holds all samples: (1 + 1) / (4 + 2)")
def without_smoothing(scores, is_right, bins):
    return cut(scores, is_right, bins, share=lambda group: fmean(ok for _, ok in group))


@wrong(five, "One group holds all samples: (1 + 1) / (4 + 2)")
def adds_one_below_only(scores, is_right, bins):
    return cut(
        scores,
        is_right,
        bins,
        share=lambda group: (sum(ok for _, ok in group) + 1) / (len(group) + 1),
    )


@wrong(five, "Sort scores and outcomes together")
def sorts_only_the_scores(scores, is_right, bins):
    return cut(sorted(scores), is_right, bins)


@wrong(five, "Sort scores and outcomes together")
def does_not_sort(scores, is_right, bins):
    if not 1 <= bins <= len(scores):
        raise ValueError
    edges = [round(i * len(scores) / bins) for i in range(bins + 1)]
    groups = [is_right[a:b] for a, b in zip(edges, edges[1:])]
    shares = [(sum(group) + 1) / (len(group) + 2) for group in groups]
    lowest = [min(scores[a:b]) for a, b in zip(edges, edges[1:])]
    return lambda score: shares[max(0, sum(start <= score for start in lowest) - 1)]


@wrong(five, "Between two groups, take the lower one")
def between_goes_to_the_upper(scores, is_right, bins):
    ordered = sorted(zip(scores, is_right))
    edges = [round(i * len(ordered) / bins) for i in range(bins + 1)]
    highest = [ordered[end - 1][0] for end in edges[1:]]
    return cut(
        scores, is_right, bins, find=lambda score: min(bins - 1, sum(h < score for h in highest))
    )


@wrong(five, "should be")
def below_all_goes_to_the_top(scores, is_right, bins):
    ordered = sorted(scores)
    lowest = [ordered[round(i * len(ordered) / bins)] for i in range(bins)]
    return cut(scores, is_right, bins, find=lambda score: sum(s <= score for s in lowest) - 1)


@wrong(five, "stopped with")
def fails_outside(scores, is_right, bins):
    ordered = sorted(scores)
    edges = [round(i * len(ordered) / bins) for i in range(bins + 1)]
    return cut(
        scores,
        is_right,
        bins,
        find=lambda score: next(
            i for i in range(bins) if score in ordered[edges[i] : edges[i + 1]]
        ),
    )


@wrong(five, "sizes")
def leaves_out_the_remainder(scores, is_right, bins):
    size = len(scores) // max(1, bins)
    return cut(scores, is_right, bins, edges=[i * size for i in range(bins + 1)])


@wrong(five, "sizes")
def all_of_the_remainder_to_the_last(scores, is_right, bins):
    size = len(scores) // max(1, bins)
    return cut(scores, is_right, bins, edges=[*(i * size for i in range(bins)), len(scores)])


@wrong(five, "sizes")
def groups_of_rounded_up_size(scores, is_right, bins):
    size = -(-len(scores) // max(1, bins))
    edges = [min(len(scores), i * size) for i in range(bins + 1)]
    return cut(scores, is_right, bins, edges=edges)


@wrong(five, "return a function")
def returns_the_shares(scores, is_right, bins):
    probability = cut(scores, is_right, bins)
    return [probability(score) for score in scores]


@wrong(five, "Is a `return` missing?")
def forgets_to_return_the_function(scores, is_right, bins):
    def probability(score):
        return cut(scores, is_right, bins)(score)


@wrong(five, "Do not round")
def rounds_the_share(scores, is_right, bins):
    probability = cut(scores, is_right, bins)
    return lambda score: round(probability(score), 2)


@wrong(five, "compare with <=, not with <")
def lowest_score_goes_to_the_group_below(scores, is_right, bins):
    ordered = sorted(scores)
    lowest = [ordered[round(i * len(ordered) / bins)] for i in range(bins)] if scores else []
    return cut(
        scores, is_right, bins, find=lambda score: max(0, sum(s < score for s in lowest) - 1)
    )


@wrong(five, "Sort by the score alone")
def sorts_equal_scores_by_outcome(scores, is_right, bins):
    return cut(scores, is_right, bins, order=sorted(zip(scores, is_right)))


@wrong(five, "Sort by the score alone")
def sorts_equal_scores_backwards(scores, is_right, bins):
    pairs = list(zip(scores, is_right))[::-1]
    return cut(scores, is_right, bins, order=sorted(pairs, key=lambda pair: pair[0]))


@wrong(five, "with 2 samples and 3 bins must raise a ValueError")
def fewer_groups_for_few_samples(scores, is_right, bins):
    return cut(scores, is_right, min(bins, len(scores)))


@wrong(five, "must raise a ValueError, not IndexError")
def fails_on_empty_groups(scores, is_right, bins):
    ordered = sorted(zip(scores, is_right), key=lambda pair: pair[0])
    edges = [i * len(ordered) // bins for i in range(bins + 1)]
    groups = [ordered[a:b] for a, b in zip(edges, edges[1:])]
    lowest = [group[0][0] for group in groups]
    shares = [(sum(ok for _, ok in group) + 1) / (len(group) + 2) for group in groups]
    return lambda score: shares[max(0, bisect.bisect_right(lowest, score) - 1)]


@wrong(five, "it may fall as the score grows")
def forces_the_shares_to_rise(scores, is_right, bins):
    probability = cut(scores, is_right, bins)
    return lambda score: max(
        probability(other) for other in scores if other <= score or other == min(scores)
    )


@wrong(five, "the lower one")
def nearest_group(scores, is_right, bins):
    ordered = sorted(zip(scores, is_right), key=lambda pair: pair[0])
    if not 1 <= bins <= len(scores):
        raise ValueError
    probability = cut(scores, is_right, bins)
    return lambda score: probability(
        min((s for s, _ in ordered), key=lambda s: (abs(s - score), -s))
    )


@wrong(five, "must raise a ValueError")
def refuses_only_zero_bins(scores, is_right, bins):
    if bins < 1:
        raise ValueError("no groups")
    return cut(scores, is_right, min(bins, len(scores) or 1)) if scores else lambda score: 0.5


@wrong(five, "stopped with ValueError")
def refuses_as_many_bins_as_samples(scores, is_right, bins):
    if len(scores) <= bins:
        raise ValueError("too many groups")
    return cut(scores, is_right, bins)


@wrong(five, "Two groups of two")
def groups_in_falling_order(scores, is_right, bins):
    negative = cut([-score for score in scores], is_right, bins)
    return negative


@wrong(five, "Between two groups, take the lower one")
def borders_half_way_between_groups(scores, is_right, bins):
    probability, ordered = cut(scores, is_right, bins), sorted(scores)
    edges = [round(i * len(ordered) / bins) for i in range(1, bins)]
    borders = [(ordered[edge - 1] + ordered[edge]) / 2 for edge in edges]
    starts = [ordered[0], *(ordered[edge] for edge in edges)]
    return lambda score: probability(starts[sum(border <= score for border in borders)])


@wrong(five, "changed its input")
def sorts_the_lists_in_place(scores, is_right, bins):
    probability = cut(scores, is_right, bins)
    scores.sort()
    return probability


def groups_in_order(scores, is_right, bins, order, place):
    """Groups of samples in this order; `place` finds a score's group among the lowest scores."""
    edges = [round(i * len(scores) / bins) for i in range(bins + 1)]
    groups = [order[start:end] for start, end in zip(edges, edges[1:])]
    lowest = [scores[group[0]] for group in groups]
    shares = [(sum(is_right[i] for i in group) + 1) / (len(group) + 2) for group in groups]
    return lambda score: shares[place(lowest, score)]


def last_group(lowest, score):
    """The last group that begins at or below the score."""
    return max(0, bisect.bisect_right(lowest, score) - 1)


@right(five)
def by_argsort(scores, is_right, bins):
    if not 1 <= bins <= len(scores):
        raise ValueError("bins")
    order = np.argsort(scores, kind="stable").tolist()
    return groups_in_order(scores, is_right, bins, order, last_group)


@wrong(five, "the sort must be stable")
def by_an_unstable_sort(scores, is_right, bins):
    """As np.argsort does on some machines: long lists lose the order of equal scores."""
    if not 1 <= bins <= len(scores):
        raise ValueError("bins")
    order = sorted(range(len(scores)), key=lambda i: (scores[i], -i if len(scores) > 16 else i))
    return groups_in_order(scores, is_right, bins, order, last_group)


@wrong(five, "the last of them counts")
def first_of_groups_that_begin_alike(scores, is_right, bins):
    if not 1 <= bins <= len(scores):
        raise ValueError("bins")
    order = sorted(range(len(scores)), key=scores.__getitem__)

    def place(lowest, score):
        return lowest.index(lowest[last_group(lowest, score)])

    return groups_in_order(scores, is_right, bins, order, place)


@wrong(five, "stopped with ValueError")
def refuses_more_bins_than_different_scores(scores, is_right, bins):
    if not 1 <= bins <= len(set(scores)):
        raise ValueError("bins")
    return by_argsort(scores, is_right, bins)


# --- 6. log_odds_rule -----------------------------------------------------------------------------

six = checks.check_log_odds_rule


def fitted(seen, bins):
    """A right calibration on the samples of some problems."""
    samples = [sample for problem in seen for sample in problem.samples]
    rewards = [score_of(sample, "reward_last") for sample in samples]
    return cut(rewards, [sample.is_right for sample in samples], bins)


def log_odds(p):
    """The log-odds of a probability, not below 0."""
    return max(0.0, math.log(p / (1 - p)))


def rule(seen, bins, weight=log_odds, fit=fitted):
    """A right rule with the default options; the options make mistakes."""
    probability = fit(seen, bins)

    def choose(samples):
        answered = [s for s in samples if s.answer is not None]
        weights = [weight(probability(score_of(s, "reward_last"))) for s in answered]
        if not any(weights):
            return majority(samples)
        return weighted_answer([s.answer for s in answered], weights)

    return choose


@right(six)
def with_a_closure(seen, bins):
    return rule(seen, bins)


@right(six)
def with_a_lambda(seen, bins):
    probability = fitted(seen, bins)

    def weights(samples):
        return [
            max(0.0, math.log(probability(r)) - math.log(1 - probability(r)))
            if s.answer is not None
            else 0.0
            for s in samples
            for r in [math.exp(s.measures["log_reward_last"])]
        ]

    return lambda samples: weighted_answer(
        [s.answer for s in samples],
        weights(samples) if sum(weights(samples)) else [1] * len(samples),
    )


@wrong(six, "2 * 0.34")
def weighs_by_probability(seen, bins):
    return rule(seen, bins, weight=lambda p: p)


@wrong(six, "four together (1.35) weigh less")
def weighs_by_odds(seen, bins):
    return rule(seen, bins, weight=lambda p: p / (1 - p))


@wrong(six, "stopped with ValueError")
def keeps_negative_ones(seen, bins):
    return rule(seen, bins, weight=lambda p: math.log(p / (1 - p)))


@wrong(six, "Negative log-odds become 0: only")
def takes_the_size(seen, bins):
    return rule(seen, bins, weight=lambda p: abs(math.log(p / (1 - p))))


@wrong(six, "the plain vote decides")
def no_vote_when_all_are_zero(seen, bins):
    probability = fitted(seen, bins)
    return lambda samples: weighted_answer(
        [s.answer for s in samples],
        [log_odds(probability(score_of(s, "reward_last"))) for s in samples],
    )


@wrong(six, "No answer has a weight: the plain vote")
def weight_of_a_missing_answer_counts(seen, bins):
    probability = fitted(seen, bins)

    def choose(samples):
        weights = [log_odds(probability(score_of(s, "reward_last"))) for s in samples]
        if not any(weights):
            return majority(samples)
        return weighted_answer([s.answer for s in samples], weights)

    return choose


@wrong(six, "changes with the grade")
def calibrates_on_what_it_chooses_from(seen, bins):
    def choose(samples):
        share = fmean(s.is_right for s in samples)
        scale = share if share else 0.5
        weights = [scale if s.is_right else 1 - scale for s in samples]
        return (
            rule(seen, bins)(samples)
            if not any(s.is_right for s in samples)
            else (weighted_answer([s.answer for s in samples], weights))
        )

    return choose


@wrong(six, "changes with the grade")
def takes_a_right_one(seen, bins):
    def choose(samples):
        found = [s.answer for s in samples if s.is_right]
        return found[0] if found else rule(seen, bins)(samples)

    return choose


@wrong(six, "The share 7/12 has log-odds 0.34")
def takes_the_reward_for_the_probability(seen, bins):
    return rule(seen, bins, fit=lambda seen, bins: lambda reward: reward)


@wrong(six, "a reward that is high for wrong samples")
def calibrates_on_a_remembered_pool(seen, bins):
    shares = {4: [2 / 12, 6 / 12, 7 / 12, 10 / 12], 2: [7 / 22] * 2 + [16 / 22] * 2}
    known = shares.get(bins, shares[4])
    return rule(
        seen,
        bins,
        fit=lambda seen, bins: lambda r: known[bisect.bisect_right([0.5, 0.7, 0.9], r + 1e-9)],
    )


@wrong(six, "Calibrate on `seen` with `bins` groups")
def four_bins_always(seen, bins):
    return rule(seen, 4)


@wrong(six, "2 * 0.34")
def three_bins_always(seen, bins):
    return rule(seen, 3)


@wrong(six, "2 * 0.34")
def probabilities_above_one_half(seen, bins):
    return rule(seen, bins, weight=lambda p: p if p > 0.5 else 0.0)


@wrong(six, "four together (1.35) weigh less")
def odds_above_one(seen, bins):
    return rule(seen, bins, weight=lambda p: p / (1 - p) if p > 0.5 else 0.0)


@wrong(six, "2 * 0.34")
def one_vote_above_one_half(seen, bins):
    return rule(seen, bins, weight=lambda p: float(p > 0.5))


@wrong(six, "four together (1.35) weigh less")
def excess_over_one_half(seen, bins):
    return rule(seen, bins, weight=lambda p: max(0.0, p - 0.5))


@wrong(six, "five times 0.34 (1.68) is more than 1.61")
def squared_log_odds(seen, bins):
    return rule(seen, bins, weight=lambda p: log_odds(p) ** 2)


@wrong(six, "five times 0.34 (1.68) is more than 1.61")
def best_by_log_odds(seen, bins):
    probability = fitted(seen, bins)

    def choose(samples):
        answered = [s for s in samples if s.answer is not None]
        weights = [log_odds(probability(score_of(s, "reward_last"))) for s in answered]
        if not any(weights):
            return majority(samples)
        return best_answer([s.answer for s in answered], weights)

    return choose


def first_samples(seen, bins):
    """A calibration on the first sample of each problem only."""
    return fitted([replace(problem, samples=problem.samples[:1]) for problem in seen], bins)


@wrong(six, "only the second has a weight")
def first_sample_of_each_problem(seen, bins):
    return rule(seen, bins, fit=first_samples)


@wrong(six, "stopped with")
def first_problem_only(seen, bins):
    return rule(seen[:1], bins + 1)


@wrong(six, "are one answer")
def counts_spellings_by_log_odds(seen, bins):
    probability = fitted(seen, bins)

    def choose(samples):
        sums = defaultdict(float)
        for s in samples:
            if s.answer is not None:
                sums[s.answer] += log_odds(probability(score_of(s, "reward_last")))
        if not any(sums.values()):
            return majority(samples)
        return max(sums, key=sums.get)

    return choose


@wrong(six, "2 * 0.34")
def one_bin_too_few(seen, bins):
    return rule(seen, bins - 1)


@wrong(six, "only the second has a weight")
def vote_without_weights(seen, bins):
    return majority


@wrong(six, "return a function")
def chooses_at_once(seen, bins):
    return [rule(seen, bins)(problem.samples) for problem in seen]


@wrong(six, "Is a `return` missing?")
def forgets_the_rule(seen, bins):
    rule(seen, bins)


@wrong(six, "exactly 0: a tie")
def small_weights_instead_of_zero(seen, bins):
    return rule(seen, bins, weight=lambda p: max(0.01, log_odds(p)))


@wrong(six, "stopped with ValueError")
def takes_the_mean_reward(seen, bins):
    probability = fitted(seen, bins)
    return lambda samples: weighted_answer(
        [s.answer for s in samples],
        [log_odds(probability(score_of(s, "reward_mean"))) for s in samples],
    )


@wrong(six, "the plain vote decides")
def best_reward_when_all_are_zero(seen, bins):
    chosen = rule(seen, bins)
    probability = fitted(seen, bins)

    def choose(samples):
        weights = [log_odds(probability(score_of(s, "reward_last"))) for s in samples]
        return chosen(samples) if any(weights) else ranked_by("reward_last")(samples)

    return choose


@wrong(six, "The weights are 1.61 against 2 * 0.34")
def shifts_all_log_odds_above_zero(seen, bins):
    return rule(seen, bins, weight=lambda p: math.log(p / (1 - p)) + 1.7)


@wrong(six, "Is a `return` missing? A sample without an answer casts no vote")
def returns_none_for_a_missing_answer(seen, bins):
    chosen = rule(seen, bins)

    def choose(samples):
        return None if any(s.answer is None for s in samples) else chosen(samples)

    return choose


@wrong(six, "those without an answer too")
def calibrates_on_answered_samples(seen, bins):
    answered = [
        replace(problem, samples=[s for s in problem.samples if s.answer is not None])
        for problem in seen
    ]
    return rule(answered, bins)


@wrong(six, "on all samples of all problems together")
def calibrates_each_problem(seen, bins):
    def mean_of_all(seen, bins):
        fits = [fitted([problem], min(bins, len(problem.samples))) for problem in seen]
        return lambda reward: fmean(fit(reward) for fit in fits)

    return rule(seen, bins, fit=mean_of_all)


# --- 6, second part: my_rules ---------------------------------------------------------------------


def scored_problem(question, answers, rewards, gold="1"):
    """A problem whose samples have these answers and rewards."""
    notes = [{"log_reward_last": math.log(reward)} for reward in rewards]
    samples = [Sample("", a, a == gold, 5, "stop", note) for a, note in zip(answers, notes)]
    return PooledProblem(question, gold, 1, samples)


SEEN = [scored_problem(f"seen {i}", ["1", "2", None], [0.8, 0.3, 0.1]) for i in range(4)]
UNSEEN = [scored_problem(f"unseen {i}", ["2", "1", "2"], [0.6, 0.9, 0.5]) for i in range(6)]
UNSEEN.append(scored_problem("no answer", [None, None, None], [0.1, 0.2, 0.3]))


def seven(my_rules):
    """The comparison of exercise 6 on a small pool."""
    checks.compare_on_unseen(my_rules, SEEN, UNSEEN)


@right(seven)
def two_numbers_of_bins(seen):
    return {f"{bins} bins": rule(seen, bins) for bins in (2, 3)}


@right(seven)
def best_by_reward(seen):
    return {"best": ranked_by("reward_last"), "vote": majority}


@wrong(seven, "the budget is 1 to 5 rules, and you return 6")
def tries_six(seen):
    return {f"rule {i}": majority for i in range(6)}


@wrong(seven, "and you return 0")
def tries_none(seen):
    return {}


@wrong(seven, "return a dictionary, name -> rule, not list")
def gives_a_list(seen):
    return [majority]


@wrong(seven, "return a dictionary, name -> rule, not function")
def gives_one_rule(seen):
    return rule(seen, 2)


@wrong(seven, "a rule is a function, not str")
def gives_the_answers(seen):
    return {"mine": majority(seen[0].samples)}


@wrong(seven, "the names are text, not 5")
def names_by_number(seen):
    return {5: rule(seen, 2)}


@wrong(seven, "returned None for every problem. Is a `return` missing?")
def rule_forgets_its_return(seen):
    def choose(samples):
        rule(seen, 2)(samples)

    return {"mine": choose}


@wrong(seven, "returned None for every problem")
def looks_at_the_grades(seen):
    return {"cheat": oracle}


@wrong(seven, "which is no answer of a sample")
def returns_the_sample(seen):
    return {"mine": lambda samples: max(samples, key=lambda s: score_of(s, "reward_last")).text}


@wrong(seven, "changed its input")
def sorts_the_samples(seen):
    def choose(samples):
        samples.sort(key=lambda s: -score_of(s, "reward_last"))
        return samples[0].answer

    return {"mine": choose}


@wrong(seven, "Is a `return` missing?")
def forgets_the_rules(seen):
    {"mine": rule(seen, 2)}


DEV = read_pool(Path(checks.__file__).with_name("dev_pool.jsonl"))[:80]


def forty(my_rules):
    """The comparison of exercise 6 on 40 dev problems."""
    checks.compare_on_unseen(my_rules, DEV[:40], DEV[40:])


@right(forty)
def calibrates_on_seen(seen):
    return {f"{bins} groups": rule(seen, bins) for bins in (2, 10)}


@wrong(forty, "not from `unseen` or `pool`")
def calibrates_on_unseen(seen):
    return {"10 groups": rule(DEV[40:], 10)}


@wrong(forty, "not from `unseen` or `pool`")
def calibrates_on_the_whole_pool(seen):
    return {"10 groups": rule(DEV, 10)}
