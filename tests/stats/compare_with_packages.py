"""Figures of scikit-learn, MLstatkit, confidenceinterval and dcurves beside those of src/stats.
usage: compare_with_packages.py compare PROBE VENV    random cases, computed by both now
       compare_with_packages.py write VENV            makes tests/data/stats/cases.json"""
import json
import pathlib
import random
import subprocess
import sys

TESTS = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from oracle_environment import enter_environment  # noqa: E402

PACKAGES = ["scikit-learn==1.9.1", "MLstatkit==0.1.91", "confidenceinterval==1.0.5", "dcurves==1.1.7"]
CASES = TESTS / "data" / "stats" / "cases.json"
THRESHOLDS = [0.05, 0.25, 0.5, 0.75, 0.95]


def case(name, cases, positives, steps, signal, seed):
    """Scores are multiples of 1/1024, which float32 holds; few `steps` make many ties."""
    rng = random.Random(seed)
    positive = [1] * positives + [0] * (cases - positives)
    rng.shuffle(positive)

    def score(truth):
        value = min(max(rng.gauss(0.5 + (signal if truth else -signal), 0.25), 0), 1)
        return round(value * steps) * (1024 // steps) / 1024

    return {"name": name, "positive": positive, "scores": [score(p) for p in positive],
            "others": [score(p) for p in positive]}


def small_cases():
    yield case("a few", 6, 3, 1024, 0.1, 1)
    yield case("two of each class", 4, 2, 1024, 0.1, 2)
    yield case("separable, no ties", 40, 20, 1024, 0.12, 3)
    yield case("many ties", 60, 25, 8, 0.1, 4)
    yield case("two scores only", 30, 10, 1, 0.1, 5)
    yield case("few positives", 60, 3, 1024, 0.15, 6)
    yield case("few negatives", 60, 56, 64, 0.15, 7)
    yield case("no signal", 50, 25, 1024, 0, 8)
    yield case("against the signal", 50, 20, 256, -0.1, 9)


def random_cases(count):
    rng = random.Random(0)
    for i in range(count):
        cases = rng.randint(8, 400)
        positives = rng.randint(2, cases - 2)
        yield case(f"random {i}", cases, positives, rng.choice([1, 4, 16, 128, 1024]), rng.uniform(-0.1, 0.25), i)


def figures(one):
    import confidenceinterval
    import numpy
    import pandas
    from dcurves import dca
    from MLstatkit import Delong_test
    from sklearn import calibration, metrics

    y, p, q = (numpy.array(one[key]) for key in ("positive", "scores", "others"))
    fpr, tpr, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    precision, recall, _ = metrics.precision_recall_curve(y, p)
    z, p_value, interval, _ = Delong_test(y, p, q, return_auc=False, random_state=0)
    called = list((p >= 0.5).astype(int))
    true, said = calibration.calibration_curve(y, p, n_bins=10)
    in_bin = numpy.histogram(numpy.searchsorted(numpy.linspace(0, 1, 11)[1:-1], p), bins=range(11))[0]

    def net_benefit(prevalence):
        table = dca(pandas.DataFrame({"y": y, "model": p}), "y", ["model"], THRESHOLDS, prevalence=prevalence)
        both = [table[table["model"] == name]["net_benefit"] for name in ("model", "all")]
        return numpy.array(both).T.tolist()

    difference = p - q
    spread = 1.959963984540054 * numpy.std(difference, ddof=1)
    return {
        "auc": metrics.roc_auc_score(y, p),
        "average_precision": metrics.average_precision_score(y, p),
        "roc": numpy.array([fpr, tpr]).T.tolist(),
        "precision_recall": numpy.array([recall[:-1], precision[:-1]]).T.tolist(),
        "youden": max(tpr - fpr),
        "auc_interval": list(interval),
        "delong_z": -z,  # MLstatkit subtracts the first from the second
        "delong_p": p_value,
        "sensitivity": list(confidenceinterval.tpr_score(list(y), called, method="wilson")[1]),
        "specificity": list(confidenceinterval.tnr_score(list(y), called, method="wilson")[1]),
        "reliability": numpy.array([said, true]).T.tolist(),
        "ece": float(numpy.sum(abs(said - true) * in_bin[in_bin > 0]) / len(y)),
        "brier": metrics.brier_score_loss(y, p),
        "net_benefit": net_benefit(None),
        "net_benefit_rare": net_benefit(0.05),
        "regression": [metrics.mean_absolute_error(q, p), metrics.root_mean_squared_error(q, p),
                       metrics.r2_score(q, p), difference.mean(), difference.mean() - spread,
                       difference.mean() + spread],
    }


def largest_difference(a, b):
    if isinstance(a, list):
        return max((largest_difference(x, y) for x, y in zip(a, b, strict=True)), default=0)
    return abs(a - b)


def compare(probe):
    inputs = [*small_cases(), *random_cases(300)]
    lines = "".join(json.dumps(one) + "\n" for one in inputs)
    printed = subprocess.run([probe], input=lines, capture_output=True, text=True, check=True).stdout
    wrong = 0
    for one, line in zip(inputs, printed.splitlines(), strict=True):
        found = json.loads(line)
        for name, expected in figures(one).items():
            # As in packages_test.cpp, for sums of 400 terms.
            if not largest_difference(expected, found[name]) <= 1e-11:
                wrong += 1
                print(f"{one['name']}, {name}: expected {expected}, found {found[name]}")
    print(f"{len(inputs)} cases, {wrong} figures differ")
    return 1 if wrong else 0


def write():
    cases = [one | {"figures": figures(one)} for one in small_cases()]
    CASES.parent.mkdir(exist_ok=True)
    CASES.write_text("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]\n")
    print(f"{len(cases)} cases in {CASES}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "compare":
        enter_environment(pathlib.Path(sys.argv[3]), PACKAGES)
        sys.exit(compare(sys.argv[2]))
    if len(sys.argv) == 3 and sys.argv[1] == "write":
        enter_environment(pathlib.Path(sys.argv[2]), PACKAGES)
        sys.exit(write())
    sys.exit(__doc__)
