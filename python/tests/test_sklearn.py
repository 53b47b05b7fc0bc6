"""The embedder among scikit-learn's parts, and scikit-learn's estimators as heads."""
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import medimageinsight as mii
from medimageinsight.sklearn import MedImageInsightEmbedder, to_head


@pytest.fixture(scope="module")
def cases():
    """Images of two kinds, stripes along and across, with noise, and their labels."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:64, 0:64]
    labels = np.array(["along", "across"] * 20)
    return [np.clip(100 + 60 * np.sin((x if label == "along" else y) / random.uniform(2, 4))
                    + random.normal(0, 20, x.shape), 0, 255).astype(np.uint8) for label in labels], labels


@pytest.fixture(scope="module")
def vectors(engine, cases):
    return engine.encode_images(cases[0])


def test_the_embedder_is_a_step_of_a_pipeline(cases):
    pipeline = make_pipeline(MedImageInsightEmbedder(precision="f32"), StandardScaler(), LogisticRegression())
    scores = cross_val_score(pipeline, *cases, cv=4)
    assert scores.mean() > 0.9


def test_the_embedder_is_cloned_and_pickled_by_its_model(cases, engine):
    embedder = clone(MedImageInsightEmbedder(mii.starter_path(), precision="f32")).fit(cases[0])
    data = pickle.dumps(embedder)
    assert len(data) < 1000
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.transform(cases[0][:3]), engine.encode_images(cases[0][:3]))
    assert again.get_params()["model"] == mii.starter_path() and "starter" in repr(again)
    assert len(again.get_feature_names_out()) == engine.dim


def test_another_process_opens_the_model_itself():
    embedder = MedImageInsightEmbedder().fit([])
    program = ("import pickle, sys, numpy; e = pickle.load(sys.stdin.buffer); "
               "print(e.transform([numpy.zeros((9, 9), 'u1')]).shape)")
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(embedder), capture_output=True, timeout=120)
    assert done.stdout.decode().strip() == "(1, 192)", done.stderr.decode()


def test_images_are_refused_before_fit(cases):
    with pytest.raises(Exception, match="not fitted"):
        MedImageInsightEmbedder().transform(cases[0])


def three(labels):
    return np.where(np.arange(len(labels)) % 5 == 0, "oblique", labels)


def svc():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SVC(kernel="linear", probability=True, random_state=0)


def two(labels):
    return labels


def perceptron(activation):
    return make_pipeline(StandardScaler(), MLPClassifier((9, 5), activation, max_iter=20, random_state=0))


@pytest.mark.parametrize("make, relabel", [
    pytest.param(LogisticRegression, two, id="logistic"),
    pytest.param(LogisticRegression, three, id="logistic of three"),
    pytest.param(lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1)), three, id="scaled"),
    pytest.param(lambda: make_pipeline(StandardScaler(with_mean=False), StandardScaler(), LogisticRegression()), two,
                 id="scaled twice"),
    pytest.param(lambda: make_pipeline(StandardScaler(), svc()), two, id="scaled svc"),
    pytest.param(svc, two, id="svc"),
    pytest.param(lambda: perceptron("relu"), three, id="relu"),
    pytest.param(lambda: perceptron("tanh"), two, id="tanh of two"),
    pytest.param(lambda: perceptron("logistic"), three, id="sigmoid"),
    pytest.param(lambda: perceptron("identity"), three, id="identity"),
])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_head_says_what_the_estimator_says(make, relabel, vectors, cases, engine, tmp_path):
    labels = relabel(cases[1])
    estimator = make().fit(vectors, labels)
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    to_head(estimator, engine, field="stripes").write(tmp_path / "x.head")
    head = mii.Head.read(tmp_path / "x.head")
    expected = estimator.predict_proba(vectors)
    assert head.labels == list(estimator.classes_) and head.field == "stripes" and head.identity == engine.identity()
    # Of two classes libsvm still couples pairs, and stops within 0.005 / 2.
    # Layers are kept in float32, of values that scaling has made large.
    tolerance = 0.0025 if hasattr(last, "probA_") else 2e-5 if hasattr(last, "coefs_") else 2e-6
    np.testing.assert_allclose(head.score(vectors), expected, rtol=0, atol=tolerance)
    answers = engine.classify(cases[0][:4], head=head)
    assert [max(a, key=a.get) for a in answers] == [head.labels[k] for k in expected[:4].argmax(1)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [lambda: OneVsRestClassifier(LogisticRegression()), lambda: MLPClassifier((7,), max_iter=20)],
                         ids=["one against the rest", "perceptron"])
def test_a_head_for_several_labels(make, vectors, engine):
    truth = np.column_stack([vectors[:, 0] > np.median(vectors[:, 0]), vectors[:, 1] > np.median(vectors[:, 1])]).astype(int)
    estimator = make().fit(vectors, truth)
    np.testing.assert_allclose(to_head(estimator, engine).score(vectors), estimator.predict_proba(vectors), rtol=0, atol=2e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_cannot_be_a_head_is_refused(vectors, cases, engine):
    for estimator in (SVC(kernel="rbf", probability=True), SVC(kernel="linear"),
                      make_pipeline(MinMaxScaler(), LogisticRegression())):
        with pytest.raises(mii.errors.Unsupported):
            to_head(estimator.fit(vectors, cases[1]), engine)
    with pytest.raises(mii.errors.InvalidArgument, match="not fitted"):
        to_head(LogisticRegression(), engine)
    with pytest.raises(mii.errors.InvalidArgument, match="192"):
        to_head(LogisticRegression().fit(vectors[:, :5], cases[1]), engine)
