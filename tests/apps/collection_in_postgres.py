"""A collection moves from a folder to PostgreSQL and back, and nothing of it changes; run_with_postgres.py gives the
server. usage: collection_in_postgres.py MII"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

mii = sys.argv[1]
programs = pathlib.Path(os.environ["MII_TEST_POSTGRES_PROGRAMS"])
database = os.environ["MII_TEST_POSTGRES"]


def run(*arguments, status=0):
    done = subprocess.run([mii, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    assert "secret" not in done.stdout + done.stderr, done.stderr
    return done.stdout + done.stderr


def move(source, target, folder, name):
    file = folder / f"{name}.npy"
    run("collection", "export", source, str(file))
    run("collection", "create", target)
    run("collection", "add", target, "--vectors", str(file), "--manifest", f"{file}.items.csv")
    return file


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    first, back = str(folder / "first"), str(folder / "back")
    random.seed(1)
    images = [str(folder / f"{n}'; DROP TABLE mii_items; --.pgm") for n in range(6)]
    for image in images:
        pathlib.Path(image).write_bytes(b"P5 32 32 255\n" + random.randbytes(32 * 32))
    table = folder / "images.csv"
    table.write_text("path,modality,age\n" + "".join(f"{image},M{n % 2},{n}\n" for n, image in enumerate(images)))
    run("collection", "create", first)
    run("collection", "add", first, "--manifest", str(table))
    vectors = move(first, database, folder, "there")
    again = move(database, back, folder, "back")
    for end in ("", ".items.csv"):
        assert pathlib.Path(f"{vectors}{end}").read_bytes() == pathlib.Path(f"{again}{end}").read_bytes(), end

    question = ["--id", images[0], "--filter", "age < 3 or modality = 'M1'", "--vote", "modality", "--json"]
    answers = [json.loads(run("search", place, *question)) for place in (first, database, back)]
    assert len(answers[0]["hits"]) > 1
    assert answers[0]["hits"] == answers[1]["hits"] == answers[2]["hits"], answers
    assert answers[0]["identity"] == answers[1]["identity"]

    assert run("collection", "verify", database).endswith("no fault found\n")
    assert f"{len(images)} items" not in run("collection", "remove", database, images[0])
    assert json.loads(run("collection", "info", database, "--json"))["items"] == len(images) - 1
    run("duplicates", database, "--json")
    run("collection", "index", database)
    assert json.loads(run("search", database, "--id", images[1], "--stage", "hnsw", "--json"))["evidence"]["exact"] is False
    run("collection", "compact", database)
    other = ["--id", images[1], "--json"]
    # A snapshot of a database is pg_dump's.
    copy = database.removesuffix("postgres") + "copy"
    dump = subprocess.run([programs / "pg_dump", database], check=True, capture_output=True).stdout
    subprocess.run([programs / "psql", database, "-c", "CREATE DATABASE copy"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([programs / "psql", copy, "-v", "ON_ERROR_STOP=1"], input=dump, check=True, stdout=subprocess.DEVNULL)
    assert run("collection", "verify", copy).endswith("no fault found\n")
    assert json.loads(run("search", copy, *other))["hits"] == json.loads(run("search", database, *other))["hits"]
    assert "pg_dump" in run("collection", "snapshot", database, str(folder / "x"), status=1)
    run("collection", "index", first, status=1)
    run("search", database, "--id", images[1], "--audit", "--caller", "me")

    pathlib.Path(images[2]).rename(folder / "away")
    assert "stays as it was" in run("collection", "rebuild", database, "--profile", "ct-lung", status=1)
    (folder / "away").rename(images[2])
    assert "profile auto" in run("collection", "info", database)
    run("collection", "rebuild", database, "--profile", "ct-lung")
    assert "profile ct-lung" in run("collection", "info", database)
    assert run("collection", "verify", database).endswith("no fault found\n")
print("the collection moved to PostgreSQL and back")
