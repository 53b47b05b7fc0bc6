"""The same requests to the reference's app (reference_app.py, under FastAPI) and to `mii serve`: same status
class, same keys; where the reference refuses a body, the same bytes of JSON. usage: compatibility_test.py MII"""
import itertools
import json
import pathlib
import socket
import subprocess
import sys
import time

try:
    import fastapi
    import pydantic
    import requests
    import uvicorn  # noqa: F401
except ImportError as error:
    print(f"SKIPPED: {error}; scripts/serve-test-venv makes the environment")
    sys.exit(77)

from service import service

# The smallest PNG: an error shows no more than 1024 bytes of its input.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
JSON = {"Content-Type": "application/json"}


def bodies():
    """(path, method, headers, body) of valid and broken requests."""
    strings = [[], ["a"], ["a", "b"], ["a", 1], [None], [[]], [{"x": 1.5}], [True, "a"], "a", 1, 2.5, None, True,
               {}, {"a": 1}, ["ü\"\\\n", "日本"]]
    images = [[], [PICTURE], "x", None, [1], ["!", None], {}, 3, [PICTURE, PICTURE]]
    booleans = [True, False, 0, 1, 2, -1, 0.0, 1.0, 0.5, 1.5, "", "true", "FALSE", "yes", "Off", "t", "2", " true",
                "maybe", None, [], {}, [True], "n", "ON"]
    for image, label in itertools.product(images, strings):
        yield "/predict", "POST", JSON, json.dumps({"images": image, "labels": label})
    for value in booleans:
        yield "/predict", "POST", JSON, json.dumps({"images": [PICTURE], "labels": ["a"], "multilabel": value})
        yield "/predict", "POST", JSON, json.dumps({"images": 1, "multilabel": value})
    for image, text in itertools.product(images, strings[::2]):
        yield "/encode", "POST", JSON, json.dumps({"images": image, "texts": text})
    for body in ({}, {"labels": ["a"]}, {"images": [PICTURE]}, {"texts": ["a"]}, {"images": None}, {"other": 1},
                 {"images": [PICTURE], "labels": ["a"], "extra": [1, 2.5e-7, 1e22, None]}):
        for path in ("/predict", "/encode"):
            yield path, "POST", JSON, json.dumps(body)
    broken = ["", " ", "{", "}", "[", "]", "[1,", "[1 2]", "[1,]", '{"a"}', '{"a":}', '{"a":1', '{"a":1,}', "{a:1}",
              "{'a':1}", '"abc', '"a\\q"', '"\\u12"', '"\\u12G4"', '"a\tb"', "nul", "tru", "-", "1.", "01", "1e", "+1",
              ".5", '{"a":1}}', '{"a":1} x', "[] []", "// x", '{"images":["a\nb"]}', '["ü", x]', '{"日本": y}', "null",
              "1", '"x"', "[]", "true", "-0.5e-7", '{"a":{"b":[1,2,{"c":}]}}', '{"a" 1}', '{"a":1 "b":2}', "[,]",
              '{,}', '[1,,2]', "\ufeff{}", '{"images":[],"images":1}']
    for body in broken:
        for path in ("/predict", "/encode"):
            yield path, "POST", JSON, body
    valid = json.dumps({"texts": ["a"]})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8",
                 "application/vnd.api+json", "APPLICATION/JSON", "json", "application/xml", "text/json", "*/*"):
        yield "/encode", "POST", {"Content-Type": kind}, valid
    yield "/encode", "POST", {}, valid
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "POST"):
        for path in ("/predict", "/encode", "/health", "/nothing", "/Predict", "//health", "/predict/x"):
            if method != "POST" or path not in ("/predict", "/encode"):
                yield path, method, {}, ""
    for path in ("/health/", "/predict/", "/encode/?a=1", "/nothing/"):
        yield path, "GET", {}, ""


def same(reference, ours):
    """Empty when the answers agree, or differ as docs/compatibility.md says; else how they differ."""
    if reference.status_code == 500:
        # A client's mistake: 500 there, 400 here, with a detail.
        if ours.status_code != 400 or set(ours.json()) != {"detail"}:
            return "500 there, expected 400 with a detail here"
        if "image" not in reference.text.split(":")[0] and reference.text != ours.text:
            return "another detail"
        return ""
    if reference.status_code == 200 and ours.status_code == 400:
        return "" if ours.json() == {"detail": "No images provided"} else "refused here"
    if reference.status_code // 100 != ours.status_code // 100:
        return "another status class"
    if reference.status_code >= 400:
        return "" if (reference.status_code, reference.json()) == (ours.status_code, ours.json()) else "another error"
    if reference.status_code == 307:
        path = reference.headers["location"].split("/", 3)[3]
        return "" if ours.headers["location"].lstrip("/") == path else "another redirect"
    body = ours.json()
    if isinstance(body, dict) and "predictions" in body:
        if not all(label.isascii() for prediction in body["predictions"] for label in prediction):
            body = {key: value for key, value in body.items() if key not in ("prompts", "warnings")}
    return "" if shape(reference.json()) == shape(body) else "other keys"


def shape(value):
    """Keys and list lengths, not numbers; a vector counts as one thing."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()} if "status" not in value else value
    if isinstance(value, list):
        return "numbers" if value and isinstance(value[0], float) else [shape(inner) for inner in value]
    return "number" if isinstance(value, float) else value


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(program):
    if (fastapi.__version__, pydantic.VERSION) != ("0.115.4", "2.9.2"):
        print(f"SKIPPED: fastapi {fastapi.__version__}, pydantic {pydantic.VERSION}; expected 0.115.4 and 2.9.2")
        sys.exit(77)
    port = free_port()
    app = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("reference_app.py"), str(port)])
    try:
        with service(program) as ours:
            reference_url = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    requests.get(reference_url + "/health")
                    break
                except requests.ConnectionError:
                    time.sleep(0.05)
            count, wrong = 0, []
            there, here = requests.Session(), requests.Session()
            for path, method, headers, body in bodies():
                answers = []
                for session, url in ((there, reference_url), (here, ours.url)):
                    request = requests.Request(method, url + "/", headers=headers, data=body.encode()).prepare()
                    request.url = url + path  # as it is, without requests' tidying
                    answers.append(session.send(request, allow_redirects=False))
                difference = same(*answers)
                count += 1
                if difference:
                    wrong.append((difference, method, path, headers, body[:200]) +
                                 tuple((a.status_code, a.text[:300]) for a in answers))
    finally:
        app.terminate()
        app.wait()
    for entry in wrong[:20]:
        print(*entry, sep="\n    ")
    print(f"{count} requests, {len(wrong)} unexplained differences")
    sys.exit(bool(wrong) or count < 300)


main(sys.argv[1])
