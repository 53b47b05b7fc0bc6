"""What `mii eval --retrieval` tells of rankings, in plain loops."""
import collections
import math

KS = (1, 3, 8)


def figures_of(truth, found, relevant):
    """Of one query, from the labels of what it finds, in order; nothing where there is nothing to find."""
    if not relevant:
        return None
    figures = {"mrr": 1 / (1 + found.index(truth)) if truth in found else 0}
    for k in KS:
        first = found[:k]
        hits = first.count(truth)
        figures["precision", k] = hits / k
        figures["capped_precision", k] = hits / min(k, relevant)
        figures["recall", k] = hits / relevant
        figures["map", k] = sum(first[:i].count(truth) / i for i in range(1, len(first) + 1) if first[i - 1] == truth) / min(k, relevant)
        votes = collections.Counter(label for label in first if label)
        winner = next((label for label in first if label and votes[label] == max(votes.values())), None)
        figures["majority", k] = float(winner == truth)
    return figures


def check(found, expected, truths):
    """The averages over queries and over labels, as `mii eval` has them; how many were compared."""
    by_label = collections.defaultdict(list)
    for figures, truth in zip(expected, truths):
        if figures:
            by_label[truth].append(figures)
    everything = [figures for of_label in by_label.values() for figures in of_label]
    for name in everything[0]:
        averages = found["mrr"] if name == "mrr" else next(at for at in found["at"] if at["k"] == name[1])[name[0]]
        micro = sum(figures[name] for figures in everything) / len(everything)
        macro = sum(sum(f[name] for f in of_label) / len(of_label) for of_label in by_label.values()) / len(by_label)
        assert math.isclose(averages["micro"]["value"], micro, rel_tol=1e-12, abs_tol=1e-12), (found["name"], name, averages, micro)
        assert math.isclose(averages["macro"]["value"], macro, rel_tol=1e-12, abs_tol=1e-12), (found["name"], name, averages, macro)
    return 2 * len(everything[0])
