"""The service offers a collection in PostgreSQL as it does one in a folder; run_with_postgres.py gives the server.
usage: postgres_test.py MII"""
import base64
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from service import service, wait_until

mii = sys.argv[1]
database = os.environ["MII_TEST_POSTGRES"]
said = []  # all answers: no password may be in one


def run(*arguments, status=0):
    done = subprocess.run([mii, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    said.append(done.stdout + done.stderr)
    return said[-1]


def control(what):
    subprocess.run([os.environ["MII_TEST_POSTGRES_CONTROL"], what], check=True)


def ask(running, path, body=None, method=None, key="writer"):
    """Status, answer, headers."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(running.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, text, headers = answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        status, text, headers = error.code, error.read().decode(), error.headers
    said.append(text)
    return status, json.loads(text), headers


def expect(status, *arguments, **options):
    answer = ask(*arguments, **options)
    assert answer[0] == status, (arguments, answer)
    return answer[1]


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    keys = folder / "keys"
    keys.write_text("".join(f"{hashlib.sha256(key.encode()).hexdigest()}  -{scope}\n"
                            for key, scope in (("reader", ""), ("writer", " scope=write"))))
    random.seed(1)
    images = {name: b"P5 32 32 255\n" + random.randbytes(32 * 32) for name in "abcdefgh"}
    for name, data in images.items():
        (folder / f"{name}.pgm").write_bytes(data)
    (folder / "t.csv").write_text("id,path,kind,age\n" + "".join(f"{n},{n}.pgm,k{i % 2},{i}\n" for i, n in enumerate("abcdef")))
    shelf = folder / "shelf"
    for place in (str(shelf / "files"), database):
        shelf.mkdir(exist_ok=True)
        run("collection", "create", place)
        run("collection", "add", place, "--manifest", str(folder / "t.csv"))

    # What cannot be served ends the start, and says no password.
    for wrong, why, status in ((database.removesuffix("postgres") + "nowhere", 'database "nowhere" does not exist', 1),
                       (database.replace(":secret@", ":hidden-secret@"), "password authentication failed", 1),
                       ("name=secret-folder", "expected [NAME=]postgresql://", 2),
                       ("postgresql://u:secret@[/x", "is no URL", 2),
                       (f"files={database}", "two collections are named 'files'", 2)):
        assert why in run("serve", "--port", "0", "--collections", str(shelf), "--collection", wrong, status=status), wrong

    psql = [pathlib.Path(os.environ["MII_TEST_POSTGRES_PROGRAMS"]) / "psql", database, "-Atc"]
    subprocess.run([*psql,
                    "CREATE ROLE mii_reader LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO mii_reader; "
                    "GRANT SELECT ON mii_format, mii_state, mii_columns, mii_items, mii_vectors, mii_thumbnails, mii_typical "
                    "TO mii_reader; GRANT INSERT ON mii_audit TO mii_reader"], check=True)
    with service(mii, "--collections", str(shelf), "--collection", f"base={database}", "--collection", database,
                 "--collection", "readable=" + database.replace("postgres:secret@", "mii_reader:secret@"),
                 "--keys", str(keys), "--audit") as running:
        named = {c["name"]: c for c in expect(200, running, "/collections")["collections"]}
        assert sorted(named) == ["base", "files", "postgres", "readable"]
        assert named["base"]["items"] == named["files"]["items"] == 6
        assert named["base"]["identity"] == named["files"]["identity"]
        assert wait_until(lambda: ask(running, "/collections/base/search", {"texts": ["a"]})[0] == 200, 60)

        picture = base64.b64encode(images["g"]).decode()
        for query in ({"images": [picture]}, {"texts": ["a"], "k": 2}, {"ids": ["a"], "not_ids": ["b"]},
                      {"ids": ["c"], "filter": "kind = 'k1' and age < 5", "one_per": "age", "vote": ["kind"]}):
            found = {name: expect(200, running, f"/collections/{name}/search", query, key="reader") for name in ("base", "files")}
            assert found["base"]["hits"], query
            for part in ("hits", "identity"):
                assert found["base"][part] == found["files"][part], (query, part)
            assert found["base"]["evidence"]["votes"] == found["files"]["evidence"]["votes"]
        for query, why in (({"ids": ["a"], "k": 0}, "k is 0"), ({"ids": ["a"], "k": 10**9}, "expected 1 to 10000"),
                           ({"ids": ["nobody"]}, "there is no item"), ({"ids": ["a"], "filter": "kind ="}, "place 7"),
                           ({"ids": ["a"], "filter": "no = 1"}, "no"), ({"vectors": [[1, 2]]}, "these have 2"),
                           ({"ids": ["a"], "version": 77}, "is not kept")):
            assert why in expect(400, running, "/collections/base/search", query)["detail"], query

        # Items: added by one name of the database, seen by the other.
        strange = "x/'; DROP TABLE mii_items; --"
        body = {"ids": [strange], "images": [picture], "attributes": [{"kind": "new"}]}
        expect(401, running, "/collections/base/items", body, key=None)
        expect(403, running, "/collections/base/items", body, key="reader")
        added = expect(200, running, "/collections/base/items", body)
        assert (added["added"], added["items"]) == (1, 7), added
        assert expect(200, running, "/collections/postgres/items?limit=2&after=f")["items"][0]["id"] == strange
        one = f"/collections/base/items?id={urllib.parse.quote(strange)}"
        assert expect(200, running, one)["items"][0]["attributes"] == {"kind": "new"}
        assert expect(200, running, "/collections/postgres/search", {"images": [picture], "k": 1})["hits"][0]["id"] == strange
        assert "zero byte" in expect(400, running, "/collections/base/items", {**body, "ids": ["a\0b"]})["detail"]
        assert expect(200, running, one, method="DELETE")["removed"] == 1
        expect(404, running, "/collections/base/items/nobody")
        # A role without the right to write: the key may, and the database says no.
        for refused in (ask(running, "/collections/readable/items", {**body, "ids": ["b"]}),
                        ask(running, "/collections/readable/items?id=a", method="DELETE")):
            assert refused[:2] == (403, {"detail": "the service has not the right to do this to the collection"}), refused
        assert expect(200, running, "/collections/readable/search", {"ids": ["a"], "k": 1})["hits"]
        assert expect(200, running, "/collections/base/items?limit=100")["items"][0]["id"] == "a"
        running.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: any(e["event"] == "reloaded" and e["what"] == "collections" for e in list(running.log)), 30)

        # The database goes away: 503 for it, soon, and everything else goes on; then it is back.
        control("stop")
        began = time.monotonic()
        for path, sent, method in (("/collections/base", None, None), ("/collections/base/search", {"ids": ["a"]}, None),
                                   ("/collections/base/search", {"images": [picture]}, None), ("/collections/base/items", None, None),
                                   ("/collections/base/items", body, None), ("/collections/base/items/a", None, "DELETE")):
            status, answer, headers = ask(running, path, sent, method)
            assert status == 503 and "cannot be reached" in answer["detail"], (path, status, answer)
            assert int(headers["Retry-After"]) > 0
        assert [c["name"] for c in expect(200, running, "/collections")["collections"]] == ["files"]
        assert time.monotonic() - began < 20
        expect(200, running, "/collections/files/search", {"images": [picture]})
        assert any(e["event"] == "database_unreachable" for e in list(running.log))
        control("start")
        assert expect(200, running, "/collections/base/search", {"ids": ["a"], "k": 1})["hits"]
        assert expect(200, running, "/collections/base")["items"] == 6

    said.append(json.dumps(running.log))
    assert run("collection", "verify", database).endswith("no fault found\n")
    assert not any("secret" in text for text in said)
    audit = subprocess.run([*psql, "SELECT caller, count(*) FROM mii_audit WHERE time > now() - interval '1 hour' GROUP BY caller"],
                           check=True, capture_output=True, text=True).stdout
    callers = dict(line.split("|") for line in audit.splitlines())
    assert callers["key " + hashlib.sha256(b"reader").hexdigest()[:16]] == "4", callers
print("the service offers PostgreSQL")
