"""from_pretrained beside a local server that speaks the routes of the Hugging Face hub, in processes with their own cache."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import medimageinsight as mii

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_for_this_test"


class Hub(BaseHTTPRequestHandler):
    """One repository, someone/model, at one commit; private/model wants a token."""

    files: dict[str, bytes] = {}
    asked: list[str] = []

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        Hub.asked.append(path)
        owner = path.removeprefix("/api/models").split("/")[1]
        if owner == "private" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, b"{}", X_Error_Code="GatedRepo", X_Error_Message="a token is needed")
        if path.startswith("/api/models/"):
            revision = path.rpartition("/revision/")[2] if "/revision/" in path else "main"
            name = "/".join(path.split("/")[3:5])
            if name not in ("someone/model", "private/model"):
                return self.answer(404, b"{}", X_Error_Code="RepoNotFound")
            if "/tree/" not in path and revision not in ("main", "v1", COMMIT):
                return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
            if "/tree/" in path:
                entries = [{"type": "file", "path": f, "size": len(b), "oid": hashlib.sha1(b).hexdigest()}
                           for f, b in self.files.items()]
                return self.answer(200, json.dumps(entries).encode(), Content_Type="application/json")
            body = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": f} for f in self.files]}
            return self.answer(200, json.dumps(body).encode(), Content_Type="application/json")
        _, _, name = path.partition("/resolve/")
        file = name.partition("/")[2]
        if file not in self.files:
            return self.answer(404, b"", X_Error_Code="EntryNotFound")
        body = self.files[file]
        self.answer(200, body, ETag=f'"{hashlib.sha256(body).hexdigest()}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub():
    starter = pathlib.Path(mii.starter_path())
    Hub.files = {f"2024.09.27/{path.relative_to(starter)}": path.read_bytes() for path in starter.rglob("*")
                 if path.is_file()}
    Hub.files["README.md"] = b"# a card"
    Hub.files["2023.01.01/config.yaml"] = b"an older one"
    Hub.files["other/huge.bin"] = b"not wanted"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def run(tmp_path, call, **environment):
    """What a new process prints, whose cache is in tmp_path. The hub's client reads its settings once, when imported."""
    program = ("import medimageinsight as mii\ntry:\n"
               f"    engine = mii.Engine.from_pretrained({call})\n    print('folder', engine.folder, engine.dim)\n"
               "except mii.Error as error:\n    print('error', type(error).__name__, error)\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120,
                          env={**kept, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1",
                               "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_name_is_downloaded_once_into_the_hubs_cache(hub, tmp_path):
    out = run(tmp_path, "'someone/model'", HF_ENDPOINT=hub)
    snapshot = tmp_path / "hf" / "hub" / "models--someone--model" / "snapshots" / COMMIT
    assert out == f"folder {snapshot / '2024.09.27'} 192"
    assert not (snapshot / "other").exists() and not (snapshot / "README.md").exists()
    Hub.asked.clear()
    assert run(tmp_path, "'someone/model', revision='v1'", HF_ENDPOINT=hub) == out
    assert not any(".pt" in path for path in Hub.asked)
    assert run(tmp_path, "'someone/model'", HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:1") == out
    assert run(tmp_path, "'someone/model', local_files_only=True", HF_ENDPOINT="http://127.0.0.1:1") == out


def test_a_token_is_sent(hub, tmp_path):
    assert run(tmp_path, "'private/model'", HF_ENDPOINT=hub).startswith("error NetworkError private/model")
    assert run(tmp_path, "'private/model'", HF_ENDPOINT=hub, HF_TOKEN=TOKEN).startswith("folder")
    assert run(tmp_path / "2", f"'private/model', token='{TOKEN}'", HF_ENDPOINT=hub).startswith("folder")


def test_what_is_not_there_is_an_error_that_names_it(hub, tmp_path):
    assert run(tmp_path, "'nobody/model'", HF_ENDPOINT=hub).startswith("error NetworkError nobody/model")
    assert run(tmp_path, "'someone/model', revision='v9'", HF_ENDPOINT=hub).startswith("error NetworkError someone/model")
    assert run(tmp_path, "'someone/model'", HF_HUB_OFFLINE="1").startswith("error IoError someone/model")
    assert run(tmp_path, "'/no/such/folder'", HF_ENDPOINT=hub).startswith("error IoError /no/such/folder")


def test_a_folder_is_opened_as_it_is(tmp_path):
    assert mii.from_pretrained(mii.starter_path()).folder == mii.starter_path()
    clone = tmp_path / "clone"
    shutil.copytree(mii.starter_path(), clone / "2024.09.27")
    assert mii.from_pretrained(clone).folder == str(clone / "2024.09.27")
    (tmp_path / "empty").mkdir()
    with pytest.raises(mii.errors.InvalidModel, match="config.yaml"):
        mii.from_pretrained(tmp_path / "empty")


def test_without_the_client_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(mii.errors.Unsupported, match="pip install huggingface_hub"):
        mii.from_pretrained("someone/model")
