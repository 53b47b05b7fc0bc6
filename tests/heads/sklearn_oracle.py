"""Cases for heads with the answers of scikit-learn, SciPy and NumPy.

usage: sklearn_oracle.py make FILE             writes the small cases of tests/data/heads
       sklearn_oracle.py compare PROBE FOLDER  lets the probe check larger ones; the environment is made in FOLDER
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from oracle_environment import enter_environment

PACKAGES = ["scikit-learn==1.9.1"]


def softmax(z):
    import numpy as np
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def vectors(rng, rows, dim, labels, spread):
    """Unit vectors around a centre for each label; float32, few digits."""
    import numpy as np
    y = np.arange(rows) % labels
    x = rng.normal(size=(labels, dim))[y] + spread * rng.normal(size=(rows, dim))
    x = np.round(x / np.linalg.norm(x, axis=1, keepdims=True), 4)
    return x.astype(np.float32).astype(float), y


def one_hot(y, labels):
    import numpy as np
    return np.eye(labels, dtype=int)[y]


def case(kind, x, **members):
    import numpy as np
    members = {name: np.asarray(value).tolist() if not isinstance(value, (bool, str)) else value
               for name, value in members.items()}
    return {"kind": kind, "x": np.round(x, 4).tolist(), **members}


def logistic(rng, rows, dim, labels, c, balanced=False):
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    x, y = vectors(rng, rows, dim, labels, 0.8)
    model = LogisticRegression(C=c, tol=1e-10, max_iter=100000, class_weight="balanced" if balanced else None)
    model.fit(x, y)
    w = np.hstack([model.coef_, model.intercept_[:, None]])
    if labels == 2:
        w = np.vstack([np.zeros_like(w), w])
    return case("logistic", x, holds=one_hot(y, labels), several=False, C=c, balanced=balanced, coefficients=w,
                probabilities=model.predict_proba(x))


def label_lists(rng, rows, dim, labels, c, balanced=False):
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    x, y = vectors(rng, rows, dim, labels, 0.8)
    both = np.maximum(one_hot(y, labels), rng.random((rows, labels)) < 0.2)
    model = OneVsRestClassifier(LogisticRegression(C=c, tol=1e-10, max_iter=100000,
                                                   class_weight="balanced" if balanced else None))
    model.fit(x, both)
    w = np.vstack([np.append(e.coef_[0], e.intercept_) for e in model.estimators_])
    return case("logistic", x, holds=both.astype(int), several=True, C=c, balanced=balanced, coefficients=w,
                probabilities=model.predict_proba(x))


def ridge(rng, rows, dim, c):
    import numpy as np
    from sklearn.linear_model import Ridge
    x, _ = vectors(rng, rows, dim, 3, 0.8)
    values = np.round(100 + 30 * x[:, 0] + rng.normal(size=rows), 3)
    model = Ridge(alpha=1 / c).fit(x, values)
    return case("ridge", x, values=values, C=c, coefficients=[np.append(model.coef_, model.intercept_)])


def knn(rng, rows, dim, labels, k):
    from sklearn.neighbors import KNeighborsClassifier
    x, y = vectors(rng, rows, dim, labels, 0.8)
    queries, _ = vectors(rng, 7, dim, labels, 0.8)
    votes = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(x, y).predict_proba(queries) * k
    return case("knn", x, holds=one_hot(y, labels), k=k, queries=queries,
                probabilities=(votes + 1 / labels) / (k + 1))


def few_shot(rng, rows, dim, labels):
    """Both from their papers' formulas, in NumPy."""
    import numpy as np
    x, y = vectors(rng, rows, dim, labels, 0.8)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    x = np.round(x, 4).astype(np.float32).astype(float)
    t = rng.normal(size=(labels, dim))
    t = np.round(t / np.linalg.norm(t, axis=1, keepdims=True), 4).astype(np.float32).astype(float)
    scale, is_, n = 20.0, one_hot(y, labels), len(x)
    ss_text = []
    for balanced in (False, True):
        lam = np.maximum(np.full(labels, 1 / n) if balanced else 1 / is_.sum(axis=0), 1e-3)
        w = t + (is_.T @ x) * scale / lam[:, None] / n
        ss_text.append(scale * w / np.linalg.norm(w, axis=1, keepdims=True))
    w, b, speed_w, speed_b = is_.T @ x, np.zeros(labels), 0, 0
    mean_cosines = [(x @ t.T)[y == k].mean(axis=0) for k in range(labels)]
    alpha = np.full(labels, 250 * np.mean(mean_cosines))
    step = 4 * n / np.linalg.eigvalsh(x.T @ x).max()
    alpha_step = n / (4 * ((x @ t.T) ** 2).sum(axis=0).max())
    for i in range(300):
        d = (softmax(x @ w.T + b + alpha * (x @ t.T)) - is_) / n
        speed_w, speed_b = 0.9 * speed_w + d.T @ x, 0.9 * speed_b + d.sum(axis=0)
        w, b = w - step * speed_w, b - step * speed_b
        if i % 10 == 9:
            alpha = alpha - alpha_step * (d * (x @ t.T)).sum(axis=0)
    return case("few-shot", x, holds=is_, texts=t, logit_scale=scale, ss_text=ss_text[0], balanced=ss_text[1],
                lp_plus_plus=np.hstack([w + alpha[:, None] * t, b[:, None]]))


def calibration(rng, rows):
    """Scores of two labels, each on its own. The temperature is one for both."""
    import numpy as np
    from scipy.optimize import minimize, minimize_scalar
    from sklearn.isotonic import IsotonicRegression
    z = np.round(3 * rng.normal(size=(rows, 2)), 1)
    is_ = (rng.random((rows, 2)) < 1 / (1 + np.exp(-0.6 * z - 0.5))).astype(int)
    loss = lambda s, target: np.sum(np.logaddexp(0, s) - target * s)
    temperature = 1 / minimize_scalar(lambda a: loss(a * z, is_), bounds=(1e-2, 1e2), method="bounded",
                                      options={"xatol": 1e-12}).x
    platt, isotonic = [], []
    for s, y in zip(z.T, is_.T):
        yes, no = y.sum(), (1 - y).sum()
        target = np.where(y == 1, (yes + 1) / (yes + 2), 1 / (no + 2))
        found = minimize(lambda p: loss(-(p[0] * s + p[1]), target), [-1, 0], method="BFGS", options={"gtol": 1e-9})
        platt.append(1 / (1 + np.exp(found.x[0] * s + found.x[1])))
        isotonic.append(IsotonicRegression(out_of_bounds="clip").fit(s, y).predict(s))
    return case("calibration", z, holds=is_, temperature=temperature, platt=np.transpose(platt),
                isotonic=np.transpose(isotonic))


def points(rng, rows):
    import numpy as np
    from sklearn.metrics import f1_score, roc_curve
    p = np.round(rng.random(rows), 2).astype(np.float32)
    y = (rng.random(rows) < p).astype(int)
    fpr, tpr, thresholds = roc_curve(y, p, drop_intermediate=False)
    fpr, tpr, thresholds = fpr[1:], tpr[1:], thresholds[1:]
    yes, no = y.sum(), (1 - y).sum()
    f1 = [f1_score(y, p >= t) for t in thresholds]
    chosen = {"youden": np.argmax(tpr - fpr), "f1": np.argmax(f1),
              "sensitivity=0.9": np.argmax(tpr >= 0.9), "specificity=0.9": np.flatnonzero(1 - fpr >= 0.9)[-1],
              "cost=5": np.argmin(5 * yes * (1 - tpr) + no * fpr)}
    return case("points", p[:, None].astype(float), holds=y[:, None],
                thresholds=[float(np.round(thresholds[i], 2)) for i in chosen.values()], rules=list(chosen),
                rates=[[tpr[i], 1 - fpr[i]] for i in chosen.values()])


def cases(rng, size):
    for labels in (2, 3):
        yield logistic(rng, 12 * size, 4 * size, labels, 1.0)
    yield logistic(rng, 11 * size, 4 * size, 3, 30.0, balanced=True)
    yield logistic(rng, 11 * size, 4 * size, 2, 5.0, balanced=True)
    yield label_lists(rng, 14 * size, 3 * size, 3, 2.0)
    yield label_lists(rng, 14 * size, 3 * size, 3, 2.0, balanced=True)
    yield ridge(rng, 12 * size, 4 * size, 0.5)
    yield knn(rng, 15 * size, 4 * size, 3, 5)
    yield few_shot(rng, 9 * size, 4 * size, 3)
    yield calibration(rng, 20 * size)
    yield points(rng, 25 * size)


def write(file, size, seed):
    import numpy as np
    file.write_text("[" + ",\n".join(json.dumps(c) for c in cases(np.random.default_rng(seed), size)) + "]\n")


if sys.argv[1] == "make":
    enter_environment(pathlib.Path("/tmp/mii-sklearn"), PACKAGES)
    write(pathlib.Path(sys.argv[2]), 1, 1)
else:
    folder = pathlib.Path(sys.argv[3])
    enter_environment(folder, PACKAGES)
    for size, seed in ((8, 2), (25, 3)):
        write(folder / "cases.json", size, seed)
        status = subprocess.run([sys.argv[2], folder / "cases.json"], timeout=300).returncode
        if status != 0:
            sys.exit(status)
