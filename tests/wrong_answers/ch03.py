"""Answers to chapter 3's exercises: right ones in several styles, and plausible mistakes.

Each wrong answer comes with a piece of the message that the check must give.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from statistics import fmean

import numpy as np

from ch03_best_of_n import checks
from ch03_best_of_n.best_of_n import best_answer, weighted_answer
from ch03_best_of_n.measures import score_of
from shared.evaluation.pool import majority
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


@wrong(one, "score ** power")
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


@wrong(one, "must raise a ValueError: a negative power")
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


@wrong(one, "A power below 1 is allowed")
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


@wrong(two, "Power 0 is the vote")
def starts_at_zero(answers, scores, power=1):
    size = sum(answer is not None for answer in answers)
    return (
        borda(answers, scores, power, weight=lambda rank: (size - rank - 1) ** power or 1e-9)
        if (power)
        else best_answer(answers, scores)
    )


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


@wrong(three, "over all draws it is")
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


@wrong(three, "over all draws it is")
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


# --- 5. calibrate ---------------------------------------------------------------------------------

five = checks.check_calibrate


def cut(scores, is_right, bins, edges=None, share=None, find=None):
    """A right calibration with the default options; the options make mistakes."""
    ordered = sorted(zip(scores, is_right))
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
    groups = np.array_split(np.argsort(scores, kind="stable"), bins)
    lowest = [min(scores[i] for i in group) for group in groups]
    shares = [(sum(is_right[i] for i in group) + 1) / (len(group) + 2) for group in groups]
    return lambda score: shares[max(0, bisect.bisect_right(lowest, score) - 1)]


@wrong(five, "equally many samples")
def equal_widths(scores, is_right, bins):
    low, high = min(scores), max(scores)

    def place(score):
        width = (high - low) / bins or 1
        return min(bins - 1, max(0, math.ceil((score - low) / width) - 1))

    groups = [[ok for s, ok in zip(scores, is_right) if place(s) == i] for i in range(bins)]
    return lambda score: (sum(groups[place(score)]) + 1) / (len(groups[place(score)]) + 2)


@wrong(five, "should be 0.2500")
def without_smoothing(scores, is_right, bins):
    return cut(scores, is_right, bins, share=lambda group: fmean(ok for _, ok in group))


@wrong(five, "should be")
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
    size = len(scores) // bins
    return cut(scores, is_right, bins, edges=[i * size for i in range(bins + 1)])


@wrong(five, "sizes")
def all_of_the_remainder_to_the_last(scores, is_right, bins):
    size = len(scores) // bins
    return cut(scores, is_right, bins, edges=[*(i * size for i in range(bins)), len(scores)])


@wrong(five, "sizes")
def groups_of_rounded_up_size(scores, is_right, bins):
    size = -(-len(scores) // bins)
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


@wrong(six, "p = 1/2 has log-odds 0")
def weighs_by_probability(seen, bins):
    return rule(seen, bins, weight=lambda p: p)


@wrong(six, "p = 1/2 has log-odds 0")
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


@wrong(six, "reward that is high for wrong samples")
def does_not_calibrate(seen, bins):
    steps = {0.2: 1 / 6, 0.5: 0.5, 0.9: 5 / 6}
    return rule(
        seen, bins, fit=lambda seen, bins: lambda r: steps[min(steps, key=lambda s: abs(s - r))]
    )


@wrong(six, "p = 1/2 has log-odds 0")
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
